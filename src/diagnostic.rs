//! What is said to people about their files: one type from parse to terminal.
//!
//! A [`Diagnostic`] says what is wrong, where (file, line, column, the line itself), what was
//! expected and what to do. [`Diagnostics`] collects all of one run, so that a person mends a file
//! in one go. This module renders; it never reads a file and never decides what is wrong.

mod json;
mod suggest;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use suggest::{did_you_mean, did_you_mean_qualified, one_of};

/// Longest part of a source line that a snippet shows, in characters: a terminal's width, so that a
/// generated one-line file doesn't flood the screen.
const SNIPPET_WIDTH: usize = 160;

/// Diagnostics that one rendering shows: more can't be read, and take time to write.
const RENDERED_MAX: usize = 1_000;

/// A file as it was read: what places point into.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as people know it: relative to where they stand when they gave it so.
    pub path: PathBuf,
    /// The text, without a byte order mark.
    pub text: String,
    /// Where each line starts, in bytes: a file may have as many faults as lines.
    lines: Vec<usize>,
}

impl SourceFile {
    /// A file's text under the name that diagnostics show.
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

    /// Line `number` (from 1) without its end; none beyond the last.
    pub fn line(&self, number: u32) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)? as usize)?;
        // What follows the last line's end is no line.
        self.text[start..].lines().next()
    }

    /// The place of `bytes`, a byte range of [`Self::text`] (clamped to it).
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

    /// The place of line `line` and column `column` (both from 1), `width` characters wide.
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
    /// The file that it lies in.
    pub file: Arc<SourceFile>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// In characters, at least 1.
    pub width: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}",
            self.file.path.display(),
            self.line,
            self.column
        )
    }
}

