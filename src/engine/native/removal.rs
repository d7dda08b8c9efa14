//! The removed parts of the configuration: frontends, pools, channels and addresses. Each is closed
//! once its requests are answered.

use std::time::Duration;

use tracing::info;

use crate::engine::native::clock::Clock;
use crate::engine::native::listen::Listeners;
use crate::engine::native::reload::SharedListenerRegistry;
use crate::engine::native::service::Service;

/// The minimum time between two checks whether removed parts can be closed. An engine without
/// messages thus wakes at most 50 times a second for these checks.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// The time between two checks, in multiples of the time that a check takes. Checks thus take at
/// most about 2 % of the time.
const PAUSE_FACTOR: u32 = 50;

/// The state of removals that are not complete.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pending: bool,
    /// The earliest time of the next check, which applies to later removals, too.
    due: Duration,
}

impl Removal {
    /// Records that something was removed.
    pub(super) fn begin(&mut self) {
        self.pending = true;
    }

    /// Returns whether something remains to be closed.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Returns the time of the next check, if one is needed.
    pub(super) fn due(&self) -> Option<Duration> {
        self.pending.then_some(self.due)
    }

    /// Returns the time at which a caller that waits for a connection to be closed should look
    /// again. This time is not before the next check.
    pub(super) fn after_next_check(&self, now: Duration) -> Duration {
        self.due.max(now + INTERVAL_MIN)
    }

    /// Closes the removed parts whose requests are answered, if a check is due.
    pub(super) fn close(
        &mut self,
        service: &mut Service,
        listeners: &mut Listeners,
        registry: &SharedListenerRegistry,
        clock: &Clock,
        now: Duration,
    ) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        let began = clock.now();
        let peers_left = service.close_removed(now);
        let snapshot = service.snapshot();
        let listeners_left = match registry.closing() {
            Some(mut closing) => listeners.close_removed(snapshot, |id, pool| {
                let closes = service.is_idle(pool);
                if closes {
                    closing.closes(id);
                }
                closes
            }),
            None => listeners.has_removed(snapshot),
        };
        self.pending = peers_left || listeners_left;
        // With very many connections a check takes long, and a removed connection may stay forever.
        // The pause is therefore a multiple of the time that the check took.
        let elapsed = clock.now().saturating_sub(began);
        self.due = now + INTERVAL_MIN.max(elapsed * PAUSE_FACTOR);
        if !self.pending {
            info!(
                "the removed frontends, pools, channels and addresses have finished their requests and are closed"
            );
        }
    }
}
