//! Durations and sizes: numbers with units.

use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use crate::snapshot::MemoryLimit;

/// The maximum duration, which is a year. A longer deadline has no effect in practice.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A duration, such as `250ms`, `30s`, `5m` or `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct DurationValue(pub Duration);

/// The units of durations, each with its length in milliseconds and other words that people write
/// for it.
const TIME_UNITS: [Unit; 4] = [
    (
        "ms",
        1,
        &["msec", "msecs", "millis", "millisecond", "milliseconds"],
    ),
    ("s", 1_000, &["sec", "secs", "second", "seconds"]),
    ("m", 60_000, &["min", "mins", "minute", "minutes"]),
    ("h", 3_600_000, &["hr", "hrs", "hour", "hours"]),
];

impl DurationValue {
    /// Reads a duration. `more` names the other allowed words, such as `, or none`.
    fn read(value: &Value, more: &str) -> Result<Self, String> {
        let expected = format!("a duration such as 250ms, 30s, 5m or 1h{more}");
        if let Some(n) = without_unit(value) {
            // A multiple of 1000 is probably a number of milliseconds.
            let meant = match n % 1_000 {
                _ if n == 0 => format!("a duration from 1ms to a year{more}"),
                0 => format!("{n}ms or {}s", n / 1_000),
                _ => format!("{n}s or {n}ms"),
            };
            return Err(format!("a number without a unit: expected {meant}"));
        }
        let ms = quantity(value, &expected, &TIME_UNITS, "8760h, a year")?;
        let duration = Duration::from_millis(ms);
        if duration.is_zero() || duration > DURATION_MAX {
            return Err(format!("expected a duration from 1ms to a year{more}"));
        }
        Ok(Self(duration))
    }
}

impl TryFrom<Value> for DurationValue {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::read(&value, "")
    }
}

/// A duration such as `30s`, or `none` for no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Timeout(pub Option<Duration>);

impl TryFrom<Value> for Timeout {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == "none" {
            return Ok(Self(None));
        }
        DurationValue::read(&value, ", or none").map(|duration| Self(Some(duration.0)))
    }
}

/// A duration such as `1s`, or `off` for no heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Heartbeat(pub Option<Duration>);

impl TryFrom<Value> for Heartbeat {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        // `off` is a word in YAML 1.2 and false in YAML 1.1.
        if value == "off" || value == Value::Bool(false) {
            return Ok(Self(None));
        }
        DurationValue::read(&value, ", or off").map(|duration| Self(Some(duration.0)))
    }
}

/// A size of at most `MOST` bytes, such as `512B`, `64KiB`, `16MiB` or `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Size<const MOST: u64 = { u64::MAX }>(pub u64);

/// Returns a size in GiB, rounded down, or in bytes if it is less than 1 GiB.
fn shown_size(size: u64) -> String {
    let gib = size >> 30;
    match gib {
        0 => format!("{size}B"),
        _ => format!("{gib}GiB"),
    }
}

/// The units of sizes, each with its size in bytes and other words that people write for it.
const SIZE_UNITS: [Unit; 4] = [
    ("KiB", 1 << 10, &["k", "kb", "kib", "ki"]),
    ("MiB", 1 << 20, &["m", "mb", "mib", "mi"]),
    ("GiB", 1 << 30, &["g", "gb", "gib", "gi"]),
    ("B", 1, &["b", "byte", "bytes"]),
];

impl<const MOST: u64> Size<MOST> {
    /// Reads a size. `expected` describes the allowed values.
    fn read(value: &Value, expected: &str) -> Result<Self, String> {
        if let Some(n) = without_unit(value) {
            let meant = match n {
                0 => "0B".to_owned(),
                1..1_024 => format!("{n}KiB or {n}MiB"),
                _ if n % (1 << 20) == 0 => format!("{n}B or {}MiB", n >> 20),
                _ => format!("{n}B"),
            };
            return Err(format!("a number without a unit: expected {meant}"));
        }
        let size = quantity(value, expected, &SIZE_UNITS, &shown_size(MOST))?;
        if size > MOST {
            return Err(format!("expected at most {}", shown_size(MOST)));
        }
        Ok(Self(size))
    }
}

impl<const MOST: u64> TryFrom<Value> for Size<MOST> {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::read(&value, "a size such as 512B, 64KiB, 16MiB or 1GiB")
    }
}

/// The minimum of a [`MemoryAmount`] that is a size, in bytes. The gateway needs about this much
/// memory without any message.
const MEMORY_MIN: u64 = 16 << 20;

/// An amount of memory: a size such as `512MiB`, or a percentage such as `50%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct MemoryAmount(pub MemoryLimit);

impl TryFrom<Value> for MemoryAmount {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let percentage = value.as_str().and_then(|text| text.strip_suffix('%'));
        if let Some(percentage) = percentage {
            let percent = percentage.parse().ok();
            let percent = percent.filter(|percent| (1..=100).contains(percent));
            let percent = percent.ok_or("expected 1% to 100%")?;
            return Ok(Self(MemoryLimit::Percent(percent)));
        }
        let expected = "a size such as 512MiB or 4GiB, or a percentage such as 50%";
        let Size(size) = Size::<{ u64::MAX }>::read(&value, expected)?;
        if size < MEMORY_MIN {
            return Err("expected at least 16MiB".to_owned());
        }
        Ok(Self(MemoryLimit::Bytes(size)))
    }
}

