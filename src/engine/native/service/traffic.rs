//! The turns of peers: a peer's bytes are read, decoded and passed to the core.

use std::fmt;
use std::time::Duration;

use crate::core::{Event, Outlet};
use crate::engine::native::clock::Clock;
use crate::engine::native::connection::{HEAVY_MIN, Read};
use crate::engine::native::peers::Priority;
use crate::engine::native::quiet::Cause;
use crate::engine::native::service::Service;
use crate::engine::native::service::end::Refusal;
use crate::engine::native::steps::Step;
use crate::engine::role::Role;
use crate::peer::PeerId;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::READ_BUFFER_SIZE;
use gateway_zmtp::session::SessionEvent;
use gateway_zmtp::subscription::SubscriptionChange;

/// The maximum number of reads in a turn of a peer that sends a large frame. Without a large frame,
/// a peer that is not a publisher has one read.
const READS: usize = 4;

/// The maximum number of reads in a turn of a publisher that sends faster than the gateway reads.
/// The turn ends earlier once [`PEER_TIME_MAX`] has passed. The more messages a turn reads, the
/// more of them each subscriber receives by one write. That system call takes longer than reading
/// and checking a message.
const PUBLISHER_READS: usize = 8;

/// The minimum size, in bytes, of a read from a publisher after which the turn reads again. A
/// publisher with little to send thus costs no second system call.
const PUBLISHER_READ_MIN: usize = 16 << 10;

/// The maximum number of messages and commands in a turn of one peer. A whole read of the smallest
/// messages would keep the other peers waiting for tens of milliseconds.
const ITEMS_MAX: usize = 1024;

/// The maximum number of messages and commands of all peers together in a turn of the engine,
/// unless [`ITEMS_MIN`] for each peer is more. Reading so many messages takes a few milliseconds,
/// which delay the last peer of the turn.
const ITEMS_OF_ALL: usize = 8192;

/// The minimum number of messages and commands for each peer, however many peers there are. Fewer
/// would not be worth a read.
const ITEMS_MIN: usize = 16;

/// The maximum number of readable peers at which a turn reads up to a whole buffer from each peer.
/// With more peers, a turn reads less from each peer, but at least [`READ_BYTES_MIN`], to bound the
/// memory of the bytes kept for later turns.
const WHOLE_READS_MAX: usize = 64;

/// The minimum share of a peer in the bytes that a turn reads, however many peers there are: the
/// usual size of [`ITEMS_MIN`] messages.
const READ_BYTES_MIN: usize = 4 << 10;

/// The number of bytes that a peer's message may have in addition to the message that the core
/// checks, such as a worker's token and delimiter.
const HEAD_BYTES: u64 = 1024;

/// The number of frames that a peer's message may have in addition to the frames that the core
/// checks. Two of them are a worker's token and delimiter. By the third, the core notices that a
/// message has too many frames.
const HEAD_FRAMES: usize = 3;

/// The maximum memory of incomplete messages on all connections together, in bytes, unless
/// [`PARTIAL_MESSAGES_MIN`] of the largest messages need more. It is many times the memory that
/// usual peers use.
const PARTIAL_MESSAGES_BYTES_MAX: u64 = 256 << 20;

/// The minimum number of incomplete messages of the maximum size, `limits.message`, for which there
/// is room. There is less room only if the memory of the peers is short.
const PARTIAL_MESSAGES_MIN: u64 = 4;

/// The number of bytes that count as the work for one small message. A full buffer thus counts as
/// so much work that the clock is read after it.
const BYTES_OF_AN_ITEM: usize = 64;

/// The time for which a turn of the engine reads before the remaining peers are left to the next
/// turn, so that queued messages are written. At least one readable peer of each priority is read
/// in each turn. This time is a fraction of the time that a request takes over a network, so that
/// even many busy peers do not delay a quiet peer noticeably.
const READ_TIME_MAX: Duration = Duration::from_millis(1);

/// The time for which a turn of the engine reads before the turn of a single peer ends. The clock
/// is read before each further read of the peer, and whenever the peer's messages have caused
/// [`WORK_UNTIMED`] of additional work.
const PEER_TIME_MAX: Duration = Duration::from_millis(1);

