//! Protobuf's wire format below the level of messages: varints, tags, lengths, groups.

use super::super::table::wire;
use super::super::violation::{Checked, Fault, deeper};

/// A varint is at most this long; bits beyond the 64th are dropped, as protobuf's own parsers do.
const MAX_VARINT: usize = 10;

/// A tag is a varint of 32 bits.
const MAX_TAG: usize = 5;

/// How deep [`Records`] looks for the end of a group: as deep as a walk may go.
const RECORD_DEPTH: u32 = 1000;

/// Reads the payload from `at` to the end of the message it is in. Offsets are the payload's.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next byte lies.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The same message, read from `at`.
    pub fn rewound(&self, at: usize) -> Self {
        Self {
            bytes: self.bytes,
            at,
        }
    }

    /// How many bytes are still to read.
    #[inline]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub fn varint(&mut self) -> Checked<u64> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Checked<u64> {
        let mut value = 0;
        for (i, &byte) in self.bytes[self.at..].iter().take(MAX_VARINT).enumerate() {
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
            0..MAX_VARINT => format!("the end after {left} bytes of it"),
            _ => "one that does not end there".to_owned(),
        };
        Fault::new(self.at, "a varint of at most 10 bytes", found)
    }

    /// A field's number, at least 1, and its wire type, 0 to 5.
    #[inline]
    pub fn tag(&mut self) -> Checked<(u32, u8)> {
        let at = self.at;
        let tag = self.varint()?;
        let (number, wire) = ((tag >> 3) as u32, (tag & 7) as u8);
        if number == 0 || wire > wire::I32 || self.at - at > MAX_TAG || tag > u64::from(u32::MAX) {
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

    /// The next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: u64) -> Checked<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() as u64 {
            return Err(Fault::truncated(self.at, length, rest.len()));
        }
        self.at += length as usize;
        Ok(&rest[..length as usize])
    }

    /// A length and as many bytes.
    #[inline]
    pub fn delimited(&mut self) -> Checked<&'a [u8]> {
        let length = self.varint()?;
        self.take(length)
    }

    /// A length and as many bytes, to be read as a message or a packed run.
    #[inline]
    pub fn body(&mut self) -> Checked<Reader<'a>> {
        let length = self.delimited()?.len();
        Ok(Self {
            bytes: &self.bytes[..self.at],
            at: self.at - length,
        })
    }

    /// Everything up to the end, as varints.
    #[inline]
    pub fn varints(&mut self) -> Checked<()> {
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            // Eight varints of one byte at once, as long as no continuation bit is set.
            if u64::from_le_bytes(*chunk) & 0x8080_8080_8080_8080 == 0 {
                self.at += 8;
            } else {
                self.varint()?;
            }
        }
        while !self.is_empty() {
            self.varint()?;
        }
        Ok(())
    }

    /// How many elements lie in this packed run before `offset`.
    pub fn elements_before(&self, offset: usize, wire: u8) -> usize {
        let end = offset.clamp(self.at, self.bytes.len());
        let run = &self.bytes[self.at..end];
        match wire {
            wire::I64 => run.len() / 8,
            wire::I32 => run.len() / 4,
            _ => run.iter().filter(|byte| **byte < 0x80).count(),
        }
    }

    /// Goes back to the value at `at`, and passes it.
    #[cold]
    pub fn pass(&mut self, at: usize, number: u32, wire: u8, depth: u32) -> Checked<()> {
        self.at = at;
        self.skip(number, wire, depth)
    }

    /// A value of wire type `wire`, well-formed whatever it means.
    #[inline]
    pub fn skip(&mut self, number: u32, wire: u8, depth: u32) -> Checked<()> {
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

/// The records of a message one after the other, to the end of the message or group or to what is
/// malformed: for a second look at what a walk has read. A record is skipped only on the way to the
/// next, so that looking for one of them never reads what lies in it.
pub(super) struct Records<'a> {
    reader: Reader<'a>,
    pending: Option<(u32, u8)>,
}

/// One field of a message as it lies on the wire.
pub(super) struct Record<'a> {
    pub at: usize,
    pub number: u32,
    pub wire: u8,
    /// Stands behind the tag.
    pub value: Reader<'a>,
}

impl<'a> From<Reader<'a>> for Records<'a> {
    fn from(reader: Reader<'a>) -> Self {
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

/// A group that ends as another.
#[cold]
pub(super) fn wrong_end(at: usize, open: u32, end: u32) -> Box<Fault> {
    let expected = match open {
        0 => "a field".to_owned(),
        open => format!("a field or the end of group {open}"),
    };
    Fault::new(at, expected, format!("the end of group {end}"))
}

/// A group that does not end.
#[cold]
pub(super) fn open_group(at: usize, open: u32) -> Box<Fault> {
    Fault::new(
        at,
        format!("the end of group {open}"),
        "the end of the message around it",
    )
}
