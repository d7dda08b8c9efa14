//! The follower of a configuration's files. After an event, and periodically, it checks whether the
//! content of the files has changed. If so, it waits until the files have settled, and reloads
//! them.
//!
//! Events only trigger a check of the files. The decision to reload depends on the content of every
//! file, and the bytes that are compared are the bytes that are loaded
//! ([`Inputs`](crate::config::Inputs)). A later write raises another event or is found by the next
//! check, so the last write is never missed. Watches are placed anew before each check, because a
//! watch ends with its directory, and editors, `git checkout` and Kubernetes replace both files and
//! directories.
//!
//! [`Wake`] wakes the follower, `watches` raises events, `apply` applies the loaded configuration
//! to the running gateway, and `past` keeps replaced snapshots.

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
use crate::config::{FilesIdentity, Origin};
use crate::engine::Reloader;
use crate::reload::{
    Observe, ReloadOutcome, Report, ReportCallback, SharedControlStatus, Step, Wake, WakeReason,
};
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::{Cache, reason};
use past::Past;
use repeats::Repeats;
use watches::{PlaceWatches, Watches, place_watches, watched_directories};

/// The interval between two checks of the files without an event, for filesystems that raise no
/// events and for files on which no watch could be placed.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum wait for a burst of writes to end, in multiples of `reload.settle`. A program that
/// never stops writing must not prevent all reloads.
const SETTLE_FACTOR_MAX: u32 = 10;

/// The reason why the follower checks the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckReason {
    /// There was an event, after which the files have settled.
    FileEvent,
    /// A reload was requested.
    Requested,
    /// The interval between two checks has passed.
    Interval,
}

/// The decision whether the log reports the outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logging {
    /// The files have changed, or no request for a reload of unchanged files was logged lately.
    Due,
    /// A request for a reload of unchanged files was logged a moment ago, or the follower has tried
    /// a refused reload again without a request.
    Suppressed,
}

/// Reloads a running gateway when its files change.
pub struct Follower {
    origin: Origin,
    running: Arc<Snapshot>,
    past: Past<Snapshot>,
    /// True if a load has ended since the last [`Step::Freed`].
    has_loaded: bool,
    reloader: Reloader,
    /// The content that was last loaded, or that failed to load.
    seen: FilesIdentity,
    /// The content that `running` was loaded from.
    in_force: FilesIdentity,
    /// The .proto files of the last load, for reuse by the next.
    cache: Cache,
    /// The last refusal by the engine or the admin listener. The refused reload is tried again at
    /// each periodic check, because an address may become free.
    refused: Option<Diagnostic>,
    /// True if the last reload failed or was refused.
    failed: bool,
    /// The requests for reloads of files that have not changed.
    repeats: Repeats,
    wake: Wake,
    woken: Receiver<WakeReason>,
    /// The recipients of the next reload's report.
    waiting: Vec<ReportCallback>,
    control_status: Arc<SharedControlStatus>,
    admin: Option<Admin>,
    /// Reports errors and warnings in the files to the user.
    show_faults: fn(&Diagnostics),
    observe: Observe,
    /// True once the log has reported that watches could not be placed.
    has_logged_unwatched: bool,
    place_watches: PlaceWatches,
    check_every: Duration,
}

impl Follower {
    /// Returns a follower of `origin`, which is usually a path. `running` was loaded from `seen`.
    pub fn new(
        origin: impl Into<Origin>,
        seen: FilesIdentity,
        running: Arc<Snapshot>,
        reloader: Reloader,
        show_faults: fn(&Diagnostics),
    ) -> Self {
        let (wake, woken) = Wake::new();
        Self {
            origin: origin.into(),
            running,
            past: Past::default(),
            has_loaded: false,
            reloader,
            in_force: seen.clone(),
            seen,
            cache: Cache::default(),
            refused: None,
            failed: false,
            repeats: Repeats::default(),
            wake,
            woken,
            waiting: Vec::new(),
            control_status: Arc::default(),
            admin: None,
            show_faults,
            observe: Arc::new(|_| ()),
            has_logged_unwatched: false,
            place_watches: place_watches::<RecommendedWatcher>,
            check_every: CHECK_INTERVAL,
        }
    }

