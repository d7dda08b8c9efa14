//! Rules of spans and moments.

use super::numbers::{Numbers, Order};
use super::rule::check;
use crate::rules::check::{Check, NANOS, NowTest, Test};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, entries, last};
use crate::rules::text::{moment, span};

/// In `DurationRules`.
const SPANS: Numbers = Numbers {
    constant: 2,
    less: 3,
    at_most: 4,
    greater: 5,
    at_least: 6,
    within: Some(7),
    without: Some(8),
};

/// In `TimestampRules`.
const MOMENTS: Numbers = Numbers {
    within: None,
    without: None,
    ..SPANS
};

const LESS_THAN_NOW: u32 = 7;
const GREATER_THAN_NOW: u32 = 8;
const WITHIN: u32 = 9;

/// Returns the rules of a span; `None` if one of them is malformed.
pub(super) fn spans(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Duration;
    let order = Order {
        kind,
        numbers: &SPANS,
        entries,
    };
    order.rules(time, span, Test::Time)
}

/// Returns the rules of a moment; `None` if one of them is malformed.
pub(super) fn moments(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Timestamp;
    let order = Order {
        kind,
        numbers: &MOMENTS,
        entries,
    };
    let mut checks = order.rules(time, moment, Test::Time)?;
    // Bounds by the clock are in one oneof with the others: the last of each counts, so of a bound by
    // the clock that is followed by another none is left.
    let is_last = |number: u32, others: [u32; 2]| {
        let mut ends = (entries.iter().rev())
            .filter(|entry| entry.number == number || others.contains(&entry.number));
        ends.next()
            .is_some_and(|entry| entry.number == number && entry.value.bool())
    };
    if is_last(LESS_THAN_NOW, [MOMENTS.less, MOMENTS.at_most]) {
        let message = "must be less than now".to_owned();
        checks.push(check(kind, "lt_now", message, Test::Now(NowTest::NotAfter)));
    }
    if is_last(GREATER_THAN_NOW, [MOMENTS.greater, MOMENTS.at_least]) {
        let message = "must be greater than now".to_owned();
        checks.push(check(
            kind,
            "gt_now",
            message,
            Test::Now(NowTest::NotBefore),
        ));
    }
    if let Some(value) = last(entries, WITHIN) {
        let nanos = time(value)?;
        let message = format!("must be within {} of now", span(nanos));
        checks.push(check(
            kind,
            "within",
            message,
            Test::Now(NowTest::Within(nanos)),
        ));
    }
    Some(checks)
}

/// Returns the nanoseconds of a Duration or Timestamp.
fn time(value: OptionValue) -> Option<i128> {
    let fields = entries(value.bytes()?)?;
    let field = |number| match last(&fields, number) {
        Some(value) => value.unsigned(),
        None => Some(0),
    };
    let (seconds, nanos) = (field(1)? as i64, field(2)? as i32);
    Some(i128::from(seconds) * NANOS + i128::from(nanos))
}
