//! Tests of values, in a form that is fast to evaluate.

use crate::rules::check::number::{End, NumberTest};
use crate::rules::check::text::{BytesTest, TextTest};
use crate::rules::check::{Check, Test, Value};
use crate::rules::plan::ValuePlan;
use crate::table::FieldKind;

/// A scalar as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scalar<'p> {
    /// An integer, an enum or a bool, in 64 bits of two's complement.
    Whole(u64),
    Real(f64),
    /// A string, which is UTF-8.
    Text(&'p [u8]),
    Bytes(&'p [u8]),
}

/// The condition on a scalar.
#[derive(Clone, Copy, Debug)]
pub(super) enum ValueTest {
    Nothing,
    /// The number is in the range of `span + 1` numbers that begins at `low`. The range wraps
    /// around at 64 bits.
    Whole {
        low: u64,
        span: u64,
    },
    /// The number is between `low` and `high`, both included.
    Real {
        low: f64,
        high: f64,
    },
    /// The number of code points is between `low` and `high`, both included.
    Chars {
        low: usize,
        high: usize,
    },
    /// The number of bytes is between `low` and `high`, both included.
    Bytes {
        low: usize,
        high: usize,
    },
    /// The [checks](ValuePlan::checks) of the rules decide.
    Checks,
}

/// The kinds of whole numbers in protobuf, by their encoding.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) enum WholeKind {
    Int32,
    Int64,
    Uint32,
    Sint32,
    Sint64,
    Bool,
    Fixed32,
    Sfixed32,
    Fixed64,
}

/// The quick form of a field: its kind and its test together, so that the combined pass judges a
/// value in one step. Fields in oneofs have no quick form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quick {
    /// The field has no quick form.
    Other,
    /// The field has no rules.
    Skip,
    /// The test is [`ValueTest::Whole`].
    Whole {
        kind: WholeKind,
        low: u64,
        span: u64,
    },
    /// The test is [`ValueTest::Real`].
    Double {
        low: f64,
        high: f64,
    },
    Float {
        low: f64,
        high: f64,
    },
    /// The test of a string is [`ValueTest::Chars`].
    Chars {
        low: usize,
        high: usize,
    },
    /// The test of a string or of bytes is [`ValueTest::Bytes`].
    Bytes {
        low: usize,
        high: usize,
    },
}

impl Quick {
    /// Returns the quick form of a scalar's test. `open` is true if `kind` is an open enum.
    pub(super) fn of(kind: FieldKind, test: ValueTest, open: bool) -> Self {
        let whole = |kind| match test {
            ValueTest::Nothing => Self::Whole {
                kind,
                low: 0,
                span: u64::MAX,
            },
            ValueTest::Whole { low, span } => Self::Whole { kind, low, span },
            _ => Self::Other,
        };
        match (kind, test) {
            (FieldKind::Int32, _) => whole(WholeKind::Int32),
            (FieldKind::Enum(_), _) if open => whole(WholeKind::Int32),
            (FieldKind::Int64 | FieldKind::Uint64, _) => whole(WholeKind::Int64),
            (FieldKind::Uint32, _) => whole(WholeKind::Uint32),
            (FieldKind::Sint32, _) => whole(WholeKind::Sint32),
            (FieldKind::Sint64, _) => whole(WholeKind::Sint64),
            (FieldKind::Bool, _) => whole(WholeKind::Bool),
            (FieldKind::Fixed32, _) => whole(WholeKind::Fixed32),
            (FieldKind::Sfixed32, _) => whole(WholeKind::Sfixed32),
            (FieldKind::Fixed64 | FieldKind::Sfixed64, _) => whole(WholeKind::Fixed64),
            (FieldKind::Double, ValueTest::Real { low, high }) => Self::Double { low, high },
            (FieldKind::Float, ValueTest::Real { low, high }) => Self::Float { low, high },
            (FieldKind::String { utf8: true }, ValueTest::Chars { low, high }) => {
                Self::Chars { low, high }
            }
            (
                FieldKind::String { utf8: true } | FieldKind::Bytes,
                ValueTest::Bytes { low, high },
            ) => Self::Bytes { low, high },
            _ => Self::Other,
        }
    }
}

