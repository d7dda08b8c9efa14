//! JSON below the level of messages: the tokens of RFC 8259 without extensions, and strings in
//! UTF-8.

use super::number::Number;
use super::plain::{self, Next};
use super::text::{Text, string};
use super::unexpected::unexpected;
use crate::keys::{Key, Keys};
use crate::table::{FieldKind, Member};
use crate::violation::{Checked, Fault, deeper, excerpt};

/// A reader of the payload from `at` on.
#[derive(Clone)]
pub(crate) struct JsonReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value, or its first token if it has elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JsonHead<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Str(Text<'a>),
    /// The start of an array. The elements follow.
    Array,
    /// The start of an object. The members follow.
    Object,
}

impl JsonHead<'_> {
    /// Describes the value for a violation.
    #[cold]
    pub(crate) fn describe(self) -> String {
        match self {
            JsonHead::Null => "null".to_owned(),
            JsonHead::Bool(value) => value.to_string(),
            JsonHead::Number(number) => format!("the number {}", number.excerpt()),
            JsonHead::Str(text) => format!("the string {}", excerpt(text.decoded().as_bytes())),
            JsonHead::Array => "an array".to_owned(),
            JsonHead::Object => "an object".to_owned(),
        }
    }
}

impl<'a> JsonReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the position of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Skips white space, and returns the position of the next token.
    #[inline]
    pub(crate) fn token(&mut self) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.at
    }

    /// Returns the first byte of the next token, or `None` at the end of the payload.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.token();
        self.peek()
    }

    /// Takes the next token if it is `byte`. Returns whether the token was taken.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.next() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// Checks that nothing follows but white space.
    pub(crate) fn end(&mut self) -> Checked<()> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the message")),
        }
    }

    /// Returns whether an element follows `[` or `{`. If not, takes `close`.
    #[inline]
    pub(crate) fn opened(&mut self, close: u8) -> bool {
        !self.take(close)
    }

    /// Returns whether another element follows. If not, takes `close`.
    #[inline]
    pub(crate) fn another(&mut self, close: u8) -> Checked<bool> {
        match self.next() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.unexpected(match close {
                b']' => "\",\" or \"]\"",
                _ => "\",\" or \"}\"",
            })),
        }
    }

    /// Takes the key of `member` and the colon if they come next in their usual form. Returns
    /// whether they were taken.
    #[inline]
    pub(crate) fn expected(&mut self, member: &Member) -> bool {
        let after = member.json.strip(self.rest());
        after.inspect(|rest| self.go_to(rest)).is_some()
    }

    /// Reads a member's name and the colon.
    #[inline]
    pub(crate) fn key(&mut self) -> Checked<Text<'a>> {
        if !self.take(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let key = string(self.bytes, &mut self.at)?;
        if !self.take(b':') {
            return Err(self.unexpected("\":\""));
        }
        Ok(key)
    }

    /// Returns a reader of the same payload from `at` on.
    #[cold]
    pub(crate) fn back(&self, at: usize) -> Self {
        let bytes = self.bytes;
        Self { bytes, at }
    }

    /// Returns the bytes that were read since position `at`.
    #[inline]
    pub(crate) fn since(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..self.at).unwrap_or_default()
    }

    /// Returns the unread bytes.
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Moves to `rest`, which is a suffix of the payload.
    #[inline]
    fn go_to(&mut self, rest: &[u8]) {
        self.at = self.bytes.len() - rest.len();
    }

    /// Takes the next value and returns true if it is a scalar of this kind in the form that
    /// writers usually choose. Otherwise takes only white space and returns false, and the general
    /// path must read the value.
    #[inline]
    pub(crate) fn plain(&mut self, kind: FieldKind) -> bool {
        self.token();
        match plain::scalar(self.rest(), kind) {
            // The number continues with a fraction or an exponent, which the general path reads.
            None | Some([b'.' | b'e' | b'E', ..]) => false,
            Some(rest) => {
                self.go_to(rest);
                true
            }
        }
    }

    /// Takes members of an object that come in the order of `members` and in their usual form.
    /// Calls `accepts` with the index of each member and the bytes of its value, and stops before
    /// the first member for which `accepts` returns false. Returns the rest of `members`, and the
    /// token after the last member that was taken, or [`Next::Another`] if no member was taken.
    #[inline]
    pub(crate) fn plain_members<'m>(
        &mut self,
        members: &'m [Member],
        mut accepts: impl FnMut(u32, &'a [u8]) -> bool,
    ) -> (&'m [Member], Next) {
        let mut rest = plain::gap(self.rest());
        let (mut left, mut next) = (members, Next::Another);
        while let (Next::Another, [member, others @ ..]) = (&next, left) {
            let Some((value, after, following)) = plain::member(rest, member) else {
                break;
            };
            if !accepts(member.index, value) {
                break;
            }
            (rest, left, next) = (after, others, following);
        }
        self.go_to(rest);
        (left, next)
    }

    /// Reads the next value as `head` does. This is faster than `head` for objects and arrays,
    /// because they are tried first.
    #[inline]
    pub(crate) fn opening(&mut self) -> Checked<JsonHead<'a>> {
        match self.next() {
            Some(b'{') => self.take_bracket(JsonHead::Object),
            Some(b'[') => self.take_bracket(JsonHead::Array),
            _ => self.head(),
        }
    }

    /// Reads the next value, or its first token if it has elements.
    pub(crate) fn head(&mut self) -> Checked<JsonHead<'a>> {
        match self.next() {
            Some(b'"') => {
                self.at += 1;
                string(self.bytes, &mut self.at).map(JsonHead::Str)
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = Number::read(self.bytes, &mut self.at)?;
                Ok(JsonHead::Number(number))
            }
            Some(b'{') => self.take_bracket(JsonHead::Object),
            Some(b'[') => self.take_bracket(JsonHead::Array),
            Some(b'n') => self.literal("null", JsonHead::Null),
            Some(b't') => self.literal("true", JsonHead::Bool(true)),
            Some(b'f') => self.literal("false", JsonHead::Bool(false)),
            _ => Err(self.unexpected("a value")),
        }
    }

    #[inline]
    fn take_bracket(&mut self, head: JsonHead<'a>) -> Checked<JsonHead<'a>> {
        self.at += 1;
        Ok(head)
    }

    #[inline]
    fn literal(&mut self, literal: &'static str, head: JsonHead<'a>) -> Checked<JsonHead<'a>> {
        match self.bytes[self.at..].starts_with(literal.as_bytes()) {
            true => {
                self.at += literal.len();
                Ok(head)
            }
            false => Err(self.unexpected("a value")),
        }
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> Box<Fault> {
        unexpected(self.bytes, self.at, expected)
    }

    /// Goes back to the value at `at`, and skips it.
    #[cold]
    pub(crate) fn skip_from(&mut self, at: usize, depth: u32) -> Checked<()> {
        self.at = at;
        self.skip(depth)
    }

    /// Skips a well-formed value of any kind. `depth` bounds the nesting of arrays and objects.
    pub(crate) fn skip(&mut self, depth: u32) -> Checked<()> {
        let at = self.token();
        match self.head()? {
            JsonHead::Array => {
                let depth = deeper(depth, at)?;
                let mut more = self.opened(b']');
                while more {
                    self.skip(depth)?;
                    more = self.another(b']')?;
                }
            }
            JsonHead::Object => {
                let depth = deeper(depth, at)?;
                let mut names = Names::new(self);
                let mut more = self.opened(b'}');
                while more {
                    names.next(self)?;
                    self.skip(depth)?;
                    more = self.another(b'}')?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The names of one object's members that were read so far, for the detection of duplicates.
pub(super) struct Names<'a> {
    /// A reader at the first member.
    body: JsonReader<'a>,
    seen: Keys<Text<'a>>,
}

impl<'a> Names<'a> {
    /// Returns an empty set for the names of an object. `body` is a reader at its first member.
    #[inline]
    pub(super) fn new(body: &JsonReader<'a>) -> Self {
        let (body, seen) = (body.clone(), Keys::default());
        Self { body, seen }
    }

    /// Reads the next name. A name that occurred before is a violation.
    #[inline]
    pub(super) fn next(&mut self, reader: &mut JsonReader<'a>) -> Checked<Text<'a>> {
        let at = reader.token();
        let name = reader.key()?;
        self.add(name, at)?;
        Ok(name)
    }

    /// Adds a name that was read at `at`. A name that was added before is a violation.
    #[inline]
    pub(super) fn add(&mut self, name: Text<'a>, at: usize) -> Checked<()> {
        let body = &self.body;
        match self
            .seen
            .insert(Key::Text(name), || was_before(body, name, at))?
        {
            true => Ok(()),
            false => Err(twice(Key::Text(name), at)),
        }
    }
}

/// Returns the violation of a repeated key.
#[cold]
pub(super) fn twice(key: Key<Text>, at: usize) -> Box<Fault> {
    Fault::new(at, "each key once", "the key again").under(key.segment())
}

/// Returns whether a member of this name lies between the position of `body` and `at`.
#[cold]
fn was_before(body: &JsonReader, name: Text, at: usize) -> Checked<bool> {
    let mut reader = body.clone();
    let mut more = reader.opened(b'}');
    while more && reader.token() < at {
        if reader.key()? == name {
            return Ok(true);
        }
        // The value was walked before, so its depth is within the limit.
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_name_is_found_by_reading_the_earlier_names_again() {
        let body = JsonReader::new(br#""a":1, "\u0062" : [2], "c":3}"#);
        let at = |name| {
            let mut reader = JsonReader::new(name);
            was_before(&body, reader.key().unwrap(), 23).unwrap()
        };
        assert!(at(br#""b":"#));
        assert!(at(br#""\u0061":"#));
        assert!(!at(br#""c":"#));
    }
}
