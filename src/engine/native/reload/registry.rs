//! The registry of the existing listeners, and the plan of a configuration: the listeners that
//! stay, that are opened, and that take over an address.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::engine::error::{BindFault, EngineError};
use crate::engine::listening::BoundAddress;
use crate::engine::native::address::{Address, resolve_in_time};
use crate::engine::native::listen::ListenerId;
use crate::engine::native::peers::CONNECTIONS_MAX;
use crate::engine::native::stream::{Listener, ipv4_first};
use crate::engine::role::Role;
use crate::security::NO_SECURITY;
use crate::snapshot::Snapshot;

/// A listener that a configuration wants, and the action that provides it.
pub(super) struct Planned {
    pub(super) id: ListenerId,
    pub(super) role: Role,
    pub(super) how: ListenerAction,
}

pub(super) enum ListenerAction {
    /// The listener exists.
    Keep,
    Open(Listener),
    /// The address is held by a listener that is about to close.
    TakeOver(Address),
}

/// The records of the existing listeners. The listeners themselves may be on another thread.
#[derive(Debug, Default)]
pub(super) struct ListenerRegistry {
    entries: Vec<Entry>,
    /// The last number that was given to a listener.
    last: ListenerId,
    state: State,
}

/// The state of the registry.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Reloads can be prepared. `pending` is the number of reloads that are being prepared, or are
    /// prepared and not in force yet. Such a reload relies on the existing listeners.
    Open { pending: usize },
    /// The engine has ended.
    Ended,
}

impl Default for State {
    fn default() -> Self {
        Self::Open { pending: 0 }
    }
}

/// The listeners that a configuration wants.
pub(super) struct Plan {
    entries: Vec<Entry>,
    last: ListenerId,
}

#[derive(Clone, Debug)]
struct Entry {
    id: ListenerId,
    role: Role,
    /// The address in routes.yaml.
    bind: String,
    /// The address as the system resolved it, with the port that the system chose for port 0.
    endpoint: String,
}

impl Entry {
    /// Returns the listener in a form for display.
    fn shown(&self, snapshot: &Snapshot) -> BoundAddress {
        BoundAddress {
            role: self.role.kind(),
            name: self.role.name(snapshot).to_owned(),
            endpoint: self.endpoint.clone(),
            security: Some(
                self.role
                    .security(snapshot)
                    .map_or(NO_SECURITY, |security| security.name()),
            ),
        }
    }
}

/// The registry, shared by the data thread and the thread that prepares a reload.
///
/// The data thread locks the registry, so no thread may block while it holds the lock. Binding an
/// address may take long, so the preparation of a reload has a lock of its own.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::native) struct SharedListenerRegistry {
    registry: Arc<Mutex<ListenerRegistry>>,
    /// Held during the preparation of a reload.
    preparing: Arc<Mutex<()>>,
}

impl SharedListenerRegistry {
    /// Locks the registry, even after a panic of a thread that held the lock, because no panic can
    /// leave the registry half changed.
    pub(super) fn lock(&self) -> MutexGuard<'_, ListenerRegistry> {
        let registry = self.registry.lock();
        registry.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits until no other reload is being prepared, and begins to prepare a reload. Returns
    /// `None` if the engine has ended.
    pub(super) fn prepare(&self) -> Option<Preparing<'_>> {
        let turn = self.preparing.lock();
        let turn = turn.unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut registry = self.lock();
        let State::Open { pending } = &mut registry.state else {
            return None;
        };
        *pending += 1;
        let (entries, last) = (registry.entries.clone(), registry.last);
        drop(registry);
        Some(Preparing {
            shared: self,
            entries,
            last,
            handed_over: false,
            _turn: turn,
        })
    }

    /// Records that the engine has ended, after which no reload can be prepared.
    pub(in crate::engine::native) fn close(&self) {
        self.lock().state = State::Ended;
    }

    /// Records that a prepared reload is in force, or was declined or dropped.
    pub(super) fn finish(&self) {
        if let State::Open { pending } = &mut self.lock().state {
            *pending -= 1;
        }
    }

    /// Returns the right to close listeners, without waiting. Returns `None` if a reload is being
    /// prepared or is not in force yet, if another thread has locked the registry, or if the engine
    /// has ended.
    pub(in crate::engine::native) fn closing(&self) -> Option<Closing<'_>> {
        let registry = self.registry.try_lock().ok()?;
        (registry.state == State::Open { pending: 0 }).then_some(Closing(registry))
    }
}

/// The right to close listeners. While it is held, no reload can be prepared, so a reload finds
/// each listener either open and in the registry, or closed and removed from it.
pub(in crate::engine::native) struct Closing<'a>(MutexGuard<'a, ListenerRegistry>);

impl Closing<'_> {
    /// Removes a listener from the registry. The caller must close the listener before it drops
    /// this right.
    pub(in crate::engine::native) fn closes(&mut self, id: ListenerId) {
        self.0.entries.retain(|entry| entry.id != id);
    }
}

/// Returns every address on which a configuration listens.
fn binds(snapshot: &Snapshot) -> Vec<(Role, &String)> {
    let all = Role::all(snapshot).flat_map(|(role, endpoints)| {
        let binds = endpoints.bind.iter();
        binds.map(move |bind| (role, bind))
    });
    all.collect()
}

