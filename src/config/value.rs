//! Values of routes.yaml with a syntax of their own: durations, sizes, endpoints, names, types.
//!
//! Parse, don't validate: a value of these types is valid, and is never checked again. Each error
//! describes only the value. The caller adds the place.

mod endpoint;
mod quantity;

pub(super) use endpoint::{BindEndpoint, ConnectEndpoint};
pub(super) use quantity::{DurationValue, Heartbeat, MemoryAmount, Size, Timeout};

use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use super::quoted::quoted;
use crate::frame::TYPE_MAX;
use crate::route::TypePattern;
use crate::security::Network;
use crate::snapshot::PerWorker;
use gateway_diagnostic::Diagnostic;

/// The maximum of a count. A larger number is probably a mistake, and would not limit anything in
/// practice.
pub(super) const COUNT_MAX: u64 = 1_000_000_000;

/// The maximum length of the name of a frontend, pool or channel, in bytes. Many metrics repeat the
/// name as a label, so the name should be short.
const NAME_MAX: usize = 64;

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Count<const LEAST: u64, const MOST: u64>(pub u64);

impl<const LEAST: u64, const MOST: u64> TryFrom<Value> for Count<LEAST, MOST> {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        value
            .as_u64()
            .filter(|n| (LEAST..=MOST).contains(n))
            .map(Self)
            .ok_or_else(|| format!("expected a whole number from {LEAST} to {MOST}"))
    }
}

/// An address from which peers may connect, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct AllowedNetwork(pub Network);

impl TryFrom<Value> for AllowedNetwork {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        value.as_str().unwrap_or_default().parse().map(Self)
    }
}

/// A rate, such as `100/s`, `6000/m` or `1/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Frequency {
    /// The number of requests in each unit of time.
    pub count: u32,
    /// The average time between two requests.
    pub interval: Duration,
}

impl TryFrom<Value> for Frequency {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let expected = || {
            "expected a number and a unit from 1/h to 1000000/s, such as 100/s or 6000/m".to_owned()
        };
        let (count, unit) = value
            .as_str()
            .and_then(|text| text.split_once('/'))
            .ok_or_else(expected)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(expected()),
        };
        let count: u32 = count.trim().parse().map_err(|_| expected())?;
        if count == 0 || u64::from(count) > 1_000_000 * seconds {
            return Err(expected());
        }
        let interval = Duration::from_secs(seconds) / count;
        Ok(Self { count, interval })
    }
}

/// A whole number from 1 to a million, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct PerWorkerCount(pub PerWorker);

impl TryFrom<Value> for PerWorkerCount {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == "auto" {
            return Ok(Self(PerWorker::Auto));
        }
        let Count(most) =
            Count::<1, 1_000_000>::try_from(value).map_err(|error| error + ", or auto")?;
        Ok(Self(PerWorker::Most(most as u32)))
    }
}

/// Returns the error in the name of a frontend, pool or channel, or `None` if the name consists of
/// 1 to [`NAME_MAX`] letters, digits, `_`, `-` and `.`.
pub(super) fn name_fault(name: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
        return Some(format!(
            "a name has 1 to {NAME_MAX} letters, digits, _, - or ."
        ));
    }
    None
}

/// Reads a route's key: the exact bytes of a type, or a prefix that ends in one `*`. After `hex:`
/// the bytes are written in hexadecimal. Fails with a description of the error.
pub(super) fn pattern(key: &str) -> Result<TypePattern, String> {
    let (literal, prefix) = match key.strip_suffix('*') {
        Some(literal) => (literal, true),
        None => (key, false),
    };
    let bytes = match literal.strip_prefix("hex:") {
        Some(digits) => {
            hex(digits).ok_or("expected pairs of hexadecimal digits, such as hex:ff01")?
        }
        None if literal.contains('*') => {
            return Err("a * is allowed only at the end; hex:2a is a literal *".to_owned());
        }
        None => literal.as_bytes().to_vec(),
    };
    match (bytes.len(), prefix) {
        (0, false) => Err("a type has at least 1 byte".to_owned()),
        (n, _) if n > TYPE_MAX => Err(format!("a type has at most {TYPE_MAX} bytes, not {n}")),
        (_, true) => Ok(TypePattern::Prefix(bytes.into())),
        (_, false) => Ok(TypePattern::Exact(bytes.into())),
    }
}

