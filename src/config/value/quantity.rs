//! Durations and sizes: numbers with units.

use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

/// Longest duration: a year. Beyond it a deadline is none.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `250ms`, `30s`, `5m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Span(pub Duration);

/// Units of durations, in milliseconds, each with other words that people write for it.
const TIMES: [Unit; 4] = [
    (
        "ms",
        1,
        &["msec", "msecs", "millis", "millisecond", "milliseconds"],
    ),
    ("s", 1_000, &["sec", "secs", "second", "seconds"]),
    ("m", 60_000, &["min", "mins", "minute", "minutes"]),
    ("h", 3_600_000, &["hr", "hrs", "hour", "hours"]),
];

impl Span {
    /// `more` is what else may stand there: `, or none`.
    fn read(value: &Value, more: &str) -> Result<Self, String> {
        let expected = format!("a duration such as 250ms, 30s, 5m or 1h{more}");
        if let Some(n) = without_unit(value) {
            // A round number of milliseconds is probably one.
            let meant = match n % 1_000 {
                0 if n > 0 => format!("{n}ms or {}s", n / 1_000),
                _ => format!("{n}s or {n}ms"),
            };
            return Err(format!("a number without a unit: expected {meant}"));
        }
        let ms = quantity(value, &expected, &TIMES)?;
        let span = Duration::from_millis(ms);
        if span.is_zero() || span > DURATION_MAX {
            return Err(format!("expected a duration from 1ms to a year{more}"));
        }
        Ok(Self(span))
    }
}

impl TryFrom<Value> for Span {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::read(&value, "")
    }
}

/// `30s`, or `none` for no deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Timeout(pub Option<Duration>);

impl TryFrom<Value> for Timeout {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == "none" {
            return Ok(Self(None));
        }
        Span::read(&value, ", or none").map(|span| Self(Some(span.0)))
    }
}

/// `1s`, or `off` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Heartbeat(pub Option<Duration>);

impl TryFrom<Value> for Heartbeat {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        // `off` is a word in YAML 1.2 and false in YAML 1.1.
        if value == "off" || value == Value::Bool(false) {
            return Ok(Self(None));
        }
        Span::read(&value, ", or off").map(|span| Self(Some(span.0)))
    }
}

/// `512B`, `64KiB`, `16MiB`, `1GiB`: bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Size(pub u64);

/// Units of sizes, in bytes, each with other words that people write for it.
const SIZES: [Unit; 4] = [
    ("KiB", 1 << 10, &["k", "kb", "kib", "ki"]),
    ("MiB", 1 << 20, &["m", "mb", "mib", "mi"]),
    ("GiB", 1 << 30, &["g", "gb", "gib", "gi"]),
    ("B", 1, &["b", "byte", "bytes"]),
];

impl TryFrom<Value> for Size {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if let Some(n) = without_unit(&value) {
            let meant = match n {
                0..1_024 => format!("{n}KiB or {n}MiB"),
                _ if n % (1 << 20) == 0 => format!("{n}B or {}MiB", n >> 20),
                _ => format!("{n}B"),
            };
            return Err(format!("a number without a unit: expected {meant}"));
        }
        quantity(&value, "a size such as 512B, 64KiB, 16MiB or 1GiB", &SIZES).map(Self)
    }
}

/// A unit: its name, how many of the smallest it is, and other words for it, in small letters.
type Unit = (&'static str, u64, &'static [&'static str]);

/// A whole number that says no unit.
fn without_unit(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// A number and its unit, in the smallest of `units`.
fn quantity(value: &Value, expected: &str, units: &[Unit]) -> Result<u64, String> {
    let expected_it = || format!("expected {expected}");
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(_) => return Err(format!("a number without a unit: expected {expected}")),
        _ => return Err(expected_it()),
    };
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
            None => expected_it(),
        });
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(*factor))
        .ok_or_else(|| format!("too large: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn durations_have_units() {
        let ms = |text| read::<Span>(text).map(|span| span.0.as_millis());
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
        ] {
            let fault = ms(wrong).unwrap_err();
            assert!(fault.contains(meant), "{wrong}: {fault}");
        }
        for wrong in ["0s", "never"] {
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
        ] {
            let fault = read::<Size>(wrong).unwrap_err();
            assert!(fault.contains(meant), "{wrong}: {fault}");
        }
        for wrong in ["16", "16MB", "16 mib", "-1B", "18446744073709551615GiB"] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }
}
