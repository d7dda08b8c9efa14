//! Checks the text of routes.yaml for merge conflicts and for characters that YAML forbids, before
//! the text is read as YAML. Also replaces tabs that YAML allows but the parser rejects.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::Parser;

use gateway_diagnostic::{
    CONFLICT, CONFLICT_HELP, CONFLICT_LABEL, Diagnostic, SourceFile, conflict_markers,
};

/// Returns an error for each unresolved merge conflict. Other errors in such a file would be
/// consequences of the conflict.
pub(super) fn conflicts(file: &Arc<SourceFile>) -> impl Iterator<Item = Diagnostic> {
    conflict_markers(&file.text).map(|marker| {
        let fault = Diagnostic::error(CONFLICT).at(file.place_of_bytes(marker));
        fault.label(CONFLICT_LABEL).help(CONFLICT_HELP)
    })
}

/// Returns the error of the first character that YAML forbids, or `None` if there is none. Such a
/// character, for example ESC, could control a terminal that shows the configuration.
pub(super) fn unprintable(file: &Arc<SourceFile>) -> Option<Diagnostic> {
    let is_refused = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    };
    let (at, c) = file.text.char_indices().find(|(_, c)| is_refused(*c))?;
    let fault = Diagnostic::error(format!(
        "not valid YAML: the control character 0x{:02X}",
        c as u32
    ));
    let fault = fault.at(file.place_of_bytes(at..at + c.len_utf8()));
    Some(
        fault
            .label("not printable")
            .help("remove the character; in the type of a route, write such bytes as hex:…"),
    )
}

/// Returns the text with a space in place of each tab that separates a key from its value. The
/// parser does not accept such a tab, although YAML does. The place of every character stays the
/// same.
pub(super) fn separated(text: &str) -> Cow<'_, str> {
    if !text.contains(":\t") {
        return Cow::Borrowed(text);
    }
    // Only the first error counts: after an error, the parser does not advance, and returns the
    // same error forever.
    let refused = Parser::new_from_str(text).find_map(Result::err);
    if !refused.is_some_and(|error| error.info().contains("valid YAML whitespace")) {
        return Cow::Borrowed(text);
    }
    let lines = text.split_inclusive('\n').map(separated_line);
    Cow::Owned(lines.collect())
}

/// Returns a line with a space in place of each tab right after an unquoted colon.
fn separated_line(line: &str) -> String {
    let mut quote = None;
    let mut before = ' ';
    let mut separated = String::with_capacity(line.len());
    for c in line.chars() {
        let is_separator = c == '\t' && before == ':' && quote.is_none();
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            _ => {}
        }
        separated.push(if is_separator { ' ' } else { c });
        before = c;
    }
    separated
}
