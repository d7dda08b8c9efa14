//! What the configuration has no more: it is closed once nothing is owed through it.

use std::time::Duration;

use tracing::info;

use crate::engine::native::clock::Clock;
use crate::engine::native::connection::Phase;
use crate::engine::native::listen::Listeners;
use crate::engine::native::reload::SharedBook;
use crate::engine::native::role::Role;
use crate::engine::native::service::Service;
use crate::peer::PeerId;

/// The least time between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(20);

/// The time between two looks, as a multiple of what a look takes.
const REST_FACTOR: u32 = 50;

/// Whether something was removed from the configuration and is not closed yet.
#[derive(Debug, Default)]
pub(super) struct Removal {
    pending: bool,
    /// When the next look is due, now or once something is removed.
    due: Duration,
}

/// What is to be done about a connection.
enum Standing {
    /// It stays, or goes by itself.
    Stays,
    /// It is to go, and something is owed through it.
    Owed,
    /// It is to go now.
    Goes,
}

impl Removal {
    /// Notes that something was removed.
    pub(super) fn begin(&mut self) {
        self.pending = true;
    }

    /// Returns whether something is to be closed yet.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// Returns when the next look is due, if there is to be one.
    pub(super) fn due(&self) -> Option<Duration> {
        self.pending.then_some(self.due)
    }

    /// Returns when to come back for something that a next look may have closed.
    pub(super) fn next_look(&self, now: Duration) -> Duration {
        self.due.max(now + INTERVAL_MIN)
    }

    /// Closes what the configuration has no more and nothing is owed through, if a look is due.
    pub(super) fn close(
        &mut self,
        service: &mut Service,
        listeners: &mut Listeners,
        book: &SharedBook,
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
        // With very many connections a look takes long, and one of them may linger for ever.
        let took = clock.now().saturating_sub(began);
        self.due = now + INTERVAL_MIN.max(took * REST_FACTOR);
        if !self.pending {
            info!("what the configuration has no more has done what it owed, and is closed");
        }
    }
}

impl Service {
    /// Ends the calls of pools that are removed and idle. Returns whether there are calls of
    /// removed pools left.
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

    /// Closes the connections that are to go and that nothing is owed through. Returns whether
    /// there are others left that are to go.
    fn close_removed(&mut self, now: Duration) -> bool {
        let mut left = false;
        let all: Vec<PeerId> = self.peers.all().map(|there| there.peer()).collect();
        for peer in all {
            match self.standing(peer) {
                Standing::Stays => {}
                Standing::Owed => left = true,
                Standing::Goes => {
                    let why = "the configuration has it no more";
                    let connection = self.peers.get(peer);
                    if connection.is_some_and(|there| there.phase() == Phase::Client) {
                        // Its last answers may still be on their way.
                        self.part(peer, &why, now);
                    } else {
                        self.hang_up(peer, &why, now);
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
            (_, Phase::Left | Phase::Closing) => return Standing::Stays,
            (Role::Frontend(_), _) if removed || retired => busy || self.core.is_owed(peer),
            (Role::Pool(pool), _) if removed => !self.core.is_idle(pool),
            (Role::Pool(_), Phase::Worker(_)) if retired => busy || self.core.holds(peer),
            _ if retired => false,
            _ => return Standing::Stays,
        };
        if owed { Standing::Owed } else { Standing::Goes }
    }
}
