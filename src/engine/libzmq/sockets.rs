//! The sockets to peers, which are created and bound off the data thread, so that errors occur
//! before anything changes; and the book of existing sockets, from which a reload learns which of
//! them it can keep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use zmq::{Context, Socket};

use crate::engine::error::{BindFault, EngineError};
use crate::engine::libzmq::fixed::Fixed;
use crate::engine::libzmq::frontend::FrontendSocket;
use crate::engine::libzmq::left::ClosedAddresses;
use crate::engine::libzmq::monitor::Monitor;
use crate::engine::listening::BoundAddress;
use crate::peer::{PeerId, WorkerKind};
use crate::security::NO_SECURITY;
use crate::snapshot::{Endpoints, Frontend, FrontendId, PoolId, PoolSettings, Snapshot};

/// The time that accepted messages may take to be sent when a socket closes.
pub(super) const FLUSH: Duration = Duration::from_secs(1);

/// The maximum time for which a reload waits for a socket to close that is no longer in the
/// configuration, but still listens on an address that the new configuration needs. A socket that
/// owes no answers closes within milliseconds.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// The pause between two checks whether such a socket has closed.
const CLOSING_PAUSE: Duration = Duration::from_millis(2);

/// A pool's DEALER, and the facts known about its workers.
pub(super) struct PoolSocket {
    pub(super) socket: Socket,
    pub(super) monitor: Monitor,
    pub(super) kind: WorkerKind,
    /// The peer that stands for all its workers in the core, while any worker is connected.
    pub(super) crowd: Option<PeerId>,
    /// The last worker has disconnected, and the messages that it sent before are still being read.
    pub(super) leaving: bool,
    /// No connected worker has room for another request.
    pub(super) blocked: bool,
}

impl Drop for PoolSocket {
    fn drop(&mut self) {
        self.monitor.end(&self.socket);
    }
}

/// The new sockets for a snapshot, bound and connected. If they are dropped, they leave nothing
/// behind.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) frontends: Vec<(FrontendId, FrontendSocket)>,
    pub(super) pools: Vec<(PoolId, PoolSocket)>,
    pub(super) listening: Vec<BoundAddress>,
}

/// The records of the existing sockets, whichever thread has the sockets themselves.
#[derive(Default)]
pub(super) struct SocketRegistry {
    /// The context, or `None` once the engine has ended and there can be no more sockets.
    context: Option<Context>,
    frontends: BTreeMap<FrontendId, Fixed>,
    pools: BTreeMap<PoolId, Fixed>,
    /// The names of the sockets that the last configuration contains. The others close once they
    /// owe nothing.
    wanted: BTreeSet<String>,
    /// The addresses on which the sockets listen.
    listening: Vec<BoundAddress>,
    /// The addresses at which closed sockets listened.
    left: ClosedAddresses,
    /// The number of monitors so far, each of which has an address of its own.
    monitors: usize,
}

/// The book, shared by the data thread and the thread that prepares a reload.
#[derive(Clone)]
pub(super) struct SharedSocketRegistry {
    book: Arc<Mutex<SocketRegistry>>,
    /// The number of reloads that are prepared and neither committed nor abandoned. They rely on
    /// the existing sockets. The number increases only under the lock. The data thread decreases it
    /// without the lock, which may be held for as long as it takes to bind an address.
    pending: Arc<AtomicUsize>,
}

