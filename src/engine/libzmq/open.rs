//! Opening sockets: their options, their addresses, and the monitors of their connections.

use std::time::Duration;

use zmq::{Context, Socket};

use crate::engine::error::{BindFault, EngineError};
use crate::engine::libzmq::fixed::Fixed;
use crate::engine::libzmq::frontend::FrontendSocket;
use crate::engine::libzmq::left::ClosedAddresses;
use crate::engine::libzmq::monitor::Monitor;
use crate::engine::libzmq::refused::Refused;
use crate::engine::listening::BoundAddress;
use crate::engine::role::Role;
use crate::peer::{PeerId, WorkerKind};
use crate::security::NO_SECURITY;
use crate::snapshot::Endpoints;

/// The maximum time for which libzmq sends the remaining messages of a closed socket. After a
/// drain, the gateway also waits at most this time for clients to read their answers.
pub(super) const FLUSH: Duration = Duration::from_secs(1);

/// A pool's DEALER, and the facts known about its workers.
pub(super) struct PoolSocket {
    pub(super) socket: Socket,
    pub(super) monitor: Monitor,
    pub(super) kind: WorkerKind,
    /// The peer that stands for all workers of the pool in the core, while any worker is connected.
    pub(super) peer: Option<PeerId>,
    /// True if the last worker has disconnected, and the messages that it sent before are still
    /// being read.
    pub(super) leaving: bool,
    /// True if no connected worker has room for another request.
    pub(super) blocked: bool,
}

impl Drop for PoolSocket {
    fn drop(&mut self) {
        self.monitor.end(&self.socket);
    }
}

/// The XSUB for the publishers of a channel, or the XPUB for its subscribers.
pub(super) struct SideSocket {
    /// The name of the channel.
    pub(super) name: String,
    pub(super) socket: Socket,
    pub(super) monitor: Monitor,
    /// The peer that stands for all peers of this side in the core, once the core knows the
    /// channel.
    pub(super) peer: Option<PeerId>,
    /// True while reading from the publishers is paused, because too many of their messages wait
    /// for a judge, which is a thread that checks payloads.
    pub(super) is_paused: bool,
    /// The refused subscriptions that are not logged yet.
    pub(super) refused: Refused,
}

impl Drop for SideSocket {
    fn drop(&mut self) {
        self.monitor.end(&self.socket);
    }
}

/// The means to open sockets for one configuration.
pub(super) struct Opener<'a> {
    pub(super) context: &'a Context,
    /// The addresses at which closed sockets listened.
    pub(super) left: &'a ClosedAddresses,
    /// The number of monitors that have been created. The address of a monitor contains its number.
    pub(super) monitors: &'a mut usize,
    /// The addresses on which the opened sockets listen.
    pub(super) listening: &'a mut Vec<BoundAddress>,
}

