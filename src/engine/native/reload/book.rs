//! The listeners that there are, and what a configuration makes of them: which stay, which are opened, which take
//! an address over.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::address::{Address, resolve};
use super::super::connection::Role;
use super::super::listen::ListenerId;
use super::super::peers::CONNECTIONS_MAX;
use super::super::stream::{Listener, ipv4_first};
use crate::engine::{BindFault, EngineError, Listening};
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
    pub(super) there: Vec<Entry>,
    pub(super) last: ListenerId,
    /// Reloads that are prepared and not committed: they count on what is there.
    pub(super) pending: usize,
    /// The engine has ended: nothing is prepared any more.
    pub(super) ended: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: ListenerId,
    role: Role,
    /// As it stands in routes.yaml.
    bind: String,
    /// As the system resolved it.
    endpoint: String,
}

impl Entry {
    /// For people.
    pub(super) fn shown(&self, snapshot: &Snapshot) -> Listening {
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
pub(in super::super) struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    /// Nothing that is done under the lock can be left half done by a panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, Book> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The engine has ended.
    pub(in super::super) fn close(&self) {
        self.lock().ended = true;
    }

    pub(super) fn committed(&self) {
        self.lock().pending -= 1;
    }

    /// Whether a listener may close; it then counts as gone. Never waits: a reload that is being
    /// prepared is a reason to come again.
    pub(super) fn may_close(&self, id: ListenerId) -> bool {
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

impl Book {
    /// What will be there, what the data thread is to do about it, and the last number given.
    pub(super) fn plan(
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
pub(in super::super) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
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
    let found = ipv4_first(resolve(host, *port)?).into_iter().next();
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