/// The sockets that a configuration requires.
struct Wanted<'a> {
    frontends: Vec<(FrontendId, &'a Frontend, Fixed)>,
    pools: Vec<(PoolId, &'a PoolSettings, Fixed)>,
}

impl<'a> Wanted<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let frontends = snapshot.frontends.iter();
        let pools = snapshot.pools.iter();
        Self {
            frontends: frontends
                .map(|(id, frontend)| (*id, frontend, Fixed::of_frontend(frontend, snapshot)))
                .collect(),
            pools: pools
                .map(|(id, pool)| (*id, &**pool, Fixed::of_pool(pool, snapshot)))
                .collect(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Fixed> {
        let frontends = self.frontends.iter().map(|(_, _, fixed)| fixed);
        frontends.chain(self.pools.iter().map(|(_, _, fixed)| fixed))
    }
}

impl SharedSocketRegistry {
    pub(super) fn new() -> Self {
        let book = SocketRegistry {
            context: Some(Context::new()),
            ..SocketRegistry::default()
        };
        Self {
            book: Arc::new(Mutex::new(book)),
            pending: Arc::default(),
        }
    }

    /// Locks the book, also after a panic, because no panic can leave it half changed.
    fn lock(&self) -> MutexGuard<'_, SocketRegistry> {
        self.book
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Creates the sockets that `snapshot` needs and that do not exist yet, and passes them to
    /// `commit`. Fails, without changing anything, if an existing socket would have to change in a
    /// way that libzmq does not support, or if a socket cannot be created.
    ///
    /// After this, no existing socket closes until [`Self::committed`] is called. `commit` runs
    /// under the book's lock, for which [`Self::close`] waits. If `commit` fails, its sockets are
    /// therefore closed before the context ends.
    pub(super) fn prepare(
        &self,
        snapshot: &Snapshot,
        commit: impl FnOnce(Prepared) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let wanted = Wanted::new(snapshot);
        let mut book = self.lock_once_free(&wanted);
        let Some(context) = book.context.clone() else {
            return Err(EngineError::new("reload", "the gateway is ending"));
        };
        // Everything that can be refused comes first, because an opened socket is visible to
        // clients.
        book.accepts(&wanted)?;
        let mut prepared = Prepared::default();
        if let Err(error) = book.open(&context, &wanted, &mut prepared) {
            // The sockets opened for the failed reload close.
            let opened = prepared.listening.iter().map(|at| &at.endpoint);
            book.left.note(opened);
            return Err(error);
        }
        let listening = prepared.listening.clone();
        self.pending.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = commit(prepared) {
            self.committed();
            return Err(error);
        }
        book.listening.extend(listening);
        book.wanted = wanted.all().map(|fixed| fixed.what.clone()).collect();
        for (id, _, fixed) in wanted.frontends {
            book.frontends.entry(id).or_insert(fixed);
        }
        for (id, _, fixed) in wanted.pools {
            book.pools.entry(id).or_insert(fixed);
        }
        Ok(())
    }

    /// Waits until the sockets that are about to close have freed the addresses that `wanted`
    /// needs, but at most for [`CLOSING_MAX`], and locks the book.
    fn lock_once_free(&self, wanted: &Wanted<'_>) -> MutexGuard<'_, SocketRegistry> {
        let until = Instant::now() + CLOSING_MAX;
        loop {
            let book = self.lock();
            if !book.awaits_close(wanted) || Instant::now() >= until {
                return book;
            }
            drop(book);
            thread::sleep(CLOSING_PAUSE);
        }
    }

    /// Records that a prepared reload is in force, or was abandoned.
    pub(super) fn committed(&self) {
        self.pending.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns whether no prepared reload depends on the existing sockets.
    fn may_close(&self) -> bool {
        self.pending.load(Ordering::SeqCst) == 0
    }

    /// Returns whether a frontend's socket may close, and if so, removes the socket from the book.
    /// Never blocks: while a reload is being prepared, returns false, and the caller must ask
    /// again.
    pub(super) fn take_frontend_to_close(&self, id: FrontendId) -> bool {
        let book = self.book.try_lock();
        book.is_ok_and(|mut book| {
            let closes = self.may_close();
            let gone = closes.then(|| book.frontends.remove(&id)).flatten();
            book.forget(gone)
        })
    }

    /// Returns whether a pool's socket may close, and if so, removes the socket from the book.
    /// Never blocks, as for a frontend.
    pub(super) fn take_pool_to_close(&self, id: PoolId) -> bool {
        let book = self.book.try_lock();
        book.is_ok_and(|mut book| {
            let closes = self.may_close();
            let gone = closes.then(|| book.pools.remove(&id)).flatten();
            book.forget(gone)
        })
    }

    /// Returns the addresses on which the sockets listen.
    pub(super) fn listening(&self) -> Vec<BoundAddress> {
        self.lock().listening.clone()
    }

    /// Records that the engine has ended, and releases libzmq, which then sends the messages that
    /// it has accepted, for at most the linger time of each socket.
    pub(super) fn close(&self) {
        let mut book = self.lock();
        book.frontends.clear();
        book.pools.clear();
        let context = book.context.take();
        drop(book);
        drop(context);
    }
}

impl SocketRegistry {
    /// Forgets a socket that closes, and returns whether there was one.
    fn forget(&mut self, gone: Option<Fixed>) -> bool {
        if let Some(gone) = &gone {
            self.listening.retain(|at| at.to_string() != gone.what);
            self.left.note(&gone.endpoints.bind);
        }
        gone.is_some()
    }

    /// Returns the sockets that `wanted` has and that do not exist yet.
    fn missing<'a>(&'a self, wanted: &'a Wanted<'_>) -> impl Iterator<Item = &'a Fixed> {
        let frontends = wanted.frontends.iter();
        let frontends = frontends.filter(|(id, _, _)| !self.frontends.contains_key(id));
        let pools = wanted.pools.iter();
        let pools = pools.filter(|(id, _, _)| !self.pools.contains_key(id));
        let frontends = frontends.map(|(_, _, fixed)| fixed);
        frontends.chain(pools.map(|(_, _, fixed)| fixed))
    }

    /// Returns whether a socket that is about to close listens on an address that `wanted` needs.
    fn awaits_close(&self, wanted: &Wanted<'_>) -> bool {
        let holders = self
            .missing(wanted)
            .filter_map(|fixed| self.holder(fixed))
            .map(|(holder, _)| holder);
        let mut closing = holders.filter(|holder| !self.wanted.contains(&holder.what));
        closing.next().is_some()
    }

    /// Checks that the existing sockets can stay as they are, and that the new ones' addresses are
    /// free.
    fn accepts(&self, wanted: &Wanted<'_>) -> Result<(), EngineError> {
        for (id, _, fixed) in &wanted.frontends {
            if let Some(there) = self.frontends.get(id) {
                there.suits(fixed)?;
            }
        }
        for (id, _, fixed) in &wanted.pools {
            if let Some(there) = self.pools.get(id) {
                there.suits(fixed)?;
            }
        }
        self.missing(wanted)
            .try_for_each(|fixed| self.is_free(fixed))
    }

    /// Opens the sockets that `wanted` has and that do not exist yet.
    fn open(
        &mut self,
        context: &Context,
        wanted: &Wanted<'_>,
        prepared: &mut Prepared,
    ) -> Result<(), EngineError> {
        let listening = &mut prepared.listening;
        for (id, frontend, fixed) in &wanted.frontends {
            if !self.frontends.contains_key(id) {
                self.monitors += 1;
                let number = self.monitors;
                let socket =
                    open_frontend(context, frontend, fixed, number, &self.left, listening)?;
                prepared.frontends.push((*id, socket));
            }
        }
        for (id, pool, fixed) in &wanted.pools {
            if !self.pools.contains_key(id) {
                self.monitors += 1;
                let number = self.monitors;
                let socket = open_pool(context, pool, fixed, number, &self.left, listening)?;
                prepared.pools.push((*id, socket));
            }
        }
        Ok(())
    }

    /// Returns the existing socket that listens on an address of `wanted`, with that address.
    /// libzmq itself would not report a conflict at an ipc path, because it takes over a path that
    /// is in use.
    fn holder<'a>(&'a self, wanted: &'a Fixed) -> Option<(&'a Fixed, &'a str)> {
        let mut there = self.frontends.values().chain(self.pools.values());
        there.find_map(|other| {
            let taken = |bind: &&String| {
                let chosen_by_system = bind.ends_with(":0") || bind.ends_with(":*");
                other.endpoints.bind.contains(*bind) && !chosen_by_system
            };
            let bind = wanted.endpoints.bind.iter().find(taken)?;
            Some((other, &**bind))
        })
    }

    /// Checks that no existing socket listens on an address of `wanted`.
    fn is_free(&self, wanted: &Fixed) -> Result<(), EngineError> {
        let Some((holder, bind)) = self.holder(wanted) else {
            return Ok(());
        };
        let other = &holder.what;
        let remedy = if self.wanted.contains(other) {
            format!(
                "engine libzmq can't hand an address over: remove {other} in a separate edit first, or use another address"
            )
        } else {
            "it closes once its requests have their answers, and the edit is then tried again"
                .into()
        };
        let what = format!("{}: can't listen on {bind}", wanted.what);
        let why = format!("{other} still does; {remedy}");
        Err(EngineError::new(what, why))
    }
}

fn open_frontend(
    context: &Context,
    frontend: &Frontend,
    fixed: &Fixed,
    number: usize,
    left: &ClosedAddresses,
    listening: &mut Vec<BoundAddress>,
) -> Result<FrontendSocket, EngineError> {
    let what = format!("frontend {}", frontend.name);
    let named = |error: zmq::Error| EngineError::new(&what, error);
    let socket = context.socket(zmq::ROUTER).map_err(named)?;
    set_options(&socket, fixed).map_err(named)?;
    // Without this, an answer that a client has no room for is silently dropped.
    socket.set_router_mandatory(true).map_err(named)?;
    // Without this, libzmq ignores a client that connects again under its identity until it has
    // noticed that the previous connection is dead.
    socket.set_router_handover(true).map_err(named)?;
    let monitor = Monitor::new(context, &socket, number).map_err(named)?;
    let made = FrontendSocket::new(socket, monitor);
    // From here on clients connect, and the monitor must end before the socket closes.
    let (name, endpoints) = (&frontend.name, &fixed.endpoints);
    open(made.socket(), "frontend", name, endpoints, left, listening)?;
    Ok(made)
}

fn open_pool(
    context: &Context,
    pool: &PoolSettings,
    fixed: &Fixed,
    number: usize,
    left: &ClosedAddresses,
    listening: &mut Vec<BoundAddress>,
) -> Result<PoolSocket, EngineError> {
    let what = format!("pool {}", pool.name);
    let named = |error: zmq::Error| EngineError::new(&what, error);
    let socket = context.socket(zmq::DEALER).map_err(named)?;
    set_options(&socket, fixed).map_err(named)?;
    // Requests go to connected workers, and not into the queue of a worker that may connect some
    // day.
    socket.set_immediate(true).map_err(named)?;
    let monitor = Monitor::new(context, &socket, number).map_err(named)?;
    let kind = fixed.pool.as_ref().map(|pool| pool.kind);
    let made = PoolSocket {
        socket,
        monitor,
        kind: kind.unwrap_or(WorkerKind::Dealer),
        crowd: None,
        leaving: false,
        blocked: false,
    };
    // From here on workers connect, and the monitor must end before the socket closes.
    let (name, endpoints) = (&pool.name, &fixed.endpoints);
    open(&made.socket, "pool", name, endpoints, left, listening)?;
    Ok(made)
}

/// Sets the options that libzmq copies when it binds or connects.
fn set_options(socket: &Socket, fixed: &Fixed) -> zmq::Result<()> {
    let most = i64::try_from(fixed.message_max).unwrap_or(i64::MAX);
    socket.set_maxmsgsize(most)?;
    socket.set_linger(FLUSH.as_millis() as i32)?;
    // With a domain set, libzmq disconnects peers that do not speak ZMTP 3. Without one, it takes
    // an HTTP request for a peer of ZMTP 1 and sends it work. No ZAP handler is registered, so the
    // domain requires nothing of real peers.
    socket.set_zap_domain("gateway")?;
    if let Some(pool) = &fixed.pool {
        // Up to this many requests may be queued for a worker that has stopped reading.
        socket.set_sndhwm(pool.window as i32)?;
        if let Some(interval) = pool.heartbeat {
            let ms = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX / 4);
            socket.set_heartbeat_ivl(ms)?;
            // A worker that is silent for three intervals is lost: one until the ping, two for its
            // answer.
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
    left: &ClosedAddresses,
    listening: &mut Vec<BoundAddress>,
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
        // In libzmq's addresses, the wildcard port is written `*` instead of 0.
        let port_0 = endpoint
            .strip_suffix(":0")
            .filter(|it| it.starts_with("tcp://"));
        let wildcard = port_0.map(|host| format!("{host}:*"));
        let address = wildcard.as_deref().unwrap_or(endpoint);
        left.bind(address, || socket.bind(address))
            .map_err(failed)?;
        let resolved = socket.get_last_endpoint().map_err(failed)?;
        listening.push(BoundAddress {
            role,
            name: name.to_owned(),
            endpoint: resolved.unwrap_or_else(|_| endpoint.clone()),
            security: Some(NO_SECURITY),
        });
    }
    for endpoint in &endpoints.connect {
        socket.connect(endpoint).map_err(|error| {
            EngineError::new(format!("{role} {name}: can't connect to {endpoint}"), error)
        })?;
    }
    Ok(())
}
