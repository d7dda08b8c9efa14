//! One immutable, fully resolved generation of the configuration and its schemas, which engine and
//! core use.
//!
//! References are indices or `Arc`s, never names, so a route to an unknown pool cannot be
//! represented. [`crate::config`] builds a snapshot, and nothing changes it afterwards.

mod any_of;
mod channel;
mod endpoints;
mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::reply::ErrorEncoding;
use crate::route::RouteTable;
use crate::security::Security;
use gateway_schema::Definitions;

pub use any_of::{AnyOf, BriefCheck};
pub use channel::{ChannelFrames, ChannelSettings, ChannelSide, Keep, Slow, Upstream};
pub use endpoints::Endpoints;
pub use process::{AdminSettings, LogFormat, LogLevel, LogSettings, ReloadSettings};

/// The number of a frontend, which is the same in every generation that has a frontend of this
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendId(pub usize);

/// The number of a pool, which is the same in every generation that has a pool of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub usize);

/// The number of a channel, which is the same in every generation that has a channel of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub usize);

/// The number of a route, which indexes its counters. It is the same in every generation that has a
/// route of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub usize);

impl RouteId {
    /// The number for messages that no route matches.
    pub const NONE: Self = Self(0);
    /// The number shared by all routes beyond the first [`ROUTES_COUNTED_MAX`], whose counters are
    /// combined.
    pub(crate) const OTHERS: Self = Self(1);
    /// The first number that belongs to a single route.
    const FIRST: usize = 2;
}

/// The maximum number of routes with their own counters, over the life of the process. Each route
/// takes about 400 bytes on the data thread and about 30 lines of /metrics. Without this maximum,
/// edits that add new names again and again could exhaust the memory.
pub(crate) const ROUTES_COUNTED_MAX: usize = 10_000;

/// The names of frontends, pools, channels and routes, with their numbers. Names are added but
/// never removed, so a number from an earlier generation keeps its meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    frontends: Vec<String>,
    pools: Vec<String>,
    channels: Vec<String>,
    routes: Vec<Arc<str>>,
    by_route: HashMap<Arc<str>, RouteId>,
}

impl Names {
    /// Returns the number of the frontend with this name. A new name is assigned the next number.
    pub fn frontend(&mut self, name: &str) -> FrontendId {
        FrontendId(number(&mut self.frontends, name))
    }

    /// Returns the name of the frontend with this number, or an empty text if there is none.
    pub(crate) fn of_frontend(&self, id: FrontendId) -> &str {
        self.frontends.get(id.0).map_or("", String::as_str)
    }

    /// Returns the name of the pool with this number, or an empty text if there is none.
    pub fn of_pool(&self, id: PoolId) -> &str {
        self.pools.get(id.0).map_or("", String::as_str)
    }

    /// Returns the number of the route with this name. A new name is assigned the next number, or
    /// [`RouteId::OTHERS`] if `ROUTES_COUNTED_MAX` routes have a number.
    pub fn route(&mut self, name: &str) -> RouteId {
        if let Some(id) = self.by_route.get(name) {
            return *id;
        }
        if self.routes.len() >= ROUTES_COUNTED_MAX {
            return RouteId::OTHERS;
        }
        let id = RouteId(RouteId::FIRST + self.routes.len());
        let name: Arc<str> = name.into();
        self.routes.push(Arc::clone(&name));
        self.by_route.insert(name, id);
        id
    }

    /// Returns the name of the route with this number: empty for [`RouteId::NONE`] and for a number
    /// that was never assigned, and `*others*` for [`RouteId::OTHERS`]. No route can have either
    /// name.
    pub(crate) fn of_route(&self, id: RouteId) -> &str {
        match id {
            RouteId::NONE => "",
            RouteId::OTHERS => "*others*",
            RouteId(number) => self
                .routes
                .get(number - RouteId::FIRST)
                .map_or("", |name| name),
        }
    }

    /// Returns the number of route numbers in use, including the two that belong to no single
    /// route.
    pub fn routes(&self) -> usize {
        RouteId::FIRST + self.routes.len()
    }

    /// Returns the number of frontend numbers in use.
    pub fn frontends(&self) -> usize {
        self.frontends.len()
    }

    /// Returns the number of the pool with this name. A new name is assigned the next number.
    pub fn pool(&mut self, name: &str) -> PoolId {
        PoolId(number(&mut self.pools, name))
    }

    /// Returns the number of the channel with this name. A new name is assigned the next number.
    pub fn channel(&mut self, name: &str) -> ChannelId {
        ChannelId(number(&mut self.channels, name))
    }

    /// Returns the name of the channel with this number, or an empty text if there is none.
    pub fn of_channel(&self, id: ChannelId) -> &str {
        self.channels.get(id.0).map_or("", String::as_str)
    }
}