/// The work after which the clock is read to check for [`READ_TIME_MAX`] and, within a peer's turn,
/// for [`PEER_TIME_MAX`]. The unit is the work for one small message. The work of a turn is an
/// upper estimate from the sizes of payloads. This amount takes a fraction of these times, so most
/// turns never read the clock for these checks.
pub(super) const WORK_UNTIMED: usize = 512;

/// The work of a turn of a stranger, in units of the work for one small message: a step of its
/// handshake, or closing its connection.
const STRANGER_WORK: usize = 32;

/// The share of each peer in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// The maximum number of messages and commands.
    items: usize,
    /// The maximum number of bytes of one read.
    bytes: usize,
    /// The maximum number of reads, if the peer sends a large frame.
    reads: usize,
    /// The maximum number of reads, if the peer is a publisher.
    publisher_reads: usize,
    /// The additional work (`Peers::extra_work`) after which the clock is read.
    untimed: usize,
    /// The time on the engine's clock from which the turn of the peer ends when the clock is read.
    until: Duration,
}

impl Share {
    /// Returns the share of each peer in a turn with `peers` readable peers. The reading began at
    /// `start`.
    pub(super) fn of(peers: usize, start: Duration) -> Self {
        let peers = peers.max(1);
        Self {
            items: (ITEMS_OF_ALL / peers).clamp(ITEMS_MIN, ITEMS_MAX),
            bytes: (WHOLE_READS_MAX * READ_BUFFER_SIZE / peers)
                .clamp(READ_BYTES_MIN, READ_BUFFER_SIZE),
            reads: READS,
            publisher_reads: PUBLISHER_READS,
            untimed: WORK_UNTIMED,
            until: start + PEER_TIME_MAX,
        }
    }

    /// Returns the share of a light peer. Light peers have short turns, because their turns come
    /// before the turns of heavy peers.
    fn of_light(self) -> Self {
        Self {
            items: self.items.min(HEAVY_MIN),
            bytes: self.bytes,
            reads: 1,
            publisher_reads: 1,
            untimed: HEAVY_MIN,
            until: Duration::ZERO,
        }
    }

    /// Returns the share of each peer while memory is short. Few bytes of each peer are read, so
    /// few bytes are kept for later turns.
    pub(super) fn while_short(self) -> Self {
        Self {
            bytes: READ_BYTES_MIN,
            ..self
        }
    }
}

/// The reason for which the turn of a peer may read again.
enum NextRead {
    None,
    /// The rest of a large frame is read into its memory.
    LargeFrame,
    /// A publisher sends faster than the gateway reads.
    Publisher,
}

impl Service {
    /// Records an event of the system about a connection.
    pub(in crate::engine::native) fn note(
        &mut self,
        peer: PeerId,
        event: &mio::event::Event,
        now: Duration,
    ) {
        if event.is_writable() {
            self.answered(peer, now);
        }
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let can_write = connection.note(event);
        self.peers.queue(peer);
        if can_write {
            self.peers.mark_dirty(peer);
        }
    }

    /// Gives each readable peer its turn, and returns whether there was such a peer. If the turns
    /// take long, the remaining peers get their turns after queued messages were written and the
    /// system was polled again.
    pub(in crate::engine::native) fn read(&mut self, now: Duration, clock: &Clock) -> bool {
        self.peers.begin_turn();
        let light = self.peers.ready_count(Priority::Light);
        let turns: usize = Priority::ALL
            .iter()
            .map(|priority| self.peers.ready_count(*priority))
            .sum();
        let is_short = self.peers.is_short_of_memory();
        let mut start = now;
        for priority in Priority::ALL {
            let mut share = Share::of(turns, start);
            if is_short {
                share = share.while_short();
            }
            if priority != Priority::Heavy {
                share = share.of_light();
            }
            self.read_all(priority, share, start, now, clock);
            // Reading strangers and heavy peers takes long. The messages of light peers are sent
            // before that. The time for reading does not include the time of this write.
            if priority == Priority::Light && 0 < light && light < turns {
                let reading = clock.now().saturating_sub(now);
                self.write(now, clock);
                start = clock.now().saturating_sub(reading);
            }
        }
        turns > 0
    }

