//! Reload: prepared by whoever reads configurations, committed on the data thread between two messages.
//!
//! Anything may change. Listeners that the new configuration still wants stay as they are, under another
//! name if need be; new ones are bound while it is prepared; what it has no more is closed when it is
//! committed, or, where somebody is still owed something, once nothing is.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use tracing::info;

use super::Native;
use super::address::{Address, resolve};
use super::connection::{Phase, Role};
use super::listen::ListenerId;
use super::peers::CONNECTIONS_MAX;
use super::stream::Listener;
use crate::core::{Event, PeerId};
use crate::engine::{BindFault, Control, EngineError, Listening};
use crate::pool::WorkerKind;
use crate::snapshot::{Snapshot, Workers};

/// How often it is looked whether what was removed can be closed.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Prepares reloads and hands them to the data thread.
#[derive(Clone)]
pub(in crate::engine) struct Reloader {
    book: SharedBook,
    commits: mpsc::Sender<Commit>,
    control: Control,
}

/// A reload that can't fail any more.
pub(super) struct Commit {
    snapshot: Arc<Snapshot>,
    listeners: Vec<Planned>,
    calls: Vec<(Role, Address)>,
    /// Told once it has taken hold.
    done: mpsc::Sender<()>,
}

/// A listener as the configuration wants it.
struct Planned {
    id: ListenerId,
    role: Role,
    how: How,
}

enum How {
    /// It is there.
    Keep,
    Open(Listener),
    /// Its address is held by one that is about to close.
    TakeOver(Address),
}

/// The listeners that there are, whichever thread has them.
#[derive(Debug, Default)]
struct Book {
    there: Vec<Entry>,
    last: ListenerId,
    /// Reloads that are prepared and not committed: they count on what is there.
    pending: usize,
    /// The engine has ended: nothing is prepared any more.
    ended: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    id: ListenerId,
    role: Role,
    /// As it stands in routes.yaml.
    bind: String,
    /// As the system resolved it.
    endpoint: String,
}

impl Entry {
    /// For people.
    fn shown(&self, snapshot: &Snapshot) -> Listening {
        Listening {
            role: match self.role {
                Role::Frontend(_) => "frontend",
                Role::Pool(_) => "pool",
            },
            name: name(self.role, snapshot).to_owned(),
            endpoint: self.endpoint.clone(),
        }
    }
}

/// The book, shared by the data thread and whoever prepares a reload.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The engine has ended.
    pub(super) fn close(&self) {
        self.lock().ended = true;
    }

    fn committed(&self) {
        self.lock().pending -= 1;
    }

    /// Whether a listener may close; it then counts as gone. Never waits: a reload that is being
    /// prepared is a reason to come again.
    fn may_close(&self, id: ListenerId) -> bool {
        let book = self.0.try_lock();
        book.is_ok_and(|mut book| {
            let may = book.pending == 0;
            if may {
                book.there.retain(|entry| entry.id != id);
            }
            may
        })
    }
}

impl Reloader {
    pub(super) fn new(book: SharedBook, commits: mpsc::Sender<Commit>, control: Control) -> Self {
        Self {
            book,
            commits,
            control,
        }
    }

    pub(in crate::engine) fn reload(
        &self,
        snapshot: Arc<Snapshot>,
    ) -> Result<Vec<Listening>, EngineError> {
        let (done, committed) = mpsc::channel();
        let listening = self.hand_over(&snapshot, done)?;
        self.control.wake();
        committed.recv().map_err(|_| ending())?;
        Ok(listening)
    }

    /// The same without waiting for it to take hold.
    pub(super) fn prepare(&self, snapshot: &Arc<Snapshot>) -> Result<Vec<Listening>, EngineError> {
        self.hand_over(snapshot, mpsc::channel().0)
    }

    /// Everywhere that the gateway listens.
    pub(in crate::engine) fn listening(&self, snapshot: &Snapshot) -> Vec<Listening> {
        let there = self.book.lock().there.clone();
        there.iter().map(|entry| entry.shown(snapshot)).collect()
    }