/// A unit: its name, its size in the smallest unit, and other words for it, in lower case.
type Unit = (&'static str, u64, &'static [&'static str]);

/// Words that people write for a value without a bound, in lower case. They are errors, because
/// every quantity has a bound. [`Timeout`] accepts `none` before it reads a quantity.
const UNBOUNDED_WORDS: [&str; 7] = [
    "unlimited",
    "infinite",
    "infinity",
    "inf",
    "max",
    "none",
    "never",
];

/// Returns the value if it is a whole number without a unit.
fn without_unit(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// Reads a number with a unit, and returns the quantity in the smallest of `units`. The error of a
/// word such as `unlimited` names `largest`, the maximum quantity.
fn quantity(value: &Value, expected: &str, units: &[Unit], largest: &str) -> Result<u64, String> {
    let expected_quantity = || format!("expected {expected}");
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(_) => return Err(format!("a number without a unit: expected {expected}")),
        _ => return Err(expected_quantity()),
    };
    if UNBOUNDED_WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!("expected {expected}: the largest is {largest}"));
    }
    if let Some(whole) = in_whole_units(text, units) {
        return Err(format!("expected {expected}: did you mean {whole}?"));
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let known = units.iter().find(|(name, ..)| *name == unit);
    let Some((_, factor, _)) = known.filter(|_| !number.is_empty()) else {
        let lower = unit.to_ascii_lowercase();
        let meant = |(name, _, words): &&Unit| {
            name.eq_ignore_ascii_case(unit) || words.contains(&lower.as_str())
        };
        let meant = units.iter().find(meant).filter(|_| !number.is_empty());
        return Err(match meant {
            Some((name, ..)) => format!("expected {expected}: did you mean {number}{name}?"),
            None => expected_quantity(),
        });
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| format!("too large: expected {expected}"))
}

/// Converts a quantity with a decimal point, such as `1.5s`, to the largest unit in which it is a
/// whole number, such as `1500ms`. Returns `None` for any other text.
fn in_whole_units(text: &str, units: &[Unit]) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.')?;
    let lower = unit.trim_start().to_ascii_lowercase();
    let named = |(name, _, words): &&Unit| {
        name.eq_ignore_ascii_case(&lower) || words.contains(&lower.as_str())
    };
    let (_, factor, _) = units.iter().find(named)?;
    let scale = 10_u64.checked_pow(fraction.len() as u32)?;
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = fraction.parse().ok()?;
    let parts = whole
        .checked_mul(scale)?
        .checked_add(fraction)?
        .checked_mul(*factor)?;
    if !parts.is_multiple_of(scale) {
        return None;
    }
    let amount = parts / scale;
    let fits = units
        .iter()
        .filter(|(_, factor, _)| amount.is_multiple_of(*factor));
    let (name, factor, _) = fits.max_by_key(|(_, factor, _)| *factor)?;
    Some(format!("{}{name}", amount / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn durations_have_units() {
        let ms = |text| read::<DurationValue>(text).map(|duration| duration.0.as_millis());
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("5 m"), Ok(300_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        assert!(ms("30").unwrap_err().contains("without a unit"));
        for wrong in [
            "0s",
            "-1s",
            "1.5s",
            "s",
            "1d",
            "[]",
            "99999999999999999999h",
            "9000h",
        ] {
            assert!(ms(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read::<Timeout>("none"), Ok(Timeout(None)));
        assert_eq!(read::<Heartbeat>("off"), Ok(Heartbeat(None)));
        for (wrong, meant) in [
            ("5 sec", "did you mean 5s?"),
            ("10 Minutes", "did you mean 10m?"),
            ("5000", "expected 5000ms or 5s"),
            ("30", "expected 30s or 30ms"),
            ("1.5s", "did you mean 1500ms?"),
            ("0.5 minutes", "did you mean 30s?"),
            ("2.0h", "did you mean 2h?"),
            ("unlimited", "the largest is 8760h"),
        ] {
            let fault = ms(wrong).unwrap_err();
            assert!(fault.contains(meant), "{wrong}: {fault}");
        }
        for wrong in ["0", "0s", "never"] {
            let fault = read::<Timeout>(wrong).unwrap_err();
            assert!(fault.contains(", or none"), "{fault}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(read::<Size>("16MiB"), Ok(Size(16 << 20)));
        assert_eq!(read::<Size>("512B"), Ok(Size(512)));
        for (wrong, meant) in [
            ("64MB", "did you mean 64MiB?"),
            ("16 mib", "did you mean 16MiB?"),
            ("1000000", "expected 1000000B"),
            ("0", "expected 0B"),
            ("1.5GiB", "did you mean 1536MiB?"),
            ("unlimited", "the largest is 17179869183GiB"),
        ] {
            let fault = read::<Size>(wrong).unwrap_err();
            assert!(fault.contains(meant), "{wrong}: {fault}");
        }
        for wrong in ["16", "16MB", "16 mib", "-1B", "18446744073709551615GiB"] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_amount_of_memory_is_a_size_or_a_percentage() {
        let read = read::<MemoryAmount>;
        let bytes = |n| Ok(MemoryAmount(MemoryLimit::Bytes(n)));
        assert_eq!(read("512MiB"), bytes(512 << 20));
        assert_eq!(read("16MiB"), bytes(16 << 20));
        for percent in [1, 50, 100] {
            let amount = MemoryAmount(MemoryLimit::Percent(percent));
            assert_eq!(read(&format!("{percent}%")), Ok(amount));
        }
        for (wrong, meant) in [
            ("0%", "expected 1% to 100%"),
            ("101%", "expected 1% to 100%"),
            ("1.5%", "expected 1% to 100%"),
            ("-1%", "expected 1% to 100%"),
            ("50", "expected 50KiB or 50MiB"),
            ("15MiB", "expected at least 16MiB"),
            ("4GB", "did you mean 4GiB?"),
            ("all", "or a percentage such as 50%"),
        ] {
            let fault = read(wrong).unwrap_err();
            assert!(fault.contains(meant), "{wrong}: {fault}");
        }
    }
}
