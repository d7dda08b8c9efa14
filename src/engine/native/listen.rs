//! Listeners, which accept connections. When the system has no descriptor left, accepting pauses
//! for 100 ms instead of spinning.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use mio::{Registry, Token};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tracing::warn;

use crate::engine::native::address::Address;
use crate::engine::native::clock::Clock;
use crate::engine::native::peers::CONNECTIONS_MAX;
use crate::engine::native::quiet::LineLimiter;
use crate::engine::native::service::Service;
use crate::engine::native::stream::{Listener, Stream};
use crate::engine::role::Role;
use crate::snapshot::{PoolId, Snapshot};

/// The maximum number of connections that a listener accepts in a turn. Accepting one connection
/// takes as long as tens of small messages.
const BUDGET: usize = 16;

/// The time after which a turn accepts no further connections, so that a storm of connections
/// delays the existing ones only a little. The clock is read after a listener has used its budget.
const ACCEPT_TIME_MAX: Duration = Duration::from_micros(500);

/// The pause in accepting connections when there is no room for more, and the pause before the next
/// attempt to bind an address that was still in use.
const PAUSE: Duration = Duration::from_millis(100);

/// The number of descriptors reserved for workers, for HTTP and for the files of a reload. Workers
/// answer the clients, and HTTP shows why clients are not admitted. If there are few descriptors,
/// half of them are reserved.
const RESERVED: u64 = 128;

/// The number of a listener, which is never reused. Listeners have small numbers and peers have
/// large numbers, so their tokens differ.
pub(super) type ListenerId = usize;

/// The listeners by number.
pub(super) struct Listeners {
    registry: Registry,
    listeners: BTreeMap<ListenerId, Listening>,
    /// The listeners that may have connections to accept, in the order of their turns. The system
    /// reports each new connection only once.
    ready: VecDeque<ListenerId>,
    /// The time at which paused listeners continue.
    again: Option<Duration>,
    /// A bound on the log lines about an address that is still in use.
    taken: LineLimiter,
    /// The number of connections at which no further client is accepted.
    clients_max: usize,
}

struct Listening {
    role: Role,
    state: State,
    /// True if the system has reported connections, and not all of them have been accepted since.
    waits: bool,
}

enum State {
    Open(Listener),
    /// The address is not bound yet, because another listener, which held it, has only just closed.
    Taken(Address),
}