    /// Binds what is new; gives where that listens.
    fn hand_over(
        &self,
        snapshot: &Arc<Snapshot>,
        done: mpsc::Sender<()>,
    ) -> Result<Vec<Listening>, EngineError> {
        let mut book = self.book.lock();
        if book.ended {
            return Err(ending());
        }
        let calls = calls(snapshot)?;
        let (there, listeners, last) = book.plan(snapshot)?;
        let new = |entry: &&Entry| !book.there.iter().any(|other| other.id == entry.id);
        let listening = there.iter().filter(new).map(|entry| entry.shown(snapshot));
        let listening = listening.collect();
        let commit = Commit {
            snapshot: Arc::clone(snapshot),
            listeners,
            calls,
            done,
        };
        self.commits.send(commit).map_err(|_| ending())?;
        book.there = there;
        book.last = last;
        book.pending += 1;
        Ok(listening)
    }
}

fn ending() -> EngineError {
    EngineError::new("reload", "the gateway is ending")
}

fn name(role: Role, snapshot: &Snapshot) -> &str {
    match role {
        Role::Frontend(id) => snapshot.names.of_frontend(id),
        Role::Pool(id) => snapshot.names.of_pool(id),
    }
}

/// Everything that a configuration listens on.
fn binds(snapshot: &Snapshot) -> Vec<(Role, &String)> {
    let frontends = snapshot.frontends.iter().flat_map(|(id, it)| {
        let binds = it.endpoints.bind.iter();
        binds.map(|bind| (Role::Frontend(*id), bind))
    });
    let pools = snapshot.pools.iter().flat_map(|(id, it)| {
        let binds = it.endpoints.bind.iter();
        binds.map(|bind| (Role::Pool(*id), bind))
    });
    frontends.chain(pools).collect()
}

/// Everything that a configuration connects to.
fn calls(snapshot: &Snapshot) -> Result<Vec<(Role, Address)>, EngineError> {
    let frontends = snapshot.frontends.iter().flat_map(|(id, it)| {
        let calls = it.endpoints.connect.iter();
        calls.map(|endpoint| (Role::Frontend(*id), endpoint))
    });
    let pools = snapshot.pools.iter().flat_map(|(id, it)| {
        let calls = it.endpoints.connect.iter();
        calls.map(|endpoint| (Role::Pool(*id), endpoint))
    });
    let all = frontends.chain(pools);
    all.map(|(role, endpoint)| match Address::parse(endpoint) {
        Ok(address) => Ok((role, address)),
        Err(error) => Err(EngineError::new(endpoint, error)),
    })
    .collect()
}

impl Book {
    /// What will be there, what the data thread is to do about it, and the last number given.
    fn plan(
        &self,
        snapshot: &Snapshot,
    ) -> Result<(Vec<Entry>, Vec<Planned>, ListenerId), EngineError> {
        let wanted = binds(snapshot);
        let mut old = self.there.clone();
        let mut kept = vec![None; wanted.len()];
        // First what stays as it is, then what changes hands; a port that the system chose doesn't, since
        // nobody can have meant that one.
        for same_role in [true, false] {
            for (slot, (role, bind)) in kept.iter_mut().zip(&wanted) {
                let fits = |entry: &Entry| {
                    let chosen = bind.ends_with(":0") || bind.ends_with(":*");
                    entry.bind == **bind && (entry.role == *role || !same_role && !chosen)
                };
                if slot.is_none() {
                    let at = old.iter().position(fits);
                    *slot = at.map(|at| old.swap_remove(at));
                }
            }
        }
        let mut last = self.last;
        let mut there = Vec::new();
        let mut planned = Vec::new();
        // All that fail are told.
        let mut faults = Vec::new();
        for (kept, (role, bind)) in kept.into_iter().zip(wanted) {
            let (entry, how) = match kept {
                Some(entry) => (Entry { role, ..entry }, How::Keep),
                None => {
                    last += 1;
                    match open(last, role, bind, &old, snapshot) {
                        Ok(opened) => opened,
                        Err(fault) => {
                            faults.push(fault);
                            continue;
                        }
                    }
                }
            };
            planned.push(Planned {
                id: entry.id,
                role,
                how,
            });
            there.push(entry);
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        // A removed pool's workers may come back to answer what they hold, for as long as nobody else
        // wants the address.
        let lingers = |entry: &Entry| match entry.role {
            Role::Pool(id) => !snapshot.pools.contains_key(&id),
            Role::Frontend(_) => false,
        };
        let wants = |how: &How| matches!(how, How::TakeOver(_));
        let taken_over = planned.iter().any(|planned| wants(&planned.how));
        for entry in old.into_iter().filter(|it| lingers(it) && !taken_over) {
            planned.push(Planned {
                id: entry.id,
                role: entry.role,
                how: How::Keep,
            });
            there.push(entry);
        }
        Ok((there, planned, last))
    }
}

/// Whether everything can be bound, by one that listens on nothing yet.
pub(super) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    Book::default().plan(snapshot).map(drop)
}