    /// Returns the handle that wakes this follower.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Returns the state in which the reports of reloads are recorded.
    pub fn control_status(&self) -> Arc<SharedControlStatus> {
        Arc::clone(&self.control_status)
    }

    /// Makes `admin` follow the configuration, too, and records reports of reloads and the current
    /// addresses in `control_status`.
    pub fn with_admin(mut self, admin: Admin, control_status: Arc<SharedControlStatus>) -> Self {
        self.admin = Some(admin);
        self.control_status = control_status;
        self.note_listening();
        self
    }

    /// Sets the cache of the load that produced `running`, so that the first reload compiles only
    /// the files that have changed since that load.
    pub(crate) fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Sets the function that is called at each step of a reload.
    #[must_use]
    pub(crate) fn observed_by(mut self, observe: Observe) -> Self {
        self.observe = observe;
        self
    }

    /// Sets the time between two checks without an event, which is five seconds by default. A test
    /// sets a long time to show that events alone suffice.
    pub fn checking_every(mut self, pause: Duration) -> Self {
        self.check_every = pause;
        self
    }

    /// Follows the files until [`Wake::end`] is called or the process ends.
    pub fn follow(mut self) {
        let mut watches = None;
        self.survive(|follower| {
            follower.renew(&mut watches);
            // No event reports writes between the load and the placing of the watches.
            follower.check_after(CheckReason::Interval);
        });
        loop {
            // `settle` may have received the message that wakes an ended follower. Waiting here for
            // that message would be in vain.
            let woken = if self.wake.has_ended() {
                Ok(WakeReason::Changed)
            } else {
                self.woken.recv_timeout(self.check_every)
            };
            self.wake.acknowledge();
            if self.wake.has_ended() {
                if let Some(admin) = self.admin.take() {
                    admin.close();
                }
                return;
            }
            self.past.sweep();
            if self.has_loaded && self.past.is_empty() {
                self.has_loaded = false;
                (self.observe)(Step::Freed);
            }
            let why = match woken {
                Ok(WakeReason::Requested(callback)) => self.take_requests(callback),
                _ if !self.running.reload.watch => continue,
                Ok(WakeReason::Changed) => self.settle(),
                // This follower holds a sender itself, so the error is the timeout.
                Err(_) => CheckReason::Interval,
            };
            self.survive(|follower| {
                follower.renew(&mut watches);
                follower.check_after(why);
            });
        }
    }

