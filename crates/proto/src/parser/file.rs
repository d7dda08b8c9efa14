//! Parses a file: its syntax, imports, package, and definitions.

use std::ops::Range;

use super::{Parse, Parser, TokenKind};
use crate::fault::TextFault;
use crate::parsed::{Edition, Entity, Visibility};
use crate::path::{self, index};
use gateway_diagnostic::did_you_mean;

/// The description of a file's statement in error messages.
const STATEMENT_EXPECTED: &str = "a statement such as \"message\", \"enum\" or \"import\"";

/// The words that begin a statement of a file, for suggestions.
const FILE_STATEMENT_WORDS: [&str; 9] = [
    "message", "enum", "service", "extend", "import", "package", "option", "syntax", "edition",
];

/// The maximum length of a package's name in bytes, as in protoc.
const PACKAGE_MAX: usize = 511;

/// The maximum number of parts of a package's name, as in protoc. A file defines one name for each
/// part: `a`, `a.b` and `a.b.c` for the package `a.b.c`.
const PACKAGE_DEPTH_MAX: usize = 101;

impl Parser<'_> {
    pub(super) fn file(&mut self) -> Parse<()> {
        if self.is("syntax") || self.is("edition") {
            // Without the syntax, the meaning of the rest of the file is unknown.
            let syntax = self.syntax();
            if let Err(fault) = syntax {
                let _ = self.report(fault);
                return Ok(());
            }
        }
        while self.token().kind != TokenKind::End {
            if self.is_punct(b'}') {
                // The matching `{` may have been skipped with an earlier faulty statement.
                if self.faults.is_empty() {
                    let stray = self.unexpected::<()>(STATEMENT_EXPECTED);
                    stray.or_else(|fault| self.report(fault))?;
                }
                self.next();
                continue;
            }
            self.recovered(Self::statement)?;
        }
        Ok(())
    }

    fn syntax(&mut self) -> Parse<()> {
        let is_edition = self.is("edition");
        self.next();
        self.expect_punct(b'=')?;
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
        if self.take_punct(b';') {
            return Ok(());
        }
        let visibility = self.visibility()?;
        let file = &self.parsed.file;
        if self.is("message") {
            let which = file.message_type.len();
            let message = self.element(path::FILE_MESSAGE, which, |p| p.message(visibility))?;
            self.parsed.file.message_type.push(message);
        } else if self.is("enum") {
            let which = file.enum_type.len();
            let made = self.element(path::FILE_ENUM, which, |p| p.enumeration(visibility))?;
            self.parsed.file.enum_type.push(made);
        } else if visibility.is_some() {
            return self.unexpected("\"message\" or \"enum\"");
        } else if self.is("service") {
            let which = file.service.len();
            let service = self.element(path::FILE_SERVICE, which, Self::service)?;
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
            self.add_option(Entity::File, written);
        } else if self.is("export") || self.is("local") {
            let unexpected = self.unexpected(STATEMENT_EXPECTED);
            let help = "\"export\" and \"local\" are allowed since edition 2024";
            return unexpected.map_err(|fault| fault.help(help).boxed());
        } else {
            let near = did_you_mean(self.word(self.token()), FILE_STATEMENT_WORDS);
            if near.is_none() && !self.faults.is_empty() {
                // This is more likely the rest of an earlier faulty statement than a new error.
                self.pass_over(self.at);
                return Ok(());
            }
            return self.unexpected_word(STATEMENT_EXPECTED, &FILE_STATEMENT_WORDS);
        }
        Ok(())
    }

    /// Takes `export` or `local`. Returns `None` if neither comes next, or if the edition has no
    /// such words.
    pub(super) fn visibility(&mut self) -> Parse<Option<Visibility>> {
        if self.parsed.edition < Edition::Edition2024 {
            return Ok(None);
        }
        let visibility = match () {
            () if self.is("export") => Visibility::Export,
            () if self.is("local") => Visibility::Local,
            () => return Ok(None),
        };
        // Inside a message, protoc reads the word as a visibility even if a type has that name.
        let next = self.ahead(1);
        if !matches!(self.word(next), "message" | "enum") && !self.path.is_empty() {
            let word = self.word(self.token());
            let text = format!("{word:?} is for messages and enums only");
            let fault = TextFault::new(self.token().range(), text);
            let help = format!("leave it out, or write the full name of a type called {word}");
            return Err(fault.help(help).boxed());
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
            let fault = TextFault::new(range, "weak imports were removed in edition 2024");
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
            self.locate(&[path::FILE_OPTION_DEPENDENCY, index(which)], range);
            return Ok(());
        }
        if !self.parsed.option_imports.is_empty() {
            let fault = TextFault::new(from.range(), "an import after an \"import option\"");
            return Err(fault.help("put the option imports last").boxed());
        }
        let which = index(file.dependency.len());
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
            if !self.take_punct(b'.') {
                break;
            }
            name.push('.');
        }
        let range = self.since(from);
        if self.parsed.file.has_package() {
            return Err(TextFault::new(range, "a second package")
                .label("a file has one package at most")
                .boxed());
        }
        if name.len() > PACKAGE_MAX || name.split('.').count() > PACKAGE_DEPTH_MAX {
            let text =
                format!("a package of more than {PACKAGE_MAX} bytes or {PACKAGE_DEPTH_MAX} parts");
            return Err(TextFault::new(range, text)
                .help("choose a shorter one")
                .boxed());
        }
        self.expect_end()?;
        self.parsed.file.set_package(name);
        self.locate(&[path::FILE_PACKAGE], range);
        Ok(())
    }
}

fn unknown_syntax(is_edition: bool, value: &str, range: Range<usize>) -> Box<TextFault> {
    let (what, known) = match is_edition {
        true => ("edition", "\"2023\" or \"2024\""),
        false => ("syntax", "\"proto3\" or \"proto2\""),
    };
    let fault = TextFault::new(range, format!("unknown {what} {value:?}"))
        .label(format!("expected {known}"));
    if is_edition {
        let help = "a newer protoc may support it: in routes.yaml, write\nproto: { compiler: protoc }\nto have the protoc on the PATH read the files";
        return fault.help(help).boxed();
    }
    fault.boxed()
}
