//! The listeners that there are, and what a configuration makes of them: which stay, which are
//! opened, which take an address over.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::error::{BindFault, EngineError};
use crate::engine::listening::Listening;
use crate::engine::native::address::{Address, resolve_in_time};
use crate::engine::native::listen::ListenerId;
use crate::engine::native::peers::CONNECTIONS_MAX;
use crate::engine::native::role::Role;
use crate::engine::native::stream::{Listener, ipv4_first};
use crate::snapshot::Snapshot;

/// A listener as the configuration wants it.
pub(super) struct Planned {
    pub(super) id: ListenerId,
    pub(super) role: Role,
    pub(super) how: How,
}

pub(super) enum How {
    /// It is there.
    Keep,
    Open(Listener),
    /// Its address is held by one that is about to close.
    TakeOver(Address),
}

/// The listeners that there are, whichever thread has them.
#[derive(Debug, Default)]
pub(super) struct Book {
    there: Vec<Entry>,
    /// The number given last.
    last: ListenerId,
    state: State,
}

/// Whether reloads can be prepared.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// They can; so many are being prepared, or are not committed yet, and count on what is there.
    Open { pending: usize },
    /// The engine has ended.
    Ended,
}

impl Default for State {
    fn default() -> Self {
        Self::Open { pending: 0 }
    }
}

/// The listeners as a configuration wants them.
pub(super) struct Plan {
    there: Vec<Entry>,
    last: ListenerId,
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
    /// Returns the listener as people see it.
    fn shown(&self, snapshot: &Snapshot) -> Listening {
        Listening {
            role: self.role.kind(),
            name: self.role.name(snapshot).to_owned(),
            endpoint: self.endpoint.clone(),
        }
    }
}

/// The book, shared by the data thread and whoever prepares a reload.
///
/// The data thread locks it, so nobody may wait for anything with the lock held: to bind an address may take long.
/// Whoever prepares has a lock for that alone.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::native) struct SharedBook {
    book: Arc<Mutex<Book>>,
    /// Held by whoever prepares a reload, for as long as that takes.
    preparing: Arc<Mutex<()>>,
}

impl SharedBook {
    /// Nothing that is done under the lock can be left half done by a panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, Book> {
        let book = self.book.lock();
        book.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Begins to prepare a reload, after whoever else prepares one. Returns `None` if the engine has ended.
    pub(super) fn prepare(&self) -> Option<Preparing<'_>> {
        let turn = self.preparing.lock();
        let turn = turn.unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut book = self.lock();
        let State::Open { pending } = &mut book.state else {
            return None;
        };
        *pending += 1;
        let (there, last) = (book.there.clone(), book.last);
        drop(book);
        Some(Preparing {
            shared: self,
            there,
            last,
            handed_over: false,
            _turn: turn,
        })
    }

    /// Ends the book with the engine: nothing is prepared any more.
    pub(in crate::engine::native) fn close(&self) {
        self.lock().state = State::Ended;
    }

    /// Notes that a prepared reload was committed, declined or given up.
    pub(super) fn committed(&self) {
        if let State::Open { pending } = &mut self.lock().state {
            *pending -= 1;
        }
    }

    /// Returns the right to close listeners. Never waits: `None` while a reload is prepared or is
    /// not committed yet.
    pub(in crate::engine::native) fn closing(&self) -> Option<Closing<'_>> {
        let book = self.book.try_lock().ok()?;
        (book.state == State::Open { pending: 0 }).then_some(Closing(book))
    }
}

/// The right to close listeners. No reload is prepared while the right is held: a listener whose
/// address a reload finds taken is either in the book, or closed.
pub(in crate::engine::native) struct Closing<'a>(MutexGuard<'a, Book>);

