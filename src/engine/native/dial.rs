//! Calls, which are connections that the gateway makes to peers that listen. A failed call is made
//! again at growing intervals. Each time, another thread looks up the name in the call's address,
//! because the system's resolver may take seconds, and other calls must not wait for the resolver.
//! All addresses of the name are tried before the call counts as failed.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::engine::control::Control;
use crate::engine::native::address::Address;
use crate::engine::native::quiet::LineLimiter;
use crate::engine::role::Role;
use crate::peer::PeerId;

/// The maximum pause before the second attempt. The pause is short, because a peer that restarts
/// usually listens again after a short time.
const FIRST_PAUSE_MAX: Duration = Duration::from_millis(100);

/// The maximum pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// The number of a call, which is never reused.
pub(super) type DialId = u64;

/// All calls.
pub(super) struct Dialer {
    calls: BTreeMap<DialId, Call>,
    last: DialId,
    control: Control,
    resolve: Arc<Resolve>,
    answers: mpsc::Receiver<Answer>,
    to_answers: mpsc::Sender<Answer>,
}

/// A function that returns the current addresses of a name and a port. A call of the function may
/// take seconds.
type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The result of a look-up, with the number of the call that needs the result.
type Answer = (DialId, Result<Vec<SocketAddr>, String>);

/// A look-up in progress. Dropping it sends the result so far, so that a call does not wait forever
/// for a look-up that panics.
struct LookUp {
    id: DialId,
    found: Result<Vec<SocketAddr>, String>,
    answer: mpsc::Sender<Answer>,
    control: Control,
}

impl Drop for LookUp {
    fn drop(&mut self) {
        let found = std::mem::replace(&mut self.found, Ok(Vec::new()));
        // The engine may have ended meanwhile.
        let _ = self.answer.send((self.id, found));
        self.control.wake();
    }
}

struct Call {
    role: Role,
    address: Address,
    state: State,
    /// The addresses of the name that are still to be tried, in reverse order.
    left: Vec<SocketAddr>,
    /// True if the peer has been served since the last attempt.
    served: bool,
    /// The number of failures since the peer was last served. The end of a connection is a failure,
    /// too.
    attempts: u32,
    /// The bound on the log lines about calls that succeed. Without this bound and the next two, a
    /// peer that repeatedly accepts and closes connections could fill the log.
    connects: LineLimiter,
    /// The bound on the log lines about connections that end.
    ended: LineLimiter,
    /// The bound on the log lines about calls that fail.
    fails: LineLimiter,
}

enum State {
    /// The call is to be made at this time.
    Waiting(Duration),
    /// The name is being looked up, or the caller of [`Dialer::due`] has not reported the outcome
    /// yet.
    Trying,
    /// The call has a connection, which the system may not have established yet.
    Connected(PeerId),
}

/// The target of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Tcp(SocketAddr),
    Ipc(PathBuf),
}

impl Dialer {
    /// Returns a dialer without calls. It calls `resolve` to look up the addresses of names.
    pub(super) fn new(
        control: Control,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let (to_answers, answers) = mpsc::channel();
        Self {
            calls: BTreeMap::new(),
            last: 0,
            control,
            resolve: Arc::new(resolve),
            answers,
            to_answers,
        }
    }

    /// Sets the calls to make, and keeps the calls that exist already. Returns the connections of
    /// the calls that were removed.
    pub(super) fn set(&mut self, wanted: &[(Role, Address)], now: Duration) -> Vec<PeerId> {
        let mut missing = wanted.to_vec();
        let mut gone = Vec::new();
        self.calls.retain(|_, call| {
            let same =
                |(role, address): &(Role, Address)| *role == call.role && *address == call.address;
            match missing.iter().position(same) {
                Some(at) => {
                    missing.swap_remove(at);
                    true
                }
                None => {
                    if let State::Connected(peer) = call.state {
                        gone.push(peer);
                    }
                    false
                }
            }
        });
        for (role, address) in missing {
            self.last += 1;
            let call = Call {
                role,
                address,
                state: State::Waiting(now),
                left: Vec::new(),
                served: false,
                attempts: 0,
                connects: LineLimiter::default(),
                ended: LineLimiter::default(),
                fails: LineLimiter::default(),
            };
            self.calls.insert(self.last, call);
        }
        gone
    }

    /// Removes the calls for whose role `is_over` returns true.
    pub(super) fn end(&mut self, is_over: impl Fn(Role) -> bool) {
        self.calls.retain(|_, call| !is_over(call.role));
    }

