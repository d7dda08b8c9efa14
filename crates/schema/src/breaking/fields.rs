//! The changes to fields: kept, removed, added, or moved into a oneof.

use super::comparison::{
    BreakingChange, Comparison, FieldIdentity, KEEP_HELP, MessagePair, NO_REQUIRED_HELP,
};
use super::types;
use crate::table::Field;

impl Comparison<'_> {
    /// Returns the break of a field that has a counterpart, if its change breaks payloads.
    pub(super) fn kept(
        &mut self,
        here: &MessagePair,
        was: &Field,
        now: &Field,
    ) -> Option<BreakingChange> {
        let elsewhere = here.new.by_name(&was.name);
        let elsewhere = elsewhere.map(|index| &here.new.fields[index as usize]);
        let moved = |it: &&Field| it.name == was.name && it.number != now.number;
        if let Some(elsewhere) = elsewhere.filter(|it| self.by.numbers && moved(it)) {
            let what = format!(
                "changed its number from {} to {}; number {} is now {}",
                was.number, elsewhere.number, was.number, now.name
            );
            return Some(here.field(&was.name, &elsewhere.name, what, KEEP_HELP));
        }
        if self.by.names && here.new.by_name(&was.json_name) != here.new.by_name(&was.name) {
            let what = format!("is no longer read under its JSON name {}", was.json_name);
            let help = format!("give it the option [json_name = \"{}\"]", was.json_name);
            return Some(here.field(&was.name, &now.name, what, help));
        }
        if !self.types(here, was, now) {
            let (from, to) = (
                types::label(was, self.old.table),
                types::label(now, self.new.table),
            );
            let name = match was.name == now.name {
                true => String::new(),
                false => format!(" and its name to {}", now.name),
            };
            let what = match from == to {
                true => "must now be UTF-8".to_owned(),
                false => format!("changed its type from {from} to {to}{name}"),
            };
            let help = "keep it as it was, and add another field for the new type";
            return Some(here.field(&was.name, &now.name, what, help));
        }
        if now.required && !was.required {
            let what = "became required, and earlier payloads may lack it".to_owned();
            return Some(here.field(&was.name, &now.name, what, NO_REQUIRED_HELP));
        }
        None
    }

    /// Returns the break of a field without a counterpart, if its removal breaks payloads.
    pub(super) fn removed(&self, here: &MessagePair, was: &Field) -> Option<BreakingChange> {
        let FieldIdentity { numbers, names, .. } = self.by;
        if !numbers && !names {
            // Only the order of the fields matters, which `order::moved` compares.
            return None;
        }
        let (number, name) = (was.number, &*was.name);
        // The successor has the name of the removed field and another number, or its number and
        // another name.
        let successor = match numbers {
            true => here.new.by_name(name),
            false => here.new.by_number(number),
        };
        let successor = successor.map(|index| &here.new.fields[index as usize]);
        let aside = here.after.is_some_and(|it| match numbers {
            true => it.reserves(number as i32),
            false => it.reserves_name(name),
        });
        if aside && !self.strict {
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
                    "give {} the option [json_name = \"{name}\"], which is read too",
                    successor.name
                ),
            ),
            _ if self.strict => (
                "was removed, and unknown_fields: reject refuses it".to_owned(),
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
        let now = successor.map_or("", |successor| &successor.name);
        Some(here.field(name, now, what, help))
    }

    /// Returns the break of a new field, if its addition breaks payloads.
    pub(super) fn added(&self, here: &MessagePair, now: &Field) -> Option<BreakingChange> {
        let name = &*now.name;
        let before = here.before;
        let what = if now.required {
            "is new and required, and earlier payloads lack it".to_owned()
        } else if self.by.numbers && before.is_some_and(|it| it.reserves(now.number as i32)) {
            format!("took the number {}, which was reserved", now.number)
        } else if self.by.names && before.is_some_and(|it| it.reserves_name(name)) {
            "took a name that was reserved".to_owned()
        } else {
            return None;
        };
        let help = match now.required {
            true => NO_REQUIRED_HELP,
            false => "choose another one: in earlier payloads, it may stand for something else",
        };
        Some(here.field(name, name, what, help))
    }
}

/// Returns the breaks of fields that a payload could hold together and that are now in one oneof.
pub(super) fn joined(here: &MessagePair<'_>, counterparts: &[Option<u32>]) -> Vec<BreakingChange> {
    let mut first: Vec<(u32, &Field)> = Vec::new();
    let mut found = Vec::new();
    for (was, now) in here.old.fields.iter().zip(counterparts) {
        let Some(now) = now.map(|index| &here.new.fields[index as usize]) else {
            continue;
        };
        let Some(oneof) = now.oneof else { continue };
        match first.iter().find(|(known, _)| *known == oneof) {
            None => first.push((oneof, was)),
            Some((_, other)) if was.oneof.is_some() && was.oneof == other.oneof => {}
            Some((_, other)) => {
                let what = format!(
                    "is now in one oneof with {}, and earlier payloads may have both",
                    other.name
                );
                found.push(here.field(&was.name, &now.name, what, "leave it out of the oneof"));
            }
        }
    }
    found
}