/// Returns the index of a name, which is added if it is new.
fn number(names: &mut Vec<String>, name: &str) -> usize {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// One generation: the complete settings of a running gateway.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The number of configurations that took effect, this one included.
    pub generation: u64,
    /// The engine.
    pub engine: EngineKind,
    /// The frontends, where clients connect.
    pub frontends: BTreeMap<FrontendId, Frontend>,
    /// The pools, which answer.
    pub pools: BTreeMap<PoolId, Arc<PoolSettings>>,
    /// The channels, which publish.
    pub channels: BTreeMap<ChannelId, Arc<ChannelSettings>>,
    /// The routes, by type.
    pub routes: RouteTable<Route>,
    /// The fingerprints of the .proto files of this generation, by import name.
    pub protos: BTreeMap<String, u64>,
    /// The definitions of the messages and enums that the schemas reach, with their places.
    pub definitions: Definitions,
    /// Limits on the messages and requests of peers.
    pub limits: Limits,
    /// The time that open requests have to finish at shutdown.
    pub grace: Duration,
    /// The settings for reloading changed files.
    pub reload: ReloadSettings,
    /// The admin listener, or `None` if there is none.
    pub admin: Option<AdminSettings>,
    /// The level and the format of the log, unless the command line or the environment sets them.
    pub log: LogSettings,
    /// The names of this and all earlier generations, with their numbers.
    pub names: Names,
}

impl Snapshot {
    /// Returns whether any frontend, pool or channel restricts the peers that it admits.
    pub(crate) fn has_security(&self) -> bool {
        let pools = self.pools.values().any(|pool| pool.security.is_some());
        let channels = self.channels.values().any(|channel| {
            channel.publishers.security.is_some() || channel.subscribers.security.is_some()
        });
        pools || channels || self.knows_principals()
    }

    /// Returns whether any frontend restricts the clients that it admits. If so, every client is
    /// known by its principal, and the identity that it announces is ignored.
    pub(crate) fn knows_principals(&self) -> bool {
        self.frontends
            .values()
            .any(|frontend| frontend.security.is_some())
    }
}

/// An engine, which moves frames between the network and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The gateway's own implementation of ZMTP.
    Native,
    /// The C++ library, through the `zmq` crate.
    Libzmq,
}

impl EngineKind {
    /// Returns the name of the engine in routes.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Libzmq => "libzmq",
        }
    }
}

/// A frontend, where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// The key in routes.yaml.
    pub name: String,
    /// The addresses to listen on and to connect to.
    pub endpoints: Endpoints,
    /// The encoding of a rejection if no route matches the request, or if its route has no schema.
    pub errors: ErrorEncoding,
    /// The framing of the clients' messages, and of the answers to them.
    pub framing: Arc<Framing>,
    /// The admission of peers. `None` admits every peer.
    pub security: Option<Arc<Security>>,
}

/// The framing of the messages of a frontend's clients, and of the answers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// The type that the gateway gives to every message of plain clients, whose messages and
    /// answers have no type frame. `None` for typed clients.
    pub kind: Option<Box<[u8]>>,
    /// The frames of a client's message that form the envelope.
    pub envelope: EnvelopeMode,
    /// The frames of a rejection and of a worker's ERROR.
    pub errors: ErrorFrames,
}

/// The frames of a client's message that form the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvelopeMode {
    /// The frames depend on the client's socket type. The envelope of a REQ is every frame up to
    /// and including the first empty frame. The envelope of any other client is the first frame, if
    /// this frame is empty.
    #[default]
    Auto,
    /// Every frame up to and including the first empty frame, for clients behind a proxy.
    Routed,
}

/// The frames of a rejection and of a worker's ERROR for a client, after the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFrames {
    /// The type ERROR, the headers of the request, the payload.
    #[default]
    All,
    /// The payload alone.
    Payload,
}

/// A pool's settings, all resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// The key in routes.yaml.
    pub name: String,
    /// The addresses for workers.
    pub endpoints: Endpoints,
    /// The kinds of workers that are accepted.
    pub workers: Workers,
    /// The form in which frame 0 identifies a request to a DEALER worker.
    pub identity: IdentityMode,
    /// The load-balancing strategy among free workers.
    pub balance: Balance,
    /// The number of requests that a DEALER worker may hold at once.
    pub per_worker: PerWorker,
    /// The number of requests that may wait for a worker.
    pub queue: usize,
    /// The maximum total size of the requests that wait for a worker, in bytes.
    pub queue_bytes: u64,
    /// The interval at which a silent worker is pinged, or `None` for never.
    pub heartbeat: Option<Duration>,
    /// The frames of a request for the workers, and of their answers.
    pub frames: WorkerFrames,
    /// The admission of peers. `None` admits every peer.
    pub security: Option<Arc<Security>>,
}

/// The frames of a request for a pool's workers, and of their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkerFrames {
    /// Type, headers, payload.
    #[default]
    Typed,
    /// The payload alone.
    Payload,
    /// The payload alone, with an empty frame before it for a DEALER worker.
    Delimited,
}

/// The number of requests that a DEALER worker may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerWorker {
    /// About as many requests as the worker answers in 10 ms.
    Auto,
    /// A fixed number.
    Most(u32),
}

