//! A `.proto` text → [`Parsed`], by the grammar that protoc reads: proto2, proto3, editions 2023 and
//! 2024.
//!
//! Behind a fault it goes on with the next statement. Names are left as written, options unread. What can be
//! told from one statement alone is refused here (a missing label, a number over its range); what needs the
//! whole file, or another, is for the linker and `verify`. It recurses once for each bracket, of which
//! the outline let only so many through.

mod default;
mod enumeration;
mod field;
mod file;
mod map;
mod message;
mod option;
mod recover;
mod service;
mod take;

use std::ops::Range;

use protobuf::descriptor::FileDescriptorProto;
use protobuf::descriptor::source_code_info::Location;

use crate::budget::{Budget, OutOfTime};
use crate::fault::TextFault;
use crate::lexer::{Lexed, Token, TokenKind, tokens};
use crate::parsed::{Edition, Entity, Parsed, Written};
use crate::path::index;
use crate::report::MAX_FAULTS;
use gateway_diagnostic::{CONFLICT, CONFLICT_HELP, CONFLICT_LABEL, conflict_markers};

/// The largest field number: what fits a tag beside the wire type.
pub(super) const MAX_FIELD_NUMBER: i32 = (1 << 29) - 1;

/// How deep messages may nest, as protoc has it.
const MAX_MESSAGE_DEPTH: usize = 32;

type Parse<T> = Result<T, Box<TextFault>>;

/// What keeps a text from being parsed.
#[derive(Debug)]
pub(super) enum ParseError {
    /// Everything that is wrong with the text, up to a bound.
    Faults(Vec<TextFault>),
    OutOfTime,
}

impl From<OutOfTime> for ParseError {
    fn from(OutOfTime: OutOfTime) -> Self {
        ParseError::OutOfTime
    }
}

/// Parses `text`, which others import as `name`.
pub(super) fn parse(name: &str, text: &str, budget: &Budget) -> Result<Parsed, ParseError> {
    parse_tokens(name, text, tokens(text, budget)?, budget)
}

/// Parses the tokens of `text`.
pub(super) fn parse_tokens(
    name: &str,
    text: &str,
    lexed: Lexed,
    budget: &Budget,
) -> Result<Parsed, ParseError> {
    let mut parser = Parser {
        text,
        tokens: lexed.tokens,
        bad: lexed.faults,
        budget,
        faults: Vec::new(),
        unlabelled: false,
        at: 0,
        path: Vec::new(),
        locations: Vec::new(),
        depth: 0,
        copied: 0,
        nested: 0,
        parsed: Parsed {
            file: FileDescriptorProto::new(),
            edition: Edition::Proto2,
            options: Vec::new(),
            option_imports: Vec::new(),
            visibility: Vec::new(),
            json_names: Default::default(),
        },
    };
    parser.parsed.file.set_name(name.to_owned());
    // It stops early only where a fault says why.
    let _ = parser.file();
    // A parser that is out of time goes to the end of the tokens: its faults mean nothing then.
    budget.held()?;
    if let Some(hash) = lexed.hash {
        parser.faults.insert(0, hash);
        parser.faults.truncate(MAX_FAULTS);
    }
    if !parser.faults.is_empty() {
        let conflicts = conflicts(text, &parser.faults);
        return Err(ParseError::Faults(match conflicts[..] {
            [] => parser.faults,
            _ => conflicts,
        }));
    }
    let lines = Lines::of(text);
    let info = parser.parsed.file.source_code_info.mut_or_insert_default();
    info.location = (parser.locations.into_iter())
        .map(|(path, range)| lines.location(path, range))
        .collect();
    Ok(parser.parsed)
}

/// Returns the faults of unresolved merge conflicts, in a text that has other faults: they are the consequences of the
/// conflicts, and what is within a comment has none.
fn conflicts(text: &str, faults: &[TextFault]) -> Vec<TextFault> {
    let is_conflict = |marker: &Range<usize>| {
        let is_rule = text[marker.clone()].starts_with('=');
        let within = |fault: &TextFault| marker.contains(&fault.range().start);
        !is_rule || faults.iter().any(within)
    };
    let fault = |marker| {
        let fault = TextFault::new(marker, CONFLICT);
        fault.label(CONFLICT_LABEL).help(CONFLICT_HELP)
    };
    let markers = conflict_markers(text).filter(is_conflict);
    markers.map(fault).take(MAX_FAULTS).collect()
}

/// Where each line starts, to write places as SourceCodeInfo does: columns in bytes.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub fn of(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(starts).collect())
    }

    /// The location of what lies at `range`.
    pub fn location(&self, path: Vec<i32>, range: Range<usize>) -> Location {
        let of = |at: usize| {
            let line = self.0.partition_point(|&start| start <= at) - 1;
            (line as i32, (at - self.0[line]) as i32)
        };
        let ((line, column), (last, end)) = (of(range.start), of(range.end));
        let mut location = Location::new();
        location.path = path;
        location.span = match line == last {
            true => vec![line, column, end],
            false => vec![line, column, last, end],
        };
        location
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// What is wrong with the bad ones.
    bad: Vec<TextFault>,
    budget: &'a Budget,
    /// What was found to be wrong.
    faults: Vec<TextFault>,
    /// A field without a label was told, in a file that doesn't say its syntax.
    unlabelled: bool,
    at: usize,
    /// Of what is being parsed.
    path: Vec<i32>,
    locations: Vec<(Vec<i32>, Range<usize>)>,
    /// Messages that are open.
    depth: usize,
    /// Text of options that stand for more than one range each, once more for each.
    copied: usize,
    /// Messages of an option's value that are open.
    nested: usize,
    parsed: Parsed,
}

// Places.
impl Parser<'_> {
    /// `field` of what is being parsed lies at `range`.
    fn locate(&mut self, fields: &[i32], range: Range<usize>) {
        let path = [&self.path, fields].concat();
        self.locations.push((path, range));
    }

    /// Parses a part of what is being parsed, which has a path of its own.
    fn within<T>(
        &mut self,
        field: i32,
        which: usize,
        parse: impl FnOnce(&mut Self) -> Parse<T>,
    ) -> Parse<T> {
        let from = self.token();
        self.path.extend([field, index(which)]);
        let made = parse(self);
        if made.is_ok() {
            self.locate(&[], self.since(from));
        }
        self.path.truncate(self.path.len() - 2);
        made
    }

    fn option_of(&mut self, entity: Entity, mut written: Written) {
        written.owner = self.path.clone();
        written.entity = entity;
        self.parsed.options.push(written);
    }
}
