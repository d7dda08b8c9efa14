//! The rules of one field, as its option has them.

use super::kind::RuleKind;
use super::option::{Entry, OptionValue, entries, is_set, last, message as merged};

/// The fields of `buf.validate.FieldRules`. Those of earlier releases are read too.
mod number {
    pub const CEL: u32 = 23;
    pub const SKIPPED: u32 = 24;
    pub const REQUIRED: u32 = 25;
    pub const IGNORE_EMPTY: u32 = 26;
    pub const IGNORE: u32 = 27;
    pub const CEL_EXPRESSION: u32 = 29;

    /// In `RepeatedRules` and `MapRules`: the rules of items, or of keys.
    pub const FIRST: u32 = 4;
    /// In `MapRules`: the rules of values.
    pub const SECOND: u32 = 5;
}

/// When a field's rules do not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ignore {
    /// Where it has presence and is not set.
    #[default]
    Unspecified,
    /// Where it is not set, or zero.
    IfZero,
    Always,
}

/// The rules of a field, or of its elements, keys or values.
#[derive(Debug, Default)]
pub(super) struct FieldOption {
    pub required: bool,
    pub ignore: Ignore,
    /// The standard rules: their kind, and their message.
    pub rules: Option<(RuleKind, Vec<u8>)>,
    /// Whether there are rules in CEL: the field's own, or predefined ones.
    pub expressions: bool,
}

/// Reads the rules of a field, and looks for rules in CEL of its elements.
///
/// # Errors
///
/// Returns what is wrong with them, in one sentence.
pub(super) fn read(message: &[u8]) -> Result<FieldOption, String> {
    let mut option = read_element(message)?;
    if let Some((RuleKind::Repeated | RuleKind::Map, rules)) = &option.rules {
        for inner in elements(rules)?.iter().flatten() {
            option.expressions |= read_element(inner)?.expressions;
        }
    }
    Ok(option)
}

/// Returns the rules of a list's items, or of a map's keys and values.
///
/// # Errors
///
/// Returns what is wrong with them, in one sentence.
pub(super) fn elements(rules: &[u8]) -> Result<[Option<Vec<u8>>; 2], String> {
    let entries = entries(rules).ok_or("the option is malformed")?;
    Ok([number::FIRST, number::SECOND].map(|number| merged(&entries, number)))
}

/// Reads the rules of an element, key or value.
///
/// # Errors
///
/// Returns what is wrong with them, in one sentence.
pub(super) fn read_element(message: &[u8]) -> Result<FieldOption, String> {
    let entries = entries(message).ok_or("the option is malformed")?;
    let mut rules = None;
    for Entry { number, value } in &entries {
        if let Some(kind) = RuleKind::of_number(*number) {
            let bytes = value.bytes().ok_or("the option is malformed")?;
            match &mut rules {
                Some((of, merged)) if *of == kind => Vec::extend_from_slice(merged, bytes),
                _ => rules = Some((kind, bytes.to_vec())),
            }
        } else if !(number::CEL..=number::IGNORE).contains(number)
            && *number != number::CEL_EXPRESSION
        {
            return Err(format!(
                "unknown rules: FieldRules has no field of number {number}"
            ));
        }
    }
    let predefined = match &rules {
        Some((_, message)) => has_extension(message).ok_or("the option is malformed")?,
        None => false,
    };
    let written = |number| last(&entries, number).is_some();
    Ok(FieldOption {
        required: is_set(&entries, number::REQUIRED),
        ignore: ignore(&entries)?,
        rules,
        expressions: predefined || written(number::CEL) || written(number::CEL_EXPRESSION),
    })
}

fn has_extension(message: &[u8]) -> Option<bool> {
    let extension = |entry: &Entry| entry.number >= super::read::EXTENSIONS;
    Some(entries(message)?.iter().any(extension))
}

fn ignore(entries: &[Entry]) -> Result<Ignore, String> {
    if is_set(entries, number::SKIPPED) {
        return Ok(Ignore::Always);
    }
    let ignore = last(entries, number::IGNORE).and_then(OptionValue::unsigned);
    match ignore.unwrap_or_default() {
        0 if is_set(entries, number::IGNORE_EMPTY) => Ok(Ignore::IfZero),
        0 => Ok(Ignore::Unspecified),
        1 => Ok(Ignore::IfZero),
        3 => Ok(Ignore::Always),
        2 => Err(
            "IGNORE_IF_DEFAULT_VALUE is no longer a rule: write IGNORE_IF_ZERO_VALUE".to_owned(),
        ),
        other => Err(format!(
            "unknown rules: there is no ignore of number {other}"
        )),
    }
}
