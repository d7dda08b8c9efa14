//! The costly steps of connections: the key agreements of CURVE, the verification of passwords, and
//! the sealing and opening of large frames. They run on threads of their own, so that a flood of
//! them delays no other message. The peers' IP addresses take turns: a peer that sends thousands of
//! HELLOs delays those of other addresses only by a few steps.
//!
//! A connection has at most one step of its handshake in progress, and the number of connections in
//! their handshake is bounded. Later, it has at most one frame that is opened, and the memory of
//! frames that are sealed is bounded as that of its queue. The steps of closed connections are
//! dropped whenever the queue has doubled, so the queue is bounded, too. The steps of a connection
//! of one kind end in the order in which they were added.

use std::hash::RandomState;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, mpsc};

use crate::engine::control::Control;
use crate::engine::fair_queue::FairQueue;
use crate::engine::priority;
use crate::peer::PeerId;
use crate::security::{Denied, User, Users};
use gateway_zmtp::curve::{OpenWork, Opened, SealWork};
use gateway_zmtp::plain::Credentials;
use gateway_zmtp::session::{HandshakeResult, HandshakeWork};

/// The maximum number of steps that a thread has at a time: enough that it does not wait for the
/// data thread, and few enough that a newly queued step is soon taken.
const GIVEN_MAX: usize = 4;

/// The minimum number of queued key agreements at which those of closed connections are dropped.
const AGREEMENTS_SWEEP_MIN: usize = 1024;

/// The same number for verifications of passwords, each of which takes as long as some hundred key
/// agreements.
const VERIFICATIONS_SWEEP_MIN: usize = 16;

/// The same number for large frames, each of which holds up to `limits.message` of memory.
const FRAMES_SWEEP_MIN: usize = 4;

/// A costly step.
pub(super) enum Step {
    /// A key agreement.
    Agree(HandshakeWork),
    /// The verification of a password.
    Verify(Arc<Users>, Credentials),
    /// A large frame that is to be opened.
    Open(Box<OpenWork>),
    /// A large frame that is to be sealed.
    Seal(SealWork),
}

/// The result of a costly step.
pub(super) enum Done {
    Agreed(HandshakeResult),
    Verified(Credentials, Result<User, Denied>),
    Opened(Opened),
    Sealed(Vec<u8>),
}

impl Step {
    fn run(self) -> Done {
        match self {
            Self::Agree(work) => Done::Agreed(work.run()),
            Self::Verify(users, credentials) => {
                let verified = users.verify(&credentials);
                Done::Verified(credentials, verified)
            }
            Self::Open(work) => Done::Opened(work.run()),
            Self::Seal(work) => Done::Sealed(work.run()),
        }
    }
}

/// The queued steps, and the threads that take them. Passwords have a thread of their own, so that
/// guesses of them delay no key agreement, and so have large frames.
pub(super) struct Handshakes {
    agreements: Queue,
    verifications: Queue,
    frames: Queue,
}

impl Handshakes {
    pub(super) fn new(control: Control) -> Self {
        Self {
            agreements: Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control.clone()),
            verifications: Queue::new("passwords", VERIFICATIONS_SWEEP_MIN, control.clone()),
            frames: Queue::new("frames", FRAMES_SWEEP_MIN, control),
        }
    }

    /// Adds a step of a peer at this address. `waits` returns whether a peer still waits for its
    /// step.
    pub(super) fn add(
        &mut self,
        address: Option<IpAddr>,
        peer: PeerId,
        step: Step,
        waits: impl FnMut(PeerId, &Step) -> bool,
    ) {
        let queue = match &step {
            Step::Agree(_) => &mut self.agreements,
            Step::Verify(..) => &mut self.verifications,
            Step::Open(_) | Step::Seal(_) => &mut self.frames,
        };
        queue.add(address.map(sender), peer, step, waits);
    }

    /// Returns the result of the next step that a thread has completed.
    pub(super) fn next_done(&mut self) -> Option<(PeerId, Done)> {
        let agreed = self.agreements.next_done();
        let verified = agreed.or_else(|| self.verifications.next_done());
        verified.or_else(|| self.frames.next_done())
    }
}

