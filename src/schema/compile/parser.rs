//! A `.proto` text → [`Parsed`], by the grammar that protoc reads: proto2, proto3, editions 2023 and
//! 2024.
//!
//! It stops at the first fault. Names are left as written, options unread. What can be told from one
//! statement alone is refused here (a missing label, a number over its range); what needs the
//! whole file, or another, is for the linker and `verify`. It recurses once for each bracket, of which
//! the outline let only so many through.

mod enumeration;
mod field;
mod message;
mod option;
mod service;

use std::ops::Range;

use protobuf::descriptor::FileDescriptorProto;
use protobuf::descriptor::source_code_info::Location;

use super::deadline;
use super::fault::Fault;
use super::lexer::{Kind, Token, integer, tokens, unquoted};
use super::parsed::{Edition, Entity, Parsed, Visibility, Written};
use super::path;
pub(super) use field::{camel_case, scalar};

/// The largest field number: what fits a tag beside the wire type.
pub(super) const MAX_FIELD_NUMBER: i32 = (1 << 29) - 1;

/// How deep messages may nest, as protoc has it.
const MAX_MESSAGE_DEPTH: usize = 32;

/// How long a package's name may be, in bytes and in parts, as protoc has it: each file has a name for each
/// part.
const MAX_PACKAGE: usize = 511;
const MAX_PACKAGE_DEPTH: usize = 101;

type Parse<T> = Result<T, Box<Fault>>;

/// Parses `text`, which others import as `name`.
pub(super) fn parse(name: &str, text: &str) -> Parse<Parsed> {
    let (tokens, lexed) = tokens(text);
    let mut parser = Parser {
        text,
        tokens,
        lexed,
        at: 0,
        path: Vec::new(),
        locations: Vec::new(),
        depth: 0,
        copied: 0,
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
    parser.file()?;
    let lines = Lines::of(text);
    let info = parser.parsed.file.source_code_info.mut_or_insert_default();
    info.location = (parser.locations.into_iter())
        .map(|(path, range)| lines.location(path, range))
        .collect();
    Ok(parser.parsed)
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
    /// What ended the tokens before the text's end.
    lexed: Option<Fault>,
    at: usize,
    /// Of what is being parsed.
    path: Vec<i32>,
    locations: Vec<(Vec<i32>, Range<usize>)>,
    /// Messages that are open.
    depth: usize,
    /// Text of options that stand for more than one range each, once more for each.
    copied: usize,
    parsed: Parsed,
}

// Tokens.
impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.tokens[self.at]
    }

    fn ahead(&self, count: usize) -> Token {
        self.tokens[(self.at + count).min(self.tokens.len() - 1)]
    }

    fn word(&self, token: Token) -> &'a str {
        &self.text[token.range()]
    }

    fn is(&self, word: &str) -> bool {
        self.token().kind == Kind::Word && self.word(self.token()) == word
    }

    fn is_sign(&self, sign: u8) -> bool {
        self.token().kind == Kind::Sign(sign)
    }

    fn next(&mut self) -> Token {
        deadline::step();
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        if is {
            self.next();
        }
        is
    }

    fn take_sign(&mut self, sign: u8) -> bool {
        let is = self.is_sign(sign);
        if is {
            self.next();
        }
        is
    }

    /// The end of the last token taken.
    fn end(&self) -> usize {
        let last = self.at.checked_sub(1);
        last.map_or(0, |at| self.tokens[at].range().end)
    }

    /// From the start of the token at `from` to the end of the last one taken.
    fn since(&self, from: Token) -> Range<usize> {
        from.range().start..self.end().max(from.range().start)
    }

    fn unexpected<T>(&mut self, expected: &str) -> Parse<T> {
        if self.token().kind == Kind::End {
            if let Some(fault) = self.lexed.take() {
                return Err(Box::new(fault));
            }
            let at = self.end();
            return Err(Fault::new(
                at..at,
                format!("the file ends where {expected} is expected"),
            )
            .label("the file ends here")
            .boxed());
        }
        let found = self.word(self.token());
        let found: String = found.chars().take(40).collect();
        let fault = Fault::new(
            self.token().range(),
            format!("expected {expected}, found {found:?}"),
        );
        Err(fault.boxed())
    }

    fn expect_sign(&mut self, sign: u8) -> Parse<Token> {
        if self.is_sign(sign) {
            return Ok(self.next());
        }
        let unexpected = self.unexpected(&format!("'{}'", char::from(sign)));
        // What should have ended with it stands on an earlier line then.
        let between = self.text.get(self.end()..self.token().range().start);
        match sign == b';' && between.is_some_and(|it| it.contains('\n')) {
            true => unexpected.map_err(|fault| {
                fault
                    .help("is the ; at the end of the line above missing?")
                    .boxed()
            }),
            false => unexpected,
        }
    }

    fn expect_word(&mut self, what: &str) -> Parse<(&'a str, Token)> {
        match self.token().kind {
            Kind::Word => {
                let token = self.next();
                Ok((self.word(token), token))
            }
            _ => self.unexpected(what),
        }
    }

    fn expect_integer(&mut self, what: &str, most: u64) -> Parse<u64> {
        if self.token().kind != Kind::Integer {
            return self.unexpected(what);
        }
        let token = self.next();
        match integer(self.word(token)).filter(|&n| n <= most) {
            Some(n) => Ok(n),
            None => Err(Fault::new(token.range(), "the number is out of range")
                .label(format!("expected at most {most}"))
                .boxed()),
        }
    }

    /// A number that fits 32 bits with its sign.
    fn expect_signed(&mut self, what: &str) -> Parse<i32> {
        let negative = self.take_sign(b'-');
        let most = i32::MAX as u64 + u64::from(negative);
        let n = self.expect_integer(what, most)? as i64;
        Ok(if negative { -n } else { n } as i32)
    }

    /// Adjacent texts are one.
    fn expect_bytes(&mut self, what: &str) -> Parse<Vec<u8>> {
        if self.token().kind != Kind::Text {
            return self.unexpected(what);
        }
        let mut value = Vec::new();
        while self.token().kind == Kind::Text {
            let token = self.next();
            value.extend(unquoted(self.word(token)));
        }
        Ok(value)
    }

    fn expect_text(&mut self, what: &str) -> Parse<String> {
        let from = self.token();
        let bytes = self.expect_bytes(what)?;
        String::from_utf8(bytes).map_err(|_| {
            Fault::new(
                self.since(from),
                "the text is not UTF-8 once its escapes are undone",
            )
            .boxed()
        })
    }

    /// The end of a statement.
    fn expect_end(&mut self) -> Parse<()> {
        self.expect_sign(b';').map(drop)
    }

    /// A name of types: parts with dots between, and one before if it is absolute.
    fn type_name(&mut self, what: &str) -> Parse<(String, Range<usize>)> {
        let from = self.token();
        let mut name = String::new();
        if self.take_sign(b'.') {
            name.push('.');
        }
        loop {
            name.push_str(self.expect_word(what)?.0);
            if !self.take_sign(b'.') {
                return Ok((name, self.since(from)));
            }
            name.push('.');
        }
    }
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
        self.path.extend([field, super::index(which)]);
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

