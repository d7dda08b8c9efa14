//! Comparison of enums: by number in protobuf, and by number and name in MessagePack and JSON,
//! whose payloads may hold either.

use super::comparison::{BreakingChange, Comparison, KEEP_HELP};
use crate::table::{Enum, EnumId};
use gateway_proto::Definition;

/// Adds the changes that break payloads whose values of the enum `old` are now read as values of
/// `new`.
pub(super) fn compare(comparison: &mut Comparison<'_>, old: EnumId, new: EnumId, path: String) {
    // The same pair is found again at each field that has the enum.
    if !comparison.enums.insert((old.0, new.0)) {
        return;
    }
    let (was, now) = (&comparison.old.table[old], &comparison.new.table[new]);
    let before = comparison.old.definitions.enums.get(&*was.name);
    let after = comparison.new.definitions.enums.get(&*now.name);
    let fault = |subject: String, value: &str, what: String, help: String| BreakingChange {
        subject,
        what,
        path: path.clone(),
        before: before.and_then(|it| it.place_of(value)),
        after: after.and_then(|it| it.place_of(value)),
        help,
    };
    let mut found = Vec::new();
    if now.closed && !was.closed {
        let what = "became closed, and earlier payloads may have numbers that it does not define"
            .to_owned();
        found.push(fault(was.name.to_string(), "", what, KEEP_HELP.to_owned()));
    }
    let by_number = comparison.by.numbers;
    let strict = comparison.strict && now.closed;
    for (number, name) in listed(was) {
        let gone = match by_number {
            true => by_its_number(now, after, strict, name, number),
            false => by_either(now, name, number),
        };
        if let Some((what, help)) = gone {
            found.push(fault(format!("{}.{name}", was.name), name, what, help));
        }
    }
    comparison.found.extend(found);
}

fn by_its_number(
    now: &Enum,
    after: Option<&Definition>,
    strict: bool,
    name: &str,
    number: i32,
) -> Option<(String, String)> {
    let elsewhere = now.names.get(name).filter(|it| **it != number);
    let aside = after.is_some_and(|it| it.reserves(number)) && !strict;
    match elsewhere {
        _ if aside => None,
        Some(to) => Some(renumbered(number, *to)),
        None if now.knows(number) => None,
        None => Some((
            match strict {
                true => "was removed, and unknown_fields: reject refuses it".to_owned(),
                false => format!("was removed, and its number {number} is not reserved"),
            },
            match strict {
                true => "keep the value until no peer sends it any more".to_owned(),
                false => format!("write `reserved {number};` in the enum"),
            },
        )),
    }
}

fn by_either(now: &Enum, name: &str, number: i32) -> Option<(String, String)> {
    match now.names.get(name) {
        Some(to) if *to == number => None,
        Some(to) => Some(renumbered(number, *to)),
        None if now.knows(number) => Some((
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

/// Returns the number and name of each value, in ascending order.
fn listed(one: &Enum) -> Vec<(i32, &str)> {
    let names = one.names.iter();
    let mut all: Vec<_> = names.map(|(name, number)| (*number, &**name)).collect();
    all.sort_unstable();
    all
}
