//! Comparison of enums. In protobuf, payloads have the numbers of values, so values are compared by
//! number. In MessagePack and JSON, payloads may have numbers or names, so values are compared by
//! both.

use super::comparison::{BreakingChange, Comparison, KEEP_HELP};
use crate::table::{Enum, EnumId};
use gateway_proto::Definition;

/// Adds the changes that break payloads when values of the enum `old` are read as values of `new`.
pub(super) fn compare(comparison: &mut Comparison<'_>, old: EnumId, new: EnumId, path: String) {
    // The same pair is found again at each field that has the enum.
    if !comparison.enums.insert((old.0, new.0)) {
        return;
    }
    let (old_enum, new_enum) = (&comparison.old.table[old], &comparison.new.table[new]);
    let before = comparison.old.definitions.enums.get(&*old_enum.name);
    let after = comparison.new.definitions.enums.get(&*new_enum.name);
    let fault = |subject: String, value: &str, what: String, help: String| BreakingChange {
        subject,
        what,
        path: path.clone(),
        before: before.and_then(|definition| definition.place_of(value)),
        after: after.and_then(|definition| definition.place_of(value)),
        help,
    };
    let mut found = Vec::new();
    if new_enum.closed && !old_enum.closed {
        let what =
            "became closed, and earlier payloads may have numbers that the enum does not define"
                .to_owned();
        found.push(fault(
            old_enum.name.to_string(),
            "",
            what,
            KEEP_HELP.to_owned(),
        ));
    }
    let by_number = comparison.identity.numbers;
    let strict = comparison.strict && new_enum.closed;
    for (number, name) in listed(old_enum) {
        let change = match by_number {
            true => break_by_number(new_enum, after, strict, name, number),
            false => break_by_number_or_name(new_enum, name, number),
        };
        if let Some((what, help)) = change {
            found.push(fault(format!("{}.{name}", old_enum.name), name, what, help));
        }
    }
    comparison.found.extend(found);
}

/// Returns the break of a value that payloads identify by number, and the help for it. Returns
/// `None` if no payload breaks. `strict` is true if payloads are rejected that hold a number that
/// the enum does not define.
fn break_by_number(
    new_enum: &Enum,
    after: Option<&Definition>,
    strict: bool,
    name: &str,
    number: i32,
) -> Option<(String, String)> {
    let new_number = new_enum.names.get(name).filter(|new| **new != number);
    let is_reserved = after.is_some_and(|definition| definition.reserves(number)) && !strict;
    match new_number {
        _ if is_reserved => None,
        Some(to) => Some(renumbered(number, *to)),
        None if new_enum.knows(number) => None,
        None => Some((
            match strict {
                true => {
                    "was removed, and payloads with the value are rejected (unknown_fields: reject)"
                        .to_owned()
                }
                false => format!("was removed, and its number {number} is not reserved"),
            },
            match strict {
                true => "keep the value until no peer sends it any more".to_owned(),
                false => format!("write `reserved {number};` in the enum"),
            },
        )),
    }
}

/// Returns the break of a value that payloads identify by number or name, and the help for it.
/// Returns `None` if no payload breaks.
fn break_by_number_or_name(new_enum: &Enum, name: &str, number: i32) -> Option<(String, String)> {
    match new_enum.names.get(name) {
        Some(to) if *to == number => None,
        Some(to) => Some(renumbered(number, *to)),
        None if new_enum.knows(number) => Some((
            "was renamed, and payloads with its old name are rejected".to_owned(),
            "keep the old name as an alias of the new one: option allow_alias = true".to_owned(),
        )),
        None => Some((
            "was removed, and payloads with its name are rejected".to_owned(),
            "keep the value until no peer sends it any more".to_owned(),
        )),
    }
}

fn renumbered(from: i32, to: i32) -> (String, String) {
    (
        format!("changed its number from {from} to {to}"),
        format!("keep the number {from}"),
    )
}

/// Returns the number and name of each value, in ascending order of the numbers.
fn listed(one: &Enum) -> Vec<(i32, &str)> {
    let names = one.names.iter();
    let mut all: Vec<_> = names.map(|(name, number)| (*number, &**name)).collect();
    all.sort_unstable();
    all
}