/// Whether a diagnostic stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word that people read.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// What is connected with a diagnostic, in words and perhaps by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// With a place it ends before it: `the first is at`.
    pub text: String,
    /// Where that is.
    pub place: Option<Place>,
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { text, place: None }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} {place}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the file from being used.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; none for what has no text, such as a missing file.
    pub place: Option<Place>,
    /// What was expected there: shown beside the caret.
    pub label: String,
    /// What is connected with it: who needs the file, where the other half of a conflict is.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Sets the place.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Sets what was expected there.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what is connected with it.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(Note::from(note.into()));
        self
    }

    /// Adds what is connected with it and stands at `place`; `text` ends before it: `the first is at`.
    pub fn note_at(mut self, text: impl Into<String>, place: Place) -> Self {
        let text = text.into();
        let place = Some(place);
        self.notes.push(Note { text, place });
        self
    }

    /// Sets what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The text for a person; with `colour`, ANSI escapes for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let tint = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        let mut out = String::new();
        let severity = paint.as_(tint, self.severity.label());
        let message = paint.as_("1", &printable(&self.message));
        let _ = writeln!(out, "{severity}: {message}");
        let mut gutter = 1;
        if let Some(place) = &self.place {
            gutter = place.line.to_string().len();
            let pad = " ".repeat(gutter);
            let arrow = paint.as_("34", "-->");
            let bar = paint.as_("34", "|");
            let _ = writeln!(out, "{pad}{arrow} {place}");
            if let Some(line) = place.file.line(place.line) {
                let snippet = Snippet::cut(line, place);
                let number = paint.as_("34", &place.line.to_string());
                let caret = paint.as_(tint, &"^".repeat(snippet.width));
                let label = match printable(&self.label) {
                    label if label.is_empty() => label,
                    label => format!(" {}", paint.as_(tint, &label)),
                };
                let _ = writeln!(out, "{pad} {bar}");
                let _ = writeln!(out, "{number} {bar} {}", snippet.text);
                let _ = writeln!(out, "{pad} {bar} {}{caret}{label}", snippet.indent);
            } else if !self.label.is_empty() {
                let _ = writeln!(out, "{pad} {bar} {}", self.label);
            }
        }
        let pad = " ".repeat(gutter);
        let equals = paint.as_("34", "=");
        let said = |word: &str, text: &str, out: &mut String| {
            // A continuation line stands under the text, not under the gutter.
            let under = format!("\n{pad}   {}", " ".repeat(word.len() + 2));
            let text = printable(text).replace('\n', &under);
            let _ = writeln!(out, "{pad} {equals} {}: {text}", paint.as_("1", word));
        };
        for note in &self.notes {
            said("note", &note.to_string(), &mut out);
        }
        if let Some(help) = &self.help {
            said("help", help, &mut out);
        }
        out
    }

    /// Orders files by name, then by place in the file; what has no place comes first.
    fn order(&self) -> (Option<(&Path, u32, u32)>, Severity, &str) {
        let place = self.place.as_ref();
        let place = place.map(|p| (p.file.path.as_path(), p.line, p.column));
        (place, self.severity, &self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Everything that one run found, errors and warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Whether anything stops the files from being used.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each one, to look at.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Each one, to add a note to.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
    }

    /// Sorts by file and place and drops exact repetitions.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.order().cmp(&b.order()));
        self.list.dedup();
    }

    /// The text of all, a blank line between two; empty for none.
    pub fn render(&self, colour: bool) -> String {
        let shown = self.list.iter().take(RENDERED_MAX);
        let mut texts: Vec<_> = shown.map(|d| d.render(colour)).collect();
        if let more @ 1.. = self.list.len().saturating_sub(RENDERED_MAX) {
            texts.push(format!("and {more} more\n"));
        }
        texts.join("\n")
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A path as diagnostics show it: below the working directory, relative to it.
pub fn shown(path: &Path) -> PathBuf {
    let relative = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.unwrap_or_else(|| path.to_path_buf())
}

/// The visible part of a source line, and where the caret goes under it.
struct Snippet {
    text: String,
    indent: String,
    width: usize,
}

impl Snippet {
    fn cut(line: &str, place: &Place) -> Self {
        let clean = |c: char| if c == '\t' { ' ' } else { clean(c) };
        let start = place.column as usize - 1;
        // A line that fits up to the caret's end is shown from its start.
        let skipped = match start + place.width as usize <= SNIPPET_WIDTH {
            true => 0,
            false => start.saturating_sub(SNIPPET_WIDTH / 2),
        };
        let text: String = line
            .chars()
            .skip(skipped)
            .take(SNIPPET_WIDTH)
            .map(clean)
            .collect();
        let room = text.chars().count().saturating_sub(start - skipped);
        Self {
            text: text.trim_end().to_owned(),
            indent: " ".repeat(start - skipped),
            width: (place.width as usize).clamp(1, room.max(1)),
        }
    }
}

/// Control characters of a foreign file never reach the terminal.
fn clean(c: char) -> char {
    if c.is_control() && c != '\n' {
        '\u{fffd}'
    } else {
        c
    }
}

fn printable(text: &str) -> String {
    text.chars().map(clean).collect()
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn as_(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_place_line_caret_note_and_help() {
        let file = SourceFile::new("routes.yaml", "routes:\n  A: { pol: people }\n");
        let diagnostic = Diagnostic::error("unknown key \"pol\"")
            .at(file.place_of_bytes(15..18))
            .label("not a key of a route")
            .note("first\nsecond")
            .help("did you mean \"pool\"?");
        assert_eq!(
            diagnostic.render(false),
            "error: unknown key \"pol\"
 --> routes.yaml:2:8
  |
2 |   A: { pol: people }
  |        ^^^ not a key of a route
  = note: first
          second
  = help: did you mean \"pool\"?
"
        );
        assert!(diagnostic.render(true).contains("\x1b[1;31merror\x1b[0m"));
    }

    #[test]
    fn a_place_beyond_the_text_is_shown_without_a_line() {
        let file = SourceFile::new("a.proto", "x");
        let rendered = Diagnostic::error("ends too early")
            .at(file.place(9, 1, 1))
            .render(false);
        assert_eq!(rendered, "error: ends too early\n --> a.proto:9:1\n");
    }

    #[test]
    fn sorted_by_place_and_without_repetitions() {
        let file = SourceFile::new("a", "one\ntwo\n");
        let mut all = Diagnostics::new();
        all.push(Diagnostic::error("later").at(file.place(2, 1, 3)));
        all.push(Diagnostic::warning("earlier").at(file.place(1, 1, 3)));
        all.push(Diagnostic::error("later").at(file.place(2, 1, 3)));
        all.push(Diagnostic::error("nowhere"));
        all.sort();
        let messages: Vec<_> = all.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["nowhere", "earlier", "later"]);
        assert_eq!((all.errors(), all.warnings()), (2, 1));
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let file = SourceFile::new("a", "x".repeat(10_000));
        let rendered = Diagnostic::error("m")
            .at(file.place(1, 5_000, 3))
            .render(false);
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines[3].len(), "1 | ".len() + SNIPPET_WIDTH);
        assert_eq!(
            lines[4].trim_end().len(),
            "  | ".len() + SNIPPET_WIDTH / 2 + 3
        );
    }
}
