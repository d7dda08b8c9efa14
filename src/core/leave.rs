//! A worker that leaves in peace: it says [`FAREWELL`], gets nothing new, answers what it holds, and hears the same
//! word as the last thing, once it holds nothing. Whatever it had been sent before came before that.

use super::event::Extent;
use super::peers::{Peer, Worker};
use super::{Core, Outlet, What, worker_particulars};
use crate::frame::Frames;
use crate::peer::WorkerKind;

/// The one frame by which a DEALER worker says that it leaves, and by which it hears that it may.
const FAREWELL: &[u8] = b"BYE";

/// Returns whether a worker's message is its farewell. No answer is a single frame, unless the others were not kept.
#[inline]
pub(super) fn is_farewell<M: Frames>(frames: &M, extent: Extent) -> bool {
    extent == Extent::Whole && frames.len() == 1 && frames.get(0) == Some(FAREWELL)
}

impl<M: Frames> Core<M> {
    /// Gives a worker nothing more. Returns false if it can't leave: what stands behind its connection may be several
    /// workers, or answers one request at a time.
    pub(super) fn leaves(&mut self, worker: Worker) -> bool {
        let leaves = worker.kind == WorkerKind::Dealer
            && self.pools[worker.pool.0].worker_leaves(worker.seat);
        if leaves && self.leaving.iter().all(|it| it.peer != worker.peer) {
            self.leaving.push(worker);
        }
        leaves
    }

    /// Lets those go that leave and hold nothing any more.
    #[cold]
    pub(super) fn let_leave(&mut self, out: &mut impl Outlet<M>) {
        for worker in std::mem::take(&mut self.leaving) {
            let there = matches!(self.peers.get(worker.peer), Some(Peer::Worker(_)));
            if !there {
                continue;
            }
            let pool = &mut self.pools[worker.pool.0];
            let farewell = || M::of(vec![FAREWELL.to_vec()]);
            if pool.holds(worker.seat) || out.to_worker(worker.peer, &[], farewell()).is_err() {
                self.leaving.push(worker);
                continue;
            }
            let mut particulars = worker_particulars(pool, worker.seat);
            pool.worker_gone(worker.seat);
            particulars.workers = pool.workers();
            self.peers.remove(worker.peer);
            self.note_worker(What::WorkerLeft, worker, particulars);
            self.expect_worker_if_needed(worker.pool);
            out.release(worker.peer);
        }
    }
}
