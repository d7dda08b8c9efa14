//! Reads the rules of durations and timestamps.

use super::numbers::{Numbers, Order};
use super::rule::check;
use crate::rules::check::{Check, NANOS, NowTest, Test};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, entries, last};
use crate::rules::text;

/// The field numbers in `DurationRules`.
const DURATION_NUMBERS: Numbers = Numbers {
    constant: 2,
    less: 3,
    at_most: 4,
    greater: 5,
    at_least: 6,
    in_list: Some(7),
    not_in_list: Some(8),
};

/// The field numbers in `TimestampRules`.
const TIMESTAMP_NUMBERS: Numbers = Numbers {
    in_list: None,
    not_in_list: None,
    ..DURATION_NUMBERS
};

/// The field numbers of the rules that compare a timestamp with the current time.
const LESS_THAN_NOW: u32 = 7;
const GREATER_THAN_NOW: u32 = 8;
const WITHIN_NOW: u32 = 9;

/// Returns the rules of a duration, or `None` if one of them is malformed.
pub(super) fn durations(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Duration;
    let order = Order {
        kind,
        numbers: &DURATION_NUMBERS,
        entries,
    };
    order.rules(time, text::duration, Test::Time)
}

/// Returns the rules of a timestamp, or `None` if one of them is malformed.
pub(super) fn timestamps(entries: &[Entry]) -> Option<Vec<Check>> {
    let kind = RuleKind::Timestamp;
    let before_now = bound_by_now(
        entries,
        LESS_THAN_NOW,
        [TIMESTAMP_NUMBERS.less, TIMESTAMP_NUMBERS.at_most],
    );
    let after_now = bound_by_now(
        entries,
        GREATER_THAN_NOW,
        [TIMESTAMP_NUMBERS.greater, TIMESTAMP_NUMBERS.at_least],
    );
    let fixed: Vec<_> = (entries.iter().copied())
        .filter(|entry| match entry.number {
            number if number == TIMESTAMP_NUMBERS.less || number == TIMESTAMP_NUMBERS.at_most => {
                before_now.is_none()
            }
            number
                if number == TIMESTAMP_NUMBERS.greater || number == TIMESTAMP_NUMBERS.at_least =>
            {
                after_now.is_none()
            }
            _ => true,
        })
        .collect();
    let order = Order {
        kind,
        numbers: &TIMESTAMP_NUMBERS,
        entries: &fixed,
    };
    let mut checks = order.rules(time, text::timestamp, Test::Time)?;
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
    if let Some(value) = last(entries, WITHIN_NOW) {
        let nanos = time(value)?;
        let message = format!("must be within {} of now", text::duration(nanos));
        checks.push(check(
            kind,
            "within",
            message,
            Test::Now(NowTest::Within(nanos)),
        ));
    }
    Some(checks)
}

/// Returns the value of the rule with the field number `now`, which bounds timestamps by the
/// current time. This rule and the two `fixed` bounds are members of one oneof, so only the last
/// member that is written counts. Returns `None` if the last member is a fixed bound, or if no
/// member is written.
fn bound_by_now(entries: &[Entry], now: u32, fixed: [u32; 2]) -> Option<bool> {
    let is_of_oneof = |entry: &&Entry| entry.number == now || fixed.contains(&entry.number);
    let last = entries.iter().rev().find(is_of_oneof)?;
    (last.number == now).then(|| last.value.bool())
}

/// Converts an encoded Duration or Timestamp to nanoseconds. Returns `None` if it is malformed.
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
    fn only_the_last_bound_at_each_end_counts() {
        // The value is a time of five seconds.
        let fixed = |number| Entry {
            number,
            value: OptionValue::Bytes(&[0x08, 5]),
        };
        let now = |number, set| Entry {
            number,
            value: OptionValue::Varint(u64::from(set)),
        };
        let (less, before_now) = (fixed(TIMESTAMP_NUMBERS.less), now(LESS_THAN_NOW, true));
        let (least, after_now) = (
            fixed(TIMESTAMP_NUMBERS.at_least),
            now(GREATER_THAN_NOW, true),
        );
        for (entries, bounds) in [
            (&[less, before_now][..], ["now", ""]),
            (&[before_now, less], ["fixed", ""]),
            (&[less, now(LESS_THAN_NOW, false)], ["", ""]),
            (&[least, after_now], ["now", ""]),
            (&[least, after_now, before_now, less], ["fixed", "now"]),
        ] {
            let checks = timestamps(entries).unwrap();
            let found: Vec<_> = checks
                .iter()
                .map(|check| match check.test {
                    Test::Now(_) => "now",
                    _ => "fixed",
                })
                .collect();
            let expected: Vec<_> = bounds
                .into_iter()
                .filter(|bound| !bound.is_empty())
                .collect();
            assert_eq!(found, expected, "{entries:?}");
        }
    }
}
