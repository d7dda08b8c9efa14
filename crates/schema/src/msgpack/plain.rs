//! Names and values as most writers write them, passed at a glance: each function gives what lies behind, or none for
//! others to read and to judge. Whatever passes here would pass there.

use crate::table::{Cardinality, Field, FieldKind, Member, MemberValue};
use crate::text::begins_with_text;

/// How the values of a kind are plainly written, by their marker.
pub(super) type Tails = [Tail; 256];

/// What follows a marker.
#[derive(Clone, Copy)]
pub(super) enum Tail {
    /// It is not for here to say.
    Other,
    Nothing,
    One,
    Two,
    Four,
    Eight,
    /// As many bytes, of which the first has no high bit: the kind has no room for such numbers.
    LowFour,
    LowEight,
    /// A text whose length the marker holds.
    Text,
    /// A length of one byte and a text.
    LongText,
    /// A length of one byte and as many bytes.
    Binary,
}

/// Markers from the first to the last are followed so.
const fn of(ranges: &[(u8, u8, Tail)]) -> Tails {
    let mut tails = [Tail::Other; 256];
    let mut i = 0;
    while i < ranges.len() {
        let (first, last, tail) = ranges[i];
        let mut marker = first as usize;
        while marker <= last as usize {
            tails[marker] = tail;
            marker += 1;
        }
        i += 1;
    }
    tails
}

/// What writers choose for a kind: integers are as small as they go, with a marker of either sign.
#[inline]
pub(super) fn tails(kind: FieldKind) -> &'static Tails {
    static OTHER: Tails = of(&[]);
    static BOOL: Tails = of(&[(0xc2, 0xc3, Tail::Nothing)]);
    static FLOAT: Tails = of(&[(0xca, 0xca, Tail::Four)]);
    static DOUBLE: Tails = of(&[(0xcb, 0xcb, Tail::Eight)]);
    static STRING: Tails = of(&[(0xa0, 0xbf, Tail::Text), (0xd9, 0xd9, Tail::LongText)]);
    static BYTES: Tails = of(&[(0xc4, 0xc4, Tail::Binary)]);
    static INT32: Tails = of(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::LowFour),
        (0xd0, 0xd0, Tail::One),
        (0xd1, 0xd1, Tail::Two),
        (0xd2, 0xd2, Tail::Four),
        (0xe0, 0xff, Tail::Nothing),
    ]);
    static INT64: Tails = of(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::Four),
        (0xcf, 0xcf, Tail::LowEight),
        (0xd0, 0xd0, Tail::One),
        (0xd1, 0xd1, Tail::Two),
        (0xd2, 0xd2, Tail::Four),
        (0xd3, 0xd3, Tail::Eight),
        (0xe0, 0xff, Tail::Nothing),
    ]);
    static UINT32: Tails = of(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::Four),
    ]);
    static UINT64: Tails = of(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::Four),
        (0xcf, 0xcf, Tail::Eight),
    ]);
    match kind {
        FieldKind::Bool => &BOOL,
        FieldKind::Float => &FLOAT,
        FieldKind::Double => &DOUBLE,
        FieldKind::String { .. } => &STRING,
        FieldKind::Bytes => &BYTES,
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => &INT32,
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => &INT64,
        FieldKind::Uint32 | FieldKind::Fixed32 => &UINT32,
        FieldKind::Uint64 | FieldKind::Fixed64 => &UINT64,
        FieldKind::Enum(_) | FieldKind::Message(_) | FieldKind::Group(_) => &OTHER,
    }
}

/// A value of this field: a scalar, or a list of up to 15 of them. An empty list needs no look at what it could hold, so
/// it passes whatever that is.
#[inline]
pub(super) fn value<'p>(bytes: &'p [u8], field: &Field) -> Option<&'p [u8]> {
    match field.cardinality {
        Cardinality::Singular => scalar(bytes, tails(field.kind)),
        Cardinality::Repeated => list(bytes, tails(field.kind)),
        Cardinality::Map => None,
    }
}

#[inline(always)]
fn list<'p>(bytes: &'p [u8], tails: &Tails) -> Option<&'p [u8]> {
    let (&marker, mut rest) = bytes.split_first()?;
    if marker & 0xf0 != 0x90 {
        return None;
    }
    for _ in 0..marker & 0x0f {
        rest = scalar(rest, tails)?;
    }
    Some(rest)
}

/// A value in one of these ways.
#[inline(always)]
pub(super) fn scalar<'p>(bytes: &'p [u8], tails: &Tails) -> Option<&'p [u8]> {
    let (&marker, rest) = bytes.split_first()?;
    // A branch for each size: a processor that foresees them looks at the next value before this one's size
    // is there, as it couldn't if the size were read from a table.
    match tails[usize::from(marker)] {
        Tail::Nothing => Some(rest),
        Tail::One => rest.get(1..),
        Tail::Two => rest.get(2..),
        Tail::Four => rest.get(4..),
        Tail::Eight => rest.get(8..),
        Tail::LowFour => rest.get(4..).filter(|_| rest[0] < 0x80),
        Tail::LowEight => rest.get(8..).filter(|_| rest[0] < 0x80),
        Tail::Text => {
            let size = usize::from(marker & 0x1f);
            begins_with_text(rest, size).then(|| &rest[size..])
        }
        Tail::LongText => {
            let (&size, rest) = rest.split_first()?;
            begins_with_text(rest, size.into()).then(|| &rest[size.into()..])
        }
        Tail::Binary => {
            let (&size, rest) = rest.split_first()?;
            rest.get(size.into()..)
        }
        Tail::Other => None,
    }
}

/// The key and the value of this member.
#[inline(always)]
pub(super) fn pair<'p>(bytes: &'p [u8], member: &Member) -> Option<&'p [u8]> {
    member_value(member.msgpack.strip(bytes)?, member)
}

/// The value of this member.
#[inline(always)]
pub(super) fn member_value<'p>(bytes: &'p [u8], member: &Member) -> Option<&'p [u8]> {
    match member.value {
        MemberValue::One(kind) => scalar(bytes, tails(kind)),
        MemberValue::List(kind) => list(bytes, tails(kind)),
        MemberValue::Other => None,
    }
}
