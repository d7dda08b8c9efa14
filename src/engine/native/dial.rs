//! Calls to peers that listen: tried again when they fail, ever more seldom; names looked up anew each
//! time, on a thread of their own, because the system's resolver may take seconds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use super::address::{Address, resolve};
use super::connection::Role;
use crate::core::PeerId;
use crate::engine::Control;

/// Before the second attempt: a peer that restarts is soon back.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Between attempts at most.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A call's number. Never used twice.
pub(super) type DialId = u64;

/// All calls.
pub(super) struct Dialer {
    calls: BTreeMap<DialId, Call>,
    last: DialId,
    control: Control,
    resolver: Option<mpsc::Sender<(DialId, String, u16)>>,
    answers: mpsc::Receiver<Answer>,
    to_answers: mpsc::Sender<Answer>,
}

type Answer = (DialId, Result<Vec<SocketAddr>, String>);

struct Call {
    role: Role,
    address: Address,
    state: State,
    /// Attempts since the last success.
    attempts: u32,
}

enum State {
    /// To be tried then.
    Waiting(Duration),
    /// The name is being looked up.
    Resolving,
    /// Tried, or there.
    Connected(PeerId),
}

/// What is to be connected to now.
pub(super) enum Target {
    Tcp(SocketAddr),
    Ipc(PathBuf),
}

impl Dialer {
    pub(super) fn new(control: Control) -> Self {
        let (to_answers, answers) = mpsc::channel();
        Self {
            calls: BTreeMap::new(),
            last: 0,
            control,
            resolver: None,
            answers,
            to_answers,
        }
    }

    /// Calls these and no others from now on; gives the connections of those that are to go.
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
                attempts: 0,
            };
            self.calls.insert(self.last, call);
        }
        gone
    }

    /// Everything that is called.
    pub(super) fn all(&self) -> impl Iterator<Item = (Role, Address)> {
        let calls = self.calls.values();
        calls.map(|call| (call.role, call.address.clone()))
    }

    /// When [`Self::due`] may have something.
    pub(super) fn next(&self) -> Option<Duration> {
        let waiting = self.calls.values().filter_map(|call| match call.state {
            State::Waiting(at) => Some(at),
            _ => None,
        });
        waiting.min()
    }

    /// A call that is to be made now; say [`Self::connected`] or [`Self::failed`].
    pub(super) fn due(&mut self, now: Duration) -> Option<(DialId, Role, Target)> {
        while let Ok((id, found)) = self.answers.try_recv() {
            let Some(call) = self.calls.get(&id) else {
                continue;
            };
            let role = call.role;
            let nth = call.attempts as usize;
            match found {
                Ok(found) if !found.is_empty() => {
                    return Some((id, role, Target::Tcp(found[nth % found.len()])));
                }
                Ok(_) => {
                    self.failed(id, &"the name stands for no address", now);
                }
                Err(error) => {
                    self.failed(id, &error, now);
                }
            }
        }
        let due = |call: &Call| matches!(call.state, State::Waiting(at) if at <= now);
        loop {
            let (id, call) = self.calls.iter_mut().find(|(_, call)| due(call))?;
            let id = *id;
            match &call.address {
                Address::Ipc(path) => {
                    call.state = State::Resolving;
                    return Some((id, call.role, Target::Ipc(path.clone())));
                }
                Address::Tcp { host, port } => {
                    let question = (id, host.clone(), *port);
                    call.state = State::Resolving;
                    self.ask(question);
                }
            }
        }
    }

    fn ask(&mut self, question: (DialId, String, u16)) {
        let resolver = self.resolver.get_or_insert_with(|| {
            let (ask, questions) = mpsc::channel::<(DialId, String, u16)>();
            let answer = self.to_answers.clone();
            let control = self.control.clone();
            let resolve_all = move || {
                // Until nobody asks any more.
                for (id, host, port) in questions {
                    let found = resolve(&host, port).map_err(|error| error.to_string());
                    if answer.send((id, found)).is_err() {
                        break;
                    }
                    control.wake();
                }
            };
            // Should the system have no thread left, the call is tried again with the next one.
            let _ = std::thread::Builder::new()
                .name("resolver".into())
                .spawn(resolve_all);
            ask
        });
        if resolver.send(question.clone()).is_err() {
            self.resolver = None;
            let gone = Err("the resolver could not be started".to_owned());
            let _ = self.to_answers.send((question.0, gone));
            self.control.wake();
        }
    }

    /// The call has a connection, which may yet fail.
    pub(super) fn connected(&mut self, id: DialId, peer: PeerId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Connected(peer);
        }
    }

    /// The peer is served: should it go, it is called again soon.
    pub(super) fn served(&mut self, id: DialId) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.attempts = 0;
        }
    }

    /// The call failed or its connection ended: it is made again later. True if it is time to say so.
    pub(super) fn failed(&mut self, id: DialId, why: &dyn std::fmt::Display, now: Duration) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let longest = FIRST_WAIT
            .saturating_mul(1 << call.attempts.min(16))
            .min(LAST_WAIT);
        // Jitter, so that many gateways don't call a peer that restarts all at once.
        let wait = longest.mul_f64(0.5 + fastrand::f64() / 2.0);
        // The first failure, then ever more seldom.
        if call.attempts.is_power_of_two() || call.attempts == 0 {
            tracing::info!(endpoint = %call.address, %why, "can't connect; trying again");
        }
        call.attempts = call.attempts.saturating_add(1);
        call.state = State::Waiting(now + wait);
    }
}
