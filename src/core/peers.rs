//! The connected peers: clients, workers, publishers and subscribers.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::token::Name;
use crate::channel::SubscriberId;
use crate::frame;
use crate::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use crate::pool::Seat;
use crate::rejections::{EntryPoint, SenderInfo};
use crate::reply::{ErrorEncoding, Reason};
use crate::route::RoutePlace;
use crate::security::ANONYMOUS;
use crate::snapshot::{ChannelId, Framing, FrontendId, Limits, PoolId};

/// The memory charged for an open request in addition to its frames, in bytes: its entries in the
/// table, in a queue and among the deadlines.
pub(super) const REQUEST_CHARGE: u64 = 512;

/// The initial number of places in the table.
const PLACES_MIN: usize = 64;

/// The peers by number.
///
/// The low bits of a peer's number are its place in a table, so a look-up takes one comparison if
/// the engine's numbers differ in these bits. A peer whose place was taken when it connected is in
/// a hash map.
#[derive(Debug)]
pub(super) struct Peers {
    /// The places. Their number is a power of two, and at most half of them are taken.
    places: Vec<Option<(PeerId, Peer)>>,
    taken: usize,
    /// The peers whose place was taken when they connected.
    others: FxHashMap<PeerId, Peer>,
}

impl Default for Peers {
    fn default() -> Self {
        Self {
            places: empty(PLACES_MIN),
            taken: 0,
            others: FxHashMap::default(),
        }
    }
}

impl Peers {
    /// Adds a peer.
    pub(super) fn insert(&mut self, number: PeerId, peer: Peer) {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow();
        }
        let place = self.place(number);
        match &mut self.places[place] {
            free @ None => {
                *free = Some((number, peer));
                self.taken += 1;
            }
            Some(_) => drop(self.others.insert(number, peer)),
        }
    }

    /// Returns a peer, if it is connected.
    #[inline]
    pub(super) fn get(&self, number: PeerId) -> Option<&Peer> {
        match &self.places[self.place(number)] {
            Some((taken_by, peer)) if *taken_by == number => Some(peer),
            _ => self.others.get(&number),
        }
    }

    /// Returns a mutable reference to a peer, if it is connected.
    #[inline]
    pub(super) fn get_mut(&mut self, number: PeerId) -> Option<&mut Peer> {
        let place = self.place(number);
        match &mut self.places[place] {
            Some((taken_by, peer)) if *taken_by == number => Some(peer),
            _ => self.others.get_mut(&number),
        }
    }

    /// Removes and returns a peer, if it is connected.
    pub(super) fn remove(&mut self, number: PeerId) -> Option<Peer> {
        let place = self.place(number);
        match self.places[place].take_if(|(taken_by, _)| *taken_by == number) {
            Some((_, peer)) => {
                self.taken -= 1;
                Some(peer)
            }
            None => self.others.remove(&number),
        }
    }

    /// Returns all peers with their numbers, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        let places = self.places.iter().flatten();
        let others = self.others.iter().map(|(number, peer)| (*number, peer));
        places.map(|(number, peer)| (*number, peer)).chain(others)
    }

    /// Returns all peers, in no particular order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        let places = self.places.iter_mut().flatten();
        places.map(|(_, peer)| peer).chain(self.others.values_mut())
    }

    #[inline]
    fn place(&self, number: PeerId) -> usize {
        number.0 as usize & (self.places.len() - 1)
    }

    /// Doubles the table. A peer of the hash map may get a place in the larger table.
    fn grow(&mut self) {
        let places = empty(2 * self.places.len());
        let old = std::mem::replace(&mut self.places, places);
        self.taken = 0;
        let others = std::mem::take(&mut self.others);
        for (number, peer) in old.into_iter().flatten().chain(others) {
            self.insert(number, peer);
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
    Publisher(Box<Publisher>),
    Subscriber(Subscriber),
}

/// A publisher of a channel.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) channel: ChannelId,
    pub(super) headcount: Headcount,
    pub(super) name: Rc<Name>,
    pub(super) name_source: NameSource,
    /// The route of the last message that had a route, which is likely the route of the next
    /// message.
    pub(super) route: Option<RoutePlace>,
    /// The publisher in the form for the log, or `None` until the log first needs it.
    info: Option<Arc<SenderInfo>>,
}

impl Publisher {
    /// Returns a publisher.
    pub(super) fn new(
        channel: ChannelId,
        headcount: Headcount,
        name: Rc<Name>,
        name_source: NameSource,
    ) -> Self {
        Self {
            channel,
            headcount,
            name,
            name_source,
            route: None,
            info: None,
        }
    }

    /// Replaces the name that the publisher chose with the name of the principal that all peers
    /// without a known key share.
    pub(super) fn become_anonymous(&mut self) {
        self.name = Rc::new(Name::new(ANONYMOUS.into()));
        self.name_source = NameSource::Anonymous;
        self.info = None;
    }

