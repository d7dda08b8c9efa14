//! Keys of MessagePack maps: typed, and each once.

use super::head::{MsgpackHead, MsgpackReader};
use super::scalar::{integer, scalar, utf8};
use crate::keys::{self, Key};
use crate::table::{FieldKind, Table};
use crate::violation::{Checked, Fault};

/// The next value, as a key of this kind.
pub(super) fn read<'a>(
    table: &Table,
    reader: &mut MsgpackReader<'a>,
    kind: FieldKind,
) -> Checked<Key<&'a str>> {
    let at = reader.at();
    let mut again = reader.clone();
    scalar(table, reader, kind).map_err(|fault| fault.as_key())?;
    Ok(match again.head()? {
        MsgpackHead::Str(text) => Key::Text(utf8(text, at)?),
        MsgpackHead::Bool(value) => Key::Bool(value),
        head => Key::from(integer(head).unwrap_or_default()),
    })
}

/// The keys of one map so far.
pub(super) struct Keys<'t, 'a> {
    table: &'t Table,
    kind: FieldKind,
    /// Stands at the first key.
    body: MsgpackReader<'a>,
    seen: keys::Keys<&'a str>,
}

impl<'t, 'a> Keys<'t, 'a> {
    /// Of the map whose entries `body` is about to read.
    pub fn new(table: &'t Table, kind: FieldKind, body: &MsgpackReader<'a>) -> Self {
        Self {
            table,
            kind,
            body: body.clone(),
            seen: keys::Keys::default(),
        }
    }

    /// The next key; a second one of the same value is a fault.
    pub fn next(&mut self, reader: &mut MsgpackReader<'a>) -> Checked<Key<&'a str>> {
        let at = reader.at();
        let key = read(self.table, reader, self.kind)?;
        self.add(key, at)?;
        Ok(key)
    }

    /// A key that was read at `at`.
    pub fn add(&mut self, key: Key<&'a str>, at: usize) -> Checked<()> {
        let (table, kind, body) = (self.table, self.kind, &self.body);
        match (self.seen).insert(key, || was_before(table, kind, body, key, at))? {
            true => Ok(()),
            false => Err(Fault::new(at, "each key once", "it again").under(key.segment())),
        }
    }
}

/// Whether `key` is among those that `body` reads before `at`.
#[cold]
fn was_before(
    table: &Table,
    kind: FieldKind,
    body: &MsgpackReader,
    key: Key<&str>,
    at: usize,
) -> Checked<bool> {
    let mut reader = body.clone();
    while reader.at() < at {
        let start = reader.at();
        match read(table, &mut reader, kind) {
            Ok(other) if other == key => return Ok(true),
            Ok(_) => {}
            // It was told of before.
            Err(_) => reader.pass(start, u32::MAX)?,
        }
        // Walked before, within its depth.
        reader.skip(u32::MAX)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_met_twice_is_settled_by_the_keys() {
        let entries = MsgpackReader::new(b"\xa1a\x01\xa1b\x92\x01\x02\xa1c\x03");
        let table = Table::default();
        let before = |key| {
            let kind = FieldKind::String { utf8: true };
            was_before(&table, kind, &entries, Key::Text(key), 8).unwrap()
        };
        assert!(before("b"));
        assert!(!before("c"));
    }
}
