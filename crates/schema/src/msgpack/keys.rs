//! Keys of MessagePack maps. All keys of a map have the kind of the map's key field, and no key may
//! occur twice.

use super::head::{MsgpackHead, MsgpackReader};
use super::scalar::{integer, scalar, utf8};
use crate::json::scalar::is_in_range;
use crate::keys::{self, Key};
use crate::options::TextKeys;
use crate::table::{FieldKind, Table};
use crate::violation::{Checked, Fault};

/// Reads the next value as a key of this kind. If `text_keys` allows it, the value may also be a
/// text that represents a number or a bool.
pub(super) fn read<'a>(
    table: &Table,
    reader: &mut MsgpackReader<'a>,
    kind: FieldKind,
    text_keys: TextKeys,
) -> Checked<Key<&'a str>> {
    let at = reader.at();
    let mut again = reader.clone();
    if text_keys == TextKeys::Allow && !matches!(kind, FieldKind::String { .. }) {
        let mut ahead = reader.clone();
        if let MsgpackHead::Str(text) = ahead.head()?
            && let Some(key) = from_text(text, kind)
        {
            *reader = ahead;
            return Ok(key);
        }
    }
    scalar(table, reader, kind).map_err(|fault| fault.as_key())?;
    Ok(match again.head()? {
        MsgpackHead::Str(text) => Key::Text(utf8(text, at)?),
        MsgpackHead::Bool(value) => Key::Bool(value),
        head => Key::from(integer(head).unwrap_or_default()),
    })
}

/// Returns the key of this kind that `text` represents, or `None` if `text` represents no such key.
/// `kind` must not be a string.
fn from_text<'a>(text: &[u8], kind: FieldKind) -> Option<Key<&'a str>> {
    match (kind, text) {
        (FieldKind::Bool, b"true") => Some(Key::Bool(true)),
        (FieldKind::Bool, b"false") => Some(Key::Bool(false)),
        (FieldKind::Bool, _) => None,
        _ => {
            let value = decimal(text)?;
            is_in_range(kind, value).then(|| Key::from(value))
        }
    }
}

/// Returns the whole number that `text` represents in decimal digits. Returns `None` if `text` is
/// not the shortest text of a whole number, which is the text that JavaScript writes. Therefore, no
/// two texts stand for the same key.
pub(crate) fn decimal(text: &[u8]) -> Option<i128> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let is_plain = match digits {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_plain.then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// The keys of one map that were read so far.
pub(super) struct Keys<'t, 'a> {
    table: &'t Table,
    kind: FieldKind,
    text_keys: TextKeys,
    /// A reader at the first key that was added.
    body: MsgpackReader<'a>,
    seen: keys::Keys<&'a str>,
}

impl<'t, 'a> Keys<'t, 'a> {
    /// Returns an empty set of keys. `body` is a reader at the first key that will be added.
    pub(super) fn new(
        table: &'t Table,
        kind: FieldKind,
        text_keys: TextKeys,
        body: &MsgpackReader<'a>,
    ) -> Self {
        Self {
            table,
            kind,
            text_keys,
            body: body.clone(),
            seen: keys::Keys::default(),
        }
    }

    /// Reads the next key. A key that occurred before is a violation.
    pub(super) fn next(&mut self, reader: &mut MsgpackReader<'a>) -> Checked<Key<&'a str>> {
        let at = reader.at();
        let key = read(self.table, reader, self.kind, self.text_keys)?;
        self.add(key, at)?;
        Ok(key)
    }

    /// Adds a key that was read at `at`. A key that occurred before is a violation.
    pub(super) fn add(&mut self, key: Key<&'a str>, at: usize) -> Checked<()> {
        match (self.seen).insert(key, || {
            was_before(self.table, self.kind, self.text_keys, &self.body, key, at)
        })? {
            true => Ok(()),
            false => Err(Fault::new(at, "each key once", "the key again").under(key.segment())),
        }
    }
}

/// Returns whether `key` occurs between the position of `body` and `at`. The function is only
/// called if an earlier key has the same fingerprint.
#[cold]
fn was_before(
    table: &Table,
    kind: FieldKind,
    text_keys: TextKeys,
    body: &MsgpackReader,
    key: Key<&str>,
    at: usize,
) -> Checked<bool> {
    let mut reader = body.clone();
    while reader.at() < at {
        let start = reader.at();
        match read(table, &mut reader, kind, text_keys) {
            Ok(other) if other == key => return Ok(true),
            Ok(_) => {}
            // The key is malformed. It was reported before, so it is only skipped here.
            Err(_) => reader.skip_from(start, u32::MAX)?,
        }
        // The walk has read this value before, so the depth of the value is within the limit.
        reader.skip(u32::MAX)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_key_is_found_by_reading_the_earlier_keys_again() {
        let entries = MsgpackReader::new(b"\xa1a\x01\xa1b\x92\x01\x02\xa1c\x03");
        let table = Table::default();
        let before = |key| {
            let kind = FieldKind::String { utf8: true };
            was_before(&table, kind, TextKeys::Reject, &entries, Key::Text(key), 8).unwrap()
        };
        assert!(before("b"));
        assert!(!before("c"));
    }
}
