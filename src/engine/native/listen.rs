//! Listeners: connections come in. When the system has no descriptor left, accepting rests for a
//! moment instead of spinning.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use mio::{Registry, Token};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tracing::warn;

use crate::engine::native::address::Address;
use crate::engine::native::connection::Origin;
use crate::engine::native::liveness::HANDSHAKE_MAX;
use crate::engine::native::peers::CONNECTIONS_MAX;
use crate::engine::native::quiet::Lines;
use crate::engine::native::role::Role;
use crate::engine::native::service::Service;
use crate::engine::native::stream::{Listener, Stream};
use crate::snapshot::{PoolId, Snapshot};

/// Connections that a listener may take in before the others have their turn.
const BUDGET: usize = 64;

/// How long accepting rests when descriptors have run out, and how long until an address that was
/// still taken is tried again.
const REST: Duration = Duration::from_millis(100);

/// Descriptors that clients leave for workers, who answer them, for HTTP, which tells why they
/// aren't let in, and for the files of a reload; half of them, where there are few.
const RESERVED: u64 = 128;

/// A listener's number. Never used twice; as a token it is small, which peers' tokens are not.
pub(super) type ListenerId = usize;

/// Listeners by number.
pub(super) struct Listeners {
    registry: Registry,
    there: BTreeMap<ListenerId, Listening>,
    /// Those that may have connections waiting, as the system tells once.
    ready: Vec<ListenerId>,
    /// When those that rest go on.
    again: Option<Duration>,
    /// What is said of an address that is still taken.
    taken: Lines,
    /// Connections beyond which no client is let in.
    clients_max: usize,
}

struct Listening {
    role: Role,
    state: State,
    /// The system has told of connections, and not all were taken in since.
    waits: bool,
}

enum State {
    Open(Listener),
    /// It takes over an address from another that was only just closed.
    Taken(Address),
}

