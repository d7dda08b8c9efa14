//! The service of the peers: the core, and everything in the engine that the core needs to reach
//! its peers.
//!
//! The fields of [`Service`] are private to this folder. Each file of the folder implements some
//! actions of the service. `meet` reports a connection to the core after its handshake, and
//! `security` decides whether its peer is admitted. `traffic` reads and decodes the input of a
//! peer. `silence` handles a peer that sends nothing. `calling` connects to peers that listen.
//! `adopt` applies another configuration, and `removed` closes the connections whose frontend,
//! pool, channel or address was removed. `end` has all ways in which a connection ends. The rest of
//! the engine only calls methods.

mod adopt;
mod calling;
mod end;
mod meet;
mod removed;
mod security;
mod silence;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use mio::Registry;

use crate::core::{Core, Event};
use crate::engine::control::Control;
use crate::engine::judges::Judges;
use crate::engine::native::address;
use crate::engine::native::admissions::Admissions;
use crate::engine::native::clock::Clock;
use crate::engine::native::dial::Dialer;
use crate::engine::native::liveness::HANDSHAKE_TIMEOUT;
use crate::engine::native::memory::Memory;
use crate::engine::native::peers::Peers;
use crate::engine::native::quiet::Quiet;
use crate::engine::native::steps::{Step, Steps};
use crate::engine::notes::{log_last_notes, log_notes};
use crate::engine::numbering::first_number;
use crate::ledger::Ledger;
use crate::metrics::SampleRequests;
use crate::peer::PeerId;
use crate::snapshot::{PoolId, PoolSettings, Snapshot};
use gateway_zmtp::message::Message;

/// The time after which a turn leaves the remaining verdicts of judges to the next turn. After each
/// verdict, the core may check messages that waited for this verdict, for up to a millisecond.
const VERDICTS_TIME_MAX: Duration = Duration::from_millis(2);

/// The time after which a turn leaves the rest of the core's unfinished work to the next turn.
const WORK_TIME_MAX: Duration = Duration::from_millis(2);

/// The core and its peers.
pub(super) struct Service {
    core: Core<Message>,
    /// The configuration in force.
    snapshot: Arc<Snapshot>,
    peers: Peers,
    dialer: Dialer,
    admissions: Admissions,
    steps: Steps,
    quiet: Quiet,
    /// Set if judges may have more verdicts than the last turn reported to the core.
    verdicts_left: bool,
}

