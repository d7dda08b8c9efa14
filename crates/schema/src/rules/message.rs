//! The rules of a message as a whole, read from its option.

use std::collections::HashSet;

use gateway_diagnostic::did_you_mean;

use super::expression::text::{self, RuleText};
use super::option::{OptionValue, all, entries, is_set};
use crate::table::Message;

/// The field numbers of `buf.validate.MessageRules`. Only earlier releases of Protovalidate have
/// the field `disabled`.
mod number {
    pub(super) const DISABLED: u32 = 1;
    pub(super) const CEL: u32 = 3;
    pub(super) const ONEOF: u32 = 4;
    pub(super) const CEL_EXPRESSION: u32 = 5;
}

/// The rules of a message.
#[derive(Debug, Default)]
pub(super) struct MessageOption {
    /// True if the rules of the message and of its fields are switched off.
    pub disabled: bool,
    /// The oneof rules.
    pub choices: Vec<Choice>,
    /// The rules in CEL.
    pub expressions: Vec<RuleText>,
}

/// A oneof rule: at most one of some fields may be set.
#[derive(Debug)]
pub(super) struct Choice {
    /// The indices of the fields in the table.
    pub fields: Vec<u32>,
    /// True if one of the fields must be set.
    pub required: bool,
}

/// Reads the rules of a message.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(super) fn read(option: &[u8], message: &Message) -> Result<MessageOption, String> {
    let entries = entries(option).ok_or("the option is malformed")?;
    let known = [
        number::DISABLED,
        number::CEL,
        number::ONEOF,
        number::CEL_EXPRESSION,
    ];
    if let Some(unknown) = entries.iter().find(|entry| !known.contains(&entry.number)) {
        let number = unknown.number;
        return Err(format!(
            "unknown rules: MessageRules has no field of number {number}"
        ));
    }
    let choices = all(&entries, number::ONEOF).map(|value| choice(value, message));
    Ok(MessageOption {
        disabled: is_set(&entries, number::DISABLED),
        choices: choices.collect::<Result<_, _>>()?,
        expressions: expressions(option)?,
    })
}

/// Reads only the CEL rules of a message.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(super) fn expressions(option: &[u8]) -> Result<Vec<RuleText>, String> {
    let entries = entries(option).ok_or("the option is malformed")?;
    let (cel, bare) = (number::CEL, number::CEL_EXPRESSION);
    text::read(all(&entries, cel), all(&entries, bare))
}

fn choice(value: OptionValue, message: &Message) -> Result<Choice, String> {
    let entries = value
        .bytes()
        .and_then(entries)
        .ok_or("the option is malformed")?;
    let mut fields = Vec::new();
    let mut seen = HashSet::new();
    for name in all(&entries, 1).filter_map(OptionValue::text) {
        let found = message.fields.iter().position(|field| &*field.name == name);
        let Some(index) = found else {
            let near = did_you_mean(name, message.field_names());
            let hint = near.map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"));
            return Err(format!("field {name} not found{hint}"));
        };
        if !seen.insert(index) {
            return Err(format!("field {name} occurs twice in one oneof rule"));
        }
        fields.push(index as u32);
    }
    if fields.is_empty() {
        return Err("a oneof rule must name a field".to_owned());
    }
    Ok(Choice {
        fields,
        required: is_set(&entries, 2),
    })
}
