//! Checks the keys `allow` and `identity: client`. The key `allow` requires that senders have
//! principals, and `identity: client` requires that clients have none.

use std::collections::HashMap;
use std::sync::Arc;

use super::source::{Source, TargetSource};
use crate::security::{ANONYMOUS, KnownPeers, Security};
use crate::snapshot::{Allowed, IdentityMode};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// Reports each `allow` of a route whose senders may have no principals, and warns about entries
/// that match no principal.
pub(super) fn allowed(
    source: &Source,
    of_frontends: &[Option<Arc<Security>>],
    of_channels: &[[Option<Arc<Security>>; 2]],
    found: &mut Diagnostics,
) {
    let of_frontends: Vec<&Security> = of_frontends.iter().flatten().map(|arc| &**arc).collect();
    let channels = source.channels.iter().zip(of_channels);
    let by_channel: HashMap<&str, &Security> = channels
        .filter_map(|(channel, [publishers, _])| {
            Some((&*channel.entry.settings.name, &**publishers.as_ref()?))
        })
        .collect();
    for route in &source.routes {
        let Some(allowed) = &route.allow else {
            continue;
        };
        let of_publishers = match &route.target {
            Some(TargetSource::Channel(name, _)) => by_channel.get(&*name.value).copied(),
            Some(TargetSource::Pool(_)) | None => None,
        };
        let securities: Vec<_> = of_frontends.iter().copied().chain(of_publishers).collect();
        // Without `security`, clients choose their names themselves. If there are no frontends, the
        // only senders are the publishers of the channel.
        if of_frontends.is_empty() && (of_publishers.is_none() || !source.frontends.is_empty()) {
            if let Some(first) = allowed.first() {
                let target = route.target.as_ref();
                found.push(nameless(
                    source,
                    target,
                    of_publishers.is_some(),
                    &first.place,
                ));
            }
            continue;
        }
        for entry in allowed {
            let is_known = securities
                .iter()
                .any(|security| names(security, &entry.value));
            if !is_known && !entry.value.contains(ANONYMOUS.as_bytes()) {
                let fault = Diagnostic::warning("no peer has this name");
                let fault = fault.at(entry.place.clone());
                found.push(
                    fault.help("a principal is a user of `plain` or the name of a key: a key without a name has the name of its file"),
                );
            }
        }
    }
}

/// Returns whether an entry of `allow` matches the name of a key or of a user in `security`.
fn names(security: &Security, allowed: &Allowed) -> bool {
    let owners = match security.curve.as_ref().map(|curve| &curve.peers) {
        Some(KnownPeers::Named(names)) => Some(names.values()),
        Some(KnownPeers::Any) | None => None,
    };
    let users = security.plain.iter().flat_map(|users| users.names());
    let mut names = owners.into_iter().flatten().chain(users);
    names.any(|name| allowed.contains(name.as_bytes()))
}

/// Returns the error of an `allow` at a route that has senders without principals.
fn nameless(
    source: &Source,
    target: Option<&TargetSource>,
    has_secured_publishers: bool,
    place: &Place,
) -> Diagnostic {
    let help = match target {
        _ if has_secured_publishers => {
            "a client of a frontend could choose any identity: give a frontend `security`"
        }
        Some(TargetSource::Channel(..)) if source.frontends.is_empty() => {
            "without keys or passwords the gateway does not know who a publisher is: give the channel's publishers `security`"
        }
        _ => {
            "without keys or passwords the gateway does not know who a client is: give a frontend `security`"
        }
    };
    let fault = Diagnostic::error("\"allow\" has no effect without \"security\"");
    fault.at(place.clone()).label("remove it").help(help)
}

/// Reports each pool with `identity: client`. This is called only if a frontend has `security`.
/// With `identity: client`, a client could choose the identity of another client.
pub(super) fn own_names(source: &Source, found: &mut Diagnostics) {
    for pool in &source.pools {
        let identity = pool.entry.identity.as_ref();
        if let Some(identity) = identity.filter(|spanned| spanned.value == IdentityMode::Client) {
            let fault = Diagnostic::error("identity \"client\" can't be used with security");
            let fault = fault.at(identity.place.clone()).label("expected \"token\"");
            found.push(fault.help(
                "a client could choose the identity of another client: a token begins with the client's principal",
            ));
        }
    }
}
