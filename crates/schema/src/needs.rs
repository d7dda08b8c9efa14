//! The fields that must be present: proto2's `required` and a route's `require`, as one tree.
//!
//! Every message type has its own [`Needs`] (its `required` fields), and a schema's root carries a
//! tree that adds the `require` paths. A walk over a payload follows this tree. If the tree has a
//! child for a message field, the needs of the child apply to the field. Otherwise, the needs of
//! the field's type apply. The walk records the fields that it reads in an [`IndexSet`]. This
//! module reads no payload.

/// The required fields of one occurrence of a message, by their index in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The required fields, ascending.
    required: Vec<u32>,
    /// The needs of the message fields that `require` paths lead through. There are few such
    /// fields.
    children: Vec<(u32, Needs)>,
}

impl Needs {
    /// Returns whether nothing is required.
    pub(crate) fn is_empty(&self) -> bool {
        self.required.is_empty()
    }

    /// Returns the needs of the message in field `index`, or `None` if no `require` path leads
    /// through the field. `None` means that the needs of the field's type apply.
    #[inline]
    pub(crate) fn child(&self, index: u32) -> Option<&Needs> {
        let (_, needs) = self.children.iter().find(|(field, _)| *field == index)?;
        Some(needs)
    }

    pub(crate) fn require(&mut self, index: u32) {
        if let Err(at) = self.required.binary_search(&index) {
            self.required.insert(at, index);
        }
    }

    /// Returns the needs of the message in field `index`, to be extended. Initially, they are a
    /// copy of `of_type`, the needs of the field's message type.
    pub(crate) fn child_mut(&mut self, index: u32, of_type: &Needs) -> &mut Needs {
        let found = self.children.iter().position(|(field, _)| *field == index);
        let at = found.unwrap_or_else(|| {
            self.children.push((index, of_type.clone()));
            self.children.len() - 1
        });
        &mut self.children[at].1
    }

    /// Returns the required fields that are not in `seen`.
    #[inline]
    pub(crate) fn missing(&self, seen: &IndexSet) -> impl Iterator<Item = u32> {
        let required = self.required.iter().copied();
        required.filter(|&index| !seen.contains(index))
    }
}

/// A set of small numbers: the indices of fields or oneofs of one occurrence of a message, or of
/// rules.
///
/// The bits of numbers below [`IndexSet::WIDTH`] are on the stack. Memory for the bits of larger
/// numbers is allocated when such a number is first added. A lookup takes constant time for message
/// types of any size.
#[derive(Default)]
pub(super) struct IndexSet {
    low: [u64; 4],
    high: Vec<u64>,
}

impl IndexSet {
    const WIDTH: usize = 256;

    /// Adds a number. Returns false if the set already contains it.
    #[inline]
    pub(crate) fn insert(&mut self, index: u32) -> bool {
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
    pub(crate) fn contains(&self, index: u32) -> bool {
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
