//! The sockets to peers. The thread that prepares a reload opens them, so that errors occur before
//! anything changes. A registry records the existing sockets, so that a reload opens only the
//! sockets that are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use zmq::Context;

use crate::engine::error::EngineError;
use crate::engine::libzmq::fixed::Fixed;
use crate::engine::libzmq::frontend::FrontendSocket;
use crate::engine::libzmq::left::ClosedAddresses;
use crate::engine::libzmq::open::{Opener, PoolSocket, SideSocket};
use crate::engine::listening::BoundAddress;
use crate::engine::role::Role;
use crate::snapshot::{FrontendId, PoolId, Snapshot};

/// The maximum time for which a reload waits until a removed socket closes, if that socket still
/// listens on an address of the new configuration. A socket without answers to deliver closes
/// within milliseconds.
const CLOSING_MAX: Duration = Duration::from_secs(1);

/// The pause between two checks of whether the socket has closed.
const CLOSING_PAUSE: Duration = Duration::from_millis(2);

/// The new sockets for a snapshot, bound and connected. Dropping them closes them.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) frontends: Vec<(FrontendId, FrontendSocket)>,
    pub(super) pools: Vec<(PoolId, PoolSocket)>,
    pub(super) sides: Vec<(Role, SideSocket)>,
    pub(super) listening: Vec<BoundAddress>,
}

/// The records of the existing sockets. The sockets themselves may be on another thread.
#[derive(Default)]
pub(super) struct SocketRegistry {
    /// The context, or `None` once the engine has ended and there can be no more sockets.
    context: Option<Context>,
    sockets: BTreeMap<Role, Fixed>,
    /// The sockets that the last configuration contains. The other sockets close once their last
    /// answers are delivered.
    wanted: BTreeSet<Role>,
    /// The addresses on which the sockets listen.
    listening: Vec<BoundAddress>,
    /// The addresses at which closed sockets listened.
    left: ClosedAddresses,
    /// The number of monitors that have been created. The address of a monitor contains its number.
    monitors: usize,
}

/// The registry, shared by the data thread and the thread that prepares a reload.
#[derive(Clone)]
pub(super) struct SharedSocketRegistry {
    registry: Arc<Mutex<SocketRegistry>>,
    /// The number of reloads that are prepared, and neither in force nor dropped yet. Such reloads
    /// rely on the existing sockets. The number increases only under the lock. The data thread
    /// decreases the number without the lock, because another thread may hold the lock as long as
    /// it takes to bind an address.
    pending: Arc<AtomicUsize>,
}

/// The sockets that a configuration requires.
type Wanted = BTreeMap<Role, Fixed>;

impl SharedSocketRegistry {
    pub(super) fn new() -> Self {
        let registry = SocketRegistry {
            context: Some(Context::new()),
            ..SocketRegistry::default()
        };
        Self {
            registry: Arc::new(Mutex::new(registry)),
            pending: Arc::default(),
        }
    }

    /// Locks the registry, even after a panic of a thread that held the lock, because no panic can
    /// leave the registry half changed.
    fn lock(&self) -> MutexGuard<'_, SocketRegistry> {
        self.registry
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Creates the sockets that `snapshot` needs and that do not exist yet, and passes them to
    /// `commit`. Fails, without changing anything, if an existing socket would have to change in a
    /// way that libzmq does not support, or if a socket cannot be created.
    ///
    /// After this function succeeds, no existing socket closes until [`Self::finish`] is called.
    /// `commit` runs under the registry's lock, and [`Self::close`] waits for this lock. Even if
    /// `commit` fails, the sockets that were passed to it are thus closed before the context ends.
    pub(super) fn prepare(
        &self,
        snapshot: &Snapshot,
        commit: impl FnOnce(Prepared) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let wanted = Fixed::all(snapshot);
        let mut registry = self.lock_once_free(&wanted);
        let Some(context) = registry.context.clone() else {
            return Err(EngineError::new("reload", "the gateway is ending"));
        };
        // All checks that can fail come first, because an opened socket is visible to clients.
        registry.accepts(&wanted)?;
        let mut prepared = Prepared::default();
        if let Err(error) = registry.open(&context, &wanted, &mut prepared) {
            // The sockets that were opened before the error are closed on return. libzmq may then
            // still listen at their addresses for a while.
            let opened = prepared.listening.iter().map(|address| &address.endpoint);
            registry.left.note(opened);
            return Err(error);
        }
        let listening = prepared.listening.clone();
        self.pending.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = commit(prepared) {
            self.finish();
            return Err(error);
        }
        registry.listening.extend(listening);
        registry.wanted = wanted.keys().copied().collect();
        for (role, fixed) in wanted {
            registry.sockets.entry(role).or_insert(fixed);
        }
        Ok(())
    }

