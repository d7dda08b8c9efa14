//! Signals: SIGHUP reloads, SIGTERM and SIGINT end the gateway, whatever hangs.

use std::io;
use std::mem;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{error, info};

use super::log;
use crate::engine::Control;
use crate::reload::{Standing, Wake};

/// The time for the end beyond `shutdown.grace`, in which the data thread writes its last answers and takes leave: it
/// takes two seconds at most, and a busy machine may take longer.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// The time that a start may still take once a signal has asked for the end. A gateway serves a moment before its start
/// is over, and must then answer what it has taken. A start that hangs owes nothing to anybody.
const STARTING_MAX: Duration = Duration::from_secs(1);

/// A running gateway, as far as signals concern it.
pub(super) struct Target {
    pub(super) control: Control,
    pub(super) wake: Wake,
    pub(super) standing: Arc<Standing>,
}

/// How far the gateway has come, as far as signals concern it.
enum Stage {
    /// It loads its files, and begins to listen.
    Starting,
    /// A signal has asked for the end while it was starting; the watchdog ends a start that takes too long.
    StartingToEnd(Watchdog),
    Serving(Target),
    Draining(Target),
}

/// The thread that carries signals out.
pub(super) struct SignalThread {
    stage: Arc<Mutex<Stage>>,
    watchdog: Arc<Watchdog>,
    stopped: Arc<AtomicBool>,
}

impl SignalThread {
    /// Catches signals from now on.
    pub(super) fn start() -> io::Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let this = Self {
            stage: Arc::new(Mutex::new(Stage::Starting)),
            watchdog: Arc::new(Watchdog::start(end_at_once)?),
            stopped: Arc::default(),
        };
        let thread = thread::Builder::new().name("signals".into());
        let stage = Arc::clone(&this.stage);
        let watchdog = Arc::clone(&this.watchdog);
        let stopped = Arc::clone(&this.stopped);
        thread.spawn(move || obey(signals, &stage, &stopped, &watchdog))?;
        Ok(this)
    }

    /// Has signals act on a gateway that serves. One that came while it started acts now.
    pub(super) fn serve(&self, target: Target) {
        let mut stage = lock(&self.stage);
        *stage = match mem::replace(&mut *stage, Stage::Starting) {
            Stage::StartingToEnd(starting) => {
                // It has nothing to end any more.
                drop(starting);
                drain(target, &self.watchdog)
            }
            _ => Stage::Serving(target),
        };
    }

    /// Returns whether a second signal has ended the gateway at once.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Nothing that is done under the lock can be left half done by a panic.
fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    let stage = stage.lock();
    stage.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Carries out signals for ever. Of those that end the gateway the first drains, and the second ends it at once.
fn obey(mut signals: Signals, stage: &Mutex<Stage>, stopped: &AtomicBool, watchdog: &Watchdog) {
    for signal in signals.forever() {
        let mut stage = lock(stage);
        let present = mem::replace(&mut *stage, Stage::Starting);
        *stage = if signal == SIGHUP {
            match &present {
                Stage::Serving(target) | Stage::Draining(target) => target.wake.reload(),
                // The files are being read as it is.
                Stage::Starting | Stage::StartingToEnd(_) => {}
            }
            present
        } else {
            end(present, name(signal), stopped, watchdog)
        };
    }
}

/// Takes the next step towards the end, and returns the stage that it leads to.
fn end(stage: Stage, signal: &str, stopped: &AtomicBool, watchdog: &Watchdog) -> Stage {
    match stage {
        Stage::Starting => match Watchdog::start(|| end_before_serving()) {
            Ok(starting) => {
                info!("{signal}: ends once it has started, or in {STARTING_MAX:?}");
                starting.end_within(STARTING_MAX);
                Stage::StartingToEnd(starting)
            }
            Err(_) => end_before_serving(),
        },
        Stage::StartingToEnd(_) => end_before_serving(),
        Stage::Serving(target) => {
            info!("{signal}: no new requests; those that are held may finish");
            drain(target, watchdog)
        }
        Stage::Draining(target) => {
            stopped.store(true, Ordering::Relaxed);
            target.control.stop();
            watchdog.end_within(ENDING_MAX);
            Stage::Draining(target)
        }
    }
}

/// Has a gateway that serves take no more requests, and end within its grace.
fn drain(target: Target, watchdog: &Watchdog) -> Stage {
    target.control.drain();
    let grace = target.standing.known().grace;
    watchdog.end_within(grace.saturating_add(ENDING_MAX));
    Stage::Draining(target)
}

/// Returns the name of a signal.
fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("signal")
}

/// Ends a process that has yet to serve.
fn end_before_serving() -> ! {
    info!("ended before it served");
    log::finish();
    process::exit(0);
}

/// Ends a process whose data thread does not end.
fn end_at_once() {
    error!("the gateway did not end in time: ended at once");
    log::finish();
    process::exit(1);
}

/// Does something once a time is over; the earliest that it was told counts.
struct Watchdog(Sender<Instant>);

impl Watchdog {
    /// Starts a watchdog that calls `bite`.
    fn start(bite: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (deadlines, told) = mpsc::channel();
        thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watch(&told, bite))?;
        Ok(Self(deadlines))
    }

    fn end_within(&self, time: Duration) {
        // A time that no clock can tell is none.
        if let Some(deadline) = Instant::now().checked_add(time) {
            // The watchdog ends only after it has bitten.
            let _ = self.0.send(deadline);
        }
    }
}

fn watch(told: &Receiver<Instant>, bite: impl FnOnce()) {
    let Ok(mut deadline) = told.recv() else {
        return;
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match told.recv_timeout(left) {
            Ok(another) => deadline = deadline.min(another),
            Err(mpsc::RecvTimeoutError::Timeout) => return bite(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_bites_at_the_earliest_time_that_it_was_told() {
        let (bites, bitten) = mpsc::channel();
        let watchdog = Watchdog::start(move || bites.send(()).unwrap()).unwrap();
        watchdog.end_within(Duration::MAX);
        watchdog.end_within(Duration::from_secs(1_000));
        watchdog.end_within(Duration::from_millis(1));
        watchdog.end_within(Duration::from_secs(1_000));
        bitten.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn the_watchdog_that_is_told_nothing_more_ends() {
        let (bites, bitten) = mpsc::channel::<()>();
        let watchdog = Watchdog::start(move || bites.send(()).unwrap()).unwrap();
        watchdog.end_within(Duration::from_secs(1_000));
        drop(watchdog);
        let never = bitten.recv_timeout(Duration::from_secs(30));
        assert_eq!(never, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
