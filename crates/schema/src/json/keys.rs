//! Keys of JSON maps. A key is a string that stands for a value of the map's key type, and no two
//! keys of a map may stand for the same value.

use super::head::{JsonReader, twice};
use super::number::Number;
use super::scalar::is_in_range;
use super::text::Text;
use crate::keys::{self, Key};
use crate::table::FieldKind;
use crate::violation::{Checked, Fault, excerpt};

/// Returns the value that `text` stands for as a key of this kind, or `None` if `text` is not
/// a valid key.
pub(super) fn key(kind: FieldKind, text: Text<'_>) -> Option<Key<Text<'_>>> {
    match kind {
        FieldKind::String { .. } => Some(Key::Text(text)),
        FieldKind::Bool => match &*text.bytes() {
            b"true" => Some(Key::Bool(true)),
            b"false" => Some(Key::Bool(false)),
            _ => None,
        },
        kind => {
            let bytes = text.bytes();
            let value = Number::parse(&bytes)?.integer()?;
            is_in_range(kind, value).then(|| Key::from(value))
        }
    }
}

/// The keys of one map that were read so far.
pub(super) struct Keys<'a> {
    kind: FieldKind,
    /// A reader at the first key.
    body: JsonReader<'a>,
    seen: keys::Keys<Text<'a>>,
}

impl<'a> Keys<'a> {
    /// Returns an empty set for the keys of a map. `body` is a reader at the first key.
    pub(super) fn new(kind: FieldKind, body: &JsonReader<'a>) -> Self {
        let (body, seen) = (body.clone(), keys::Keys::default());
        Self { kind, body, seen }
    }

    /// Reads the next key and the colon. The inner error reports a key of another kind or a
    /// repeated key, and the walk can continue after this error. The outer error reports
    /// malformed JSON.
    #[inline]
    pub(super) fn next(&mut self, reader: &mut JsonReader<'a>) -> Checked<Checked<Key<Text<'a>>>> {
        let at = reader.token();
        let text = reader.key()?;
        let Some(key) = key(self.kind, text) else {
            return Ok(Err(wrong(self.kind, text, at)));
        };
        let (kind, body) = (self.kind, &self.body);
        let new = (self.seen).insert(key, || was_before(kind, body, key, at))?;
        Ok(match new {
            true => Ok(key),
            false => Err(twice(key, at)),
        })
    }
}

#[cold]
fn wrong(kind: FieldKind, text: Text, at: usize) -> Box<Fault> {
    let expected = match kind {
        FieldKind::Bool => "\"true\" or \"false\"",
        _ => kind.scalar_label(),
    };
    let found = excerpt(text.decoded().as_bytes());
    Fault::new(at, expected, found).as_key()
}

/// Returns whether the key `wanted` occurs between the position of `body` and `at`.
#[cold]
fn was_before(kind: FieldKind, body: &JsonReader, wanted: Key<Text>, at: usize) -> Checked<bool> {
    let mut reader = body.clone();
    let mut more = reader.opened(b'}');
    while more && reader.token() < at {
        if key(kind, reader.key()?) == Some(wanted) {
            return Ok(true);
        }
        // The value was walked before, so its depth is within the limit.
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(false)
}
