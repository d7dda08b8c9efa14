//! Detects changes of a schema that break payloads of peers that are not updated. A pure function
//! compares two generations of the schema by the rules of its encoding.
//!
//! A change *breaks* if a payload that fits the earlier schema is rejected by the later schema, or
//! is read as something else. Protobuf identifies fields by number, MessagePack and JSON by name,
//! and MessagePack's array layout by order. The removal of a field that is identified by number or
//! name is no break if that number or name is `reserved` and the later schema allows unknown
//! fields. In protobuf, the removal of an enum value is no break if its number is `reserved`,
//! unless the enum is closed and the later schema rejects unknown fields. In MessagePack and JSON,
//! the removal of an enum value is always a break. The settings of a schema in routes.yaml
//! (`require`, `unknown_fields`, `layout`) and the rules of buf.validate are not compared.

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

/// Returns the changes from `old` to `new` that break payloads. Both schemas must have the same
/// encoding.
///
/// A message or enum that is used in several places is reported at only one of these places.
pub fn between(old: Defined<'_>, new: Defined<'_>) -> Vec<BreakingChange> {
    let (old_contract, new_contract) = (old.schema.contract(), new.schema.contract());
    let mut comparison = Comparison {
        identity: FieldIdentity::of(old_contract, new_contract),
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
    // The open pairs are in a list, not on the stack of a recursive function, because a chain of
    // message types may be as long as a file.
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
        let messages = MessagePair {
            old,
            new,
            before,
            after,
            path,
        };
        let is_other_form = !self.identity.numbers && old.form != new.form;
        if is_other_form || (self.identity.numbers && old.message_set != new.message_set) {
            let what = format!("became {}, which is written in another form", new.name);
            return self.found.push(messages.whole(&what, KEEP_HELP));
        }
        let counterparts = self.counterparts(old, new);
        let mut taken = vec![false; new.fields.len()];
        for new_field in counterparts.iter().flatten() {
            taken[*new_field as usize] = true;
        }
        let mut broken = BTreeSet::new();
        for ((index, old_field), new_field) in (0u32..).zip(&*old.fields).zip(&counterparts) {
            let fault = match new_field {
                Some(new_field) => {
                    self.kept(&messages, old_field, &new.fields[*new_field as usize])
                }
                None => self.removed(&messages, old_field),
            };
            if let Some(fault) = fault {
                broken.insert(index);
                self.found.push(fault);
            }
        }
        for (field, _) in new.fields.iter().zip(taken).filter(|(_, taken)| !taken) {
            self.found.extend(self.added(&messages, field));
        }
        self.found.extend(fields::joined(&messages, &counterparts));
        if self.identity.order {
            let moved = order::moved(&messages, &counterparts);
            self.found.extend(
                moved
                    .filter(|(index, _)| !broken.contains(index))
                    .map(|(_, change)| change),
            );
        }
    }

    /// Returns the index of the counterpart of each field of `old`, or `None` for a field without a
    /// counterpart. The counterpart is the field of `new` that now receives the values of the
    /// field.
    fn counterparts(&self, old: &Message, new: &Message) -> Vec<Option<u32>> {
        let FieldIdentity {
            numbers,
            names,
            order: _,
        } = self.identity;
        match () {
            () if numbers => (old.fields.iter())
                .map(|old_field| new.by_number(old_field.number))
                .collect(),
            () if names => (old.fields.iter())
                .map(|old_field| new.by_name(&old_field.name))
                .collect(),
            () => order::counterparts(old, new),
        }
    }

    /// Returns whether every value of `old_field` keeps its meaning when it is read as `new_field`.
    /// If the fields have message types, the message types are queued for comparison. Enums are
    /// compared immediately.
    fn types(&mut self, messages: &MessagePair, old_field: &Field, new_field: &Field) -> bool {
        let path = join(&messages.path, &old_field.name);
        match (old_field.cardinality, new_field.cardinality) {
            (Cardinality::Singular, Cardinality::Singular) => {
                self.kinds(old_field.kind, new_field.kind, path)
            }
            (Cardinality::Repeated, Cardinality::Repeated) => {
                self.kinds(old_field.kind, new_field.kind, path + "[]")
            }
            (Cardinality::Map, Cardinality::Map) => {
                let entries = (
                    types::entry(old_field, self.old.table),
                    types::entry(new_field, self.new.table),
                );
                let (Some(old), Some(new)) = entries else {
                    return false;
                };
                // A key is neither a message nor an enum, so no change is reported below its path.
                self.kinds(old.0, new.0, String::new()) && self.kinds(old.1, new.1, path + "[]")
            }
            // In protobuf, a map is a list of entries, so a map may become a list. The reverse
            // change is a break, because a list may contain the same key twice, and a map must not.
            (Cardinality::Map, Cardinality::Repeated) => {
                self.identity.numbers && self.kinds(old_field.kind, new_field.kind, path + "[]")
            }
            _ => false,
        }
    }

    fn kinds(&mut self, old_kind: FieldKind, new_kind: FieldKind, path: String) -> bool {
        let same = match self.identity.numbers {
            true => types::same_on_the_wire(old_kind, new_kind),
            false => types::same_by_name(old_kind, new_kind),
        };
        match (old_kind, new_kind) {
            _ if !same => false,
            (FieldKind::Enum(old), FieldKind::Enum(new)) => {
                enums::compare(self, old, new, path);
                true
            }
            _ => {
                if let (Some(old), Some(new)) = (old_kind.message(), new_kind.message()) {
                    self.open.push(Pair { old, new, path });
                }
                true
            }
        }
    }
}
