//! What was probably meant by a name that doesn't exist.

use super::section::with_comment_sign;
use gateway_diagnostic::{Diagnostic, did_you_mean, one_of};

/// Adds the names that were expected, and the nearest of them as help.
pub(super) fn with_names(fault: Diagnostic, name: &str, known: &[&str]) -> Diagnostic {
    /// More than these and the list is noise.
    const SHOWN: usize = 8;
    let fault = match known.len() {
        1..=SHOWN => fault.label(format!("expected {}", one_of(known.iter().copied()))),
        _ => fault,
    };
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean {near:?}?")),
        None => with_comment_sign(fault, name),
    }
}
