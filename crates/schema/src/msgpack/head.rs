//! The reader of MessagePack values. The length or count in the head of a value is checked against
//! the rest of the payload.

use super::plain;
use crate::table::{Field, FieldKind, Member};
use crate::violation::{Checked, Fault, counted, deeper};

/// The marker byte of nil.
const NIL: u8 = 0xc0;

/// A reader of the payload from `at` on.
#[derive(Clone)]
pub(crate) struct MsgpackReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A complete value or, for an array or a map, only its head: the number of elements or pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MsgpackHead<'a> {
    Nil,
    Bool(bool),
    /// A number of zero or more.
    Uint(u64),
    /// A number less than zero.
    Negative(i64),
    Float(f64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// The number of elements of an array. The elements follow.
    Array(usize),
    /// The number of pairs of a map. The pairs follow.
    Map(usize),
    /// An extension's type and data.
    Ext(i8, &'a [u8]),
}

impl MsgpackHead<'_> {
    /// Describes the value for a violation.
    #[cold]
    pub(crate) fn describe(self) -> String {
        match self {
            MsgpackHead::Nil => "nil".to_owned(),
            MsgpackHead::Bool(value) => value.to_string(),
            MsgpackHead::Uint(value) => format!("the integer {value}"),
            MsgpackHead::Negative(value) => format!("the integer {value}"),
            MsgpackHead::Float(value) => format!("the float {value:?}"),
            MsgpackHead::Str(_) => "a string".to_owned(),
            MsgpackHead::Bin(bytes) => format!("binary of {}", counted(bytes.len(), "byte")),
            MsgpackHead::Array(count) => format!("an array of {count}"),
            MsgpackHead::Map(count) => format!("a map of {count}"),
            MsgpackHead::Ext(kind, _) => format!("an extension of type {kind}"),
        }
    }
}

