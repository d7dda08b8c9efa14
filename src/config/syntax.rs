//! The error of the YAML syntax: the parser's message, with advice on common mistakes.

use std::sync::Arc;

use saphyr_parser::ScanError;

use gateway_diagnostic::{Diagnostic, Place, SourceFile};

/// The characters that may follow a backslash in a double-quoted text.
const ESCAPE_CHARACTERS: &str = "0abtnvfre \"/\\N_LPxuU\t";

/// Returns the diagnostic of a syntax error. There is only one diagnostic, because the text after a
/// syntax error cannot be interpreted. `bracket` is the innermost open bracket and its place.
pub(super) fn syntax_fault(
    file: &Arc<SourceFile>,
    error: &ScanError,
    bracket: Option<(char, Place)>,
) -> Diagnostic {
    let stop = Stop::new(file, error, bracket);
    let Stop {
        number,
        column,
        line,
        indent,
        ..
    } = stop;
    let unfinished = stop.is_unfinished();
    let info = if unfinished {
        "expected ':' after a key"
    } else {
        stop.info
    };
    let fault = Diagnostic::error(format!("not valid YAML: {info}"));
    if let Some(place) = foreign_comment(file, number) {
        return fault
            .at(place)
            .label("not a comment in YAML")
            .help("comments begin with # in YAML");
    }
    let starts_with_alias = line[indent..].starts_with('*');
    if starts_with_alias || stop.says("unknown anchor") {
        let first = if starts_with_alias {
            indent as u32 + 1
        } else {
            column
        };
        return alias_fault(fault, file.place(number, first, 1));
    }
    if line[indent..].starts_with('\t') {
        let fault = fault.at(file.place(number, indent as u32 + 1, 1));
        return fault.label("YAML indents by spaces, not by tabs");
    }
    if unfinished {
        let width = line.trim().chars().count() as u32;
        let fault = fault.at(stop.place_of(width)).label("expected KEY: VALUE");
        return fault.help(if line.contains(':') {
            "YAML requires a space after the colon of a key"
        } else {
            "is the colon missing?"
        });
    }
    if let Some(place) = stop.unquoted_variable() {
        return fault
            .at(place)
            .label("a variable between brackets needs quotes")
            .help("write \"${NAME}\": without quotes, the { begins a map");
    }
    if stop.lacks_comma()
        && let Some((first, key)) = key_after_value(line, column)
    {
        return fault
            .at(file.place(number, first, key.chars().count() as u32))
            .help(format!("is a comma missing before {key:?}?"));
    }
    if stop.says("escape") {
        return stop.escape_fault(fault);
    }
    let fault = fault.at(stop.place_of(1));
    stop.advise(fault)
}

/// Returns the error of a `*` that was meant as text but begins an alias.
fn alias_fault(fault: Diagnostic, place: Place) -> Diagnostic {
    fault
        .at(place)
        .label("a * here begins an alias in YAML")
        .help(
            "quote keys and values that start with *, such as \"*\" for the catch-all, and write an endpoint as \"tcp://*:5559\"",
        )
}

/// Returns the place of the first comment in the style of another language, such as `// words`, in
/// the lines up to `number`. Returns `None` if there is no such comment.
fn foreign_comment(file: &Arc<SourceFile>, number: u32) -> Option<Place> {
    let begins = |line: &str| {
        let starts = |marker: &str| line.trim_start().starts_with(marker);
        if starts("//") || starts("/*") {
            return line.find('/');
        }
        let is_comment = |at: &usize| !line[..*at].contains('#');
        let after = line.find(" //").or_else(|| line.find(" /*"));
        after.map(|at| at + 1).filter(is_comment)
    };
    (1..=number).find_map(|number| {
        let line = file.line(number)?;
        let at = begins(line)?;
        let column = line[..at].chars().count() as u32 + 1;
        Some(file.place(number, column, 2))
    })
}

/// The place where the parser stopped, and the message of the parser.
struct Stop<'a> {
    file: &'a Arc<SourceFile>,
    info: &'a str,
    /// The line and the column, from 1.
    number: u32,
    column: u32,
    line: &'a str,
    /// The number of spaces at the start of the line.
    indent: usize,
    /// The innermost open bracket.
    bracket: Option<(char, Place)>,
}

impl<'a> Stop<'a> {
    fn new(
        file: &'a Arc<SourceFile>,
        error: &'a ScanError,
        bracket: Option<(char, Place)>,
    ) -> Self {
        let at = error.marker();
        let mut stop = Self {
            file,
            info: error.info(),
            number: at.line() as u32,
            column: at.col() as u32 + 1,
            line: "",
            indent: 0,
            bracket,
        };
        if stop.is_unfinished()
            && let Some((above, text)) = line_above(file, stop.number)
        {
            // The parser notices the missing colon only where the next key begins.
            (stop.number, stop.column) = (above, indent_of(text) as u32 + 1);
        }
        stop.line = file.line(stop.number).unwrap_or_default();
        stop.indent = indent_of(stop.line);
        stop
    }

    fn says(&self, word: &str) -> bool {
        self.info.contains(word)
    }

    /// Returns whether the error is a key without a colon.
    fn is_unfinished(&self) -> bool {
        self.says("simple key expect")
    }

    /// Returns the place of an unquoted variable within brackets, if the parser stopped at its `{`.
    fn unquoted_variable(&self) -> Option<Place> {
        self.bracket.as_ref()?;
        let (at, _) = self.line.char_indices().nth(self.column as usize - 1)?;
        let (before, after) = self.line.split_at(at);
        if !before.ends_with('$') || !after.starts_with('{') {
            return None;
        }
        let width = after
            .find('}')
            .map_or(1, |end| after[..=end].chars().count());
        Some(
            self.file
                .place(self.number, self.column - 1, width as u32 + 1),
        )
    }

