//! Parses options as they are written: names and values, aggregates included.

use super::{Parse, Parser, TokenKind};
use crate::fault::TextFault;
use crate::float;
use crate::literal::integer;
use crate::outline::NESTING_MAX;
use crate::parsed::{Base, Entity, Entry, Part, Value, WrittenOption};

/// The maximum number of parts of an option's name, as in protoc. Each part except the last adds a
/// level of nested messages, and the protobuf libraries parse at most [`NESTING_MAX`] levels.
const NAME_PARTS_MAX: usize = NESTING_MAX + 1;

impl Parser<'_> {
    /// Parses `option NAME = VALUE;`.
    pub(super) fn option_statement(&mut self) -> Parse<WrittenOption> {
        self.next();
        let written = self.option_assignment()?;
        self.expect_end()?;
        Ok(written)
    }

    /// Parses `[NAME = VALUE, …]`.
    pub(super) fn bracketed_options(&mut self) -> Parse<Vec<WrittenOption>> {
        self.expect_punct(b'[')?;
        let mut options = Vec::new();
        loop {
            options.push(self.option_assignment()?);
            if !self.take_punct(b',') {
                break;
            }
        }
        if !self.take_punct(b']') {
            return self.unexpected("',' or ']'");
        }
        Ok(options)
    }

    pub(super) fn option_assignment(&mut self) -> Parse<WrittenOption> {
        let from = self.token();
        let mut name = Vec::new();
        loop {
            name.push(self.option_part()?);
            if name.len() > NAME_PARTS_MAX {
                let text = format!("an option's name of more than {NAME_PARTS_MAX} parts");
                return Err(TextFault::new(self.since(from), text).boxed());
            }
            if !self.take_punct(b'.') {
                break;
            }
        }
        let name_range = self.since(from);
        self.expect_punct(b'=')?;
        let from = self.token();
        let value = self.option_value()?;
        Ok(WrittenOption {
            owner: Vec::new(),
            entity: Entity::File,
            name,
            name_range,
            value,
            value_range: self.since(from),
        })
    }

    fn option_part(&mut self) -> Parse<Part> {
        if !self.take_punct(b'(') {
            let (name, _) = self.expect_word("the name of an option")?;
            return Ok(Part {
                name: name.to_owned(),
                is_extension: false,
            });
        }
        let (name, _) = self.type_name("the name of an extension")?;
        self.expect_punct(b')')?;
        Ok(Part {
            name,
            is_extension: true,
        })
    }

    fn option_value(&mut self) -> Parse<Value> {
        // An error in an earlier value may have left `nested` above zero.
        self.nested = 0;
        if self.take_punct(b'{') {
            return self.aggregate(b'}').map(Value::Aggregate);
        }
        if self.token().kind == TokenKind::Word && self.ahead(1).kind == TokenKind::Punct(b':') {
            // The value begins like the entry of an aggregate, so only the `{` is missing.
            let unexpected = self.unexpected::<()>("'{'");
            unexpected.or_else(|fault| self.report(fault))?;
            return self.aggregate(b'}').map(Value::Aggregate);
        }
        self.scalar_value("the option's value", false)
    }

    /// Reads a word, number or text, with a minus where one is allowed. If `lax` is set, as in the
    /// text format, more spellings of infinity are allowed.
    fn scalar_value(&mut self, what: &str, lax: bool) -> Parse<Value> {
        let minus = self.token();
        let negative = self.take_punct(b'-');
        let token = self.token();
        Ok(match token.kind {
            TokenKind::Word => {
                self.next();
                let word = self.word(token);
                if !negative {
                    return Ok(Value::Word(word.to_owned()));
                }
                let n = float::named(word, lax).ok_or_else(|| {
                    let fault = TextFault::new(minus.range(), "a minus before a word");
                    fault.label("expected a number, inf or nan").boxed()
                })?;
                // Only the text format has -nan.
                Value::Float(if n.is_nan() && !lax { n } else { -n })
            }
            TokenKind::Integer => {
                self.next();
                let text = self.word(token);
                let base = match text.len() > 1 && text.starts_with('0') {
                    true => Base::Other,
                    false => Base::Ten,
                };
                match (integer(text), negative) {
                    (Some(n), false) => Value::Integer(n, base),
                    (Some(n), true) if n <= 1 << 63 => Value::Negative(n, base),
                    // A number that fits no integer may still be a float.
                    _ => {
                        let n = self.as_float(token)?;
                        Value::Float(if negative { -n } else { n })
                    }
                }
            }
            TokenKind::Float => {
                self.next();
                let n = float::parsed(self.word(token));
                Value::Float(if negative { -n } else { n })
            }
            TokenKind::Text if !negative => Value::Text(self.expect_bytes(what)?),
            _ => return self.unexpected(what),
        })
    }

    /// Reads a message in the text format up to `close`, after its opening bracket.
    fn aggregate(&mut self, close: u8) -> Parse<Vec<Entry>> {
        let mut entries = Vec::new();
        self.nested += 1;
        // A file that nests too deeply by its outline is not parsed. In a file with errors, the
        // outline may miss brackets, because it may read them as a part of a quoted text.
        if self.nested > NESTING_MAX {
            let open = self.tokens[self.at.saturating_sub(1)].range();
            let text = format!("brackets nest more than {NESTING_MAX} deep");
            return Err(TextFault::new(open, text).boxed());
        }
        while !self.take_punct(close) {
            let from = self.token();
            let bracketed = self.take_punct(b'[');
            let name = if bracketed {
                self.bracketed_name()?
            } else {
                self.entry_name()?
            };
            let range = self.since(from);
            let colon = self.take_punct(b':');
            let value = match () {
                () if self.take_punct(b'{') => Value::Aggregate(self.aggregate(b'}')?),
                () if self.take_punct(b'<') => Value::Aggregate(self.aggregate(b'>')?),
                () if self.take_punct(b'[') => self.list(colon)?,
                () if colon => self.scalar_value("a value", true)?,
                () => return self.unexpected("':' and a value"),
            };
            entries.push(Entry {
                name,
                bracketed,
                range,
                value,
            });
            if !self.take_punct(b',') {
                self.take_punct(b';');
            }
        }
        self.nested -= 1;
        Ok(entries)
    }

    fn entry_name(&mut self) -> Parse<String> {
        Ok(self.expect_word("the name of a field")?.0.to_owned())
    }

    /// Reads the name of an extension, or the name of a type with its host, after the opening
    /// bracket.
    fn bracketed_name(&mut self) -> Parse<String> {
        let mut name = String::new();
        loop {
            let kind = self.token().kind;
            match kind {
                TokenKind::Word => {
                    let token = self.next();
                    name.push_str(self.word(token));
                }
                TokenKind::Punct(punct @ (b'.' | b'/' | b'-')) => {
                    self.next();
                    name.push(char::from(punct));
                }
                TokenKind::Punct(b']') if !name.is_empty() => {
                    self.next();
                    return Ok(name);
                }
                _ => return self.unexpected("the name of an extension or type"),
            }
        }
    }

    /// Reads a list after its opening bracket. Without a colon before the list, only messages are
    /// allowed.
    fn list(&mut self, colon: bool) -> Parse<Value> {
        let mut list = Vec::new();
        if self.take_punct(b']') {
            return Ok(Value::List(list));
        }
        loop {
            let from = self.token();
            let value = match () {
                () if self.take_punct(b'{') => Value::Aggregate(self.aggregate(b'}')?),
                () if self.take_punct(b'<') => Value::Aggregate(self.aggregate(b'>')?),
                () if colon => self.scalar_value("a value", true)?,
                () => return self.unexpected("'{'"),
            };
            list.push((value, self.since(from)));
            if self.take_punct(b']') {
                return Ok(Value::List(list));
            }
            self.expect_punct(b',')?;
        }
    }
}
