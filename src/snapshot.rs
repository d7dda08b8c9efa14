//! One immutable, fully resolved generation of configuration and schemas: what the data plane works by.
//!
//! References are indices or `Arc`s, never names, so a route to an unknown pool can't be written
//! down. Built by [`crate::config`]; read by core and engine; changed by nobody.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::reply::ErrorEncoding;
use crate::route::Table;
use gateway_schema::{Definitions, Encoding, Schema, Violation};

/// A frontend's number: the same in every generation that has a frontend of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendId(pub usize);

/// A pool's number: the same in every generation that has a pool of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId(pub usize);

/// A route's number, by which its counters are found: the same in every generation that has a route of this
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub usize);

impl RouteId {
    /// Of messages that no route matches.
    pub const NONE: Self = Self(0);
    /// Of routes beyond [`ROUTES_COUNTED`], which are counted together.
    pub const OTHERS: Self = Self(1);
    /// The first of a route's own.
    const FIRST: usize = 2;
}

/// Routes with counters of their own, over the life of the process: some 300 bytes each on the data thread,
/// and some 30 lines each of /metrics, are bounded by it, however often a configuration names new ones.
pub const ROUTES_COUNTED: usize = 10_000;

/// Which names have which numbers. Names are only added, so that whoever still holds a number of an
/// earlier generation means what that meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    frontends: Vec<String>,
    pools: Vec<String>,
    routes: Vec<Arc<str>>,
    by_route: HashMap<Arc<str>, RouteId>,
}

impl Names {
    /// The number of a frontend of this name, from now on.
    pub fn frontend(&mut self, name: &str) -> FrontendId {
        FrontendId(place(&mut self.frontends, name))
    }

    /// What a number stands for; nothing for one that was never given.
    pub fn of_frontend(&self, id: FrontendId) -> &str {
        self.frontends.get(id.0).map_or("", String::as_str)
    }

    /// What a number stands for; nothing for one that was never given.
    pub fn of_pool(&self, id: PoolId) -> &str {
        self.pools.get(id.0).map_or("", String::as_str)
    }

    /// The number of a route of this name, from now on.
    pub fn route(&mut self, name: &str) -> RouteId {
        if let Some(id) = self.by_route.get(name) {
            return *id;
        }
        if self.routes.len() >= ROUTES_COUNTED {
            return RouteId::OTHERS;
        }
        let id = RouteId(RouteId::FIRST + self.routes.len());
        let name: Arc<str> = name.into();
        self.routes.push(Arc::clone(&name));
        self.by_route.insert(name, id);
        id
    }

    /// What a number stands for: empty where no route matches, `*others*` for those without a number of their
    /// own. Neither can be the name of a route.
    pub fn of_route(&self, id: RouteId) -> &str {
        match id {
            RouteId::NONE => "",
            RouteId::OTHERS => "*others*",
            RouteId(number) => self
                .routes
                .get(number - RouteId::FIRST)
                .map_or("", |name| name),
        }
    }

    /// Route numbers so far.
    pub fn routes(&self) -> usize {
        RouteId::FIRST + self.routes.len()
    }

    /// Frontend numbers so far.
    pub fn frontends(&self) -> usize {
        self.frontends.len()
    }

    /// The number of a pool of this name, from now on.
    pub fn pool(&mut self, name: &str) -> PoolId {
        PoolId(place(&mut self.pools, name))
    }
}

