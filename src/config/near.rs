//! Suggestions for names that do not exist.

use super::section::with_comment_sign;
use gateway_diagnostic::{Diagnostic, did_you_mean, one_of};

/// Adds the expected names to `fault`, unless there are too many. Adds as help a name that is
/// similar to `name`. If no name is similar and `name` contains a comment of another language, the
/// help is the comment sign of YAML.
pub(super) fn with_names(fault: Diagnostic, name: &str, known: &[&str]) -> Diagnostic {
    /// The maximum number of names in the list. A longer list would not help.
    const NAMES_SHOWN_MAX: usize = 8;
    let fault = match known.len() {
        1..=NAMES_SHOWN_MAX => fault.label(format!("expected {}", one_of(known.iter().copied()))),
        _ => fault,
    };
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean {near:?}?")),
        None => with_comment_sign(fault, name),
    }
}