impl Scalar<'_> {
    /// Returns whether this is the zero value of its type, which a writer omits from a field
    /// without presence. `-0.0` is not omitted.
    #[inline(always)]
    pub(super) fn is_zero(self) -> bool {
        match self {
            Scalar::Whole(value) => value == 0,
            Scalar::Real(value) => value.to_bits() == 0,
            Scalar::Text(bytes) | Scalar::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// Returns whether the value passes `test`. If `test` is [`ValueTest::Checks`], returns whether
    /// the value keeps `rules`. `kind` is the type of the value.
    #[inline(always)]
    pub(super) fn passes(
        self,
        test: ValueTest,
        kind: FieldKind,
        rules: Option<&ValuePlan>,
    ) -> bool {
        match (test, self) {
            (ValueTest::Nothing, _) => true,
            (ValueTest::Whole { low, span }, Scalar::Whole(value)) => {
                value.wrapping_sub(low) <= span
            }
            (ValueTest::Real { low, high }, Scalar::Real(value)) => low <= value && value <= high,
            (ValueTest::Chars { low, high }, Scalar::Text(text)) => has_chars(text, low, high),
            (ValueTest::Bytes { low, high }, Scalar::Text(bytes) | Scalar::Bytes(bytes)) => {
                low <= bytes.len() && bytes.len() <= high
            }
            _ => self.keeps(kind, rules),
        }
    }

    /// Returns whether the value breaks none of `rules`.
    #[inline(never)]
    fn keeps(self, kind: FieldKind, rules: Option<&ValuePlan>) -> bool {
        let (Some(value), Some(rules)) = (self.judged(kind), rules) else {
            return false;
        };
        rules.broken(&value).next().is_none()
    }
}

impl<'p> Scalar<'p> {
    /// Returns the value of type `kind` in the form that standard rules test. Returns `None` for a
    /// string that is not UTF-8.
    pub(super) fn judged(self, kind: FieldKind) -> Option<Value<'p>> {
        Some(match self {
            Scalar::Whole(value) => match kind {
                FieldKind::Bool => Value::Bool(value != 0),
                FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Fixed32 | FieldKind::Fixed64 => {
                    Value::Unsigned(value)
                }
                _ => Value::Signed(value as i64),
            },
            Scalar::Real(value) => Value::Float(value),
            Scalar::Text(text) => Value::Text(std::str::from_utf8(text).ok()?.into()),
            Scalar::Bytes(bytes) => Value::Bytes(bytes.into()),
        })
    }
}

/// Returns whether a text in UTF-8 has between `low` and `high` code points, both included. A code
/// point has one to four bytes, so the length in bytes decides most cases.
#[inline(always)]
pub(super) fn has_chars(text: &[u8], low: usize, high: usize) -> bool {
    let (most, least) = (text.len(), text.len().div_ceil(4));
    if low <= least && most <= high {
        return true;
    }
    counts_chars(text, low, high)
}

#[inline(never)]
fn counts_chars(text: &[u8], low: usize, high: usize) -> bool {
    let count = text.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    low <= count && count <= high
}

impl ValueTest {
    /// Returns one test that is equivalent to all `checks` together. If they are not equivalent to
    /// one range, the test is [`Self::Checks`].
    pub(super) fn of(checks: &[Check]) -> Self {
        let Some((first, _)) = checks.split_first() else {
            return Self::Nothing;
        };
        let found = match &first.test {
            Test::Signed(NumberTest::Outside(low, high)) if checks.len() == 1 => {
                outside(*low, *high, i64::MIN as u64, |bound| bound as u64)
            }
            Test::Unsigned(NumberTest::Outside(low, high)) if checks.len() == 1 => {
                outside(*low, *high, 0, |bound| bound)
            }
            Test::Signed(_) | Test::Unsigned(_) | Test::Bool(_) => wholes(checks),
            Test::Float(_) | Test::Finite => reals(checks),
            Test::Text(TextTest::Length(_)) => {
                lengths(checks).map(|(low, high)| Self::Chars { low, high })
            }
            Test::Text(TextTest::Bytes(_)) | Test::Bytes(BytesTest::Length(_)) => {
                lengths(checks).map(|(low, high)| Self::Bytes { low, high })
            }
            _ => None,
        };
        found.unwrap_or(Self::Checks)
    }
}

/// Returns the test that a number is above `low` or below `high`, as one range that wraps around.
/// Returns `None` if these numbers are not one such range. `least` is the smallest number of the
/// kind, and `bits` converts a number to two's complement.
fn outside<T: Copy>(
    low: End<T>,
    high: End<T>,
    least: u64,
    bits: impl Fn(T) -> u64,
) -> Option<ValueTest> {
    let most = least.wrapping_sub(1);
    let (bound, from) = match low {
        End::Open => return None,
        End::Exclusive(bound) => (bits(bound), bits(bound).wrapping_add(1)),
        End::Inclusive(bound) => (bits(bound), bits(bound)),
    };
    let (other, to) = match high {
        End::Open => return None,
        End::Exclusive(bound) => (bits(bound), bits(bound).wrapping_sub(1)),
        End::Inclusive(bound) => (bits(bound), bits(bound)),
    };
    // If a bound is the smallest or largest number of the kind, one of the two ranges may be empty
    // or contain all numbers.
    let is_end = |bound: u64| bound == least || bound == most;
    let span = to.wrapping_sub(from);
    (!is_end(bound) && !is_end(other)).then_some(ValueTest::Whole { low: from, span })
}

