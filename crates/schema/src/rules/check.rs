//! A compiled standard rule: the test of a value, and the message for a value that fails the test.

pub(super) mod number;
pub(super) mod text;

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use number::NumberTest;
use text::{BytesTest, TextTest};

/// Nanoseconds in a second.
pub(super) const NANOS: i128 = 1_000_000_000;

/// A value that is tested by rules.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    /// A timestamp or a duration, in nanoseconds. A timestamp is counted from 1970.
    Time(i128),
    /// The paths of a field mask.
    Paths(Vec<Cow<'a, str>>),
}

impl Value<'_> {
    /// Returns whether this is the zero value of its type, which a writer omits from a field
    /// without presence. Times and field masks are never zero, because they are messages, and a
    /// field with a message type has presence.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Value::Signed(value) => *value == 0,
            Value::Unsigned(value) => *value == 0,
            // A writer does not omit -0.0.
            Value::Float(value) => value.to_bits() == 0,
            Value::Bool(value) => !value,
            Value::Text(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Time(_) | Value::Paths(_) => false,
        }
    }

    /// Returns whether this equals the zero value of its type. The float -0.0 equals zero, although
    /// [`Self::is_zero`] returns false for it.
    pub(super) fn equals_zero(&self) -> bool {
        self.is_zero() || matches!(self, Value::Float(value) if *value == 0.0)
    }
}

/// The test of a standard rule.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Signed(NumberTest<i64>),
    Unsigned(NumberTest<u64>),
    Float(NumberTest<f64>),
    Finite,
    Bool(bool),
    Text(TextTest),
    Bytes(BytesTest),
    Time(NumberTest<i128>),
    Now(NowTest),
    Mask(MaskTest),
}

/// The test of a timestamp against the current time.
#[derive(Clone, Copy, Debug)]
pub(super) enum NowTest {
    NotAfter,
    NotBefore,
    /// At most this number of nanoseconds before or after the current time.
    Within(i128),
}

/// The test of a field mask.
#[derive(Clone, Debug)]
pub(super) enum MaskTest {
    Equal(Box<[Box<str>]>),
    /// Each path is in the list, or below a path in the list.
    In(Box<[Box<str>]>),
    NotIn(Box<[Box<str>]>),
}

/// A standard rule.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub test: Test,
    /// The id of the rule, such as `string.min_len`.
    pub id: Box<str>,
    /// The sentence that a violation shows for a value that breaks the rule.
    pub message: Box<str>,
}

impl Check {
    /// Returns whether `value` satisfies the rule. A value of a type that the rule does not test
    /// never satisfies it.
    #[inline]
    pub(super) fn passes(&self, value: &Value) -> bool {
        match (&self.test, value) {
            (Test::Signed(test), Value::Signed(value)) => test.passes(*value),
            (Test::Unsigned(test), Value::Unsigned(value)) => test.passes(*value),
            (Test::Float(test), Value::Float(value)) => test.passes(*value),
            (Test::Finite, Value::Float(value)) => value.is_finite(),
            (Test::Bool(wanted), Value::Bool(value)) => value == wanted,
            (Test::Text(test), Value::Text(text)) => test.passes(text),
            (Test::Bytes(test), Value::Bytes(bytes)) => test.passes(bytes),
            (Test::Time(test), Value::Time(time)) => test.passes(*time),
            (Test::Now(test), Value::Time(time)) => test.passes(*time, now()),
            (Test::Mask(test), Value::Paths(paths)) => test.passes(paths),
            _ => false,
        }
    }
}

impl NowTest {
    fn passes(self, time: i128, now: i128) -> bool {
        match self {
            NowTest::NotAfter => time <= now,
            NowTest::NotBefore => time >= now,
            NowTest::Within(limit) => now - limit <= time && time <= now + limit,
        }
    }
}

/// Returns the current time in nanoseconds from 1970, or 0 if the system's clock is before 1970.
/// The time is only used for [`NowTest`].
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as i128)
}

impl MaskTest {
    fn passes(&self, paths: &[Cow<str>]) -> bool {
        match self {
            Self::Equal(others) => {
                let same = paths
                    .iter()
                    .zip(others)
                    .all(|(path, other)| **path == **other);
                same && paths.len() == others.len()
            }
            Self::In(list) => paths.iter().all(|path| covers(list, path)),
            Self::NotIn(list) => !paths.iter().any(|path| covers(list, path)),
        }
    }
}

/// Returns whether `path` is in `list`, or below a path in `list`.
fn covers(list: &[Box<str>], path: &str) -> bool {
    list.iter().any(|other| {
        let rest = path.strip_prefix(&**other);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