impl Service {
    /// Creates a service without peers. `registry` will watch the connections, and `release` must
    /// return free memory to the system.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        requests: SampleRequests,
        registry: Registry,
        control: Control,
        release: fn(),
    ) -> Self {
        Self {
            core: Core::new(Arc::clone(&snapshot))
                .numbering_from(first_number())
                .answering(requests),
            snapshot,
            peers: Peers::new(registry, Judges::new(control.clone()), Memory::new(release)),
            dialer: Dialer::new(control.clone(), address::resolve),
            steps: Steps::new(control),
            admissions: Admissions::default(),
            quiet: Quiet::default(),
            verdicts_left: false,
        }
    }

    /// Returns the configuration in force.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns whether no request of a pool is open.
    pub(super) fn is_idle(&self, pool: PoolId) -> bool {
        self.core.is_idle(pool)
    }

    /// Returns whether a drain has begun, and the core has nothing left to deliver.
    pub(super) fn is_drained(&self) -> bool {
        self.core.is_drained()
    }

    /// Returns the number of connections.
    pub(super) fn connection_count(&self) -> usize {
        self.peers.count()
    }

    /// Returns whether new clients must wait because memory is short.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.peers.is_out_of_memory()
    }

    /// Returns whether the next turn must not wait for an event of the system.
    pub(super) fn needs_turn(&self) -> bool {
        self.peers.is_ready()
            || self.peers.is_dirty()
            || self.verdicts_left
            || self.core.has_unfinished_work()
    }

    /// Returns the time of the next action that is due without an event of the system, or `None` if
    /// no such action is planned.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let due = [
            self.core.next_deadline(),
            self.peers.next_timer(),
            self.peers.weigh_due(),
            self.dialer.next(),
        ];
        due.into_iter().flatten().min()
    }

    /// Counts a turn of the engine, which worked for `busy` since the last wait.
    pub(super) fn count_turn(&mut self, busy: Duration) {
        self.peers.count_turn(busy);
    }

    /// Passes an event to the core, which acts on the peers.
    #[inline(always)]
    fn decide(&mut self, now: Duration, event: Event<Message>) {
        self.core.on(now, event, &mut self.peers);
    }

    /// Notifies the core of the time.
    pub(super) fn tick(&mut self, now: Duration) {
        self.decide(now, Event::Tick);
        self.report_events(now);
    }

    /// Begins to drain. Requests that are open at `deadline` are rejected then.
    pub(super) fn drain(&mut self, deadline: Duration, now: Duration) {
        self.decide(now, Event::Drain { deadline });
        self.report_events(now);
    }

    /// Reports to the core the events that occurred while its effects were carried out. Disconnects
    /// the peers that the core has dismissed. Begins to wait for the disconnection of workers that
    /// the core has released.
    fn report_events(&mut self, now: Duration) {
        loop {
            while let Some(event) = self.peers.next_event() {
                self.decide(now, event);
            }
            // After a peer is dismissed, the loop continues, because its disconnection is a new
            // event.
            let Some((peer, why)) = self.peers.next_dismissed() else {
                break;
            };
            self.dismiss(peer, why, now);
        }
        while let Some(peer) = self.peers.next_released() {
            self.await_leave(peer, now);
        }
    }

    /// Reports verdicts of judges to the core, until this turn, which began at `now`, has taken
    /// [`VERDICTS_TIME_MAX`]. Returns whether there were any verdicts.
    pub(super) fn report_verdicts(&mut self, now: Duration, clock: &Clock) -> bool {
        let mut reported = false;
        self.verdicts_left = false;
        while let Some(verdict) = self.peers.next_verdict() {
            reported = true;
            self.decide(now, Event::Judged { verdict });
            self.report_events(now);
            if clock.now().saturating_sub(now) >= VERDICTS_TIME_MAX {
                self.verdicts_left = true;
                break;
            }
        }
        reported
    }

    /// Lets the core continue its unfinished work, if there is any: at least one part, and further
    /// parts until this turn has taken [`WORK_TIME_MAX`]. The turn began at `now`. Returns whether
    /// there was any work.
    pub(super) fn continue_work(&mut self, now: Duration, clock: &Clock) -> bool {
        let mut continued = false;
        while self.core.has_unfinished_work() {
            continued = true;
            self.decide(now, Event::Continue);
            self.report_events(now);
            if clock.now().saturating_sub(now) >= WORK_TIME_MAX {
                break;
            }
        }
        continued
    }

    /// Returns the number of queued bytes of all subscribers that can be written to.
    pub(super) fn unread_by_subscribers(&self) -> u64 {
        self.peers.unread_by_subscribers()
    }

    /// Updates the bounds on memory at the end of a turn.
    pub(super) fn weigh(&mut self, now: Duration) {
        self.peers.weigh(self.core.memory(), now);
        self.bound_partial_messages(now);
        self.report_events(now);
    }

    /// Begins to wait until a worker that the core has released disconnects.
    #[cold]
    fn await_leave(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            connection.leave(now);
            self.peers.note_partial(peer, false, now);
            self.peers.set_timer(peer, now + HANDSHAKE_TIMEOUT);
        }
    }

    /// Writes the queued bytes of peers, until the turn has lasted too long. Then queues the large
    /// frames that other threads must seal.
    pub(super) fn write(&mut self, now: Duration, clock: &Clock) {
        self.peers.flush(now, clock);
        while let Some((peer, work)) = self.peers.next_to_seal() {
            self.take_step(peer, Step::Seal(work));
        }
        self.report_events(now);
    }

    /// Logs the core's notes of a turn.
    pub(super) fn log_notes(&mut self) {
        log_notes(&mut self.core);
    }

    /// Logs the remaining notes of the core, and returns the core's counters.
    pub(super) fn final_ledger(&mut self) -> Ledger {
        log_last_notes(&mut self.core);
        self.core.ledger()
    }

    /// Returns the settings of a pool, or `None` for a removed pool that is idle. Until it is idle,
    /// a removed pool keeps its last settings, because its workers may connect again to receive
    /// requests or to send answers.
    fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        if let Some(settings) = self.snapshot.pools.get(&pool) {
            return Some(settings);
        }
        if self.core.is_idle(pool) {
            return None;
        }
        self.core.settings(pool)
    }
}

#[cfg(test)]
mod tests;
