//! Protobuf's wire format below the level of messages: varints, tags, lengths, groups.

use crate::table::{Plain, wire};
use crate::text::{HIGH, begins_with_text, first_bytes};
use crate::violation::{Checked, Fault, counted, deeper};

/// The maximum size of a varint, in bytes. Bits beyond the 64th are dropped, as in protobuf's own
/// parsers.
const VARINT_MAX: usize = 10;

/// The maximum size of a tag or a length, in bytes. Tags and lengths are varints of 32 bits, and
/// protobuf's own parsers accept no more bytes.
const TAG_MAX: usize = 5;

/// The field number of the group that holds an item of a message set.
pub(super) const MESSAGE_SET_ITEM: u32 = 1;

/// The maximum depth of groups that [`Records`] skips. This is the maximum of the gateway's setting
/// `limits.depth`, so a message that a walk has accepted has no deeper groups.
const RECORD_DEPTH: u32 = 1000;

/// A reader of the payload from `at` to the end of the enclosing message. All offsets count from
/// the start of the payload.
#[derive(Clone)]
pub(crate) struct WireReader<'a> {
    /// The whole payload. The fast path sometimes reads bytes beyond `end`, but accepts no value
    /// that extends beyond `end`.
    payload: &'a [u8],
    at: usize,
    /// The end of the message, which is within the payload and not before `at`.
    end: usize,
}

impl<'a> WireReader<'a> {
    pub(crate) fn new(payload: &'a [u8]) -> Self {
        let end = payload.len();
        Self {
            payload,
            at: 0,
            end,
        }
    }

    /// Returns the position of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// Returns a reader of the same message from `at` on.
    pub(crate) fn rewound(&self, at: usize) -> Self {
        Self {
            payload: self.payload,
            at,
            end: self.end,
        }
    }

    /// Returns a reader at the end of the same message.
    pub(crate) fn at_end(&self) -> Self {
        self.rewound(self.end)
    }

