//! Markers that version control leaves in a file whose versions could not be merged.

use std::ops::Range;

/// What is wrong with a file that holds such a marker.
pub const CONFLICT: &str = "unresolved merge conflict";

/// What the marker is.
pub const CONFLICT_LABEL: &str = "written by version control";

/// What to do about the conflict.
pub const CONFLICT_HELP: &str =
    "keep one of the two versions, and remove the lines <<<<<<<, ======= and >>>>>>>";

/// Returns the bytes of the first line that is a marker of an unresolved merge conflict.
pub fn conflict_marker(text: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let written = line.trim_end();
        let is_marker = written == "======="
            || ["<<<<<<< ", "||||||| ", ">>>>>>> "]
                .iter()
                .any(|marker| written.starts_with(marker));
        if is_marker {
            return Some(start..start + written.len());
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_fills_the_start_of_its_line() {
        let text = "a\n<<<<<<< HEAD\nb\n";
        assert_eq!(conflict_marker(text), Some(2..14));
        assert_eq!(conflict_marker("a\r\n=======\r\n"), Some(3..10));
        for none in ["", " <<<<<<< HEAD", "<<<<<<<", "======== b", "# ======="] {
            assert_eq!(conflict_marker(none), None, "{none}");
        }
    }
}
