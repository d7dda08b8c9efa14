//! The changes to fields: kept, removed, added, or moved into a oneof.

use super::comparison::{
    BreakingChange, Comparison, FieldIdentity, KEEP_HELP, MessagePair, NO_REQUIRED_HELP,
};
use super::types;
use crate::table::Field;

impl Comparison<'_> {
    /// Returns the break of a field that has a counterpart, if the change of the field breaks
    /// payloads.
    pub(super) fn kept(
        &mut self,
        messages: &MessagePair,
        old_field: &Field,
        new_field: &Field,
    ) -> Option<BreakingChange> {
        let same_name = messages.new.by_name(&old_field.name);
        let same_name = same_name.map(|index| &messages.new.fields[index as usize]);
        let moved =
            |field: &&Field| field.name == old_field.name && field.number != new_field.number;
        if let Some(same_name) = same_name.filter(|field| self.identity.numbers && moved(field)) {
            let what = format!(
                "changed its number from {} to {}; number {} is now {}",
                old_field.number, same_name.number, old_field.number, new_field.name
            );
            return Some(messages.field(&old_field.name, &same_name.name, what, KEEP_HELP));
        }
        if self.identity.names
            && messages.new.by_name(&old_field.json_name) != messages.new.by_name(&old_field.name)
        {
            let what = format!(
                "is no longer read under its JSON name {}",
                old_field.json_name
            );
            let help = format!(
                "give the field the option [json_name = \"{}\"]",
                old_field.json_name
            );
            return Some(messages.field(&old_field.name, &new_field.name, what, help));
        }
        if !self.types(messages, old_field, new_field) {
            let (from, to) = (
                types::label(old_field, self.old.table),
                types::label(new_field, self.new.table),
            );
            let name = match old_field.name == new_field.name {
                true => String::new(),
                false => format!(" and its name to {}", new_field.name),
            };
            let what = match from == to {
                true => "must now be UTF-8".to_owned(),
                false => format!("changed its type from {from} to {to}{name}"),
            };
            let help = "keep the field as it was, and add another field for the new type";
            return Some(messages.field(&old_field.name, &new_field.name, what, help));
        }
        if new_field.required && !old_field.required {
            let what = "became required, and earlier payloads may lack the field".to_owned();
            return Some(messages.field(&old_field.name, &new_field.name, what, NO_REQUIRED_HELP));
        }
        None
    }

    /// Returns the break of a field without a counterpart, if its removal breaks payloads.
    pub(super) fn removed(
        &self,
        messages: &MessagePair,
        old_field: &Field,
    ) -> Option<BreakingChange> {
        let FieldIdentity { numbers, names, .. } = self.identity;
        if !numbers && !names {
            // Only the order of the fields matters. `order::moved` compares the order.
            return None;
        }
        let (number, name) = (old_field.number, &*old_field.name);
        // In protobuf, the successor of a removed field is the field with the same name and another
        // number. In other encodings, the successor is the field with the same number and another
        // name.
        let successor = match numbers {
            true => messages.new.by_name(name),
            false => messages.new.by_number(number),
        };
        let successor = successor.map(|index| &messages.new.fields[index as usize]);
        let is_reserved = messages.after.is_some_and(|definition| match numbers {
            true => definition.reserves(number as i32),
            false => definition.reserves_name(name),
        });
        if is_reserved && !self.strict {
            return None;
        }
        let (what, help) = match (successor, numbers) {
            (Some(successor), true) => (
                format!("changed its number from {number} to {}", successor.number),
                format!("keep the number {number}, or write `reserved {number};` in the message"),
            ),
            (Some(successor), false) => (
                format!("was renamed to {}", successor.name),
                format!(
                    "give {} the option [json_name = \"{name}\"]: fields are also read under their JSON names",
                    successor.name
                ),
            ),
            _ if self.strict => (
                "was removed, and payloads with the field are rejected (unknown_fields: reject)"
                    .to_owned(),
                "keep the field until no peer sends it any more".to_owned(),
            ),
            (_, true) => (
                format!("was removed, and its number {number} is not reserved"),
                format!(
                    "write `reserved {number};` in the message, so that nothing takes its number"
                ),
            ),
            _ => (
                "was removed, and its name is not reserved".to_owned(),
                format!(
                    "write `reserved \"{name}\";` in the message, so that nothing takes its name"
                ),
            ),
        };
        let new_field = successor.map_or("", |successor| &successor.name);
        Some(messages.field(name, new_field, what, help))
    }

    /// Returns the break of a new field, if its addition breaks payloads.
    pub(super) fn added(
        &self,
        messages: &MessagePair,
        new_field: &Field,
    ) -> Option<BreakingChange> {
        let name = &*new_field.name;
        let before = messages.before;
        let what = if new_field.required {
            "is new and required, and earlier payloads lack the field".to_owned()
        } else if self.identity.numbers
            && before.is_some_and(|definition| definition.reserves(new_field.number as i32))
        {
            format!("took the number {}, which was reserved", new_field.number)
        } else if self.identity.names
            && before.is_some_and(|definition| definition.reserves_name(name))
        {
            "took a name that was reserved".to_owned()
        } else {
            return None;
        };
        let help = match new_field.required {
            true => NO_REQUIRED_HELP,
            false => {
                "choose another number or name: earlier payloads may use this one for something else"
            }
        };
        Some(messages.field(name, name, what, help))
    }
}

/// Returns the breaks of fields that a payload could hold together and that are now in one oneof.
pub(super) fn joined(
    messages: &MessagePair<'_>,
    counterparts: &[Option<u32>],
) -> Vec<BreakingChange> {
    let mut first: Vec<(u32, &Field)> = Vec::new();
    let mut found = Vec::new();
    for (old_field, new_field) in messages.old.fields.iter().zip(counterparts) {
        let Some(new_field) = new_field.map(|index| &messages.new.fields[index as usize]) else {
            continue;
        };
        let Some(oneof) = new_field.oneof else {
            continue;
        };
        match first.iter().find(|(known, _)| *known == oneof) {
            None => first.push((oneof, old_field)),
            Some((_, other)) if old_field.oneof.is_some() && old_field.oneof == other.oneof => {}
            Some((_, other)) => {
                let what = format!(
                    "is now in one oneof with {}, and earlier payloads may have both fields",
                    other.name
                );
                found.push(messages.field(
                    &old_field.name,
                    &new_field.name,
                    what,
                    "leave the field out of the oneof",
                ));
            }
        }
    }
    found
}
