//! Notes for the operator, which the engine writes to the log. Their rate is bounded.
//!
//! The first event of a kind is noted at once, with its details. Further events within
//! [`REPEAT_INTERVAL`] are counted, and the count is noted when that time is over. A kind is the
//! pair of an event, such as a rejection for one reason, and a route, pool, frontend or channel.
//! Within a kind, the first event of each peer is noted as well, for up to [`CLIENTS_MAX`] peers
//! within [`REPEAT_INTERVAL`]. This applies to rejections, to doubts about clients, and to workers'
//! messages that answer no request. The memory is bounded whatever peers do, because kinds are not
//! distinguished by any text that a peer chose. This module knows no log and reads no clock.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::stray::Stray;
use crate::peer::{PeerId, PeerName};
use crate::rejections::{Rejected, SenderInfo};
use crate::reply::Reason;

/// The time for which further events of a kind are only counted after an event was noted.
pub(crate) const REPEAT_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum number of kinds at once. Beyond this number, further routes, pools, frontends and
/// channels share one kind for each event. Otherwise, rejections on ten thousand routes could fill
/// the log and the memory.
const KINDS_MAX: usize = 1_024;

/// The maximum number of clients or workers that are noted for one kind of event within
/// [`REPEAT_INTERVAL`]. An operator hardly reads more log lines of a kind.
const CLIENTS_MAX: usize = 32;

/// Once this number of clients is noted in all kinds together, only the first client of each kind
/// is noted. Because of these first clients, the total can exceed this number by about
/// [`KINDS_MAX`].
const CLIENTS_NOTED_MAX: usize = 1_024;

/// The maximum number of notes that wait to be taken. Beyond this number, events are only counted.
const READY_MAX: usize = 1_024;

/// A note for the operator.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// The event.
    pub what: NotedEvent,
    /// The name of the route, pool, frontend or channel that the event concerns. Empty if there is
    /// none, or if several names share the kind.
    pub name: String,
    /// The number of events of the kind since the kind's last note, or `None` if this note is about
    /// a single event.
    pub left_out: Option<u64>,
    /// The details of a single event.
    pub particulars: Particulars,
}

/// An event, without the route, pool, frontend or channel that it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NotedEvent {
    /// A request was rejected.
    Rejected(Reason),
    /// The first header of a message is the type of a route, but clients of a frontend with a
    /// `type` should not send a type. The note names the frontend.
    TypeAsHeader,
    /// The type of a message has no route, but a frame after the type is the type of a route. The
    /// note names the frontend.
    TypeAfterOthers,
    /// A worker connected, or the first worker of a pool if the engine cannot distinguish its
    /// workers.
    WorkerConnected,
    /// A worker disconnected, or the last worker of a pool if the engine cannot distinguish its
    /// workers.
    WorkerDisconnected,
    /// A worker announced that it leaves, and was released.
    WorkerLeft,
    /// A worker sent a message that answers no request.
    Stray(Stray),
    /// Requests wait at a pool that has no worker.
    NoWorker,
    /// DEALERs at frontends have sent nothing while requests wait at a pool that has no worker.
    SilentPeers,
    /// The gateway drains and waits for a pool.
    Draining,
    /// The gateway drains and waits for clients to read their answers.
    Unread,
    /// A worker that had not yet answered any request let a request time out.
    Unanswered,
    /// A subscriber missed messages because it was slow. The note names the channel.
    SlowSubscriber,
    /// A subscriber sent a message that is not a subscription. The note names the channel.
    SubscriberData,
}

/// The details of an event. Text that a peer chose may hold any characters and must be escaped when
/// it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Particulars {
    /// The request that was rejected.
    pub rejected: Option<Arc<Rejected>>,
    /// The client whose messages may not fit its frontend, and the reason.
    pub doubt: Option<Doubt>,
    /// The name of the worker or subscriber, or `None` if the event does not concern a single peer.
    pub worker: Option<Arc<PeerName>>,
    /// The worker's seat: its number in its pool.
    pub seat: Option<usize>,
    /// The present number of workers of the pool.
    pub workers: usize,
    /// The number of requests that the worker held when it disconnected, or that the workers of a
    /// pool hold during a drain.
    pub held: usize,
    /// The number of requests that wait for a worker, or of answers that wait for their clients.
    pub waiting: usize,
    /// A description of the addresses for the workers of a pool that has no worker.
    pub addresses: String,
    /// The number of DEALERs that have sent nothing since they connected to a frontend.
    pub silent: usize,
    /// The addresses of the first of the silent DEALERs, separated by commas. Empty if the engine
    /// does not know the addresses.
    pub silent_peers: String,
    /// The remaining time of a drain.
    pub left: Duration,
    /// The number of messages that a subscriber missed.
    pub missed: u64,
    /// The number of frames of the message that answers no request.
    pub frames: usize,
    /// The beginning of the first frame of the message that answers no request, in printable form.
    pub first: String,
}

