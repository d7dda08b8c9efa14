//! Memory for messages that aren't whole, of all connections together.

use std::time::Duration;

use super::{Peers, find};
use crate::core::PeerId;

impl Peers {
    /// After a peer's turn: what it takes for a message that isn't whole, and when that is to be looked at.
    pub(in super::super) fn note_half(
        &mut self,
        peer: PeerId,
        whole: bool,
        now: Duration,
    ) -> Option<Duration> {
        let connection = find(&mut self.places, peer)?;
        let inside = connection.is_known() && connection.session.is_inside();
        let half = if inside { connection.session.held() } else { 0 };
        self.halves = self.halves + half - std::mem::replace(&mut connection.half, half);
        connection.liveness.inside(inside, whole, now);
        connection.liveness.half_due()
    }

    /// If messages that aren't whole take more than so much memory: the peers whose messages come slowest, so many that
    /// a part of it is free again and not each message has all looked through.
    pub(in super::super) fn slowest_halves(&self, most: u64, now: Duration) -> Vec<PeerId> {
        if self.halves <= most {
            return Vec::new();
        }
        let with_half = self.all().filter(|it| it.half > 0);
        let mut halves: Vec<_> = with_half
            .map(|it| (it.liveness.pace(it.half, now), it.half, it.peer))
            .collect();
        halves.sort_unstable();
        let mut left = self.halves;
        let mut slowest = Vec::new();
        for (_, half, peer) in halves {
            if left <= most - most / 8 {
                break;
            }
            left -= half;
            slowest.push(peer);
        }
        slowest
    }
}
