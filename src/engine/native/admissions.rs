//! Who is let in: the strangers among the connections that came, and the number of clients.

use std::collections::VecDeque;

use crate::peer::PeerId;

/// Connections that came and may be in their handshake at once. When there are as many, those that
/// linger in it make way, the oldest first, so that connections which are left open on purpose keep
/// nobody out. While none lingers, those that come wait with the system.
const HANDSHAKES_MAX: usize = 4096;

/// How many fewer are left once some had to make way, so that a flood of them does not have all
/// looked through for each.
const HANDSHAKES_SPARE: usize = 256;

/// Clients beyond `limits.clients` that are told so on each request. Those beyond that are told
/// once and disconnected.
const SURPLUS_MAX: usize = 1000;

/// Strangers and clients.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    /// Connections that were strangers when they were put here, the oldest first.
    strangers: VecDeque<PeerId>,
    /// Clients that the core knows.
    clients: usize,
    /// Clients without a name so far.
    nameless: u32,
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

    /// Returns how many strangers are to make way, if there is no room for another.
    pub(super) fn surplus(&self) -> Option<usize> {
        let kept = HANDSHAKES_MAX - HANDSHAKES_SPARE;
        self.is_full().then(|| self.strangers.len() - kept)
    }

    /// Drops the connections that are strangers no longer.
    pub(super) fn retain_strangers(&mut self, is_stranger: impl FnMut(&PeerId) -> bool) {
        self.strangers.retain(is_stranger);
    }

    /// Returns the strangers, the oldest first.
    pub(super) fn strangers(&self) -> impl Iterator<Item = PeerId> {
        self.strangers.iter().copied()
    }

    /// Returns whether another client may come where `limits.clients` is `most`.
    pub(super) fn has_room_for_client(&self, most: usize) -> bool {
        self.clients < most.saturating_add(SURPLUS_MAX)
    }

    /// Admits a client, and returns its identity: its own, or a new name as libzmq's ROUTER gives
    /// them: a zero byte, with which no name of a client's own can begin, and a number.
    pub(super) fn admit_client(&mut self, identity: Vec<u8>) -> Vec<u8> {
        self.clients += 1;
        if !identity.is_empty() {
            return identity;
        }
        self.nameless = self.nameless.wrapping_add(1);
        let [a, b, c, d] = self.nameless.to_be_bytes();
        vec![0, a, b, c, d]
    }

    /// Notes that a client left.
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
        assert_eq!(admissions.admit_client(Vec::new()), [0, 0, 0, 0, 1]);
        assert_eq!(admissions.admit_client(Vec::new()), [0, 0, 0, 0, 2]);
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
    fn when_strangers_make_way_some_room_is_made_at_once() {
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
