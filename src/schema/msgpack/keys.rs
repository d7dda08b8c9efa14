//! Keys of MessagePack maps: typed, and each once.
//!
//! Keys are compared as values, not as bytes: 1 as one byte and 1 as eight are one key. A map of up
//! to [`FEW`] entries is compared pairwise on the stack. Of a larger one a set of fingerprints is
//! kept, the only allocation of a payload that passes: eight bytes a key, growing with the entries
//! read, never with the count claimed, and hashed under a random key, for a peer chooses what lies in
//! it. A fingerprint met twice sends for the keys themselves.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use rustc_hash::FxBuildHasher;

use super::super::table::{Kind, Table};
use super::super::violation::{Checked, Fault, excerpt};
use super::head::{Head, Reader};
use super::scalar::{integer, scalar, utf8};

/// Up to so many keys pairwise comparison is quicker than hashing, and the stack holds them.
const FEW: usize = 8;

/// A key as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<'a> {
    Text(&'a str),
    /// The low 64 bits: enough among keys of one kind.
    Integer(u64),
    Negative(i64),
    Bool(bool),
}

impl<'a> Key<'a> {
    /// The next value, as a key of this kind.
    pub fn read(table: &Table, reader: &mut Reader<'a>, kind: Kind) -> Checked<Self> {
        let at = reader.at();
        let mut again = reader.clone();
        scalar(table, reader, kind).map_err(|fault| fault.as_key())?;
        Ok(match again.head()? {
            Head::Str(text) => Key::Text(utf8(text, at)?),
            Head::Bool(value) => Key::Bool(value),
            head => match integer(head) {
                Some(value) if value < 0 => Key::Negative(value as i64),
                value => Key::Integer(value.unwrap_or_default() as u64),
            },
        })
    }

    /// `["k"]` or `[7]`, for a path.
    #[cold]
    pub fn segment(self) -> String {
        match self {
            Key::Text(text) => format!("[{}]", excerpt(text.as_bytes())),
            Key::Integer(value) => format!("[{value}]"),
            Key::Negative(value) => format!("[{value}]"),
            Key::Bool(value) => format!("[{value}]"),
        }
    }
}

/// The keys of one map so far.
pub(super) struct Keys<'t, 'a> {
    table: &'t Table,
    kind: Kind,
    /// Stands at the first key.
    body: Reader<'a>,
    few: [Key<'a>; FEW],
    count: usize,
    many: Option<Fingerprints>,
}

/// Keys by their hashes.
struct Fingerprints {
    random: RandomState,
    /// They are random by themselves, so any hasher will do to find them.
    seen: HashSet<u64, FxBuildHasher>,
}

impl Fingerprints {
    fn insert(&mut self, key: Key) -> bool {
        self.seen.insert(self.random.hash_one(key))
    }
}

impl<'t, 'a> Keys<'t, 'a> {
    /// Of the map whose entries `body` is about to read.
    pub fn new(table: &'t Table, kind: Kind, body: &Reader<'a>) -> Self {
        Self {
            table,
            kind,
            body: body.clone(),
            few: [Key::Bool(false); FEW],
            count: 0,
            many: None,
        }
    }

    /// The next key; a second one of the same value is a fault.
    pub fn next(&mut self, reader: &mut Reader<'a>) -> Checked<Key<'a>> {
        let at = reader.at();
        let key = Key::read(self.table, reader, self.kind)?;
        let new = match self.few.get_mut(self.count) {
            Some(free) => {
                *free = key;
                !self.few[..self.count].contains(&key)
            }
            None => self.remember(key) || !self.was_before(key, at)?,
        };
        self.count += 1;
        match new {
            true => Ok(key),
            false => Err(Fault::new(at, "each key once", "it again").under(key.segment())),
        }
    }

    fn remember(&mut self, key: Key<'a>) -> bool {
        let many = self.many.get_or_insert_with(|| {
            let (random, seen) = (RandomState::new(), HashSet::default());
            let mut many = Fingerprints { random, seen };
            for key in self.few {
                many.insert(key);
            }
            many
        });
        many.insert(key)
    }

    /// Whether `key` is among those read before `at`, by reading them again.
    #[cold]
    fn was_before(&self, key: Key, at: usize) -> Checked<bool> {
        let mut reader = self.body.clone();
        while reader.at() < at {
            if Key::read(self.table, &mut reader, self.kind)? == key {
                return Ok(true);
            }
            // Walked before, within its depth.
            reader.skip(u32::MAX)?;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_met_twice_is_settled_by_the_keys() {
        let entries = b"\xa1a\x01\xa1b\x92\x01\x02\xa1c\x03";
        let table = Table::default();
        let keys = Keys::new(&table, Kind::String { utf8: true }, &Reader::new(entries));
        assert!(keys.was_before(Key::Text("b"), 8).unwrap());
        assert!(!keys.was_before(Key::Text("c"), 8).unwrap());
    }
}
