//! The requirements for peers in the `security` keys of a whole configuration. They can replace the
//! requirements of the running snapshot.

use std::sync::Arc;

use crate::config::source::Source;
use crate::security::Security;
use crate::snapshot::Snapshot;

/// The requirements of frontends, pools and channels for their peers, in the order of the file.
pub(in crate::config) struct Secured {
    pub(in crate::config) frontends: Vec<Option<Arc<Security>>>,
    pub(in crate::config) pools: Vec<Option<Arc<Security>>>,
    /// The publishers and the subscribers of each channel.
    pub(in crate::config) channels: Vec<[Option<Arc<Security>>; 2]>,
}

impl Secured {
    /// Returns the snapshot of the next generation, which differs from `running` only in these
    /// requirements. Returns `None` if the requirements are the same. `source` is the routes.yaml
    /// of both generations.
    pub(in crate::config) fn apply(self, source: &Source, running: &Snapshot) -> Option<Snapshot> {
        let mut next = running.clone();
        next.generation += 1;
        let frontends = source
            .frontends
            .iter()
            .map(|entry| &entry.entry.frontend.name);
        for (name, security) in frontends.zip(self.frontends) {
            let mut frontends = next.frontends.values_mut();
            if let Some(frontend) = frontends.find(|frontend| frontend.name == *name) {
                frontend.security = security;
            }
        }
        let pools = source.pools.iter().map(|entry| &entry.entry.settings.name);
        for (name, security) in pools.zip(self.pools) {
            let mut pools = next.pools.values_mut();
            if let Some(pool) = pools.find(|pool| pool.name == *name && pool.security != security) {
                Arc::make_mut(pool).security = security;
            }
        }
        let channels = source
            .channels
            .iter()
            .map(|entry| &entry.entry.settings.name);
        for (name, [publishers, subscribers]) in channels.zip(self.channels) {
            let mut channels = next.channels.values_mut();
            if let Some(channel) = channels.find(|channel| channel.name == *name) {
                let channel = Arc::make_mut(channel);
                channel.publishers.security = publishers;
                channel.subscribers.security = subscribers;
            }
        }
        let is_same = next.frontends == running.frontends
            && next.pools == running.pools
            && next.channels == running.channels;
        (!is_same).then_some(next)
    }
}
