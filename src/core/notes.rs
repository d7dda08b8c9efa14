//! What an operator should hear of: noted here, at a bounded rate, for the engine to write to the log.
//!
//! The first of a kind is noted at once, with its particulars; those that follow within [`QUIET`] are
//! counted, and the count is noted when that time is over. A kind is a route and a reason, or a pool whose
//! workers come or go. Bounded in memory whatever peers do, because nothing of theirs tells kinds
//! apart. It knows no log and reads no clock.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::reply::Reason;

/// How long others of a kind are only counted, after one was noted.
pub(crate) const QUIET: Duration = Duration::from_secs(10);

/// Kinds told apart at once. Beyond it the routes of a reason share one, so that a flood over ten thousand
/// routes neither fills the log nor the memory.
const KINDS_MAX: usize = 1_024;

/// Notes that wait to be taken. More come only when nobody takes any.
const READY_MAX: usize = 1_024;

/// Something to tell an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A worker came, or, where they can't be told apart, the first of a pool's.
    WorkerCame,
    /// A worker went, or the last one.
    WorkerGone,
}

/// Which one it was. What a peer chose may hold any characters: escape it where it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Particulars {
    /// Where the client came; empty if it has gone.
    pub frontend: String,
    /// The client's identity, printable; empty if it has gone.
    pub client: String,
    /// Path of the field at fault.
    pub field: String,
    /// Byte of the payload at fault.
    pub offset: Option<u64>,
    /// Of the snapshot that judged it; 0 for workers.
    pub generation: u64,
    /// The sentence that the client was told; empty for workers.
    pub why: String,
    /// Workers that the pool has now.
    pub workers: usize,
    /// Requests that the worker held when it went.
    pub held: usize,
}

/// Notes that wait to be taken, and what is being counted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// By name, so that a look-up allocates nothing.
    kinds: FxHashMap<What, FxHashMap<Box<str>, Tally>>,
    count: usize,
    ready: Vec<Note>,
    /// When the earliest count is due, or earlier.
    due: Option<Duration>,
}

#[derive(Debug)]
struct Tally {
    until: Duration,
    left_out: u64,
}

impl Notes {
    /// Something happened. `particulars` are asked for only if they are told.
    pub fn note(
        &mut self,
        now: Duration,
        what: What,
        name: &str,
        particulars: impl FnOnce() -> Particulars,
    ) {
        let room = self.ready.len() < READY_MAX;
        let kinds = self.kinds.entry(what).or_default();
        // One without a name is always there to share.
        let known = kinds.contains_key(name) || self.count < KINDS_MAX;
        let name = if known { name } else { "" };
        match kinds.get_mut(name) {
            Some(tally) if room && tally.until <= now && tally.left_out == 0 => {
                tally.until = now + QUIET;
            }
            Some(tally) => {
                tally.left_out += 1;
                self.due = Some(self.due.map_or(tally.until, |due| due.min(tally.until)));
                return;
            }
            None => {
                let (until, left_out) = (now + QUIET, u64::from(!room));
                kinds.insert(name.into(), Tally { until, left_out });
                self.count += 1;
                self.due = self.due.or((!room).then_some(until));
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

    /// When [`Self::pass`] has something to do.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Notes what was counted and is due; forgets what has not happened for a while.
    #[inline]
    pub fn pass(&mut self, now: Duration) {
        if self.due.is_some_and(|due| due <= now) {
            self.tell_counted(now);
        }
    }

    fn tell_counted(&mut self, now: Duration) {
        self.due = None;
        for (what, kinds) in &mut self.kinds {
            kinds.retain(|name, tally| {
                if tally.until <= now {
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
            notes.note(at(1), FULL, "A", || Particulars {
                why: n.to_string(),
                ..Particulars::default()
            });
        }
        notes.note(at(1), FULL, "B", Particulars::default);
        notes.note(at(1), What::WorkerGone, "A", Particulars::default);
        let first = notes.take();
        assert_eq!(first.len(), 3);
        assert_eq!((&*first[0].particulars.why, first[0].left_out), ("0", None));
        assert_eq!(notes.due(), Some(at(11)));
        notes.pass(at(10));
        assert_eq!(told(&mut notes), []);
        notes.pass(at(11));
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(999))]);
        assert_eq!(notes.due(), None);
        // A count was told: it stays quiet for as long again.
        notes.note(at(20), FULL, "A", Particulars::default);
        notes.pass(at(21));
        assert_eq!(told(&mut notes), [(FULL, "A".into(), Some(1))]);
        notes.note(at(31), FULL, "A", Particulars::default);
        assert_eq!(told(&mut notes), [(FULL, "A".into(), None)]);
    }

    #[test]
    fn kinds_and_notes_are_bounded_and_none_is_lost() {
        let mut notes = Notes::default();
        let mut counted = 0;
        for round in 0..5 {
            for n in 0..20_000 {
                let name = format!("route {round} {n}");
                notes.note(at(20 * round), FULL, &name, Particulars::default);
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
