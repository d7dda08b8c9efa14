//! Suggestions for misspelt names.

use gateway_diagnostic::did_you_mean;

use crate::error::CompileError;

/// Returns the name among `known` that is nearest to `found`, if any is near.
pub(crate) fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    did_you_mean(found, known).map(str::to_owned)
}

/// Adds "did you mean …?" to `error` as help, if there is a near name.
pub(crate) fn with(error: CompileError, near: Option<String>) -> CompileError {
    match near {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error,
    }
}
