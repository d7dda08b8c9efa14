//! Admission: bounds on the number of clients, and on the number of strangers. A stranger is an
//! accepted connection whose peer is not served.

use std::collections::VecDeque;

use crate::peer::PeerId;

/// The maximum number of strangers: accepted connections that are in their handshake, or that were
/// refused and are not closed yet. When this number is reached, strangers that linger are
/// disconnected, the oldest first. Otherwise, connections that are left open on purpose would keep
/// other peers from connecting. While no stranger lingers, further connections wait in the system's
/// backlog.
const HANDSHAKES_MAX: usize = 4096;

/// The number of strangers that are disconnected together once [`HANDSHAKES_MAX`] is reached, if so
/// many linger. During a flood, not all strangers are thus examined for each new connection.
const HANDSHAKES_SPARE: usize = 256;

/// The number of clients beyond `limits.clients` that are admitted, although each of their requests
/// is rejected. The rejections explain the limit to these clients. Further clients are refused at
/// their handshake.
const SURPLUS_MAX: usize = 1000;

/// The strangers and clients.
#[derive(Debug)]
pub(super) struct Admissions {
    /// The connections that were strangers when they were added, the oldest first.
    strangers: VecDeque<PeerId>,
    /// The number of clients, publishers and subscribers that the core knows.
    clients: usize,
    /// The number of the last client without a name.
    nameless: u32,
}

impl Default for Admissions {
    /// Returns admissions without peers. Clients without a name are numbered from a random number
    /// on, as libzmq numbers them. Under `identity: client`, the answer of a slow worker to a
    /// client of an earlier process must not reach a client of this process.
    fn default() -> Self {
        Self {
            strangers: VecDeque::new(),
            clients: 0,
            nameless: fastrand::u32(..),
        }
    }
}

impl Admissions {
    /// Adds a stranger.
    pub(super) fn add_stranger(&mut self, peer: PeerId) {
        self.strangers.push_back(peer);
    }

    /// Returns whether there is no room for another stranger.
    pub(super) fn is_full(&self) -> bool {
        self.strangers.len() >= HANDSHAKES_MAX
    }

    /// Returns the number of strangers to disconnect, if there is no room for another.
    pub(super) fn surplus(&self) -> Option<usize> {
        let kept = HANDSHAKES_MAX - HANDSHAKES_SPARE;
        self.is_full().then(|| self.strangers.len() - kept)
    }

    /// Removes the connections that are no longer strangers from the list of strangers.
    pub(super) fn retain_strangers(&mut self, is_stranger: impl FnMut(&PeerId) -> bool) {
        self.strangers.retain(is_stranger);
    }

    /// Returns the strangers, the oldest first.
    pub(super) fn strangers(&self) -> impl Iterator<Item = PeerId> {
        self.strangers.iter().copied()
    }

    /// Returns whether another client may be admitted where `limits.clients` is `clients_max`.
    pub(super) fn has_room_for_client(&self, clients_max: usize) -> bool {
        self.clients < clients_max.saturating_add(SURPLUS_MAX)
    }

    /// Returns whether another publisher or subscriber may be admitted where `limits.clients` is
    /// `clients_max`.
    pub(super) fn has_room_on_channel(&self, clients_max: usize) -> bool {
        self.clients < clients_max
    }

    /// Admits a publisher or a subscriber.
    pub(super) fn admit_on_channel(&mut self) {
        self.clients += 1;
    }

    /// Admits a client, and returns its identity. If `identity` is empty, the client gets a new
    /// identity in the form of libzmq's ROUTER: a zero byte and a number of four bytes. An identity
    /// that a client chose cannot begin with a zero byte.
    pub(super) fn admit_client(&mut self, identity: Vec<u8>) -> Vec<u8> {
        self.clients += 1;
        if !identity.is_empty() {
            return identity;
        }
        self.nameless = self.nameless.wrapping_add(1);
        let [a, b, c, d] = self.nameless.to_be_bytes();
        vec![0, a, b, c, d]
    }

    /// Records that a client, a publisher or a subscriber has disconnected.
    pub(super) fn client_left(&mut self) {
        self.clients -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_their_own_names_or_numbers() {
        let mut admissions = Admissions::default();
        assert_eq!(admissions.admit_client(b"me".to_vec()), b"me");
        let [first, second] = [(); 2].map(|()| admissions.admit_client(Vec::new()));
        assert_eq!((first.len(), first[0], second[0]), (5, 0, 0));
        assert_ne!(first, second);
        assert_ne!(Admissions::default().admit_client(Vec::new()), first);
    }

    #[test]
    fn a_few_clients_beyond_the_limit_are_admitted() {
        let mut admissions = Admissions::default();
        for _ in 0..1 + SURPLUS_MAX {
            assert!(admissions.has_room_for_client(1));
            admissions.admit_client(Vec::new());
        }
        assert!(!admissions.has_room_for_client(1));
        admissions.client_left();
        assert!(admissions.has_room_for_client(1));
    }

    #[test]
    fn publishers_and_subscribers_count_as_clients_and_are_not_admitted_beyond_the_limit() {
        let mut admissions = Admissions::default();
        admissions.admit_client(Vec::new());
        assert!(admissions.has_room_on_channel(2));
        admissions.admit_on_channel();
        assert!(!admissions.has_room_on_channel(2));
        for _ in 0..SURPLUS_MAX {
            assert!(admissions.has_room_for_client(2));
            admissions.admit_client(Vec::new());
        }
        assert!(!admissions.has_room_for_client(2));
    }

    #[test]
    fn strangers_are_disconnected_in_batches() {
        let mut admissions = Admissions::default();
        for peer in 0..HANDSHAKES_MAX as u64 {
            assert_eq!(admissions.surplus(), None);
            admissions.add_stranger(PeerId(peer));
        }
        assert_eq!(admissions.surplus(), Some(HANDSHAKES_SPARE));
        admissions.retain_strangers(|peer| peer.0 > 0);
        assert!(!admissions.is_full());
        assert_eq!(admissions.strangers().next(), Some(PeerId(1)));
    }
}
