//! The rules of one field, read from its option.

use super::expression::text::{self, RuleText};
use super::kind::RuleKind;
use super::option::{Entry, OptionValue, all, entries, is_set, last, message as merged};

/// The field numbers of `buf.validate.FieldRules`. Fields that only earlier releases of
/// Protovalidate have are read, too.
mod number {
    pub(super) const CEL: u32 = 23;
    pub(super) const SKIPPED: u32 = 24;
    pub(super) const REQUIRED: u32 = 25;
    pub(super) const IGNORE_EMPTY: u32 = 26;
    pub(super) const IGNORE: u32 = 27;
    pub(super) const CEL_EXPRESSION: u32 = 29;

    /// In `RepeatedRules`, the rules of items; in `MapRules`, the rules of keys.
    pub(super) const FIRST: u32 = 4;
    /// In `MapRules`, the rules of values.
    pub(super) const SECOND: u32 = 5;
}

/// The condition under which the rules of a field are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ignore {
    /// The rules are ignored if the field has presence and is not set.
    #[default]
    Unspecified,
    /// The rules are ignored if the field is not set, or is zero.
    IfZero,
    Always,
}

/// The rules of a field, or of its elements, keys or values.
#[derive(Debug, Default)]
pub(super) struct FieldOption {
    pub required: bool,
    pub ignore: Ignore,
    /// The kind of the standard rules, and the encoded message that contains them.
    pub rules: Option<(RuleKind, Vec<u8>)>,
    /// The field's own rules in CEL.
    pub expressions: Vec<RuleText>,
    /// True if there are rules in CEL: rules of the field itself, predefined rules, or rules of its
    /// elements.
    pub has_expressions: bool,
}

/// Reads the rules of a field. Rules in CEL of the field's elements are not returned. They only
/// cause [`FieldOption::has_expressions`] to be set.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(super) fn read(message: &[u8]) -> Result<FieldOption, String> {
    let mut option = read_element(message)?;
    if let Some((RuleKind::Repeated | RuleKind::Map, rules)) = &option.rules {
        for inner in elements(rules)?.iter().flatten() {
            option.has_expressions |= read_element(inner)?.has_expressions;
        }
    }
    Ok(option)
}

/// Returns the encoded rules of a list's items, or of a map's keys and values, in this order.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(super) fn elements(rules: &[u8]) -> Result<[Option<Vec<u8>>; 2], String> {
    let entries = entries(rules).ok_or("the option is malformed")?;
    Ok([number::FIRST, number::SECOND].map(|number| merged(&entries, number)))
}

/// Reads the rules of an element, key or value.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(super) fn read_element(message: &[u8]) -> Result<FieldOption, String> {
    let entries = entries(message).ok_or("the option is malformed")?;
    let mut rules = None;
    for Entry { number, value } in &entries {
        if let Some(kind) = RuleKind::of_number(*number) {
            let bytes = value.bytes().ok_or("the option is malformed")?;
            match &mut rules {
                Some((previous, merged)) if *previous == kind => {
                    Vec::extend_from_slice(merged, bytes)
                }
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
    let (cel, bare) = (number::CEL, number::CEL_EXPRESSION);
    let expressions = text::read(all(&entries, cel), all(&entries, bare))?;
    Ok(FieldOption {
        required: is_set(&entries, number::REQUIRED),
        ignore: ignore(&entries)?,
        rules,
        has_expressions: predefined || !expressions.is_empty(),
        expressions,
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
            "IGNORE_IF_DEFAULT_VALUE is no longer a value of ignore: write IGNORE_IF_ZERO_VALUE"
                .to_owned(),
        ),
        other => Err(format!("unknown rules: {other} is not a value of ignore")),
    }
}