/// A client whose messages may not fit the settings of its frontend.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// The client.
    pub client: Arc<SenderInfo>,
    /// The likely form of the client's message, and the remedy.
    pub why: String,
}

/// The notes that wait to be taken, and the counts in progress.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The tallies by event, then by name. A look-up in two steps allocates nothing.
    kinds: FxHashMap<NotedEvent, FxHashMap<Box<str>, Tally>>,
    count: usize,
    /// The number of clients in all tallies.
    clients: usize,
    ready: Vec<Note>,
    /// The time at which the next count or reminder is due, or an earlier time.
    due: Option<Duration>,
}

/// The state of a kind.
#[derive(Debug)]
struct Tally {
    /// The time until which further events of the kind are only counted.
    until: Duration,
    /// The number of events that were counted since the last note.
    left_out: u64,
    /// The clients that were noted, at most [`CLIENTS_MAX`].
    clients: Vec<PeerId>,
}

impl Tally {
    fn new(now: Duration, client: Option<PeerId>) -> Self {
        Self {
            until: now + REPEAT_INTERVAL,
            left_out: 0,
            clients: client.into_iter().collect(),
        }
    }

    /// Returns whether `client` is given and was not noted yet, and there is room to note it.
    fn lacks(&self, client: Option<PeerId>) -> bool {
        self.clients.len() < CLIENTS_MAX
            && client.is_some_and(|client| !self.clients.contains(&client))
    }
}

impl Notes {
    /// Records an event. If `client` is given, the first event of that peer is noted even while
    /// other events of the kind are only counted. `particulars` is only called if the event is
    /// noted.
    pub(super) fn note(
        &mut self,
        now: Duration,
        what: NotedEvent,
        name: &str,
        client: Option<PeerId>,
        particulars: impl FnOnce() -> Particulars,
    ) {
        let room = self.ready.len() < READY_MAX;
        let kinds = self.kinds.entry(what).or_default();
        // The shared tally, which has no name, may exceed the maximum.
        let known = kinds.contains_key(name) || self.count < KINDS_MAX;
        let name = if known { name } else { "" };
        match kinds.get_mut(name) {
            Some(tally) if room && tally.until <= now && tally.left_out == 0 => {
                self.clients -= tally.clients.len();
                *tally = Tally::new(now, client);
                self.clients += tally.clients.len();
            }
            Some(tally) if room && self.clients < CLIENTS_NOTED_MAX && tally.lacks(client) => {
                self.clients += 1;
                tally.clients.extend(client);
            }
            Some(tally) => {
                tally.left_out += 1;
                self.due = Some(self.due.map_or(tally.until, |due| due.min(tally.until)));
                return;
            }
            None => {
                let tally = Tally {
                    left_out: u64::from(!room),
                    ..Tally::new(now, client)
                };
                self.clients += tally.clients.len();
                self.due = self.due.or((!room).then_some(tally.until));
                kinds.insert(name.into(), tally);
                self.count += 1;
            }
        }
        if room {
            self.ready.push(Note {
                what,
                name: name.to_owned(),
                left_out: None,
                particulars: particulars(),
            });
        }
    }

    /// Returns the time at which [`Self::pass`] or a reminder is due, or `None` if neither is.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Returns whether [`Self::pass`] has something to do, or a reminder is due.
    #[inline]
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Requests a reminder: from this time on, [`Self::is_due`] returns true, so that the caller
    /// examines its waits again.
    pub(super) fn remind(&mut self, at: Duration) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Notes the counts that are due, and forgets kinds that have not occurred within
    /// [`REPEAT_INTERVAL`]. Also forgets all reminders, even reminders for later times, so that
    /// they must be requested again.
    pub(super) fn pass(&mut self, now: Duration) {
        if !self.is_due(now) {
            return;
        }
        self.due = None;
        for (what, kinds) in &mut self.kinds {
            kinds.retain(|name, tally| {
                if tally.until <= now {
                    self.clients -= tally.clients.len();
                    tally.clients = Vec::new();
                    if tally.left_out == 0 {
                        self.count -= 1;
                        return false;
                    }
                    if self.ready.len() < READY_MAX {
                        self.ready.push(Note {
                            what: *what,
                            name: name.to_string(),
                            left_out: Some(tally.left_out),
                            particulars: Particulars::default(),
                        });
                        tally.left_out = 0;
                    }
                    tally.until = now.saturating_add(REPEAT_INTERVAL);
                }
                if tally.left_out > 0 {
                    self.due = Some(self.due.map_or(tally.until, |due| due.min(tally.until)));
                }
                true
            });
        }
    }

