//! Follows the files: an event, or a look once in a while → settle → is the content another? → reload.
//!
//! Events only say when to look. What counts is the content of every file, and what is loaded is the very
//! bytes that were looked at ([`Inputs`](crate::config::Inputs)): whatever is written after that raises another event or is seen by
//! the next look, so the last write is never missed. Watches are laid anew before each look, because a watch
//! dies with its directory, and editors, `git checkout` and Kubernetes replace both files and directories.
//!
//! [`Wake`] wakes it, `watches` is what raises events, `apply` what becomes of what was read, `past` what
//! was running before.

mod apply;
mod past;
mod repeats;
#[cfg(test)]
mod tests;
mod watches;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use notify::RecommendedWatcher;
use tracing::warn;

use crate::admin::Admin;
use crate::config::{Origin, Seen};
use crate::engine::Reloader;
use crate::reload::{Outcome, Report, Standing, Tell, Wake, WakeReason};
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Cache, reason};
use past::Past;
use repeats::Repeats;
use watches::{Lay, Watches, lay, spots};

/// How often the files are looked at without an event: for filesystems that raise none, and for what no
/// watch could be laid on.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A burst of writes is waited out for this many times `reload.settle` at most.
const SETTLE_MOST: u32 = 10;

/// Why the follower looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// An event, after which the files came to rest.
    Woken,
    /// Somebody asked.
    Asked,
    /// It is time.
    Time,
}

/// Whether the log tells what a reload comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// The files have changed, or nobody has asked for the same lately.
    ToTell,
    /// The same was told a moment ago, or nobody asked.
    Known,
}

/// Keeps a running gateway at what its files say.
pub struct Follower {
    origin: Origin,
    running: Arc<Snapshot>,
    past: Past<Snapshot>,
    reloader: Reloader,
    /// What was last loaded, or tried in vain.
    seen: Seen,
    /// What the last load left of the .proto files for the next.
    cache: Cache,
    /// What the engine said to the last one, if it refused: tried again at each look, because an
    /// address may come free.
    refused: Option<Diagnostic>,
    /// The last one failed or was refused.
    failed: bool,
    /// Reloads that were asked for of files that have not changed.
    repeats: Repeats,
    wake: Wake,
    woken: Receiver<WakeReason>,
    /// Who waits to hear what the next reload comes to.
    waiting: Vec<Tell>,
    standing: Arc<Standing>,
    admin: Option<Admin>,
    /// Tells people what is wrong with their files.
    tell: fn(&Diagnostics),
    /// Whether it was said that watches can't be laid.
    said_blind: bool,
    lay: Lay,
    look_every: Duration,
}

impl Follower {
    /// Follows `origin`, commonly a path. `seen` is what `running` was loaded from.
    pub fn new(
        origin: impl Into<Origin>,
        seen: Seen,
        running: Arc<Snapshot>,
        reloader: Reloader,
        tell: fn(&Diagnostics),
    ) -> Self {
        let (wake, woken) = Wake::new();
        Self {
            origin: origin.into(),
            running,
            past: Past::default(),
            reloader,
            seen,
            cache: Cache::default(),
            refused: None,
            failed: false,
            repeats: Repeats::default(),
            wake,
            woken,
            waiting: Vec::new(),
            standing: Arc::default(),
            admin: None,
            tell,
            said_blind: false,
            lay: lay::<RecommendedWatcher>,
            look_every: LOOK_EVERY,
        }
    }

