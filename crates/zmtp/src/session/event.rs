//! The events that a session returns.

use crate::command::Ready;
use crate::curve::OpenWork;
use crate::message::Message;
use crate::plain::Credentials;
use crate::session::work::HandshakeWork;

/// An event: an item that a peer has sent, or a step that the handshake requires.
#[derive(Debug)]
pub enum SessionEvent {
    /// The metadata of the peer. Before the next event, the caller must admit the peer with
    /// [`Session::admit`](super::Session::admit), or end the connection, because messages may
    /// follow.
    Ready(Box<Ready>),
    /// A message. If it has more than [`Bounds::frames`](crate::decoder::Bounds::frames) frames,
    /// only the first ones are kept.
    Message(Message),
    /// The kept frames of a message with more than [`Bounds::bytes`](crate::decoder::Bounds::bytes)
    /// bytes. Each kept frame is whole. A message that was cut off at the bound on frames has this
    /// form, too, if that bound was raised before the message ended.
    Oversize(Message),
    /// The peer asks for a PONG.
    Ping {
        /// The silence after which this side should end the connection, in tenths of a second, or 0
        /// for no limit.
        ttl: u16,
        /// The context that the PONG must carry.
        context: Vec<u8>,
    },
    /// The peer subscribes to all messages whose first frame begins with this prefix.
    Subscribe(Vec<u8>),
    /// The peer cancels one of its subscriptions to this prefix.
    Cancel(Vec<u8>),
    /// The peer refuses the connection, for this reason.
    Error(String),
    /// Bytes that must be sent to the peer as they are.
    Answer(Vec<u8>),
    /// A costly step of the handshake, which any thread may take. Its result must be passed to
    /// [`Session::resume`](super::Session::resume). Until then the peer may send nothing.
    Work(HandshakeWork),
    /// The user name and password of a peer, which the caller verifies, on any thread. If they are
    /// right, the caller passes them to [`Session::accept`](super::Session::accept). Otherwise, the
    /// caller closes the connection. Before the caller has decided, the peer may send nothing.
    Credentials(Credentials),
    /// A large sealed frame, which any thread may open. The result must be passed to
    /// [`Session::opened`](super::Session::opened). Until then no event is returned and no input is
    /// used.
    Open(Box<OpenWork>),
    /// A command that requires no action. It shows that the peer is alive.
    Other,
}
