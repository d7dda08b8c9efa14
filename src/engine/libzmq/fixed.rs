//! What of a socket can't be changed while it is in use: libzmq copies its options when it binds.

use std::time::Duration;

use crate::engine::error::EngineError;
use crate::peer::WorkerKind;
use crate::snapshot::{Endpoints, Frontend, Limits, PerWorker, PoolSettings, Snapshot, Workers};

/// Requests that libzmq may queue for a worker, at least. A small window costs throughput: each
/// time that it is full, the pool is polled until it isn't.
const SEND_WINDOW: u32 = 100;

/// The same, at most.
const SEND_WINDOW_MAX: u32 = 1_000;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// `frontend clients`.
    pub(super) what: String,
    pub(super) endpoints: Endpoints,
    /// Largest frame that it lets through.
    pub(super) message_max: u64,
    /// Of a pool.
    pub(super) pool: Option<FixedPool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FixedPool {
    pub(super) kind: WorkerKind,
    pub(super) heartbeat: Option<Duration>,
    pub(super) window: u32,
}

impl Fixed {
    // Taken apart without `..`, here and below: of a new key it must be said whether libzmq copies
    // it.

    pub(super) fn of_frontend(frontend: &Frontend, snapshot: &Snapshot) -> Self {
        let Frontend {
            name,
            endpoints,
            // The core's.
            errors: _,
            framing: _,
        } = frontend;
        Self {
            what: format!("frontend {name}"),
            endpoints: endpoints.clone(),
            message_max: message_max(snapshot),
            pool: None,
        }
    }

    pub(super) fn of_pool(pool: &PoolSettings, snapshot: &Snapshot) -> Self {
        let PoolSettings {
            name,
            endpoints,
            workers,
            per_worker,
            heartbeat,
            // The core's.
            identity: _,
            balance: _,
            queue: _,
            queue_bytes: _,
            frames: _,
        } = pool;
        Self {
            what: format!("pool {name}"),
            endpoints: endpoints.clone(),
            message_max: message_max(snapshot),
            pool: Some(FixedPool {
                kind: match workers {
                    Workers::Rep => WorkerKind::Rep,
                    Workers::Dealer | Workers::Auto => WorkerKind::Dealer,
                },
                heartbeat: *heartbeat,
                window: match *per_worker {
                    PerWorker::Auto => SEND_WINDOW,
                    PerWorker::Most(most) => most.clamp(SEND_WINDOW, SEND_WINDOW_MAX),
                },
            }),
        }
    }

    /// Whether a socket that is there can serve what is wanted as it is.
    pub(super) fn suits(&self, wanted: &Self) -> Result<(), EngineError> {
        let Self {
            what,
            endpoints,
            message_max,
            pool,
        } = self;
        let refuse = |key: &str, how: &str| {
            let what = format!("{what}: engine libzmq can't change {key} while it runs");
            Err(EngineError::new(what, how))
        };
        if *endpoints != wanted.endpoints {
            return refuse(
                "its addresses",
                "give another name to what has the new ones, or restart the gateway",
            );
        }
        // What `limits.message` may grow to: its double is what libzmq was told.
        if wanted.message_max / 2 > *message_max {
            let most = format!("it may be {message_max}B until the gateway is restarted");
            return refuse("limits.message to more than twice what it was", &most);
        }
        if let (Some(pool), Some(wanted)) = (pool, &wanted.pool) {
            let restart = "restart the gateway, or give the pool another name and address";
            let FixedPool {
                kind,
                heartbeat,
                window,
            } = pool;
            if *kind != wanted.kind {
                return refuse("workers", restart);
            }
            if *heartbeat != wanted.heartbeat {
                return refuse("heartbeat", restart);
            }
            if *window != wanted.window {
                return refuse("per_worker beyond 100", restart);
            }
        }
        Ok(())
    }
}

/// A frame over the limit ends its connection inside libzmq, unanswered. So that a message that is
/// only somewhat over can be answered, libzmq's own limit is twice ours.
fn message_max(snapshot: &Snapshot) -> u64 {
    let Limits {
        message,
        // Read with each message, by the core or, client_bytes, by the outboxes.
        frames: _,
        depth: _,
        rules: _,
        clients: _,
        client_requests: _,
        client_bytes: _,
    } = &snapshot.limits;
    message.saturating_mul(2)
}
