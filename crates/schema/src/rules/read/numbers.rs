//! Reads the rules of numbers, and the rules that all ordered values have in common.

use super::rule::check;
use crate::protobuf::wire::WireReader;
use crate::rules::check::number::{End, NumberTest};
use crate::rules::check::{Check, Test};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, all, last};
use crate::rules::text::{float, list};
use crate::table::wire;

/// The field numbers of the rules on ordered values, in a message of rules such as `Int32Rules` or
/// `DurationRules`.
pub(super) struct Numbers {
    pub constant: u32,
    pub less: u32,
    pub at_most: u32,
    pub greater: u32,
    pub at_least: u32,
    /// `None` if the kind has no `in` and `not_in` rules.
    pub in_list: Option<u32>,
    pub not_in_list: Option<u32>,
}

const NUMBERS: Numbers = Numbers {
    constant: 1,
    less: 2,
    at_most: 3,
    greater: 4,
    at_least: 5,
    in_list: Some(6),
    not_in_list: Some(7),
};

/// The field number of the rule that a float is finite.
const FINITE: u32 = 8;

/// Returns the rules of a number, or `None` if a rule is malformed.
pub(super) fn rules(kind: RuleKind, entries: &[Entry]) -> Option<Vec<Check>> {
    let order = |kind| Order {
        kind,
        numbers: &NUMBERS,
        entries,
    };
    match kind {
        RuleKind::Float | RuleKind::Double => floats(kind, entries),
        RuleKind::Uint32 | RuleKind::Uint64 => order(kind).rules(
            |value| value.unsigned(),
            |value| value.to_string(),
            Test::Unsigned,
        ),
        RuleKind::Fixed32 | RuleKind::Fixed64 => {
            order(kind).rules(fixed, |value| value.to_string(), Test::Unsigned)
        }
        RuleKind::Sint32 | RuleKind::Sint64 => {
            order(kind).rules(zigzag, |value| value.to_string(), Test::Signed)
        }
        RuleKind::Sfixed32 | RuleKind::Sfixed64 => {
            order(kind).rules(fixed_signed, |value| value.to_string(), Test::Signed)
        }
        _ => {
            let number = |value: OptionValue| Some(value.unsigned()? as i64);
            order(kind).rules(number, |value| value.to_string(), Test::Signed)
        }
    }
}

fn zigzag(value: OptionValue) -> Option<i64> {
    let value = value.unsigned()?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn fixed(value: OptionValue) -> Option<u64> {
    match value {
        OptionValue::Eight(bytes) => Some(u64::from_le_bytes(bytes)),
        OptionValue::Four(bytes) => Some(u32::from_le_bytes(bytes).into()),
        _ => None,
    }
}

fn fixed_signed(value: OptionValue) -> Option<i64> {
    match value {
        OptionValue::Eight(bytes) => Some(i64::from_le_bytes(bytes)),
        OptionValue::Four(bytes) => Some(i32::from_le_bytes(bytes).into()),
        _ => None,
    }
}

fn floats(kind: RuleKind, entries: &[Entry]) -> Option<Vec<Check>> {
    let number = |value: OptionValue| match value {
        OptionValue::Eight(bytes) => Some(f64::from_le_bytes(bytes)),
        OptionValue::Four(bytes) => Some(f32::from_le_bytes(bytes).into()),
        _ => None,
    };
    let single = kind == RuleKind::Float;
    let show = |value: f64| float(value, single.then_some(value as f32));
    let order = Order {
        kind,
        numbers: &NUMBERS,
        entries,
    };
    let mut checks = order.rules(number, show, Test::Float)?;
    if last(entries, FINITE).is_some_and(OptionValue::bool) {
        checks.push(check(
            kind,
            "finite",
            "must be finite".to_owned(),
            Test::Finite,
        ));
    }
    Some(checks)
}

/// Returns the wire type of a value of this kind.
fn element_wire(kind: RuleKind) -> u8 {
    match kind {
        RuleKind::Float | RuleKind::Fixed32 | RuleKind::Sfixed32 => wire::I32,
        RuleKind::Double | RuleKind::Fixed64 | RuleKind::Sfixed64 => wire::I64,
        RuleKind::Duration | RuleKind::Timestamp => wire::LEN,
        _ => wire::VARINT,
    }
}

/// A reader of the rules that all ordered values have in common.
pub(super) struct Order<'a> {
    pub kind: RuleKind,
    pub numbers: &'a Numbers,
    pub entries: &'a [Entry<'a>],
}

