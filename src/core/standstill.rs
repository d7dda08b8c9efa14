//! What requests wait for that an operator may have to provide, and when each is looked at next.

use std::time::Duration;

use crate::snapshot::PoolId;

/// What waits, and when each is looked at next.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// Pools that had no worker for a request that waits.
    pub(super) pools: Vec<(PoolId, Duration)>,
    /// The end of a drain.
    pub(super) drain: Option<Duration>,
}