// The file.
impl Parser<'_> {
    fn file(&mut self) -> Parse<()> {
        if self.is("syntax") || self.is("edition") {
            self.syntax()?;
        }
        while self.token().kind != Kind::End {
            self.statement()?;
        }
        match self.lexed.take() {
            Some(fault) => Err(Box::new(fault)),
            None => Ok(()),
        }
    }

    fn syntax(&mut self) -> Parse<()> {
        let is_edition = self.is("edition");
        self.next();
        self.expect_sign(b'=')?;
        let from = self.token();
        let value = self.expect_text("a quoted name")?;
        let range = self.since(from);
        self.expect_end()?;
        let edition = match (is_edition, value.as_str()) {
            (false, "proto2") => Edition::Proto2,
            (false, "proto3") => Edition::Proto3,
            (true, "2023") => Edition::Edition2023,
            (true, "2024") => Edition::Edition2024,
            _ => return Err(unknown_syntax(is_edition, &value, range)),
        };
        self.parsed.edition = edition;
        let file = &mut self.parsed.file;
        match edition {
            Edition::Proto2 => file.set_syntax("proto2".to_owned()),
            Edition::Proto3 => file.set_syntax("proto3".to_owned()),
            Edition::Edition2023 | Edition::Edition2024 => {
                file.set_syntax("editions".to_owned());
                let unknown = file.special_fields.mut_unknown_fields();
                unknown.add_varint(path::FILE_EDITION, edition.number());
            }
        }
        Ok(())
    }

    fn statement(&mut self) -> Parse<()> {
        if self.take_sign(b';') {
            return Ok(());
        }
        let visibility = self.visibility()?;
        let file = &self.parsed.file;
        if self.is("message") {
            let which = file.message_type.len();
            let message = self.within(path::FILE_MESSAGE, which, |p| p.message(visibility))?;
            self.parsed.file.message_type.push(message);
        } else if self.is("enum") {
            let which = file.enum_type.len();
            let made = self.within(path::FILE_ENUM, which, |p| p.enumeration(visibility))?;
            self.parsed.file.enum_type.push(made);
        } else if visibility.is_some() {
            return self.unexpected("\"message\" or \"enum\"");
        } else if self.is("service") {
            let which = file.service.len();
            let service = self.within(path::FILE_SERVICE, which, Self::service)?;
            self.parsed.file.service.push(service);
        } else if self.is("extend") {
            let mut extensions = std::mem::take(&mut self.parsed.file.extension);
            let mut messages = std::mem::take(&mut self.parsed.file.message_type);
            self.extend(
                path::FILE_EXTENSION,
                &mut extensions,
                path::FILE_MESSAGE,
                &mut messages,
            )?;
            self.parsed.file.extension = extensions;
            self.parsed.file.message_type = messages;
        } else if self.is("import") {
            self.import()?;
        } else if self.is("package") {
            self.package()?;
        } else if self.is("option") {
            let written = self.option_statement()?;
            self.option_of(Entity::File, written);
        } else {
            return self.unexpected("a statement such as \"message\", \"enum\" or \"import\"");
        }
        Ok(())
    }

    /// `export` or `local`, where this edition knows them.
    fn visibility(&mut self) -> Parse<Option<Visibility>> {
        if self.parsed.edition < Edition::Edition2024 {
            return Ok(None);
        }
        let visibility = match () {
            () if self.is("export") => Visibility::Export,
            () if self.is("local") => Visibility::Local,
            () => return Ok(None),
        };
        // Before anything else the word is the type of a field.
        let next = self.ahead(1);
        if !matches!(self.word(next), "message" | "enum") && !self.path.is_empty() {
            return Ok(None);
        }
        self.next();
        Ok(Some(visibility))
    }

    fn import(&mut self) -> Parse<()> {
        let from = self.token();
        self.next();
        let (public, weak) = (self.is("public"), self.is("weak"));
        let option = self.is("option") && self.parsed.edition >= Edition::Edition2024;
        if public || weak || option {
            self.next();
        }
        let name_token = self.token();
        let name = self.expect_text("the quoted name of a file")?;
        let range = self.since(name_token);
        self.expect_end()?;
        if weak && self.parsed.edition >= Edition::Edition2024 {
            let fault = Fault::new(range, "weak imports are gone since edition 2024");
            return Err(fault.help("leave \"weak\" out").boxed());
        }
        let file = &mut self.parsed.file;
        if option {
            let which = self.parsed.option_imports.len();
            let unknown = file.special_fields.mut_unknown_fields();
            unknown.add_length_delimited(
                path::FILE_OPTION_DEPENDENCY as u32,
                name.clone().into_bytes(),
            );
            self.parsed.option_imports.push(name);
            self.locate(&[path::FILE_OPTION_DEPENDENCY, super::index(which)], range);
            return Ok(());
        }
        if !self.parsed.option_imports.is_empty() {
            let fault = Fault::new(from.range(), "an import behind an \"import option\"");
            return Err(fault.help("let the option imports come last").boxed());
        }
        let which = super::index(file.dependency.len());
        file.dependency.push(name);
        if public {
            file.public_dependency.push(which);
        }
        if weak {
            file.weak_dependency.push(which);
        }
        self.locate(&[path::FILE_DEPENDENCY, which], range);
        Ok(())
    }

    fn package(&mut self) -> Parse<()> {
        self.next();
        let from = self.token();
        let mut name = String::new();
        loop {
            name.push_str(self.expect_word("a name")?.0);
            if !self.take_sign(b'.') {
                break;
            }
            name.push('.');
        }
        let range = self.since(from);
        if self.parsed.file.has_package() {
            return Err(Fault::new(range, "a second package")
                .label("a file has one package at most")
                .boxed());
        }
        if name.len() > MAX_PACKAGE || name.split('.').count() > MAX_PACKAGE_DEPTH {
            let text =
                format!("a package of more than {MAX_PACKAGE} bytes or {MAX_PACKAGE_DEPTH} parts");
            return Err(Fault::new(range, text).help("choose a shorter one").boxed());
        }
        self.expect_end()?;
        self.parsed.file.set_package(name);
        self.locate(&[path::FILE_PACKAGE], range);
        Ok(())
    }
}

fn unknown_syntax(is_edition: bool, value: &str, range: Range<usize>) -> Box<Fault> {
    let (what, known) = match is_edition {
        true => ("edition", "\"2023\" or \"2024\""),
        false => ("syntax", "\"proto3\" or \"proto2\""),
    };
    let fault =
        Fault::new(range, format!("unknown {what} {value:?}")).label(format!("expected {known}"));
    if is_edition {
        let help = "a newer protoc may know it: in routes.yaml, say\nproto: { compiler: protoc }\nto have the protoc on the PATH read the files";
        return fault.help(help).boxed();
    }
    fault.boxed()
}
