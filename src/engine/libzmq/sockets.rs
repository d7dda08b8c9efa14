//! Sockets to peers: made and bound off the data thread, so that what fails fails before anything
//! changes; and the book of those there are, which says what a reload may leave as it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use zmq::{Context, Socket};

use crate::engine::error::{BindFault, EngineError};
use crate::engine::libzmq::fixed::Fixed;
use crate::engine::libzmq::monitor::Monitor;
use crate::engine::listening::Listening;
use crate::peer::{PeerId, WorkerKind};
use crate::snapshot::{Endpoints, Frontend, FrontendId, PoolId, PoolSettings, Snapshot};

/// How long what was accepted for sending may take to leave when a socket closes.
pub(super) const FLUSH: Duration = Duration::from_secs(1);

/// A pool's DEALER and what is known of the workers behind it.
pub(super) struct PoolSocket {
    pub(super) socket: Socket,
    pub(super) monitor: Monitor,
    pub(super) kind: WorkerKind,
    /// All its workers, as the core knows them: one peer, while any is connected.
    pub(super) crowd: Option<PeerId>,
    /// The last one went; what it sent before that is still being read.
    pub(super) leaving: bool,
    /// No connected worker can take more.
    pub(super) blocked: bool,
}

/// New sockets for a snapshot, bound and connected. Dropped, they leave nothing behind.
pub(super) struct Prepared {
    pub(super) frontends: Vec<(FrontendId, Socket)>,
    pub(super) pools: Vec<(PoolId, PoolSocket)>,
    pub(super) listening: Vec<Listening>,
}

/// The sockets that there are, whichever thread has them.
#[derive(Default)]
pub(super) struct Book {
    /// None once the engine has ended: no more sockets then.
    context: Option<Context>,
    frontends: BTreeMap<FrontendId, Fixed>,
    pools: BTreeMap<PoolId, Fixed>,
    /// Where they listen.
    listening: Vec<Listening>,
    /// Monitors so far: each has an address of its own.
    monitors: usize,
    /// Reloads that are prepared and neither committed nor given up: they count on what is there.
    pending: usize,
}

/// The book, shared by the data thread and whoever prepares a reload.
#[derive(Clone)]
pub(super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Book {
            context: Some(Context::new()),
            ..Book::default()
        })))
    }

    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Makes what `snapshot` needs and isn't there, and hands it to `commit`. Fails if something
    /// that is there would have to change in a way that libzmq can't, or if something can't be
    /// made; then nothing has changed.
    ///
    /// Nothing that is there closes from now on, until [`Self::committed`]. `commit` runs under the
    /// book's lock, so that what it fails to hand over is gone before libzmq is let go of.
    pub(super) fn prepare(
        &self,
        snapshot: &Snapshot,
        commit: impl FnOnce(Prepared) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut book = self.lock();
        let Some(context) = book.context.clone() else {
            return Err(EngineError::new("reload", "the gateway is ending"));
        };
        let frontends = snapshot.frontends.iter();
        let frontends: Vec<_> = frontends
            .map(|(id, frontend)| (*id, frontend, Fixed::of_frontend(frontend, snapshot)))
            .collect();
        let pools = snapshot.pools.iter();
        let pools: Vec<_> = pools
            .map(|(id, pool)| (*id, pool, Fixed::of_pool(pool, snapshot)))
            .collect();
        // What can be refused first: a socket that is opened is there for clients to see.
        for (id, _, wanted) in &frontends {
            match book.frontends.get(id) {
                Some(there) => there.suits(wanted)?,
                None => book.is_free(wanted)?,
            }
        }
        for (id, _, wanted) in &pools {
            match book.pools.get(id) {
                Some(there) => there.suits(wanted)?,
                None => book.is_free(wanted)?,
            }
        }
        let mut prepared = Prepared {
            frontends: Vec::new(),
            pools: Vec::new(),
            listening: Vec::new(),
        };
        for (id, frontend, wanted) in &frontends {
            if !book.frontends.contains_key(id) {
                let socket = open_frontend(&context, frontend, wanted, &mut prepared.listening)?;
                prepared.frontends.push((*id, socket));
            }
        }
        for (id, pool, wanted) in &pools {
            if !book.pools.contains_key(id) {
                book.monitors += 1;
                let number = book.monitors;
                let socket = open_pool(&context, pool, wanted, number, &mut prepared.listening)?;
                prepared.pools.push((*id, socket));
            }
        }
        let listening = prepared.listening.clone();
        commit(prepared)?;
        book.listening.extend(listening);
        for (id, _, wanted) in frontends {
            book.frontends.entry(id).or_insert(wanted);
        }
        for (id, _, wanted) in pools {
            book.pools.entry(id).or_insert(wanted);
        }
        book.pending += 1;
        Ok(())
    }

    /// What was prepared has been put to use.
    pub(super) fn committed(&self) {
        self.lock().pending -= 1;
    }

    /// Whether a frontend's socket may close; it then counts as gone. Never waits: a reload that is
    /// being prepared is a reason to come again.
    pub(super) fn may_close_frontend(&self, id: FrontendId) -> bool {
        let book = self.0.try_lock();
        book.is_ok_and(|mut book| {
            let closes = book.pending == 0;
            let gone = closes.then(|| book.frontends.remove(&id)).flatten();
            book.forget(gone)
        })
    }

    /// Whether a pool's socket may close; it then counts as gone.
    pub(super) fn may_close_pool(&self, id: PoolId) -> bool {
        let book = self.0.try_lock();
        book.is_ok_and(|mut book| {
            let closes = book.pending == 0;
            let gone = closes.then(|| book.pools.remove(&id)).flatten();
            book.forget(gone)
        })
    }

    /// Where the sockets listen.
    pub(super) fn listening(&self) -> Vec<Listening> {
        self.lock().listening.clone()
    }

    /// The engine has ended: lets go of libzmq, which then sends what it has accepted, for as long
    /// as the sockets linger.
    pub(super) fn close(&self) {
        let mut book = self.lock();
        book.frontends.clear();
        book.pools.clear();
        let context = book.context.take();
        drop(book);
        drop(context);
    }
}

