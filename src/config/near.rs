//! Suggestions for names that do not exist.

use super::section::with_comment_sign;
use gateway_diagnostic::{Diagnostic, did_you_mean, one_of};

/// Adds to `fault` the expected names if they are few. Adds as help the name that is nearest to
/// `name` or, without one, the comment sign of YAML if `name` contains a comment of another
/// language.
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
