//! The orderly departure of workers. A leaving worker sends [`FAREWELL`], receives no new requests,
//! and answers the requests that it holds. Once the worker holds no request, the gateway sends
//! [`FAREWELL`] as the last message to the worker. The worker then knows that no request is still
//! on its way.

use super::event::Extent;
use super::peers::{Peer, Worker};
use super::{Core, NotedEvent, Outlet, worker_particulars};
use crate::frame::Frames;
use crate::peer::WorkerKind;

/// The only frame of the message with which a DEALER worker announces that it leaves, and of the
/// message with which the gateway releases the worker.
const FAREWELL: &[u8] = b"BYE";

/// Returns whether a worker's message is its farewell. A complete answer has more than one frame,
/// but an oversize answer may have been cut to one frame.
#[inline]
pub(super) fn is_farewell<M: Frames>(frames: &M, extent: Extent) -> bool {
    extent == Extent::Whole && frames.len() == 1 && frames.get(0) == Some(FAREWELL)
}

impl<M: Frames> Core<M> {
    /// Hands no more requests to a worker, so that the worker is released once it holds no request.
    /// Returns false if the worker cannot leave, because several workers may share its connection,
    /// or because it is a REP.
    pub(super) fn begin_leave(&mut self, worker: Worker) -> bool {
        let leaves =
            worker.kind == WorkerKind::Dealer && self.pools[worker.pool.0].begin_leave(worker.seat);
        if leaves && self.leaving.iter().all(|known| known.peer != worker.peer) {
            self.leaving.push(worker);
        }
        leaves
    }

    /// Releases the workers that are leaving and hold no request any more.
    #[cold]
    pub(super) fn release_leaving(&mut self, out: &mut impl Outlet<M>) {
        for worker in std::mem::take(&mut self.leaving) {
            let is_connected = matches!(self.peers.get(worker.peer), Some(Peer::Worker(_)));
            if !is_connected {
                continue;
            }
            let pool = &mut self.pools[worker.pool.0];
            let farewell = || M::of(vec![FAREWELL.to_vec()]);
            if pool.holds(worker.seat) || out.to_worker(worker.peer, &[], farewell()).is_err() {
                self.leaving.push(worker);
                continue;
            }
            let mut particulars = worker_particulars(pool, worker.seat);
            pool.remove_worker(worker.seat);
            particulars.workers = pool.workers();
            self.peers.remove(worker.peer);
            self.note_worker(NotedEvent::WorkerLeft, worker, particulars);
            self.expect_worker_if_needed(worker.pool);
            out.release(worker.peer);
        }
    }
}