    /// Returns whether a comma may be missing within brackets.
    fn lacks_comma(&self) -> bool {
        self.bracket.is_some() && (self.says("expected ','") || self.says("trailing content"))
    }

    /// Returns the place of the error, `width` columns wide. If the line is empty, as at the end of
    /// the file, the place is the end of the text, which is more helpful.
    fn place_of(&self, width: u32) -> Place {
        if self.line.is_empty() && !self.is_unfinished() {
            let last = self.file.text.trim_end();
            self.file.place_of_bytes(last.len()..last.len())
        } else {
            self.file.place(self.number, self.column, width)
        }
    }

    /// Returns the error of a backslash in double quotes that begins no valid escape sequence, at
    /// the place of the backslash.
    fn escape_fault(&self, fault: Diagnostic) -> Diagnostic {
        let characters: Vec<char> = self.line.chars().collect();
        let mut at = self.column as usize - 1;
        while let Some('\\') | Some(_) = characters.get(at) {
            let is_backslash = characters[at] == '\\';
            let is_known = |c: &char| ESCAPE_CHARACTERS.contains(*c);
            if is_backslash && !characters.get(at + 1).is_some_and(is_known) {
                break;
            }
            at += if is_backslash { 2 } else { 1 };
        }
        let column = at.min(characters.len().saturating_sub(1)) as u32 + 1;
        let fault = fault.at(self.file.place(self.number, column, 2));
        let is_key = self.line.trim_start().starts_with('"');
        fault.label("not an escape sequence in YAML").help(if is_key {
            "a type is not a regular expression: only a * at the end makes a pattern, such as \"person.*\""
        } else {
            "write a backslash in double quotes as \\\\, or put the text into single quotes"
        })
    }

    /// Adds the usual cause of the parser's error.
    fn advise(&self, fault: Diagnostic) -> Diagnostic {
        if self.lacks_comma() && self.says("trailing content") {
            fault.help("is a comma missing before this?")
        } else if self.says("quoted scalar") {
            fault.help("is the quote closed?")
        } else if let Some((bracket, at)) = &self.bracket {
            fault.help(if self.says("expected ','") {
                format!("is a comma missing before this, or is the {bracket} at {at} not closed?")
            } else {
                format!("is the {bracket} at {at} closed?")
            })
        } else if self.says("mapping values")
            && let Some(above) = deeper_than(self.file, self.number)
        {
            self.advise_on_indent(fault, above)
        } else if self.says("mapping values are not allowed") {
            fault.help(
                "is a colon missing in the line above, or are quotes missing around a text with a colon?",
            )
        } else if self.says("expected key") || self.says("indentation") {
            fault.help("the keys of one map begin in the same column")
        } else {
            fault
        }
    }

    /// Adds help that names the line with the probably wrong indentation. The reported line begins
    /// further right than the line `above`.
    fn advise_on_indent(&self, fault: Diagnostic, above: u32) -> Diagnostic {
        let Self { number, indent, .. } = *self;
        let fault = fault.label("this line begins further right than the one above it");
        // If the line before `above` has the same indentation as the reported line, the indentation
        // of `above` is probably wrong.
        let before = line_above(self.file, above).filter(|(_, text)| indent_of(text) == indent);
        if let Some((before, _)) = before {
            return fault.help(format!(
                "line {above} begins further left than lines {before} and {number}: should line {above} begin in column {}?",
                indent + 1
            ));
        }
        fault.help(format!(
            "the keys of one map begin in the same column: is this line a key of the same map as line {above}?"
        ))
    }
}

/// Returns the column and the text of the key at `column`, if the key follows a value. `column` may
/// also be the column of the key's colon: within brackets, if a comma is missing before a key, the
/// parser may notice this only at the colon.
fn key_after_value(line: &str, column: u32) -> Option<(u32, &str)> {
    let (at, _) = line.char_indices().nth(column as usize - 1)?;
    let start = match line[at..].starts_with(':') {
        true => {
            let (space, c) = line[..at]
                .char_indices()
                .rfind(|(_, c)| c.is_whitespace())?;
            space + c.len_utf8()
        }
        false => at,
    };
    let (key, _) = line[start..].split_once(':')?;
    let before = line[..start].trim_end();
    let follows = !before.is_empty() && !before.ends_with(['{', '[', ',']);
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    let column = line[..start].chars().count() as u32 + 1;
    (follows && is_word).then_some((column, key))
}

/// Returns the number and the text of the last line before `number` that is neither empty nor a
/// comment.
fn line_above(file: &SourceFile, number: u32) -> Option<(u32, &str)> {
    let has_content = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    (1..number)
        .rev()
        .find_map(|above| Some((above, file.line(above).filter(has_content)?)))
}

/// Returns the number of the line above if that line begins further left and has a key with a
/// value, and `None` otherwise. Nothing can be nested below such a line.
fn deeper_than(file: &SourceFile, number: u32) -> Option<u32> {
    let (above, text) = line_above(file, number)?;
    let line = file.line(number)?;
    let (_, value) = text.split_once(": ")?;
    (indent_of(line) > indent_of(text) && !value.trim().is_empty()).then_some(above)
}

fn indent_of(line: &str) -> usize {
    line.chars().take_while(|&c| c == ' ').count()
}
