//! The fast path for names and values in their usual form, which is the form that most writers
//! choose. Each function returns the bytes after the value. If a function returns `None`, the
//! general path reads and checks the value. The general path would also accept every value that is
//! accepted here.

use crate::table::{Cardinality, Field, FieldKind, Member, MemberValue};
use crate::text::begins_with_text;

/// For each marker byte, the tail that follows the marker in a value of one kind.
pub(super) type Tails = [Tail; 256];

/// The bytes that follow a marker.
#[derive(Clone, Copy)]
pub(super) enum Tail {
    /// The marker does not belong to the usual form, so the general path reads the value.
    Other,
    Nothing,
    One,
    Two,
    Four,
    Eight,
    /// Four bytes. Their highest bit must be 0, because the kind cannot hold larger numbers.
    LowFour,
    /// Eight bytes. Their highest bit must be 0, for the same reason.
    LowEight,
    /// A text. The marker holds the length of the text.
    Text,
    /// One byte with the length of a text, and the text.
    LongText,
    /// One byte with the length of binary data, and the data.
    Binary,
}

/// Returns a table of tails. Each range holds its first marker, its last marker, and the tail that
/// follows every marker of the range.
const fn table(ranges: &[(u8, u8, Tail)]) -> Tails {
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

/// Returns the tails of the forms that writers choose for a kind. Writers choose the shortest form
/// of an integer, with a signed or an unsigned marker.
#[inline]
pub(super) fn tails(kind: FieldKind) -> &'static Tails {
    static OTHER: Tails = table(&[]);
    static BOOL: Tails = table(&[(0xc2, 0xc3, Tail::Nothing)]);
    static FLOAT: Tails = table(&[(0xca, 0xca, Tail::Four)]);
    static DOUBLE: Tails = table(&[(0xcb, 0xcb, Tail::Eight)]);
    static STRING: Tails = table(&[(0xa0, 0xbf, Tail::Text), (0xd9, 0xd9, Tail::LongText)]);
    static BYTES: Tails = table(&[(0xc4, 0xc4, Tail::Binary)]);
    static INT32: Tails = table(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::LowFour),
        (0xd0, 0xd0, Tail::One),
        (0xd1, 0xd1, Tail::Two),
        (0xd2, 0xd2, Tail::Four),
        (0xe0, 0xff, Tail::Nothing),
    ]);
    static INT64: Tails = table(&[
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
    static UINT32: Tails = table(&[
        (0x00, 0x7f, Tail::Nothing),
        (0xcc, 0xcc, Tail::One),
        (0xcd, 0xcd, Tail::Two),
        (0xce, 0xce, Tail::Four),
    ]);
    static UINT64: Tails = table(&[
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

/// Takes a value of this field: a scalar, or a list of up to 15 scalars. An empty list is accepted
/// for elements of any kind.
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

/// Takes a value if `tails` has a tail for its marker and the bytes after the marker fit this tail.
#[inline(always)]
pub(super) fn scalar<'p>(bytes: &'p [u8], tails: &Tails) -> Option<&'p [u8]> {
    let (&marker, rest) = bytes.split_first()?;
    // Each size has a branch of its own. A processor that predicts the branch can start on the next
    // value before it knows this size. The processor could not do so if the size were read from a
    // table.
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

/// Takes the key and the value of this member. Returns the bytes of the value, and the bytes after
/// the value.
#[inline(always)]
pub(super) fn pair<'p>(bytes: &'p [u8], member: &Member) -> Option<(&'p [u8], &'p [u8])> {
    member_value(member.msgpack.strip(bytes)?, member)
}

/// Takes the value of this member. Returns the bytes of the value, and the bytes after the value.
#[inline(always)]
pub(super) fn member_value<'p>(bytes: &'p [u8], member: &Member) -> Option<(&'p [u8], &'p [u8])> {
    let after = match member.value {
        MemberValue::One(kind) => scalar(bytes, tails(kind))?,
        MemberValue::List(kind) => list(bytes, tails(kind))?,
        MemberValue::Other => return None,
    };
    let size = bytes.len() - after.len();
    Some((bytes.get(..size).unwrap_or_default(), after))
}