    /// Returns the publisher in the form for the log. Calls `address` only the first time.
    pub(super) fn info(&mut self, address: impl FnOnce() -> Option<String>) -> Arc<SenderInfo> {
        let info = self.info.get_or_insert_with(|| {
            Arc::new(SenderInfo {
                entry: EntryPoint::Channel(self.channel),
                identity: frame::printable(&self.name.bare),
                address: address(),
            })
        });
        Arc::clone(info)
    }
}

/// A subscriber of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) channel: ChannelId,
    pub(super) id: SubscriberId,
    pub(super) headcount: Headcount,
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
    pub(super) name_source: NameSource,
    /// The index of the principal's counters, if the client has a principal.
    pub(super) principal: Option<PrincipalPlace>,
    pub(super) frontend_state: FrontendState,
    /// The `errors` of the frontend, or their last value if the frontend was removed.
    pub(super) errors: ErrorEncoding,
    /// The framing of the frontend, or its last framing if the frontend was removed. `None` is the
    /// usual framing: clients send a type, and there is no proxy.
    pub(super) framing: Option<Arc<Framing>>,
    /// The route of the last message that had a route, which is likely the route of the next
    /// message.
    pub(super) route: Option<RoutePlace>,
    /// The client in the form for the log, or `None` until the log first needs it.
    caller: Option<Arc<SenderInfo>>,
    admission: Admission,
    /// The number of open requests.
    open: u32,
    /// The size of all open requests, in bytes.
    open_bytes: u64,
    /// The number of messages that the client has sent, if it is a REQ, or 0.
    req_messages: u64,
}

/// The index of a principal's counters in [`Principals`](super::principals::Principals).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PrincipalPlace(pub(super) usize);

/// The source of the name of a client or publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameSource {
    /// The principal for the peer's key.
    Principal,
    /// The principal that all peers without a known key share.
    Anonymous,
    /// The peer or the engine chose the name.
    Peer,
}

/// The state of a client's frontend in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrontendState {
    /// The configuration has the frontend.
    Configured,
    /// The frontend was removed.
    Removed,
}

/// The admission of a client under `limits.clients`. The variants also distinguish clients that
/// have sent nothing so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// The client is served.
    Admitted,
    /// The client is over `limits.clients`. Its requests are rejected, until a request arrives when
    /// there is room again.
    Surplus,
    /// The client is served, and has sent nothing so far.
    NewAdmitted,
    /// The client is over `limits.clients`, and has sent nothing so far.
    NewSurplus,
}

/// The position of a message among its client's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessagePosition {
    First,
    Later,
}

/// The number of admitted clients, publishers and subscribers.
#[derive(Debug, Default)]
pub(super) struct Admitted(usize);

impl Client {
    /// Returns a client without requests. [`Admitted::admit`] must still admit this client.
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
            name_source: NameSource::Peer,
            principal: None,
            frontend_state,
            errors,
            framing: None,
            route: None,
            caller: None,
            admission: Admission::NewSurplus,
            open: 0,
            open_bytes: 0,
            req_messages: 0,
        }
    }

    /// Replaces the name that the client or the engine chose with the name of the principal that
    /// all peers without a known key share. Open requests keep the earlier name, by which workers
    /// answer them.
    pub(super) fn become_anonymous(&mut self) {
        self.name = Rc::new(Name::new(ANONYMOUS.into()));
        self.name_source = NameSource::Anonymous;
        self.caller = None;
    }

    /// Returns the client in the form for the log. Calls `address` only the first time.
    pub(super) fn caller(&mut self, address: impl FnOnce() -> Option<String>) -> Arc<SenderInfo> {
        let caller = self.caller.get_or_insert_with(|| {
            Arc::new(SenderInfo {
                entry: EntryPoint::Frontend(self.frontend),
                identity: frame::printable(&self.name.bare),
                address: address(),
            })
        });
        Arc::clone(caller)
    }

    /// Counts a message, if the client is a REQ. Because of the count, answers to the client's
    /// earlier messages are dropped. The client would mistake such an answer for the answer to this
    /// message. Such answers exist if the client no longer waits for them, or if another process
    /// had the same name.
    #[inline]
    fn count_req_message(&mut self) {
        self.req_messages += u64::from(self.kind == ClientKind::Req);
    }

    /// Returns the number of messages that the client has sent, if it is a REQ, or 0.
    #[inline]
    pub(super) fn req_messages(&self) -> u64 {
        self.req_messages
    }

    /// Counts an open request of this size.
    #[inline]
    pub(super) fn opened(&mut self, bytes: u64) {
        self.open += 1;
        self.open_bytes += bytes;
    }

    /// Removes a request of this size from the count and the size of the open requests.
    #[inline]
    pub(super) fn closed(&mut self, bytes: u64) {
        self.open -= 1;
        self.open_bytes -= bytes;
    }

    /// Returns whether the client is a DEALER that has sent nothing since it connected. A worker
    /// that connects to a frontend by mistake looks the same.
    pub(super) fn is_silent_dealer(&self) -> bool {
        let is_new = matches!(
            self.admission,
            Admission::NewAdmitted | Admission::NewSurplus
        );
        is_new && self.kind == ClientKind::Dealer
    }

    #[inline]
    fn is_surplus(&self) -> bool {
        matches!(self.admission, Admission::Surplus | Admission::NewSurplus)
    }

    /// Returns the number of open requests.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Returns whether the client has requests open.
    pub(super) fn has_open_requests(&self) -> bool {
        self.open > 0
    }

    /// Returns whether the client may open a request of this size. `bytes_max` is the value of
    /// [`Outlet::client_bytes_max`](super::Outlet::client_bytes_max).
    #[inline]
    pub(super) fn may_open(&self, bytes: u64, limits: &Limits, bytes_max: u64) -> bool {
        !self.is_surplus()
            && self.open < limits.client_requests
            && self.open_bytes.saturating_add(bytes) <= limits.client_bytes
            && (bytes_max == u64::MAX || self.charge_with(bytes) <= bytes_max)
    }

    /// Returns the memory charged for the client's open requests and another request of this size,
    /// in bytes.
    #[cold]
    fn charge_with(&self, bytes: u64) -> u64 {
        let requests = u64::from(self.open) * REQUEST_CHARGE;
        self.open_bytes
            .saturating_add(bytes)
            .saturating_add(requests)
    }

    /// Returns the reason and the message for the rejection of a request of this size, which the
    /// client [may not open](Self::may_open). `memory_max` is the value of
    /// [`Outlet::client_bytes_max`](super::Outlet::client_bytes_max). If the request exceeds
    /// `limits.client_bytes` by itself, the rejection is not retryable.
    #[cold]
    pub(super) fn limit(&self, bytes: u64, limits: &Limits, memory_max: u64) -> (Reason, String) {
        let bytes_max = limits.client_bytes;
        if bytes > bytes_max {
            let message = format!(
                "the message is larger than {bytes_max} bytes, the limit of limits.client_bytes"
            );
            return (Reason::TooLarge, message);
        }
        let message = if self.is_surplus() {
            let most = limits.clients;
            format!("{most} clients are connected already, the limit of limits.clients")
        } else if self.open >= limits.client_requests {
            let most = limits.client_requests;
            format!("this client has {most} requests open, the limit of limits.client_requests")
        } else if self.open_bytes.saturating_add(bytes) > bytes_max {
            format!(
                "this client's open requests would exceed {bytes_max} bytes, the limit of limits.client_bytes"
            )
        } else {
            format!(
                "memory is short: this client's open requests would exceed {memory_max} bytes, its share of limits.memory"
            )
        };
        (Reason::ClientLimit, message)
    }
}