impl Book {
    /// A socket closes, if there was one.
    fn forget(&mut self, gone: Option<Fixed>) -> bool {
        if let Some(gone) = &gone {
            self.listening.retain(|at| at.to_string() != gone.what);
        }
        gone.is_some()
    }

    /// Whether nothing that is there listens where this is to. Asked for here, since libzmq takes
    /// an ipc path from whoever has it.
    fn is_free(&self, wanted: &Fixed) -> Result<(), EngineError> {
        let there = self.frontends.values().chain(self.pools.values());
        for other in there {
            let taken = |bind: &&String| {
                let chosen_by_system = bind.ends_with(":0") || bind.ends_with(":*");
                other.endpoints.bind.contains(*bind) && !chosen_by_system
            };
            if let Some(bind) = wanted.endpoints.bind.iter().find(taken) {
                let what = format!("{}: can't listen on {bind}", wanted.what);
                let why = format!("{} still does", other.what);
                return Err(EngineError::new(what, why));
            }
        }
        Ok(())
    }
}

fn open_frontend(
    context: &Context,
    frontend: &Frontend,
    fixed: &Fixed,
    listening: &mut Vec<Listening>,
) -> Result<Socket, EngineError> {
    let what = format!("frontend {}", frontend.name);
    let named = |error: zmq::Error| EngineError::new(&what, error);
    let socket = context.socket(zmq::ROUTER).map_err(named)?;
    set_options(&socket, fixed).map_err(named)?;
    // Without it, what a client has no room for is dropped without a word.
    socket.set_router_mandatory(true).map_err(named)?;
    open(
        &socket,
        "frontend",
        &frontend.name,
        &fixed.endpoints,
        listening,
    )?;
    Ok(socket)
}

fn open_pool(
    context: &Context,
    pool: &PoolSettings,
    fixed: &Fixed,
    number: usize,
    listening: &mut Vec<Listening>,
) -> Result<PoolSocket, EngineError> {
    let what = format!("pool {}", pool.name);
    let named = |error: zmq::Error| EngineError::new(&what, error);
    let socket = context.socket(zmq::DEALER).map_err(named)?;
    set_options(&socket, fixed).map_err(named)?;
    // Requests go to workers that are there, not into the queue of one that may come some day.
    socket.set_immediate(true).map_err(named)?;
    let monitor = Monitor::new(context, &socket, number).map_err(named)?;
    open(&socket, "pool", &pool.name, &fixed.endpoints, listening)?;
    let kind = fixed
        .pool
        .as_ref()
        .map_or(WorkerKind::Dealer, |pool| pool.kind);
    Ok(PoolSocket {
        socket,
        monitor,
        kind,
        crowd: None,
        leaving: false,
        blocked: false,
    })
}

/// Options that libzmq copies when it binds or connects.
fn set_options(socket: &Socket, fixed: &Fixed) -> zmq::Result<()> {
    let most = i64::try_from(fixed.message_max).unwrap_or(i64::MAX);
    socket.set_maxmsgsize(most)?;
    socket.set_linger(FLUSH.as_millis() as i32)?;
    // With a domain set, libzmq hangs up on whoever doesn't speak ZMTP 3; without, it takes an HTTP
    // request for a peer of ZMTP 1 and hands it work. Nobody handles the domain, so it asks nothing
    // of real peers.
    socket.set_zap_domain("gateway")?;
    if let Some(pool) = &fixed.pool {
        // What a worker that stopped reading may swallow.
        socket.set_sndhwm(pool.window as i32)?;
        if let Some(interval) = pool.heartbeat {
            let ms = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX / 4);
            socket.set_heartbeat_ivl(ms)?;
            // Silent for three of them is lost: one until the ping, two for its answer.
            socket.set_heartbeat_timeout(ms.saturating_mul(2))?;
        }
    }
    let Endpoints { bind, connect } = &fixed.endpoints;
    let v6 = bind
        .iter()
        .chain(connect)
        .any(|endpoint| endpoint.contains('['));
    socket.set_ipv6(v6)
}

fn open(
    socket: &Socket,
    role: &'static str,
    name: &str,
    endpoints: &Endpoints,
    listening: &mut Vec<Listening>,
) -> Result<(), EngineError> {
    for endpoint in &endpoints.bind {
        let failed = |error: zmq::Error| {
            EngineError::from(vec![BindFault {
                role,
                name: name.to_owned(),
                endpoint: endpoint.clone(),
                error: error.into(),
            }])
        };
        // libzmq has no port 0; it calls that *.
        let port_0 = endpoint
            .strip_suffix(":0")
            .filter(|it| it.starts_with("tcp://"));
        let wildcard = port_0.map(|host| format!("{host}:*"));
        socket
            .bind(wildcard.as_deref().unwrap_or(endpoint))
            .map_err(failed)?;
        let resolved = socket.get_last_endpoint().map_err(failed)?;
        listening.push(Listening {
            role,
            name: name.to_owned(),
            endpoint: resolved.unwrap_or_else(|_| endpoint.clone()),
        });
    }
    for endpoint in &endpoints.connect {
        socket.connect(endpoint).map_err(|error| {
            EngineError::new(format!("{role} {name}: can't connect to {endpoint}"), error)
        })?;
    }
    Ok(())
}