    /// Gives the readable peers of this priority their turns, until reading has taken too long
    /// since `start`. At least one peer has its turn.
    fn read_all(
        &mut self,
        priority: Priority,
        share: Share,
        start: Duration,
        now: Duration,
        clock: &Clock,
    ) {
        let extra_work = match priority {
            Priority::Stranger => STRANGER_WORK,
            Priority::Light | Priority::Heavy => 0,
        };
        let mut work = 0;
        for _ in 0..self.peers.ready_count(priority) {
            let Some(peer) = self.peers.next_ready(priority) else {
                break;
            };
            work += self.serve(peer, share, now, clock) + extra_work;
            self.report_events(now);
            if work >= WORK_UNTIMED {
                if clock.now().saturating_sub(start) >= READ_TIME_MAX {
                    break;
                }
                work = 0;
            }
        }
    }

    /// Gives a peer its turn. Returns the work of the turn, in units of the work for one small
    /// message.
    pub(super) fn serve(
        &mut self,
        peer: PeerId,
        share: Share,
        now: Duration,
        clock: &Clock,
    ) -> usize {
        if let Some(connection) = self.peers.get(peer) {
            connection.begin_turn();
        }
        let (mut work, mut whole, mut items) = (1, false, 0);
        for read in 1.. {
            let last;
            let Some((connection, buffers)) = self.peers.with_buffers(peer) else {
                return work;
            };
            match connection.read(buffers, share.bytes, now) {
                Ok(Read::Some(mut input, n)) => {
                    last = n;
                    self.peers.count_read(n);
                    let taken = self.take(peer, &mut input, share, now, clock);
                    items += taken.items + taken.extra_work;
                    work += taken.items + taken.extra_work + n / BYTES_OF_AN_ITEM;
                    whole |= taken.whole;
                    self.keep_rest(peer, input, share);
                }
                Ok(Read::Nothing) if connection.is_mute() => {
                    self.hang_up(peer, &"it can't be written to", now);
                    return work;
                }
                Ok(Read::Nothing) => break,
                Ok(Read::End) => {
                    self.gone(peer, &"the peer disconnected", now);
                    return work;
                }
                Err(error) => {
                    self.gone(peer, &error, now);
                    return work;
                }
            }
            let continues = match self.next_read(peer, last, share) {
                NextRead::None => false,
                NextRead::LargeFrame => read < share.reads && items < ITEMS_MAX,
                NextRead::Publisher => read < share.publisher_reads,
            };
            if !continues || clock.now() >= share.until {
                break;
            }
        }
        self.peers.add_work(peer, work);
        self.peers.queue(peer);
        self.watch_partial_message(peer, whole, now);
        self.reassure(peer, now);
        work
    }

    /// Returns the reason for which the turn of a peer may read again. `last` is the number of
    /// bytes of the last read.
    fn next_read(&mut self, peer: PeerId, last: usize, share: Share) -> NextRead {
        let Some(connection) = self.peers.get(peer) else {
            return NextRead::None;
        };
        if connection.reads_directly() {
            NextRead::LargeFrame
        } else if last >= PUBLISHER_READ_MIN
            && share.bytes == READ_BUFFER_SIZE
            && matches!(connection.role(), Role::Publishers(_))
        {
            NextRead::Publisher
        } else {
            NextRead::None
        }
    }

