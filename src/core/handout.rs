//! To a worker: what waits is handed out as long as somebody is free.

use std::time::Duration;

use super::request::{Request, State};
use super::{Core, Outlet, Spare};
use crate::frame::{self, Frames};
use crate::peer::WorkerKind;
use crate::pool::{Pool, Seat};
use crate::snapshot::PoolId;

impl<M: Frames> Core<M> {
    /// Hands out what waits in a pool, as long as a worker is free.
    pub(super) fn dispatch(&mut self, pool: PoolId, out: &mut impl Outlet<M>) {
        let pool = &mut self.pools[pool.0];
        while let Some((number, seat)) = pool.next_handout() {
            let Some(request) = self.requests.get_mut(number) else {
                continue;
            };
            if !request.hand(pool, seat, self.now, &mut self.spare, out) {
                pool.set_blocked(seat, true);
                let client = request.asker.client;
                pool.put_back(number, client, &request.name.bare, request.bytes);
            }
        }
    }
}

impl<M: Frames> Request<M> {
    /// Hands it to a worker, if it waits; false if the worker can't take it now.
    pub(super) fn hand(
        &mut self,
        pool: &mut Pool,
        seat: Seat,
        now: Duration,
        spare: &mut Spare,
        out: &mut impl Outlet<M>,
    ) -> bool {
        let Some((worker, kind)) = pool.at(seat) else {
            return false;
        };
        let State::Waiting(body) = &mut self.state else {
            return false;
        };
        let headers = spare.headers.keep(frame::headers(body));
        let bare = pool.bare_identity(kind);
        let name: &[u8] = if bare {
            &self.name.bare
        } else {
            self.name.write(self.number, &mut spare.token);
            &spare.token
        };
        let head: &[&[u8]] = match kind {
            WorkerKind::Dealer => &[name],
            WorkerKind::Rep => &[name, b""],
        };
        match out.to_worker(worker, head, std::mem::take(body)) {
            Ok(()) => {
                self.state = State::Held {
                    worker,
                    at: pool.hold(seat, self.number, &self.name.bare, now),
                    bare,
                    headers,
                };
                true
            }
            Err(back) => {
                spare.headers.give_back(headers);
                *body = back;
                false
            }
        }
    }
}
