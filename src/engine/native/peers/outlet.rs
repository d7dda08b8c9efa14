//! What the core calls: a message is appended to its peer's outbox, within bounds.

use crate::core::Outlet;
use crate::engine::native::peers::{Peers, WORKER_ROOM, find};
use crate::frame;
use crate::ledger::{EngineCounters, Fate, Outcome};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Bytes;

impl Outlet<Bytes> for Peers {
    fn to_worker(
        &mut self,
        worker: PeerId,
        head: &[&[u8]],
        body: Vec<Bytes>,
    ) -> Result<(), Vec<Bytes>> {
        let Some(connection) = find(&mut self.places, worker) else {
            return Err(body);
        };
        if !connection.has_room_for_request(WORKER_ROOM) {
            self.counters.full += 1;
            return Err(body);
        }
        connection.push_request(&mut self.buffers, head, &body);
        if connection.enlist_to_write() {
            self.dirty.push(worker);
        }
        self.buffers.recycle(body);
        self.counters.messages_out += 1;
        Ok(())
    }

    fn to_client(&mut self, client: PeerId, frames: Vec<Bytes>, outcome: Outcome) -> Fate {
        let there = find(&mut self.places, client).filter(|there| !there.is_mute());
        let Some(connection) = there else {
            return Fate::Gone;
        };
        let waiting = connection.held();
        if waiting > 0 && waiting + frame::size(&frames) > self.outbox_max {
            return Fate::Slow;
        }
        connection.push_answer(&mut self.buffers, &frames, outcome);
        if connection.enlist_to_write() {
            self.dirty.push(client);
        }
        self.buffers.recycle(frames);
        self.counters.messages_out += 1;
        Fate::Waiting
    }

    fn counters(&self) -> EngineCounters {
        EngineCounters {
            connections: Some(self.count() as u64),
            ..self.counters.clone()
        }
    }
}
