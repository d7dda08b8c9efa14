//! Which fields must be present: proto2's `required` and a route's `require` as one tree.
//!
//! Every message type has its own [`Needs`] (its `required` fields); a schema's root carries a tree
//! that adds the `require` paths. A walk takes the tree's child where there is one and the type's
//! own needs elsewhere, and notes what it meets in a [`FieldSet`]. This module reads no payload.

use super::table::{MessageId, Table};

/// What one occurrence of a message must hold. Fields are given by their index in the table.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Ascending.
    required: Vec<u32>,
    /// The message fields that a `require` path leads through; few.
    children: Vec<(u32, Needs)>,
}

impl Needs {
    /// Whether an empty message would do.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty()
    }

    /// What the message in field `index` needs, if more than its type says.
    #[inline]
    pub fn child(&self, index: u32) -> Option<&Needs> {
        let (_, needs) = self.children.iter().find(|(field, _)| *field == index)?;
        Some(needs)
    }

    pub fn require(&mut self, index: u32) {
        if let Err(at) = self.required.binary_search(&index) {
            self.required.insert(at, index);
        }
    }

    /// The child to extend for the message type `id` in field `index`.
    pub fn child_mut(&mut self, table: &Table, index: u32, id: MessageId) -> &mut Needs {
        let found = self.children.iter().position(|(field, _)| *field == index);
        let at = found.unwrap_or_else(|| {
            self.children.push((index, table[id].needs.clone()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// The first required field of `seen`'s window that is not in it.
    pub fn missing(&self, seen: &FieldSet) -> Option<u32> {
        let mut required = self.required.iter().copied();
        required.find(|&index| seen.covers(index) && !seen.contains(index))
    }

    /// Where the windows after the first begin that hold a required field.
    pub fn later_windows(&self) -> impl Iterator<Item = u32> {
        let last = self.required.last().copied().unwrap_or(0);
        (FieldSet::WIDTH..=last).step_by(FieldSet::WIDTH as usize)
    }
}

/// The fields met in one occurrence of a message, without allocation: a window of
/// [`FieldSet::WIDTH`] field indices. Wider messages, which are rare, are read once per window.
pub(super) struct FieldSet {
    base: u32,
    bits: [u64; 4],
}

impl FieldSet {
    pub const WIDTH: u32 = 256;

    #[inline]
    pub fn window(base: u32) -> Self {
        Self { base, bits: [0; 4] }
    }

    #[inline]
    pub fn covers(&self, index: u32) -> bool {
        index.wrapping_sub(self.base) < Self::WIDTH
    }

    /// Adds a field; false if it was there. One outside the window is none of its business.
    #[inline]
    pub fn insert(&mut self, index: u32) -> bool {
        if !self.covers(index) {
            return true;
        }
        let (word, bit) = self.place(index);
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    fn contains(&self, index: u32) -> bool {
        let (word, bit) = self.place(index);
        self.bits[word] & bit != 0
    }

    #[inline]
    fn place(&self, index: u32) -> (usize, u64) {
        let at = index.wrapping_sub(self.base) % Self::WIDTH;
        ((at / 64) as usize, 1 << (at % 64))
    }
}
