//! The addresses on which a configuration listens, with their places. Each address may occur only
//! once.

use std::collections::HashMap;

use super::section::Spanned;
use super::source::{ChannelSource, Source};
use super::value::BindEndpoint;
use crate::engine::{PUBLISHERS, SUBSCRIBERS};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// An address to listen on, as written.
#[derive(Debug)]
pub struct Bind {
    /// The role of the address: `frontend`, `pool`, `publisher side of channel` or `subscriber side
    /// of channel`.
    pub role: &'static str,
    /// The key of the frontend, pool or channel.
    pub name: String,
    /// The address as written.
    pub endpoint: String,
    /// The place of the address.
    pub place: Place,
}

/// Returns every address on which frontends, pools and channels listen.
pub(super) fn all(source: &Source) -> Vec<Bind> {
    let frontends = source.frontends.iter();
    let frontends = frontends.map(|it| ("frontend", &it.entry.frontend.name, &it.binds));
    let pools = source.pools.iter();
    let pools = pools.map(|it| ("pool", &it.entry.settings.name, &it.binds));
    let channels = source.channels.iter().flat_map(|channel| {
        let name = &channel.entry.settings.name;
        [
            (PUBLISHERS, name, &channel.entry.publishers.binds),
            (SUBSCRIBERS, name, &channel.entry.subscribers.binds),
        ]
    });
    let all = frontends
        .chain(pools)
        .chain(channels)
        .flat_map(|(role, name, binds)| {
            binds.iter().map(move |bind| Bind {
                role,
                name: name.clone(),
                endpoint: bind.value.0.clone(),
                place: bind.place.clone(),
            })
        });
    all.collect()
}

/// Reports every address of a frontend, a pool, a channel or the admin listener that clashes with
/// an earlier address.
pub(super) fn clashes(source: &Source, found: &mut Diagnostics) {
    let frontends = source.frontends.iter().flat_map(|frontend| &frontend.binds);
    let pools = source.pools.iter().flat_map(|pool| &pool.binds);
    let channels = source.channels.iter().flat_map(|channel| {
        let ChannelSource {
            publishers,
            subscribers,
            ..
        } = &channel.entry;
        publishers.binds.iter().chain(&subscribers.binds)
    });
    let admin = source.admin.as_ref().map(|admin| Spanned {
        value: BindEndpoint(format!("tcp://{}", admin.value.bind)),
        place: admin.place.clone(),
    });
    let mut taken: HashMap<&str, Hosts> = HashMap::new();
    for bind in frontends.chain(pools).chain(channels).chain(&admin) {
        let Some((host, socket)) = socket(&bind.value.0) else {
            continue;
        };
        let others = taken.entry(socket).or_default();
        if let Some(before) = others.clash(host) {
            let fault = Diagnostic::error(format!("{} is taken", bind.value.0));
            found.push(
                fault
                    .at(bind.place.clone())
                    .label("expected an unused address")
                    .note_at(
                        format!("{} is bound at", before.value.0),
                        before.place.clone(),
                    ),
            );
        }
        others.add(host, bind);
    }
}

/// The addresses that have the same port or the same path. Clashes are found by hash lookups,
/// because a file may have as many addresses as lines.
#[derive(Default)]
struct Hosts<'a> {
    /// The first address, whatever its host.
    first: Option<&'a Spanned<BindEndpoint>>,
    /// The first address that stands for all interfaces.
    any: Option<&'a Spanned<BindEndpoint>>,
    by_host: HashMap<&'a str, &'a Spanned<BindEndpoint>>,
}

impl<'a> Hosts<'a> {
    /// Returns an earlier address that prevents listening on `host`, if there is one.
    fn clash(&self, host: &str) -> Option<&'a Spanned<BindEndpoint>> {
        if is_any(host) {
            return self.first;
        }
        self.by_host.get(host).copied().or(self.any)
    }

    fn add(&mut self, host: &'a str, bind: &'a Spanned<BindEndpoint>) {
        self.first.get_or_insert(bind);
        if is_any(host) {
            self.any.get_or_insert(bind);
        }
        self.by_host.entry(host).or_insert(bind);
    }
}

/// Returns the host and the port of a TCP address, or an empty host and the whole text of any other
/// address. Returns `None` if the system chooses the port, since such an address cannot clash with
/// another.
fn socket(endpoint: &str) -> Option<(&str, &str)> {
    match endpoint.strip_prefix("tcp://") {
        Some(tcp) => tcp
            .rsplit_once(':')
            .filter(|(_, port)| !matches!(*port, "0" | "*")),
        None => Some(("", endpoint)),
    }
}

/// Returns whether a host stands for all interfaces.
fn is_any(host: &str) -> bool {
    matches!(host, "*" | "0.0.0.0" | "[::]")
}
