//! The connected peers, each a client or a worker.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::token::Name;
use crate::frame;
use crate::peer::{ClientKind, PeerId, WorkerKind};
use crate::pool::Seat;
use crate::rejections::Caller;
use crate::reply::ErrorEncoding;
use crate::route::RoutePlace;
use crate::snapshot::{Framing, FrontendId, Limits, PoolId};

/// Places of a table without peers.
const PLACES_LEAST: usize = 64;

/// The peers by number.
///
/// A peer's place is the low bits of its number, so that to find one is a comparison: an engine
/// whose numbers differ in these bits gives each peer a place of its own. The others are found by a
/// hash.
#[derive(Debug)]
pub(super) struct Peers {
    /// A power of two of them, at most half of them taken.
    places: Vec<Option<(PeerId, Peer)>>,
    taken: usize,
    /// Those whose place was taken when they came.
    others: FxHashMap<PeerId, Peer>,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            places: empty(PLACES_LEAST),
            taken: 0,
            others: FxHashMap::default(),
        }
    }
}

impl Peers {
    /// Adds a peer.
    pub(super) fn insert(&mut self, peer: PeerId, it: Peer) {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow();
        }
        let place = self.place(peer);
        match &mut self.places[place] {
            free @ None => {
                *free = Some((peer, it));
                self.taken += 1;
            }
            Some(_) => drop(self.others.insert(peer, it)),
        }
    }

    /// Returns a peer, if it is there.
    #[inline]
    pub(super) fn get(&self, peer: PeerId) -> Option<&Peer> {
        match &self.places[self.place(peer)] {
            Some((there, it)) if *there == peer => Some(it),
            _ => self.others.get(&peer),
        }
    }

    /// Returns a peer, if it is there, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, peer: PeerId) -> Option<&mut Peer> {
        let place = self.place(peer);
        match &mut self.places[place] {
            Some((there, it)) if *there == peer => Some(it),
            _ => self.others.get_mut(&peer),
        }
    }

    /// Takes out a peer.
    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Peer> {
        let place = self.place(peer);
        match self.places[place].take_if(|(there, _)| *there == peer) {
            Some((_, it)) => {
                self.taken -= 1;
                Some(it)
            }
            None => self.others.remove(&peer),
        }
    }

    /// Returns all of them, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        let places = self.places.iter_mut().flatten();
        places.map(|(_, it)| it).chain(self.others.values_mut())
    }

    #[inline]
    fn place(&self, peer: PeerId) -> usize {
        peer.0 as usize & (self.places.len() - 1)
    }

    /// Doubles the table. Peers that had no place of their own may get one.
    fn grow(&mut self) {
        let places = empty(2 * self.places.len());
        let before = std::mem::replace(&mut self.places, places);
        self.taken = 0;
        let others = std::mem::take(&mut self.others);
        for (peer, it) in before.into_iter().flatten().chain(others) {
            self.insert(peer, it);
        }
    }
}

fn empty<T>(places: usize) -> Vec<Option<T>> {
    std::iter::repeat_with(|| None).take(places).collect()
}

#[derive(Debug)]
pub(super) enum Peer {
    Client(Client),
    Worker(Worker),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    pub(super) peer: PeerId,
    pub(super) pool: PoolId,
    pub(super) seat: Seat,
    pub(super) kind: WorkerKind,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) frontend: FrontendId,
    pub(super) kind: ClientKind,
    pub(super) name: Rc<Name>,
    pub(super) frontend_state: FrontendState,
    /// The frontend's `errors`, for as long as the configuration has that frontend.
    pub(super) errors: ErrorEncoding,
    /// The frontend's `framing`, likewise, if it is an unusual one.
    pub(super) framing: Option<Arc<Framing>>,
    /// The route of the last message that had one: likely the next one's.
    pub(super) route: Option<RoutePlace>,
    /// The client as the log names it; none until a request of it is rejected.
    caller: Option<Arc<Caller>>,
    admission: Admission,
    /// Requests that the client has open.
    open: u32,
    /// Bytes of these requests.
    open_bytes: u64,
    asked: u64,
}

/// Whether the configuration has a client's frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontendState {
    /// It does.
    Configured,
    /// It had that frontend.
    Removed,
}

/// Whether a client counts among those of `limits.clients`, and whether it has sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Served.
    Admitted,
    /// Over `limits.clients`: every request is rejected, until another client leaves.
    Surplus,
    /// Served, and has sent nothing so far.
    NewAdmitted,
    /// Surplus, and has sent nothing so far.
    NewSurplus,
}

/// Which of its client's messages a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// The number of admitted clients.
#[derive(Debug, Default)]
pub(super) struct Admitted(usize);

impl Client {
    /// Returns a client without requests, which [`Admitted::admit`] has yet to admit.
    pub(super) fn new(
        frontend: FrontendId,
        kind: ClientKind,
        name: Rc<Name>,
        frontend_state: FrontendState,
        errors: ErrorEncoding,
    ) -> Self {
        Self {
            frontend,
            kind,
            name,
            frontend_state,
            errors,
            framing: None,
            route: None,
            caller: None,
            admission: Admission::NewSurplus,
            open: 0,
            open_bytes: 0,
            asked: 0,
        }
    }

