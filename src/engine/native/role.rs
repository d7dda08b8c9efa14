//! The part of the configuration that a connection serves.

use std::sync::Arc;

use crate::security::Security;
use crate::snapshot::{FrontendId, PoolId, Snapshot};

/// The frontend or pool that a connection, a listener or a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Frontend(FrontendId),
    Pool(PoolId),
}

impl Role {
    /// Returns `frontend` or `pool`.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Frontend(_) => "frontend",
            Self::Pool(_) => "pool",
        }
    }

    /// Returns the name, which is the key in routes.yaml.
    pub(super) fn name(self, snapshot: &Snapshot) -> &str {
        match self {
            Self::Frontend(id) => snapshot.names.of_frontend(id),
            Self::Pool(id) => snapshot.names.of_pool(id),
        }
    }

    /// Returns the security that a configuration requires of peers here, if any.
    pub(super) fn security(self, snapshot: &Snapshot) -> Option<&Arc<Security>> {
        match self {
            Self::Frontend(id) => snapshot.frontends.get(&id)?.security.as_ref(),
            Self::Pool(id) => snapshot.pools.get(&id)?.security.as_ref(),
        }
    }

    /// Returns whether a configuration has this frontend or pool.
    pub(super) fn is_in(self, snapshot: &Snapshot) -> bool {
        match self {
            Self::Frontend(id) => snapshot.frontends.contains_key(&id),
            Self::Pool(id) => snapshot.pools.contains_key(&id),
        }
    }

    /// Returns the pool, if this is a pool that a configuration does not have.
    pub(super) fn pool_missing_in(self, snapshot: &Snapshot) -> Option<PoolId> {
        match self {
            Self::Pool(id) if !self.is_in(snapshot) => Some(id),
            Self::Pool(_) | Self::Frontend(_) => None,
        }
    }
}
