//! Places of descriptors in their text, as a compiler recorded them in SourceCodeInfo.
//!
//! Places are looked up, never guessed. An element without a recorded place gets the place of the
//! element that contains it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::budget::Budget;
use crate::compiler::Compiler;
use crate::locations::Locations;
use gateway_diagnostic::{Place, SourceFile};

/// The distance of protoc's tab stops, in columns: a tab advances to the next multiple.
const PROTOC_TAB: usize = 8;

/// The places in one file.
pub(super) struct Places<'a> {
    source: &'a Arc<SourceFile>,
    compiler: Compiler,
    /// The byte offset at which each line starts.
    lines: Vec<usize>,
    spans: HashMap<Vec<i32>, Vec<i32>>,
}

impl<'a> Places<'a> {
    /// Creates the places from `locations`, which `compiler` recorded for `source`. The places are
    /// incomplete if `budget` is spent.
    pub(super) fn of(
        locations: &Locations,
        source: &'a Arc<SourceFile>,
        compiler: Compiler,
        budget: &Budget,
    ) -> Self {
        let starts = source.text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            source,
            compiler,
            lines: std::iter::once(0).chain(starts).collect(),
            spans: (locations.decoded().into_iter())
                .take_while(|_| budget.step().is_ok())
                .map(|location| (location.path, location.span))
                .collect(),
        }
    }

    /// Returns the place of the descriptor at `path`, or of the nearest descriptor around it that
    /// has a place.
    pub(super) fn at(&self, path: &[i32]) -> Place {
        let nearest = (1..=path.len())
            .rev()
            .find_map(|len| self.spans.get(&path[..len]));
        let (start, end) = match nearest.map(Vec::as_slice) {
            Some(&[line, start, end]) => (self.byte(line, start), self.byte(line, end)),
            Some(&[line, start, last, end]) => (self.byte(line, start), self.byte(last, end)),
            _ => (0, 0),
        };
        self.source.place_of_bytes(start..end)
    }

    /// Returns the place that comes first in the text among the places of the descriptor at `path`
    /// and of the elements in it. Returns `None` if they have no places.
    pub(super) fn within(&self, path: &[i32]) -> Option<Place> {
        let inside = self.spans.iter().filter(|(at, _)| at.starts_with(path));
        let (at, _) = inside.min_by_key(|(at, span)| (*span, *at))?;
        Some(self.at(at))
    }

    /// Returns the place of the word at a line and a column, both counted from 0, with protoc's tab
    /// stops.
    pub(super) fn point(source: &Arc<SourceFile>, line: usize, column: usize) -> Place {
        let starts = source.text.match_indices('\n').map(|(at, _)| at + 1);
        let start = std::iter::once(0)
            .chain(starts)
            .nth(line)
            .unwrap_or(source.text.len());
        let at = start + untabbed(&source.text[start..], column);
        let rest = &source.text.as_bytes()[at.min(source.text.len())..];
        let word = rest
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
            .count();
        source.place_of_bytes(at..at + word)
    }

    fn byte(&self, line: i32, column: i32) -> usize {
        let (Ok(line), Ok(column)) = (usize::try_from(line), usize::try_from(column)) else {
            return 0;
        };
        let Some(&start) = self.lines.get(line) else {
            return self.source.text.len();
        };
        match self.compiler {
            Compiler::Builtin => start + column,
            Compiler::Protoc => start + untabbed(&self.source.text[start..], column),
        }
    }
}

/// Returns the number of bytes of `line` that protoc counts as `column` columns.
fn untabbed(line: &str, column: usize) -> usize {
    let mut reached = 0;
    let mut bytes = 0;
    for b in line.bytes().take_while(|&b| b != b'\n') {
        if reached >= column {
            break;
        }
        reached = if b == b'\t' {
            (reached / PROTOC_TAB + 1) * PROTOC_TAB
        } else {
            reached + 1
        };
        bytes += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tab_stops_of_protoc_are_eight_columns_apart() {
        let source = SourceFile::new("a.proto", "x\n\tBar b\n  \t y");
        let place = |line, column| {
            let p = Places::point(&source, line, column);
            (p.line, p.column, p.width)
        };
        assert_eq!(place(1, 8), (2, 2, 3));
        assert_eq!(place(2, 9), (3, 5, 1));
        assert_eq!(place(9, 9), (3, 6, 1));
    }
}