    /// Waits until the sockets that are about to close have freed the addresses that `wanted`
    /// needs, but at most for [`CLOSING_MAX`], and locks the registry.
    fn lock_once_free(&self, wanted: &Wanted) -> MutexGuard<'_, SocketRegistry> {
        let deadline = Instant::now() + CLOSING_MAX;
        loop {
            let registry = self.lock();
            if !registry.awaits_close(wanted) || Instant::now() >= deadline {
                return registry;
            }
            drop(registry);
            thread::sleep(CLOSING_PAUSE);
        }
    }

    /// Records that a prepared reload is in force, or was dropped.
    pub(super) fn finish(&self) {
        self.pending.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns whether no prepared reload depends on the existing sockets.
    fn may_close(&self) -> bool {
        self.pending.load(Ordering::SeqCst) == 0
    }

    /// Removes a socket from the registry if the socket may close, and returns whether the socket
    /// was removed. Never blocks: while a reload is being prepared, returns false, and the caller
    /// must try again.
    pub(super) fn take_to_close(&self, role: Role) -> bool {
        let registry = self.registry.try_lock();
        registry.is_ok_and(|mut registry| {
            let closes = self.may_close();
            let gone = closes.then(|| registry.sockets.remove(&role)).flatten();
            registry.forget(gone)
        })
    }

    /// Returns the addresses on which the sockets listen.
    pub(super) fn listening(&self) -> Vec<BoundAddress> {
        self.lock().listening.clone()
    }

    /// Records that the engine has ended, and releases libzmq. The release waits until libzmq has
    /// sent the messages that it has accepted, but at most for the linger time of each socket.
    pub(super) fn close(&self) {
        let mut registry = self.lock();
        registry.sockets.clear();
        let context = registry.context.take();
        drop(registry);
        drop(context);
    }
}

impl SocketRegistry {
    /// Forgets a socket that closes, and returns whether there was one.
    fn forget(&mut self, gone: Option<Fixed>) -> bool {
        if let Some(gone) = &gone {
            let name = gone.to_string();
            self.listening.retain(|address| address.to_string() != name);
            self.left.note(&gone.endpoints.bind);
        }
        gone.is_some()
    }

    /// Returns the sockets that `wanted` has and that do not exist yet.
    fn missing<'a>(&'a self, wanted: &'a Wanted) -> impl Iterator<Item = &'a Fixed> {
        let missing = wanted.values();
        missing.filter(|fixed| !self.sockets.contains_key(&fixed.role))
    }

    /// Returns whether a socket that is about to close listens on an address that `wanted` needs.
    fn awaits_close(&self, wanted: &Wanted) -> bool {
        let holders = self
            .missing(wanted)
            .filter_map(|fixed| self.holder(fixed))
            .map(|(holder, _)| holder);
        let mut closing = holders.filter(|holder| !self.wanted.contains(&holder.role));
        closing.next().is_some()
    }

    /// Checks that the existing sockets can stay as they are, and that no existing socket listens
    /// on an address of a new socket. Fails with the first obstacle.
    fn accepts(&self, wanted: &Wanted) -> Result<(), EngineError> {
        for (role, fixed) in wanted {
            if let Some(existing) = self.sockets.get(role) {
                existing.suits(fixed)?;
            }
        }
        self.missing(wanted)
            .try_for_each(|fixed| self.is_free(fixed))
    }

    /// Opens the sockets that `wanted` has and that do not exist yet.
    fn open(
        &mut self,
        context: &Context,
        wanted: &Wanted,
        prepared: &mut Prepared,
    ) -> Result<(), EngineError> {
        let mut opener = Opener {
            context,
            left: &self.left,
            monitors: &mut self.monitors,
            listening: &mut prepared.listening,
        };
        for (role, fixed) in wanted {
            if self.sockets.contains_key(role) {
                continue;
            }
            match *role {
                Role::Frontend(id) => prepared.frontends.push((id, opener.frontend(fixed)?)),
                Role::Pool(id) => prepared.pools.push((id, opener.pool(fixed)?)),
                Role::Publishers(_) | Role::Subscribers(_) => {
                    prepared.sides.push((*role, opener.side(fixed)?));
                }
            }
        }
        Ok(())
    }

    /// Returns an existing socket that listens on an address of `wanted`, with that address.
    /// Returns `None` if there is no such socket. libzmq itself would not report a conflict at an
    /// ipc path, because it takes over a path that is in use.
    fn holder<'a>(&'a self, wanted: &'a Fixed) -> Option<(&'a Fixed, &'a str)> {
        self.sockets.values().find_map(|other| {
            let taken = |bind: &&String| {
                let chosen_by_system = bind.ends_with(":0") || bind.ends_with(":*");
                other.endpoints.bind.contains(*bind) && !chosen_by_system
            };
            let bind = wanted.endpoints.bind.iter().find(taken)?;
            Some((other, &**bind))
        })
    }

    /// Checks that no existing socket listens on an address of `wanted`. Fails with the socket that
    /// does, and a remedy.
    fn is_free(&self, wanted: &Fixed) -> Result<(), EngineError> {
        let Some((holder, bind)) = self.holder(wanted) else {
            return Ok(());
        };
        let remedy = if self.wanted.contains(&holder.role) {
            format!(
                "engine libzmq can't hand an address over: remove {holder} in a separate edit first, or use another address"
            )
        } else {
            "it closes once its requests have their answers, and the edit is then tried again"
                .into()
        };
        let what = format!("{wanted}: can't listen on {bind}");
        let why = format!("{holder} still listens there; {remedy}");
        Err(EngineError::new(what, why))
    }
}