    /// Runs `work`. A panic in it counts as a failed reload and the follower continues, because a
    /// bug in the code that reads files must not prevent all later reloads.
    fn survive(&mut self, work: impl FnOnce(&mut Self)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) else {
            return;
        };
        // The cache may be inconsistent after the panic.
        self.cache = Cache::default();
        let logging = self.logging(Instant::now());
        let mut found = Diagnostics::new();
        let fault = format!("the files could not be loaded: {}", reason(&*panic));
        found.push(Diagnostic::error(fault).help("this is a bug of the gateway: please report it"));
        // The panic may have come from the function that shows errors, and may occur again.
        let reported = found.clone();
        let report = catch_unwind(AssertUnwindSafe(|| self.reject(reported, logging)));
        let report = report.unwrap_or_else(|_| self.invalid(found));
        self.conclude(report);
    }

    /// Publishes the report of a reload, and sends it to the callers that wait for it.
    fn conclude(&mut self, report: Report) {
        (self.observe)(Step::Settled(&self.running));
        let report = Arc::new(report);
        self.control_status.record_reload(&report);
        for callback in self.waiting.drain(..) {
            callback(Arc::clone(&report));
        }
    }

    /// Returns whether the log reports the outcome of a reload of unchanged files at `now`.
    /// Repeated requests must not fill the log.
    fn logging(&mut self, now: Instant) -> Logging {
        match self.repeats.is_due(now) {
            true => Logging::Due,
            false => Logging::Suppressed,
        }
    }

    /// Checks the files, and wakes the follower again if there are now other files to watch.
    fn check_after(&mut self, why: CheckReason) {
        let watched = (self.running.reload.watch, self.seen.roots.clone());
        self.check(why);
        if watched != (self.running.reload.watch, self.seen.roots.clone()) {
            // The newly watched files may have changed before their watches were placed.
            self.wake.changed();
        }
    }

    /// Takes a request for a reload, and all other requests that have arrived. One reload answers
    /// all of them.
    fn take_requests(&mut self, callback: Option<ReportCallback>) -> CheckReason {
        self.waiting.extend(callback);
        while let Ok(reason) = self.woken.try_recv() {
            if let WakeReason::Requested(callback) = reason {
                self.waiting.extend(callback);
            }
        }
        self.wake.acknowledge();
        CheckReason::Requested
    }

    /// Waits until the files have settled. Returns [`CheckReason::Requested`] if a reload was
    /// requested meanwhile, and [`CheckReason::FileEvent`] otherwise.
    fn settle(&mut self) -> CheckReason {
        let settle = self.running.reload.settle;
        let deadline = Instant::now() + settle * SETTLE_FACTOR_MAX;
        loop {
            let woken = self.woken.recv_timeout(settle);
            self.wake.acknowledge();
            match woken {
                Ok(WakeReason::Requested(callback)) => return self.take_requests(callback),
                Ok(WakeReason::Changed) if Instant::now() < deadline && !self.wake.has_ended() => {}
                _ => return CheckReason::FileEvent,
            }
        }
    }

    /// Reloads if the content has changed or a reload was requested. A refused reload is tried
    /// again at each periodic check.
    fn check(&mut self, mut why: CheckReason) {
        let mut began = Instant::now();
        let mut inputs = self.origin.read_after(&self.seen);
        if why == CheckReason::Interval && *inputs.seen() != self.seen {
            // No event reported this change, so a program may still be writing.
            for _ in 0..SETTLE_FACTOR_MAX {
                if self.settle() == CheckReason::Requested {
                    why = CheckReason::Requested;
                }
                let before = inputs.seen().clone();
                began = Instant::now();
                inputs = self.origin.read_after(&self.seen);
                if *inputs.seen() == before {
                    break;
                }
            }
        }
        let changed = *inputs.seen() != self.seen;
        let requested = why == CheckReason::Requested;
        let again = why == CheckReason::Interval && self.refused.is_some();
        if !changed && !requested && !again {
            if self.failed {
                self.follow_keys();
            }
            return;
        }
        let logging = match (changed, requested) {
            (true, _) => Logging::Due,
            (false, true) => self.logging(began),
            (false, false) => Logging::Suppressed,
        };
        if changed || requested {
            (self.observe)(Step::Loading);
        }
        self.seen = inputs.seen().clone();
        let loaded = inputs.load_after_with(&self.running, &mut self.cache);
        let compile = began.elapsed();
        self.has_loaded = true;
        let mut report = match loaded {
            Ok(loaded) => self.apply(loaded, why, logging),
            Err(found) => self.reject(found, logging),
        };
        match report.outcome {
            ReloadOutcome::Applied | ReloadOutcome::Unchanged => self.in_force = self.seen.clone(),
            ReloadOutcome::Invalid | ReloadOutcome::Refused => {
                self.follow_keys();
                report.generation = self.running.generation;
            }
        }
        report.compile = compile;
        if !changed && !requested && report.outcome == ReloadOutcome::Refused {
            // The follower has tried a refused reload again, without success. The report of the
            // earlier refusal stays.
            (self.observe)(Step::Settled(&self.running));
            return;
        }
        self.conclude(report);
    }

    /// Replaces the watches by new watches on all files of the configuration, or ends them if
    /// `reload.watch` is off. If the system allows no new watches now, the old watches stay,
    /// because they still report most changes at once.
    fn renew(&mut self, watches: &mut Watches) {
        if !self.running.reload.watch {
            *watches = None;
            return;
        }
        let watched_directories = watched_directories(self.origin.path(), &self.seen.roots);
        let (placed, failure) = (self.place_watches)(watched_directories, self.wake.clone());
        if let Some(why) = failure.filter(|_| !self.has_logged_unwatched) {
            self.has_logged_unwatched = true;
            let every = self.check_every;
            warn!("can't watch every file ({why}): also checking all files every {every:?}");
        }
        if placed.is_some() {
            *watches = placed;
        }
    }
}
