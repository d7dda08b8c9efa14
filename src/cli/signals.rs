//! Signals: SIGHUP reloads, SIGTERM and SIGINT end the gateway, whatever hangs.

use std::io;
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

/// A running gateway, as far as signals concern it.
pub(super) struct Target {
    pub(super) control: Control,
    pub(super) wake: Wake,
    pub(super) standing: Arc<Standing>,
}

/// The thread that carries signals out.
pub(super) struct SignalThread {
    target: Arc<Mutex<Option<Target>>>,
    stopped: Arc<AtomicBool>,
}

impl SignalThread {
    /// Catches signals from now on. Until [`Self::serve`], one that ends the gateway ends the process: a start may take
    /// long, and nothing is owed to anybody.
    pub(super) fn start() -> io::Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let watchdog = Watchdog::start(end_at_once)?;
        let target = Arc::default();
        let stopped = Arc::default();
        let this = Self {
            target: Arc::clone(&target),
            stopped: Arc::clone(&stopped),
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || obey(signals, &target, &stopped, &watchdog))?;
        Ok(this)
    }

    /// Has signals act on a gateway that serves.
    pub(super) fn serve(&self, target: Target) {
        *lock(&self.target) = Some(target);
    }

    /// Returns whether a second signal has ended the gateway at once.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Nothing that is done under the lock can be left half done by a panic.
fn lock(target: &Mutex<Option<Target>>) -> MutexGuard<'_, Option<Target>> {
    let target = target.lock();
    target.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Carries out signals for ever. Of those that end the gateway the first drains, and the second ends it at once.
fn obey(
    mut signals: Signals,
    target: &Mutex<Option<Target>>,
    stopped: &AtomicBool,
    watchdog: &Watchdog,
) {
    let mut is_draining = false;
    for signal in signals.forever() {
        let target = lock(target);
        match &*target {
            // The files are being read as it is.
            None if signal == SIGHUP => {}
            None => {
                let signal = name(signal);
                info!("{signal}: ended before it served");
                log::finish();
                process::exit(0);
            }
            Some(target) if signal == SIGHUP => target.wake.reload(),
            Some(target) if is_draining => {
                stopped.store(true, Ordering::Relaxed);
                target.control.stop();
                watchdog.end_within(ENDING_MAX);
            }
            Some(target) => {
                is_draining = true;
                let signal = name(signal);
                info!("{signal}: no new requests; those that are held may finish");
                target.control.drain();
                let grace = target.standing.known().grace;
                watchdog.end_within(grace.saturating_add(ENDING_MAX));
            }
        }
    }
}

/// Returns the name of a signal.
fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("signal")
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
