//! A peer's turn: what it sent is read, decoded and handed to the core.

use std::fmt;
use std::time::Duration;

use crate::core::Event;
use crate::engine::native::connection::{Connection, Read};
use crate::engine::native::quiet::Cause;
use crate::engine::native::role::Role;
use crate::engine::native::service::{Refusal, Service};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::CHUNK;
use gateway_zmtp::session::Said;

/// Reads in a turn of a peer that sends a large frame; of others there is one.
const READS: usize = 4;

/// Messages and commands in a turn of one peer: what one read can hold of the smallest ones would
/// keep the others waiting for tens of milliseconds.
const ITEMS_MAX: usize = 1024;

/// Messages and commands in a turn of all peers together. The last peer waits for so many, a few
/// milliseconds' work, however many peers there are.
const ITEMS_OF_ALL: usize = 8192;

/// Messages and commands that each peer may have at least, however many peers there are: fewer
/// would not be worth a read.
const ITEMS_MIN: usize = 16;

/// Peers that may each have a whole buffer read. With more peers each has less, so that bytes which
/// wait for their peer's next turn take as many buffers in all.
const CHUNKS: usize = 64;

/// Bytes that are read in a turn at least: the usual size of [`ITEMS_MIN`] messages.
const READ_MIN: usize = 4 << 10;

/// Bytes that a worker's answer may have beside the message: token, delimiter. The core judges the
/// message by itself.
const HEAD_BYTES: u64 = 1024;

/// Frames that a worker's answer may have beside the message's, and one more, which tells that
/// there are too many.
const HEAD_FRAMES: usize = 3;

/// Memory that messages which aren't whole may take on all connections together, if it is enough
/// for [`HALF_MESSAGES_LEAST`] of the largest: many times what honest peers have under way at a
/// time.
const HALF_MESSAGES_MAX: u64 = 256 << 20;

/// Messages of the size `limits.message` that there is room for at least, whatever that limit is.
const HALF_MESSAGES_LEAST: u64 = 4;

/// Bytes whose reading is as much work as a small message.
const BYTES_OF_AN_ITEM: usize = 256;

/// Each peer's share of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    items: usize,
    bytes: usize,
}

impl Share {
    pub(super) fn of(peers: usize) -> Self {
        let peers = peers.max(1);
        Self {
            items: (ITEMS_OF_ALL / peers).clamp(ITEMS_MIN, ITEMS_MAX),
            bytes: (CHUNKS * CHUNK / peers).clamp(READ_MIN, CHUNK),
        }
    }
}

impl Service {
    /// Gives a peer its turn. Returns the work that it took, counted in small messages.
    pub(super) fn serve(&mut self, peer: PeerId, share: Share, now: Duration) -> usize {
        if let Some(connection) = self.peers.get(peer) {
            connection.begin_turn();
        }
        let (mut work, mut whole) = (1, false);
        for _ in 0..READS {
            let Some((connection, buffers)) = self.peers.with_buffers(peer) else {
                return work;
            };
            match connection.read(buffers, share.bytes, now) {
                Ok(Read::Some(mut input, n)) => {
                    self.peers.count_read(n);
                    let taken = self.take(peer, &mut input, share.items, now);
                    work += taken.items + n / BYTES_OF_AN_ITEM;
                    whole |= taken.whole;
                    self.keep_rest(peer, input, share);
                }
                Ok(Read::Nothing) if connection.is_mute() => {
                    self.hang_up(peer, &"it can't be written to", now);
                    return work;
                }
                Ok(Read::Nothing) => break,
                Ok(Read::End) => {
                    self.gone(peer, &"the peer hung up", now);
                    return work;
                }
                Err(error) => {
                    self.gone(peer, &error, now);
                    return work;
                }
            }
            let connection = self.peers.get(peer);
            if !connection.is_some_and(Connection::reads_directly) {
                break;
            }
        }
        self.peers.queue(peer);
        self.watch_half_message(peer, whole, now);
        work
    }

    /// Keeps the bytes that were read and not decoded for the peer's next turn.
    fn keep_rest(&mut self, peer: PeerId, input: Input, share: Share) {
        let Some((connection, buffers)) = self.peers.with_buffers(peer) else {
            return self.peers.give_back(input);
        };
        if input.rest().is_empty() {
            buffers.give_back(input);
        } else if share.bytes < CHUNK {
            // A whole buffer for each of so many peers would be a lot.
            let rest = Input::from(input.rest().to_vec());
            buffers.give_back(input);
            connection.keep(rest);
        } else {
            connection.keep(input);
        }
    }

