//! Quotes texts of a file for diagnostics.

use std::path::Path;

/// The maximum number of characters of a quoted text. The excerpt at the diagnostic's place shows
/// the whole text.
const CHARACTERS_MAX: usize = 60;

/// Returns a text in quotation marks, shortened to [`CHARACTERS_MAX`] characters and an ellipsis.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
        None => format!("{text:?}"),
    }
}

/// Returns a path in quotation marks, shortened like a text by [`quoted`].
pub(super) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
