//! Detection of duplicate keys in a map, for MessagePack and JSON.
//!
//! Keys are compared as values, not as bytes: the number 1 in one byte and the number 1 in eight
//! bytes are equal keys. The keys of a map of up to [`PAIRWISE_MAX`] entries are compared pairwise
//! on the stack. For a larger map, a set of fingerprints is kept. A fingerprint is a 64-bit hash of
//! a key. The set grows with the entries that were read, not with the number of entries that a
//! payload declares. The hashes have a random seed, so that a peer cannot choose keys with equal
//! hashes. If a fingerprint occurs twice, the keys are read again.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use rustc_hash::FxBuildHasher;

use crate::violation::{Checked, excerpt};

/// The number of keys up to which pairwise comparison is faster than hashing. [`Keys`] holds this
/// many keys without allocating memory.
const PAIRWISE_MAX: usize = 8;

/// A key in the form that is compared. `T` is the encoding's type for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key<T> {
    Text(T),
    /// A number of zero or more. The numbers of every kind of key fit 64 bits.
    Integer(u64),
    Negative(i64),
    Bool(bool),
}

impl<'a, T: Into<Cow<'a, str>>> Key<T> {
    /// Returns the segment that this key adds to a violation's path, such as `["k"]` or `[7]`.
    #[cold]
    pub(crate) fn segment(self) -> String {
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

/// The keys of one map that were read so far.
pub(super) struct Keys<T> {
    first_keys: [Key<T>; PAIRWISE_MAX],
    count: usize,
    fingerprints: Option<Fingerprints>,
}

/// The hashes of the keys.
struct Fingerprints {
    random: RandomState,
    /// The hashes. They are random already, so the set can use a fast hasher.
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
            first_keys: [const { Key::Bool(false) }; PAIRWISE_MAX],
            count: 0,
            fingerprints: None,
        }
    }
}

impl<T: Copy + Eq + Hash> Keys<T> {
    /// Adds a key. Returns false if an equal key was added before. `before` is called only if a key
    /// with the same fingerprint was added before. It reads the earlier keys again, and returns
    /// whether an equal key is among them.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        key: Key<T>,
        before: impl FnOnce() -> Checked<bool>,
    ) -> Checked<bool> {
        let new = match self.first_keys.get_mut(self.count) {
            Some(free) => {
                *free = key;
                !self.first_keys[..self.count].contains(&key)
            }
            None => self.remember(key) || !before()?,
        };
        self.count += 1;
        Ok(new)
    }

    fn remember(&mut self, key: Key<T>) -> bool {
        let fingerprints = self.fingerprints.get_or_insert_with(|| {
            let (random, seen) = (RandomState::new(), HashSet::default());
            let mut fingerprints = Fingerprints { random, seen };
            for key in self.first_keys {
                fingerprints.insert(key);
            }
            fingerprints
        });
        fingerprints.insert(key)
    }
}