    /// Keeps the bytes that were read but not decoded, for the peer's next turn.
    fn keep_rest(&mut self, peer: PeerId, input: Input, share: Share) {
        let Some((connection, buffers)) = self.peers.with_buffers(peer) else {
            return self.peers.give_back(input);
        };
        if input.rest().is_empty() {
            buffers.give_back(input);
        } else if share.bytes < READ_BUFFER_SIZE {
            // Whole buffers for many peers would take too much memory.
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
        if connection.is_some_and(|found| found.is_greeting() && found.dial().is_none()) {
            // Without the log line of a refusal, an operator could not see why the peer connects
            // again and again and is not served.
            let why = format!(
                "{why}, in the middle of its greeting: the peer was stopped, or it speaks ZMTP 2.0, as JeroMQ before 0.4 does"
            );
            self.refuse(peer, Cause::OtherProtocol, Refusal::HangUp(why.into()), now);
        } else {
            let why = self.why_gone(peer, why);
            self.hang_up(peer, &why, now);
        }
    }

    /// Decodes the bytes that were read, as far as the turn allows, and acts on the events in them.
    fn take(
        &mut self,
        peer: PeerId,
        input: &mut Input,
        share: Share,
        now: Duration,
        clock: &Clock,
    ) -> Taken {
        let role = self.peers.get(peer).map(|connection| connection.role());
        let (message, frames) = match role {
            // Each answer is checked against the limits of its request.
            Some(Role::Pool(_)) => self.core.reply_limits(),
            _ => (self.snapshot.limits.message, self.snapshot.limits.frames),
        };
        let subscribes = matches!(role, Some(Role::Subscribers(_)));
        let bounds = Bounds {
            bytes: message.saturating_add(HEAD_BYTES),
            frames: frames.saturating_add(HEAD_FRAMES),
        };
        let mut taken = Taken {
            items: 0,
            extra_work: 0,
            whole: false,
        };
        let mut untimed = share.untimed;
        self.peers.allow(peer, share.items);
        while self.peers.take_another() {
            let Some(connection) = self.peers.get(peer) else {
                break;
            };
            let small = match subscribes {
                true => None,
                false => connection.next_message(input, bounds),
            };
            if let Some(frames) = small {
                taken.whole = true;
                self.message(Event::Message { peer, frames }, now);
            } else if let Some(whole) = self.take_next(peer, input, bounds, subscribes, now) {
                taken.whole |= whole;
            } else {
                break;
            }
            if self.peers.extra_work() >= untimed {
                if clock.now() >= share.until {
                    break;
                }
                untimed = self.peers.extra_work() + share.untimed;
            }
        }
        taken.items = share.items - self.peers.allowance();
        taken.extra_work = self.peers.extra_work();
        taken
    }

    /// Acts on the next event of a peer. Returns true if no incomplete message remains after the
    /// event, false if one remains or the peer was refused, and `None` once the input is used up.
    fn take_next(
        &mut self,
        peer: PeerId,
        input: &mut Input,
        bounds: Bounds,
        subscribes: bool,
        now: Duration,
    ) -> Option<bool> {
        let (connection, buffers) = self.peers.with_buffers(peer)?;
        match connection.next_event(input, bounds, buffers) {
            Ok(event) => {
                let event = event?;
                // A command between a message's frames does not complete anything.
                let whole = !connection.is_inside_message();
                if subscribes {
                    self.take_subscriber_event(peer, event, now);
                } else {
                    self.take_event(peer, event, now);
                }
                Some(whole)
            }
            Err(fault) => {
                self.refuse_for(peer, &fault, now);
                Some(false)
            }
        }
    }

    /// Acts on an event of a peer.
    pub(super) fn take_event(&mut self, peer: PeerId, event: SessionEvent, now: Duration) {
        match event {
            SessionEvent::Message(frames) => self.message(Event::Message { peer, frames }, now),
            SessionEvent::Oversize(frames) => self.message(Event::Oversize { peer, frames }, now),
            SessionEvent::Ready(ready) => self.ready(peer, *ready, now),
            SessionEvent::Error(reason) => {
                let why = format!("it refuses the gateway: {reason}");
                self.refuse(peer, Cause::Refused, Refusal::HangUp(why.into()), now);
            }
            SessionEvent::Ping { ttl, context } => {
                let ttl = (ttl > 0).then(|| Duration::from_millis(100) * u32::from(ttl));
                if let Some(connection) = self.peers.get(peer) {
                    connection.set_ttl(ttl);
                }
                if let Some(ttl) = ttl {
                    self.peers.set_timer(peer, now + ttl);
                }
                self.peers.pong(peer, &context);
            }
            SessionEvent::Answer(bytes) => {
                self.peers.put(peer, |into| into.extend_from_slice(&bytes))
            }
            SessionEvent::Work(work) => self.take_step(peer, Step::Agree(work)),
            SessionEvent::Open(work) => self.take_step(peer, Step::Open(work)),
            SessionEvent::Credentials(credentials) => self.verify(peer, credentials, now),
            // Only subscribers subscribe.
            SessionEvent::Subscribe(_) | SessionEvent::Cancel(_) | SessionEvent::Other => {}
        }
    }

    /// Acts on an event of a subscriber.
    fn take_subscriber_event(&mut self, peer: PeerId, event: SessionEvent, now: Duration) {
        match event {
            SessionEvent::Subscribe(prefix) => {
                self.change_subscription(peer, SubscriptionChange::Subscribe, prefix, now)
            }
            SessionEvent::Cancel(prefix) => {
                self.change_subscription(peer, SubscriptionChange::Cancel, prefix, now)
            }
            SessionEvent::Message(frames) => self.take_subscriptions(peer, frames, now),
            other => self.take_event(peer, other, now),
        }
    }

    /// Takes a message of a subscriber. Each frame may be a subscription or a cancellation in the
    /// form of ZMTP 3.0, as for libzmq's XPUB. If any frame is neither, the message is reported to
    /// the core.
    fn take_subscriptions(&mut self, peer: PeerId, frames: Message, now: Duration) {
        let mut is_data = false;
        for frame in frames.frames() {
            match SubscriptionChange::of_frame(frame) {
                Some((change, prefix)) => {
                    self.change_subscription(peer, change, prefix.to_vec(), now)
                }
                None => is_data = true,
            }
        }
        self.peers.spend(frames.len().saturating_sub(1));
        if is_data {
            self.message(Event::Message { peer, frames }, now);
        }
    }

    fn change_subscription(
        &mut self,
        peer: PeerId,
        change: SubscriptionChange,
        prefix: Vec<u8>,
        now: Duration,
    ) {
        let event = match change {
            SubscriptionChange::Subscribe => Event::Subscribe { peer, prefix },
            SubscriptionChange::Cancel => Event::Cancel { peer, prefix },
        };
        self.decide(now, event);
    }

    #[inline(always)]
    fn message(&mut self, event: Event<Message>, now: Duration) {
        self.peers.count_message();
        self.decide(now, event);
    }

    /// Records after a peer's turn whether a message is incomplete. If so, bounds the memory of all
    /// incomplete messages.
    fn watch_partial_message(&mut self, peer: PeerId, whole: bool, now: Duration) {
        let Some(due) = self.peers.note_partial(peer, whole, now) else {
            return;
        };
        self.peers.set_timer(peer, due);
        self.bound_partial_messages(now);
    }

    /// Refuses the peers whose incomplete messages have not grown for the longest time, if all
    /// incomplete messages take too much memory.
    pub(super) fn bound_partial_messages(&mut self, now: Duration) {
        let least = self
            .snapshot
            .limits
            .message
            .saturating_mul(PARTIAL_MESSAGES_MIN);
        let most = PARTIAL_MESSAGES_BYTES_MAX
            .max(least)
            .min(self.peers.partial_max());
        for peer in self.peers.partial_to_drop(most, now) {
            let why = "incomplete messages take too much memory, and this peer's message grew least recently";
            self.refuse(peer, Cause::Slow, Refusal::HangUp(why.into()), now);
        }
    }
}

/// The result of decoding in a peer's turn.
struct Taken {
    /// The number of messages and commands.
    items: usize,
    /// The additional work of these messages (`Peers::extra_work`).
    extra_work: usize,
    /// True if a message was completed, or if a command arrived that is not between the frames of a
    /// message.
    whole: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_peers_has_a_small_share() {
        for (peers, items, bytes) in [
            (0, 1024, READ_BUFFER_SIZE),
            (1, 1024, READ_BUFFER_SIZE),
            (8, 1024, READ_BUFFER_SIZE),
            (64, 128, READ_BUFFER_SIZE),
            (128, 64, READ_BUFFER_SIZE / 2),
            (1_000, 16, 4194),
            (100_000, 16, READ_BYTES_MIN),
        ] {
            let share = Share::of(peers, Duration::ZERO);
            assert_eq!((share.items, share.bytes), (items, bytes), "{peers}");
        }
    }
}
