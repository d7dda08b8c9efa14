//! Keys of MessagePack maps: typed, and each once.
//!
//! Keys are compared as values, not as bytes: 1 as one byte and 1 as eight are one key. A map of up
//! to [`FEW`] entries is compared pairwise on the stack; a larger one is remembered in a hash set,
//! which grows with the entries read (never with the count claimed) and is keyed at random, for a
//! peer chooses what lies in it. It is the only allocation of a payload that passes.

use std::collections::HashSet;

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
pub(super) struct Keys<'a> {
    few: [Key<'a>; FEW],
    count: usize,
    many: Option<HashSet<Key<'a>>>,
}

impl<'a> Keys<'a> {
    pub fn new() -> Self {
        Self {
            few: [Key::Bool(false); FEW],
            count: 0,
            many: None,
        }
    }

    /// Adds `key`, which was read at `at`; a second one of the same value is a fault.
    pub fn insert(&mut self, key: Key<'a>, at: usize) -> Checked<()> {
        let new = match (&mut self.many, self.few.get_mut(self.count)) {
            (Some(many), _) => many.insert(key),
            (None, Some(free)) => {
                *free = key;
                let new = !self.few[..self.count].contains(&key);
                self.count += 1;
                new
            }
            (None, None) => {
                let many = self.many.insert(self.few.into_iter().collect());
                many.insert(key)
            }
        };
        match new {
            true => Ok(()),
            false => Err(Fault::new(at, "each key once", "it again").under(key.segment())),
        }
    }
}
