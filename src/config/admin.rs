//! The section `admin`: the address for HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;
use serde_yaml::Value;

use super::section::{ExpectedMap, Section, Spanned, is};
use super::yaml::{Node, NodeKind};
use crate::snapshot::AdminSettings;
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The address for HTTP, such as `127.0.0.1:9559`, `localhost:9559`, `[::1]:9559` or `*:9559`. No
/// name except `localhost` is accepted, because the address of a name may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct HttpBind(pub SocketAddr);

impl TryFrom<Value> for HttpBind {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let expected = "expected ADDRESS:PORT such as 127.0.0.1:9559, localhost:9559 or *:9559";
        if let Some(meant) = meant(&value) {
            return Err(format!("{expected}: did you mean \"{meant}\"?"));
        }
        let text = value.as_str().ok_or(expected)?;
        if text.contains("://") {
            return Err(format!("{expected}, without a scheme"));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(expected)?;
        let host = match host {
            "localhost" => Ipv4Addr::LOCALHOST,
            "*" => Ipv4Addr::UNSPECIFIED,
            _ => host.parse().map_err(|_| expected)?,
        };
        let port = port.parse().map_err(
            |_| "expected a port from 0 to 65535 (0: the system chooses) after the last colon",
        )?;
        Ok(Self(SocketAddr::new(IpAddr::V4(host), port)))
    }
}

/// Returns the address that was probably meant by a port without an address, or by an address with
/// a scheme. Returns `None` for any other value.
fn meant(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(port) => port.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (is_url, rest) = match text.split_once("://") {
        // A text with a second scheme is not an address, and each scheme would cost a recursive
        // call.
        Some((_, rest)) if rest.contains("://") => return None,
        Some((_, rest)) => (true, rest.trim_matches('/')),
        None => (false, text.strip_prefix(':').unwrap_or(&text)),
    };
    let meant = match rest.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) if is_url => rest.to_owned(),
        Err(_) => return None,
    };
    HttpBind::try_from(Value::String(meant.clone()))
        .is_ok()
        .then_some(meant)
}

/// Reads the section. Returns `None` if it is absent or has an error, which was reported.
pub(super) fn admin(
    node: Option<&Node>,
    found: &mut Diagnostics,
) -> Option<Spanned<AdminSettings>> {
    let node = node?;
    let port = match &node.kind {
        NodeKind::Scalar(_, value) => meant(value),
        _ => None,
    };
    let expected = ExpectedMap {
        key: "bind",
        is: &is::<HttpBind>,
        meant: port.as_deref(),
        least: "bind: \"127.0.0.1:9559\"",
    };
    let mut section = Section::open_or(node, "admin", &[], expected, found);
    let bind = section.value::<HttpBind>("bind", found);
    if bind.is_none() && section.is_sound() && !section.has("bind") {
        let fault = Diagnostic::error("admin has no address").at(section.place().clone());
        let fault = fault
            .label("expected bind")
            .help("such as\nadmin: { bind: \"127.0.0.1:9559\" }");
        section.lacks(&["bind"], fault);
    }
    section.close(found);
    let Spanned { value, place } = bind?;
    if !value.0.ip().is_loopback() {
        let fault =
            Diagnostic::warning("admin can be reached from other machines").at(place.clone());
        found.push(fault.label("expected a loopback address").help(
            "everybody who reaches this address sees all names, addresses and counts, and can reload, without a \
             password: bind 127.0.0.1, or let a firewall restrict access",
        ));
    }
    let value = AdminSettings { bind: value.0 };
    Some(Spanned { value, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_with_a_port_is_accepted() {
        let read = |text: &str| {
            let bind = serde_yaml::from_str::<HttpBind>(&format!("{text:?}"));
            bind.map(|bind| bind.0.to_string())
                .map_err(|e| e.to_string())
        };
        for (text, address) in [
            ("127.0.0.1:9559", "127.0.0.1:9559"),
            ("localhost:0", "127.0.0.1:0"),
            ("*:80", "0.0.0.0:80"),
            ("[::1]:9559", "[::1]:9559"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(address));
        }
        for wrong in [
            "9559",
            ":9559",
            "gateway:9559",
            "127.0.0.1:70000",
            "127.0.0.1",
            "::1:80",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let meant = read("tcp://*:1").unwrap_err();
        assert!(meant.ends_with("did you mean \"*:1\"?"), "{meant}");
        let meant = read("9559").unwrap_err();
        assert!(
            meant.ends_with("did you mean \"127.0.0.1:9559\"?"),
            "{meant}"
        );
    }
}
