//! What a session returns.

use crate::command::Ready;
use crate::message::Message;
use crate::session::work::Work;

/// Something that a peer has said, or that its handshake asks for.
#[derive(Debug)]
pub enum Said {
    /// What it is. Admit it by [`Session::admit`](super::Session::admit), or end the connection: messages may follow.
    Ready(Box<Ready>),
    /// A message's frames; of one with more than [`Bounds::frames`](crate::decoder::Bounds::frames), so many.
    Message(Message),
    /// What was kept of a message with more than [`Bounds::bytes`](crate::decoder::Bounds::bytes).
    Oversize(Message),
    /// It wants to hear from us.
    Ping {
        /// How long a silence of ours it takes before it counts us as gone, in tenths of a second;
        /// 0 for any.
        ttl: u16,
        /// What the PONG must carry.
        context: Vec<u8>,
    },
    /// It gives up, and says why.
    Error(String),
    /// These bytes are to be sent, as they are.
    Answer(Vec<u8>),
    /// A costly step of the handshake, which may be taken on any thread. Its result goes to
    /// [`Session::resume`](super::Session::resume); until then the peer may say nothing.
    Work(Work),
    /// A command that asks for nothing; that anything came is what counts.
    Other,
}