impl Opener<'_> {
    /// Opens the socket of a frontend. Fails as [`Self::open`] does, or if libzmq refuses an
    /// option.
    pub(super) fn frontend(&mut self, fixed: &Fixed) -> Result<FrontendSocket, EngineError> {
        let named = |error: zmq::Error| EngineError::new(fixed, error);
        let socket = self.context.socket(zmq::ROUTER).map_err(named)?;
        set_options(&socket, fixed).map_err(named)?;
        // Without this option, an answer for which a client has no room is silently dropped.
        socket.set_router_mandatory(true).map_err(named)?;
        // Without this option, libzmq ignores a client that connects again under its identity until
        // libzmq has noticed that the previous connection is dead.
        socket.set_router_handover(true).map_err(named)?;
        let monitor = self.monitor(&socket).map_err(named)?;
        let opened = FrontendSocket::new(socket, monitor);
        // Clients can connect from now on, so the monitor must end before the socket closes. If
        // this function fails, the drop of `opened` ends the monitor.
        self.open(opened.socket(), fixed)?;
        Ok(opened)
    }

    /// Opens the socket of a pool. Fails as [`Self::open`] does, or if libzmq refuses an option.
    pub(super) fn pool(&mut self, fixed: &Fixed) -> Result<PoolSocket, EngineError> {
        let named = |error: zmq::Error| EngineError::new(fixed, error);
        let socket = self.context.socket(zmq::DEALER).map_err(named)?;
        set_options(&socket, fixed).map_err(named)?;
        // With this option, requests go only to connected workers, and not into the queue of a
        // worker that may connect some day.
        socket.set_immediate(true).map_err(named)?;
        let monitor = self.monitor(&socket).map_err(named)?;
        let kind = fixed.pool.as_ref().map(|pool| pool.kind);
        let opened = PoolSocket {
            socket,
            monitor,
            kind: kind.unwrap_or(WorkerKind::Dealer),
            peer: None,
            leaving: false,
            blocked: false,
        };
        // Workers can connect from now on, so the monitor must end before the socket closes. If
        // this function fails, the drop of `opened` ends the monitor.
        self.open(&opened.socket, fixed)?;
        Ok(opened)
    }

    /// Opens the socket for the publishers or for the subscribers of a channel. Fails as
    /// [`Self::open`] does, or if libzmq refuses an option.
    pub(super) fn side(&mut self, fixed: &Fixed) -> Result<SideSocket, EngineError> {
        let named = |error: zmq::Error| EngineError::new(fixed, error);
        let is_of_publishers = matches!(fixed.role, Role::Publishers(_));
        let kind = if is_of_publishers {
            zmq::XSUB
        } else {
            zmq::XPUB
        };
        let socket = self.context.socket(kind).map_err(named)?;
        set_options(&socket, fixed).map_err(named)?;
        if is_of_publishers {
            // 0 means no limit. With a limit, a subscription beyond the limit would be lost.
            socket.set_sndhwm(0).map_err(named)?;
            // When the socket closes, subscriptions that are not sent yet are not needed any more.
            socket.set_linger(0).map_err(named)?;
        }
        let monitor = self.monitor(&socket).map_err(named)?;
        let opened = SideSocket {
            name: fixed.name.clone(),
            socket,
            monitor,
            peer: None,
            is_paused: false,
            refused: Refused::default(),
        };
        // Peers can connect from now on, so the monitor must end before the socket closes. If this
        // function fails, the drop of `opened` ends the monitor.
        self.open(&opened.socket, fixed)?;
        Ok(opened)
    }

    fn monitor(&mut self, socket: &Socket) -> zmq::Result<Monitor> {
        *self.monitors += 1;
        Monitor::new(self.context, socket, *self.monitors)
    }

    /// Binds and connects a socket. Fails with the first address that libzmq refuses.
    fn open(&mut self, socket: &Socket, fixed: &Fixed) -> Result<(), EngineError> {
        let Endpoints { bind, connect } = &fixed.endpoints;
        for endpoint in bind {
            let failed = |error: zmq::Error| {
                EngineError::from(vec![BindFault {
                    role: fixed.role.kind(),
                    name: fixed.name.clone(),
                    endpoint: endpoint.clone(),
                    error: error.into(),
                }])
            };
            // In libzmq's addresses, the wildcard port is written `*` instead of 0.
            let port_0 = endpoint
                .strip_suffix(":0")
                .filter(|host| host.starts_with("tcp://"));
            let wildcard = port_0.map(|host| format!("{host}:*"));
            let address = wildcard.as_deref().unwrap_or(endpoint);
            let bound = self.left.bind(address, || socket.bind(address));
            bound.map_err(failed)?;
            let resolved = socket.get_last_endpoint().map_err(failed)?;
            self.listening.push(BoundAddress {
                role: fixed.role.kind(),
                name: fixed.name.clone(),
                endpoint: resolved.unwrap_or_else(|_| endpoint.clone()),
                security: Some(NO_SECURITY),
            });
        }
        for endpoint in connect {
            socket.connect(endpoint).map_err(|error| {
                EngineError::new(format!("{fixed}: can't connect to {endpoint}"), error)
            })?;
        }
        Ok(())
    }
}

/// Sets the options that libzmq copies when it binds or connects.
fn set_options(socket: &Socket, fixed: &Fixed) -> zmq::Result<()> {
    let message_max = i64::try_from(fixed.message_max).unwrap_or(i64::MAX);
    socket.set_maxmsgsize(message_max)?;
    socket.set_linger(FLUSH.as_millis() as i32)?;
    // With a domain set, libzmq disconnects peers that do not speak ZMTP 3. Without a domain,
    // libzmq takes an HTTP client for a peer of ZMTP 1 and sends requests to it. No ZAP handler is
    // registered, so the domain makes no difference to peers that speak ZMTP 3.
    socket.set_zap_domain("gateway")?;
    if let Some(pool) = &fixed.pool {
        // This number of requests may be queued for a worker that has stopped reading.
        socket.set_sndhwm(pool.window as i32)?;
        if let Some(interval) = pool.heartbeat {
            let ms = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX / 4);
            socket.set_heartbeat_ivl(ms)?;
            // A worker that is silent for three intervals is lost: one interval until the ping, and
            // two for the answer.
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