impl Listeners {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            there: BTreeMap::new(),
            ready: Vec::new(),
            again: None,
            taken: Lines::default(),
            clients_max: clients_max(getrlimit(Resource::Nofile).current),
        }
    }

    pub(super) fn is(&self, token: Token) -> bool {
        self.there.contains_key(&token.0)
    }

    /// Connections may have come.
    pub(super) fn mark_ready(&mut self, token: Token) {
        if let Some(listening) = self.there.get_mut(&token.0) {
            listening.waits = true;
        }
        if !self.ready.contains(&token.0) {
            self.ready.push(token.0);
        }
    }

    /// Starts to listen for this role.
    pub(super) fn open(&mut self, id: ListenerId, role: Role, mut listener: Listener) {
        if let Err(error) = listener.register(&self.registry, Token(id)) {
            // The system has no memory left for it; nothing else can make it fail.
            warn!(%error, "can't listen");
        }
        self.ready.push(id);
        let state = State::Open(listener);
        let waits = false;
        self.there.insert(id, Listening { role, state, waits });
    }

    /// Takes an address that another listener has just left.
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
                self.there.insert(id, Listening { role, state, waits });
                self.again = Some(Duration::ZERO);
            }
        }
    }

    /// Closes every listener that is not wanted.
    pub(super) fn retain(&mut self, wanted: &BTreeSet<ListenerId>) {
        self.there.retain(|id, _| wanted.contains(id));
    }

    /// Has a listener take in connections for this role from now on.
    pub(super) fn set_role(&mut self, id: ListenerId, role: Role) {
        if let Some(listening) = self.there.get_mut(&id) {
            listening.role = role;
        }
    }

    /// Returns whether there is a listener of a pool that a configuration does not have.
    pub(super) fn has_removed(&self, snapshot: &Snapshot) -> bool {
        let mut roles = self.there.values().map(|listening| listening.role);
        roles.any(|role| role.pool_missing_in(snapshot).is_some())
    }

    /// Closes the listeners of pools that a configuration does not have, as far as they may close.
    /// Returns whether some are left.
    pub(super) fn close_removed(
        &mut self,
        snapshot: &Snapshot,
        mut may_close: impl FnMut(ListenerId, PoolId) -> bool,
    ) -> bool {
        let mut left = false;
        self.there.retain(|id, listening| {
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
        self.there.clear();
    }

    /// Whether some are to be served at once.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When those that rest go on.
    pub(super) fn next(&self) -> Option<Duration> {
        self.again
    }

    /// Ends the rest, if it is time.
    fn wake(&mut self, now: Duration) {
        if self.again.is_none_or(|again| again > now) {
            return;
        }
        self.again = None;
        let taken = self
            .there
            .iter_mut()
            .filter_map(|(id, it)| match &it.state {
                State::Taken(address) => Some((*id, it.role, address.clone())),
                State::Open(_) => None,
            });
        for (id, role, address) in taken.collect::<Vec<_>>() {
            self.take_over(id, role, address, now);
        }
        self.ready = self.there.keys().copied().collect();
        self.again = self.again.map(|_| now + REST);
    }

    /// Takes in the connections that came.
    pub(super) fn accept(&mut self, service: &mut Service, now: Duration) {
        self.wake(now);
        for id in std::mem::take(&mut self.ready) {
            for n in 0.. {
                if n == BUDGET {
                    self.ready.push(id);
                    break;
                }
                if !service.has_room_for_strangers(now) {
                    // They wait with the system.
                    self.again = Some(now + REST);
                    break;
                }
                match self.accept_one(id, service.peers.count()) {
                    Ok(Some((stream, role))) => service.take_in(stream, role, now),
                    Ok(None) => break,
                    // It went before it was taken in.
                    Err(error) if is_its_own(&error) => {}
                    Err(error) => {
                        if let Some(left_out) = service.quiet.accept().allow(now) {
                            warn!(%error, left_out, "can't accept connections; trying again");
                        }
                        self.rest(service, now);
                        break;
                    }
                }
            }
        }
    }

    /// Lets accepting rest, unless there is room again at once.
    fn rest(&mut self, service: &mut Service, now: Duration) {
        if self.again.is_none() {
            let shed = service.free_descriptors(now);
            self.again = Some(if shed { now } else { now + REST });
        }
    }

    /// Takes in a connection of a listener, if one waits, where there are `many` connections.
    fn accept_one(&mut self, id: ListenerId, many: usize) -> io::Result<Option<(Stream, Role)>> {
        let Some(Listening {
            role,
            state: State::Open(listener),
            waits,
        }) = self.there.get_mut(&id)
        else {
            return Ok(None);
        };
        let full = match role {
            _ if many >= CONNECTIONS_MAX => Some("there are a million connections"),
            Role::Frontend(_) if many >= self.clients_max => {
                Some("the last descriptors are kept for workers")
            }
            _ => None,
        };
        if let Some(full) = full {
            // It is no want if nobody waits.
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

impl Service {
    /// Adds a connection that a listener took in, which is a stranger.
    fn take_in(&mut self, stream: Stream, role: Role, now: Duration) {
        // It fails only if the peer has gone.
        let _ = stream.set_up();
        match self.peers.add(stream, role, Origin::Accepted, now) {
            Ok(peer) => {
                self.peers.set_timer(peer, now + HANDSHAKE_MAX);
                self.admissions.add_stranger(peer);
            }
            Err(error) => {
                if let Some(left_out) = self.quiet.accept().allow(now) {
                    warn!(%error, left_out, "can't watch a connection");
                }
            }
        }
    }
}

/// How many connections there may be, of so many descriptors, for another client to be let in.
fn clients_max(descriptors: Option<u64>) -> usize {
    let left = |all: u64| all - (all / 2).min(RESERVED);
    descriptors.map_or(CONNECTIONS_MAX, |all| {
        usize::try_from(left(all)).unwrap_or(CONNECTIONS_MAX)
    })
}

/// Whether accepting failed for the connection's sake, not the system's: Linux gives what went
/// wrong on the way to the peer as if accepting had failed (accept(2), "Error handling"), and a
/// firewall's no as EPERM.
fn is_its_own(error: &io::Error) -> bool {
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
    // Those that the standard library has no word for.
    let by_number = [
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::OPNOTSUPP,
        #[cfg(target_os = "linux")]
        Errno::NONET,
    ];
    by_kind || Errno::from_io_error(error).is_some_and(|it| by_number.contains(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_some_descriptors() {
        for (descriptors, clients) in [(64, 32), (1024, 896), (20_000, 19_872)] {
            assert_eq!(clients_max(Some(descriptors)), clients);
        }
        assert_eq!(clients_max(None), CONNECTIONS_MAX);
    }

    #[test]
    fn only_the_systems_own_want_has_accepting_rest() {
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
            assert!(is_its_own(&errno.into()), "{errno}");
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
        ] {
            assert!(!is_its_own(&errno.into()), "{errno}");
        }
    }
}
