//! The part of a turn that serves pools: workers that connect and disconnect, and their answers.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::core::Event;
use crate::engine::error::EngineError;
use crate::engine::libzmq::data::{BUDGET, Libzmq, PoolReady, receive};
use crate::peer::Headcount;
use crate::snapshot::PoolId;

impl Libzmq {
    pub(super) fn serve_pool(
        &mut self,
        id: PoolId,
        ready: &PoolReady,
        now: Duration,
    ) -> Result<(), EngineError> {
        let Some(pool) = self.links.pools.get_mut(&id) else {
            return Ok(());
        };
        if ready.monitor {
            pool.leaving |= pool.monitor.update() && pool.peer.is_some();
        }
        if pool.peer.is_none() && pool.monitor.connected() {
            self.workers_connected(id, now);
        }
        if ready.readable {
            self.drain_pool(id, now)?;
        } else if self.links.pools.get(&id).is_some_and(|pool| pool.leaving) {
            // The messages that the last worker sent before it disconnected have been read.
            self.workers_disconnected(id, now);
            if self
                .links
                .pools
                .get(&id)
                .is_some_and(|pool| pool.monitor.connected())
            {
                self.workers_connected(id, now);
            }
        }
        let pool = self
            .links
            .pools
            .get_mut(&id)
            .filter(|pool| ready.writable && pool.blocked);
        if let Some((pool, peer)) = pool.and_then(|pool| pool.peer.map(|peer| (pool, peer))) {
            pool.blocked = false;
            self.core.on(now, Event::Writable { peer }, &mut self.links);
        }
        self.report_events(now);
        Ok(())
    }

    fn drain_pool(&mut self, id: PoolId, now: Duration) -> Result<(), EngineError> {
        // One frame over the limit is kept, so that the core notices that the message has too many.
        // A worker's envelope, of two frames at most, does not count.
        // An answer may have as many frames as the limit of its request.
        let keep = self.core.reply_limits().1 + 3;
        self.links.allowance = BUDGET;
        while self.links.allowance > 0 {
            self.links.allowance -= 1;
            let Some(pool) = self.links.pools.get(&id) else {
                break;
            };
            let Some(frames) = receive(&pool.socket, keep)? else {
                break;
            };
            self.links.counters.messages_in += 1;
            match pool.peer {
                Some(peer) => {
                    self.core
                        .on(now, Event::Message { peer, frames }, &mut self.links);
                    self.report_events(now);
                }
                None => debug!("an answer from a worker that has disconnected"),
            }
        }
        Ok(())
    }

    /// Reports that the first worker of a pool connected.
    fn workers_connected(&mut self, id: PoolId, now: Duration) {
        let peer = self.links.number();
        let Some(pool) = self.links.pools.get_mut(&id) else {
            return;
        };
        pool.peer = Some(peer);
        let connected = Event::WorkerConnected {
            peer,
            pool: id,
            kind: pool.kind,
            headcount: Headcount::Unknown,
            // libzmq reports neither the identity nor the address of a worker.
            name: Arc::default(),
        };
        self.core.on(now, connected, &mut self.links);
    }

    /// Reports that the last worker of a pool disconnected.
    pub(super) fn workers_disconnected(&mut self, id: PoolId, now: Duration) {
        let Some(pool) = self.links.pools.get_mut(&id) else {
            return;
        };
        pool.leaving = false;
        pool.blocked = false;
        if let Some(peer) = pool.peer.take() {
            self.core
                .on(now, Event::Disconnected { peer }, &mut self.links);
        }
    }
}
