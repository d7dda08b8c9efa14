//! The waits that may need an operator: requests of pools without workers, and a drain. Each wait
//! has the time at which it is examined next.

use std::time::Duration;

use crate::snapshot::PoolId;

/// The waits in progress, each with the time at which it is examined next.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// The pools that had no worker for a waiting request.
    pub(super) pools: Vec<(PoolId, Duration)>,
    /// The time at which a drain in progress is examined next.
    pub(super) drain: Option<Duration>,
}
