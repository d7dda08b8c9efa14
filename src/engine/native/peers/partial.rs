//! The memory of the incomplete messages of all connections together.

use std::cmp::Reverse;
use std::time::Duration;

use crate::engine::native::peers::{Peers, find};
use crate::engine::role::Role;
use crate::peer::PeerId;

/// The maximum size of a small incomplete message, in bytes.
const SMALL_MAX: u64 = 64 << 10;

/// The maximum age of a small incomplete message. The rest of such a message arrives within
/// milliseconds, unless its peer has stopped.
const SMALL_AGE_MAX: Duration = Duration::from_secs(2);

impl Peers {
    /// Records the memory of an incomplete message after a peer's turn. `whole` is true if an
    /// earlier message was completed in that turn. Returns the time at which the incomplete message
    /// must be examined, or `None` if there is no incomplete message.
    pub(in crate::engine::native) fn note_partial(
        &mut self,
        peer: PeerId,
        whole: bool,
        now: Duration,
    ) -> Option<Duration> {
        let connection = find(&mut self.places, peer)?;
        let before = connection.partial_bytes();
        connection.note_partial(whole, now);
        self.partial_bytes = self.partial_bytes + connection.partial_bytes() - before;
        connection.charge(&mut self.account);
        connection.partial_due()
    }

    /// Returns the peers whose messages must be dropped, if incomplete messages take more memory
    /// than `bytes_max`.
    pub(in crate::engine::native) fn partial_to_drop(
        &self,
        bytes_max: u64,
        now: Duration,
    ) -> Vec<PeerId> {
        if self.partial_bytes <= bytes_max {
            return Vec::new();
        }
        let partial = self
            .all()
            .filter(|connection| connection.partial_bytes() > 0);
        let messages = partial.map(|connection| {
            let grew = connection.partial_grew().unwrap_or_default();
            PartialMessage {
                sender: match connection.role() {
                    Role::Pool(_) => Sender::Worker,
                    Role::Frontend(_) | Role::Publishers(_) | Role::Subscribers(_) => {
                        Sender::Client
                    }
                },
                size: Size::of(connection.partial_bytes(), now.saturating_sub(grew)),
                grew,
                bytes: connection.partial_bytes(),
                peer: connection.peer(),
            }
        });
        to_drop(messages.collect(), bytes_max)
    }
}

/// The sender of an incomplete message. Dropping a message disconnects its sender. Workers come
/// last, because the disconnection of a worker loses the requests that the worker holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    Client,
    Worker,
}

/// The size class of an incomplete message. Small messages are dropped last, because a few large
/// messages take as much memory as many small ones. So a peer that sends little is not disconnected
/// because others send much. A small message that has stopped counts as large. Otherwise, peers
/// could begin many small messages and stop, and large messages that still grow would be dropped
/// instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    Large,
    Small,
}

impl Size {
    /// Returns the class of a message of this size. `age` is the time since the message began or
    /// last grew.
    fn of(bytes: u64, age: Duration) -> Self {
        if bytes <= SMALL_MAX && age <= SMALL_AGE_MAX {
            Self::Small
        } else {
            Self::Large
        }
    }
}

/// An incomplete message.
#[derive(Clone, Copy, Debug)]
struct PartialMessage {
    sender: Sender,
    size: Size,
    /// The time at which the message began, or last grew by `PARTIAL_MESSAGE_STEP`.
    grew: Duration,
    /// The memory that the message takes, in bytes.
    bytes: u64,
    peer: PeerId,
}

