//! The results of reading rules.

use crate::rules::check::{Check, Test};
use crate::rules::kind::RuleKind;

/// A description of an error in a rule, in one sentence.
pub(in crate::rules) type RuleError = String;

/// The rules of a value, and the total size of their compiled patterns in bytes.
#[derive(Default)]
pub(in crate::rules) struct ReadRules {
    pub checks: Vec<Check>,
    pub pattern_bytes: usize,
}

/// Returns a check whose id consists of the names of its kind and its rule.
pub(super) fn check(kind: RuleKind, rule: &str, message: String, test: Test) -> Check {
    Check {
        test,
        id: format!("{}.{rule}", kind.name()).into(),
        message: message.into(),
    }
}
