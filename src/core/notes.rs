//! What an operator should hear of: noted here, at a bounded rate, for the engine to write to the log.
//!
//! The first of a kind is noted at once, with its particulars; those that follow within [`QUIET`] are
//! counted, and the count is noted when that time is over. A kind is a route and a reason, or a pool whose
//! workers come or go. Of rejections, each client's first is noted, up to [`CLIENTS_MAX`] clients of a kind within
//! [`QUIET`], and so is each worker's first message that answers nothing. Bounded in memory whatever peers do, because nothing of theirs tells kinds
//! apart. It knows no log and reads no clock.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::stray::Stray;
use crate::peer::{PeerId, WorkerName};
use crate::rejections::{Caller, Rejected};
use crate::reply::Reason;

/// How long others of a kind are only counted, after one was noted.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// Kinds told apart at once. Beyond it the routes of a reason share one, so that a flood over ten thousand
/// routes neither fills the log nor the memory.
const KINDS_MAX: usize = 1_024;

/// Clients of one kind that are noted within [`QUIET`]: as many as somebody reads.
const CLIENTS_MAX: usize = 32;

/// Clients of all kinds that are noted within [`QUIET`], from which on only the first of each kind is: so that all
/// together are at most [`KINDS_MAX`] more.
const CLIENTS_NOTED_MAX: usize = 1_024;

/// Notes that wait to be taken. More come only when nobody takes any.
const READY_MAX: usize = 1_024;

/// Something to tell an operator.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// What happens.
    pub what: What,
    /// The route, if one is concerned; the pool for workers.
    pub name: String,
    /// How often it happened since it was last noted, and nothing was said: this note stands for
    /// that many. None for one that tells of itself.
    pub left_out: Option<u64>,
    /// Of one that tells of itself.
    pub particulars: Particulars,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A request was turned down.
    Rejected(Reason),
    /// A plain client's first header is the type of a route. Named by frontend.
    TypeAsHeader,
    /// A message has no route, and a later frame is the type of one. Named by frontend.
    TypeBehindOthers,
    /// A worker connected, or, where they can't be told apart, the first of a pool's.
    WorkerCame,
    /// A worker disconnected, or the last one.
    WorkerGone,
    /// A worker left in peace.
    WorkerLeft,
    /// A worker sent a message that answers nothing.
    Stray(Stray),
    /// Requests wait at a pool that has no worker.
    NoWorker,
    /// The gateway drains and waits for a pool.
    Draining,
    /// The gateway drains and waits for clients to read their answers.
    Unread,
    /// A worker that has never answered let a request time out.
    Unanswered,
}

/// Which one it was. What a peer chose may hold any characters: escape it where it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Particulars {
    /// The request that was rejected.
    pub rejected: Option<Arc<Rejected>>,
    /// The client whose messages may not fit its frontend, and why.
    pub doubt: Option<Doubt>,
    /// What the worker is called; none for clients.
    pub worker: Option<Arc<WorkerName>>,
    /// The worker's seat in its pool.
    pub seat: Option<usize>,
    /// Workers that the pool has now.
    pub workers: usize,
    /// Requests that the worker held when it went.
    pub held: usize,
    /// Requests that wait for a worker, or answers that wait for their clients.
    pub waiting: usize,
    /// Where a pool without workers meets them, in words.
    pub places: String,
    /// How long a drain goes on at most.
    pub left: Duration,
    /// Frames of the message that answers nothing.
    pub frames: usize,
    /// The beginning of its first frame, printable.
    pub first: String,
}

/// A client whose messages may not fit the keys of its frontend.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// The client.
    pub client: Arc<Caller>,
    /// What its message looks like, and what to change.
    pub why: String,
}

/// Notes that wait to be taken, and what is being counted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// By name, so that a look-up allocates nothing.
    kinds: FxHashMap<What, FxHashMap<Box<str>, Tally>>,
    count: usize,
    /// Clients that all tallies hold together.
    clients: usize,
    ready: Vec<Note>,
    /// When the earliest count is due, or earlier.
    due: Option<Duration>,
}

#[derive(Debug)]
struct Tally {
    until: Duration,
    left_out: u64,
    /// Clients that were noted, at most [`CLIENTS_MAX`].
    clients: Vec<PeerId>,
}

