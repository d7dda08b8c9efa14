//! Names and values as most writers write them, passed at a glance: each function gives what lies behind, or none for
//! others to read and to judge. Whatever passes here would pass there.

use super::super::table::{Cardinality, Field, Kind};
use super::super::text::begins_with_text;

/// How the values of a kind are plainly written, by their marker.
pub(super) type Forms = [Form; 256];

/// What follows a marker.
#[derive(Clone, Copy)]
pub(super) enum Form {
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
}

/// Markers from the first to the last have the form.
const fn of(ranges: &[(u8, u8, Form)]) -> Forms {
    let mut forms = [Form::Other; 256];
    let mut i = 0;
    while i < ranges.len() {
        let (first, last, form) = ranges[i];
        let mut marker = first as usize;
        while marker <= last as usize {
            forms[marker] = form;
            marker += 1;
        }
        i += 1;
    }
    forms
}

/// What writers choose for a kind: integers are as small as they go, with a marker of either sign.
#[inline]
pub(super) fn forms(kind: Kind) -> &'static Forms {
    static OTHER: Forms = of(&[]);
    static BOOL: Forms = of(&[(0xc2, 0xc3, Form::Nothing)]);
    static FLOAT: Forms = of(&[(0xca, 0xca, Form::Four)]);
    static DOUBLE: Forms = of(&[(0xcb, 0xcb, Form::Eight)]);
    static STRING: Forms = of(&[(0xa0, 0xbf, Form::Text)]);
    static INT32: Forms = of(&[
        (0x00, 0x7f, Form::Nothing),
        (0xcc, 0xcc, Form::One),
        (0xcd, 0xcd, Form::Two),
        (0xce, 0xce, Form::LowFour),
        (0xd0, 0xd0, Form::One),
        (0xd1, 0xd1, Form::Two),
        (0xd2, 0xd2, Form::Four),
        (0xe0, 0xff, Form::Nothing),
    ]);
    static INT64: Forms = of(&[
        (0x00, 0x7f, Form::Nothing),
        (0xcc, 0xcc, Form::One),
        (0xcd, 0xcd, Form::Two),
        (0xce, 0xce, Form::Four),
        (0xcf, 0xcf, Form::LowEight),
        (0xd0, 0xd0, Form::One),
        (0xd1, 0xd1, Form::Two),
        (0xd2, 0xd2, Form::Four),
        (0xd3, 0xd3, Form::Eight),
        (0xe0, 0xff, Form::Nothing),
    ]);
    static UINT32: Forms = of(&[
        (0x00, 0x7f, Form::Nothing),
        (0xcc, 0xcc, Form::One),
        (0xcd, 0xcd, Form::Two),
        (0xce, 0xce, Form::Four),
    ]);
    static UINT64: Forms = of(&[
        (0x00, 0x7f, Form::Nothing),
        (0xcc, 0xcc, Form::One),
        (0xcd, 0xcd, Form::Two),
        (0xce, 0xce, Form::Four),
        (0xcf, 0xcf, Form::Eight),
    ]);
    match kind {
        Kind::Bool => &BOOL,
        Kind::Float => &FLOAT,
        Kind::Double => &DOUBLE,
        Kind::String { .. } => &STRING,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => &INT32,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => &INT64,
        Kind::Uint32 | Kind::Fixed32 => &UINT32,
        Kind::Uint64 | Kind::Fixed64 => &UINT64,
        Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_) => &OTHER,
    }
}

/// A value of this field: a scalar, a list of up to 15 of them, or an empty list of whatever.
#[inline]
pub(super) fn value<'p>(bytes: &'p [u8], field: &Field) -> Option<&'p [u8]> {
    match field.cardinality {
        Cardinality::Singular => scalar(bytes, forms(field.kind)),
        Cardinality::Repeated => list(bytes, forms(field.kind)),
        Cardinality::Map => None,
    }
}

#[inline]
fn list<'p>(bytes: &'p [u8], forms: &Forms) -> Option<&'p [u8]> {
    let (&marker, mut rest) = bytes.split_first()?;
    if marker & 0xf0 != 0x90 {
        return None;
    }
    for _ in 0..marker & 0x0f {
        rest = scalar(rest, forms)?;
    }
    Some(rest)
}

/// A value in one of these forms.
#[inline]
pub(super) fn scalar<'p>(bytes: &'p [u8], forms: &Forms) -> Option<&'p [u8]> {
    let (&marker, rest) = bytes.split_first()?;
    // A branch for each size: a processor that foresees them looks at the next value before this one's form is
    // there, as it couldn't if the size were read from a table.
    match forms[usize::from(marker)] {
        Form::Nothing => Some(rest),
        Form::One => rest.get(1..),
        Form::Two => rest.get(2..),
        Form::Four => rest.get(4..),
        Form::Eight => rest.get(8..),
        Form::LowFour => rest.get(4..).filter(|_| rest[0] < 0x80),
        Form::LowEight => rest.get(8..).filter(|_| rest[0] < 0x80),
        Form::Text => {
            let size = usize::from(marker & 0x1f);
            begins_with_text(rest, size).then(|| &rest[size..])
        }
        Form::Other => None,
    }
}

/// The name of this field.
#[inline]
pub(super) fn name<'p>(bytes: &'p [u8], field: &Field) -> Option<&'p [u8]> {
    let (&marker, rest) = bytes.split_first()?;
    let size = field.name.len();
    let named = size < 0x20 && usize::from(marker) == 0xa0 | size && field.begins(rest);
    if named { rest.get(size..) } else { None }
}
