//! Conflict markers, which version control writes into a file if it cannot merge two versions.

use std::ops::Range;

/// The message of the diagnostic for a file with a conflict marker.
pub const CONFLICT: &str = "unresolved merge conflict";

/// The label at the marker.
pub const CONFLICT_LABEL: &str = "written by version control";

/// The remedy for the conflict.
pub const CONFLICT_HELP: &str =
    "keep one of the two versions, and remove the lines <<<<<<<, ======= and >>>>>>>";

/// Returns the byte range of the first marker of each unresolved merge conflict.
pub fn conflict_markers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut is_within = false;
    text.split_inclusive('\n').filter_map(move |line| {
        let written = line.trim_end();
        let at = start..start + written.len();
        start += line.len();
        let is_begin = written.starts_with("<<<<<<< ");
        let is_end = written.starts_with(">>>>>>> ");
        let is_middle = written == "=======" || written.starts_with("||||||| ");
        if !is_begin && !is_end && !is_middle {
            return None;
        }
        let is_first = is_begin || !is_within;
        is_within = !is_end;
        is_first.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_begins_at_the_start_of_its_line() {
        let markers = |text| conflict_markers(text).collect::<Vec<_>>();
        let one = |at: Range<usize>| Vec::from([at]);
        assert_eq!(markers("a\n<<<<<<< HEAD\nb\n"), one(2..14));
        assert_eq!(markers("a\r\n=======\r\n"), one(3..10));
        for none in ["", " <<<<<<< HEAD", "<<<<<<<", "======== b", "# ======="] {
            assert_eq!(markers(none), [], "{none}");
        }
    }

    #[test]
    fn each_conflict_is_found_once() {
        let whole = "<<<<<<< a\n||||||| b\n=======\n>>>>>>> c\n";
        let without_start = "=======\n>>>>>>> c\n";
        let text = format!("{whole}x\n{whole}{without_start}>>>>>>> d\n<<<<<<< e\n");
        let found: Vec<_> = conflict_markers(&text).map(|at| &text[at]).collect();
        let expected = [
            "<<<<<<< a",
            "<<<<<<< a",
            "=======",
            ">>>>>>> d",
            "<<<<<<< e",
        ];
        assert_eq!(found, expected);
    }
}
