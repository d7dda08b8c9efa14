//! The text of routes.yaml before it is read as YAML: what no YAML may hold, and what the parser does not take though YAML
//! does.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::Parser;

use gateway_diagnostic::{
    CONFLICT, CONFLICT_HELP, CONFLICT_LABEL, Diagnostic, SourceFile, conflict_markers,
};

/// Returns a fault for each conflict of a merge that is not finished: nothing else in such a file can be trusted.
pub(super) fn conflicts(file: &Arc<SourceFile>) -> impl Iterator<Item = Diagnostic> {
    conflict_markers(&file.text).map(|marker| {
        let fault = Diagnostic::error(CONFLICT).at(file.place_of_bytes(marker));
        fault.label(CONFLICT_LABEL).help(CONFLICT_HELP)
    })
}

/// Returns the fault of the first character that YAML has no place for, such as ESC: it would reach terminals.
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
            .help("remove it; a type's bytes are written hex:…"),
    )
}

/// Returns the text with a space for each tab that separates a key from its value, where the parser takes no tab there;
/// YAML does. Every place stays what it is.
pub(super) fn separated(text: &str) -> Cow<'_, str> {
    if !text.contains(":\t") {
        return Cow::Borrowed(text);
    }
    // The first error decides: the parser does not go on after an error, and repeats it without end.
    let refused = Parser::new_from_str(text).find_map(Result::err);
    if !refused.is_some_and(|error| error.info().contains("valid YAML whitespace")) {
        return Cow::Borrowed(text);
    }
    let lines = text.split_inclusive('\n').map(separated_line);
    Cow::Owned(lines.collect())
}

/// Returns a line with a space for each tab right after a colon that is not in quotes.
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