fn place(names: &mut Vec<String>, name: &str) -> usize {
    let known = names.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// Everything that a running gateway works by.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the configurations that took hold, from 1.
    pub generation: u64,
    /// What carries frames.
    pub engine: EngineKind,
    /// Where clients connect.
    pub frontends: BTreeMap<FrontendId, Frontend>,
    /// Who answers.
    pub pools: BTreeMap<PoolId, Arc<PoolSettings>>,
    /// Which type goes where.
    pub routes: Table<Route>,
    /// The .proto files that it was compiled from: a fingerprint of each by its import name.
    pub protos: BTreeMap<String, u64>,
    /// Where what its schemas are made of is written.
    pub definitions: Definitions,
    /// Bounds on what peers may do.
    pub limits: Limits,
    /// How long held requests may take to finish at shutdown.
    pub grace: Duration,
    /// Whether and how changed files are followed.
    pub reload: ReloadSettings,
    /// Where the gateway shows itself; none for nowhere.
    pub admin: Option<AdminSettings>,
    /// The numbers of this and all earlier generations' names.
    pub names: Names,
}

/// Whether and how changed files are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadSettings {
    /// Whether files are watched at all; a signal always reloads.
    pub watch: bool,
    /// How long files must have been at rest: a burst of writes is one change.
    pub settle: Duration,
}

/// Where the gateway shows itself over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// What it listens on; port 0 lets the system choose.
    pub bind: SocketAddr,
}

/// What carries frames between the network and the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// ZMTP spoken by the gateway itself.
    Native,
    /// The C++ library, through the `zmq` crate.
    Libzmq,
}

impl EngineKind {
    /// Its word in routes.yaml.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Libzmq => "libzmq",
        }
    }
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Its key in routes.yaml.
    pub name: String,
    /// Where it listens and what it connects to.
    pub endpoints: Endpoints,
    /// Encoding of rejections where the request names none.
    pub errors: ErrorEncoding,
    /// How its clients' messages are framed, and the answers to them.
    pub framing: Arc<Framing>,
}

/// How the messages of a frontend's clients are framed, and the answers to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// The type of every message, for plain clients, whose messages and answers have no type frame.
    /// None for typed clients.
    pub kind: Option<Box<[u8]>>,
    /// Which frames of a message are its envelope.
    pub envelope: EnvelopeMode,
    /// Which frames a rejection and a worker's ERROR have.
    pub errors: ErrorFrames,
}

/// Which frames of a client's message are its envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvelopeMode {
    /// What the client's socket type says: a REQ's frames through the first empty one, another
    /// client's leading empty frame.
    #[default]
    Auto,
    /// Every frame through the first empty one, behind a proxy.
    Routed,
}

/// Which frames a rejection and a worker's ERROR have for a client, behind the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorFrames {
    /// The type ERROR, the headers of the request, the payload.
    #[default]
    All,
    /// The payload alone.
    Payload,
}

/// Where peers are met, in ZeroMQ's form: `tcp://*:5559`, `ipc:///run/gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Addresses that the gateway listens on.
    pub bind: Vec<String>,
    /// Addresses that the gateway connects to.
    pub connect: Vec<String>,
}

/// A pool's settings, all resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Its key in routes.yaml.
    pub name: String,
    /// Where workers are met.
    pub endpoints: Endpoints,
    /// What kind of workers may come.
    pub workers: Workers,
    /// What a dealer worker sees in frame 0.
    pub identity: IdentityMode,
    /// Which of several free workers gets the next request.
    pub balance: Balance,
    /// Requests that a dealer worker may hold at once.
    pub per_worker: PerWorker,
    /// Requests that may wait for a worker.
    pub queue: usize,
    /// Bytes of requests that may wait for a worker.
    pub queue_bytes: u64,
    /// How often a silent worker is pinged; none for never.
    pub heartbeat: Option<Duration>,
    /// Which frames of a request its workers get, and of which frames their answers consist.
    pub frames: WorkerFrames,
}

/// Which frames of a request a pool's workers get, and of which frames their answers consist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkerFrames {
    /// Type, headers, payload.
    #[default]
    Typed,
    /// The payload alone.
    Payload,
    /// The payload alone, and an empty frame in front of it for a DEALER worker.
    Delimited,
}

/// How many requests a dealer worker may hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerWorker {
    /// As many as it answers within a moment.
    Auto,
    /// So many.
    Most(u32),
}

