//! Tests of numbers and of other values that have an order.

use std::cmp::Ordering;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::rules) enum End<T> {
    /// The range has no bound at this end.
    Open,
    /// The bound itself is outside of the range.
    Exclusive(T),
    /// The bound itself is inside the range.
    Inclusive(T),
}

impl<T: PartialOrd + Copy> End<T> {
    /// Returns whether `value` is above this low end.
    #[inline]
    fn is_below(self, value: T) -> bool {
        match self {
            End::Open => true,
            End::Exclusive(bound) => value > bound,
            End::Inclusive(bound) => value >= bound,
        }
    }

    /// Returns whether `value` is below this high end.
    #[inline]
    fn is_above(self, value: T) -> bool {
        match self {
            End::Open => true,
            End::Exclusive(bound) => value < bound,
            End::Inclusive(bound) => value <= bound,
        }
    }
}

/// A condition of a rule on a number.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) enum NumberTest<T> {
    Equal(T),
    /// Between the ends.
    Inside(End<T>, End<T>),
    /// Above the low end or below the high end. The high end is less than the low end.
    Outside(End<T>, End<T>),
    In(Sorted<T>),
    NotIn(Sorted<T>),
}

/// Values in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rules) struct Sorted<T>(Box<[T]>);

impl<T: PartialOrd + Copy> Sorted<T> {
    /// Returns whether `value` is in the list.
    #[inline]
    fn has(&self, value: T) -> bool {
        let order = |other: &T| other.partial_cmp(&value).unwrap_or(Ordering::Less);
        self.0.binary_search_by(order).is_ok()
    }
}

impl<T: PartialOrd> FromIterator<T> for Sorted<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        // NaN is left out, because it has no place in an order and equals no value.
        let values = values
            .into_iter()
            .filter(|value| value.partial_cmp(value).is_some());
        let mut sorted: Vec<T> = values.collect();
        sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
        Self(sorted.into())
    }
}

impl<T: PartialOrd + Copy> NumberTest<T> {
    /// Returns whether `value` passes. NaN is in no range and equals no value.
    #[inline]
    pub(crate) fn passes(&self, value: T) -> bool {
        match self {
            Self::Equal(other) => value == *other,
            Self::Inside(low, high) => low.is_below(value) && high.is_above(value),
            Self::Outside(low, high) => low.is_below(value) || high.is_above(value),
            Self::In(list) => list.has(value),
            Self::NotIn(list) => !list.has(value),
        }
    }
}
