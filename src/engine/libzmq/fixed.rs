//! The settings of a socket that cannot be changed while the socket is in use, because libzmq
//! copies the options of a socket when the socket binds or connects.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::engine::error::EngineError;
use crate::engine::role::Role;
use crate::peer::WorkerKind;
use crate::snapshot::{
    ChannelId, ChannelSettings, ChannelSide, Endpoints, Frontend, Limits, PerWorker, PoolSettings,
    Snapshot, Workers,
};

/// The smallest send window of a pool, which is the number of requests that libzmq may queue for a
/// worker. A smaller window costs throughput: whenever it is full, the pool is polled until libzmq
/// has room again.
const SEND_WINDOW: u32 = 100;

/// The largest send window of a pool, which is libzmq's default for a socket.
const SEND_WINDOW_MAX: u32 = 1_000;

/// The largest frame that a subscriber may send, in bytes. A prefix has at most 255 bytes, but the
/// properties in a handshake need more room. libzmq keeps subscriptions in a tree with a node for
/// each byte, and frees the tree recursively. A longer prefix would take much memory and could
/// overflow the stack.
const SUBSCRIPTION_MAX: u64 = 4_096;

/// The settings of a socket that cannot be changed while it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) role: Role,
    /// The name, which is the key in routes.yaml.
    pub(super) name: String,
    pub(super) endpoints: Endpoints,
    /// The largest frame that the socket accepts, in bytes.
    pub(super) message_max: u64,
    /// The settings of a pool's socket.
    pub(super) pool: Option<FixedPool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FixedPool {
    pub(super) kind: WorkerKind,
    pub(super) heartbeat: Option<Duration>,
    /// The send window, between [`SEND_WINDOW`] and [`SEND_WINDOW_MAX`].
    pub(super) window: u32,
}

impl Fixed {
    /// Returns the settings of every socket that a configuration requires.
    pub(super) fn all(snapshot: &Snapshot) -> BTreeMap<Role, Self> {
        let frontends = snapshot.frontends.iter().map(|(id, frontend)| {
            let role = Role::Frontend(*id);
            (role, Self::of_frontend(role, frontend, snapshot))
        });
        let pools = snapshot.pools.iter().map(|(id, pool)| {
            let role = Role::Pool(*id);
            (role, Self::of_pool(role, pool, snapshot))
        });
        let channels = snapshot.channels.iter();
        let channels = channels.flat_map(|(id, channel)| Self::of_channel(*id, channel, snapshot));
        let channels = channels.map(|fixed| (fixed.role, fixed));
        frontends.chain(pools).chain(channels).collect()
    }

    // The settings are destructured without `..`, here and below. A new key then causes a compile
    // error here, where its author must decide whether libzmq copies the key.

    fn of_frontend(role: Role, frontend: &Frontend, snapshot: &Snapshot) -> Self {
        let Frontend {
            name,
            endpoints,
            // The core uses these.
            errors: _,
            framing: _,
            // Refused before a socket is made.
            security: _,
        } = frontend;
        Self {
            role,
            name: name.clone(),
            endpoints: endpoints.clone(),
            message_max: message_max(snapshot),
            pool: None,
        }
    }

    fn of_pool(role: Role, pool: &PoolSettings, snapshot: &Snapshot) -> Self {
        let PoolSettings {
            name,
            endpoints,
            workers,
            per_worker,
            heartbeat,
            // The core uses these.
            identity: _,
            balance: _,
            queue: _,
            queue_bytes: _,
            frames: _,
            // Refused before a socket is made.
            security: _,
        } = pool;
        Self {
            role,
            name: name.clone(),
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

    /// Returns the settings of the sockets for publishers and for subscribers.
    fn of_channel(id: ChannelId, channel: &ChannelSettings, snapshot: &Snapshot) -> [Self; 2] {
        let ChannelSettings {
            name,
            publishers,
            subscribers,
            // The core uses these.
            upstream: _,
            frames: _,
            // Values other than the defaults are refused before a socket is made.
            keep: _,
            keep_bytes: _,
            slow: _,
            subscriber_bytes: _,
        } = channel;
        let side = |role, side: &ChannelSide, message_max| {
            let ChannelSide {
                endpoints,
                // Refused before a socket is made.
                security: _,
            } = side;
            Self {
                role,
                name: name.clone(),
                endpoints: endpoints.clone(),
                message_max,
                pool: None,
            }
        };
        [
            side(Role::Publishers(id), publishers, message_max(snapshot)),
            side(Role::Subscribers(id), subscribers, SUBSCRIPTION_MAX),
        ]
    }

    /// Checks that an existing socket suits the `wanted` settings without a change. Fails with the
    /// key that libzmq cannot change, and a remedy.
    pub(super) fn suits(&self, wanted: &Self) -> Result<(), EngineError> {
        let Self {
            role,
            name: _,
            endpoints,
            message_max,
            pool,
        } = self;
        let refuse = |key: &str, how: &str| {
            let what = format!("{self}: engine libzmq can't change {key} while the gateway runs");
            Err(EngineError::new(what, how))
        };
        if *endpoints != wanted.endpoints {
            let part = match role {
                Role::Frontend(_) => "frontend",
                Role::Pool(_) => "pool",
                Role::Publishers(_) | Role::Subscribers(_) => "channel",
            };
            return refuse(
                "the addresses",
                &format!("give the {part} with the new addresses another name, or restart"),
            );
        }
        // libzmq accepts frames of up to `message_max` bytes, which is twice the `limits.message`
        // with which the socket was made. A reload may raise `limits.message` up to `message_max`.
        if wanted.message_max / 2 > *message_max {
            let remedy =
                format!("the value may be at most {message_max}B until the gateway is restarted");
            return refuse("limits.message to more than twice its first value", &remedy);
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

/// Writes the role and the name, such as `frontend clients`.
impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.kind(), self.name)
    }
}

/// Returns the maximum size of a frame that libzmq accepts, in bytes: twice `limits.message`.
/// libzmq disconnects a peer that sends a larger frame, without an answer. If a frame exceeds only
/// `limits.message`, the gateway receives the frame and can answer.
fn message_max(snapshot: &Snapshot) -> u64 {
    let Limits {
        message,
        // The core reads these limits with each message. Outboxes read client_bytes, too.
        frames: _,
        depth: _,
        rules: _,
        rules_cost: _,
        clients: _,
        client_requests: _,
        client_bytes: _,
        // The configuration refuses a memory limit for this engine.
        memory: _,
    } = &snapshot.limits;
    message.saturating_mul(2)
}
