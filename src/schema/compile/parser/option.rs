//! Options as written: names and values, aggregates included.

use super::super::fault::Fault;
use super::super::float;
use super::super::literal::integer;
use super::super::parsed::{Entity, Entry, Part, Value, Written};
use super::{Kind, Parse, Parser};

impl Parser<'_> {
    /// `option NAME = VALUE;`
    pub(super) fn option_statement(&mut self) -> Parse<Written> {
        self.next();
        let written = self.option_assignment()?;
        self.expect_end()?;
        Ok(written)
    }

    /// `[NAME = VALUE, …]`
    pub(super) fn bracketed_options(&mut self) -> Parse<Vec<Written>> {
        self.expect_sign(b'[')?;
        let mut options = Vec::new();
        loop {
            options.push(self.option_assignment()?);
            if !self.take_sign(b',') {
                break;
            }
        }
        if !self.take_sign(b']') {
            return self.unexpected("',' or ']'");
        }
        Ok(options)
    }

    pub(super) fn option_assignment(&mut self) -> Parse<Written> {
        let from = self.token();
        let mut name = Vec::new();
        loop {
            name.push(self.option_part()?);
            if !self.take_sign(b'.') {
                break;
            }
        }
        let name_range = self.since(from);
        self.expect_sign(b'=')?;
        let from = self.token();
        let value = self.option_value()?;
        Ok(Written {
            owner: Vec::new(),
            entity: Entity::File,
            name,
            name_range,
            value,
            value_range: self.since(from),
        })
    }

    fn option_part(&mut self) -> Parse<Part> {
        if !self.take_sign(b'(') {
            let (name, _) = self.expect_word("the name of an option")?;
            return Ok(Part {
                name: name.to_owned(),
                is_extension: false,
            });
        }
        let (name, _) = self.type_name("the name of an extension")?;
        self.expect_sign(b')')?;
        Ok(Part {
            name,
            is_extension: true,
        })
    }

    fn option_value(&mut self) -> Parse<Value> {
        if self.take_sign(b'{') {
            return self.aggregate(b'}').map(Value::Aggregate);
        }
        if self.token().kind == Kind::Word && self.ahead(1).kind == Kind::Sign(b':') {
            // Only the bracket is missing.
            let unexpected = self.unexpected::<()>("'{'");
            unexpected.or_else(|fault| self.tell(fault))?;
            return self.aggregate(b'}').map(Value::Aggregate);
        }
        self.scalar_value("the option's value")
    }

    /// A word, number or text, with a minus where it makes sense.
    fn scalar_value(&mut self, what: &str) -> Parse<Value> {
        let minus = self.token();
        let negative = self.take_sign(b'-');
        let token = self.token();
        Ok(match token.kind {
            Kind::Word => {
                self.next();
                match (negative, self.word(token)) {
                    (false, word) => Value::Word(word.to_owned()),
                    (true, "inf" | "infinity") => Value::Float(f64::NEG_INFINITY),
                    (true, "nan") => Value::Float(f64::NAN),
                    (true, _) => {
                        return Err(Fault::new(minus.range(), "a minus before a word").boxed());
                    }
                }
            }
            Kind::Integer => {
                self.next();
                let text = self.word(token);
                match (integer(text), negative) {
                    (Some(n), false) => Value::Integer(n),
                    (Some(n), true) if n <= 1 << 63 => Value::Negative(n),
                    // What no integer can hold may still be a float.
                    (_, _) => {
                        let n = float::parsed(text);
                        Value::Float(if negative { -n } else { n })
                    }
                }
            }
            Kind::Float => {
                self.next();
                let n = float::parsed(self.word(token));
                Value::Float(if negative { -n } else { n })
            }
            Kind::Text if !negative => Value::Text(self.expect_bytes(what)?),
            _ => return self.unexpected(what),
        })
    }

    /// The text format, up to `close`; the bracket before is taken.
    fn aggregate(&mut self, close: u8) -> Parse<Vec<Entry>> {
        let mut entries = Vec::new();
        while !self.take_sign(close) {
            let from = self.token();
            let bracketed = self.take_sign(b'[');
            let name = if bracketed {
                self.bracketed_name()?
            } else {
                self.entry_name()?
            };
            let range = self.since(from);
            let colon = self.take_sign(b':');
            let value = match () {
                () if self.take_sign(b'{') => Value::Aggregate(self.aggregate(b'}')?),
                () if self.take_sign(b'<') => Value::Aggregate(self.aggregate(b'>')?),
                () if self.take_sign(b'[') => self.list(colon)?,
                () if colon => self.scalar_value("a value")?,
                () => return self.unexpected("':' and a value"),
            };
            entries.push(Entry {
                name,
                bracketed,
                range,
                value,
            });
            if !self.take_sign(b',') {
                self.take_sign(b';');
            }
        }
        Ok(entries)
    }

    fn entry_name(&mut self) -> Parse<String> {
        Ok(self.expect_word("the name of a field")?.0.to_owned())
    }

    /// An extension's name, or a type's with a host before it; the bracket before is taken.
    fn bracketed_name(&mut self) -> Parse<String> {
        let mut name = String::new();
        loop {
            let sign = self.token().kind;
            match sign {
                Kind::Word => {
                    let token = self.next();
                    name.push_str(self.word(token));
                }
                Kind::Sign(sign @ (b'.' | b'/' | b'-')) => {
                    self.next();
                    name.push(char::from(sign));
                }
                Kind::Sign(b']') if !name.is_empty() => {
                    self.next();
                    return Ok(name);
                }
                _ => return self.unexpected("the name of an extension or type"),
            }
        }
    }

    /// The bracket before is taken. Without a colon before it, messages only.
    fn list(&mut self, colon: bool) -> Parse<Value> {
        let mut list = Vec::new();
        if self.take_sign(b']') {
            return Ok(Value::List(list));
        }
        loop {
            let from = self.token();
            let value = match () {
                () if self.take_sign(b'{') => Value::Aggregate(self.aggregate(b'}')?),
                () if self.take_sign(b'<') => Value::Aggregate(self.aggregate(b'>')?),
                () if colon => self.scalar_value("a value")?,
                () => return self.unexpected("'{'"),
            };
            list.push((value, self.since(from)));
            if self.take_sign(b']') {
                return Ok(Value::List(list));
            }
            self.expect_sign(b',')?;
        }
    }
}
