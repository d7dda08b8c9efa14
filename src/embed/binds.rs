//! Diagnostics for addresses that cannot be bound at startup, with their places in routes.yaml.

use std::io;

use crate::config::Bind;
use crate::engine::{BindFault, EngineError};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Adds a diagnostic for each address that `error` names. Returns whether `error` names an address.
pub(super) fn report_binds(error: &EngineError, binds: &[Bind], found: &mut Diagnostics) -> bool {
    for fault in error.binds() {
        found.push(diagnostic(fault, binds));
    }
    !error.binds().is_empty()
}

fn diagnostic(fault: &BindFault, binds: &[Bind]) -> Diagnostic {
    let BindFault {
        role,
        name,
        endpoint,
        error,
    } = fault;
    let text = format!("{role} {name} can't listen on {endpoint}: {error}");
    let matches =
        |bind: &&Bind| bind.role == *role && bind.name == *name && bind.endpoint == *endpoint;
    let place = binds.iter().find(matches).map(|bind| bind.place.clone());
    let (label, help) = advice(error.kind(), endpoint.starts_with("ipc://"));
    let reported = Diagnostic::error(text).help(help);
    match place {
        Some(place) => reported.at(place).label(label),
        None => reported,
    }
}

/// Returns the label and the help for an address that cannot be bound.
fn advice(kind: io::ErrorKind, is_ipc: bool) -> (&'static str, &'static str) {
    match (kind, is_ipc) {
        (io::ErrorKind::AddrInUse, false) => (
            "expected a free address",
            "another program, perhaps another gateway, is already listening on this address: stop that program, or choose another port",
        ),
        (io::ErrorKind::AddrInUse, true) => (
            "expected a free path",
            "another program, perhaps another gateway, is already listening on this path: stop that program, or choose another path",
        ),
        (io::ErrorKind::AddrNotAvailable, _) => (
            "expected an address of this machine",
            "to listen on all addresses of this machine, write tcp://*:PORT",
        ),
        (io::ErrorKind::PermissionDenied, false) => (
            "expected a port that this user may listen on",
            "only root may listen on ports below 1024: choose a higher port",
        ),
        (io::ErrorKind::PermissionDenied, true) => (
            "expected a path that this user may write to",
            "let the user that runs the gateway write to the directory of the path, or choose another path",
        ),
        (io::ErrorKind::NotFound, true) => (
            "expected a path in a directory that exists",
            "create the directory, or choose another path",
        ),
        (io::ErrorKind::TimedOut, _) => (
            "expected a host name that resolves in time",
            "write an IP address instead of the host name, or check the DNS settings of this machine",
        ),
        _ => (
            "expected an address that can be listened on",
            "choose an address of this machine on which no other program listens",
        ),
    }
}
