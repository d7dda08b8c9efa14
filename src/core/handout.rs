//! The handout of requests to free workers.

use std::rc::Rc;
use std::time::Duration;

use super::request::State;
use super::token::Name;
use super::{Core, Outlet, Spare};
use crate::frame::{self, Frames};
use crate::ledger::nanoseconds;
use crate::peer::{PeerId, WorkerKind};
use crate::pool::{NameForm, Pool, RequestForm, Seat};
use crate::snapshot::{PoolId, WorkerFrames};

impl<M: Frames> Core<M> {
    /// Hands out the queued requests of a pool as long as a worker is free.
    pub(super) fn dispatch(&mut self, pool: PoolId, out: &mut impl Outlet<M>) {
        let pool = &mut self.pools[pool.0];
        while let Some((number, seat)) = pool.next_handout() {
            let Some(request) = self.requests.get_mut(number) else {
                continue;
            };
            let State::Waiting(body) = &mut request.state else {
                continue;
            };
            let body = std::mem::take(body);
            let handout = Handout {
                number,
                client: request.sender.client,
                name: &request.name,
                keeps_type: request.snapshot.routes.at(request.route).kind.is_none(),
            };
            request.state = match handout.hand(body, pool, seat, self.now, &mut self.spare, out) {
                Ok(held) => {
                    request.waited_ns = nanoseconds(self.now).saturating_sub(request.arrived_ns);
                    held
                }
                Err(back) => {
                    pool.set_blocked(seat, true);
                    let client = request.sender.client;
                    pool.put_back(number, client, &request.name.bare, request.bytes.into());
                    State::Waiting(back)
                }
            };
        }
    }
}

/// The parts of a request, except the body, that are needed to hand the request to a worker.
pub(super) struct Handout<'a> {
    /// The request's number.
    pub(super) number: u64,
    /// The client.
    pub(super) client: PeerId,
    /// The client's name.
    pub(super) name: &'a Rc<Name>,
    /// True if the route has a pattern, so that the type must be kept for a rejection.
    pub(super) keeps_type: bool,
}

impl Handout<'_> {
    /// Hands the request to a worker, and returns the state of the held request. Fails with the
    /// body if the worker cannot take the request now.
    pub(super) fn hand<M: Frames>(
        &self,
        body: M,
        pool: &mut Pool,
        seat: Seat,
        now: Duration,
        spare: &mut Spare,
        out: &mut impl Outlet<M>,
    ) -> Result<State<M>, M> {
        let Some((worker, kind)) = pool.connection(seat) else {
            return Err(body);
        };
        let handed = pool.handed(kind);
        let name: &[u8] = match handed {
            RequestForm::Token => spare.tokens.token(self.client, self.name, self.number),
            RequestForm::Bare => &self.name.bare,
            RequestForm::Plain(..) => return self.hand_payload(body, pool, seat, now, spare, out),
        };
        let kept = spare.kept.keep(frame::kept(&body, self.keeps_type));
        let head: &[&[u8]] = match kind {
            WorkerKind::Dealer => &[name],
            WorkerKind::Rep => &[name, b""],
        };
        match out.to_worker(worker, head, body) {
            Ok(()) => Ok(State::Held {
                worker,
                at: pool.hold(seat, self.number, &self.name.bare, now),
                handed,
                kept,
            }),
            Err(back) => {
                spare.kept.give_back(kept);
                Err(back)
            }
        }
    }

    /// Hands a plain worker only the payload. The result is as for [`Self::hand`].
    #[cold]
    fn hand_payload<M: Frames>(
        &self,
        body: M,
        pool: &mut Pool,
        seat: Seat,
        now: Duration,
        spare: &mut Spare,
        out: &mut impl Outlet<M>,
    ) -> Result<State<M>, M> {
        let Some((worker, kind)) = pool.connection(seat) else {
            return Err(body);
        };
        let handed = pool.handed(kind);
        let name: &[u8] = match handed {
            RequestForm::Bare | RequestForm::Plain(NameForm::Bare, _) => &self.name.bare,
            RequestForm::Token | RequestForm::Plain(NameForm::Token, _) => {
                spare.tokens.token(self.client, self.name, self.number)
            }
        };
        let head: &[&[u8]] = match (kind, handed) {
            (WorkerKind::Dealer, RequestForm::Plain(_, WorkerFrames::Delimited)) => &[name, b""],
            (WorkerKind::Dealer, _) => &[name],
            (WorkerKind::Rep, _) => &[name, b""],
        };
        // The body stays whole until the worker has certainly taken it.
        match out.to_worker(worker, head, body.last()) {
            Ok(()) => Ok(State::Held {
                worker,
                at: pool.hold(seat, self.number, &self.name.bare, now),
                handed,
                kept: spare.kept.keep(frame::kept(&body, self.keeps_type)),
            }),
            Err(_) => Err(body),
        }
    }
}