/// Listens on a new address, or plans to once one of `leaving` has left it.
fn open(
    id: ListenerId,
    role: Role,
    bind: &str,
    leaving: &[Entry],
    snapshot: &Snapshot,
) -> Result<(Entry, How), BindFault> {
    let failed = |error: io::Error| BindFault {
        role: match role {
            Role::Frontend(_) => "frontend",
            Role::Pool(_) => "pool",
        },
        name: name(role, snapshot).to_owned(),
        endpoint: bind.to_owned(),
        error,
    };
    if id >= CONNECTIONS_MAX {
        return Err(failed(io::Error::other(
            "too many listeners since the start",
        )));
    }
    let address = Address::parse(bind).map_err(failed)?;
    let entry = |endpoint| Entry {
        id,
        role,
        bind: bind.to_owned(),
        endpoint,
    };
    match Listener::bind(&address) {
        Ok(listener) => {
            let endpoint = listener.endpoint().map_err(failed)?;
            Ok((entry(endpoint), How::Open(listener)))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let address = concrete(address).map_err(failed)?;
            let is_in_the_way = |entry: &Entry| clashes(&entry.endpoint, &address);
            match leaving.iter().any(is_in_the_way) {
                true => Ok((entry(address.to_string()), How::TakeOver(address))),
                false => Err(failed(error)),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// The same without a name to look up, which the data thread must not do.
fn concrete(address: Address) -> io::Result<Address> {
    let Address::Tcp { host, port } = &address else {
        return Ok(address);
    };
    let found = resolve(host, *port)?.into_iter().next();
    Ok(match found {
        Some(at) => Address::Tcp {
            host: at.ip().to_string(),
            port: at.port(),
        },
        None => address,
    })
}

/// Whether a listener may be what keeps an address from being free.
fn clashes(endpoint: &str, wanted: &Address) -> bool {
    match (Address::parse(endpoint), wanted) {
        (Ok(Address::Tcp { port, .. }), Address::Tcp { port: wanted, .. }) => port == *wanted,
        (Ok(there), wanted) => there == *wanted,
        _ => false,
    }
}

impl Native {
    /// Takes over the reloads that were handed over.
    pub(super) fn commit(&mut self, now: Duration) {
        while let Ok(commit) = self.commits.try_recv() {
            let Commit {
                snapshot,
                listeners,
                calls,
                done,
            } = commit;
            self.snapshot = Arc::clone(&snapshot);
            self.peers.outbox_max = snapshot.limits.client_bytes;
            self.adopt_listeners(listeners);
            self.adopt_calls(calls, now);
            self.core
                .on(now, Event::Reload { snapshot }, &mut self.peers);
            self.tell(now);
            self.adopt_connections(now);
            self.book.committed();
            // Whoever waits for it may have ended.
            let _ = done.send(());
        }
    }

    /// Drops the reloads that were handed over: nobody would be served by them any more.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.book.committed();
        }
    }

    fn adopt_listeners(&mut self, planned: Vec<Planned>) {
        let wanted: BTreeSet<_> = planned.iter().map(|planned| planned.id).collect();
        // First those that go, so that their addresses are free.
        self.listeners.there.retain(|id, _| wanted.contains(id));
        for Planned { id, role, how } in planned {
            match how {
                How::Keep => {
                    if let Some(listening) = self.listeners.there.get_mut(&id) {
                        listening.role = role;
                    }
                }
                How::Open(listener) => self.listeners.open(id, role, listener),
                How::TakeOver(address) => self.listeners.take_over(id, role, address),
            }
        }
    }

    /// Calls what the configuration says, and what a removed pool is still owed answers from.
    fn adopt_calls(&mut self, mut calls: Vec<(Role, Address)>, now: Duration) {
        let removed = |role: &Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(id) && !self.core.is_idle(*id),
            Role::Frontend(_) => false,
        };
        calls.extend(self.dialer.all().filter(|(role, _)| removed(role)));
        for peer in self.dialer.set(&calls, now) {
            if let Some(connection) = self.peers.get(peer) {
                connection.dial = None;
                connection.retired = true;
                self.removing = true;
            }
        }
    }

    /// What the new settings mean for connections that are there.
    fn adopt_connections(&mut self, now: Duration) {
        let all: Vec<_> = self.peers.all().map(|it| (it.peer, it.role)).collect();
        for (peer, role) in all {
            let there = match role {
                Role::Frontend(id) => self.snapshot.frontends.contains_key(&id),
                Role::Pool(id) => self.snapshot.pools.contains_key(&id),
            };
            self.removing |= !there;
            let Some(connection) = self.peers.get(peer) else {
                continue;
            };
            if let (Role::Pool(id), Phase::Worker(kind)) = (role, &connection.phase) {
                let allowed = self.snapshot.pools.get(&id).map(|it| it.workers);
                if allowed.is_some_and(|allowed| !suits(*kind, allowed)) {
                    connection.retired = true;
                    self.removing = true;
                }
                // Heartbeats may have changed.
                self.peers.set_timer(peer, now);
            }
            // It may have been deaf by the old limits.
            self.peers.queue(peer);
        }
        let lingers = |role: &Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(id),
            Role::Frontend(_) => false,
        };
        let mut listeners = self.listeners.there.values();
        self.removing |= listeners.any(|it| lingers(&it.role));
    }

    /// Closes what the configuration has no more, once nothing is owed through it.
    pub(super) fn close_removed(&mut self, now: Duration) {
        if self.looked + LOOK_AGAIN > now {
            return;
        }
        self.looked = now;
        self.removing = false;
        let all: Vec<PeerId> = self.peers.all().map(|it| it.peer).collect();
        for peer in all {
            match self.is_owed(peer) {
                None => {}
                Some(true) => self.removing = true,
                Some(false) => self.hang_up(peer, &"the configuration has it no more", now),
            }
        }
        self.tell(now);
        self.close_listeners();
        if !self.removing {
            info!("what the configuration has no more has done what it owed, and is closed");
        }
    }

    /// Of a connection that is to go: whether it must wait, because something is owed through it. None of
    /// one that stays.
    fn is_owed(&mut self, peer: PeerId) -> Option<bool> {
        let connection = self.peers.get(peer)?;
        let busy = connection.queued || connection.decoder.is_inside();
        let busy = busy || !connection.outbox.is_empty();
        let retired = connection.retired;
        match (connection.role, &connection.phase) {
            (Role::Frontend(id), _) if !self.snapshot.frontends.contains_key(&id) => {
                Some(busy || self.core.is_owed(peer))
            }
            (Role::Pool(id), _) if !self.snapshot.pools.contains_key(&id) => {
                Some(!self.core.is_idle(id))
            }
            (Role::Pool(_), Phase::Worker(_)) if retired => Some(busy || self.core.holds(peer)),
            (Role::Frontend(_), _) if retired => Some(busy || self.core.is_owed(peer)),
            _ if retired => Some(false),
            _ => None,
        }
    }

    fn close_listeners(&mut self) {
        let removed = |role: Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(&id),
            Role::Frontend(_) => false,
        };
        let listeners = self.listeners.there.iter();
        let removed: Vec<_> = listeners
            .filter(|(_, it)| removed(it.role))
            .map(|(id, it)| (*id, it.role))
            .collect();
        for (id, role) in removed {
            let idle = matches!(role, Role::Pool(pool) if self.core.is_idle(pool));
            if idle && self.book.may_close(id) {
                self.listeners.there.remove(&id);
            } else {
                self.removing = true;
            }
        }
    }
}

fn suits(kind: WorkerKind, allowed: Workers) -> bool {
    match allowed {
        Workers::Auto => true,
        Workers::Dealer => kind == WorkerKind::Dealer,
        Workers::Rep => kind == WorkerKind::Rep,
    }
}
