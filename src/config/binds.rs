//! The addresses that a configuration listens on: where each is written, and none twice.

use std::collections::HashMap;

use super::section::Spanned;
use super::source::Source;
use super::value::BindEndpoint;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// An address that is listened on, as written.
#[derive(Debug)]
pub struct Bind {
    /// `frontend` or `pool`.
    pub role: &'static str,
    /// Its key.
    pub name: String,
    /// As written.
    pub endpoint: String,
    /// Where.
    pub place: Place,
}

/// Every address that frontends and pools listen on.
pub(super) fn all(source: &Source) -> Vec<Bind> {
    let frontends = source.frontends.iter();
    let frontends = frontends.map(|it| ("frontend", &it.it.frontend.name, &it.binds));
    let pools = source.pools.iter();
    let pools = pools.map(|it| ("pool", &it.it.settings.name, &it.binds));
    let all = frontends.chain(pools).flat_map(|(role, name, binds)| {
        binds.iter().map(move |bind| Bind {
            role,
            name: name.clone(),
            endpoint: bind.value.0.clone(),
            place: bind.place.clone(),
        })
    });
    all.collect()
}

/// Reports every address that two frontends or pools would listen on.
pub(super) fn clashes(source: &Source, found: &mut Diagnostics) {
    let frontends = source.frontends.iter().flat_map(|frontend| &frontend.binds);
    let pools = source.pools.iter().flat_map(|pool| &pool.binds);
    let admin = source.admin.as_ref().map(|admin| Spanned {
        value: BindEndpoint(format!("tcp://{}", admin.value.bind)),
        place: admin.place.clone(),
    });
    let mut taken: HashMap<&str, Hosts> = HashMap::new();
    for bind in frontends.chain(pools).chain(&admin) {
        let Some((host, socket)) = socket(&bind.value.0) else {
            continue;
        };
        let others = taken.entry(socket).or_default();
        if let Some(before) = others.clash(host) {
            let fault = Diagnostic::error(format!("{} is taken", bind.value.0));
            found.push(
                fault
                    .at(bind.place.clone())
                    .label("expected an address of its own")
                    .note_at(
                        format!("{} is bound at", before.value.0),
                        before.place.clone(),
                    ),
            );
        }
        others.add(host, bind);
    }
}

/// The addresses of one port, or one path. A file may have as many as it has lines, so a clash is found by look-ups.
#[derive(Default)]
struct Hosts<'a> {
    first: Option<&'a Spanned<BindEndpoint>>,
    /// The first that stands for all interfaces.
    any: Option<&'a Spanned<BindEndpoint>>,
    by_host: HashMap<&'a str, &'a Spanned<BindEndpoint>>,
}

impl<'a> Hosts<'a> {
    /// Returns an address that keeps `host` from being listened on.
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

/// Host, and port or path: what can be bound once. None where the system chooses.
fn socket(endpoint: &str) -> Option<(&str, &str)> {
    match endpoint.strip_prefix("tcp://") {
        Some(tcp) => tcp
            .rsplit_once(':')
            .filter(|(_, port)| !matches!(*port, "0" | "*")),
        None => Some(("", endpoint)),
    }
}

/// Whether an address stands for all interfaces.
fn is_any(host: &str) -> bool {
    matches!(host, "*" | "0.0.0.0" | "[::]")
}
