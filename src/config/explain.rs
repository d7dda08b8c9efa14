//! The rules of a message, for people to read.

use gateway_diagnostic::Diagnostics;
use gateway_schema::ExplainedRule;

/// The rules of a message and of the messages in its fields.
#[derive(Debug)]
pub struct Explanation {
    /// The rules of the requested message, followed by the rules of the messages in its fields. The
    /// messages are sorted by name, and the rules of a message are in the order of its fields.
    pub rules: Vec<ExplainedRule>,
    /// The maximum number of steps of all CEL rules of one payload: `limits.rules_cost`.
    pub rules_cost: u64,
    /// Warnings about settings that are valid but probably not intended.
    pub warnings: Diagnostics,
}
