//! A peer's turn: what it sent is read, taken apart and told to the core; and what its silence means.

use std::time::Duration;

use super::Native;
use super::bytes::Input;
use super::connection::{Connection, Phase, Read, Role};
use super::meet::Refusal;
use super::zmtp::command::{self, Command};
use super::zmtp::decoder::{Bounds, Item};
use crate::core::{Event, PeerId};

/// Reads in a turn of a peer that sends a large frame; of others there is one.
const READS: usize = 4;

/// Messages and commands in a turn of one peer: what one read can hold of the smallest ones would keep the
/// others waiting for tens of milliseconds.
const ITEMS: usize = 1024;

/// Bytes that a worker's answer may have beside the message: token, delimiter. The core judges the message
/// by itself.
const HEAD_BYTES: u64 = 1024;

/// Frames that a worker's answer may have beside the message's, and one more, which tells that there are
/// too many.
const HEAD_FRAMES: usize = 3;

/// How long a message that has begun may rest. It holds memory, and its sender may be gone without a word.
const HALF_MESSAGE_MAX: Duration = Duration::from_secs(30);

/// Intervals of silence after which a worker is lost.
const HEARTBEATS: u32 = 3;

impl Native {
    /// A peer's turn.
    pub(super) fn serve(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            connection.queued = false;
        }
        for _ in 0..READS {
            let Some((connection, spare)) = self.peers.with_spare(peer) else {
                return;
            };
            match connection.read(spare, now) {
                Ok(Read::Some(mut input, n)) => {
                    if let Some(bytes) = &mut self.peers.counters.bytes_in {
                        *bytes += n as u64;
                    }
                    self.take(peer, &mut input, now);
                    match self.peers.get(peer) {
                        Some(connection) if !input.rest().is_empty() => {
                            connection.rest = Some(input);
                        }
                        _ => self.peers.spare.give_back(input),
                    }
                }
                Ok(Read::Nothing) if connection.mute => {
                    return self.hang_up(peer, &"it can't be written to", now);
                }
                Ok(Read::Nothing) => break,
                Ok(Read::End) => return self.gone(peer, &"the peer hung up", now),
                Err(error) => return self.gone(peer, &error, now),
            }
            let large = self
                .peers
                .get(peer)
                .is_some_and(|it| it.decoder.direct().is_some());
            if !large {
                break;
            }
        }
        self.peers.queue(peer);
        self.watch_half_message(peer, now);
    }

    /// A peer has ended its connection.
    fn gone(&mut self, peer: PeerId, why: &dyn std::fmt::Display, now: Duration) {
        let connection = self.peers.get(peer);
        let cut = connection.is_some_and(
            |it| matches!(&it.phase, Phase::Greeting(greeting) if greeting.is_signed()),
        );
        if cut {
            // It would come again for ever, and nobody would know why it isn't served.
            let why = format!(
                "{why}, in the middle of its greeting: peers of ZMTP 2.0, such as JeroMQ before 0.4, may do so at the sight of 3.1"
            );
            self.refuse(peer, Refusal::HangUp(why), now);
        } else {
            self.hang_up(peer, why, now);
        }
    }

    /// Takes in what was read, or as much of it as fits in a turn.
    fn take(&mut self, peer: PeerId, input: &mut Input, now: Duration) {
        for _ in 0..ITEMS {
            let limits = &self.snapshot.limits;
            let bounds = Bounds {
                bytes: limits.message.saturating_add(HEAD_BYTES),
                frames: limits.frames.saturating_add(HEAD_FRAMES),
            };
            let Some((connection, spare)) = self.peers.with_spare(peer) else {
                return;
            };
            let item = match connection.phase {
                Phase::Client | Phase::Worker(_) => connection.decoder.next(input, bounds, spare),
                Phase::Handshake { .. } => {
                    // No message may come yet, so none is kept.
                    let none = Bounds {
                        bytes: 0,
                        frames: 0,
                    };
                    connection.decoder.next(input, none, spare)
                }
                Phase::Greeting(_) => {
                    self.greeted(peer, input, now);
                    match input.rest() {
                        [] => return,
                        _ => continue,
                    }
                }
                Phase::Connecting | Phase::Closing => return input.skip(input.rest().len()),
            };
            match item {
                Ok(Some(Item::Command(body))) => match command::parse(&body) {
                    Ok(command) => self.obey_peer(peer, command, now),
                    Err(fault) => self.refuse(peer, Refusal::Tell(fault.into()), now),
                },
                Ok(Some(Item::Message(frames))) => {
                    self.message(peer, Event::Message { peer, frames }, now);
                }
                Ok(Some(Item::Oversize(frames))) => {
                    self.message(peer, Event::Oversize { peer, frames }, now);
                }
                Ok(None) => return,
                Err(fault) => self.refuse(peer, Refusal::Tell(fault.to_string()), now),
            }
        }
    }

    fn message(&mut self, peer: PeerId, event: Event<super::bytes::Bytes>, now: Duration) {
        let known = self.peers.get(peer).is_some_and(|it| it.is_known());
        if known {
            self.peers.counters.messages_in += 1;
            self.core.on(now, event, &mut self.peers);
        } else {
            let why = "a message before READY".to_owned();
            self.refuse(peer, Refusal::Tell(why), now);
        }
    }

    fn obey_peer(&mut self, peer: PeerId, command: Command, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let known = connection.is_known();
        match command {
            Command::Ready(ready) if !known => self.ready(peer, ready, now),
            Command::Ready(_) => {
                let why = "a second READY".to_owned();
                self.refuse(peer, Refusal::Tell(why), now);
            }
            Command::Error(reason) => {
                let why = format!("it refuses the gateway: {reason}");
                self.refuse(peer, Refusal::HangUp(why), now);
            }
            Command::Ping { ttl, context } if known => {
                let ttl = (ttl > 0).then(|| Duration::from_millis(100) * u32::from(ttl));
                connection.ttl = ttl;
                if let Some(ttl) = ttl {
                    self.peers.set_timer(peer, now + ttl);
                }
                self.peers.pong(peer, &context);
            }
            // That anything came is what counts.
            Command::Ping { .. } | Command::Pong | Command::Other => {}
        }
    }

    fn watch_half_message(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            if connection.is_known() && connection.decoder.is_inside() {
                self.peers.set_timer(peer, now + HALF_MESSAGE_MAX);
            }
        }
    }

    /// Looks at the peers whose time may have come.
    pub(super) fn look_at_silent(&mut self, now: Duration) {
        while let Some((at, peer)) = self.peers.timers.due(now) {
            let Some(connection) = self.peers.get(peer).filter(|it| it.timer == Some(at)) else {
                continue;
            };
            connection.timer = None;
            match connection.is_known() {
                true => self.look_at(peer, now),
                false => self.handshake_is_over(peer, now),
            }
        }
    }

    /// Ends a silent peer, unless it has spoken after all: the system may not have told of it yet, after a
    /// moment in which the gateway did not run, say, and a client that isn't read isn't heard either.
    fn unless_it_spoke(&mut self, peer: PeerId, now: Duration, end: impl FnOnce(&mut Self)) {
        let outbox_max = self.peers.outbox_max;
        let reads = |it: &mut Connection| !it.queued && !it.is_deaf(outbox_max);
        if self.peers.get(peer).is_some_and(reads) {
            self.serve(peer, now);
            self.tell(now);
        }
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if connection.heard == now || connection.has_input() {
            connection.heard = now;
            connection.pinged = None;
            self.peers.set_timer(peer, now);
        } else {
            end(self);
        }
    }

    /// Whether a peer's silence means that it is gone; if it may come to mean that, asks for a sign of life.
    fn look_at(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let silent = now.saturating_sub(connection.heard);
        let mut next = None;
        let mut look_again = |after: Duration| {
            let at = connection.heard + after;
            next = Some(next.map_or(at, |next: Duration| next.min(at)));
        };
        if connection.decoder.is_inside() {
            if silent >= HALF_MESSAGE_MAX {
                let why =
                    format!("the rest of its message has not come within {HALF_MESSAGE_MAX:?}");
                let end = |it: &mut Self| it.refuse(peer, Refusal::HangUp(why), now);
                return self.unless_it_spoke(peer, now, end);
            }
            look_again(HALF_MESSAGE_MAX);
        }
        if let Some(ttl) = connection.ttl {
            if silent >= ttl {
                let why = "it is silent for longer than its own PINGs allow";
                return self.unless_it_spoke(peer, now, |it| it.hang_up(peer, &why, now));
            }
            look_again(ttl);
        }
        let heartbeat = match connection.role {
            Role::Pool(pool) if connection.pings => {
                let pool = self.snapshot.pools.get(&pool);
                pool.and_then(|pool| pool.heartbeat)
            }
            _ => None,
        };
        let mut ping = false;
        if let Some(interval) = heartbeat {
            let lost = connection.pinged.map(|at| at + interval * (HEARTBEATS - 1));
            if lost.is_some_and(|lost| lost <= now) {
                let why = "it does not answer PINGs";
                return self.unless_it_spoke(peer, now, |it| it.hang_up(peer, &why, now));
            }
            if silent >= interval {
                connection.pinged.get_or_insert(now);
                ping = true;
            }
            let passed = silent.as_nanos() / interval.as_nanos().max(1);
            let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
            look_again(interval.saturating_mul(passed + 1));
            next = next.into_iter().chain(lost).min();
        }
        if let Some(next) = next {
            self.peers.set_timer(peer, next);
        }
        if ping {
            self.peers.put(peer, command::put_ping);
        }
    }
}
