//! The engine's state on the data thread, and the results of polling its sockets.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use zmq::{DONTWAIT, Message, Socket};

use crate::core::Core;
use crate::engine::control::Orders;
use crate::engine::error::EngineError;
use crate::engine::libzmq::links::Links;
use crate::engine::libzmq::reload::Commit;
use crate::engine::libzmq::sockets::SharedSocketRegistry;
use crate::engine::role::Role;
use crate::snapshot::{FrontendId, PoolId, Snapshot};

/// The number of messages that one socket may deliver before the other sockets have their turn.
pub(super) const BUDGET: usize = 256;

/// The engine.
pub(super) struct Libzmq {
    pub(super) core: Core<Vec<Message>>,
    pub(super) links: Links,
    pub(super) registry: SharedSocketRegistry,
    pub(super) orders: Orders,
    pub(super) commits: mpsc::Receiver<Commit>,
    pub(super) start: Instant,
    pub(super) snapshot: Arc<Snapshot>,
    /// The time of the last search for idle clients.
    pub(super) swept: Duration,
    /// Set if judges may have more verdicts than the last turn reported to the core.
    pub(super) verdicts_left: bool,
    /// The time at which unsent answers are dropped, or `None` if the gateway does not drain.
    pub(super) flush_deadline: Option<Duration>,
    /// The time at which the last wait ended.
    pub(super) woke: Duration,
    /// The time of the next attempt to close a removed socket, if a reload in preparation prevented
    /// the last attempt.
    pub(super) close_due: Option<Duration>,
}

impl Libzmq {
    /// Reports to the core the events that occurred while its effects were carried out.
    pub(super) fn report_events(&mut self, now: Duration) {
        while let Some(event) = self.links.next_event() {
            self.core.on(now, event, &mut self.links);
        }
    }
}

/// The state of a pool's sockets after a poll.
pub(super) struct PoolReady {
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) monitor: bool,
}

/// The state of the socket for the publishers or for the subscribers of a channel after a poll.
pub(super) struct SideReady {
    pub(super) readable: bool,
    pub(super) monitor: bool,
}

/// The sockets that a poll found ready.
pub(super) struct Ready {
    pub(super) control: bool,
    /// Readable frontends.
    pub(super) frontends: Vec<FrontendId>,
    /// Frontends whose monitors have events.
    pub(super) reported: Vec<FrontendId>,
    pub(super) pools: Vec<(PoolId, PoolReady)>,
    /// The publishers and the subscribers of channels.
    pub(super) sides: Vec<(Role, SideReady)>,
}

/// Receives the next whole message, and returns at most the first `keep` of its frames. Returns
/// `None` if no message has arrived. Fails with the error of libzmq.
pub(super) fn receive(socket: &Socket, keep: usize) -> Result<Option<Vec<Message>>, EngineError> {
    let mut frames = Vec::with_capacity(4);
    loop {
        let mut frame = Message::new();
        match socket.recv(&mut frame, DONTWAIT) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) if frames.is_empty() => return Ok(None),
            // Once the first frame of a message has arrived, all its frames have arrived.
            Err(zmq::Error::EINTR) => continue,
            Err(error) => return Err(EngineError::new("receive", error)),
        }
        let more = frame.get_more();
        if frames.len() < keep {
            frames.push(frame);
        }
        if !more {
            return Ok(Some(frames));
        }
    }
}

/// Receives the next frame of a message. Returns `None` if no frame has arrived. Fails with the
/// error of libzmq.
pub(super) fn receive_frame(socket: &Socket) -> Result<Option<Message>, EngineError> {
    let mut frame = Message::new();
    loop {
        match socket.recv(&mut frame, DONTWAIT) {
            Ok(()) => return Ok(Some(frame)),
            Err(zmq::Error::EAGAIN) => return Ok(None),
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(EngineError::new("receive", error)),
        }
    }
}