    /// Closes a connection that its peer has ended.
    fn gone(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        let connection = self.peers.get(peer);
        if connection.is_some_and(|connection| connection.is_greeting()) {
            // It would come again for ever, and nobody would know why it isn't served.
            let why = format!(
                "{why}, in the middle of its greeting: the peer was ended, or it uses CURVE or PLAIN, which the gateway doesn't \
                 here, or it speaks ZMTP 2.0, as JeroMQ before 0.4 does"
            );
            self.refuse(peer, Cause::Stranger, Refusal::HangUp(why.into()), now);
        } else {
            self.hang_up(peer, why, now);
        }
    }

    /// Decodes what was read, or as much of it as fits in a turn, and acts on it.
    fn take(&mut self, peer: PeerId, input: &mut Input, items: usize, now: Duration) -> Taken {
        let role = self.peers.get(peer).map(|connection| connection.role());
        let (message, frames) = match role {
            // Each answer is judged by what its request came under.
            Some(Role::Pool(_)) => self.core.reply_limits(),
            _ => (self.snapshot.limits.message, self.snapshot.limits.frames),
        };
        let bounds = Bounds {
            bytes: message.saturating_add(HEAD_BYTES),
            frames: frames.saturating_add(HEAD_FRAMES),
        };
        let mut taken = Taken {
            items: 0,
            whole: false,
        };
        while taken.items < items {
            let Some((connection, buffers)) = self.peers.with_buffers(peer) else {
                break;
            };
            match connection.hear(input, bounds, buffers) {
                Ok(None) => break,
                Ok(Some(said)) => {
                    // A command between a message's frames ends nothing that rests.
                    taken.whole |= !connection.is_inside_message();
                    self.hear(peer, said, now);
                }
                Err(fault) if fault.can_be_told() => {
                    let why = Refusal::Tell(fault.to_string().into());
                    self.refuse(peer, Cause::Fault, why, now);
                }
                Err(fault) => {
                    let why = Refusal::HangUp(fault.to_string().into());
                    self.refuse(peer, Cause::Stranger, why, now);
                }
            }
            taken.items += 1;
        }
        taken
    }

    /// Acts on what a peer has said.
    fn hear(&mut self, peer: PeerId, said: Said, now: Duration) {
        match said {
            Said::Message(frames) => self.message(Event::Message { peer, frames }, now),
            Said::Oversize(frames) => self.message(Event::Oversize { peer, frames }, now),
            Said::Ready(ready) => self.ready(peer, *ready, now),
            Said::Error(reason) => {
                let why = format!("it refuses the gateway: {reason}");
                self.refuse(peer, Cause::Refused, Refusal::HangUp(why.into()), now);
            }
            Said::Ping { ttl, context } => {
                let ttl = (ttl > 0).then(|| Duration::from_millis(100) * u32::from(ttl));
                if let Some(connection) = self.peers.get(peer) {
                    connection.promise(ttl);
                }
                if let Some(ttl) = ttl {
                    self.peers.set_timer(peer, now + ttl);
                }
                self.peers.pong(peer, &context);
            }
            Said::Answer(bytes) => self.peers.put(peer, |into| into.extend_from_slice(&bytes)),
            Said::Work(work) => {
                let connection = self.peers.get(peer);
                match connection.map(|connection| connection.resume(work.run())) {
                    Some(Ok(said)) => self.hear(peer, said, now),
                    Some(Err(fault)) => {
                        let why = Refusal::HangUp(fault.to_string().into());
                        self.refuse(peer, Cause::Fault, why, now);
                    }
                    None => {}
                }
            }
            Said::Other => {}
        }
    }

    #[inline(always)]
    fn message(&mut self, event: Event<Message>, now: Duration) {
        self.peers.count_message();
        self.core.on(now, event, &mut self.peers);
    }

    /// Notes after a peer's turn whether a message has begun that is not whole. Refuses the peers
    /// whose messages take too much memory.
    fn watch_half_message(&mut self, peer: PeerId, whole: bool, now: Duration) {
        let Some(due) = self.peers.note_half(peer, whole, now) else {
            return;
        };
        self.peers.set_timer(peer, due);
        let least = self
            .snapshot
            .limits
            .message
            .saturating_mul(HALF_MESSAGES_LEAST);
        let most = HALF_MESSAGES_MAX.max(least);
        for peer in self.peers.halves_to_give_up(most) {
            let why = "messages that are not whole take too much memory, and its own has rested for longest";
            self.refuse(peer, Cause::Slow, Refusal::HangUp(why.into()), now);
        }
    }
}

/// What was taken in of a peer's turn.
struct Taken {
    items: usize,
    /// Whether a message came to its end, or a command that is outside of one.
    whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_peers_have_little_each() {
        for (peers, items, bytes) in [
            (0, 1024, CHUNK),
            (1, 1024, CHUNK),
            (8, 1024, CHUNK),
            (64, 128, CHUNK),
            (128, 64, CHUNK / 2),
            (1_000, 16, 4194),
            (100_000, 16, READ_MIN),
        ] {
            assert_eq!(Share::of(peers), Share { items, bytes }, "{peers}");
        }
    }
}
