//! The rates at which clients may use routes with a `rate`. Each such route has a token bucket for
//! each principal, and for each connection whose principal is unknown.
//!
//! A bucket is one number, the time at which it will be full again (the generic cell rate
//! algorithm). A full bucket is therefore equivalent to no bucket, and is dropped.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::peer::PeerId;
use crate::route::RouteTable;
use crate::snapshot::{Rate, Route};

/// A route with fewer buckets than this number keeps its full buckets, because they take little
/// memory.
const BUCKETS_MIN: usize = 64;

/// The owner of the bucket to which a request is charged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payer<'a> {
    Principal(&'a [u8]),
    Connection(PeerId),
}

/// The buckets of all routes, by route name.
#[derive(Debug, Default)]
pub(super) struct RateLimiter(HashMap<Box<str>, Buckets>);

/// The times at which the buckets of one route are full again.
#[derive(Debug, Default)]
struct Buckets {
    principals: HashMap<Box<[u8]>, Duration>,
    connections: FxHashMap<PeerId, Duration>,
    /// The number of buckets at which full buckets are dropped next.
    sweep_at: usize,
}

impl RateLimiter {
    /// Charges a request. Fails with the time to wait until the next request is within the rate.
    pub(super) fn charge(
        &mut self,
        now: Duration,
        route: &str,
        rate: &Rate,
        payer: Payer<'_>,
    ) -> Result<(), Duration> {
        let buckets = match self.0.get_mut(route) {
            Some(buckets) => buckets,
            None => self.0.entry(route.into()).or_default(),
        };
        buckets.charge(now, rate, payer)
    }

    /// Drops the buckets of routes that have no rate any more.
    pub(super) fn retain(&mut self, routes: &RouteTable<Route>) {
        if self.0.is_empty() {
            return;
        }
        let has_rate = |route: &Route| {
            route
                .access
                .as_ref()
                .is_some_and(|access| access.rate.is_some())
        };
        let limited = routes.iter().filter(|(_, route)| has_rate(route));
        let limited: HashSet<&str> = limited.map(|(_, route)| route.name.as_str()).collect();
        self.0.retain(|route, _| limited.contains(&**route));
    }
}

impl Buckets {
    fn charge(&mut self, now: Duration, rate: &Rate, payer: Payer<'_>) -> Result<(), Duration> {
        if self.principals.len() + self.connections.len() >= self.sweep_at.max(BUCKETS_MIN) {
            self.principals.retain(|_, full| *full > now);
            self.connections.retain(|_, full| *full > now);
            self.sweep_at = 2 * (self.principals.len() + self.connections.len());
        }
        let full = match payer {
            Payer::Principal(name) => match self.principals.get_mut(name) {
                Some(full) => full,
                None => self.principals.entry(name.into()).or_insert(now),
            },
            Payer::Connection(peer) => self.connections.entry(peer).or_insert(now),
        };
        take(full, now, rate)
    }
}

/// Takes a token out of the bucket that will be full again at the time `full`, and updates this
/// time. Fails with the time to wait for the next token if the bucket is empty.
fn take(full: &mut Duration, now: Duration, rate: &Rate) -> Result<(), Duration> {
    let room = rate.interval.saturating_mul(rate.burst.saturating_sub(1));
    // A reload may have made the bucket smaller.
    let deficit = full.saturating_sub(now).min(room + rate.interval);
    if deficit > room {
        return Err(deficit - room);
    }
    *full = now + deficit + rate.interval;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        interval: Duration::from_millis(10),
        burst: 5,
    };
    const ALICE: Payer<'_> = Payer::Principal(b"alice");

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_burst_passes_and_later_requests_pass_at_the_rate() {
        let mut rates = RateLimiter::default();
        let mut charge = |at: u64| rates.charge(ms(at), "A", &RATE, ALICE);
        for _ in 0..5 {
            assert_eq!(charge(100), Ok(()));
        }
        assert_eq!(charge(100), Err(ms(10)));
        assert_eq!(charge(107), Err(ms(3)));
        assert_eq!(charge(110), Ok(()));
        assert_eq!(charge(110), Err(ms(10)));
        // A rejected request costs nothing, and the bucket fills up again during a pause.
        for _ in 0..5 {
            assert_eq!(charge(1_000), Ok(()));
        }
        assert!(charge(1_000).is_err());
    }

    #[test]
    fn over_a_long_time_no_more_than_the_rate_and_one_burst_passes() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100 {
            let rate = Rate {
                interval: ms(random.u64(1..50)),
                burst: random.u32(1..20),
            };
            let (mut rates, mut now, mut passed) = (RateLimiter::default(), 0, 0);
            for _ in 0..2_000 {
                now += random.u64(0..20);
                passed += u64::from(rates.charge(ms(now), "A", &rate, ALICE).is_ok());
            }
            let most = now / rate.interval.as_millis() as u64 + u64::from(rate.burst);
            assert!(passed <= most, "{rate:?}: {passed} > {most}");
        }
    }

    #[test]
    fn each_principal_and_each_connection_has_a_bucket_for_each_route() {
        let mut rates = RateLimiter::default();
        let one = Rate { burst: 1, ..RATE };
        for route in ["A", "B"] {
            for payer in [
                ALICE,
                Payer::Principal(b"bob"),
                Payer::Connection(PeerId(1)),
                Payer::Connection(PeerId(2)),
            ] {
                assert_eq!(rates.charge(ms(1), route, &one, payer), Ok(()));
                assert!(rates.charge(ms(1), route, &one, payer).is_err());
            }
        }
        rates.retain(&RouteTable::new(std::iter::empty()));
        assert!(rates.0.is_empty());
    }

    #[test]
    fn a_new_rate_takes_effect_at_once_even_if_the_bucket_was_empty() {
        let mut rates = RateLimiter::default();
        let slow = Rate {
            interval: ms(100_000),
            burst: 10,
        };
        for _ in 0..10 {
            assert_eq!(rates.charge(ms(1), "A", &slow, ALICE), Ok(()));
        }
        assert_eq!(rates.charge(ms(1), "A", &RATE, ALICE), Err(ms(10)));
    }

    #[test]
    fn full_buckets_of_former_connections_are_dropped() {
        let mut rates = RateLimiter::default();
        for n in 0..100_000 {
            let payer = Payer::Connection(PeerId(n));
            assert_eq!(rates.charge(ms(n), "A", &RATE, payer), Ok(()));
        }
        let buckets = &rates.0["A"];
        assert!(
            buckets.connections.len() <= 2 * BUCKETS_MIN,
            "{}",
            buckets.connections.len()
        );
    }
}
