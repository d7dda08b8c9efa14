//! What an edit does to payloads that are already on their way: two generations of a schema, compared in
//! the terms of its encoding. Pure.
//!
//! A change *breaks* if a payload that fits the earlier schema is refused by the later one, or is read as
//! something else. Protobuf goes by numbers, MessagePack and JSON by names, MessagePack's array layout by
//! order. What was taken out in good order (its number or name `reserved`) was meant. What routes.yaml
//! itself says of a schema (`require`, `unknown_fields`, `layout`) is not compared, nor are rules.

mod comparison;
mod enums;
mod fields;
mod order;
mod types;

use std::collections::BTreeSet;

pub use comparison::{Break, Defined};

use crate::options::UnknownFields;
use crate::table::{Cardinality, Field, FieldKind, Message};
use comparison::{By, Comparison, Here, KEEP, Pair, Side, join};

/// How the replacement of a schema in use treats changes that break payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaking {
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
/// A message or enum that is used in several places is reported at the first.
pub fn between(old: Defined<'_>, new: Defined<'_>) -> Vec<Break> {
    let (old_contract, new_contract) = (old.schema.contract(), new.schema.contract());
    let mut comparison = Comparison {
        by: By::of(old_contract, new_contract),
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
    // A list and no recursion: messages may lead into each other as far as a file is long.
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
        let here = Here {
            old,
            new,
            before,
            after,
            path,
        };
        let forms = !self.by.numbers && old.form != new.form;
        if forms || (self.by.numbers && old.message_set != new.message_set) {
            let what = format!("became {}, which is written in another form", new.name);
            return self.found.push(here.whole(&what, KEEP));
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

    /// For each field of `old` the index of what it is read as now.
    fn counterparts(&self, old: &Message, new: &Message) -> Vec<Option<u32>> {
        let By {
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

    /// Whether all values of the one are read as the same values of the other. What they are made of is
    /// compared in its turn.
    fn types(&mut self, here: &Here, was: &Field, now: &Field) -> bool {
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
                // A key that is no message has nothing below it.
                self.kinds(old.0, new.0, String::new()) && self.kinds(old.1, new.1, path + "[]")
            }
            // To protobuf a map is a list of entries, but a list may have what a map can't: a key twice.
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
