//! Reads the rules of durations (spans) and timestamps (moments).

use super::numbers::{Numbers, Order};
use super::rule::check;
use crate::rules::check::{Check, NANOS, NowTest, Test};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, entries, last};
use crate::rules::text::{moment, span};

/// The field numbers in `DurationRules`.
const SPANS: Numbers = Numbers {
    constant: 2,
    less: 3,
    at_most: 4,
    greater: 5,
    at_least: 6,
    within: Some(7),
    without: Some(8),
};

/// The field numbers in `TimestampRules`.
const MOMENTS: Numbers = Numbers {
    within: None,
    without: None,
    ..SPANS
};

const LESS_THAN_NOW: u32 = 7;
const GREATER_THAN_NOW: u32 = 8;
const WITHIN: u32 = 9;

/// Returns the rules of a duration, or `None` if one of them is malformed.
pub(super) fn spans(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Duration;
    let order = Order {
        kind,
        numbers: &SPANS,
        entries,
    };
    order.rules(time, span, Test::Time)
}

/// Returns the rules of a timestamp, or `None` if one of them is malformed.
pub(super) fn moments(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Timestamp;
    let before_now = bound_by_now(entries, LESS_THAN_NOW, [MOMENTS.less, MOMENTS.at_most]);
    let after_now = bound_by_now(
        entries,
        GREATER_THAN_NOW,
        [MOMENTS.greater, MOMENTS.at_least],
    );
    let fixed: Vec<_> = (entries.iter().copied())
        .filter(|entry| match entry.number {
            number if number == MOMENTS.less || number == MOMENTS.at_most => before_now.is_none(),
            number if number == MOMENTS.greater || number == MOMENTS.at_least => {
                after_now.is_none()
            }
            _ => true,
        })
        .collect();
    let order = Order {
        kind,
        numbers: &MOMENTS,
        entries: &fixed,
    };
    let mut checks = order.rules(time, moment, Test::Time)?;
    if before_now == Some(true) {
        let message = "must be less than now".to_owned();
        checks.push(check(kind, "lt_now", message, Test::Now(NowTest::NotAfter)));
    }
    if after_now == Some(true) {
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

/// Returns the value of a bound relative to the clock, or `None` if it is not set. It shares a
/// oneof with the fixed bounds of the same end, so only the last one of them counts.
fn bound_by_now(entries: &[Entry], now: u32, fixed: [u32; 2]) -> Option<bool> {
    let is_of_oneof = |entry: &&Entry| entry.number == now || fixed.contains(&entry.number);
    let last = entries.iter().rev().find(is_of_oneof)?;
    (last.number == now).then(|| last.value.bool())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// If several members of a oneof are written, the last one counts.
    #[test]
    fn only_the_last_bound_of_an_end_counts() {
        // Five seconds.
        let fixed = |number| Entry {
            number,
            value: OptionValue::Bytes(&[0x08, 5]),
        };
        let now = |number, set| Entry {
            number,
            value: OptionValue::Varint(u64::from(set)),
        };
        let (less, below_now) = (fixed(MOMENTS.less), now(LESS_THAN_NOW, true));
        let (least, after_now) = (fixed(MOMENTS.at_least), now(GREATER_THAN_NOW, true));
        for (entries, bounds) in [
            (&[less, below_now][..], ["now", ""]),
            (&[below_now, less], ["fixed", ""]),
            (&[less, now(LESS_THAN_NOW, false)], ["", ""]),
            (&[least, after_now], ["now", ""]),
            (&[least, after_now, below_now, less], ["fixed", "now"]),
        ] {
            let checks = moments(entries).unwrap();
            let found: Vec<_> = checks
                .iter()
                .map(|check| match check.test {
                    Test::Now(_) => "now",
                    _ => "fixed",
                })
                .collect();
            let expected: Vec<_> = bounds.into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(found, expected, "{entries:?}");
        }
    }
}
