//! The texts of rules in CEL, read from options.

use crate::rules::option::{OptionValue, all, entries, last};

/// The text of a rule.
#[derive(Clone, Debug)]
pub(in crate::rules) struct RuleText {
    /// The id, such as `dates.order`. If the rule is only an expression, the id is the expression.
    pub id: String,
    /// The sentence that a violation of the rule shows, or empty if the rule has no such sentence.
    pub message: String,
    pub expression: String,
}

/// Returns the rules in `bare`, followed by the rules in `rules`. `bare` holds expressions without
/// an id and a message, and `rules` holds encoded messages `buf.validate.Rule`.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(in crate::rules) fn read<'o>(
    rules: impl Iterator<Item = OptionValue<'o>>,
    bare: impl Iterator<Item = OptionValue<'o>>,
) -> Result<Vec<RuleText>, String> {
    let mut texts = Vec::new();
    for expression in bare {
        let expression = expression.text().ok_or("the option is malformed")?;
        texts.push(RuleText {
            id: expression.to_owned(),
            message: String::new(),
            expression: expression.to_owned(),
        });
    }
    for rule in rules {
        let entries = rule
            .bytes()
            .and_then(entries)
            .ok_or("the option is malformed")?;
        let text = |number| {
            let value = last(&entries, number).and_then(OptionValue::text);
            value.unwrap_or_default().to_owned()
        };
        texts.push(RuleText {
            id: text(1),
            message: text(2),
            expression: text(3),
        });
    }
    Ok(texts)
}

/// Returns the rules in a `buf.validate.predefined` option.
///
/// # Errors
///
/// Returns a description of the problem, in one sentence.
pub(in crate::rules) fn predefined(option: &[u8]) -> Result<Vec<RuleText>, String> {
    let entries = entries(option).ok_or("the option is malformed")?;
    read(all(&entries, 1), std::iter::empty())
}
