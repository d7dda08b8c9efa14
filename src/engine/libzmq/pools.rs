//! The pools' half of a turn: who came and went behind each DEALER, and what the workers answered.

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
            pool.leaving |= pool.monitor.update() && pool.crowd.is_some();
        }
        if pool.crowd.is_none() && pool.monitor.connected() {
            self.workers_come(id, now);
        }
        if ready.readable {
            self.drain_pool(id, now)?;
        } else if self.links.pools.get(&id).is_some_and(|pool| pool.leaving) {
            // What the last worker sent before it went has been read.
            self.workers_gone(id, now);
            if self
                .links
                .pools
                .get(&id)
                .is_some_and(|pool| pool.monitor.connected())
            {
                self.workers_come(id, now);
            }
        }
        let pool = self
            .links
            .pools
            .get_mut(&id)
            .filter(|pool| ready.writable && pool.blocked);
        if let Some((pool, peer)) = pool.and_then(|pool| pool.crowd.map(|peer| (pool, peer))) {
            pool.blocked = false;
            self.core.on(now, Event::Writable { peer }, &mut self.links);
        }
        self.tell(now);
        Ok(())
    }

    fn drain_pool(&mut self, id: PoolId, now: Duration) -> Result<(), EngineError> {
        // One more than is allowed tells that there are too many; a worker's envelope, of two
        // frames at most, doesn't count.
        let keep = self.snapshot.limits.frames + 3;
        for _ in 0..BUDGET {
            let Some(pool) = self.links.pools.get(&id) else {
                break;
            };
            let Some(frames) = receive(&pool.socket, keep)? else {
                break;
            };
            self.links.counters.messages_in += 1;
            match pool.crowd {
                Some(peer) => {
                    self.core
                        .on(now, Event::Message { peer, frames }, &mut self.links);
                    self.tell(now);
                }
                None => debug!("an answer from a worker that is gone"),
            }
        }
        Ok(())
    }

    /// The first worker of a pool came.
    fn workers_come(&mut self, id: PoolId, now: Duration) {
        let peer = self.links.number();
        let Some(pool) = self.links.pools.get_mut(&id) else {
            return;
        };
        pool.crowd = Some(peer);
        let came = Event::WorkerCame {
            peer,
            pool: id,
            kind: pool.kind,
            headcount: Headcount::Crowd,
            // libzmq tells neither of its workers.
            name: Arc::default(),
        };
        self.core.on(now, came, &mut self.links);
    }

    /// The last worker of a pool went.
    pub(super) fn workers_gone(&mut self, id: PoolId, now: Duration) {
        let Some(pool) = self.links.pools.get_mut(&id) else {
            return;
        };
        pool.leaving = false;
        pool.blocked = false;
        if let Some(peer) = pool.crowd.take() {
            self.core.on(now, Event::Gone { peer }, &mut self.links);
        }
    }
}
