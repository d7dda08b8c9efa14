//! Reads the standard rules of one value from options into [`Check`]s.
//!
//! The field numbers are defined in `buf/validate/validate.proto`.

mod bytes;
mod numbers;
mod rule;
mod strings;
mod times;

use super::check::number::NumberTest;
use super::check::{Check, MaskTest, Test};
use super::kind::RuleKind;
use super::option::{Entry, OptionValue, all, entries, last};
use super::text::list;
use crate::table::wire;
use rule::{ReadRules, RuleError, check};

/// The first field number of extensions of the rule messages. Such an extension is a predefined
/// rule.
pub(super) const EXTENSIONS: u32 = 1000;

/// Reads the rules of `kind` from `message`, an encoded message of rules such as `StringRules`. For
/// an enum, `defined` contains the numbers of its values.
///
/// # Errors
///
/// Returns a description of the first bad rule, in one sentence.
pub(super) fn rules(
    kind: RuleKind,
    message: &[u8],
    defined: Option<&[i32]>,
) -> Result<ReadRules, RuleError> {
    let entries = entries(message).ok_or("the option is malformed")?;
    let entries: Vec<_> = (entries.into_iter())
        .filter(|entry| entry.number < EXTENSIONS)
        .collect();
    if let Some(unknown) = entries.iter().find(|entry| !is_known(kind, entry.number)) {
        let name = kind.name();
        return Err(format!(
            "unknown rules: {name} has no rule of number {}",
            unknown.number
        ));
    }
    let checks = match kind {
        RuleKind::Bool => bools(&entries),
        RuleKind::String => return strings::rules(&entries),
        RuleKind::Bytes => return bytes::rules(&entries),
        RuleKind::Enum => enums(&entries, defined),
        RuleKind::Repeated => counts(&entries, &LIST),
        RuleKind::Map => counts(&entries, &MAP),
        RuleKind::Any => urls(&entries),
        RuleKind::Duration => times::durations(&entries),
        RuleKind::Timestamp => times::timestamps(&entries),
        RuleKind::FieldMask => masks(&entries),
        kind => numbers::rules(kind, &entries),
    };
    Ok(ReadRules {
        checks: checks
            .ok_or_else(|| format!("the {} rules have a malformed value", kind.name()))?,
        pattern_bytes: 0,
    })
}

fn is_known(kind: RuleKind, number: u32) -> bool {
    match kind {
        RuleKind::Float | RuleKind::Double | RuleKind::Duration => (1..=9).contains(&number),
        RuleKind::Int64 => (1..=9).contains(&number) && number != 8,
        RuleKind::Bool => (1..=2).contains(&number),
        RuleKind::String => (1..=38).contains(&number) && number != 36,
        RuleKind::Bytes => (1..=15).contains(&number),
        RuleKind::Enum | RuleKind::Map => (1..=5).contains(&number),
        RuleKind::Repeated | RuleKind::FieldMask => (1..=4).contains(&number),
        RuleKind::Any => (2..=3).contains(&number),
        RuleKind::Timestamp => (2..=10).contains(&number),
        _ => (1..=8).contains(&number),
    }
}

fn bools(entries: &[Entry]) -> Option<Vec<Check>> {
    let wanted = last(entries, 1).map(OptionValue::bool);
    let checks = wanted.map(|wanted| {
        let message = format!("must equal {wanted}");
        check(RuleKind::Bool, "const", message, Test::Bool(wanted))
    });
    Some(checks.into_iter().collect())
}

fn enums(entries: &[Entry], defined: Option<&[i32]>) -> Option<Vec<Check>> {
    let kind = RuleKind::Enum;
    let number = |value: OptionValue| Some(value.unsigned()? as i32);
    let mut checks = Vec::new();
    if let Some(value) = last(entries, 1) {
        let value = number(value)?;
        let test = Test::Signed(NumberTest::Equal(value.into()));
        checks.push(check(kind, "const", format!("must equal {value}"), test));
    }
    if last(entries, 2).is_some_and(OptionValue::bool) {
        let known = defined
            .unwrap_or_default()
            .iter()
            .map(|&number| number.into());
        let test = Test::Signed(NumberTest::In(known.collect()));
        let message = "value must be one of the defined enum values".to_owned();
        checks.push(check(kind, "defined_only", message, test));
    }
    let listed = |rule: u32| {
        numbers::listed(entries, rule, wire::VARINT, |value| {
            Some(i64::from(number(value)?))
        })
    };
    checks.extend(numbers::membership(
        kind,
        listed(3)?,
        listed(4)?,
        Test::Signed,
    ));
    Some(checks)
}

