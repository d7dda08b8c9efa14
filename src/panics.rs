//! The panic hook. Panics are bugs. The hook counts each panic, and logs it with its place in the
//! code. Unlike the default hook, it does not write to standard error itself.
//!
//! The code of each thread decides the effect of a panic. A panic of the data thread ends the
//! process with a message. Other threads continue, or end without affecting the rest.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::HashMap;
use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tracing::error;

use gateway_proto::reason;

/// The minimum time between two lines about panics at the same place in the code. A single message
/// may cause a panic, and peers may send many of them.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum number of places in the code that are limited separately. All further places share
/// one limit.
const PLACES_MAX: usize = 64;

/// The maximum length of a panic's message in the log, in characters. The message may quote data of
/// a peer.
const MESSAGE_MAX: usize = 1_000;

/// The number of panics so far, in all threads. Clones share the counter.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<AtomicU64>);

impl Panics {
    /// Counts and logs all panics of this process from now on, in place of the previous hook.
    pub fn watch() -> Self {
        let panics = Self::default();
        let counted = panics.clone();
        let lines = Mutex::new(PanicLines::default());
        panic::set_hook(Box::new(move |info| {
            counted.0.fetch_add(1, Ordering::Relaxed);
            log(info, &lines);
        }));
        panics
    }

    /// Returns the number of panics.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn log(info: &PanicHookInfo<'_>, lines: &Mutex<PanicLines>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    // The lock is released before the line is logged, because logging might panic, too.
    let allowed = match lines.lock() {
        Ok(mut lines) => lines.allow(&place, Instant::now()),
        Err(poisoned) => poisoned.into_inner().allow(&place, Instant::now()),
    };
    let Some(left_out) = allowed else {
        return;
    };
    let why: String = reason(info.payload()).chars().take(MESSAGE_MAX).collect();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    // The backtrace is captured only if RUST_BACKTRACE or RUST_LIB_BACKTRACE enables it.
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => Some(backtrace.to_string()),
        _ => None,
    };
    error!(
        place,
        thread,
        why,
        left_out,
        backtrace,
        "a panic, which is a bug of the gateway: please report it"
    );
}

/// The rate limiter of log lines about panics, by place.
#[derive(Debug, Default)]
struct PanicLines(HashMap<String, PlaceLine>);

#[derive(Debug, Default)]
struct PlaceLine {
    last: Option<Instant>,
    left_out: u64,
}

impl PanicLines {
    /// Returns the number of panics at `place` that were not logged since the last line about that
    /// place. If no line is due yet, counts this panic as not logged and returns `None`.
    fn allow(&mut self, place: &str, now: Instant) -> Option<u64> {
        let is_known = self.0.contains_key(place) || self.0.len() < PLACES_MAX;
        let line = self.0.entry(if is_known { place } else { "" }.to_owned());
        let line = line.or_default();
        let is_due = line
            .last
            .is_none_or(|last| now.saturating_duration_since(last) >= LINE_INTERVAL);
        if !is_due {
            line.left_out += 1;
            return None;
        }
        line.last = Some(now);
        Some(std::mem::take(&mut line.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_one_line_per_interval_and_other_panics_are_counted() {
        let start = Instant::now();
        let mut lines = PanicLines::default();
        let mut allow =
            |place: &str, seconds| lines.allow(place, start + Duration::from_secs(seconds));
        assert_eq!(allow("a.rs:1", 0), Some(0));
        assert_eq!(allow("a.rs:1", 1), None);
        assert_eq!(allow("b.rs:1", 1), Some(0));
        assert_eq!(allow("a.rs:1", 9), None);
        assert_eq!(allow("a.rs:1", 10), Some(2));
        for place in 0..2 * PLACES_MAX {
            allow(&format!("c.rs:{place}"), 11);
        }
        assert!(lines.0.len() <= PLACES_MAX + 1);
    }
}