/// Returns a warning for a route's key that is valid but probably a mistake: bytes that are written
/// as `0x…`, a variable, or a regular expression. Returns `None` for any other key.
pub(super) fn pattern_doubt(key: &str) -> Option<Diagnostic> {
    let shown = quoted(key);
    if let Some(digits) = key.strip_prefix("0x").or(key.strip_prefix("0X"))
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
    {
        let padding = if digits.len().is_multiple_of(2) {
            ""
        } else {
            "0"
        };
        let fault = Diagnostic::warning(format!("{shown} is a type of {} letters", key.len()));
        return Some(
            fault
                .label("taken as letters and digits")
                .help(format!("write hex:{padding}{digits} for the bytes")),
        );
    }
    if key.contains("${") {
        let fault = Diagnostic::warning(format!("{shown} is not a variable"))
            .label("taken literally")
            .help("environment variables are expanded in values only, not in keys");
        return Some(fault);
    }
    let special = |c: char| matches!(c, '?' | '\\' | '[' | ']' | '(' | ')' | '|' | '^' | '$');
    let is_expression = key.contains(special) || key.ends_with(".+");
    if !is_expression || key.starts_with("hex:") || key.contains(char::is_control) {
        return None;
    }
    let literal: String = key
        .chars()
        .take_while(|&c| !special(c) && c != '+' && c != '*')
        .collect();
    let start = if literal.len() < key.trim_start_matches('^').len() {
        literal
    } else {
        String::new()
    };
    let fault = Diagnostic::warning(format!("{shown} is not a regular expression"))
        .label("taken literally: only a * at the end makes a pattern");
    Some(match start.trim_matches('.') {
        "" => fault.help("write the types out, or a prefix such as person.*"),
        start => fault.help(format!(
            "write {} for all types with this prefix",
            quoted(&format!("{start}.*"))
        )),
    })
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |b: u8| (b as char).to_digit(16).map(|n| n as u8);
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!(read::<Count<1, 10>>("10"), Ok(Count(10)));
        for wrong in ["0", "11", "-1", "1.5", "ten"] {
            assert!(read::<Count<1, 10>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn frequencies_have_a_unit() {
        for (text, count, interval) in [
            ("100/s", 100, Duration::from_millis(10)),
            ("1000000 / s", 1_000_000, Duration::from_micros(1)),
            ("1/h", 1, Duration::from_secs(3_600)),
            ("6000/m", 6_000, Duration::from_millis(10)),
        ] {
            assert_eq!(read(text), Ok(Frequency { count, interval }), "{text}");
        }
        for wrong in [
            "100",
            "0/s",
            "1000001/s",
            "-1/s",
            "1.5/s",
            "100/d",
            "/s",
            "100/",
        ] {
            assert!(read::<Frequency>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn per_worker_is_a_count_or_auto() {
        assert_eq!(read("7"), Ok(PerWorkerCount(PerWorker::Most(7))));
        assert_eq!(read("auto"), Ok(PerWorkerCount(PerWorker::Auto)));
        for wrong in ["0", "1000001", "Auto", "-"] {
            assert!(read::<PerWorkerCount>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn types_are_bytes_or_prefixes() {
        let exact = |bytes: &[u8]| Ok(TypePattern::Exact(bytes.into()));
        assert_eq!(pattern("PROTOBUF"), exact(b"PROTOBUF"));
        assert_eq!(pattern("hex:ff01"), exact(&[0xff, 1]));
        assert_eq!(pattern("hex:FF*"), Ok(TypePattern::Prefix([0xff].into())));
        assert_eq!(pattern("a.*"), Ok(TypePattern::Prefix(b"a."[..].into())));
        assert_eq!(pattern("*"), Ok(TypePattern::Prefix([].into())));
        for wrong in ["", "hex:", "hex:f", "hex:xx", "a*b", "**", &"x".repeat(256)] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }
}
