//! Signals: SIGHUP reloads, and SIGTERM and SIGINT end the gateway, even if a part of it hangs.

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
use super::service::Service;
use crate::engine::Control;
use crate::reload::{SharedControlStatus, Wake};

/// The maximum time after `shutdown.grace` in which the data thread writes its last answers and
/// closes its connections. The data thread usually needs two seconds at most, but more on a busy
/// machine.
const ENDING_MAX: Duration = Duration::from_secs(5);

/// The maximum time for completing the startup after a signal has requested the end of the gateway.
/// A gateway begins to serve shortly before its startup is complete, and must answer the requests
/// that it has received by then. A gateway whose startup hangs has received no requests.
const STARTING_MAX: Duration = Duration::from_secs(1);

/// The parts of a running gateway on which signals act.
pub(super) struct SignalTarget {
    pub(super) control: Control,
    pub(super) wake: Wake,
    pub(super) control_status: Arc<SharedControlStatus>,
}

/// The progress of the gateway, which decides the effect of a signal.
enum Stage {
    /// The gateway has loaded its files and begins to listen. `reload` is true after a SIGHUP,
    /// because the files may have changed since they were loaded.
    Starting {
        reload: bool,
    },
    /// A signal has requested the end during startup. The watchdog ends a startup that takes too
    /// long.
    StartingToEnd(Watchdog),
    Serving(SignalTarget),
    Draining(SignalTarget),
}

/// The thread that acts on signals.
pub(super) struct SignalThread {
    stage: Arc<Mutex<Stage>>,
    watchdog: Arc<Watchdog>,
    stopped: Arc<AtomicBool>,
}

impl SignalThread {
    /// Starts catching signals.
    pub(super) fn start(service: Arc<Service>) -> io::Result<Self> {
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        let this = Self {
            stage: Arc::new(Mutex::new(Stage::Starting { reload: false })),
            watchdog: Arc::new(Watchdog::start(end_at_once)?),
            stopped: Arc::default(),
        };
        let thread = thread::Builder::new().name("signals".into());
        let stage = Arc::clone(&this.stage);
        let watchdog = Arc::clone(&this.watchdog);
        let stopped = Arc::clone(&this.stopped);
        thread.spawn(move || handle_signals(signals, &stage, &stopped, &watchdog, &service))?;
        Ok(this)
    }

    /// Makes signals act on a gateway that serves. A signal that arrived during startup acts now.
    pub(super) fn serve(&self, target: SignalTarget) {
        let mut stage = lock(&self.stage);
        let started = mem::replace(&mut *stage, Stage::Starting { reload: false });
        *stage = serve(started, target, &self.watchdog);
    }