/// Returns the address under which a peer's steps take turns. For IPv6 it is the network of 64
/// bits, because a machine may have all addresses of one.
fn sender(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// Queued steps, and the thread that takes them, which starts with the first step.
struct Queue {
    /// The name of the thread.
    name: &'static str,
    control: Control,
    worker: Option<Worker>,
    /// The queued steps by address. The address of ipc peers is `None`.
    queued: FairQueue<Option<IpAddr>, (PeerId, Step), RandomState>,
    /// The minimum of `sweep_at`.
    sweep_min: usize,
    /// The number of queued steps at which those of closed connections are dropped.
    sweep_at: usize,
    /// The number of steps that were passed to the thread and are not done.
    given: usize,
}

struct Worker {
    work: mpsc::Sender<(PeerId, Step)>,
    done: mpsc::Receiver<(PeerId, Done)>,
}

impl Queue {
    fn new(name: &'static str, sweep_min: usize, control: Control) -> Self {
        Self {
            name,
            control,
            worker: None,
            queued: FairQueue::default(),
            sweep_min,
            sweep_at: sweep_min,
            given: 0,
        }
    }

    fn add(
        &mut self,
        address: Option<IpAddr>,
        peer: PeerId,
        step: Step,
        waits: impl FnMut(PeerId, &Step) -> bool,
    ) {
        if self.queued.len() >= self.sweep_at {
            self.sweep(waits);
        }
        self.queued.push(address, (peer, step));
        self.give();
    }

    fn next_done(&mut self) -> Option<(PeerId, Done)> {
        let done = self.worker.as_ref()?.done.try_recv();
        match done {
            Ok(done) => {
                self.given = self.given.saturating_sub(1);
                self.give();
                Some(done)
            }
            Err(mpsc::TryRecvError::Empty) => None,
            Err(mpsc::TryRecvError::Disconnected) => {
                // The thread has ended and its steps are lost. Their handshakes end by timeout.
                self.worker = None;
                self.given = 0;
                self.give();
                None
            }
        }
    }

    /// Drops the steps for which no peer waits any more.
    fn sweep(&mut self, mut waits: impl FnMut(PeerId, &Step) -> bool) {
        self.queued.retain(|(peer, step)| waits(*peer, step));
        self.sweep_at = self.sweep_min.max(2 * self.queued.len());
    }

    /// Passes queued steps to the thread, up to [`GIVEN_MAX`].
    fn give(&mut self) {
        while self.given < GIVEN_MAX && !self.queued.is_empty() {
            if self.worker.is_none() {
                self.worker = start(self.name, self.control.clone());
            }
            let Some(worker) = &self.worker else {
                // The system cannot start a thread now. The next step tries again.
                return;
            };
            let work = worker.work.clone();
            let Some(next) = self.queued.pop() else {
                return;
            };
            if work.send(next).is_err() {
                self.worker = None;
                return;
            }
            self.given += 1;
        }
    }
}

/// Starts the thread. It ends when the engine does.
fn start(name: &str, control: Control) -> Option<Worker> {
    let (work, inbox) = mpsc::channel::<(PeerId, Step)>();
    let (outbox, done) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.into());
    let started = thread.spawn(move || {
        priority::lower();
        while let Ok((peer, step)) = inbox.recv() {
            if outbox.send((peer, step.run())).is_err() {
                return;
            }
            control.wake();
        }
    });
    started.is_ok().then_some(Worker { work, done })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_zmtp::curve::KeyPair;
    use gateway_zmtp::greeting;
    use gateway_zmtp::mechanism::Mechanism;
    use gateway_zmtp::pool::BufferPool;
    use gateway_zmtp::session::{Session, SessionEvent, SessionSecurity, Side};

    /// Returns the first step of a client's handshake.
    fn work(keys: &KeyPair) -> Step {
        let security = SessionSecurity::Client {
            keys: keys.clone(),
            server: keys.public(),
            socket_type: "DEALER",
        };
        let mut session = Session::new(security, Side::Connects);
        let bounds = gateway_zmtp::decoder::Bounds {
            bytes: 0,
            frames: 0,
        };
        let mut input = greeting::naming(Mechanism::Curve).to_vec().into();
        match session.next(&mut input, bounds, &mut BufferPool::default()) {
            Ok(Some(SessionEvent::Work(work))) => Step::Agree(work),
            said => panic!("{said:?}"),
        }
    }

    #[test]
    fn addresses_take_turns_and_every_step_is_taken() {
        let (control, _orders) = Control::new().unwrap();
        let mut handshakes = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        let keys = KeyPair::generate().unwrap();
        // No step is passed to the thread yet, so that the order is that of the turns.
        handshakes.given = GIVEN_MAX;
        let address = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        for n in 0..100 {
            handshakes.add(address(1), PeerId(n), work(&keys), |_, _| true);
        }
        handshakes.add(address(2), PeerId(200), work(&keys), |_, _| true);
        handshakes.add(None, PeerId(300), work(&keys), |_, _| true);
        let first: Vec<_> = (0..4)
            .map(|_| handshakes.queued.pop().unwrap().0.0)
            .collect();
        assert_eq!(first, [0, 200, 300, 1]);
        handshakes.given = 0;
        handshakes.give();
        let mut done = Vec::new();
        while done.len() < 98 {
            match handshakes.next_done() {
                Some((peer, _)) => done.push(peer.0),
                None => std::thread::yield_now(),
            }
        }
        assert_eq!(done, (2..100).collect::<Vec<_>>());
        assert!(handshakes.queued.is_empty() && handshakes.given == 0);
    }

    /// Connections that send HELLO and disconnect, faster than their steps can be taken.
    #[test]
    fn steps_of_connections_that_have_gone_are_dropped() {
        let (control, _orders) = Control::new().unwrap();
        let mut handshakes = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        let keys = KeyPair::generate().unwrap();
        handshakes.given = GIVEN_MAX;
        let waits = |peer: PeerId, _: &Step| peer.0.is_multiple_of(1_000);
        for n in 0..10_000 {
            let address = IpAddr::from([10, 0, 0, (n % 5) as u8]);
            handshakes.add(Some(address), PeerId(n), work(&keys), waits);
            assert!(handshakes.queued.len() <= AGREEMENTS_SWEEP_MIN);
        }
        handshakes.sweep(waits);
        let mut left = Vec::new();
        while let Some((peer, _)) = handshakes.queued.pop() {
            left.push(peer.0);
        }
        assert_eq!(left, (0..10).map(|n| n * 1_000).collect::<Vec<_>>());
        assert!(handshakes.queued.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_turn() {
        let of = |text: &str| sender(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
