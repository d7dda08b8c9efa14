//! A frontend's socket and its clients.
//!
//! libzmq routes answers by identity. A client that set its identity and connects again has the
//! identity of its previous connection. libzmq would send this client the answers to the requests
//! of the previous connection. Such a client is therefore forgotten when its connection closes,
//! which the socket's monitor reports. The monitor is read before each message from or to such a
//! client, and libzmq reports a closed connection before it admits the next one. While two
//! connections with the same identity are open, the second can still receive an answer to a request
//! of the first.

use std::collections::HashMap;
use std::time::Duration;

use zmq::{Message, Socket};

use crate::engine::libzmq::monitor::Monitor;
use crate::peer::PeerId;

/// A frontend's ROUTER, and its clients.
pub(super) struct FrontendSocket {
    socket: Socket,
    monitor: Monitor,
    clients: HashMap<Box<[u8]>, PeerId>,
    /// The clients that set their identity, by the descriptors of their connections.
    named: HashMap<u32, PeerId>,
    /// The time at which the frontend was first found to be removed from the configuration.
    removed: Option<Duration>,
}

impl Drop for FrontendSocket {
    fn drop(&mut self) {
        self.monitor.end(&self.socket);
    }
}

impl FrontendSocket {
    pub(super) fn new(socket: Socket, monitor: Monitor) -> Self {
        Self {
            socket,
            monitor,
            clients: HashMap::new(),
            named: HashMap::new(),
            removed: None,
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns the socket that reports connections.
    pub(super) fn monitor(&self) -> &Socket {
        self.monitor.socket()
    }

    /// Returns the time since the frontend was first found to be removed from the configuration.
    /// The first call after [`Self::keep`] returns zero.
    pub(super) fn removed_for(&mut self, now: Duration) -> Duration {
        now - *self.removed.get_or_insert(now)
    }

    /// Records that the configuration has the frontend.
    pub(super) fn keep(&mut self) {
        self.removed = None;
    }

    /// Returns the client with this identity, if there is one.
    pub(super) fn client(&self, identity: &[u8]) -> Option<PeerId> {
        self.clients.get(identity).copied()
    }

    /// Returns all clients.
    pub(super) fn clients(&self) -> Vec<PeerId> {
        self.clients.values().copied().collect()
    }

    /// Adds a client. `connection` is the descriptor of its connection, if the client set its
    /// identity.
    pub(super) fn add(&mut self, identity: Box<[u8]>, connection: Option<u32>, peer: PeerId) {
        self.clients.insert(identity, peer);
        if let Some(connection) = connection {
            self.named.insert(connection, peer);
        }
    }

    /// Removes a client.
    pub(super) fn remove(&mut self, identity: &[u8], connection: Option<u32>, peer: PeerId) {
        if self.client(identity) == Some(peer) {
            self.clients.remove(identity);
        }
        if let Some(connection) =
            connection.filter(|descriptor| self.named.get(descriptor) == Some(&peer))
        {
            self.named.remove(&connection);
        }
    }

    /// Removes and returns the clients that set their identity and whose connections have closed
    /// since the last call.
    pub(super) fn take_left(&mut self) -> Vec<PeerId> {
        let Self { monitor, named, .. } = self;
        let mut left = Vec::new();
        monitor.update_with(|connection| left.extend(named.remove(&connection)));
        left
    }

    /// Returns whether a connection was open at the last call of [`Self::take_left`].
    pub(super) fn is_open(&self, connection: u32) -> bool {
        self.monitor.is_open(connection)
    }
}

/// Returns whether a client set this identity. The identities that libzmq generates begin with a
/// zero byte, and libzmq refuses to set such an identity.
pub(super) fn is_own(identity: &[u8]) -> bool {
    identity.first().is_some_and(|&first| first != 0)
}

/// Returns the descriptor of the connection that delivered a message, or `None` if libzmq does not
/// report it.
pub(super) fn connection_of(identity: &mut Message, frames: &mut [Message]) -> Option<u32> {
    let mut all = std::iter::once(identity).chain(frames.iter_mut());
    all.find_map(|frame| frame.gets("__fd")?.parse().ok())
}