    /// Returns the number of unread bytes.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.end - self.at
    }

    /// Returns the unread bytes.
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.payload[self.at..self.end]
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Checked<u64> {
        match self.rest().first() {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Checked<u64> {
        let mut value = 0;
        for (i, &byte) in self.rest().iter().take(VARINT_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(value);
            }
        }
        Err(self.endless_varint())
    }

    #[cold]
    fn endless_varint(&self) -> Box<Fault> {
        let left = self.left();
        let found = match left {
            0..VARINT_MAX => format!("only {}", counted(left, "byte")),
            _ => "a longer varint".to_owned(),
        };
        Fault::new(self.at, "a varint of at most 10 bytes", found)
    }

    /// Reads a field's number, at least 1, and its wire type, 0 to 5.
    #[inline]
    pub(crate) fn tag(&mut self) -> Checked<(u32, u8)> {
        let at = self.at;
        let tag = self.varint()?;
        let (number, wire) = ((tag >> 3) as u32, (tag & 7) as u8);
        if number == 0 || wire > wire::I32 || self.at - at > TAG_MAX || tag > u64::from(u32::MAX) {
            return Err(Self::bad_tag(at, tag));
        }
        Ok((number, wire))
    }

    #[cold]
    fn bad_tag(at: usize, tag: u64) -> Box<Fault> {
        let found = match (tag >> 3, tag & 7) {
            (_, wire @ (6 | 7)) => format!("wire type {wire}"),
            (0, _) => "field number 0".to_owned(),
            _ => "a tag of more than 32 bits".to_owned(),
        };
        Fault::new(at, "a field's tag", found)
    }

    /// Takes the next `length` bytes.
    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Checked<&'a [u8]> {
        let rest = self.rest();
        if length > rest.len() as u64 {
            return Err(Fault::truncated(self.at, length, rest.len()));
        }
        self.at += length as usize;
        Ok(&rest[..length as usize])
    }

    /// Reads a length and returns that many of the following bytes.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Checked<&'a [u8]> {
        let at = self.at;
        let length = self.varint()?;
        if self.at - at > TAG_MAX {
            return Err(Self::long_length(at));
        }
        self.take(length)
    }

    #[cold]
    fn long_length(at: usize) -> Box<Fault> {
        Fault::new(at, "a length of at most 5 bytes", "a longer varint")
    }

    /// Reads a length, and returns a reader of the message or packed run that follows. Moves to the
    /// end of this message or packed run.
    #[inline]
    pub(crate) fn body(&mut self) -> Checked<WireReader<'a>> {
        let length = self.delimited()?.len();
        Ok(Self {
            payload: self.payload,
            at: self.at - length,
            end: self.at,
        })
    }

    /// Reads varints to the end.
    #[inline]
    pub(crate) fn varints(&mut self) -> Checked<()> {
        if are_varints(self.rest()) {
            self.at = self.end;
            return Ok(());
        }
        while !self.is_empty() {
            self.varint()?;
        }
        Ok(())
    }

    /// Consumes the next fields that the fast path can check (a tag of one byte and a value of an
    /// expected form), and calls `visit` with the number of each field. Stops at the first field
    /// that the fast path cannot check. The general path reads that field.
    #[inline]
    pub(crate) fn plain_fields(
        &mut self,
        fields: &[Plain],
        reject_unknown: bool,
        mut visit: impl FnMut(u32),
    ) {
        let mut at = self.at;
        while at < self.end {
            let Some((tag, size)) = plain_field(
                self.payload.get(at..).unwrap_or_default(),
                fields,
                reject_unknown,
            ) else {
                break;
            };
            let after = at + size;
            if after > self.end {
                break;
            }
            visit(u32::from(tag >> 3));
            at = after;
        }
        self.at = at;
    }

    /// Consumes the same fields as [`Self::plain_fields`], and calls `accepts` with the tag and the
    /// value of each field. A length-delimited value begins with its length. If `accepts` returns
    /// false, consumes no fields and returns false.
    #[inline]
    pub(crate) fn plain_records(
        &mut self,
        fields: &[Plain],
        reject_unknown: bool,
        mut accepts: impl FnMut(u8, &'a [u8]) -> bool,
    ) -> bool {
        let mut at = self.at;
        while at < self.end {
            let rest = self.payload.get(at..self.end).unwrap_or_default();
            let field = plain_field(rest, fields, reject_unknown);
            let value = field.and_then(|(_, size)| rest.get(1..size));
            let (Some((tag, size)), Some(value)) = (field, value) else {
                break;
            };
            if !accepts(tag, value) {
                return false;
            }
            at += size;
        }
        self.at = at;
        true
    }

    /// Returns the bytes from `at` up to the current position.
    #[inline]
    pub(crate) fn since(&self, at: usize) -> &'a [u8] {
        self.payload.get(at..self.at).unwrap_or_default()
    }

    /// Returns the number and the body of the next field, if the field is a message with a tag of
    /// one byte and a length of at most two bytes. Otherwise returns `None`.
    #[inline]
    pub(crate) fn plain_body(&self, fields: &[Plain]) -> Option<(u32, Self)> {
        let (&tag, value) = self.payload.get(self.at..)?.split_first()?;
        if *fields.get(usize::from(tag))? != Plain::Message {
            return None;
        }
        let (size, length) = match *value {
            [length @ 0..0x80, ..] => (1, usize::from(length)),
            [low, high @ 0..0x80, ..] => (2, usize::from(high) << 7 | usize::from(low & 0x7f)),
            _ => return None,
        };
        let at = self.at + 1 + size;
        let end = at + length;
        let body = Self {
            payload: self.payload,
            at,
            end,
        };
        (end <= self.end).then_some((u32::from(tag >> 3), body))
    }

    /// Moves to the end of `body`.
    #[inline]
    pub(crate) fn leave(&mut self, body: &Self) {
        self.at = body.end;
    }

    /// Returns the number of elements of this packed run before `offset`.
    pub(crate) fn elements_before(&self, offset: usize, wire: u8) -> usize {
        let end = offset.clamp(self.at, self.end);
        let run = &self.payload[self.at..end];
        match wire {
            wire::I64 => run.len() / 8,
            wire::I32 => run.len() / 4,
            _ => run.iter().filter(|byte| **byte < 0x80).count(),
        }
    }

    /// Goes back to the value at `at`, and skips it.
    #[cold]
    pub(crate) fn skip_from(
        &mut self,
        at: usize,
        number: u32,
        wire: u8,
        depth: u32,
    ) -> Checked<()> {
        self.at = at;
        self.skip(number, wire, depth)
    }

    /// Skips a value of wire type `wire`. Fails if the value is malformed.
    #[inline]
    pub(crate) fn skip(&mut self, number: u32, wire: u8, depth: u32) -> Checked<()> {
        match wire {
            wire::VARINT => self.varint().map(drop),
            wire::I64 => self.take(8).map(drop),
            wire::LEN => self.delimited().map(drop),
            wire::I32 => self.take(4).map(drop),
            _ => self.skip_group(number, wire, depth),
        }
    }

    fn skip_group(&mut self, number: u32, wire: u8, depth: u32) -> Checked<()> {
        if wire == wire::END_GROUP {
            return Err(Fault::new(
                self.at,
                "a field",
                "the end of a group that is not open",
            ));
        }
        let depth = deeper(depth, self.at)?;
        while !self.is_empty() {
            let at = self.at;
            match self.tag()? {
                (end, wire::END_GROUP) if end == number => return Ok(()),
                (end, wire::END_GROUP) => return Err(wrong_end(at, number, end)),
                (inner, wire) => self.skip(inner, wire, depth)?,
            }
        }
        Err(open_group(self.at, number))
    }
}

