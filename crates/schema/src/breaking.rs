//! Detection of changes that break payloads of peers that are not updated: a comparison of two
//! generations of a schema, in terms of its encoding. The comparison is a pure function.
//!
//! A change *breaks* if a payload that fits the earlier schema is rejected by the later one, or is
//! read as something else. Protobuf identifies fields by number, MessagePack and JSON by name, and
//! MessagePack's array layout by order. The removal of a field that is identified by number or name
//! is no break if that number or name is `reserved` and the later schema allows unknown fields. The
//! same holds for a value of an enum in protobuf, but not in MessagePack and JSON. The settings of
//! a schema in routes.yaml (`require`, `unknown_fields`, `layout`) are not compared, nor are rules.

mod comparison;
mod enums;
mod fields;
mod order;
mod types;

use std::collections::BTreeSet;

pub use comparison::{BreakingChange, Defined};

use crate::options::UnknownFields;
use crate::table::{Cardinality, Field, FieldKind, Message};
use comparison::{Comparison, FieldIdentity, KEEP_HELP, MessagePair, Pair, Side, join};

/// The treatment of changes that break payloads, when a schema in use is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakingPolicy {
    /// All changes are allowed, and the schemas are not compared.
    Allow,
    /// All changes are allowed, and breaks are reported.
    #[default]
    Warn,
    /// Changes that break payloads are rejected.
    Reject,
}

/// Returns the changes that break payloads between `old` and `new`, two schemas of one encoding.
///
/// A message or enum that is used in several places is reported at only one of them.
pub fn between(old: Defined<'_>, new: Defined<'_>) -> Vec<BreakingChange> {
    let (old_contract, new_contract) = (old.schema.contract(), new.schema.contract());
    let mut comparison = Comparison {
        by: FieldIdentity::of(old_contract, new_contract),
        strict: new_contract.options.unknown_fields == UnknownFields::Reject,
        old: Side::of(old),
        new: Side::of(new),
        open: vec![Pair {
            old: old_contract.root,
            new: new_contract.root,
            path: String::new(),
        }],
        seen: BTreeSet::new(),
        enums: BTreeSet::new(),
        found: Vec::new(),
    };
    // This is a list and not a recursion, because messages may nest as deep as a file is long.
    while let Some(pair) = comparison.open.pop() {
        if comparison.seen.insert((pair.old, pair.new)) {
            comparison.messages(&pair);
        }
    }
    comparison.found
}

impl Comparison<'_> {
    fn messages(&mut self, pair: &Pair) {
        let (old, before) = self.old.message(pair.old);
        let (new, after) = self.new.message(pair.new);
        let path = pair.path.clone();
        let here = MessagePair {
            old,
            new,
            before,
            after,
            path,
        };
        let forms = !self.by.numbers && old.form != new.form;
        if forms || (self.by.numbers && old.message_set != new.message_set) {
            let what = format!("became {}, which is written in another form", new.name);
            return self.found.push(here.whole(&what, KEEP_HELP));
        }
        let counterparts = self.counterparts(old, new);
        let mut taken = vec![false; new.fields.len()];
        for now in counterparts.iter().flatten() {
            taken[*now as usize] = true;
        }
        let mut broken = BTreeSet::new();
        for ((index, was), now) in (0u32..).zip(&*old.fields).zip(&counterparts) {
            let fault = match now {
                Some(now) => self.kept(&here, was, &new.fields[*now as usize]),
                None => self.removed(&here, was),
            };
            if let Some(fault) = fault {
                broken.insert(index);
                self.found.push(fault);
            }
        }
        for (field, _) in new.fields.iter().zip(taken).filter(|(_, taken)| !taken) {
            self.found.extend(self.added(&here, field));
        }
        self.found.extend(fields::joined(&here, &counterparts));
        if self.by.order {
            let moved = order::moved(&here, &counterparts);
            self.found.extend(
                moved
                    .filter(|(index, _)| !broken.contains(index))
                    .map(|it| it.1),
            );
        }
    }

    /// Returns for each field of `old` the index of the field that its values are now read as.
    fn counterparts(&self, old: &Message, new: &Message) -> Vec<Option<u32>> {
        let FieldIdentity {
            numbers,
            names,
            order: _,
        } = self.by;
        match () {
            () if numbers => (old.fields.iter())
                .map(|was| new.by_number(was.number))
                .collect(),
            () if names => (old.fields.iter())
                .map(|was| new.by_name(&was.name))
                .collect(),
            () => order::counterparts(old, new),
        }
    }

    /// Returns whether all values of the type of `was` are the same values when they are read as
    /// the type of `now`. Messages in these types are queued for comparison; enums are compared at
    /// once.
    fn types(&mut self, here: &MessagePair, was: &Field, now: &Field) -> bool {
        let path = join(&here.path, &was.name);
        match (was.cardinality, now.cardinality) {
            (Cardinality::Singular, Cardinality::Singular) => self.kinds(was.kind, now.kind, path),
            (Cardinality::Repeated, Cardinality::Repeated) => {
                self.kinds(was.kind, now.kind, path + "[]")
            }
            (Cardinality::Map, Cardinality::Map) => {
                let entries = (
                    types::entry(was, self.old.table),
                    types::entry(now, self.new.table),
                );
                let (Some(old), Some(new)) = entries else {
                    return false;
                };
                // A key is never a message, so it contains nothing to compare.
                self.kinds(old.0, new.0, String::new()) && self.kinds(old.1, new.1, path + "[]")
            }
            // In protobuf, a map is a list of entries. The reverse change is a break, because a
            // list may have the same key twice, and a map may not.
            (Cardinality::Map, Cardinality::Repeated) => {
                self.by.numbers && self.kinds(was.kind, now.kind, path + "[]")
            }
            _ => false,
        }
    }

    fn kinds(&mut self, was: FieldKind, now: FieldKind, path: String) -> bool {
        let same = match self.by.numbers {
            true => types::same_on_the_wire(was, now),
            false => types::same_by_name(was, now),
        };
        match (was, now) {
            _ if !same => false,
            (FieldKind::Enum(old), FieldKind::Enum(new)) => {
                enums::compare(self, old, new, path);
                true
            }
            _ => {
                if let (Some(old), Some(new)) = (was.message(), now.message()) {
                    self.open.push(Pair { old, new, path });
                }
                true
            }
        }
    }
}