/// Returns the peers whose messages are to be dropped so that an eighth of the allowed memory is
/// free. If less memory were freed, every further message would cause another examination of all
/// messages. Messages of clients are dropped before messages of workers, and large messages before
/// small messages. In each of these groups, the message that has not grown for the longest time is
/// dropped first. Of messages that grew at the same time, the largest is dropped first. The
/// criterion is the time of the last growth, and not the speed. Otherwise, a slow but steady upload
/// would be dropped before messages of peers that sent fast and then stopped.
fn to_drop(mut messages: Vec<PartialMessage>, bytes_max: u64) -> Vec<PeerId> {
    messages.sort_unstable_by_key(|message| {
        (
            message.sender,
            message.size,
            message.grew,
            Reverse(message.bytes),
            message.peer,
        )
    });
    let mut left: u64 = messages.iter().map(|message| message.bytes).sum();
    let is_dropped = |message: &PartialMessage| {
        let is_dropped = left > bytes_max - bytes_max / 8;
        left -= if is_dropped { message.bytes } else { 0 };
        is_dropped
    };
    let dropped: Vec<_> = messages.iter().copied().take_while(is_dropped).collect();
    dropped.iter().map(|message| message.peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which messages are dropped. A message is given by the time at which it last grew, in
    /// milliseconds, and by its bytes. Peers are numbered from 0.
    #[track_caller]
    fn check(messages: &[(u64, u64)], bytes_max: u64, gone: &[u64]) {
        let messages = messages
            .iter()
            .zip(0..)
            .map(|(&(grew, bytes), peer)| PartialMessage {
                sender: Sender::Client,
                size: Size::of(bytes, Duration::ZERO),
                grew: Duration::from_millis(grew),
                bytes,
                peer: PeerId(peer),
            });
        let found: Vec<_> = to_drop(messages.collect(), bytes_max)
            .iter()
            .map(|message| message.0)
            .collect();
        assert_eq!(found, gone);
    }

    #[test]
    fn messages_that_have_not_grown_for_longest_are_dropped_first() {
        // Messages are dropped until an eighth is free.
        check(&[(30, 30), (10, 30), (20, 30), (40, 30)], 100, &[1, 2]);
        check(&[(30, 30), (10, 20), (20, 30), (40, 20)], 88, &[1, 2]);
        // Among messages of the same age, the largest are dropped first, so that few are dropped.
        check(&[(10, 1), (10, 60), (10, 1), (20, 88)], 100, &[1, 0, 2]);
        // A single message may be too large.
        check(&[(10, 101)], 100, &[0]);
        check(&[], 100, &[]);
    }

    #[test]
    fn messages_of_workers_are_dropped_after_messages_of_clients() {
        let message = |sender, peer| PartialMessage {
            sender,
            size: Size::Large,
            grew: Duration::from_millis(peer),
            bytes: 50,
            peer: PeerId(peer),
        };
        let messages = vec![message(Sender::Worker, 1), message(Sender::Client, 2)];
        assert_eq!(to_drop(messages.clone(), 60), [PeerId(2)]);
        assert_eq!(to_drop(messages, 40), [PeerId(2), PeerId(1)]);
    }

    #[test]
    fn small_messages_are_dropped_after_large_messages() {
        let (small, large) = (SMALL_MAX, SMALL_MAX + 1);
        check(
            &[(1, small), (3, large), (2, large)],
            small + large,
            &[2, 1],
        );
        check(&[(1, small), (2, large)], 0, &[1, 0]);
    }

    #[test]
    fn a_small_message_that_has_stopped_counts_as_large() {
        assert_eq!(Size::of(SMALL_MAX, SMALL_AGE_MAX), Size::Small);
        let stopped = SMALL_AGE_MAX + Duration::from_millis(1);
        assert_eq!(Size::of(SMALL_MAX, stopped), Size::Large);
        assert_eq!(Size::of(SMALL_MAX + 1, Duration::ZERO), Size::Large);
    }

    /// Eighteen peers each send 15 MiB and stop. Another peer sends 10 Mb/s and continues. It has
    /// sent 6 MiB so far.
    #[test]
    fn a_slow_upload_is_not_dropped_because_others_stop() {
        let stopped = (0..18).map(|n| (n, 15 << 20));
        let mut messages: Vec<_> = stopped.collect();
        messages.push((5_000, 6 << 20));
        check(&messages, 256 << 20, &[0, 1, 2, 3]);
    }
}
