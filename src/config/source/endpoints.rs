//! The addresses of a frontend, a pool or one side of a channel.

use super::super::section::{ExpectedMap, Section, Spanned, is, read};
use super::super::value::{BindEndpoint, ConnectEndpoint};
use crate::snapshot::Endpoints;
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Returns the expected content of the map of a frontend or pool. If a frontend, pool or side of a
/// channel is a single value or empty instead of a map, the error shows this content. `least` is
/// the minimum content of the map.
pub(super) fn address(least: &'static str) -> ExpectedMap<'static> {
    ExpectedMap {
        key: "bind",
        is: &is::<BindEndpoint>,
        meant: None,
        least,
    }
}

/// Reads `bind` and `connect`. At least one of these keys is required. Returns all addresses, and a
/// separate list of the addresses to listen on, each with its place.
pub(super) fn endpoints(
    section: &mut Section<'_>,
    what: &str,
    found: &mut Diagnostics,
) -> (Endpoints, Vec<Spanned<BindEndpoint>>) {
    let bind = section.some("bind", "expected an address", found, read::<BindEndpoint>);
    let connect = section.some(
        "connect",
        "expected an address",
        found,
        read::<ConnectEndpoint>,
    );
    if bind.is_none() && connect.is_none() && section.is_sound() {
        let fault = Diagnostic::error(format!("{what} has no address"))
            .at(section.place().clone())
            .label("expected bind or connect")
            .help("bind: \"tcp://*:PORT\" listens, connect: \"tcp://HOST:PORT\" connects");
        section.lacks(&["bind", "connect"], fault);
    }
    let (bind, connect) = (bind.unwrap_or_default(), connect.unwrap_or_default());
    let endpoints = Endpoints {
        bind: bind.iter().map(|e| e.value.0.clone()).collect(),
        connect: connect.into_iter().map(|e| e.value.0).collect(),
    };
    (endpoints, bind)
}
