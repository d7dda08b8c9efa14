//! The open requests, by number.
//!
//! The low bits of a request's number are its place in the table, so a look-up takes one comparison
//! and no hash. Each request has a larger number than the requests before it. A number whose place
//! is taken is skipped and never used.

use std::time::Duration;

use super::request::Request;
use crate::frame::Frames;

/// The number of places of a new table, and of a table that has shrunk.
const PLACES_MIN: usize = 64;

/// The number of places up to which a table never shrinks. A table of this size takes a few hundred
/// KiB.
const PLACES_KEPT: usize = 1 << 11;

/// The time for which a table that grew in a burst keeps its size although it is little used.
/// Otherwise, a series of bursts with no open request in between would allocate the table anew each
/// time.
const SHRINK_PERIOD: Duration = Duration::from_secs(1);

/// The divisor that defines little use. A table is little used in a period if, throughout the
/// period, less than `1 / SHRINK_DIVISOR` of its places were taken.
const SHRINK_DIVISOR: usize = 8;

/// The open requests, by number.
#[derive(Debug)]
pub(super) struct OpenRequests<M: Frames> {
    /// The places. Their number is a power of two, and at most half of them are taken, so that the
    /// search for a free place is short.
    places: Vec<Option<Request<M>>>,
    taken: usize,
    /// The memory charged for the requests, in bytes.
    charged: u64,
    /// The maximum of `taken` in the current [`SHRINK_PERIOD`].
    peak: usize,
    /// The end of the period, or `None` while no period runs.
    period_end: Option<Duration>,
    /// The least number that a request may have.
    first: u64,
    /// The number of the last request.
    last: u64,
}

impl<M: Frames> Default for OpenRequests<M> {
    fn default() -> Self {
        Self {
            places: empty(PLACES_MIN),
            taken: 0,
            charged: 0,
            peak: 0,
            period_end: None,
            first: 1,
            last: 0,
        }
    }
}

impl<M: Frames> OpenRequests<M> {
    /// Returns an empty table whose first request has the number `first`, or 1 if `first` is 0.
    pub(super) fn numbered_from(first: u64) -> Self {
        Self {
            first,
            last: first.saturating_sub(1),
            ..Self::default()
        }
    }

    /// Returns the number of open requests.
    pub(super) fn len(&self) -> usize {
        self.taken
    }

    /// Returns the memory charged for the open requests, in bytes: see [`Request::charge`].
    pub(super) fn charged(&self) -> u64 {
        self.charged
    }

    /// Returns whether no request is open.
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// Returns the numbers of all open requests, oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let taken = self.places.iter().flatten();
        let mut numbers: Vec<u64> = taken.map(|request| request.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Returns whether a request may have had this number. Numbers that were skipped are not
    /// distinguished from given numbers.
    pub(super) fn was_given(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }

    /// Returns the number of the next request, which is larger than all earlier numbers. The place
    /// of this number is free until [`Self::insert`].
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

    /// Adds the request that has the [next number](Self::next_number) and this charge. The request
    /// is built in its place, because a processor has to wait when it moves a value whose fields
    /// were stored just before.
    #[inline(always)]
    pub(super) fn insert(
        &mut self,
        number: u64,
        charge: u32,
        request: impl FnOnce() -> Request<M>,
    ) {
        let place = self.place(number);
        debug_assert!(self.places[place].is_none(), "a place is taken twice");
        self.taken += 1;
        self.charged += u64::from(charge);
        self.peak = self.peak.max(self.taken);
        self.places[place].get_or_insert_with(request);
    }

    /// Returns the time at which [`Self::shrink_if_idle`] is due, if a period has begun.
    #[inline]
    pub(super) fn shrink_due(&self) -> Option<Duration> {
        self.period_end
    }

    /// Shrinks a table that grew in a burst, once it has been little used for a period and no
    /// request is open.
    pub(super) fn shrink_if_idle(&mut self, now: Duration) {
        let over = self.period_end.is_none_or(|end| end <= now);
        if self.places.len() <= PLACES_KEPT || !over {
            return;
        }
        if self.taken == 0 && self.peak * SHRINK_DIVISOR < self.places.len() {
            self.places = empty(PLACES_MIN);
            self.period_end = None;
        } else {
            self.period_end = Some(now + SHRINK_PERIOD);
        }
        self.peak = self.taken;
    }

    /// Returns whether the request with this number is open.
    #[inline]
    pub(super) fn contains(&self, number: u64) -> bool {
        self.get(number).is_some()
    }

    /// Returns the request with this number, if it is open.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<&Request<M>> {
        let taken = self.places[self.place(number)].as_ref();
        taken.filter(|request| request.number == number)
    }

    /// Returns a mutable reference to the request with this number, if it is open.
    #[inline]
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Request<M>> {
        let place = self.place(number);
        let taken = self.places[place].as_mut();
        taken.filter(|request| request.number == number)
    }

    /// Removes and returns a request, if it is open.
    #[inline]
    pub(super) fn remove(&mut self, number: u64) -> Option<Request<M>> {
        let place = self.place(number);
        let request = self.places[place].take_if(|request| request.number == number);
        if let Some(request) = &request {
            self.taken -= 1;
            self.charged -= u64::from(request.charge);
        }
        request
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        number as usize & (self.places.len() - 1)
    }

