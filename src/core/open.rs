//! The requests that are open, each found by its number.
//!
//! A request's place in the table is the low bits of its number, so to find one is a comparison, not a hash. For
//! that, a number whose place is taken is passed over: numbers grow and are never used twice, but some are never
//! used at all.

use super::request::Request;

/// Places of a table without requests.
const PLACES_LEAST: usize = 64;

/// Places that a table without requests may keep: a few hundred KiB, so that a steady flow never makes it anew.
const PLACES_KEPT: usize = 1 << 11;

/// Open requests by number.
#[derive(Debug)]
pub(super) struct Open<M> {
    /// A power of two of them, at most half of them taken, so that a free one is near: on the way around the table
    /// there are as many free places as taken ones.
    places: Vec<Option<Request<M>>>,
    taken: usize,
    /// The last number that was given.
    last: u64,
}

impl<M> Default for Open<M> {
    fn default() -> Self {
        Self {
            places: empty(PLACES_LEAST),
            taken: 0,
            last: 0,
        }
    }
}

impl<M> Open<M> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The numbers of all, oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let taken = self.places.iter().flatten();
        let mut numbers: Vec<u64> = taken.map(|request| request.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Whether a number may have been given.
    pub(super) fn was_given(&self, number: u64) -> bool {
        (1..=self.last).contains(&number)
    }

    /// Returns the number of the next request, which is larger than all before: its place is free
    /// until [`Self::insert`].
    #[inline]
    pub(super) fn next_number(&mut self) -> u64 {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow();
        }
        loop {
            self.last += 1;
            let place = self.place(self.last);
            if self.places[place].is_none() {
                return self.last;
            }
        }
    }

    /// Takes in the request that has the [next number](Self::next_number).
    #[inline]
    pub(super) fn insert(&mut self, request: Request<M>) {
        let place = self.place(request.number);
        debug_assert!(self.places[place].is_none(), "a place is taken twice");
        self.taken += 1;
        self.places[place] = Some(request);
    }

    /// Whether this one is open.
    #[inline]
    pub(super) fn contains(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// The one of this number.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<&Request<M>> {
        let there = self.places[self.place(number)].as_ref();
        there.filter(|request| request.number == number)
    }

    /// The one of this number, to be changed.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Request<M>> {
        let place = self.place(number);
        let there = self.places[place].as_mut();
        there.filter(|request| request.number == number)
    }

    /// Takes one out.
    #[inline]
    pub(super) fn remove(&mut self, number: u64) -> Option<Request<M>> {
        let place = self.place(number);
        let request = self.places[place].take_if(|request| request.number == number);
        self.taken -= usize::from(request.is_some());
        if self.taken == 0 && self.places.len() > PLACES_KEPT {
            self.places = empty(PLACES_LEAST);
        }
        request
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        number as usize & (self.places.len() - 1)
    }

    /// Doubles the table. Numbers that differ in their low bits still do with one bit more.
    fn grow(&mut self) {
        let places = empty(2 * self.places.len());
        let before = std::mem::replace(&mut self.places, places);
        for request in before.into_iter().flatten() {
            let place = self.place(request.number);
            self.places[place] = Some(request);
        }
    }
}

fn empty<T>(places: usize) -> Vec<Option<T>> {
    std::iter::repeat_with(|| None).take(places).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::super::current::Current;
    use super::super::request::{Asker, State};
    use super::super::token::Name;
    use super::*;
    use crate::config;
    use crate::frame::Envelope;
    use crate::peer::PeerId;
    use crate::reply::ErrorEncoding;

    /// What makes requests that are told apart by their bytes.
    fn maker() -> impl Fn(u64, u64) -> Request<Vec<Vec<u8>>> {
        let directory = tempfile::tempdir().unwrap();
        let routes = directory.path().join("routes.yaml");
        let text = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }
pools: { people: { bind: \"tcp://127.0.0.1:0\" } }
routes: { OPAQUE: { pool: people } }";
        std::fs::write(&routes, text).unwrap();
        let loaded = config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
        let snapshot = Rc::new(Current(Arc::new(loaded.snapshot)));
        let name = Rc::new(Name::new(b"client".to_vec()));
        move |number, bytes| Request {
            number,
            asker: Asker {
                client: PeerId(1),
                asked: 0,
            },
            name: Rc::clone(&name),
            envelope: Envelope::None,
            route: snapshot.routes.find(b"OPAQUE").unwrap(),
            errors: ErrorEncoding::Msgpack,
            snapshot: Rc::clone(&snapshot),
            bytes,
            arrived_ns: 0,
            state: State::Waiting(Vec::new()),
        }
    }

    #[test]
    fn each_is_found_by_its_number_and_no_number_comes_twice() {
        let request = maker();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut open, mut model) = (Open::default(), BTreeMap::new());
        let mut last = 0;
        for step in 0..20_000 {
            // It grows, and those of the first hundred, which are never taken out, stand in the way.
            if step < 500 || random.bool() {
                let number = open.next_number();
                open.insert(request(number, step));
                assert!(number > last, "{number} after {last}");
                last = number;
                model.insert(number, step);
            } else {
                let number = random.u64(100..last + 10);
                let taken = open.remove(number).map(|request| request.bytes);
                assert_eq!(taken, model.remove(&number), "{number}");
                assert!(!open.contains(number));
            }
            assert_eq!(open.len(), model.len());
        }
        assert_eq!(open.numbers(), model.keys().copied().collect::<Vec<_>>());
        for number in 0..last + 10 {
            let found = open.get(number).map(|request| request.bytes);
            assert_eq!(found, model.get(&number).copied());
        }
    }

    #[test]
    fn what_a_burst_has_grown_is_given_back() {
        let request = maker();
        let mut open = Open::default();
        let numbers: Vec<u64> = (0..PLACES_KEPT as u64)
            .map(|n| {
                let number = open.next_number();
                open.insert(request(number, n));
                number
            })
            .collect();
        assert!(open.places.len() > PLACES_KEPT);
        for number in numbers {
            assert!(open.remove(number).is_some());
        }
        assert_eq!(open.places.len(), PLACES_LEAST);
    }

    #[test]
    fn a_request_takes_two_cache_lines_at_most() {
        let size = size_of::<Option<Request<gateway_zmtp::message::Message>>>();
        assert!(size <= 128, "{size}");
    }

    #[test]
    fn one_at_a_time_needs_no_larger_table() {
        let request = maker();
        let mut open = Open::default();
        let stays = open.next_number();
        open.insert(request(stays, 0));
        for _ in 0..10_000 {
            let number = open.next_number();
            open.insert(request(number, 1));
            assert!(open.remove(number).is_some());
        }
        assert_eq!(open.places.len(), PLACES_LEAST);
        assert!(open.contains(stays));
        assert!(open.last < 10_000 * 64 / 63 + 10, "{}", open.last);
    }
}
