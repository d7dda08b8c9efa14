//! Addresses to listen on and to connect to.

use serde::Deserialize;
use serde_yaml::Value;

/// An address to listen on: `tcp://HOST:PORT` or `ipc://PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct BindEndpoint(pub String);

/// An address to connect to: `tcp://HOST:PORT` or `ipc://PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct ConnectEndpoint(pub String);

impl TryFrom<Value> for BindEndpoint {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let expected = "expected tcp://*:PORT, tcp://ADDRESS:PORT or ipc://PATH";
        if let Some(meant) = meant(&value, "*", |text| Self::try_from(text).is_ok()) {
            return Err(format!("{expected}: did you mean \"{meant}\"?"));
        }
        let text = value.as_str().ok_or(expected)?;
        match split_endpoint(text) {
            Some(Endpoint::Ipc) => {}
            Some(Endpoint::Tcp { host, port }) => {
                // 0 and * both let the system choose a port. The chosen port is logged.
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
        if let Some(meant) = meant(&value, "HOST", |text| Self::try_from(text).is_ok()) {
            return Err(format!("{expected}: did you mean \"{meant}\"?"));
        }
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

/// Returns the address that was probably meant by an address without `tcp://`, or by an address
/// with the scheme of another protocol. If only a port is given, the host is `default_host`.
/// Returns `None` for any other value, or if the result would not be a valid address.
fn meant(value: &Value, default_host: &str, is_good: impl Fn(Value) -> bool) -> Option<String> {
    let bare = match value {
        Value::Number(port) => format!("{default_host}:{port}"),
        Value::String(text) if text.starts_with("tcp://") || text.starts_with("ipc://") => {
            return None;
        }
        Value::String(text) => {
            let rest = text
                .split_once("://")
                .map_or(text.as_str(), |(_, rest)| rest);
            let rest = rest.strip_prefix("tcp:").unwrap_or(rest).trim_matches('/');
            match rest.strip_prefix(':').unwrap_or(rest) {
                port if port.bytes().all(|b| b.is_ascii_digit()) => {
                    format!("{default_host}:{port}")
                }
                rest => rest.to_owned(),
            }
        }
        _ => return None,
    };
    let meant = format!("tcp://{bare}");
    is_good(Value::String(meant.clone())).then_some(meant)
}

enum Endpoint<'a> {
    Tcp { host: &'a str, port: &'a str },
    Ipc,
}

fn split_endpoint(text: &str) -> Option<Endpoint<'_>> {
    if let Some(path) = text.strip_prefix("ipc://") {
        // On Linux, a socket's path has at most 107 bytes. `*` would name a path that no peer
        // knows, and a NUL would end the path early.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_without_its_scheme_is_recognised() {
        for (written, meant) in [
            ("*:5559", "tcp://*:5559"),
            ("localhost:5560", "tcp://localhost:5560"),
            ("http://*:5559/", "tcp://*:5559"),
            ("tcp:*:5559", "tcp://*:5559"),
            (":5559", "tcp://*:5559"),
            ("5559", "tcp://*:5559"),
        ] {
            let fault = read::<BindEndpoint>(&format!("{written:?}")).unwrap_err();
            assert!(
                fault.ends_with(&format!("did you mean \"{meant}\"?")),
                "{fault}"
            );
        }
        assert!(
            !read::<BindEndpoint>("words")
                .unwrap_err()
                .contains("did you mean")
        );
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
}
