//! Keys of JSON maps: strings that mean values of the key's kind, and each once.

use super::head::{JsonReader, twice};
use super::number::Number;
use super::scalar::within;
use super::text::Text;
use crate::keys::{self, Key};
use crate::table::FieldKind;
use crate::violation::{Checked, Fault, excerpt};

/// What `text` means as a key of this kind.
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
            within(kind, value).then(|| Key::from(value))
        }
    }
}

/// The keys of one map so far.
pub(super) struct Keys<'a> {
    kind: FieldKind,
    /// Stands at the first key.
    body: JsonReader<'a>,
    seen: keys::Keys<Text<'a>>,
}

impl<'a> Keys<'a> {
    /// Of the map whose entries `body` is about to read.
    pub fn new(kind: FieldKind, body: &JsonReader<'a>) -> Self {
        let (body, seen) = (body.clone(), keys::Keys::default());
        Self { kind, body, seen }
    }

    /// The next key, and the colon behind it; the inner fault is one of the key's meaning: of another
    /// kind, or there before.
    #[inline]
    pub fn next(&mut self, reader: &mut JsonReader<'a>) -> Checked<Checked<Key<Text<'a>>>> {
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

/// Whether `key` is among those that `body` reads before `at`.
#[cold]
fn was_before(kind: FieldKind, body: &JsonReader, wanted: Key<Text>, at: usize) -> Checked<bool> {
    let mut reader = body.clone();
    let mut more = reader.opened(b'}');
    while more && reader.token() < at {
        if key(kind, reader.key()?) == Some(wanted) {
            return Ok(true);
        }
        // Walked before, within its depth.
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(false)
}