    /// Postpones a call to the time `at`. The same address is tried then.
    pub(super) fn put_off(&mut self, id: DialId, target: Target, at: Duration) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Waiting(at);
            if let Target::Tcp(address) = target {
                call.left.push(address);
            }
        }
    }

    /// Returns all calls.
    pub(super) fn all(&self) -> impl Iterator<Item = (Role, Address)> {
        let calls = self.calls.values();
        calls.map(|call| (call.role, call.address.clone()))
    }

    /// Returns the earliest time at which [`Self::due`] may return a call, or `None` if no call
    /// waits to be made.
    pub(super) fn next(&self) -> Option<Duration> {
        let waiting = self.calls.values().filter_map(|call| match call.state {
            State::Waiting(at) => Some(at),
            _ => None,
        });
        waiting.min()
    }

    /// Returns a call that is due now, if there is one. Before that, processes the results of
    /// look-ups, and starts the look-ups that calls need. For a returned call, the caller must call
    /// [`Self::connected`], [`Self::failed`] or [`Self::put_off`].
    pub(super) fn due(&mut self, now: Duration) -> Option<(DialId, Role, Target)> {
        while let Ok((id, found)) = self.answers.try_recv() {
            match found {
                Ok(mut found) if !found.is_empty() => {
                    if let Some(call) = self.calls.get_mut(&id) {
                        found.reverse();
                        call.left = found;
                        call.state = State::Waiting(now);
                    }
                }
                Ok(_) => self.failed(id, &"the name has no address", now),
                Err(error) => self.failed(id, &error, now),
            }
        }
        let due = |call: &Call| matches!(call.state, State::Waiting(at) if at <= now);
        loop {
            let (id, call) = self.calls.iter_mut().find(|(_, call)| due(call))?;
            let id = *id;
            call.state = State::Trying;
            match &call.address {
                Address::Ipc(path) => return Some((id, call.role, Target::Ipc(path.clone()))),
                Address::Tcp { host, port } => {
                    let numeric = || Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, *port));
                    if let Some(at) = call.left.pop().or_else(numeric) {
                        return Some((id, call.role, Target::Tcp(at)));
                    }
                    let (host, port) = (host.clone(), *port);
                    if let Err(error) = self.look_up(id, host, port) {
                        self.failed(id, &error, now);
                    }
                }
            }
        }
    }

    /// Starts a thread that looks up the name of a call. There is at most one such thread for each
    /// call, since the call waits for the answer.
    fn look_up(&self, id: DialId, host: String, port: u16) -> io::Result<()> {
        let look_up = LookUp {
            id,
            found: Err("the look-up of the name failed".to_owned()),
            answer: self.to_answers.clone(),
            control: self.control.clone(),
        };
        let resolve = Arc::clone(&self.resolve);
        let thread = std::thread::Builder::new().name("resolver".into());
        let looks_up = thread.spawn(move || {
            let mut look_up = look_up;
            look_up.found = resolve(&host, port).map_err(|error| error.to_string());
        });
        looks_up.map(drop)
    }

    /// Returns the address of a call, as the configuration has it, or `None` if the call was
    /// removed.
    pub(super) fn address(&self, id: DialId) -> Option<&Address> {
        self.calls.get(&id).map(|call| &call.address)
    }

    /// Records that the call has a connection, which may still fail.
    pub(super) fn connected(&mut self, id: DialId, peer: PeerId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Connected(peer);
        }
    }

    /// Records that the peer of a call is served. If the peer disconnects, the call is made again
    /// soon.
    pub(super) fn served(&mut self, id: DialId, now: Duration) {
        if let Some(call) = self.calls.get_mut(&id) {
            if call.attempts > 0
                && let Some(left_out) = call.connects.allow(now)
            {
                tracing::info!(endpoint = %call.address, left_out, "connected");
            }
            call.attempts = 0;
            call.served = true;
            call.left.clear();
        }
    }

    /// Records that the call failed or its connection ended. The call is made again later, or at
    /// once to another address of its name.
    pub(super) fn failed(&mut self, id: DialId, why: &dyn std::fmt::Display, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        if !call.left.is_empty() {
            call.state = State::Waiting(now);
            return;
        }
        let endpoint = &call.address;
        if std::mem::take(&mut call.served) {
            if let Some(left_out) = call.ended.allow(now) {
                tracing::info!(%endpoint, %why, left_out, "disconnected; trying again");
            }
        } else if call.attempts.is_power_of_two() || call.attempts == 0 {
            // The first failure is logged, then others at growing intervals.
            if let Some(left_out) = call.fails.allow(now) {
                tracing::info!(%endpoint, %why, left_out, "can't connect; trying again");
            }
        }
        call.state = State::Waiting(now + pause(call.attempts));
        call.attempts = call.attempts.saturating_add(1);
    }
}