impl Listeners {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            listeners: BTreeMap::new(),
            ready: VecDeque::new(),
            again: None,
            taken: LineLimiter::default(),
            clients_max: clients_max(getrlimit(Resource::Nofile).current),
        }
    }

    pub(super) fn has(&self, token: Token) -> bool {
        self.listeners.contains_key(&token.0)
    }

    /// Records that connections may have arrived.
    pub(super) fn mark_ready(&mut self, token: Token) {
        if let Some(listening) = self.listeners.get_mut(&token.0) {
            listening.waits = true;
        }
        if !self.ready.contains(&token.0) {
            self.ready.push_back(token.0);
        }
    }

    /// Adds a listener, which is bound already, for this role.
    pub(super) fn open(&mut self, id: ListenerId, role: Role, mut listener: Listener) {
        if let Err(error) = listener.register(&self.registry, Token(id)) {
            // This fails only if the system has no memory left.
            warn!(%error, "can't listen");
        }
        self.ready.push_back(id);
        let state = State::Open(listener);
        let waits = false;
        self.listeners.insert(id, Listening { role, state, waits });
    }

    /// Binds an address that another listener has just released, and keeps trying if that fails.
    pub(super) fn take_over(
        &mut self,
        id: ListenerId,
        role: Role,
        address: Address,
        now: Duration,
    ) {
        match Listener::bind(&address) {
            Ok(listener) => self.open(id, role, listener),
            Err(error) => {
                if let Some(left_out) = self.taken.allow(now) {
                    warn!(%address, %error, left_out, "can't listen yet; trying again");
                }
                let state = State::Taken(address);
                let waits = false;
                self.listeners.insert(id, Listening { role, state, waits });
                self.again = Some(Duration::ZERO);
            }
        }
    }

    /// Closes every listener that is not in `wanted`.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<ListenerId>) {
        self.listeners.retain(|id, _| wanted.contains(id));
    }

    /// Makes a listener accept connections for this role from now on.
    pub(super) fn set_role(&mut self, id: ListenerId, role: Role) {
        if let Some(listening) = self.listeners.get_mut(&id) {
            listening.role = role;
        }
    }

    /// Returns whether there is a listener of a pool that a configuration does not have.
    pub(super) fn has_removed(&self, snapshot: &Snapshot) -> bool {
        let mut roles = self.listeners.values().map(|listening| listening.role);
        roles.any(|role| role.pool_missing_in(snapshot).is_some())
    }

    /// Closes each listener of a pool that a configuration does not have, if `may_close` returns
    /// true for the listener. Returns whether any such listener remains open.
    pub(super) fn close_removed(
        &mut self,
        snapshot: &Snapshot,
        mut may_close: impl FnMut(ListenerId, PoolId) -> bool,
    ) -> bool {
        let mut left = false;
        self.listeners.retain(|id, listening| {
            let Some(pool) = listening.role.pool_missing_in(snapshot) else {
                return true;
            };
            let closes = may_close(*id, pool);
            left |= !closes;
            !closes
        });
        left
    }

    /// Closes all listeners.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
    }

    /// Returns whether some listeners may have connections to accept.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns the time at which paused listeners continue, or `None` if no pause is in progress.
    pub(super) fn next(&self) -> Option<Duration> {
        self.again
    }

    /// Ends the pause, if it is over, and tries to bind the addresses that were in use.
    fn wake(&mut self, now: Duration) {
        if self.again.is_none_or(|again| again > now) {
            return;
        }
        self.again = None;
        let taken =
            self.listeners
                .iter_mut()
                .filter_map(|(id, listening)| match &listening.state {
                    State::Taken(address) => Some((*id, listening.role, address.clone())),
                    State::Open(_) => None,
                });
        for (id, role, address) in taken.collect::<Vec<_>>() {
            self.take_over(id, role, address, now);
        }
        self.ready = self.listeners.keys().copied().collect();
        self.again = self.again.map(|_| now + PAUSE);
    }

    /// Accepts connections that have arrived, until this turn, which began at `now`, has taken
    /// [`ACCEPT_TIME_MAX`].
    pub(super) fn accept(&mut self, service: &mut Service, now: Duration, clock: &Clock) {
        self.wake(now);
        for _ in 0..self.ready.len() {
            let Some(id) = self.ready.pop_front() else {
                break;
            };
            if self.accept_from(id, service, now) {
                self.ready.push_back(id);
                if clock.now().saturating_sub(now) >= ACCEPT_TIME_MAX {
                    break;
                }
            }
        }
    }

    /// Accepts connections of a listener. Returns true if the listener has used its budget, and may
    /// have more connections.
    fn accept_from(&mut self, id: ListenerId, service: &mut Service, now: Duration) -> bool {
        for _ in 0..BUDGET {
            // Workers are admitted in any case, because their answers free memory.
            let has_memory = !self.is_of_clients(id) || !service.is_out_of_memory();
            if !has_memory || !service.has_room_for_strangers(now) {
                // New connections wait in the system's backlog.
                self.again = Some(now + PAUSE);
                return false;
            }
            match self.accept_one(id, service.connection_count()) {
                Ok(Some((stream, role))) => service.take_in(stream, role, now),
                Ok(None) => return false,
                // Only this connection failed, for example because its peer has disconnected
                // already.
                Err(error) if concerns_connection(&error) => {}
                Err(error) => {
                    service.note_accept_failure(&error, now);
                    self.rest(service, now);
                    return false;
                }
            }
        }
        true
    }

    fn is_of_clients(&self, id: ListenerId) -> bool {
        let listening = self.listeners.get(&id);
        listening.is_some_and(|listening| !listening.role.has_workers())
    }

    /// Pauses accepting, but only until the next turn if descriptors could be freed.
    fn rest(&mut self, service: &mut Service, now: Duration) {
        if self.again.is_none() {
            let shed = service.free_descriptors(now);
            self.again = Some(if shed { now } else { now + PAUSE });
        }
    }

    /// Accepts the next connection of a listener, if there is one. `connections` is the number of
    /// existing connections. Fails if there are too many connections, or with the error of the
    /// system.
    fn accept_one(
        &mut self,
        id: ListenerId,
        connections: usize,
    ) -> io::Result<Option<(Stream, Role)>> {
        let Some(Listening {
            role,
            state: State::Open(listener),
            waits,
        }) = self.listeners.get_mut(&id)
        else {
            return Ok(None);
        };
        let full = match role {
            _ if connections >= CONNECTIONS_MAX => Some("there are a million connections"),
            _ if !role.has_workers() && connections >= self.clients_max => {
                Some("the last descriptors are reserved for workers")
            }
            _ => None,
        };
        if let Some(full) = full {
            // If no connection waits to be accepted, there is no shortage.
            if *waits {
                return Err(io::Error::other(full));
            }
            return Ok(None);
        }
        match listener.accept() {
            Ok(stream) => Ok(Some((stream, *role))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *waits = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the number of connections at which no further client is accepted, given the maximum
/// number of descriptors.
fn clients_max(descriptors: Option<u64>) -> usize {
    let left = |all: u64| all - (all / 2).min(RESERVED);
    descriptors.map_or(CONNECTIONS_MAX, |all| {
        usize::try_from(left(all)).unwrap_or(CONNECTIONS_MAX)
    })
}

/// Returns whether accepting failed because of the connection rather than the system. Linux reports
/// network errors of the new connection as errors of accept (accept(2), "Error handling"), and a
/// firewall's refusal as EPERM.
fn concerns_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, PermissionDenied, TimedOut,
    };
    let by_kind = matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | TimedOut
    );
    // These errors are recognized by their numbers.
    let by_number = [
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::OPNOTSUPP,
        #[cfg(target_os = "linux")]
        Errno::NONET,
    ];
    by_kind || Errno::from_io_error(error).is_some_and(|errno| by_number.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_descriptors_are_reserved_for_workers() {
        for (descriptors, clients) in [(64, 32), (1024, 896), (20_000, 19_872)] {
            assert_eq!(clients_max(Some(descriptors)), clients);
        }
        assert_eq!(clients_max(None), CONNECTIONS_MAX);
    }

    #[test]
    fn only_a_shortage_of_the_system_pauses_accepting() {
        for errno in [
            Errno::CONNABORTED,
            Errno::HOSTUNREACH,
            Errno::HOSTDOWN,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::OPNOTSUPP,
            Errno::PERM,
            Errno::PROTO,
            Errno::NOPROTOOPT,
        ] {
            assert!(concerns_connection(&errno.into()), "{errno}");
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
        ] {
            assert!(!concerns_connection(&errno.into()), "{errno}");
        }
    }
}
