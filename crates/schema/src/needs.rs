//! Which fields must be present: proto2's `required` and a route's `require` as one tree.
//!
//! Every message type has its own [`Needs`] (its `required` fields); a schema's root carries a tree
//! that adds the `require` paths. A walk takes the tree's child where there is one and the type's
//! own needs elsewhere, and notes what it meets in a [`FieldSet`]. This module reads no payload.

/// What one occurrence of a message must hold. Fields are given by their index in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// Returns the needs of the message in field `index`, to be extended. They start as `of_type`, the needs of
    /// the field's message type.
    pub fn child_mut(&mut self, index: u32, of_type: &Needs) -> &mut Needs {
        let found = self.children.iter().position(|(field, _)| *field == index);
        let at = found.unwrap_or_else(|| {
            self.children.push((index, of_type.clone()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// The required fields that are not in `seen`.
    #[inline]
    pub fn missing(&self, seen: &FieldSet) -> impl Iterator<Item = u32> {
        let required = self.required.iter().copied();
        required.filter(|&index| !seen.contains(index))
    }
}

/// The fields met in one occurrence of a message, by index.
///
/// Lies on the stack for the first [`FieldSet::WIDTH`] fields; a message type that has more of them
/// costs an allocation of a bit each once one is met, so that every walk takes linear time.
#[derive(Default)]
pub(super) struct FieldSet {
    low: [u64; 4],
    high: Vec<u64>,
}

impl FieldSet {
    const WIDTH: usize = 256;

    /// Adds a field; false if it was there.
    #[inline]
    pub fn insert(&mut self, index: u32) -> bool {
        let (word, bit) = place(index);
        let bits = match self.low.get_mut(word) {
            Some(bits) => bits,
            None => self.high_word(word - Self::WIDTH / 64),
        };
        let new = *bits & bit == 0;
        *bits |= bit;
        new
    }

    #[cold]
    fn high_word(&mut self, word: usize) -> &mut u64 {
        if word >= self.high.len() {
            self.high.resize(word + 1, 0);
        }
        &mut self.high[word]
    }

    #[inline]
    pub fn contains(&self, index: u32) -> bool {
        let (word, bit) = place(index);
        let bits = match self.low.get(word) {
            Some(bits) => Some(bits),
            None => self.high.get(word - Self::WIDTH / 64),
        };
        bits.is_some_and(|bits| bits & bit != 0)
    }
}

#[inline]
fn place(index: u32) -> (usize, u64) {
    (index as usize / 64, 1 << (index % 64))
}