/// The texts of the two rules on the number of elements. `least` and `most` each hold the name of a
/// rule and the beginning of its message.
struct Counts {
    kind: RuleKind,
    least: (&'static str, &'static str),
    most: (&'static str, &'static str),
    unit: &'static str,
}

const LIST: Counts = Counts {
    kind: RuleKind::Repeated,
    least: ("min_items", "must contain at least"),
    most: ("max_items", "must contain no more than"),
    unit: "item(s)",
};

const MAP: Counts = Counts {
    kind: RuleKind::Map,
    least: ("min_pairs", "map must be at least"),
    most: ("max_pairs", "map must be at most"),
    unit: "entries",
};

fn counts(entries: &[Entry], texts: &Counts) -> Option<Vec<Check>> {
    use super::check::number::End;
    let mut checks = Vec::new();
    for (number, (rule, words)) in [(1, texts.least), (2, texts.most)] {
        let Some(value) = last(entries, number) else {
            continue;
        };
        let bound = value.unsigned()?;
        let range = match number {
            1 => NumberTest::Inside(End::Inclusive(bound), End::Open),
            _ => NumberTest::Inside(End::Open, End::Inclusive(bound)),
        };
        let message = format!("{words} {bound} {}", texts.unit);
        checks.push(check(texts.kind, rule, message, Test::Unsigned(range)));
    }
    Some(checks)
}

fn urls(entries: &[Entry]) -> Option<Vec<Check>> {
    use super::check::text::TextTest;
    let urls = |number| all(entries, number).map(|value| Some(Box::from(value.text()?)));
    let (in_list, not_in_list): (Option<_>, Option<_>) = (urls(2).collect(), urls(3).collect());
    let (in_list, not_in_list): (std::collections::HashSet<_>, std::collections::HashSet<_>) =
        (in_list?, not_in_list?);
    let mut checks = Vec::new();
    if !in_list.is_empty() {
        let message = "type URL must be in the allow list".to_owned();
        let test = Test::Text(TextTest::In(in_list));
        checks.push(check(RuleKind::Any, "in", message, test));
    }
    if !not_in_list.is_empty() {
        let message = "type URL must not be in the block list".to_owned();
        let test = Test::Text(TextTest::NotIn(not_in_list));
        checks.push(check(RuleKind::Any, "not_in", message, test));
    }
    Some(checks)
}

fn masks(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::FieldMask;
    let texts = |entries: &[Entry], number| -> Option<Box<[Box<str>]>> {
        let values = all(entries, number);
        values.map(|value| Some(Box::from(value.text()?))).collect()
    };
    let mut checks = Vec::new();
    if let Some(mask) = super::option::message(entries, 1) {
        let paths = texts(&super::option::entries(&mask)?, 1)?;
        let message = format!("must equal paths {}", list(&paths));
        let test = Test::Mask(MaskTest::Equal(paths));
        checks.push(check(kind, "const", message, test));
    }
    let (in_list, not_in_list) = (texts(entries, 2)?, texts(entries, 3)?);
    if !in_list.is_empty() {
        let message = format!("must only contain paths in {}", list(&in_list));
        checks.push(check(
            kind,
            "in",
            message,
            Test::Mask(MaskTest::In(in_list)),
        ));
    }
    if !not_in_list.is_empty() {
        let message = format!("must not contain any paths in {}", list(&not_in_list));
        let test = Test::Mask(MaskTest::NotIn(not_in_list));
        checks.push(check(kind, "not_in", message, test));
    }
    Some(checks)
}
