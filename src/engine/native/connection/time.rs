//! The timing of a connection: its silence, incomplete messages, and its timer.

use std::time::Duration;

use crate::engine::native::connection::{Connection, Phase};
use crate::engine::native::liveness::{
    HANDSHAKE_TIMEOUT, LivenessAction, Stage, VERIFICATION_MAX, View,
};

impl Connection {
    /// Returns the action that the connection's timing requires, given the heartbeat interval of
    /// its pool, if there is one.
    pub(in crate::engine::native) fn judge(
        &mut self,
        heartbeat: Option<Duration>,
        now: Duration,
    ) -> LivenessAction {
        let verifying = self.is_new() && self.session.is_verifying();
        if verifying && self.age(now) < VERIFICATION_MAX {
            // The gateway has yet to verify the peer's password, so the peer is not late.
            return LivenessAction::Rest(Some(now + HANDSHAKE_TIMEOUT));
        }
        if self.session.is_opening() || self.sending.waits_for_seal() {
            // The gateway neither reads from the peer nor writes anything that the peer would
            // answer.
            self.liveness.excuse(now);
        }
        let view = View {
            stage: match self.phase {
                Phase::Connecting | Phase::Meeting => Stage::New,
                Phase::Client | Phase::Worker(_) | Phase::Publisher | Phase::Subscriber => {
                    Stage::Known
                }
                Phase::PutOff => Stage::PutOff,
                Phase::Left | Phase::Closing => Stage::Leaving,
            },
            heartbeat: heartbeat.filter(|_| self.session.understands_ping()),
            waits: self.sending.waits(),
        };
        self.liveness.judge(view, now)
    }

    /// Records the TTL of the peer's last PING, which bounds the accepted silence of the peer.
    pub(in crate::engine::native) fn set_ttl(&mut self, ttl: Option<Duration>) {
        self.liveness.set_ttl(ttl);
    }

    /// Restarts the times of the peer's silence and of its incomplete message, because the gateway
    /// did not serve the peer in time.
    pub(in crate::engine::native) fn excuse(&mut self, now: Duration) {
        self.liveness.excuse(now);
    }

    /// Returns the time that the current stage has lasted.
    pub(in crate::engine::native) fn age(&self, now: Duration) -> Duration {
        self.liveness.age(now)
    }

    /// Records the memory of an incomplete message after a turn. `whole` is true if an earlier
    /// message was completed in that turn.
    pub(in crate::engine::native) fn note_partial(&mut self, whole: bool, now: Duration) {
        let inside = self.is_known() && self.session.is_inside();
        self.partial_bytes = if inside { self.session.held() } else { 0 };
        let arrived = inside.then(|| self.session.arrived());
        self.liveness.inside(arrived, whole, now);
    }

    /// Returns the memory of an incomplete message when it was last examined, in bytes.
    pub(in crate::engine::native) fn partial_bytes(&self) -> u64 {
        self.partial_bytes
    }

    /// Returns the time at which the incomplete message began, or last grew by
    /// `PARTIAL_MESSAGE_STEP`. Returns `None` if there is no incomplete message.
    pub(in crate::engine::native) fn partial_grew(&self) -> Option<Duration> {
        self.liveness.grew()
    }

    /// Returns the time at which the incomplete message must be examined, if there is one.
    pub(in crate::engine::native) fn partial_due(&self) -> Option<Duration> {
        self.liveness.partial_due()
    }

    /// Sets the timer to `at`, unless the timer is due by then already. Returns whether it was set.
    pub(in crate::engine::native) fn set_timer(&mut self, at: Duration) -> bool {
        let earlier = self.timer.is_none_or(|timer| at < timer);
        if earlier {
            self.timer = Some(at);
        }
        earlier
    }

    /// Returns whether the timer is set to `at`.
    pub(in crate::engine::native) fn is_due_at(&self, at: Duration) -> bool {
        self.timer == Some(at)
    }

    /// Clears the timer.
    pub(in crate::engine::native) fn clear_timer(&mut self) {
        self.timer = None;
    }
}