    /// Removes and returns the notes that are ready.
    pub(super) fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: NotedEvent = NotedEvent::Rejected(Reason::QueueFull);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn taken(notes: &mut Notes) -> Vec<(NotedEvent, String, Option<u64>)> {
        let taken = notes.take().into_iter();
        taken
            .map(|note| (note.what, note.name, note.left_out))
            .collect()
    }

    #[test]
    fn the_first_event_of_a_kind_is_noted_and_later_events_are_counted() {
        let mut notes = Notes::default();
        for n in 0..1_000 {
            notes.note(at(1), FULL, "A", None, || Particulars {
                workers: n,
                ..Particulars::default()
            });
        }
        notes.note(at(1), FULL, "B", None, Particulars::default);
        notes.note(
            at(1),
            NotedEvent::WorkerDisconnected,
            "A",
            None,
            Particulars::default,
        );
        let first = notes.take();
        assert_eq!(first.len(), 3);
        assert_eq!((first[0].particulars.workers, first[0].left_out), (0, None));
        assert_eq!(notes.due(), Some(at(11)));
        notes.pass(at(10));
        assert_eq!(taken(&mut notes), []);
        notes.pass(at(11));
        assert_eq!(taken(&mut notes), [(FULL, "A".into(), Some(999))]);
        assert_eq!(notes.due(), None);
        // After the note of the count, events are again only counted for ten seconds.
        notes.note(at(20), FULL, "A", None, Particulars::default);
        notes.pass(at(21));
        assert_eq!(taken(&mut notes), [(FULL, "A".into(), Some(1))]);
        notes.note(at(31), FULL, "A", None, Particulars::default);
        assert_eq!(taken(&mut notes), [(FULL, "A".into(), None)]);
    }

    #[test]
    fn each_client_is_noted_once_in_ten_seconds_up_to_a_bound() {
        let mut notes = Notes::default();
        let reject = |notes: &mut Notes, seconds, client| {
            let client = Some(PeerId(client));
            notes.note(at(seconds), FULL, "A", client, Particulars::default);
        };
        let of_one = |count| vec![(FULL, "A".to_owned(), None); count];
        for _ in 0..50 {
            reject(&mut notes, 1, 1);
            reject(&mut notes, 1, 2);
        }
        assert_eq!(taken(&mut notes), of_one(2));
        for client in 0..100 {
            reject(&mut notes, 2, client);
        }
        assert_eq!(taken(&mut notes), of_one(CLIENTS_MAX - 2));
        notes.pass(at(11));
        let others = 98 + 100 - (CLIENTS_MAX as u64 - 2);
        assert_eq!(taken(&mut notes), [(FULL, "A".into(), Some(others))]);
        // A client that continues is noted again.
        for client in [1, 1, 2] {
            reject(&mut notes, 12, client);
        }
        assert_eq!(taken(&mut notes), of_one(2));
        notes.pass(at(21));
        assert_eq!(taken(&mut notes), [(FULL, "A".into(), Some(1))]);
        assert_eq!(notes.clients, 0);
    }

    #[test]
    fn clients_of_all_kinds_together_are_bounded() {
        let mut notes = Notes::default();
        for round in 0..3 {
            for (kind, client) in (0..500).flat_map(|kind| (0..20).map(move |n| (kind, n))) {
                let client = Some(PeerId(client));
                let name = format!("{kind}");
                notes.note(at(20 * round), FULL, &name, client, Particulars::default);
                notes.take();
                assert!(notes.clients <= CLIENTS_NOTED_MAX + KINDS_MAX);
            }
            assert!(notes.clients >= CLIENTS_NOTED_MAX);
            notes.pass(at(20 * round + 15));
            notes.take();
        }
    }

    #[test]
    fn kinds_and_notes_are_bounded_and_no_event_is_lost() {
        let mut notes = Notes::default();
        let mut counted = 0;
        for round in 0..5 {
            for n in 0..20_000 {
                let name = format!("route {round} {n}");
                notes.note(at(20 * round), FULL, &name, None, Particulars::default);
            }
            assert!(notes.count <= KINDS_MAX + 1, "{}", notes.count);
            assert!(notes.ready.len() <= READY_MAX, "{}", notes.ready.len());
            notes.pass(at(20 * round + 15));
            counted += notes
                .take()
                .iter()
                .map(|note| note.left_out.unwrap_or(1))
                .sum::<u64>();
        }
        notes.pass(at(200));
        counted += notes
            .take()
            .iter()
            .map(|note| note.left_out.unwrap_or(1))
            .sum::<u64>();
        assert_eq!(counted, 100_000);
    }
}