impl Order<'_> {
    /// Returns the rules, or `None` if one of them is malformed. `read` reads the value of a rule,
    /// `show` formats a value for a message, and `test` converts a test to the type [`Test`].
    pub(super) fn rules<T: PartialOrd + Copy>(
        &self,
        read: impl Fn(OptionValue) -> Option<T> + Copy,
        show: impl Fn(T) -> String + Copy,
        test: impl Fn(NumberTest<T>) -> Test + Copy,
    ) -> Option<Vec<Check>> {
        let mut checks = Vec::new();
        if let Some(value) = last(self.entries, self.numbers.constant) {
            let value = read(value)?;
            let message = format!("must equal {}", show(value));
            checks.push(check(
                self.kind,
                "const",
                message,
                test(NumberTest::Equal(value)),
            ));
        }
        let low = self.end((self.numbers.greater, self.numbers.at_least), read)?;
        let high = self.end((self.numbers.less, self.numbers.at_most), read)?;
        checks.extend(range(self.kind, low, high, show, test));
        let listed = |number: Option<u32>| match number {
            Some(number) => listed(self.entries, number, element_wire(self.kind), read),
            None => Some(Vec::new()),
        };
        let (in_list, not_in_list) = (
            listed(self.numbers.in_list)?,
            listed(self.numbers.not_in_list)?,
        );
        let shown =
            |values: &[T]| list(&values.iter().map(|value| show(*value)).collect::<Vec<_>>());
        let (in_text, not_in_text) = (shown(&in_list), shown(&not_in_list));
        checks.extend(listing(
            self.kind,
            (in_list, in_text),
            (not_in_list, not_in_text),
            test,
        ));
        Some(checks)
    }

    /// Returns one end of a range. The rule `exclusive` sets an end that excludes the bound, and
    /// the rule `inclusive` sets an end that includes the bound. If both rules are set, the last
    /// rule counts. If neither is set, the end is open. Returns `None` if the bound is malformed.
    fn end<T>(
        &self,
        (exclusive, inclusive): (u32, u32),
        read: impl Fn(OptionValue) -> Option<T>,
    ) -> Option<End<T>> {
        let mut either = (self.entries.iter().rev())
            .filter(|entry| entry.number == exclusive || entry.number == inclusive);
        let Some(entry) = either.next() else {
            return Some(End::Open);
        };
        let bound = read(entry.value)?;
        Some(if entry.number == exclusive {
            End::Exclusive(bound)
        } else {
            End::Inclusive(bound)
        })
    }
}

/// Returns the rule of a range, or `None` if the range is open at both ends. If `high` is less than
/// `low`, the rule excludes the values between the two bounds.
fn range<T: PartialOrd + Copy>(
    kind: RuleKind,
    low: End<T>,
    high: End<T>,
    show: impl Fn(T) -> String,
    test: impl Fn(NumberTest<T>) -> Test,
) -> Option<Check> {
    let lows = match low {
        End::Open => None,
        End::Exclusive(bound) => Some(("gt", format!("greater than {}", show(bound)), bound)),
        End::Inclusive(bound) => Some((
            "gte",
            format!("greater than or equal to {}", show(bound)),
            bound,
        )),
    };
    let highs = match high {
        End::Open => None,
        End::Exclusive(bound) => Some(("lt", format!("less than {}", show(bound)), bound)),
        End::Inclusive(bound) => Some((
            "lte",
            format!("less than or equal to {}", show(bound)),
            bound,
        )),
    };
    let inside = test(NumberTest::Inside(low, high));
    Some(match (lows, highs) {
        (None, None) => return None,
        (Some((rule, words, _)), None) | (None, Some((rule, words, _))) => {
            check(kind, rule, format!("must be {words}"), inside)
        }
        (Some((first, above, low_bound)), Some((second, below, high_bound))) => {
            if high_bound < low_bound {
                let outside = test(NumberTest::Outside(low, high));
                let message = format!("must be {above} or {below}");
                check(
                    kind,
                    &format!("{first}_{second}_exclusive"),
                    message,
                    outside,
                )
            } else {
                let message = format!("must be {above} and {below}");
                check(kind, &format!("{first}_{second}"), message, inside)
            }
        }
    })
}

/// Returns the values of a list, packed or not, whose elements have the wire type `kind`. Returns
/// `None` if a value is malformed.
pub(super) fn listed<T>(
    entries: &[Entry],
    number: u32,
    kind: u8,
    read: impl Fn(OptionValue) -> Option<T>,
) -> Option<Vec<T>> {
    let mut values = Vec::new();
    for value in all(entries, number) {
        let packed = value.bytes().filter(|_| kind != wire::LEN);
        let Some(run) = packed else {
            values.push(read(value)?);
            continue;
        };
        let mut run = WireReader::new(run);
        while !run.is_empty() {
            let element = match kind {
                wire::I32 => OptionValue::Four(run.take(4).ok()?.try_into().ok()?),
                wire::I64 => OptionValue::Eight(run.take(8).ok()?.try_into().ok()?),
                _ => OptionValue::Varint(run.varint().ok()?),
            };
            values.push(read(element)?);
        }
    }
    Some(values)
}

/// Returns the rules that a value is in `in_list` and not in `not_in_list`. A list without values
/// adds no rule.
pub(super) fn membership<T: ToString + PartialOrd>(
    kind: RuleKind,
    in_list: Vec<T>,
    not_in_list: Vec<T>,
    test: impl Fn(NumberTest<T>) -> Test,
) -> Vec<Check> {
    let shown = |values: &[T]| list(&values.iter().map(T::to_string).collect::<Vec<_>>());
    let (in_text, not_in_text) = (shown(&in_list), shown(&not_in_list));
    listing(kind, (in_list, in_text), (not_in_list, not_in_text), test)
}

fn listing<T: PartialOrd>(
    kind: RuleKind,
    (in_list, in_text): (Vec<T>, String),
    (not_in_list, not_in_text): (Vec<T>, String),
    test: impl Fn(NumberTest<T>) -> Test,
) -> Vec<Check> {
    let mut checks = Vec::new();
    if !in_list.is_empty() {
        let message = format!("must be in list {in_text}");
        checks.push(check(
            kind,
            "in",
            message,
            test(NumberTest::In(in_list.into_iter().collect())),
        ));
    }
    if !not_in_list.is_empty() {
        let message = format!("must not be in list {not_in_text}");
        let test = test(NumberTest::NotIn(not_in_list.into_iter().collect()));
        checks.push(check(kind, "not_in", message, test));
    }
    checks
}