    /// Returns the client as the log names it; `address` is asked for once.
    pub(super) fn caller(&mut self, address: impl FnOnce() -> Option<String>) -> Arc<Caller> {
        let caller = self.caller.get_or_insert_with(|| {
            Arc::new(Caller {
                frontend: self.frontend,
                identity: frame::printable(&self.name.bare),
                address: address(),
            })
        });
        Arc::clone(caller)
    }

    /// Counts a message of the client. A REQ that asks again has given up its last request, or is another process
    /// under the same name; either would take the old answer for the new one.
    #[inline]
    pub(super) fn asks(&mut self) {
        self.asked += u64::from(self.kind == ClientKind::Req);
    }

    /// Returns how often a REQ has asked.
    #[inline]
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// Adds a request of so many bytes to the open ones.
    #[inline]
    pub(super) fn opened(&mut self, bytes: u64) {
        self.open += 1;
        self.open_bytes += bytes;
    }

    /// Takes a request of so many bytes out of the open ones.
    #[inline]
    pub(super) fn closed(&mut self, bytes: u64) {
        self.open -= 1;
        self.open_bytes -= bytes;
    }

    #[inline]
    fn is_surplus(&self) -> bool {
        matches!(self.admission, Admission::Surplus | Admission::NewSurplus)
    }

    /// Returns whether the client has requests open.
    pub(super) fn is_owed(&self) -> bool {
        self.open > 0
    }

    /// Whether the client may open a request of so many bytes.
    #[inline]
    pub(super) fn may_open(&self, bytes: u64, limits: &Limits) -> bool {
        !self.is_surplus()
            && self.open < limits.client_requests
            && self.open_bytes.saturating_add(bytes) <= limits.client_bytes
    }

    /// Says why the client [may not open](Self::may_open) a request.
    #[cold]
    pub(super) fn limit(&self, limits: &Limits) -> String {
        if self.is_surplus() {
            let most = limits.clients;
            format!("{most} clients are here already, the limit of limits.clients")
        } else if self.open >= limits.client_requests {
            let most = limits.client_requests;
            format!("this client has {most} requests open, the limit of limits.client_requests")
        } else {
            let most = limits.client_bytes;
            format!(
                "this client's open requests would pass {most} bytes, the limit of limits.client_bytes"
            )
        }
    }
}

impl Admitted {
    /// Admits a client that has just connected, if fewer than `clients_max` clients are admitted.
    pub(super) fn admit(&mut self, client: &mut Client, clients_max: usize) {
        if client.is_surplus() && self.0 < clients_max {
            client.admission = match client.admission {
                Admission::NewSurplus => Admission::NewAdmitted,
                _ => Admission::Admitted,
            };
            self.0 += 1;
        }
    }

    /// Notes that a client sends a message; admits it if another has left since it was turned away.
    #[inline]
    pub(super) fn note_message(&mut self, client: &mut Client, clients_max: usize) -> Turn {
        if client.admission == Admission::Admitted {
            Turn::Later
        } else {
            self.note_unsettled(client, clients_max)
        }
    }

    #[cold]
    fn note_unsettled(&mut self, client: &mut Client, clients_max: usize) -> Turn {
        self.admit(client, clients_max);
        let (admission, turn) = match client.admission {
            Admission::NewAdmitted => (Admission::Admitted, Turn::First),
            Admission::NewSurplus => (Admission::Surplus, Turn::First),
            known @ (Admission::Admitted | Admission::Surplus) => (known, Turn::Later),
        };
        client.admission = admission;
        turn
    }

    /// Forgets a client that has left.
    pub(super) fn leave(&mut self, client: &Client) {
        self.0 -= usize::from(!client.is_surplus());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn client(frontend: usize) -> Peer {
        let name = Rc::new(Name::new(b"client".to_vec()));
        let frontend = FrontendId(frontend);
        Peer::Client(Client::new(
            frontend,
            ClientKind::Dealer,
            name,
            FrontendState::Configured,
            ErrorEncoding::Json,
        ))
    }

    fn frontend(peer: &Peer) -> Option<usize> {
        match peer {
            Peer::Client(client) => Some(client.frontend.0),
            Peer::Worker(_) => None,
        }
    }

    #[test]
    fn each_is_found_by_its_number_wherever_its_place_is() {
        for (low, high) in [(1_000, 1), (4, 400), (40, 40)] {
            let mut random = fastrand::Rng::with_seed(7);
            let (mut peers, mut model) = (Peers::default(), BTreeMap::new());
            for step in 0..10_000 {
                let number = random.u64(..high) << 20 | random.u64(..low);
                let peer = PeerId(number);
                if random.bool() && !model.contains_key(&number) {
                    peers.insert(peer, client(step));
                    model.insert(number, step);
                } else {
                    let gone = peers.remove(peer);
                    let gone = gone.as_ref().and_then(frontend);
                    assert_eq!(gone, model.remove(&number), "{number}");
                }
                assert_eq!(peers.taken + peers.others.len(), model.len());
                let number = random.u64(..high) << 20 | random.u64(..low);
                let expected = model.get(&number).copied();
                let peer = PeerId(number);
                assert_eq!(peers.get(peer).and_then(frontend), expected);
                assert_eq!(peers.get_mut(peer).and_then(|it| frontend(it)), expected);
            }
            let mut all: Vec<_> = peers.values_mut().filter_map(|it| frontend(it)).collect();
            let mut expected: Vec<_> = model.into_values().collect();
            all.sort_unstable();
            expected.sort_unstable();
            assert_eq!(all, expected);
        }
    }
}
