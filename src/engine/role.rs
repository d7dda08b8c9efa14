//! The frontend, the pool or the side of a channel that a connection or a socket belongs to.

use std::sync::Arc;

use crate::engine::listening::{PUBLISHERS, SUBSCRIBERS};
use crate::security::Security;
use crate::snapshot::{ChannelId, ChannelSide, Endpoints, FrontendId, PoolId, Snapshot};

/// The frontend, the pool or the side of a channel to which a connection, a listener or a socket of
/// libzmq belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    Frontend(FrontendId),
    Pool(PoolId),
    /// The publishers of a channel.
    Publishers(ChannelId),
    /// The subscribers of a channel.
    Subscribers(ChannelId),
}

impl Role {
    /// Returns every role of a configuration, with its addresses.
    pub(super) fn all(snapshot: &Snapshot) -> impl Iterator<Item = (Self, &Endpoints)> {
        let frontends = snapshot.frontends.iter();
        let frontends = frontends.map(|(id, frontend)| (Self::Frontend(*id), &frontend.endpoints));
        let pools = snapshot.pools.iter();
        let pools = pools.map(|(id, pool)| (Self::Pool(*id), &pool.endpoints));
        let channels = snapshot.channels.iter().flat_map(|(id, channel)| {
            [
                (Self::Publishers(*id), &channel.publishers.endpoints),
                (Self::Subscribers(*id), &channel.subscribers.endpoints),
            ]
        });
        frontends.chain(pools).chain(channels)
    }

    /// Returns the kind of the role in a few words, such as `frontend`.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Frontend(_) => "frontend",
            Self::Pool(_) => "pool",
            Self::Publishers(_) => PUBLISHERS,
            Self::Subscribers(_) => SUBSCRIBERS,
        }
    }

    /// Returns the name of the frontend, pool or channel, which is its key in routes.yaml.
    pub(super) fn name(self, snapshot: &Snapshot) -> &str {
        match self {
            Self::Frontend(id) => snapshot.names.of_frontend(id),
            Self::Pool(id) => snapshot.names.of_pool(id),
            Self::Publishers(id) | Self::Subscribers(id) => snapshot.names.of_channel(id),
        }
    }

    /// Returns the security that a configuration requires of the role's peers, if any.
    pub(super) fn security(self, snapshot: &Snapshot) -> Option<&Arc<Security>> {
        match self {
            Self::Frontend(id) => snapshot.frontends.get(&id)?.security.as_ref(),
            Self::Pool(id) => snapshot.pools.get(&id)?.security.as_ref(),
            Self::Publishers(_) | Self::Subscribers(_) => self.side(snapshot)?.security.as_ref(),
        }
    }

    /// Returns whether a configuration has this frontend or pool, or an address for this side of
    /// the channel.
    pub(super) fn is_in(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Frontend(id) => snapshot.frontends.contains_key(&id),
            Self::Pool(id) => snapshot.pools.contains_key(&id),
            Self::Publishers(_) | Self::Subscribers(_) => {
                let endpoints = self.side(snapshot).map(|side| &side.endpoints);
                endpoints.is_some_and(|endpoints| {
                    !endpoints.bind.is_empty() || !endpoints.connect.is_empty()
                })
            }
        }
    }

    /// Returns whether the role's peers are workers. All other peers count as clients. The number
    /// of clients' connections is limited, so that room for workers remains.
    pub(super) fn has_workers(self) -> bool {
        matches!(self, Self::Pool(_))
    }

    /// Returns the pool, if this role is a pool that a configuration does not have.
    pub(super) fn pool_missing_in(self, snapshot: &Snapshot) -> Option<PoolId> {
        match self {
            Self::Pool(id) if !self.is_in(snapshot) => Some(id),
            Self::Pool(_) | Self::Frontend(_) | Self::Publishers(_) | Self::Subscribers(_) => None,
        }
    }

    fn side(self, snapshot: &Snapshot) -> Option<&ChannelSide> {
        match self {
            Self::Publishers(id) => Some(&snapshot.channels.get(&id)?.publishers),
            Self::Subscribers(id) => Some(&snapshot.channels.get(&id)?.subscribers),
            Self::Frontend(_) | Self::Pool(_) => None,
        }
    }
}
