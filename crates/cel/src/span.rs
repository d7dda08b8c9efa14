//! Positions in the text of an expression.

/// A range of bytes in the text of an expression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The position of the first byte, counted from 0.
    pub start: u32,
    /// The position after the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        // An expression is at most `parser::SIZE_MAX` bytes long, so its positions fit 32 bits.
        Self {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Returns the range from the start of `self` to the end of `last`.
    pub(crate) const fn to(self, last: Self) -> Self {
        Self {
            start: self.start,
            end: last.end,
        }
    }
}
