//! Texts of files, and places in them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The path and the text of a file, to which places refer.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path that diagnostics show, such as a path relative to the working directory.
    pub path: PathBuf,
    /// The text, without a byte order mark.
    pub text: String,
    /// The byte offset at which each line starts, so that places are found quickly. A file may have
    /// as many errors as lines.
    lines: Vec<usize>,
}

impl SourceFile {
    /// Returns a file with this text. `path` is the path that diagnostics show.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Arc::new(Self {
            path: path.into(),
            text,
            lines,
        })
    }

    /// Returns line `number`, counted from 1, without the line end; `None` beyond the last line.
    pub fn line(&self, number: u32) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)? as usize)?;
        // An empty rest after the last line end is not a line.
        self.text[start..].lines().next()
    }

    /// Returns the place of a byte range of [`Self::text`]. The range is clipped to the text and to
    /// the line on which it starts.
    pub fn place_of_bytes(self: &Arc<Self>, bytes: std::ops::Range<usize>) -> Place {
        let start = floor_char_boundary(&self.text, bytes.start);
        let line = self.lines.partition_point(|&at| at <= start);
        let line_start = self.lines[line - 1];
        let end = floor_char_boundary(&self.text, bytes.end.max(start));
        let width = self.text[start..end]
            .chars()
            .take_while(|&c| c != '\n')
            .count();
        Place {
            file: Arc::clone(self),
            line: to_u32(line),
            column: to_u32(self.text[line_start..start].chars().count() + 1),
            width: to_u32(width.max(1)),
        }
    }

    /// Returns the place at `line` and `column`, both counted from 1, that is `width` characters
    /// wide.
    pub fn place(self: &Arc<Self>, line: u32, column: u32, width: u32) -> Place {
        Place {
            file: Arc::clone(self),
            line: line.max(1),
            column: column.max(1),
            width: width.max(1),
        }
    }
}

/// A run of characters on one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// The line, counted from 1.
    pub line: u32,
    /// The column of the first character, counted from 1, in characters.
    pub column: u32,
    /// The number of characters, at least 1.
    pub width: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            escaped(&self.file.path),
            self.line,
            self.column
        )
    }
}

/// Returns `path` as diagnostics show it: relative to the working directory if it lies below that
/// directory.
pub fn shown(path: &Path) -> PathBuf {
    let relative = std::env::current_dir()
        .ok()
        .and_then(|directory| path.strip_prefix(directory).ok().map(Path::to_path_buf));
    relative.unwrap_or_else(|| path.to_path_buf())
}

/// Returns a path as text on one line. A control character in the name of a file, such as a line
/// feed or ESC, is written as an escape sequence. A name can therefore neither forge lines nor
/// control the terminal.
pub fn escaped(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unseen(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Returns whether a terminal interprets a character instead of showing it. Such characters are
/// control characters, line and paragraph separators, and the marks, embeddings, overrides and
/// isolates that change the direction of text. A change of direction can make a line look different
/// from its content.
pub(crate) fn is_unseen(c: char) -> bool {
    let is_separator = matches!(c, '\u{2028}' | '\u{2029}');
    let is_direction = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_separator || is_direction
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