/// What kind of workers may come to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Each by its handshake; where the engine can't tell, dealer.
    Auto,
    /// DEALER workers.
    Dealer,
    /// REP workers.
    Rep,
}

/// What a dealer worker sees in frame 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityMode {
    /// Identity and number of the request: unique.
    Token,
    /// The client's bare identity.
    Client,
}

/// Which of several free workers gets the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The one that holds the fewest; of equals the one that waited longest.
    LeastBusy,
    /// The one that waited longest.
    RoundRobin,
}

/// A type (or pattern) and what becomes of its messages.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// Where its counters are.
    pub id: RouteId,
    /// Its key in routes.yaml.
    pub name: String,
    /// The one type that it matches, as rejections name it; none if it matches a pattern.
    pub kind: Option<Box<str>>,
    /// What requests must look like; none for opaque ones.
    pub schema: Option<AnyOf>,
    /// What answers must look like; none for opaque ones.
    pub reply: Option<AnyOf>,
    /// Who answers.
    pub pool: PoolId,
    /// Arrival to answer; none for as long as it takes.
    pub timeout: Option<Duration>,
    /// Frontends whose clients may use it; none for all.
    pub frontends: Option<Vec<FrontendId>>,
}

impl Route {
    /// Whether clients of this frontend may use the route.
    pub fn allows(&self, frontend: FrontendId) -> bool {
        self.frontends
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&frontend))
    }
}

/// Schemas of which one must fit: never empty.
#[derive(Debug, PartialEq, Eq)]
pub struct AnyOf {
    first: Schema,
    others: Vec<Schema>,
}

impl AnyOf {
    /// One schema, and others that will do as well.
    pub fn new(first: Schema, others: Vec<Schema>) -> Self {
        Self { first, others }
    }

    /// Each schema, the first first.
    pub fn schemas(&self) -> impl Iterator<Item = &Schema> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Holds a payload against each in turn until one fits: its place, 0 for the first. If none does,
    /// what the first found wrong.
    pub fn check(&self, payload: &[u8], depth: u32) -> Result<usize, Violation> {
        let Err(violation) = self.first.check(payload, depth) else {
            return Ok(0);
        };
        let fits = |schema: &Schema| schema.check(payload, depth).is_ok();
        match self.others.iter().position(fits) {
            Some(place) => Ok(place + 1),
            None => Err(violation),
        }
    }

    /// Returns a sentence about a payload that none of the schemas takes, where it seems to be in an encoding that none
    /// of them has.
    #[cold]
    pub fn hint(&self, payload: &[u8], depth: u32) -> Option<String> {
        let found = self.first.lookalike(payload, depth)?;
        let mut expected: Vec<_> = self.schemas().map(Schema::encoding).collect();
        if expected.iter().any(|it| found.encoding() == Some(*it)) {
            return None;
        }
        expected.dedup();
        let expected: Vec<_> = expected.into_iter().map(Encoding::label).collect();
        let expected = expected.join(" or ");
        Some(format!(
            "the payload looks like {found}, but {expected} is expected"
        ))
    }

    /// The encoding of answers to requests that this stands over.
    pub fn errors(&self) -> ErrorEncoding {
        match self.first.encoding() {
            Encoding::Protobuf => ErrorEncoding::Protobuf,
            Encoding::Msgpack => ErrorEncoding::Msgpack,
            Encoding::Json => ErrorEncoding::Json,
        }
    }
}

/// Bounds on what peers may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, all frames together.
    pub message: u64,
    /// Frames of a message, the envelope's included.
    pub frames: usize,
    /// Levels that a payload may nest.
    pub depth: u32,
    /// Bytes of a payload whose message carries rules of buf.validate in CEL.
    pub rules: u64,
    /// Clients that may be served at once.
    pub clients: usize,
    /// Requests that a client may have open at once.
    pub client_requests: u32,
    /// Bytes of a client's open requests; also bytes of the answers that it has yet to read.
    pub client_bytes: u64,
}