/// Returns the pause after `attempts + 1` failed attempts, with random jitter.
fn pause(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE_MAX
        .saturating_mul(1 << attempts.min(16))
        .min(PAUSE_MAX);
    // The jitter prevents many gateways from calling a restarting peer all at the same time.
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::native::address;
    use crate::snapshot::PoolId;

    const ROLE: Role = Role::Pool(PoolId(0));

    fn dialer(endpoint: &str) -> Dialer {
        dialer_by(endpoint, address::resolve)
    }

    fn dialer_by(
        endpoint: &str,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Dialer {
        let (control, _orders) = Control::new().unwrap();
        let mut dialer = Dialer::new(control, resolve);
        dialer.set(&[(ROLE, Address::parse(endpoint).unwrap())], Duration::ZERO);
        dialer
    }

    /// Returns the number and the target of the call that is due now. If no call is due, fails with
    /// the time of the next call, or with `None` if no call waits to be made.
    fn next(dialer: &mut Dialer, now: Duration) -> Result<(DialId, String), Option<Duration>> {
        match dialer.due(now) {
            Some((id, _, Target::Tcp(at))) => Ok((id, at.to_string())),
            Some((id, _, Target::Ipc(path))) => Ok((id, path.display().to_string())),
            None => Err(dialer.next()),
        }
    }

    #[test]
    fn a_failing_call_is_repeated_at_growing_and_random_intervals() {
        let ms = Duration::from_millis;
        for (attempts, least, most) in [
            (0, 50, 100),
            (1, 100, 200),
            (5, 1600, 3200),
            (7, 5000, 10_000),
        ]
        .into_iter()
        .chain([(1000, 5000, 10_000), (u32::MAX, 5000, 10_000)])
        {
            let pauses: Vec<_> = (0..100).map(|_| pause(attempts)).collect();
            assert!(
                pauses
                    .iter()
                    .all(|pause| (ms(least)..=ms(most)).contains(pause))
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
        let mut dialer = dialer("ipc:///nowhere");
        let mut now = Duration::ZERO;
        for _ in 0..10 {
            let (id, path) = next(&mut dialer, now).unwrap();
            assert_eq!(path, "/nowhere");
            assert_eq!(next(&mut dialer, now), Err(None), "the call is being tried");
            dialer.failed(id, &"gone", now);
            let at = next(&mut dialer, now).unwrap_err().unwrap();
            assert!(at > now);
            now = at;
        }
        assert!(now > ms(10_000), "{now:?}");
        // A peer that was served is called again soon.
        let (id, _) = next(&mut dialer, now).unwrap();
        dialer.connected(id, PeerId(1));
        dialer.served(id, now);
        dialer.failed(id, &"disconnected", now);
        let at = next(&mut dialer, now).unwrap_err().unwrap();
        assert!(at - now <= FIRST_PAUSE_MAX);
    }

    #[test]
    fn all_addresses_of_a_name_are_tried_before_the_call_has_failed() {
        let mut dialer = dialer("tcp://worker.invalid:7");
        let [id] = dialer.calls.keys().copied().collect::<Vec<_>>()[..] else {
            panic!("one call");
        };
        let found: [SocketAddr; 2] = ["[::1]:7".parse().unwrap(), "127.0.0.1:7".parse().unwrap()];
        let now = Duration::ZERO;
        dialer.calls.get_mut(&id).unwrap().state = State::Trying;
        dialer.to_answers.send((id, Ok(found.to_vec()))).unwrap();
        for at in found {
            assert_eq!(next(&mut dialer, now), Ok((id, at.to_string())));
            dialer.failed(id, &"refused", now);
        }
        assert!(next(&mut dialer, now).unwrap_err().unwrap() > now);
    }

    /// The address of a name may have changed since the last attempt, whether that attempt
    /// succeeded or failed.
    #[test]
    fn a_name_is_looked_up_anew_for_each_attempt() {
        let addresses = Arc::new(Mutex::new(Vec::<SocketAddr>::new()));
        let names = Arc::clone(&addresses);
        let resolve = move |host: &str, port| {
            assert_eq!((host, port), ("worker.example", 7));
            Ok(names.lock().unwrap().clone())
        };
        let mut dialer = dialer_by("tcp://worker.example:7", resolve);
        let mut now = Duration::ZERO;
        for (n, served) in [true, false, false, true, true].into_iter().enumerate() {
            let at: SocketAddr = ([10, 0, 0, n as u8], 7).into();
            *addresses.lock().unwrap() = vec![at];
            assert_eq!(
                next(&mut dialer, now),
                Err(None),
                "the name is being looked up"
            );
            let answer = dialer.answers.recv().unwrap();
            dialer.to_answers.send(answer).unwrap();
            let (id, called) = next(&mut dialer, now).unwrap();
            assert_eq!(called, at.to_string());
            dialer.connected(id, PeerId(n as u64));
            if served {
                dialer.served(id, now);
            }
            dialer.failed(id, &"disconnected", now);
            now = dialer.next().unwrap();
        }
    }

    #[test]
    fn a_call_whose_look_up_panics_is_made_again() {
        let mut dialer = dialer_by("tcp://worker.example:7", |_, _| panic!("on purpose"));
        let now = Duration::ZERO;
        assert_eq!(
            next(&mut dialer, now),
            Err(None),
            "the name is being looked up"
        );
        let answer = dialer.answers.recv().unwrap();
        assert!(answer.1.is_err());
        dialer.to_answers.send(answer).unwrap();
        assert!(next(&mut dialer, now).unwrap_err().is_some());
    }

    #[test]
    fn an_ip_address_needs_no_resolver() {
        for (endpoint, at) in [
            ("tcp://127.0.0.1:7", "127.0.0.1:7"),
            ("tcp://[::1]:7", "[::1]:7"),
        ] {
            let (_, found) = next(&mut dialer(endpoint), Duration::ZERO).unwrap();
            assert_eq!(found, at);
        }
    }
}
