//! `gateway check --explain MESSAGE`: the rules of a message, with the cost of each.

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::arguments::CheckFormat;
use super::check::{failed, read, report};
use super::output;
use crate::config::Explanation;
use gateway_schema::{ExplainedRule, RuleCost};

/// The maximum length of a cell of the table, in characters. A longer text is cut.
const CELL_MAX: usize = 72;

/// An upper bound of the number of elements in a payload. If the steps for this many elements are
/// within the limit, no number of elements is shown.
const ELEMENTS_MAX: u64 = 1 << 24;

/// Prints the rules of `message` in the configuration at `path`.
pub(super) fn explain(path: &Path, message: &str, format: CheckFormat) -> ExitCode {
    let (_, inputs) = read(path);
    let explanation = match inputs.and_then(|inputs| inputs.explain(message)) {
        Ok(explanation) => explanation,
        Err(found) => return failed(&found, format),
    };
    let text = match format {
        CheckFormat::Json => {
            let rules: Vec<_> = explanation.rules.iter().map(object).collect();
            format!("{}\n", Value::from(rules))
        }
        CheckFormat::Human => {
            report(&explanation.warnings);
            table(message, &explanation)
        }
    };
    output::print(&text, ExitCode::SUCCESS)
}

/// Returns a rule as a JSON object.
fn object(rule: &ExplainedRule) -> Value {
    let cost = match &rule.cost {
        RuleCost::Constant => json!("constant"),
        RuleCost::Length => json!("length"),
        RuleCost::Elements => json!("elements"),
        RuleCost::Steps(coefficients) => json!({ "steps": coefficients }),
    };
    json!({
        "message": rule.message,
        "field": rule.path,
        "rule": rule.id,
        "expects": rule.sentence,
        "expression": rule.expression,
        "cost": cost,
    })
}

/// Formats the rules, with a table for each message.
fn table(message: &str, explanation: &Explanation) -> String {
    let Explanation {
        rules, rules_cost, ..
    } = explanation;
    if rules.is_empty() {
        return format!("{message} has no rules\n");
    }
    let mut text = String::new();
    for group in rules.chunk_by(|one, other| one.message == other.message) {
        if let Some(first) = group.first() {
            text += &format!("{}\n", first.message);
        }
        let rows = group.iter().map(|rule| {
            let path = if rule.path.is_empty() {
                "(message)"
            } else {
                &rule.path
            };
            [
                cell(path),
                cell(&rule.id),
                cost(&rule.cost, *rules_cost),
                cell(&rule.sentence),
            ]
        });
        text += &aligned(&rows.collect::<Vec<_>>());
        text.push('\n');
    }
    let steps = rules.iter().filter_map(|rule| match &rule.cost {
        RuleCost::Steps(coefficients) => Some(coefficients),
        _ => None,
    });
    let lengths: Vec<_> = steps.map(Vec::len).collect();
    if !lengths.is_empty() {
        text += &format!(
            "The steps of all CEL rules of one payload are limited together: limits.rules_cost is {rules_cost}.\n"
        );
    }
    if lengths.iter().any(|length| *length > 1) {
        text += "n is the number of elements of the lists and maps that the rule visits.\n";
    }
    text
}

/// Formats rows as indented lines with aligned columns.
fn aligned(rows: &[[String; 4]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let (first, second, third) = (width(0), width(1), width(2));
    let lines = rows.iter().map(|[path, id, cost, sentence]| {
        let line = format!("  {path:first$}  {id:second$}  {cost:third$}  {sentence}");
        format!("{}\n", line.trim_end())
    });
    lines.collect()
}

/// Returns the first [`CELL_MAX`] characters of a text, and `…` if more follow, with control
/// characters escaped.
fn cell(text: &str) -> String {
    let mut shown: String = text.chars().take(CELL_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let escape = |character: char| match character {
        character if character.is_control() => character.escape_default().to_string(),
        character => character.to_string(),
    };
    shown.chars().map(escape).collect()
}

/// Formats a cost. If the steps exceed `limit` even without elements, a note says so. If the cost
/// grows faster than linearly, a note gives the least number of elements for which the steps exceed
/// `limit`.
fn cost(cost: &RuleCost, limit: u64) -> String {
    let coefficients = match cost {
        RuleCost::Constant => return "constant".to_owned(),
        RuleCost::Length => return "by length".to_owned(),
        RuleCost::Elements => return "by elements".to_owned(),
        RuleCost::Steps(coefficients) => coefficients,
    };
    let mut terms = Vec::new();
    for (power, coefficient) in (0u32..).zip(coefficients) {
        match power {
            _ if *coefficient == 0 => {}
            0 => terms.push(coefficient.to_string()),
            1 => terms.push(format!("{coefficient}n")),
            _ => terms.push(format!("{coefficient}n^{power}")),
        }
    }
    let steps = format!("{} steps", terms.join(" + "));
    match exceeding(coefficients, limit) {
        Some(0) => format!("{steps} (exceeds the limit)"),
        Some(elements) if coefficients.len() > 2 => {
            format!("{steps} (exceeds the limit if n is at least {elements})")
        }
        _ => steps,
    }
}

/// Returns the least number of elements for which the steps exceed `limit`, or `None` if that
/// number is greater than [`ELEMENTS_MAX`].
fn exceeding(coefficients: &[u64], limit: u64) -> Option<u64> {
    let steps = |elements: u64| {
        let mut powers = coefficients.iter().rev();
        powers.try_fold(0u64, |sum, coefficient| {
            sum.checked_mul(elements)?.checked_add(*coefficient)
        })
    };
    let exceeds = |elements| steps(elements).is_none_or(|steps| steps > limit);
    if !exceeds(ELEMENTS_MAX) {
        return None;
    }
    let (mut below, mut above) = (0, ELEMENTS_MAX);
    while below < above {
        let middle = (below + above) / 2;
        if exceeds(middle) {
            above = middle;
        } else {
            below = middle + 1;
        }
    }
    Some(above)
}