impl Tally {
    fn new(now: Duration, client: Option<PeerId>) -> Self {
        Self {
            until: now + QUIET,
            left_out: 0,
            clients: client.into_iter().collect(),
        }
    }

    /// Returns whether this client is yet to be noted and may be.
    fn lacks(&self, client: Option<PeerId>) -> bool {
        self.clients.len() < CLIENTS_MAX
            && client.is_some_and(|client| !self.clients.contains(&client))
    }
}

impl Notes {
    /// Something happened, to a client if it is `client`'s request that was rejected. `particulars` are asked for only if
    /// they are told.
    pub fn note(
        &mut self,
        now: Duration,
        what: What,
        name: &str,
        client: Option<PeerId>,
        particulars: impl FnOnce() -> Particulars,
    ) {
        let room = self.ready.len() < READY_MAX;
        let kinds = self.kinds.entry(what).or_default();
        // One without a name is always there to share.
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

    /// When something is due, or was asked for by [`Self::remind`].
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Returns whether [`Self::pass`] has something to do, or somebody was to be reminded by now.
    #[inline]
    pub fn is_due(&self, now: Duration) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Is due at this time, once.
    pub fn remind(&mut self, at: Duration) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Notes what was counted and is due; forgets what has not happened for a while, and the reminders, which may be
    /// for later.
    pub fn pass(&mut self, now: Duration) {
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
                    tally.until = now.saturating_add(QUIET);
                }
                if tally.left_out > 0 {
                    self.due = Some(self.due.map_or(tally.until, |due| due.min(tally.until)));
                }
                true
            });
        }
    }

    /// What is to be told now.
    pub fn take(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: What = What::Rejected(Reason::QueueFull);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn told(notes: &mut Notes) -> Vec<(What, String, Option<u64>)> {
        let told = notes.take().into_iter();
        told.map(|note| (note.what, note.name, note.left_out))
            .collect()
    }

    #[test]
    fn the_first_is_told_and_the_others_counted() {
        let mut notes = Notes::default();
        for n in 0..1_000 {
            notes.note(at(1), FULL, "A", None, || Particulars {
                workers: n,
                ..Particulars::default()
            });
        }
        notes.note(at(1), FULL, "B", None, Particulars::default);
        notes.note(at(1), What::WorkerGone, "A", None, Particulars::default);
        let first = notes.take();
        assert_eq!(first.len(), 3);
        assert_eq!((first[0].particulars.workers, first[0].left_out), (0, None));
        assert_eq!(notes.due(), Some(at(11)));
        notes.pass(at(10));
        assert_eq!(told(&mut notes), []);
        notes.pass(at(11));
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(999))]);
        assert_eq!(notes.due(), None);
        // A count was told: it stays quiet for as long again.
        notes.note(at(20), FULL, "A", None, Particulars::default);
        notes.pass(at(21));
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(1))]);
        notes.note(at(31), FULL, "A", None, Particulars::default);
        assert_eq!(told(&mut notes), [(FULL, "A".into(), None)]);
    }

    #[test]
    fn each_client_is_told_once_in_ten_seconds_up_to_a_bound() {
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
        assert_eq!(told(&mut notes), of_one(2));
        for client in 0..100 {
            reject(&mut notes, 2, client);
        }
        assert_eq!(told(&mut notes), of_one(CLIENTS_MAX - 2));
        notes.pass(at(11));
        let others = 98 + 100 - (CLIENTS_MAX as u64 - 2);
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(others))]);
        // Whoever goes on is told of anew.
        for client in [1, 1, 2] {
            reject(&mut notes, 12, client);
        }
        assert_eq!(told(&mut notes), of_one(2));
        notes.pass(at(21));
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(1))]);
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
    fn kinds_and_notes_are_bounded_and_none_is_lost() {
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
                .map(|it| it.left_out.unwrap_or(1))
                .sum::<u64>();
        }
        notes.pass(at(200));
        counted += notes
            .take()
            .iter()
            .map(|it| it.left_out.unwrap_or(1))
            .sum::<u64>();
        assert_eq!(counted, 100_000);
    }
}