impl Closing<'_> {
    /// Notes that a listener closes before the right is given back.
    pub(in crate::engine::native) fn closes(&mut self, id: ListenerId) {
        self.0.there.retain(|entry| entry.id != id);
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

impl Book {
    /// Returns every listener as people see it.
    pub(super) fn shown(&self, snapshot: &Snapshot) -> Vec<Listening> {
        self.there
            .iter()
            .map(|entry| entry.shown(snapshot))
            .collect()
    }
}

/// A reload that is being prepared: while there is one, no listener closes.
pub(super) struct Preparing<'a> {
    shared: &'a SharedBook,
    /// The listeners that there are.
    there: Vec<Entry>,
    /// The number given last.
    last: ListenerId,
    /// Whether the data thread has the reload, and will note that it is committed.
    handed_over: bool,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Preparing<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.shared.committed();
        }
    }
}

impl Preparing<'_> {
    /// Plans the listeners of a configuration, as [`plan`] does for those that there are.
    ///
    /// # Errors
    ///
    /// Returns every address that can't be listened on.
    pub(super) fn plan(&self, snapshot: &Snapshot) -> Result<(Plan, Vec<Planned>), EngineError> {
        plan(&self.there, self.last, snapshot)
    }

    /// Takes over a plan whose reload `hand_over` gives to the data thread; says whether it could. Returns the listeners
    /// that are new, and `None` if the engine has ended.
    pub(super) fn adopt(
        mut self,
        plan: Plan,
        snapshot: &Snapshot,
        hand_over: impl FnOnce() -> bool,
    ) -> Option<Vec<Listening>> {
        let mut book = self.shared.lock();
        if book.state == State::Ended || !hand_over() {
            return None;
        }
        self.handed_over = true;
        let Plan { there, last } = plan;
        book.there = there;
        book.last = last;
        let is_new = |entry: &&Entry| !self.there.iter().any(|other| other.id == entry.id);
        let new = book.there.iter().filter(is_new);
        Some(new.map(|entry| entry.shown(snapshot)).collect())
    }
}

/// Plans the listeners of a configuration where those in `old` are there, and `last` is the number given last. Returns
/// the plan, and what the data thread is to do for it.
///
/// # Errors
///
/// Returns every address that can't be listened on.
fn plan(
    old: &[Entry],
    mut last: ListenerId,
    snapshot: &Snapshot,
) -> Result<(Plan, Vec<Planned>), EngineError> {
    let wanted = binds(snapshot);
    let mut old = old.to_vec();
    let kept = keep(&mut old, &wanted);
    let mut there = Vec::new();
    let mut planned = Vec::new();
    // All that fail are reported.
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
    let wants = |planned: &Planned| matches!(planned.how, How::TakeOver(_));
    // A removed pool's workers may come back to answer what they hold, for as long as nobody
    // else wants the address.
    if !planned.iter().any(wants) {
        let lingers = |entry: &Entry| entry.role.pool_missing_in(snapshot).is_some();
        for entry in old.into_iter().filter(lingers) {
            planned.push(Planned {
                id: entry.id,
                role: entry.role,
                how: How::Keep,
            });
            there.push(entry);
        }
    }
    Ok((Plan { there, last }, planned))
}

/// Takes the listeners out of `old` that can be kept, each at the place of what it is wanted for.
/// First those that stay as they are, then those that change hands. A port that the system chose
/// does not change hands, since nobody can have meant that one.
fn keep(old: &mut Vec<Entry>, wanted: &[(Role, &String)]) -> Vec<Option<Entry>> {
    let mut kept = vec![None; wanted.len()];
    for same_role in [true, false] {
        for (slot, (role, bind)) in kept.iter_mut().zip(wanted) {
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
    kept
}

/// Whether everything can be bound, by one that listens on nothing yet.
pub(in crate::engine) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    plan(&[], 0, snapshot).map(drop)
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
        role: role.kind(),
        name: role.name(snapshot).to_owned(),
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
    let found = ipv4_first(resolve_in_time(host, *port)?).into_iter().next();
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
