//! A parser of `.proto` texts by protoc's grammar: proto2, proto3, editions 2023 and 2024. Its
//! result is a [`Parsed`] file.
//!
//! After an error, the parser continues with the next statement. Names are left as written, and
//! options are not interpreted. Errors that follow from one statement alone are reported here (a
//! missing label, a number out of range). The linker and `verify` report errors that depend on the
//! whole file, or on another file. The parser recurses once for each level of nested brackets. A
//! file is not parsed if its [`Outline`](crate::outline::Outline) has a bracket that nests too
//! deeply.

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

use protobuf::descriptor::source_code_info::Location;
use protobuf::descriptor::{FileDescriptorProto, SourceCodeInfo};

use crate::budget::{Budget, OutOfTime};
use crate::fault::TextFault;
use crate::lexer::{Lexed, Token, TokenKind, tokens};
use crate::locations::Locations;
use crate::parsed::{Edition, Entity, Parsed, WrittenOption};
use crate::path::index;
use crate::report::FAULTS_MAX;
use gateway_diagnostic::{CONFLICT, CONFLICT_HELP, CONFLICT_LABEL, conflict_markers};

/// The largest field number: a tag has 29 bits for the number, and 3 for the wire type.
pub(super) const FIELD_NUMBER_MAX: i32 = (1 << 29) - 1;

/// The depth at which a nested message is refused, as in protoc. Messages may nest 31 deep.
const MESSAGE_DEPTH_MAX: usize = 32;

type Parse<T> = Result<T, Box<TextFault>>;

/// The error of a text that cannot be parsed.
#[derive(Debug)]
pub(super) enum ParseError {
    /// The errors of the text, up to a bound.
    Faults(Vec<TextFault>),
    OutOfTime,
}

impl From<OutOfTime> for ParseError {
    fn from(OutOfTime: OutOfTime) -> Self {
        ParseError::OutOfTime
    }
}

/// Parses `text`, which other files import as `name`.
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
            locations: Locations::default(),
            edition: Edition::Proto2,
            options: Vec::new(),
            option_imports: Vec::new(),
            visibility: Vec::new(),
            json_names: Default::default(),
        },
    };
    parser.parsed.file.set_name(name.to_owned());
    // If the parser stops early, an error in `faults` gives the reason.
    let _ = parser.file();
    // A parser that is out of time skips to the end of the tokens, so its errors mean nothing.
    budget.check()?;
    if let Some(hash_comment) = lexed.hash_comment {
        parser.faults.insert(0, hash_comment);
        parser.faults.truncate(FAULTS_MAX);
    }
    if !parser.faults.is_empty() {
        let conflicts = conflicts(text, &parser.faults);
        return Err(ParseError::Faults(match conflicts[..] {
            [] => parser.faults,
            _ => conflicts,
        }));
    }
    let lines = Lines::of(text);
    let mut info = SourceCodeInfo::new();
    info.location = (parser.locations.into_iter())
        .map(|(path, range)| lines.location(path, range))
        .collect();
    parser.parsed.locations = Locations::of(&info);
    Ok(parser.parsed)
}

/// Returns the errors of unresolved merge conflicts in a text. `faults` are the other errors of the
/// text. If there are conflicts, the other errors are consequences of them. A line of `=` may be a
/// separator in a comment, so such a line counts as a conflict only if one of `faults` begins in
/// the line.
fn conflicts(text: &str, faults: &[TextFault]) -> Vec<TextFault> {
    let is_conflict = |marker: &Range<usize>| {
        let may_be_separator = text[marker.clone()].starts_with('=');
        let begins_in_marker = |fault: &TextFault| marker.contains(&fault.range().start);
        !may_be_separator || faults.iter().any(begins_in_marker)
    };
    let fault = |marker| {
        let fault = TextFault::new(marker, CONFLICT);
        fault.label(CONFLICT_LABEL).help(CONFLICT_HELP)
    };
    let markers = conflict_markers(text).filter(is_conflict);
    markers.map(fault).take(FAULTS_MAX).collect()
}

/// The byte offset at which each line starts, to convert byte offsets to the lines and columns of
/// SourceCodeInfo. Columns count bytes.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(starts).collect())
    }

    /// Returns the location of the element at `range`.
    pub(crate) fn location(&self, path: Vec<i32>, range: Range<usize>) -> Location {
        let position = |at: usize| {
            let line = self.0.partition_point(|&start| start <= at) - 1;
            (line as i32, (at - self.0[line]) as i32)
        };
        let ((line, column), (last, end)) = (position(range.start), position(range.end));
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
    /// The errors of the lexer. A [`TokenKind::Bad`] holds the index of its error.
    bad: Vec<TextFault>,
    budget: &'a Budget,
    /// The errors found so far.
    faults: Vec<TextFault>,
    /// Set once a field without a label was reported.
    unlabelled: bool,
    at: usize,
    /// The path of the element that is being parsed.
    path: Vec<i32>,
    locations: Vec<(Vec<i32>, Range<usize>)>,
    /// The number of open messages.
    depth: usize,
    /// The size of all copies of options, in bytes of text. Options of several extension ranges are
    /// copied to each of these ranges after the first.
    copied: usize,
    /// The number of open messages in an option's value.
    nested: usize,
    parsed: Parsed,
}

/// Records places and options of the current element.
impl Parser<'_> {
    /// Records `range` as the location of a part of the current element. `fields` is the path of
    /// the part within the element.
    fn locate(&mut self, fields: &[i32], range: Range<usize>) {
        let path = [&self.path, fields].concat();
        self.locations.push((path, range));
    }

    /// Parses an element within the current element, and records its location. The new element has
    /// the index `which` in the repeated field `field` of the current element.
    fn element<T>(
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

    fn add_option(&mut self, entity: Entity, mut written: WrittenOption) {
        written.owner = self.path.clone();
        written.entity = entity;
        self.parsed.options.push(written);
    }
}