    /// Returns whether a second SIGTERM or SIGINT has requested that the gateway end at once.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Locks the stage, even if the lock is poisoned, because no panic can leave the stage
/// inconsistent.
fn lock(stage: &Mutex<Stage>) -> MutexGuard<'_, Stage> {
    let stage = stage.lock();
    stage.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Handles signals forever. Once the gateway serves, the first SIGTERM or SIGINT drains it, and the
/// second ends it at once.
fn handle_signals(
    mut signals: Signals,
    stage: &Mutex<Stage>,
    stopped: &AtomicBool,
    watchdog: &Watchdog,
    service: &Service,
) {
    for signal in signals.forever() {
        let mut stage = lock(stage);
        let current = mem::replace(&mut *stage, Stage::Starting { reload: false });
        *stage = if signal == SIGHUP {
            reload(current)
        } else {
            service.stopping();
            end(current, name(signal), stopped, watchdog)
        };
    }
}

/// Handles the signals that arrived during startup, and returns the stage that follows startup.
fn serve(started: Stage, target: SignalTarget, watchdog: &Watchdog) -> Stage {
    match started {
        Stage::StartingToEnd(starting) => {
            // The startup is complete, so its watchdog is not needed any more.
            drop(starting);
            drain(target, watchdog)
        }
        Stage::Starting { reload: true } => {
            target.wake.reload();
            Stage::Serving(target)
        }
        _ => Stage::Serving(target),
    }
}

/// Requests a reload, now or once the gateway serves, and returns the next stage. The request is
/// ignored if a signal during startup has requested the end.
fn reload(stage: Stage) -> Stage {
    match &stage {
        Stage::Serving(target) | Stage::Draining(target) => target.wake.reload(),
        Stage::Starting { .. } => return Stage::Starting { reload: true },
        Stage::StartingToEnd(_) => {}
    }
    stage
}

/// Handles SIGTERM or SIGINT, and returns the next stage. `signal` is the name of the signal.
fn end(stage: Stage, signal: &str, stopped: &AtomicBool, watchdog: &Watchdog) -> Stage {
    match stage {
        Stage::Starting { .. } => match Watchdog::start(|| end_before_serving()) {
            Ok(starting) => {
                info!("{signal}: ending once the start is complete, or after {STARTING_MAX:?}");
                starting.end_within(STARTING_MAX);
                Stage::StartingToEnd(starting)
            }
            Err(_) => end_before_serving(),
        },
        Stage::StartingToEnd(_) => end_before_serving(),
        Stage::Serving(target) => {
            info!("{signal}: accepting no new requests; open ones may finish");
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

/// Makes a serving gateway accept no more requests, and end within `shutdown.grace`. If the gateway
/// has not ended [`ENDING_MAX`] after that, the watchdog ends the process.
fn drain(target: SignalTarget, watchdog: &Watchdog) -> Stage {
    target.control.drain();
    let grace = target.control_status.current().grace;
    watchdog.end_within(grace.saturating_add(ENDING_MAX));
    Stage::Draining(target)
}

/// Returns the name of a signal.
fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("signal")
}

/// Ends a process that does not serve yet.
fn end_before_serving() -> ! {
    info!("stopped during the start");
    log::finish();
    process::exit(0);
}

/// Ends a process whose data thread does not end.
fn end_at_once() {
    error!("the gateway did not stop in time and is stopped at once");
    log::finish();
    process::exit(1);
}

/// A watchdog, which calls a function at the earliest of the deadlines that it has received. If it
/// is dropped before that deadline, it never calls the function.
struct Watchdog(Sender<Instant>);

impl Watchdog {
    /// Starts a watchdog that calls `expire` at its deadline.
    fn start(expire: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (sender, deadlines) = mpsc::channel();
        thread::Builder::new()
            .name("watchdog".into())
            .spawn(move || watch(&deadlines, expire))?;
        Ok(Self(sender))
    }

    /// Sends a deadline to the watchdog. The deadline is `time` after this call.
    fn end_within(&self, time: Duration) {
        // A time beyond the range of the clock is never reached.
        if let Some(deadline) = Instant::now().checked_add(time) {
            // Sending fails only after the deadline has passed and the watchdog has ended.
            let _ = self.0.send(deadline);
        }
    }
}

fn watch(deadlines: &Receiver<Instant>, expire: impl FnOnce()) {
    let Ok(mut deadline) = deadlines.recv() else {
        return;
    };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match deadlines.recv_timeout(left) {
            Ok(another) => deadline = deadline.min(another),
            Err(mpsc::RecvTimeoutError::Timeout) => return expire(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_fires_at_the_earliest_deadline() {
        let (expirations, expired) = mpsc::channel();
        let watchdog = Watchdog::start(move || expirations.send(()).unwrap()).unwrap();
        watchdog.end_within(Duration::MAX);
        watchdog.end_within(Duration::from_secs(1_000));
        watchdog.end_within(Duration::from_millis(1));
        watchdog.end_within(Duration::from_secs(1_000));
        expired.recv_timeout(Duration::from_secs(30)).unwrap();
    }

    #[test]
    fn a_sighup_during_startup_reloads_once_the_gateway_serves() {
        let watchdog = Watchdog::start(|| {}).unwrap();
        for signals in 0..3 {
            let (control, _orders) = Control::new().unwrap();
            let (wake, woken) = Wake::new();
            let control_status = Arc::default();
            let mut stage = Stage::Starting { reload: false };
            for _ in 0..signals {
                stage = reload(stage);
            }
            let target = SignalTarget {
                control,
                wake,
                control_status,
            };
            assert!(matches!(serve(stage, target, &watchdog), Stage::Serving(_)));
            assert_eq!(woken.try_iter().count(), usize::from(signals > 0));
        }
    }

    #[test]
    fn a_dropped_watchdog_never_calls_its_function() {
        let (expirations, expired) = mpsc::channel::<()>();
        let watchdog = Watchdog::start(move || expirations.send(()).unwrap()).unwrap();
        watchdog.end_within(Duration::from_secs(1_000));
        drop(watchdog);
        let never = expired.recv_timeout(Duration::from_secs(30));
        assert_eq!(never, Err(mpsc::RecvTimeoutError::Disconnected));
    }
}
