//! Resolves the `security` keys of routes.yaml and the key files into the requirements that the
//! engine checks when peers connect.
//!
//! An error in a peer's key file excludes only the key in that file; all other keys stay valid.

mod curve;
mod peers;
mod secured;
mod servers;
mod shared;
mod unusable;
mod users;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::keys::{KeyFiles, KeyRole};
use super::principals::{allowed, own_names};
use super::source::{
    ChannelSource, FrontendSource, Named, SecurityKey, SecuritySource, SideSource, Source,
};
use crate::security::Security;
use crate::snapshot::{Endpoints, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_zmtp::session::NullPeers;
use shared::shared_peers;
use unusable::Unusable;

pub(super) use secured::Secured;

/// Resolves every `security`. Errors that exclude only single keys or single users go into
/// `left_out`, and all other diagnostics into `found`.
pub(super) fn secure(
    source: &Source,
    files: &KeyFiles,
    found: &mut Diagnostics,
    left_out: &mut Diagnostics,
) -> Secured {
    let mut resolver = Resolver::new(source, files, None, found, left_out);
    let secured = resolver.all(source);
    shared_peers(source, found);
    if secured.frontends.iter().any(Option::is_some) {
        own_names(source, found);
    }
    allowed(source, &secured.frontends, &secured.channels, found);
    secured
}

/// Resolves every `security` of the running configuration again, because key files may have
/// changed. The parts of a `security` whose files cannot be used keep their values in `running`.
pub(super) fn secure_again(source: &Source, files: &KeyFiles, running: &Snapshot) -> Secured {
    let (mut found, mut left_out) = (Diagnostics::new(), Diagnostics::new());
    Resolver::new(source, files, Some(running), &mut found, &mut left_out).all(source)
}

struct Resolver<'a> {
    files: &'a KeyFiles,
    default: Option<&'a SecuritySource>,
    /// The running configuration. If a file cannot be used, the keys or users of the running
    /// configuration stay in force. If this is `None`, such a file is an error, and the new
    /// configuration does not take effect.
    running: Option<&'a Snapshot>,
    unusable: Unusable,
    /// Key files whose faults have been reported.
    reported: BTreeSet<(KeyRole, &'a Path)>,
    /// Files of users whose faults have been reported.
    reported_users: BTreeSet<&'a Path>,
    found: &'a mut Diagnostics,
    left_out: &'a mut Diagnostics,
}

impl<'a> Resolver<'a> {
    fn new(
        source: &'a Source,
        files: &'a KeyFiles,
        running: Option<&'a Snapshot>,
        found: &'a mut Diagnostics,
        left_out: &'a mut Diagnostics,
    ) -> Self {
        Self {
            files,
            default: source.security.map(),
            running,
            unusable: Unusable::default(),
            reported: BTreeSet::new(),
            reported_users: BTreeSet::new(),
            found,
            left_out,
        }
    }

    fn all(&mut self, source: &'a Source) -> Secured {
        Secured {
            frontends: self.frontends(source),
            pools: self.pools(source),
            channels: self.channels(source),
        }
    }

    fn frontends(&mut self, source: &'a Source) -> Vec<Option<Arc<Security>>> {
        let frontends = source.frontends.iter();
        let inherit =
            frontends.filter(|frontend| matches!(frontend.entry.security, SecurityKey::Inherited));
        let mut all = Endpoints::default();
        let mut before = None;
        for frontend in inherit {
            before = before.or_else(|| self.running_frontend(frontend));
            let Endpoints { bind, connect } = &frontend.entry.frontend.endpoints;
            all.bind.extend(bind.iter().cloned());
            all.connect.extend(connect.iter().cloned());
        }
        let default = self.default.filter(|_| all != Endpoints::default());
        let default = default.map(|default| self.security(default, &all, before));
        let mut secured = Vec::new();
        for frontend in &source.frontends {
            secured.push(match &frontend.entry.security {
                SecurityKey::Inherited => default.clone(),
                SecurityKey::None => None,
                SecurityKey::Some(own) => {
                    let endpoints = &frontend.entry.frontend.endpoints;
                    let before = self.running_frontend(frontend);
                    Some(self.security(own, endpoints, before))
                }
            });
        }
        secured
    }

    fn pools(&mut self, source: &'a Source) -> Vec<Option<Arc<Security>>> {
        let has_keys = self
            .default
            .is_some_and(|default| default.curve.is_some() || default.plain.is_some());
        let has_addresses = self.default.is_some_and(|default| default.from.is_some());
        let mut secured = Vec::new();
        for pool in &source.pools {
            secured.push(match &pool.entry.security {
                SecurityKey::Some(own) => {
                    let endpoints = &pool.entry.settings.endpoints;
                    let before = self.running.and_then(|running| {
                        let mut pools = running.pools.values();
                        let before = pools.find(|before| before.name == pool.entry.settings.name)?;
                        before.security.as_deref()
                    });
                    Some(self.security(own, endpoints, before))
                }
                SecurityKey::Inherited if has_keys => {
                    let name = &pool.entry.settings.name;
                    let fault = Diagnostic::error(format!("pool {name} does not name its workers' keys"));
                    let fault = fault.at(pool.place.clone()).label("expected security: … below");
                    self.found.push(fault.help(
                        "workers are not clients: write security: { curve: { peers: keys/workers } }, or security: none",
                    ));
                    None
                }
                SecurityKey::Inherited
                    if has_addresses && !pool.entry.settings.endpoints.bind.is_empty() =>
                {
                    let name = &pool.entry.settings.name;
                    let fault = Diagnostic::error(format!("pool {name} does not name its workers' addresses"));
                    let fault = fault.at(pool.place.clone()).label("expected security: … below");
                    self.found.push(fault.help(
                        "the `from` of the whole file applies only to clients: write security: { from: 10.1.0.0/16 }, or security: none",
                    ));
                    None
                }
                SecurityKey::Inherited | SecurityKey::None => None,
            });
        }
        secured
    }

    /// Returns the security of the publishers and the subscribers of each channel. Like workers,
    /// publishers and subscribers are not clients, so the `security` of the whole file does not
    /// apply to them.
    fn channels(&mut self, source: &'a Source) -> Vec<[Option<Arc<Security>>; 2]> {
        let mut secured = Vec::new();
        for channel in &source.channels {
            let ChannelSource {
                settings,
                publishers,
                subscribers,
            } = &channel.entry;
            let sides = [
                ("publishers", publishers, &settings.publishers.endpoints),
                ("subscribers", subscribers, &settings.subscribers.endpoints),
            ];
            secured
                .push(sides.map(|(who, side, endpoints)| {
                    self.channel_side(channel, who, side, endpoints)
                }));
        }
        secured
    }

    fn channel_side(
        &mut self,
        channel: &Named<ChannelSource>,
        who: &str,
        side: &'a SideSource,
        endpoints: &Endpoints,
    ) -> Option<Arc<Security>> {
        let default = self.default;
        let has_keys =
            default.is_some_and(|default| default.curve.is_some() || default.plain.is_some());
        let has_addresses = default.is_some_and(|default| default.from.is_some());
        let lacks = match &side.security {
            SecurityKey::Some(own) => {
                let before = self.running.and_then(|running| {
                    let mut channels = running.channels.values();
                    let before =
                        channels.find(|before| before.name == channel.entry.settings.name)?;
                    let side = match who {
                        "publishers" => &before.publishers,
                        _ => &before.subscribers,
                    };
                    side.security.as_deref()
                });
                return Some(self.security(own, endpoints, before));
            }
            SecurityKey::None => return None,
            SecurityKey::Inherited if has_keys => "keys",
            SecurityKey::Inherited if has_addresses && !endpoints.bind.is_empty() => "addresses",
            SecurityKey::Inherited => return None,
        };
        let name = &channel.entry.settings.name;
        let fault = Diagnostic::error(format!("channel {name} does not name its {who}' {lacks}"));
        let fault = fault.at(channel.place.clone());
        let fault = fault.label(format!("expected {who}: {{ security: … }} below"));
        self.found.push(fault.help(format!(
            "the `security` of the whole file applies only to clients: write one for the {who}, or security: none"
        )));
        None
    }

    /// Returns the security of a frontend in the running configuration, or `None` if that
    /// configuration has no such frontend or the frontend had no security.
    fn running_frontend(&self, frontend: &Named<FrontendSource>) -> Option<&'a Security> {
        let mut frontends = self.running?.frontends.values();
        let before = frontends.find(|before| before.name == frontend.entry.frontend.name)?;
        before.security.as_deref()
    }

    /// Resolves a `security`. `before` is the same `security` in the running configuration, and
    /// replaces the parts whose files cannot be used.
    fn security(
        &mut self,
        source: &'a SecuritySource,
        endpoints: &Endpoints,
        before: Option<&Security>,
    ) -> Arc<Security> {
        self.unusable = Unusable::default();
        let next = self.resolved(source, endpoints);
        let unusable = std::mem::take(&mut self.unusable);
        Arc::new(match before {
            Some(before) => unusable.replaced(next, before),
            None => next,
        })
    }

    fn resolved(&mut self, source: &'a SecuritySource, endpoints: &Endpoints) -> Security {
        if let Some(from) = &source.from
            && endpoints.bind.is_empty()
        {
            let fault = Diagnostic::error("\"from\" has no effect without \"bind\"");
            let fault = fault.at(from.place.clone()).label("remove it");
            self.found
                .push(fault.help("`from` applies to peers that connect to \"bind\", not to the addresses in \"connect\""));
        }
        let from = source.from.as_ref();
        Security {
            curve: source
                .curve
                .as_ref()
                .map(|curve| self.curve(curve, endpoints)),
            plain: source
                .plain
                .as_ref()
                .map(|plain| self.plain(plain, source.curve.is_some(), endpoints)),
            null: if source.anonymous {
                NullPeers::Admitted
            } else {
                NullPeers::Refused
            },
            from: from.map_or_else(Arc::default, |from| from.value.as_slice().into()),
        }
    }
}
