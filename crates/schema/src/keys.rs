//! Keys of one map, each once: what MessagePack and JSON have in common.
//!
//! Keys are compared as values, not as bytes: 1 as one byte and 1 as eight are one key. A map of up
//! to [`FEW`] entries is compared pairwise on the stack. Of a larger one a set of fingerprints is
//! kept: eight bytes a key, growing with the entries read, never with the count claimed, and hashed
//! under a random key, for a peer chooses what lies in it. A fingerprint met twice sends for the keys
//! themselves.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use rustc_hash::FxBuildHasher;

use crate::violation::{Checked, excerpt};

/// Up to so many keys pairwise comparison is quicker than hashing, and the stack holds them.
const FEW: usize = 8;

/// A key as it is compared; `T` is the encoding's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<T> {
    Text(T),
    /// The low 64 bits: enough among keys of one kind.
    Integer(u64),
    Negative(i64),
    Bool(bool),
}

impl<'a, T: Into<Cow<'a, str>>> Key<T> {
    /// `["k"]` or `[7]`, for a path.
    #[cold]
    pub fn segment(self) -> String {
        match self {
            Key::Text(text) => format!("[{}]", excerpt(text.into().as_bytes())),
            Key::Integer(value) => format!("[{value}]"),
            Key::Negative(value) => format!("[{value}]"),
            Key::Bool(value) => format!("[{value}]"),
        }
    }
}

impl<T> From<i128> for Key<T> {
    fn from(value: i128) -> Self {
        match value {
            ..0 => Key::Negative(value as i64),
            _ => Key::Integer(value as u64),
        }
    }
}

/// The keys of one map so far.
pub(super) struct Keys<T> {
    few: [Key<T>; FEW],
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
    fn insert(&mut self, key: impl Hash) -> bool {
        self.seen.insert(self.random.hash_one(key))
    }
}

impl<T: Copy> Default for Keys<T> {
    #[inline]
    fn default() -> Self {
        Self {
            few: [const { Key::Bool(false) }; FEW],
            count: 0,
            many: None,
        }
    }
}

impl<T: Copy + Eq + Hash> Keys<T> {
    /// Adds a key; false if it was there. Whether it was is asked of `before`, which reads the keys
    /// again, if the fingerprint can't tell.
    #[inline]
    pub fn insert(&mut self, key: Key<T>, before: impl FnOnce() -> Checked<bool>) -> Checked<bool> {
        let new = match self.few.get_mut(self.count) {
            Some(free) => {
                *free = key;
                !self.few[..self.count].contains(&key)
            }
            None => self.remember(key) || !before()?,
        };
        self.count += 1;
        Ok(new)
    }

    fn remember(&mut self, key: Key<T>) -> bool {
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
}
