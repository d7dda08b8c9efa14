//! A client: its state in the engine, and the answers that are queued until the client reads them.

use std::collections::VecDeque;

use zmq::Message;

use crate::frame::Frame;
use crate::ledger::RequestOutcome;
use crate::peer::ClientKind;
use crate::snapshot::FrontendId;

/// The memory that is charged for a queued answer in addition to its content, in bytes: its frames
/// and its entry in the queue.
const ANSWER_OVERHEAD: u64 = 256;

/// An answer to a client, with the outcome of its request.
pub(super) type Answer = (Vec<Message>, RequestOutcome);

/// A client.
pub(super) struct Client {
    frontend: FrontendId,
    identity: Box<[u8]>,
    /// The descriptor of the connection, if the client set its identity.
    connection: Option<u32>,
    kind: ClientKind,
    /// The number of this client's messages that the core has not answered.
    unanswered: u32,
    /// True if the client has sent something since the last search for idle clients.
    active: bool,
    /// The answers for which libzmq had no room.
    outbox: VecDeque<Answer>,
    outbox_bytes: u64,
}

impl Client {
    /// Returns the client that sent these frames as its first message.
    pub(super) fn new(
        frontend: FrontendId,
        identity: &mut Message,
        connection: Option<u32>,
        frames: &mut [Message],
    ) -> Self {
        Self {
            frontend,
            identity: Box::from(&**identity),
            connection,
            kind: kind(identity, frames),
            unanswered: u32::from(!is_probe(frames)),
            active: true,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
        }
    }

    pub(super) fn frontend(&self) -> FrontendId {
        self.frontend
    }

    pub(super) fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// Returns the descriptor of the connection, if the client set its identity.
    pub(super) fn connection(&self) -> Option<u32> {
        self.connection
    }

    pub(super) fn kind(&self) -> ClientKind {
        self.kind
    }

    /// Returns whether a message with the client's identity comes from the client's socket.
    pub(super) fn has_sent(
        &self,
        identity: &mut Message,
        connection: Option<u32>,
        frames: &mut [Message],
    ) -> bool {
        self.connection == connection
            && (looks_like(frames) == self.kind || kind(identity, frames) == self.kind)
    }

    /// Records another message of the client. Returns true for a REQ client, whose queued answers
    /// must be dropped. A REQ that sends another request no longer expects the previous answer, and
    /// would mistake it for the answer to the new request.
    pub(super) fn note_message(&mut self) -> bool {
        self.unanswered += 1;
        self.active = true;
        if self.kind == ClientKind::Req {
            self.unanswered = 1;
        }
        self.kind == ClientKind::Req
    }

    /// Records that the core has answered a message, or that a message gets no answer.
    pub(super) fn note_answer(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Returns whether the client has been sent an answer to each of its messages.
    pub(super) fn has_all_answers(&self) -> bool {
        self.unanswered == 0 && self.outbox.is_empty()
    }

    /// Returns whether the client waits for no answer, and has sent nothing since the last call.
    pub(super) fn is_idle(&mut self) -> bool {
        let active = std::mem::take(&mut self.active);
        !active && self.has_all_answers()
    }

    /// Returns whether answers are queued.
    pub(super) fn is_stalled(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Returns the memory charged for the queued answers, in bytes.
    pub(super) fn unsent_bytes(&self) -> u64 {
        self.outbox_bytes
    }

    /// Queues an answer, in memory of its own.
    pub(super) fn queue(&mut self, frames: Vec<Message>, outcome: RequestOutcome) {
        self.outbox_bytes += cost(&frames);
        let frames = frames.into_iter().map(Frame::compact).collect();
        self.outbox.push_back((frames, outcome));
    }

    /// Removes and returns the next queued answer, if there is one.
    pub(super) fn next_unsent(&mut self) -> Option<Answer> {
        let (frames, outcome) = self.outbox.pop_front()?;
        self.outbox_bytes -= cost(&frames);
        Some((frames, outcome))
    }

    /// Puts back an answer that [`Self::next_unsent`] returned and that could not be sent.
    pub(super) fn put_back(&mut self, frames: Vec<Message>, outcome: RequestOutcome) {
        self.outbox_bytes += cost(&frames);
        self.outbox.push_front((frames, outcome));
    }

    /// Drops the queued answers, and returns the outcomes of their requests.
    pub(super) fn drop_unsent(&mut self) -> impl Iterator<Item = RequestOutcome> {
        self.outbox_bytes = 0;
        self.outbox.drain(..).map(|(_, outcome)| outcome)
    }
}

/// Returns the memory charged for a queued answer, in bytes.
pub(super) fn cost(frames: &[Message]) -> u64 {
    let bytes = frames.iter().map(|frame| frame.len() as u64);
    bytes.sum::<u64>() + ANSWER_OVERHEAD
}

/// Returns whether a client's first message is the empty message that a socket with
/// `ZMQ_PROBE_ROUTER` sends by itself, which the core does not answer.
fn is_probe(frames: &[Message]) -> bool {
    matches!(frames, [frame] if frame.is_empty())
}

/// Returns the client's socket type, which libzmq learned in the handshake.
fn kind(identity: &mut Message, frames: &mut [Message]) -> ClientKind {
    let mut all = std::iter::once(identity).chain(frames.iter_mut());
    let req = all.any(|frame| frame.gets("Socket-Type") == Some("REQ"));
    if req {
        ClientKind::Req
    } else {
        ClientKind::Dealer
    }
}

/// Guesses the sender's socket type from the form of a message, to avoid asking libzmq about every
/// message.
fn looks_like(frames: &[Message]) -> ClientKind {
    let delimiter = frames.iter().take(2).position(|frame| frame.is_empty());
    match delimiter {
        Some(0) => ClientKind::Req,
        // A frame of four bytes is the request number of ZMQ_REQ_CORRELATE.
        Some(1) if frames[0].len() == 4 => ClientKind::Req,
        _ => ClientKind::Dealer,
    }
}