/// The kinds of workers that a pool accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// DEALER and REP workers. The handshake of each worker names its kind. A worker counts as a
    /// DEALER if the engine does not know its socket type.
    Auto,
    /// DEALER workers.
    Dealer,
    /// REP workers.
    Rep,
}

/// The form in which frame 0 identifies a request to a DEALER worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityMode {
    /// The client's identity and the number of the request, which are unique together.
    Token,
    /// The client's bare identity.
    Client,
}

/// The load-balancing strategy among free workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The worker that holds the fewest requests; among equals, the worker that has waited longest.
    LeastBusy,
    /// The worker that has waited longest.
    RoundRobin,
}

/// A type or a pattern, and the treatment of its messages.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// The number that indexes the route's counters.
    pub id: RouteId,
    /// The key in routes.yaml.
    pub name: String,
    /// The single type that the route matches, as rejections show it, or `None` if the route is a
    /// pattern.
    pub kind: Option<Box<str>>,
    /// The schemas of requests, or `None` for an opaque route.
    pub schema: Option<AnyOf>,
    /// The schemas of answers, or `None` for opaque answers.
    pub reply: Option<AnyOf>,
    /// The destination of the messages.
    pub target: Target,
    /// The maximum time from arrival to answer, or `None` for no limit.
    pub timeout: Option<Duration>,
    /// The limits on the use of the route, or `None` if every client may use it at any rate.
    pub access: Option<Box<Access>>,
}

impl Route {
    /// Returns the pool that answers, or `None` if the route leads to a channel.
    #[inline]
    pub fn pool(&self) -> Option<PoolId> {
        match self.target {
            Target::Pool(pool) => Some(pool),
            Target::Channel { .. } => None,
        }
    }

    /// Returns the channel to which messages are published, or `None` if the route leads to a pool.
    pub fn channel(&self) -> Option<ChannelId> {
        match self.target {
            Target::Pool(_) => None,
            Target::Channel { channel, .. } => Some(channel),
        }
    }
}

/// The destination of a route's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The pool that answers.
    Pool(PoolId),
    /// The channel on which the messages are published.
    Channel {
        /// The channel.
        channel: ChannelId,
        /// True if a DEALER client of a frontend receives an acknowledgement. A REQ client always
        /// receives an acknowledgement, because it would wait for ever otherwise.
        ack: bool,
    },
}

/// The clients that may use a route, and the rate at which they may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The frontends whose clients may use the route, or `None` for all.
    pub frontends: Option<Vec<FrontendId>>,
    /// The principals that may use the route, or `None` for all.
    pub allow: Option<Vec<Allowed>>,
    /// The rate at which each principal, or each connection without a principal, may use the route.
    /// `None` sets no limit.
    pub rate: Option<Rate>,
}

/// The rate at which a principal, or a connection without a principal, may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The average time between two requests, which is not zero.
    pub interval: Duration,
    /// The maximum number of requests at once after a pause, which is at least 1.
    pub burst: u32,
}

/// Principals that may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// The principal with this name.
    Exact(Box<str>),
    /// All principals whose names begin with this text.
    Prefix(Box<str>),
}

impl Allowed {
    /// Returns whether a principal is among these.
    pub fn contains(&self, principal: &[u8]) -> bool {
        match self {
            Self::Exact(name) => name.as_bytes() == principal,
            Self::Prefix(start) => principal.starts_with(start.as_bytes()),
        }
    }
}

impl Access {
    /// Returns whether clients of this frontend may use the route.
    pub(crate) fn admits_frontend(&self, frontend: FrontendId) -> bool {
        let allowed = self.frontends.as_ref();
        allowed.is_none_or(|allowed| allowed.contains(&frontend))
    }

    /// Returns whether a principal may use the route.
    pub(crate) fn admits_principal(&self, principal: &[u8]) -> bool {
        let allowed = self.allow.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|allowed| allowed.contains(principal)))
    }
}

/// Limits on the messages and requests of peers. Each number is a maximum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of a message in bytes, all frames together.
    pub message: u64,
    /// The number of frames of a message, including the frames of the envelope.
    pub frames: usize,
    /// The levels of nesting of a payload.
    pub depth: u32,
    /// The size in bytes of a payload to which CEL rules of buf.validate apply.
    pub rules: u64,
    /// The number of steps, of about 10 ns each, that all CEL rules of one payload may take
    /// together.
    pub rules_cost: u64,
    /// The number of clients that are served at once.
    pub clients: usize,
    /// The number of requests that a client may have open at once.
    pub client_requests: u32,
    /// The total size of a client's open requests, in bytes. A second limit of the same size
    /// applies to the answers that the client has not read.
    pub client_bytes: u64,
    /// The memory of the process. The closer the process comes to this limit, the less memory each
    /// client may hold. Only the engine `native` has this limit.
    pub memory: MemoryLimit,
}

/// A limit on the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryLimit {
    /// A number of bytes.
    Bytes(u64),
    /// A percentage of the memory that the process may use.
    Percent(u8),
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::Percent(50)
    }
}