/// Returns one test of whole numbers that is equivalent to `checks`. Returns `None` if a check is
/// not a range, or if no number passes all checks.
fn wholes(checks: &[Check]) -> Option<ValueTest> {
    let (mut low, mut high) = (i128::from(i64::MIN), i128::from(u64::MAX));
    for check in checks {
        let (from, to) = match &check.test {
            Test::Signed(test) => range(test, i128::from, i64::MAX.into())?,
            Test::Unsigned(test) => range(test, i128::from, u64::MAX.into())?,
            Test::Bool(wanted) => (i128::from(*wanted), i128::from(*wanted)),
            _ => return None,
        };
        (low, high) = (low.max(from), high.min(to));
    }
    (low <= high).then_some(ValueTest::Whole {
        low: low as u64,
        span: (high - low) as u64,
    })
}

/// Returns the first and the last number of a range, or `None` if the test is not a range. `most`
/// is the largest number of the kind.
fn range<T: Copy>(
    test: &NumberTest<T>,
    number: impl Fn(T) -> i128,
    most: i128,
) -> Option<(i128, i128)> {
    let least = if most == i128::from(u64::MAX) {
        0
    } else {
        i64::MIN.into()
    };
    Some(match test {
        NumberTest::Equal(value) => (number(*value), number(*value)),
        NumberTest::Inside(low, high) => {
            let low = match *low {
                End::Open => least,
                End::Exclusive(bound) => number(bound) + 1,
                End::Inclusive(bound) => number(bound),
            };
            let high = match *high {
                End::Open => most,
                End::Exclusive(bound) => number(bound) - 1,
                End::Inclusive(bound) => number(bound),
            };
            (low, high)
        }
        NumberTest::Outside(..) | NumberTest::In(_) | NumberTest::NotIn(_) => return None,
    })
}

/// Returns one test of floats that is equivalent to `checks`. Returns `None` if a check is not a
/// range, or if a bound is NaN or an exclusive infinity.
fn reals(checks: &[Check]) -> Option<ValueTest> {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    for check in checks {
        let (from, to) = match &check.test {
            Test::Finite => (f64::MIN, f64::MAX),
            Test::Float(NumberTest::Equal(value)) => (*value, *value),
            Test::Float(NumberTest::Inside(from, to)) => {
                let from = match *from {
                    End::Open => f64::NEG_INFINITY,
                    End::Exclusive(bound) => bound.is_finite().then(|| bound.next_up())?,
                    End::Inclusive(bound) => bound,
                };
                let to = match *to {
                    End::Open => f64::INFINITY,
                    End::Exclusive(bound) => bound.is_finite().then(|| bound.next_down())?,
                    End::Inclusive(bound) => bound,
                };
                (from, to)
            }
            _ => return None,
        };
        if from.is_nan() || to.is_nan() {
            return None;
        }
        (low, high) = (low.max(from), high.min(to));
    }
    Some(ValueTest::Real { low, high })
}

/// Returns the least and the greatest length that all `checks` allow. Returns `None` if the checks
/// are not all tests of length in the same unit, or if no length passes all checks.
fn lengths(checks: &[Check]) -> Option<(usize, usize)> {
    let counted_as = |test: &Test| match test {
        Test::Text(TextTest::Length(_)) => Some(0),
        Test::Text(TextTest::Bytes(_)) | Test::Bytes(BytesTest::Length(_)) => Some(1),
        _ => None,
    };
    let unit = counted_as(&checks.first()?.test)?;
    let (mut low, mut high) = (0, i128::from(u64::MAX));
    for check in checks {
        let (
            Test::Text(TextTest::Length(test) | TextTest::Bytes(test))
            | Test::Bytes(BytesTest::Length(test)),
            true,
        ) = (&check.test, counted_as(&check.test) == Some(unit))
        else {
            return None;
        };
        let (from, to) = range(test, i128::from, u64::MAX.into())?;
        (low, high) = (low.max(from), high.min(to));
    }
    let bound = |length: i128| usize::try_from(length).unwrap_or(usize::MAX);
    (low <= high).then(|| (bound(low), bound(high)))
}