/// Returns the tag and the total size of the field at the start of `bytes`. Returns `None` if the
/// fast path cannot check the field. The size may exceed the length of `bytes`. The caller must
/// check for this case.
///
/// The function has several callers, so the compiler would not inline it, and a walk would be a
/// fifth slower. Therefore, the function is always inlined.
#[inline(always)]
fn plain_field(bytes: &[u8], fields: &[Plain], reject_unknown: bool) -> Option<(u8, usize)> {
    let (&tag, value) = bytes.split_first()?;
    let size = match *fields.get(usize::from(tag))? {
        Plain::No | Plain::Message => return None,
        Plain::Enum if reject_unknown => return None,
        Plain::Varint | Plain::Enum => 1 + varint_size(value)?,
        Plain::Eight => 1 + 8,
        Plain::Four => 1 + 4,
        Plain::Bytes => 2 + short_length(value)?,
        Plain::Text => {
            let size = short_length(value)?;
            begins_with_text(&value[1..], size).then_some(2 + size)?
        }
        Plain::Run => {
            let size = short_length(value)?;
            are_varints(value.get(1..=size)?).then_some(2 + size)?
        }
    };
    Some((tag, size))
}

/// Returns the length at the start of `bytes`, or `None` if `bytes` does not begin with a length of
/// one byte.
#[inline]
fn short_length(bytes: &[u8]) -> Option<usize> {
    let length = *bytes.first()?;
    (length < 0x80).then_some(usize::from(length))
}

/// Returns the size of the varint at the start of `bytes`, or `None` if the varint does not end
/// within the first eight bytes. If `bytes` has fewer than eight bytes, also returns `None` for
/// every varint of more than one byte.
#[inline]
fn varint_size(bytes: &[u8]) -> Option<usize> {
    let Some(word) = bytes.first_chunk::<8>() else {
        return bytes.first().filter(|byte| **byte < 0x80).map(|_| 1);
    };
    let last = !u64::from_le_bytes(*word) & HIGH;
    (last != 0).then(|| last.trailing_zeros() as usize / 8 + 1)
}

/// Returns whether `run` consists of whole varints: its last byte ends a varint, and no ten bytes
/// in a row have their high bit set.
#[inline]
fn are_varints(run: &[u8]) -> bool {
    let Some(last) = run.last() else {
        return true;
    };
    *last < 0x80 && (run.len() <= VARINT_MAX || none_is_long(run))
}

fn none_is_long(run: &[u8]) -> bool {
    // The number of consecutive bytes, directly before the next word, that have their high bit set.
    let mut before = 0;
    let words = run.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let ends = !first_bytes(word) & HIGH;
        if ends == HIGH {
            before = 0;
            continue;
        }
        let (first, last) = (ends.trailing_zeros() / 8, ends.leading_zeros() / 8);
        if before + first as usize >= VARINT_MAX {
            return false;
        }
        before = if ends == 0 { before + 8 } else { last as usize };
    }
    let first = rest.iter().take_while(|byte| **byte >= 0x80).count();
    before + first < VARINT_MAX
}

/// An iterator over the records of a message that a walk has already read. The iterator ends at the
/// end of the message or group, or at the first malformed byte. The content of a record is skipped
/// only when the next record is requested, so that finding a record does not read its content.
pub(crate) struct Records<'a> {
    reader: WireReader<'a>,
    pending: Option<(u32, u8)>,
}

/// One field of a message, as it is encoded.
pub(crate) struct Record<'a> {
    pub at: usize,
    pub number: u32,
    pub wire: u8,
    /// A reader after the tag.
    pub value: WireReader<'a>,
}

impl<'a> From<WireReader<'a>> for Records<'a> {
    fn from(reader: WireReader<'a>) -> Self {
        let pending = None;
        Self { reader, pending }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if let Some((number, wire)) = self.pending {
            self.reader.skip(number, wire, RECORD_DEPTH).ok()?;
        }
        let at = self.reader.at;
        let (number, wire) = self.reader.tag().ok()?;
        self.pending = Some((number, wire));
        (wire != wire::END_GROUP).then(|| Record {
            at,
            number,
            wire,
            value: self.reader.clone(),
        })
    }
}

/// Returns the violation of a tag that ends group `end`, although the innermost open group is
/// `group`, or no group is open (`group` is 0).
#[cold]
pub(super) fn wrong_end(at: usize, group: u32, end: u32) -> Box<Fault> {
    let expected = match group {
        0 => "a field".to_owned(),
        group => format!("a field or the end of group {group}"),
    };
    Fault::new(at, expected, format!("the end of group {end}"))
}

/// Returns the violation of a group that does not end.
#[cold]
pub(super) fn open_group(at: usize, group: u32) -> Box<Fault> {
    Fault::new(
        at,
        format!("the end of group {group}"),
        "the end of the enclosing message",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests runs of one-byte varints that contain one varint of up to 12 bytes, at every position.
    #[test]
    fn runs_hold_varints_of_up_to_ten_bytes() {
        for before in 0..24 {
            for size in 1..=12 {
                for after in 0..12 {
                    let long = [&vec![0xff; size - 1][..], &[1]].concat();
                    let run = [&vec![1; before][..], &long, &vec![1; after]].concat();
                    assert_eq!(are_varints(&run), size <= 10, "{before} {size} {after}");
                    assert!(!are_varints(&[&run[..], &[0x80]].concat()));
                    let slow = WireReader::new(&run).varints();
                    assert_eq!(slow.is_ok(), size <= 10);
                    assert_eq!(
                        varint_size(&run[before..]),
                        (size <= 8 && size + after >= 8 || size == 1).then_some(size)
                    );
                }
            }
        }
    }
}