impl Admitted {
    /// Admits a client that is not admitted yet, if fewer than `clients_max` clients are admitted.
    pub(super) fn admit(&mut self, client: &mut Client, clients_max: usize) {
        if client.is_surplus() && self.0 < clients_max {
            client.admission = match client.admission {
                Admission::NewSurplus => Admission::NewAdmitted,
                _ => Admission::Admitted,
            };
            self.0 += 1;
        }
    }

    /// Records a message of a client, and counts the message if the client is a REQ. Admits the
    /// client if the client was over `limits.clients` and there is room now. Returns the position
    /// of the message.
    #[inline]
    pub(super) fn note_message(
        &mut self,
        client: &mut Client,
        clients_max: usize,
    ) -> MessagePosition {
        client.count_req_message();
        if client.admission == Admission::Admitted {
            MessagePosition::Later
        } else {
            self.note_unsettled(client, clients_max)
        }
    }

    #[cold]
    fn note_unsettled(&mut self, client: &mut Client, clients_max: usize) -> MessagePosition {
        self.admit(client, clients_max);
        let (admission, position) = match client.admission {
            Admission::NewAdmitted => (Admission::Admitted, MessagePosition::First),
            Admission::NewSurplus => (Admission::Surplus, MessagePosition::First),
            known @ (Admission::Admitted | Admission::Surplus) => (known, MessagePosition::Later),
        };
        client.admission = admission;
        position
    }

    /// Removes a disconnected client from the count, if it was admitted.
    pub(super) fn leave(&mut self, client: &Client) {
        self.0 -= usize::from(!client.is_surplus());
    }

    /// Counts a connected publisher or subscriber towards `limits.clients`. Peers that the engine
    /// cannot distinguish are not counted.
    pub(super) fn add(&mut self, headcount: Headcount) {
        self.0 += usize::from(headcount == Headcount::One);
    }

    /// Removes a publisher or a subscriber from the count.
    pub(super) fn remove(&mut self, headcount: Headcount) {
        self.0 -= usize::from(headcount == Headcount::One);
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
            _ => None,
        }
    }

    #[test]
    fn each_peer_is_found_by_its_number_in_the_table_and_in_the_map() {
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
                assert_eq!(
                    peers.get_mut(peer).and_then(|peer| frontend(peer)),
                    expected
                );
            }
            let mut all: Vec<_> = peers
                .values_mut()
                .filter_map(|peer| frontend(peer))
                .collect();
            let mut expected: Vec<_> = model.into_values().collect();
            all.sort_unstable();
            expected.sort_unstable();
            assert_eq!(all, expected);
        }
    }
}