impl ListenerRegistry {
    /// Returns every listener in a form for display.
    pub(super) fn shown(&self, snapshot: &Snapshot) -> Vec<BoundAddress> {
        self.entries
            .iter()
            .map(|entry| entry.shown(snapshot))
            .collect()
    }
}

/// A reload that is being prepared. Meanwhile no listener closes.
pub(super) struct Preparing<'a> {
    shared: &'a SharedListenerRegistry,
    /// The existing listeners.
    entries: Vec<Entry>,
    /// The last number that was given to a listener.
    last: ListenerId,
    /// True if the data thread has the reload, and will call [`SharedListenerRegistry::finish`].
    handed_over: bool,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for Preparing<'_> {
    fn drop(&mut self) {
        if !self.handed_over {
            self.shared.finish();
        }
    }
}

impl Preparing<'_> {
    /// Plans the listeners of a configuration, as [`plan`] does, given the existing listeners.
    ///
    /// # Errors
    ///
    /// Fails with every address that cannot be bound.
    pub(super) fn plan(&self, snapshot: &Snapshot) -> Result<(Plan, Vec<Planned>), EngineError> {
        plan(&self.entries, self.last, snapshot)
    }

    /// Adopts a plan. `hand_over` must pass the reload to the data thread, and return whether that
    /// was possible. Returns the new listeners, or `None` if the engine has ended.
    pub(super) fn adopt(
        mut self,
        plan: Plan,
        snapshot: &Snapshot,
        hand_over: impl FnOnce() -> bool,
    ) -> Option<Vec<BoundAddress>> {
        let mut registry = self.shared.lock();
        if registry.state == State::Ended || !hand_over() {
            return None;
        }
        self.handed_over = true;
        let Plan { entries, last } = plan;
        registry.entries = entries;
        registry.last = last;
        let is_new = |entry: &&Entry| !self.entries.iter().any(|other| other.id == entry.id);
        let new = registry.entries.iter().filter(is_new);
        Some(new.map(|entry| entry.shown(snapshot)).collect())
    }
}

/// Plans the listeners of a configuration, where `old` are the existing listeners, and `last` is
/// the last number that was given to a listener. Returns the plan, and the actions of the data
/// thread for it.
///
/// # Errors
///
/// Fails with every address that cannot be bound.
fn plan(
    old: &[Entry],
    mut last: ListenerId,
    snapshot: &Snapshot,
) -> Result<(Plan, Vec<Planned>), EngineError> {
    let wanted = binds(snapshot);
    let mut old = old.to_vec();
    let kept = keep(&mut old, &wanted);
    let mut entries = Vec::new();
    let mut planned = Vec::new();
    // All faults are reported, not only the first.
    let mut faults = Vec::new();
    for (kept, (role, bind)) in kept.into_iter().zip(wanted) {
        let (entry, how) = match kept {
            Some(entry) => (Entry { role, ..entry }, ListenerAction::Keep),
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
        entries.push(entry);
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let takes_over = |planned: &Planned| matches!(planned.how, ListenerAction::TakeOver(_));
    // Workers of a removed pool may connect again to answer the requests that they hold, as long as
    // no other listener waits to take over an address.
    if !planned.iter().any(takes_over) {
        let lingers = |entry: &Entry| entry.role.pool_missing_in(snapshot).is_some();
        for entry in old.into_iter().filter(lingers) {
            planned.push(Planned {
                id: entry.id,
                role: entry.role,
                how: ListenerAction::Keep,
            });
            entries.push(entry);
        }
    }
    Ok((Plan { entries, last }, planned))
}

/// Takes the listeners that stay open out of `old`. Returns each of them at the index of its
/// address in `wanted`. The other elements of the result are `None`. Listeners that keep their role
/// are preferred to listeners that change it. A listener on a port that the system chose keeps its
/// role, because another role with port 0 or `*` does not need that particular port.
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

/// Checks that every address of a configuration can be bound when no listener exists yet. Fails
/// with every address that cannot be bound.
pub(in crate::engine) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    plan(&[], 0, snapshot).map(drop)
}

/// Binds a new address, or plans to take it over, if a listener in `leaving` holds it. Fails with
/// the reason why the address cannot be bound.
fn open(
    id: ListenerId,
    role: Role,
    bind: &str,
    leaving: &[Entry],
    snapshot: &Snapshot,
) -> Result<(Entry, ListenerAction), BindFault> {
    let failed = |error: io::Error| BindFault {
        role: role.kind(),
        name: role.name(snapshot).to_owned(),
        endpoint: bind.to_owned(),
        error,
    };
    if id >= CONNECTIONS_MAX {
        return Err(failed(io::Error::other(
            "too many listeners since the gateway started",
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
            Ok((entry(endpoint), ListenerAction::Open(listener)))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let address = concrete(address).map_err(failed)?;
            let is_in_the_way = |entry: &Entry| clashes(&entry.endpoint, &address);
            match leaving.iter().any(is_in_the_way) {
                true => Ok((
                    entry(address.to_string()),
                    ListenerAction::TakeOver(address),
                )),
                false => Err(failed(error)),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Returns the address with its name resolved, because the data thread must not look up names.
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

/// Returns whether a listener at `endpoint` may be the reason why `wanted` is in use.
fn clashes(endpoint: &str, wanted: &Address) -> bool {
    match (Address::parse(endpoint), wanted) {
        (Ok(Address::Tcp { port, .. }), Address::Tcp { port: wanted, .. }) => port == *wanted,
        (Ok(existing), wanted) => existing == *wanted,
        _ => false,
    }
}