    /// Doubles the table. Requests with different places also have different places in the larger
    /// table.
    fn grow(&mut self) {
        let places = empty(2 * self.places.len());
        let old = std::mem::replace(&mut self.places, places);
        for request in old.into_iter().flatten() {
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
    use super::super::request::{Sender, State};
    use super::super::token::Name;
    use super::*;
    use crate::config;
    use crate::deadline::Deadlines;
    use crate::frame::Envelope;
    use crate::peer::PeerId;
    use crate::reply::ErrorEncoding;

    /// Returns a function that makes a request with a given number and a given size in bytes.
    fn maker() -> impl Fn(u64, u64) -> Request<Vec<Vec<u8>>> {
        let directory = tempfile::tempdir().unwrap();
        let routes = directory.path().join("routes.yaml");
        let text = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }
pools: { people: { bind: \"tcp://127.0.0.1:0\" } }
routes: { OPAQUE: { pool: people } }";
        std::fs::write(&routes, text).unwrap();
        let loaded = config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
        let snapshot = Arc::new(loaded.snapshot);
        let snapshot = Rc::new(Current::new(snapshot, &mut Deadlines::default()));
        let name = Rc::new(Name::new(b"client".to_vec()));
        move |number, bytes| Request {
            number,
            sender: Sender {
                client: PeerId(1),
                req_messages: 0,
            },
            name: Rc::clone(&name),
            envelope: Envelope::None,
            route: snapshot.routes.find(b"OPAQUE").unwrap(),
            errors: ErrorEncoding::Msgpack,
            snapshot: Rc::clone(&snapshot),
            bytes: bytes as u32,
            charge: bytes as u32,
            arrived_ns: 0,
            waited_ns: 0,
            state: State::Waiting(Vec::new()),
        }
    }

    fn insert<M: Frames>(open: &mut OpenRequests<M>, request: Request<M>) {
        let (number, charge) = (request.number, request.charge);
        open.insert(number, charge, || request);
    }

    #[test]
    fn each_request_is_found_by_its_number_and_no_number_is_reused() {
        let request = maker();
        let mut random = fastrand::Rng::with_seed(7);
        let (mut open, mut model) = (OpenRequests::default(), BTreeMap::new());
        let mut last = 0;
        for step in 0..20_000 {
            // The table grows, and the places of the first hundred requests, which are never
            // removed, are skipped.
            if step < 500 || random.bool() {
                let number = open.next_number();
                insert(&mut open, request(number, step));
                assert!(number > last, "{number} after {last}");
                last = number;
                model.insert(number, step);
            } else {
                let number = random.u64(100..last + 10);
                let taken = open.remove(number).map(|request| request.bytes.into());
                assert_eq!(taken, model.remove(&number), "{number}");
                assert!(!open.contains(number));
            }
            assert_eq!(open.len(), model.len());
            assert_eq!(open.charged(), model.values().sum::<u64>());
        }
        assert_eq!(open.numbers(), model.keys().copied().collect::<Vec<_>>());
        for number in 0..last + 10 {
            let found = open.get(number).map(|request| request.bytes.into());
            assert_eq!(found, model.get(&number).copied());
        }
    }

    #[test]
    fn a_number_below_the_first_was_never_given() {
        let request = maker();
        let mut open = OpenRequests::numbered_from(1_000);
        assert_eq!(
            [999, 1_000].map(|number| open.was_given(number)),
            [false; 2]
        );
        let number = open.next_number();
        insert(&mut open, request(number, 1));
        assert_eq!(number, 1_000);
        let given = [999, 1_000, 1_001].map(|number| open.was_given(number));
        assert_eq!(given, [false, true, false]);
    }

    #[test]
    fn a_table_that_grew_in_a_burst_shrinks_after_a_period_without_bursts() {
        let request = maker();
        let mut open = OpenRequests::default();
        let mut now = Duration::ZERO;
        let burst = |open: &mut OpenRequests<_>| {
            let numbers: Vec<u64> = (0..PLACES_KEPT as u64)
                .map(|n| {
                    let number = open.next_number();
                    insert(open, request(number, n));
                    number
                })
                .collect();
            for number in numbers {
                assert!(open.remove(number).is_some());
            }
        };
        // If a burst comes in each period, the table keeps its size, although no request is open in
        // between.
        for _ in 0..3 {
            burst(&mut open);
            open.shrink_if_idle(now);
            assert!(open.places.len() > PLACES_KEPT);
            now = open.shrink_due().unwrap();
        }
        let numbers = [open.next_number()];
        insert(&mut open, request(numbers[0], 1));
        for _ in 0..2 {
            open.shrink_if_idle(now);
            assert!(open.places.len() > PLACES_KEPT, "a request is open");
            now = open.shrink_due().unwrap();
        }
        assert!(open.remove(numbers[0]).is_some());
        open.shrink_if_idle(now);
        assert_eq!(open.places.len(), PLACES_MIN);
        assert_eq!(open.shrink_due(), None);
    }

    #[test]
    fn a_request_takes_two_cache_lines_at_most() {
        let size = size_of::<Option<Request<gateway_zmtp::message::Message>>>();
        assert!(size <= 128, "{size}");
    }

    #[test]
    fn one_request_at_a_time_does_not_grow_the_table() {
        let request = maker();
        let mut open = OpenRequests::default();
        let first = open.next_number();
        insert(&mut open, request(first, 0));
        for _ in 0..10_000 {
            let number = open.next_number();
            insert(&mut open, request(number, 1));
            assert!(open.remove(number).is_some());
        }
        assert_eq!(open.places.len(), PLACES_MIN);
        assert!(open.contains(first));
        assert!(open.last < 10_000 * 64 / 63 + 10, "{}", open.last);
    }
}