impl<'a> MsgpackReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the position of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns a reader of the same payload from `at` on.
    #[cold]
    pub(crate) fn back(&self, at: usize) -> Self {
        let bytes = self.bytes;
        Self { bytes, at }
    }

    /// Returns the number of unread bytes.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Returns whether nil is next.
    #[inline]
    pub(crate) fn is_nil(&self) -> bool {
        self.bytes.get(self.at) == Some(&NIL)
    }

    /// Takes a nil if one is next. Returns whether a nil was next.
    #[inline]
    pub(crate) fn nil(&mut self) -> bool {
        let nil = self.is_nil();
        self.at += usize::from(nil);
        nil
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

    /// Takes the next value and returns true if it is a scalar of this kind in its usual form (see
    /// `plain.rs`). Otherwise takes nothing and returns false: the general path must read the
    /// value.
    #[inline]
    pub(crate) fn plain(&mut self, kind: FieldKind) -> bool {
        let after = plain::scalar(self.rest(), plain::tails(kind));
        after.inspect(|rest| self.go_to(rest)).is_some()
    }

    /// Takes the next value and returns true if it is a value of this field in its usual form.
    /// Otherwise takes nothing and returns false.
    #[inline]
    pub(crate) fn plain_value(&mut self, field: &Field) -> bool {
        let after = plain::value(self.rest(), field);
        after.inspect(|rest| self.go_to(rest)).is_some()
    }

    /// Takes values of these members, one after the other. Stops before a value that is not in its
    /// usual form, and before a value for which `accepts` returns false. `accepts` receives the
    /// member's index and the bytes of the value. Returns the remaining members.
    #[inline]
    pub(crate) fn plain_values<'m>(
        &mut self,
        members: &'m [Member],
        mut accepts: impl FnMut(u32, &'a [u8]) -> bool,
    ) -> &'m [Member] {
        let mut rest = self.rest();
        let mut left = members;
        while let [member, others @ ..] = left {
            let Some((value, after)) = plain::member_value(rest, member) else {
                break;
            };
            if !accepts(member.index, value) {
                break;
            }
            (rest, left) = (after, others);
        }
        self.go_to(rest);
        left
    }

    /// Takes keys and values of these members, one pair after the other. Stops before a pair that
    /// is not in its usual form, and before a value for which `accepts` returns false. `accepts`
    /// receives the member's index and the bytes of the value. Returns the remaining members.
    #[inline]
    pub(crate) fn plain_pairs<'m>(
        &mut self,
        members: &'m [Member],
        mut accepts: impl FnMut(u32, &'a [u8]) -> bool,
    ) -> &'m [Member] {
        let mut rest = self.rest();
        let mut left = members;
        while let [member, others @ ..] = left {
            let Some((value, after)) = plain::pair(rest, member) else {
                break;
            };
            if !accepts(member.index, value) {
                break;
            }
            (rest, left) = (after, others);
        }
        self.go_to(rest);
        left
    }

    /// If the next value is an array of up to 15 elements, and at least one byte for each element
    /// follows, takes the head of the array and returns the number of elements. Otherwise takes
    /// nothing and returns `None`. Most arrays are this short.
    #[inline]
    pub(crate) fn short_array(&mut self) -> Option<usize> {
        let marker = *self.bytes.get(self.at)?;
        let count = usize::from(marker & 0x0f);
        let short = marker & 0xf0 == 0x90 && count < self.left();
        self.at += usize::from(short);
        short.then_some(count)
    }

    /// If the next value is a map of up to 15 pairs, and at least two bytes for each pair follow,
    /// takes the head of the map and returns the number of pairs. Otherwise takes nothing and
    /// returns `None`. Most maps are this short.
    #[inline]
    pub(crate) fn short_map(&mut self) -> Option<usize> {
        let marker = *self.bytes.get(self.at)?;
        let count = usize::from(marker & 0x0f);
        let short = marker & 0xf0 == 0x80 && 2 * count < self.left();
        self.at += usize::from(short);
        short.then_some(count)
    }

    /// Takes the next value and returns its bytes if it is a complete string of up to 31 bytes.
    /// Otherwise takes nothing and returns `None`. Most keys are this short.
    #[inline]
    pub(crate) fn short_string(&mut self) -> Option<&'a [u8]> {
        let (&marker, rest) = self.bytes.get(self.at..)?.split_first()?;
        let text = short_text(marker, rest)?;
        self.at += 1 + text.len();
        Some(text)
    }

    /// Reads the next value. Of an array or a map, only the head is read.
    pub(crate) fn head(&mut self) -> Checked<MsgpackHead<'a>> {
        let at = self.at;
        let [marker] = self.fixed()?;
        Ok(match marker {
            0x00..=0x7f => MsgpackHead::Uint(u64::from(marker)),
            0x80..=0x8f => self.pairs(at, usize::from(marker & 0x0f))?,
            0x90..=0x9f => self.elements(at, usize::from(marker & 0x0f))?,
            0xa0..=0xbf => MsgpackHead::Str(self.take(usize::from(marker & 0x1f))?),
            0xe0..=0xff => MsgpackHead::Negative(i64::from(marker as i8)),
            _ => self.long_head(at, marker)?,
        })
    }

    fn long_head(&mut self, at: usize, marker: u8) -> Checked<MsgpackHead<'a>> {
        Ok(match marker {
            NIL => MsgpackHead::Nil,
            0xc2 => MsgpackHead::Bool(false),
            0xc3 => MsgpackHead::Bool(true),
            0xc4..=0xc6 => {
                let length = self.length(marker - 0xc4)?;
                MsgpackHead::Bin(self.take(length)?)
            }
            0xc7..=0xc9 => {
                let length = self.length(marker - 0xc7)?;
                self.extension(length)?
            }
            0xca => MsgpackHead::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            0xcb => MsgpackHead::Float(f64::from_be_bytes(self.fixed()?)),
            0xcc => MsgpackHead::Uint(u64::from(u8::from_be_bytes(self.fixed()?))),
            0xcd => MsgpackHead::Uint(u64::from(u16::from_be_bytes(self.fixed()?))),
            0xce => MsgpackHead::Uint(u64::from(u32::from_be_bytes(self.fixed()?))),
            0xcf => MsgpackHead::Uint(u64::from_be_bytes(self.fixed()?)),
            0xd0 => signed(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => signed(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => signed(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => signed(i64::from_be_bytes(self.fixed()?)),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let length = self.length(marker - 0xd9)?;
                MsgpackHead::Str(self.take(length)?)
            }
            0xdc | 0xdd => {
                let count = self.length(marker - 0xdc + 1)?;
                self.elements(at, count)?
            }
            0xde | 0xdf => {
                let count = self.length(marker - 0xde + 1)?;
                self.pairs(at, count)?
            }
            _ => {
                return Err(Fault::new(
                    at,
                    "a value",
                    format!("the unused marker {marker:#04x}"),
                ));
            }
        })
    }

    /// Reads a big-endian length, which has 1, 2 or 4 bytes if `size` is 0, 1 or 2, respectively.
    fn length(&mut self, size: u8) -> Checked<usize> {
        Ok(match size {
            0 => usize::from(u8::from_be_bytes(self.fixed()?)),
            1 => usize::from(u16::from_be_bytes(self.fixed()?)),
            _ => u32::from_be_bytes(self.fixed()?) as usize,
        })
    }

    fn extension(&mut self, length: usize) -> Checked<MsgpackHead<'a>> {
        let [kind] = self.fixed()?;
        Ok(MsgpackHead::Ext(kind as i8, self.take(length)?))
    }

    /// Returns the head of an array of `count` elements. Every element takes at least a byte, so a
    /// count above the number of unread bytes is a violation.
    #[inline]
    fn elements(&self, at: usize, count: usize) -> Checked<MsgpackHead<'a>> {
        match count <= self.left() {
            true => Ok(MsgpackHead::Array(count)),
            false => Err(self.short(at, count, "element")),
        }
    }

    #[inline]
    fn pairs(&self, at: usize, count: usize) -> Checked<MsgpackHead<'a>> {
        match count <= self.left() / 2 {
            true => Ok(MsgpackHead::Map(count)),
            false => Err(self.short(at, count, "pair")),
        }
    }

    #[cold]
    fn short(&self, at: usize, needed: usize, what: &str) -> Box<Fault> {
        let found = format!("only {}", counted(self.left(), "byte"));
        Fault::new(at, counted(needed, what), found)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Checked<[u8; N]> {
        match self.bytes[self.at..].first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Fault::truncated(self.at, N, self.left())),
        }
    }

    #[inline]
    fn take(&mut self, length: usize) -> Checked<&'a [u8]> {
        match self.bytes[self.at..].get(..length) {
            Some(bytes) => {
                self.at += length;
                Ok(bytes)
            }
            None => Err(Fault::truncated(self.at, length, self.left())),
        }
    }

    /// Goes back to the value at `at`, and skips it.
    #[cold]
    pub(crate) fn skip_from(&mut self, at: usize, depth: u32) -> Checked<()> {
        self.at = at;
        self.skip(depth)
    }

    /// Skips a well-formed value of any kind. `depth` bounds the nesting of arrays and maps.
    pub(crate) fn skip(&mut self, depth: u32) -> Checked<()> {
        let at = self.at;
        let values = match self.head()? {
            MsgpackHead::Array(count) => count,
            MsgpackHead::Map(count) => count * 2,
            _ => return Ok(()),
        };
        let depth = deeper(depth, at)?;
        for _ in 0..values {
            self.skip(depth)?;
        }
        Ok(())
    }
}

/// Returns the string of up to 31 bytes that `rest` begins with, or `None` if `marker` does not
/// mark such a string or `rest` is too short.
#[inline]
fn short_text(marker: u8, rest: &[u8]) -> Option<&[u8]> {
    let short = marker & 0xe0 == 0xa0;
    rest.get(..usize::from(marker & 0x1f)).filter(|_| short)
}

fn signed(value: i64) -> MsgpackHead<'static> {
    match u64::try_from(value) {
        Ok(value) => MsgpackHead::Uint(value),
        Err(_) => MsgpackHead::Negative(value),
    }
}
