//! What the core calls: a message is appended to its peer's outbox, within bounds.

use super::super::connection::Connection;
use super::{Peers, WORKER_ROOM, find};
use crate::core::Outlet;
use crate::frame;
use crate::ledger::{EngineCounters, Fate, Outcome};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Bytes;
use gateway_zmtp::pool::BufferPool;

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
        // One that has hung up is read to its end, and can't answer what comes now.
        let leaves = connection.retired || connection.mute || connection.half_closed;
        if leaves || connection.outbox.unwritten() > WORKER_ROOM {
            connection.blocked = true;
            self.counters.full += 1;
            return Err(body);
        }
        for part in head {
            connection.outbox.copy(&mut self.buffers, part, true);
        }
        push(connection, &mut self.buffers, &body);
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(worker);
        }
        self.buffers.recycle(body);
        self.counters.messages_out += 1;
        Ok(())
    }

    fn to_client(&mut self, client: PeerId, frames: Vec<Bytes>, outcome: Outcome) -> Fate {
        let there = find(&mut self.places, client).filter(|it| !it.mute);
        let Some(connection) = there else {
            return Fate::Gone;
        };
        let bytes = frame::size(&frames);
        let waiting = connection.outbox.held();
        if waiting > 0 && waiting + bytes > self.outbox_max {
            return Fate::Slow;
        }
        push(connection, &mut self.buffers, &frames);
        connection.outbox.mark(outcome);
        if !std::mem::replace(&mut connection.dirty, true) {
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

/// Appends a message, or what follows of one.
fn push(connection: &mut Connection, buffers: &mut BufferPool, frames: &[Bytes]) {
    let last = frames.len().saturating_sub(1);
    for (n, frame) in frames.iter().enumerate() {
        connection.outbox.push(buffers, frame, n < last);
    }
}
