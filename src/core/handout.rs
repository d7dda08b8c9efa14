//! To a worker: what waits is handed out as long as somebody is free.

use super::*;

impl<F: Frame> Core<F> {
    /// Hands out what waits in a pool, as long as a worker is free.
    pub(super) fn dispatch(&mut self, pool: PoolId, out: &mut impl Outlet<F>) {
        while let Some((number, seat)) = self.pools[pool.0].next_handout() {
            let Some(mut request) = self.requests.remove(&number) else {
                continue;
            };
            if !self.hand(pool, seat, number, &mut request, out) {
                let pool = &mut self.pools[pool.0];
                pool.set_blocked(seat, true);
                pool.put_back(number, &request.name.bare, request.bytes);
            }
            self.requests.insert(number, request);
        }
    }

    /// Hands a waiting request to a worker; false if the worker can't take it now.
    pub(super) fn hand(
        &mut self,
        pool: PoolId,
        seat: Seat,
        number: u64,
        request: &mut Request<F>,
        out: &mut impl Outlet<F>,
    ) -> bool {
        let pool = &mut self.pools[pool.0];
        let Some((worker, kind)) = pool.at(seat) else {
            return false;
        };
        let State::Waiting(body) = &mut request.state else {
            return false;
        };
        let headers = self.shelf.keep(frame::headers(body));
        let bare = pool.bare_identity(kind);
        let name: &[u8] = match bare {
            true => &request.name.bare,
            false => {
                request.name.write(number, &mut self.token);
                &self.token
            }
        };
        let head: &[&[u8]] = match kind {
            WorkerKind::Dealer => &[name],
            WorkerKind::Rep => &[name, b""],
        };
        match out.to_worker(worker, head, std::mem::take(body)) {
            Ok(()) => {
                request.state = State::Held {
                    worker,
                    bare,
                    headers,
                };
                pool.hold(seat, number, &request.name.bare);
                true
            }
            Err(back) => {
                self.shelf.give_back(headers);
                *body = back;
                false
            }
        }
    }
}
