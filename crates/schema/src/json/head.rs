//! JSON below the level of messages: tokens of RFC 8259, strictly, with strings in UTF-8.

use super::number::Number;
use super::plain::{self, Next};
use super::text::{Text, string};
use super::unexpected::unexpected;
use crate::keys::{Key, Keys};
use crate::table::{FieldKind, Member};
use crate::violation::{Checked, Fault, deeper, excerpt};

/// Reads the payload from `at`.
#[derive(Clone)]
pub(crate) struct JsonReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value, or what is known of it before its elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JsonHead<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Str(Text<'a>),
    /// Elements follow.
    Array,
    /// Members follow.
    Object,
}

impl JsonHead<'_> {
    /// What was found, for a sentence.
    #[cold]
    pub fn describe(self) -> String {
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
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte lies.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Passes white space; where the next token lies.
    #[inline]
    pub fn token(&mut self) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.at
    }

    /// The first byte of the next token.
    #[inline]
    pub fn next(&mut self) -> Option<u8> {
        self.token();
        self.peek()
    }

    /// Passes `byte`, if it is the next token.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let taken = self.next() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    /// That nothing follows but white space.
    pub fn end(&mut self) -> Checked<()> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the message")),
        }
    }

    /// Behind `[` or `{`: whether an element comes. If not, `close` is passed.
    #[inline]
    pub fn opened(&mut self, close: u8) -> bool {
        !self.take(close)
    }

    /// Behind an element: whether another comes. If not, `close` is passed.
    #[inline]
    pub fn another(&mut self, close: u8) -> Checked<bool> {
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

    /// Passes the key of `member`, and the colon behind it, if they are next and plainly written.
    #[inline]
    pub fn expected(&mut self, member: &Member) -> bool {
        let behind = member.json.strip(self.rest());
        behind.inspect(|rest| self.go_to(rest)).is_some()
    }

    /// A member's name, and the colon behind it.
    #[inline]
    pub fn key(&mut self) -> Checked<Text<'a>> {
        if !self.take(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let key = string(self.bytes, &mut self.at)?;
        if !self.take(b':') {
            return Err(self.unexpected("\":\""));
        }
        Ok(key)
    }

    /// The same payload, read from `at`.
    #[cold]
    pub fn back(&self, at: usize) -> Self {
        let bytes = self.bytes;
        Self { bytes, at }
    }

    /// What is still to read.
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Goes on at `rest`, which is the end of the payload.
    #[inline]
    fn go_to(&mut self, rest: &[u8]) {
        self.at = self.bytes.len() - rest.len();
    }

    /// Passes the next value if it is a scalar of this kind in a form that its writers choose; else all
    /// is left as it was but for white space, for others to read and to judge.
    #[inline]
    pub fn plain(&mut self, kind: FieldKind) -> bool {
        self.token();
        match plain::scalar(self.rest(), kind) {
            // More of a number, which may be no whole one then.
            None | Some([b'.' | b'e' | b'E', ..]) => false,
            Some(rest) => {
                self.go_to(rest);
                true
            }
        }
    }

    /// Passes members of an object, one after the other, as long as they are the next of `members`, plainly written
    /// and `new`. Returns the members that are left, and what comes next.
    #[inline]
    pub fn plain_members<'m>(
        &mut self,
        members: &'m [Member],
        mut new: impl FnMut(u32) -> bool,
    ) -> (&'m [Member], Next) {
        let mut rest = plain::gap(self.rest());
        let (mut left, mut next) = (members, Next::Another);
        while let (Next::Another, [member, others @ ..]) = (&next, left) {
            let Some((behind, what)) = plain::member(rest, member) else {
                break;
            };
            if !new(member.index) {
                break;
            }
            (rest, left, next) = (behind, others, what);
        }
        self.go_to(rest);
        (left, next)
    }

    /// The next value, which mostly has elements.
    #[inline]
    pub fn opening(&mut self) -> Checked<JsonHead<'a>> {
        match self.next() {
            Some(b'{') => self.mark(JsonHead::Object),
            Some(b'[') => self.mark(JsonHead::Array),
            _ => self.head(),
        }
    }

    /// The next value, or its head if it has elements.
    pub fn head(&mut self) -> Checked<JsonHead<'a>> {
        match self.next() {
            Some(b'"') => {
                self.at += 1;
                string(self.bytes, &mut self.at).map(JsonHead::Str)
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = Number::read(self.bytes, &mut self.at)?;
                Ok(JsonHead::Number(number))
            }
            Some(b'{') => self.mark(JsonHead::Object),
            Some(b'[') => self.mark(JsonHead::Array),
            Some(b'n') => self.word("null", JsonHead::Null),
            Some(b't') => self.word("true", JsonHead::Bool(true)),
            Some(b'f') => self.word("false", JsonHead::Bool(false)),
            _ => Err(self.unexpected("a value")),
        }
    }

    #[inline]
    fn mark(&mut self, head: JsonHead<'a>) -> Checked<JsonHead<'a>> {
        self.at += 1;
        Ok(head)
    }

    #[inline]
    fn word(&mut self, word: &'static str, head: JsonHead<'a>) -> Checked<JsonHead<'a>> {
        match self.bytes[self.at..].starts_with(word.as_bytes()) {
            true => {
                self.at += word.len();
                Ok(head)
            }
            false => Err(self.unexpected("a value")),
        }
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> Box<Fault> {
        unexpected(self.bytes, self.at, expected)
    }

    /// Goes back to the value at `at`, and passes it.
    #[cold]
    pub fn pass(&mut self, at: usize, depth: u32) -> Checked<()> {
        self.at = at;
        self.skip(depth)
    }

    /// A value of any kind, well-formed whatever it means; `depth` counts arrays and objects.
    pub fn skip(&mut self, depth: u32) -> Checked<()> {
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

/// The names of one object's members so far, each once.
pub(super) struct Names<'a> {
    /// Stands at the first.
    body: JsonReader<'a>,
    seen: Keys<Text<'a>>,
}

impl<'a> Names<'a> {
    /// Of the object whose members `body` is about to read.
    #[inline]
    pub fn new(body: &JsonReader<'a>) -> Self {
        let (body, seen) = (body.clone(), Keys::default());
        Self { body, seen }
    }

    /// The next name; a second one of the same text is a fault.
    #[inline]
    pub fn next(&mut self, reader: &mut JsonReader<'a>) -> Checked<Text<'a>> {
        let at = reader.token();
        let name = reader.key()?;
        self.add(name, at)?;
        Ok(name)
    }

    /// A name that was read at `at`.
    #[inline]
    pub fn add(&mut self, name: Text<'a>, at: usize) -> Checked<()> {
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

/// A key that was there before.
#[cold]
pub(super) fn twice(key: Key<Text>, at: usize) -> Box<Fault> {
    Fault::new(at, "each key once", "it again").under(key.segment())
}

/// Whether a member of this name lies between `body` and `at`.
#[cold]
fn was_before(body: &JsonReader, name: Text, at: usize) -> Checked<bool> {
    let mut reader = body.clone();
    let mut more = reader.opened(b'}');
    while more && reader.token() < at {
        if reader.key()? == name {
            return Ok(true);
        }
        // Walked before, within its depth.
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_met_twice_is_settled_by_the_names() {
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
