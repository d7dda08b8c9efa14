//! Reports peers that are both clients and workers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::source::{PeersSource, SecurityKey, Source};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// Warns about each pool that admits clients as workers. Such a pool names the same path of
/// peers' keys or of users as a frontend or the `security` of the whole file.
pub(super) fn shared_peers(source: &Source, found: &mut Diagnostics) {
    let clients: Vec<_> = source
        .frontends
        .iter()
        .map(|entry| &entry.entry.security)
        .collect();
    let clients = clients.into_iter().chain([&source.security]);
    let clients: BTreeSet<&Path> = clients
        .flat_map(peers_paths)
        .map(|(path, _)| path)
        .collect();
    let workers = source.pools.iter();
    for (path, place) in workers.flat_map(|pool| peers_paths(&pool.entry.security)) {
        if clients.contains(path) {
            let fault = Diagnostic::warning("clients are admitted as workers");
            let fault = fault
                .at(place.clone())
                .label("a frontend names the same peers");
            found.push(fault.help("give workers a directory or a file of their own"));
        }
    }
}

/// Returns the path of the peers' keys and the path of the file of users, each with its place.
fn peers_paths(security: &SecurityKey) -> impl Iterator<Item = (&Path, &Place)> {
    let source = security.map();
    let curve = source.and_then(|source| source.curve.as_ref());
    let peers = curve.and_then(|curve| curve.peers.as_ref());
    let keys = peers.and_then(|peers| match &peers.value {
        PeersSource::Path(path) => Some((path.as_path(), &peers.place)),
        PeersSource::Any | PeersSource::Named(_) => None,
    });
    let plain = source.and_then(|source| source.plain.as_ref());
    let users = plain.and_then(|plain| plain.users.as_ref());
    let users = users.map(|users| (users.value.as_path(), &users.place));
    keys.into_iter().chain(users)
}
