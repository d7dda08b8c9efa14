//! A fault of YAML's syntax: the parser's words, and what they don't say about what people do wrong.

use std::sync::Arc;

use saphyr_parser::ScanError;

use gateway_diagnostic::{Diagnostic, Place, SourceFile};

/// The one fault of the syntax, for nothing after it can be trusted. `bracket` is the
/// innermost that is open.
pub fn syntax_fault(
    file: &Arc<SourceFile>,
    error: &ScanError,
    bracket: Option<(char, Place)>,
) -> Diagnostic {
    let at = error.marker();
    let (mut number, mut column) = (at.line() as u32, at.col() as u32 + 1);
    let says = |word: &str| error.info().contains(word);
    let unfinished = says("simple key expect");
    if let (true, Some((above, text))) = (unfinished, line_above(file, number)) {
        // Noticed only where the next key begins.
        (number, column) = (above, indent_of(text) as u32 + 1);
    }
    let line = file.line(number).unwrap_or_default();
    let indent = indent_of(line);
    let info = match unfinished {
        true => "expected ':' behind a key",
        false => error.info(),
    };
    let fault = Diagnostic::error(format!("not valid YAML: {info}"));
    if line[indent..].starts_with('*') || says("unknown anchor") {
        let first = if line[indent..].starts_with('*') {
            indent as u32 + 1
        } else {
            column
        };
        return fault
            .at(file.place(number, first, 1))
            .label("a * here begins an alias in YAML")
            .help(
                "quote what starts with *: the catch-all is \"*\", an endpoint \"tcp://*:5559\"",
            );
    }
    if line[indent..].starts_with('\t') {
        let fault = fault.at(file.place(number, indent as u32 + 1, 1));
        return fault.label("YAML indents by spaces, not by tabs");
    }
    let fault = if line.is_empty() {
        // The end of the file: the last line that has something says more.
        let last = file.text.trim_end();
        fault.at(file.place_of_bytes(last.len()..last.len()))
    } else {
        fault.at(file.place(number, column, 1))
    };
    if unfinished {
        let width = line.trim().chars().count() as u32;
        let fault = fault.at(file.place(number, column, width));
        let fault = fault.label("expected KEY: VALUE");
        return match line.contains(':') {
            true => fault.help("YAML wants a blank after the colon behind a key"),
            false => fault.help("is the colon missing?"),
        };
    }
    let in_brackets = bracket.is_some() && (says("expected ','") || says("trailing content"));
    if let Some((first, key)) = key_behind_value(line, column).filter(|_| in_brackets) {
        return fault
            .at(file.place(number, first, key.chars().count() as u32))
            .help(format!("is a comma missing before {key:?}?"));
    }
    if in_brackets && says("trailing content") {
        fault.help("is a comma missing before this?")
    } else if says("quoted scalar") {
        fault.help("is the quote closed?")
    } else if let (Some((bracket, at)), true) = (&bracket, says("expected ','")) {
        fault.help(format!(
            "is a comma missing before this, or is the {bracket} at {at} not closed?"
        ))
    } else if let Some((bracket, at)) = bracket {
        fault.help(format!("is the {bracket} at {at} closed?"))
    } else if let Some(above) = deeper_than(file, number).filter(|_| says("mapping values")) {
        let fault = fault.label("this line begins further right than the one above it");
        // Where the line before that one begins like this one, it is the one between that is out of line.
        let before = line_above(file, above).filter(|(_, text)| indent_of(text) == indent);
        if let Some((before, _)) = before {
            return fault.help(format!(
                "line {above} begins further left than lines {before} and {number}: should it begin in their column, {}?",
                indent + 1
            ));
        }
        fault.help(format!(
            "the keys of one map begin in the same column: this line's and line {above}'s"
        ))
    } else if says("mapping values are not allowed") {
        fault.help(
            "is the colon of the line above missing, or are quotes around a text with a colon?",
        )
    } else if says("expected key") || says("indentation") {
        fault.help("the keys of one map begin in the same column")
    } else {
        fault
    }
}

/// The key that begins, or whose colon is, at `column`, and where it begins: within brackets, one that follows an
/// unquoted value without a comma is only noticed at its colon.
fn key_behind_value(line: &str, column: u32) -> Option<(u32, &str)> {
    let (at, _) = line.char_indices().nth(column as usize - 1)?;
    let start = match line[at..].starts_with(':') {
        true => line[..at].rfind(char::is_whitespace)? + 1,
        false => at,
    };
    let (key, _) = line[start..].split_once(':')?;
    let before = line[..start].trim_end();
    let follows = !before.is_empty() && !before.ends_with(['{', '[', ',']);
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    let column = line[..start].chars().count() as u32 + 1;
    (follows && is_word).then_some((column, key))
}

/// The line above `number` that says something, and its number.
fn line_above(file: &SourceFile, number: u32) -> Option<(u32, &str)> {
    let says_something = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    (1..number)
        .rev()
        .find_map(|above| Some((above, file.line(above).filter(says_something)?)))
}

/// The line above, if it has a key and its value and begins further left: nothing can be below it.
fn deeper_than(file: &SourceFile, number: u32) -> Option<u32> {
    let (above, text) = line_above(file, number)?;
    let line = file.line(number)?;
    let (_, value) = text.split_once(": ")?;
    (indent_of(line) > indent_of(text) && !value.trim().is_empty()).then_some(above)
}

fn indent_of(line: &str) -> usize {
    line.chars().take_while(|&c| c == ' ').count()
}
