//! Values of routes.yaml that have a form: durations, sizes, endpoints, names, types.
//!
//! Parse, don't validate: what one of these holds is right, and nobody looks again. Each error is a
//! sentence about the value alone; its place is the caller's to add.

mod endpoint;
mod quantity;

pub use endpoint::{BindEndpoint, ConnectEndpoint};
pub use quantity::{Heartbeat, Size, Span, Timeout};

use serde::Deserialize;
use serde_yaml::Value;

use super::yaml::quoted;
use crate::frame::TYPE_MAX;
use crate::route::Pattern;
use crate::snapshot::PerWorker;
use gateway_diagnostic::Diagnostic;

/// Counts beyond this are surely not meant, and would bound nothing.
pub const COUNT_MAX: u64 = 1_000_000_000;

/// Longest name of a frontend or pool: they label metrics.
const NAME_MAX: usize = 64;

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Count<const LEAST: u64, const MOST: u64>(pub u64);

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

/// A whole number from 1 to a million, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Holding(pub PerWorker);

impl TryFrom<Value> for Holding {
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

/// A frontend's or pool's name: letters, digits, `_`, `-`, `.`.
pub fn name_fault(name: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
        return Some(format!(
            "a name has 1 to {NAME_MAX} letters, digits, _, - or ."
        ));
    }
    None
}

/// A route's key: a type's exact bytes, or a prefix with one trailing `*`; `hex:` for raw bytes.
pub fn pattern(key: &str) -> Result<Pattern, String> {
    let (literal, prefix) = match key.strip_suffix('*') {
        Some(literal) => (literal, true),
        None => (key, false),
    };
    let bytes = match literal.strip_prefix("hex:") {
        Some(digits) => {
            hex(digits).ok_or("after hex: stand pairs of the digits 0 to 9 and a to f")?
        }
        None if literal.contains('*') => {
            return Err("a * may only stand at the end; hex: writes any bytes".to_owned());
        }
        None => literal.as_bytes().to_vec(),
    };
    match (bytes.len(), prefix) {
        (0, false) => Err("a type has at least 1 byte".to_owned()),
        (n, _) if n > TYPE_MAX => Err(format!("a type has at most {TYPE_MAX} bytes, not {n}")),
        (_, true) => Ok(Pattern::Prefix(bytes.into())),
        (_, false) => Ok(Pattern::Exact(bytes.into())),
    }
}

/// Returns the warning for a route's key that is valid and probably not meant as it is written: a byte's number, or
/// a regular expression.
pub fn pattern_doubt(key: &str) -> Option<Diagnostic> {
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
                .label("read as letters and digits")
                .help(format!("write hex:{padding}{digits} for the bytes")),
        );
    }
    let signs = |c: char| matches!(c, '?' | '\\' | '[' | ']' | '(' | ')' | '|' | '^' | '$');
    let is_expression = key.contains(signs) || key.ends_with(".+");
    if !is_expression || key.starts_with("hex:") || key.contains(char::is_control) {
        return None;
    }
    let literal: String = key
        .chars()
        .take_while(|&c| !signs(c) && c != '+' && c != '*')
        .collect();
    let start = if literal.len() < key.trim_start_matches('^').len() {
        literal
    } else {
        String::new()
    };
    let fault = Diagnostic::warning(format!("{shown} is no regular expression"))
        .label("read letter by letter: only a * at the end is a pattern");
    Some(match start.trim_matches('.') {
        "" => fault.help("write the types out, or a prefix such as person.*"),
        start => fault.help(format!(
            "write {} for all types that begin so",
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
    fn what_a_worker_holds_is_a_count_or_auto() {
        assert_eq!(read("7"), Ok(Holding(PerWorker::Most(7))));
        assert_eq!(read("auto"), Ok(Holding(PerWorker::Auto)));
        for wrong in ["0", "1000001", "Auto", "-"] {
            assert!(read::<Holding>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn types_are_bytes_or_prefixes() {
        let exact = |bytes: &[u8]| Ok(Pattern::Exact(bytes.into()));
        assert_eq!(pattern("PROTOBUF"), exact(b"PROTOBUF"));
        assert_eq!(pattern("hex:ff01"), exact(&[0xff, 1]));
        assert_eq!(pattern("hex:FF*"), Ok(Pattern::Prefix([0xff].into())));
        assert_eq!(pattern("a.*"), Ok(Pattern::Prefix(b"a."[..].into())));
        assert_eq!(pattern("*"), Ok(Pattern::Prefix([].into())));
        for wrong in ["", "hex:", "hex:f", "hex:xx", "a*b", "**", &"x".repeat(256)] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }
}
