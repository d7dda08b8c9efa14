//! Rendering of a diagnostic for people: its text, with the source line.

use std::fmt::Write as _;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Place, is_unseen};

/// The maximum length of the part of a source line that a snippet shows, in characters. This is
/// about the width of a terminal, so a generated file of one long line does not flood the screen.
const SNIPPET_WIDTH_MAX: usize = 160;

impl Diagnostic {
    /// Renders the diagnostic for a person, with the source line. With `colour`, the text has ANSI
    /// escapes for a terminal.
    ///
    /// Control characters are replaced, so a file cannot write escapes to the terminal.
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let tint = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        let mut out = String::new();
        let severity = paint.styled(tint, self.severity.label());
        let message = paint.styled("1", &printable(&self.message));
        let _ = writeln!(out, "{severity}: {message}");
        let mut gutter = 1;
        if let Some(place) = &self.place {
            gutter = place.line.to_string().len();
            let pad = " ".repeat(gutter);
            let arrow = paint.styled("34", "-->");
            let bar = paint.styled("34", "|");
            let _ = writeln!(out, "{pad}{arrow} {place}");
            if let Some(line) = place.file.line(place.line) {
                let snippet = Snippet::cut(line, place);
                let number = paint.styled("34", &place.line.to_string());
                let caret = paint.styled(tint, &"^".repeat(snippet.width));
                let label = match printable(&self.label) {
                    label if label.is_empty() => label,
                    label => format!(" {}", paint.styled(tint, &label)),
                };
                let _ = writeln!(out, "{pad} {bar}");
                let _ = writeln!(out, "{number} {bar} {}", snippet.text);
                let _ = writeln!(out, "{pad} {bar} {}{caret}{label}", snippet.indent);
            } else if !self.label.is_empty() {
                let _ = writeln!(out, "{pad} {bar} {}", printable(&self.label));
            }
        }
        let pad = " ".repeat(gutter);
        let equals = paint.styled("34", "=");
        let write_remark = |word: &str, text: &str, out: &mut String| {
            // Each further line is indented to the start of the text on the first line.
            let under = format!("\n{pad}   {}", " ".repeat(word.len() + 2));
            let text = printable(text).replace('\n', &under);
            let _ = writeln!(out, "{pad} {equals} {}: {text}", paint.styled("1", word));
        };
        for note in &self.notes {
            write_remark("note", &note.to_string(), &mut out);
        }
        if let Some(help) = &self.help {
            write_remark("help", help, &mut out);
        }
        out
    }
}

/// The visible part of a source line, and the position of the caret under it.
struct Snippet {
    text: String,
    indent: String,
    width: usize,
}

impl Snippet {
    fn cut(line: &str, place: &Place) -> Self {
        let clean = |c: char| if c == '\t' { ' ' } else { clean(c) };
        let start = place.column as usize - 1;
        // The line is shown from its start if the text up to the end of the caret fits the snippet.
        let skipped = match start + place.width as usize <= SNIPPET_WIDTH_MAX {
            true => 0,
            false => start.saturating_sub(SNIPPET_WIDTH_MAX / 2),
        };
        let text: String = line
            .chars()
            .skip(skipped)
            .take(SNIPPET_WIDTH_MAX)
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

/// Replaces a character that a terminal would interpret, except for a line feed.
fn clean(c: char) -> char {
    if is_unseen(c) && c != '\n' {
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
    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceFile;

    #[test]
    fn a_diagnostic_is_rendered_with_place_line_caret_note_and_help() {
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
    fn no_text_changes_the_direction_of_a_line() {
        let directions = "\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200f}\u{61c}";
        let file = SourceFile::new(format!("{directions}.yaml"), format!("A: {directions}"));
        let diagnostic = Diagnostic::error(directions).at(file.place(1, 4, 1));
        let rendered = diagnostic.help(directions).render(false);
        assert!(
            !rendered.contains(|c| directions.contains(c)),
            "{rendered:?}"
        );
        assert!(rendered.contains("--> \\u{202e}\\u{2066}"), "{rendered}");
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
    fn long_lines_are_cut_around_the_caret() {
        let file = SourceFile::new("a", "x".repeat(10_000));
        let rendered = Diagnostic::error("m")
            .at(file.place(1, 5_000, 3))
            .render(false);
        let lines: Vec<_> = rendered.lines().collect();
        assert_eq!(lines[3].len(), "1 | ".len() + SNIPPET_WIDTH_MAX);
        assert_eq!(
            lines[4].trim_end().len(),
            "  | ".len() + SNIPPET_WIDTH_MAX / 2 + 3
        );
    }
}