    /// What wakes it.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// What reloads come to.
    pub fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }

    /// Has `admin` follow the configuration too, and what reloads come to told to `standing`.
    pub fn with_admin(mut self, admin: Admin, standing: Arc<Standing>) -> Self {
        self.admin = Some(admin);
        self.standing = standing;
        self.note_listening();
        self
    }

    /// Starts from the cache of the load that `running` came of, so that the first reload compiles only
    /// what has changed since.
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Looks at the files this often without an event, instead of every five seconds: seldom shows whether
    /// events alone suffice.
    pub fn looking_every(mut self, pause: Duration) -> Self {
        self.look_every = pause;
        self
    }

    /// Follows until [`Wake::end`], or until the process ends.
    pub fn follow(mut self) {
        let mut watches = None;
        self.survive(|follower| {
            watches = follower.watches();
            // No event tells of what was written since the files were loaded, or is being written now.
            follower.look_after(Why::Time);
        });
        loop {
            let woken = self.woken.recv_timeout(self.look_every);
            self.wake.heard();
            if self.wake.has_ended() {
                if let Some(admin) = self.admin.take() {
                    admin.close();
                }
                return;
            }
            self.past.sweep();
            let why = match woken {
                Ok(WakeReason::Asked(tell)) => self.asked(tell),
                _ if !self.running.reload.watch => continue,
                Ok(WakeReason::Changed) => self.settle(),
                // It holds a sender itself, so this is the time-out.
                Err(_) => Why::Time,
            };
            self.survive(|follower| {
                // The new ones first, so that there is no moment without any.
                let laid = follower.watches();
                drop(std::mem::replace(&mut watches, laid));
                follower.look_after(why);
            });
        }
    }

    /// Does `work`. A panic in it is the failure of a reload, and the files are followed on: a bug in what reads them must
    /// not be the end of all reloads.
    fn survive(&mut self, work: impl FnOnce(&mut Self)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else {
            return;
        };
        // It may be half changed.
        self.cache = Cache::default();
        let news = self.news(Instant::now());
        let mut found = Diagnostics::new();
        let fault = format!("the files could not be loaded: {}", reason(&*panic));
        found.push(Diagnostic::error(fault).help("this is a bug of the gateway: please report it"));
        // What tells people may be what panicked.
        let told = found.clone();
        let report = catch_unwind(AssertUnwindSafe(|| self.turn_down(told, news)));
        let report = report.unwrap_or_else(|_| self.invalid(found));
        self.conclude(report);
    }

    /// Reports what a reload came to, to whoever waits for it too.
    fn conclude(&mut self, report: Report) {
        let report = Arc::new(report);
        self.standing.reloaded(&report);
        for tell in self.waiting.drain(..) {
            tell(Arc::clone(&report));
        }
    }

    /// Returns whether the log is to tell what comes of the same files at `now`. Whoever asks for them again and again is
    /// answered, and fills no log.
    fn news(&mut self, now: Instant) -> News {
        match self.repeats.is_due(now) {
            true => News::ToTell,
            false => News::Known,
        }
    }

    /// Looks, and has what there is to watch watched anew if that is something else now.
    fn look_after(&mut self, why: Why) {
        let watched = (self.running.reload.watch, self.seen.roots.clone());
        self.look(why);
        if watched != (self.running.reload.watch, self.seen.roots.clone()) {
            // Something may have happened to it already.
            self.wake.changed();
        }
    }

    /// Somebody asked, and everybody who has by now is answered by the same reload.
    fn asked(&mut self, tell: Option<Tell>) -> Why {
        self.waiting.extend(tell);
        while let Ok(reason) = self.woken.try_recv() {
            if let WakeReason::Asked(tell) = reason {
                self.waiting.extend(tell);
            }
        }
        self.wake.heard();
        Why::Asked
    }

    /// Waits until the files are at rest; says whether somebody asked for a reload meanwhile.
    fn settle(&mut self) -> Why {
        let settle = self.running.reload.settle;
        let until = Instant::now() + settle * SETTLE_MOST;
        loop {
            let woken = self.woken.recv_timeout(settle);
            self.wake.heard();
            match woken {
                Ok(WakeReason::Asked(tell)) => return self.asked(tell),
                Ok(WakeReason::Changed) if Instant::now() < until && !self.wake.has_ended() => {}
                _ => return Why::Woken,
            }
        }
    }

    /// Reloads if the content is another than was last seen, or if asked to; a refused one at times.
    fn look(&mut self, mut why: Why) {
        let mut began = Instant::now();
        let mut now = self.origin.read(&self.seen.roots);
        if why == Why::Time && *now.seen() != self.seen {
            // No event told of this: somebody may be in the middle of writing.
            for _ in 0..SETTLE_MOST {
                if self.settle() == Why::Asked {
                    why = Why::Asked;
                }
                let before = now.seen().clone();
                began = Instant::now();
                now = self.origin.read(&self.seen.roots);
                if *now.seen() == before {
                    break;
                }
            }
        }
        let changed = *now.seen() != self.seen;
        let asked = why == Why::Asked;
        let again = why == Why::Time && self.refused.is_some();
        if !changed && !asked && !again {
            return;
        }
        let news = match (changed, asked) {
            (true, _) => News::ToTell,
            (false, true) => self.news(began),
            (false, false) => News::Known,
        };
        self.seen = now.seen().clone();
        let loaded = now.load_after_with(&self.running, &mut self.cache);
        let compile = began.elapsed();
        let mut report = match loaded {
            Ok(loaded) => self.take_up(loaded, why, news),
            Err(found) => self.turn_down(found, news),
        };
        report.compile = compile;
        if !changed && !asked && report.outcome == Outcome::Refused {
            // The same refusal, tried again: nobody need hear of it.
            return;
        }
        self.conclude(report);
    }

    /// Watches on everything that the configuration is read from.
    fn watches(&mut self) -> Watches {
        if !self.running.reload.watch {
            return None;
        }
        let spots = spots(self.origin.path(), &self.seen.roots);
        let (watches, blind) = (self.lay)(spots, self.wake.clone());
        if let Some(why) = blind.filter(|_| !self.said_blind) {
            self.said_blind = true;
            let every = self.look_every;
            warn!("can't watch every file ({why}): looking every {every:?} as well");
        }
        watches
    }
}
