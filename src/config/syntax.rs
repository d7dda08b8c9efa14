//! A fault of YAML's syntax: the parser's words, and what they don't say about what people do wrong.

use std::sync::Arc;

use saphyr_parser::ScanError;

use crate::diagnostic::{Diagnostic, Place, SourceFile};

/// The one fault of the syntax, for nothing after it can be trusted. `bracket` is the
/// innermost that is open.
pub fn syntax_fault(
    file: &Arc<SourceFile>,
    error: &ScanError,
    bracket: Option<(char, Place)>,
) -> Diagnostic {
    let at = error.marker();
    let (number, column) = (at.line() as u32, at.col() as u32 + 1);
    let line = file.line(number).unwrap_or_default();
    let indent = line.chars().take_while(|&c| c == ' ').count();
    let says = |word: &str| error.info().contains(word);
    let fault = Diagnostic::error(format!("not valid YAML: {}", error.info()));
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
    if says("quoted scalar") {
        fault.help("is the quote closed?")
    } else if let Some((bracket, at)) = bracket {
        fault.help(format!("is the {bracket} at {at} closed?"))
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
