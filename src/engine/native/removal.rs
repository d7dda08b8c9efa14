//! Parts that were removed from the configuration. Each is closed once no answer is due through it.

use std::time::Duration;

use tracing::info;

use crate::engine::native::clock::Clock;
use crate::engine::native::connection::Phase;
use crate::engine::native::listen::Listeners;
use crate::engine::native::reload::SharedListenerRegistry;
use crate::engine::native::role::Role;
use crate::engine::native::service::Service;
use crate::peer::PeerId;

/// The minimum time between two checks.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// The time between two checks, in multiples of the time that a check takes.
const REST_FACTOR: u32 = 50;

/// The state of removals that are not complete.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pending: bool,
    /// The earliest time of the next check, which applies to later removals, too.
    due: Duration,
}

/// The standing of a connection.
enum Standing {
    /// It stays, or ends by itself.
    Stays,
    /// It must be closed, but an answer is still owed through it.
    Owed,
    /// It is closed now.
    Goes,
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

    /// Returns a time after the next check, for a caller that waits for a connection to be closed.
    pub(super) fn next_look(&self, now: Duration) -> Duration {
        self.due.max(now + INTERVAL_MIN)
    }

    /// Closes the removed parts through which no answer is owed any more, if a check is due.
    pub(super) fn close(
        &mut self,
        service: &mut Service,
        listeners: &mut Listeners,
        book: &SharedListenerRegistry,
        clock: &Clock,
        now: Duration,
    ) {
        if self.due().is_none_or(|due| due > now) {
            return;
        }
        let began = clock.now();
        let calls_left = service.end_removed_calls();
        let connections_left = service.close_removed(now);
        service.tell(now);
        let (core, snapshot) = (&service.core, &service.snapshot);
        let listeners_left = match book.closing() {
            Some(mut closing) => listeners.close_removed(snapshot, |id, pool| {
                let closes = core.is_idle(pool);
                if closes {
                    closing.closes(id);
                }
                closes
            }),
            None => listeners.has_removed(snapshot),
        };
        self.pending = calls_left || connections_left || listeners_left;
        // With very many connections a check takes long, and a removed connection may stay forever.
        // The pause is therefore a multiple of the time that the check took.
        let took = clock.now().saturating_sub(began);
        self.due = now + INTERVAL_MIN.max(took * REST_FACTOR);
        if !self.pending {
            info!("the removed parts have finished their requests and are closed");
        }
    }
}

impl Service {
    /// Ends the calls of removed pools that are idle. Returns whether calls of removed pools
    /// remain.
    fn end_removed_calls(&mut self) -> bool {
        let (core, snapshot) = (&self.core, &self.snapshot);
        let over = |role: Role| {
            let removed = role.pool_missing_in(snapshot);
            removed.is_some_and(|pool| core.is_idle(pool))
        };
        self.dialer.end(over);
        let mut left = self.dialer.all();
        left.any(|(role, _)| role.pool_missing_in(snapshot).is_some())
    }

    /// Closes the connections that must be closed and through which no answer is owed. Returns
    /// whether others remain.
    fn close_removed(&mut self, now: Duration) -> bool {
        let mut left = false;
        let all: Vec<PeerId> = self.peers.all().map(|there| there.peer()).collect();
        for peer in all {
            match self.standing(peer) {
                Standing::Stays => {}
                Standing::Owed => left = true,
                Standing::Goes => {
                    let why = "it was removed from the configuration";
                    let phase = self.peers.get(peer).map(|there| there.phase());
                    match phase {
                        // The last bytes for it may still be on their way.
                        Some(Phase::Client | Phase::Subscriber) => self.part(peer, &why, now),
                        _ => self.hang_up(peer, &why, now),
                    }
                }
            }
        }
        left
    }

    fn standing(&mut self, peer: PeerId) -> Standing {
        let Some(connection) = self.peers.get(peer) else {
            return Standing::Stays;
        };
        let (role, phase) = (connection.role(), connection.phase());
        let (busy, retired) = (connection.is_busy(), connection.is_retired());
        let removed = !role.is_in(&self.snapshot);
        let owed = match (role, phase) {
            (_, Phase::Left | Phase::PutOff | Phase::Closing) => return Standing::Stays,
            (Role::Frontend(_), _) if removed || retired => busy || self.core.is_owed(peer),
            // Nothing more is published on a removed channel. On another, messages may wait for a
            // slow subscriber without end.
            (Role::Subscribers(_), _) if removed => busy || self.core.is_owed(peer),
            (Role::Publishers(_), _) if removed => false,
            (Role::Pool(pool), _) if removed => !self.core.is_idle(pool),
            (Role::Pool(_), Phase::Worker(_)) if retired => busy || self.core.holds(peer),
            _ if retired => false,
            _ => return Standing::Stays,
        };
        if owed { Standing::Owed } else { Standing::Goes }
    }
}
