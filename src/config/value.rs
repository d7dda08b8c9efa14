//! Values of routes.yaml that have a form: durations, sizes, endpoints, names, types.
//!
//! Parse, don't validate: what one of these holds is right, and nobody looks again. Each error is a
//! sentence about the value alone; its place is the caller's to add.

use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Value;

use crate::frame::TYPE_MAX;
use crate::route::Pattern;

/// Longest duration: a year. Beyond it a deadline is none.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Counts beyond this are surely not meant, and would bound nothing.
pub const COUNT_MAX: u64 = 1_000_000_000;

/// Longest name of a frontend or pool: they label metrics.
const NAME_MAX: usize = 64;

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

/// `tcp://HOST:PORT` or `ipc://PATH`, as an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Value")]
pub struct BindEndpoint(pub String);

/// `tcp://HOST:PORT` or `ipc://PATH`, as an address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Value")]
pub struct ConnectEndpoint(pub String);

impl TryFrom<Value> for BindEndpoint {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let expected = "expected tcp://*:PORT, tcp://ADDRESS:PORT or ipc://PATH";
        let text = value.as_str().ok_or(expected)?;
        match split_endpoint(text) {
            Some(Endpoint::Ipc) => {}
            Some(Endpoint::Tcp { host, port }) => {
                // 0 and * both let the system choose; the choice is logged.
                let good_port = port == "*" || port.parse::<u16>().is_ok();
                let port_fault =
                    "expected a port from 0 to 65535 (0: the system chooses) after the last colon";
                good_port.then_some(()).ok_or(port_fault)?;
                good_host(host, true).then_some(()).ok_or(expected)?;
            }
            None => return Err(expected.to_owned()),
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<Value> for ConnectEndpoint {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let expected = "expected tcp://HOST:PORT or ipc://PATH";
        let text = value.as_str().ok_or(expected)?;
        match split_endpoint(text) {
            Some(Endpoint::Ipc) => {}
            Some(Endpoint::Tcp { host, port }) => {
                let good_port = port.parse::<u16>().is_ok_and(|port| port > 0);
                let port_fault = "expected a port from 1 to 65535 after the last colon";
                good_port.then_some(()).ok_or(port_fault)?;
                good_host(host, false).then_some(()).ok_or(expected)?;
            }
            None => return Err(expected.to_owned()),
        }
        Ok(Self(text.to_owned()))
    }
}

enum Endpoint<'a> {
    Tcp { host: &'a str, port: &'a str },
    Ipc,
}

fn split_endpoint(text: &str) -> Option<Endpoint<'_>> {
    if let Some(path) = text.strip_prefix("ipc://") {
        // A socket's path has at most 107 bytes in Linux; `*` would be a path that nobody finds; and
        // a NUL would end it early.
        let good = (1..=107).contains(&path.len()) && path != "*";
        return (good && !path.contains(char::is_control)).then_some(Endpoint::Ipc);
    }
    let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
    Some(Endpoint::Tcp { host, port })
}

fn good_host(host: &str, bind: bool) -> bool {
    let plain = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => {
            let (address, zone) = v6.split_once('%').unwrap_or((v6, "any"));
            address.parse::<std::net::Ipv6Addr>().is_ok() && plain(zone)
        }
        None => plain(host) || (bind && host == "*"),
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

    #[test]
    fn counts_have_bounds() {
        assert_eq!(read::<Count<1, 10>>("10"), Ok(Count(10)));
        for wrong in ["0", "11", "-1", "1.5", "ten"] {
            assert!(read::<Count<1, 10>>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_tcp_or_ipc() {
        for good in [
            "tcp://*:5559",
            "tcp://127.0.0.1:0",
            "tcp://[::1]:*",
            "tcp://eth0:1",
            "ipc:///tmp/x",
        ] {
            assert!(read::<BindEndpoint>(&format!("{good:?}")).is_ok(), "{good}");
        }
        for bad in [
            "tcp://*",
            "tcp://:5559",
            "tcp://*:70000",
            "tcp://a b:1",
            "udp://*:1",
            "ipc://",
            "ipc://*",
            "ipc:///tmp/a\0b",
            "tcp://[fe80::1%\0]:1",
            "5559",
        ] {
            assert!(read::<BindEndpoint>(&format!("{bad:?}")).is_err(), "{bad}");
        }
        for good in ["tcp://w1:6000", "tcp://[fe80::1%eth0]:1", "ipc://@abstract"] {
            assert!(
                read::<ConnectEndpoint>(&format!("{good:?}")).is_ok(),
                "{good}"
            );
        }
        for bad in ["tcp://*:6000", "tcp://w1:0", "tcp://w1:*", "inproc://x"] {
            assert!(
                read::<ConnectEndpoint>(&format!("{bad:?}")).is_err(),
                "{bad}"
            );
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
