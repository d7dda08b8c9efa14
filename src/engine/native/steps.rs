//! The costly steps of connections: the key agreements of CURVE, the verification of passwords, and
//! the sealing (encryption) and opening (decryption) of large frames. The steps run on threads of
//! their own, so that a flood of steps delays no message of other connections. The peers' IP
//! addresses take turns: a peer that sends thousands of HELLOs delays peers at other addresses only
//! by a few steps.
//!
//! A connection has at most one step of its handshake in progress, and the number of connections in
//! their handshake is bounded. After its handshake, a connection has at most one frame that is
//! being opened. Frames that wait to be sealed belong to the connection's outbox, which has bounded
//! memory. The steps of closed connections are dropped whenever the queue has doubled, so the queue
//! is bounded, too. Steps of one connection that have the same kind end in the order in which they
//! were added.
//!
//! If the result of a step were lost silently, its connection would wait for ever, or the next
//! sealed frame would take the place of the lost frame. The connection of a lost step is therefore
//! reported, and must be closed.

use std::collections::VecDeque;
use std::hash::RandomState;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, TryRecvError};

use crate::engine::control::Control;
use crate::engine::fair_queue::FairQueue;
use crate::peer::PeerId;
use crate::priority;
use crate::security::{Denied, User, Users};
use gateway_zmtp::curve::{OpenWork, Opened, SealWork};
use gateway_zmtp::plain::Credentials;
use gateway_zmtp::session::{HandshakeResult, HandshakeWork};

/// The maximum number of steps that a thread has at a time. So many steps keep the thread busy
/// until the data thread passes further steps to it. With more steps, a newly queued step of
/// another address would have to wait longer for its turn.
const GIVEN_MAX: usize = 4;

/// The minimum number of queued key agreements at which the agreements of closed connections are
/// dropped.
const AGREEMENTS_SWEEP_MIN: usize = 1024;

/// Like [`AGREEMENTS_SWEEP_MIN`], for verifications of passwords. Each takes as long as a few
/// hundred key agreements.
const VERIFICATIONS_SWEEP_MIN: usize = 16;

/// Like [`AGREEMENTS_SWEEP_MIN`], for large frames. Each takes up to `limits.message` bytes of
/// memory.
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
    /// The step has no result, and its connection must be closed.
    Lost,
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

    /// Runs the step. A panic, which is a bug, loses only this step. The panic hook has already
    /// logged and counted the panic.
    fn run_or_lose(self, run: fn(Self) -> Done) -> Done {
        catch_unwind(AssertUnwindSafe(|| run(self))).unwrap_or(Done::Lost)
    }
}

/// The treatment of queued steps while no thread can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutThread {
    /// The data thread takes one step in each turn.
    DataThread,
    /// The steps wait until a thread can be started, or until their handshakes have taken too long.
    Wait,
}

/// The queued steps of all kinds, and the threads that take them. Passwords and large frames have
/// threads of their own, so that neither delays key agreements.
pub(super) struct Steps {
    agreements: Queue,
    verifications: Queue,
    frames: Queue,
}

impl Steps {
    pub(super) fn new(control: Control) -> Self {
        Self {
            agreements: Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control.clone()),
            verifications: Queue {
                // Each verification would delay all messages for tens of milliseconds.
                without_thread: WithoutThread::Wait,
                ..Queue::new("passwords", VERIFICATIONS_SWEEP_MIN, control.clone())
            },
            frames: Queue::new("frames", FRAMES_SWEEP_MIN, control),
        }
    }

    /// Adds a step of a peer. `address` is the peer's IP address, or `None` for an ipc peer.
    /// `waits` returns whether a peer still waits for its step.
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

    /// Returns the next result of a step, and its peer.
    pub(super) fn next_done(&mut self) -> Option<(PeerId, Done)> {
        let agreed = self.agreements.next_done();
        let verified = agreed.or_else(|| self.verifications.next_done());
        verified.or_else(|| self.frames.next_done())
    }
}

/// Returns the address under which a peer's steps take turns: for IPv6 the network of 64 bits,
/// because one machine may have all addresses of such a network.
fn sender(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
    }
}

/// Queued steps, and the thread that takes them. The thread starts with the first step.
struct Queue {
    /// The name of the thread.
    name: &'static str,
    control: Control,
    worker: Option<Worker>,
    /// The queued steps by address. The address of ipc peers is `None`.
    queued: FairQueue<Option<IpAddr>, (PeerId, Step), RandomState>,
    /// The minimum of `sweep_at`.
    sweep_min: usize,
    /// The number of queued steps at which the steps of closed connections are dropped.
    sweep_at: usize,
    /// The peers of the steps that the thread has, in the order in which it takes them.
    given: VecDeque<PeerId>,
    /// The result of a step that the data thread has taken, because no thread could be started.
    done_here: Option<(PeerId, Done)>,
    without_thread: WithoutThread,
    start: Start,
}

struct Worker {
    work: mpsc::Sender<(PeerId, Step)>,
    done: mpsc::Receiver<(PeerId, Done)>,
}

/// Starts the thread of a queue. Returns `None` if the system can't start a thread now.
type Start = fn(&'static str, Control) -> Option<Worker>;

impl Queue {
    fn new(name: &'static str, sweep_min: usize, control: Control) -> Self {
        Self {
            name,
            control,
            worker: None,
            queued: FairQueue::default(),
            sweep_min,
            sweep_at: sweep_min,
            given: VecDeque::with_capacity(GIVEN_MAX),
            done_here: None,
            without_thread: WithoutThread::DataThread,
            start: |name, control| start(name, control, Step::run),
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
        // The data thread took this step before a thread could be started, so its result comes
        // first.
        if let Some(done) = self.done_here.take() {
            return Some(done);
        }
        if let Some(worker) = &self.worker {
            match worker.done.try_recv() {
                Ok(done) => {
                    self.given.pop_front();
                    self.give();
                    return Some(done);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.worker = None,
            }
        }
        if self.worker.is_none()
            && let Some(peer) = self.given.pop_front()
        {
            return Some((peer, Done::Lost));
        }
        // Without a thread, `give` takes a step on the data thread. This call of `give` comes after
        // the last result of a turn, so that the data thread takes one step in a turn.
        self.give();
        None
    }

    /// Drops the steps for which no peer waits any more.
    fn sweep(&mut self, mut waits: impl FnMut(PeerId, &Step) -> bool) {
        self.queued.retain(|(peer, step)| waits(*peer, step));
        self.sweep_at = self.sweep_min.max(2 * self.queued.len());
    }

    /// Passes queued steps to the thread, up to [`GIVEN_MAX`].
    fn give(&mut self) {
        while self.given.len() < GIVEN_MAX && !self.queued.is_empty() {
            if self.worker.is_none() {
                if !self.given.is_empty() {
                    // The lost steps of the thread that has ended are reported first.
                    return;
                }
                self.worker = (self.start)(self.name, self.control.clone());
            }
            let Some(worker) = &self.worker else {
                return self.take_here();
            };
            let work = worker.work.clone();
            let Some((peer, step)) = self.queued.pop() else {
                return;
            };
            self.given.push_back(peer);
            if work.send((peer, step)).is_err() {
                // The thread has ended, and its steps are lost, as `next_done` will notice.
                return self.control.wake();
            }
        }
    }

    /// Takes a queued step on this thread, unless the result of an earlier step was not fetched
    /// yet, or the steps must wait for a thread.
    #[cold]
    fn take_here(&mut self) {
        if self.done_here.is_some() || self.without_thread == WithoutThread::Wait {
            return;
        }
        let Some((peer, step)) = self.queued.pop() else {
            return;
        };
        self.done_here = Some((peer, step.run_or_lose(Step::run)));
        // The result is fetched in the next turn.
        self.control.wake();
    }
}

/// Starts the thread of a queue, as [`Start`] does. The thread ends when the engine ends.
fn start(name: &str, control: Control, run: fn(Step) -> Done) -> Option<Worker> {
    let (work, inbox) = mpsc::channel::<(PeerId, Step)>();
    let (outbox, done) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.into());
    let started = thread.spawn(move || {
        priority::lower();
        while let Ok((peer, step)) = inbox.recv() {
            if outbox.send((peer, step.run_or_lose(run))).is_err() {
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

    /// The value of [`Queue::given`] for a thread that can receive no further step.
    const FULL: [PeerId; GIVEN_MAX] = [PeerId(u64::MAX); GIVEN_MAX];

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
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_take_turns_and_every_step_is_taken() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        let keys = KeyPair::generate().unwrap();
        // No step is passed to the thread yet, so the queue alone decides the order.
        queue.given = FULL.into();
        let address = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        for n in 0..100 {
            queue.add(address(1), PeerId(n), work(&keys), |_, _| true);
        }
        queue.add(address(2), PeerId(200), work(&keys), |_, _| true);
        queue.add(None, PeerId(300), work(&keys), |_, _| true);
        let first: Vec<_> = (0..4).map(|_| queue.queued.pop().unwrap().0.0).collect();
        assert_eq!(first, [0, 200, 300, 1]);
        queue.given.clear();
        queue.give();
        let mut done = Vec::new();
        while done.len() < 98 {
            match queue.next_done() {
                Some((peer, _)) => done.push(peer.0),
                None => std::thread::yield_now(),
            }
        }
        assert_eq!(done, (2..100).collect::<Vec<_>>());
        assert!(queue.queued.is_empty() && queue.given.is_empty());
    }

    /// Connections send HELLO and disconnect, faster than their steps can be taken.
    #[test]
    fn steps_of_closed_connections_are_dropped() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        let keys = KeyPair::generate().unwrap();
        queue.given = FULL.into();
        let waits = |peer: PeerId, _: &Step| peer.0.is_multiple_of(1_000);
        for n in 0..10_000 {
            let address = IpAddr::from([10, 0, 0, (n % 5) as u8]);
            queue.add(Some(address), PeerId(n), work(&keys), waits);
            assert!(queue.queued.len() <= AGREEMENTS_SWEEP_MIN);
        }
        queue.sweep(waits);
        let mut left = Vec::new();
        while let Some((peer, _)) = queue.queued.pop() {
            left.push(peer.0);
        }
        assert_eq!(left, (0..10).map(|n| n * 1_000).collect::<Vec<_>>());
        assert!(queue.queued.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_turn() {
        let turn = |text: &str| sender(text.parse().unwrap());
        assert_eq!(turn("2001:db8::1"), turn("2001:db8::ffff:0:0:2"));
        assert_ne!(turn("2001:db8::1"), turn("2001:db8:0:1::1"));
        assert_eq!(turn("::ffff:10.0.0.1"), turn("10.0.0.1"));
        assert_ne!(turn("10.0.0.1"), turn("10.0.0.2"));
    }

    /// Returns the results of all steps, and the number of turns in which they arrived.
    fn all_results(queue: &mut Queue, count: usize) -> (Vec<(u64, Done)>, usize) {
        let (mut results, mut turns) = (Vec::new(), 0);
        while results.len() < count {
            let before = results.len();
            while let Some((peer, done)) = queue.next_done() {
                results.push((peer.0, done));
            }
            turns += usize::from(results.len() > before);
            std::thread::yield_now();
        }
        (results, turns)
    }

    /// Adds ten steps of the peers 0 to 9.
    fn add_ten(queue: &mut Queue) {
        let keys = KeyPair::generate().unwrap();
        for n in 0..10 {
            queue.add(None, PeerId(n), work(&keys), |_, _| true);
        }
    }

    #[test]
    fn a_step_that_panics_loses_no_other_step() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control.clone());
        queue.start = |name, control| {
            start(name, control, |step| match step {
                Step::Seal(_) => panic!("a bug"),
                step => step.run(),
            })
        };
        add_ten(&mut queue);
        let seal = Step::Seal(large_frame());
        queue.add(None, PeerId(10), seal, |_, _| true);
        let keys = KeyPair::generate().unwrap();
        queue.add(None, PeerId(11), work(&keys), |_, _| true);
        let (results, _) = all_results(&mut queue, 12);
        for (n, (peer, done)) in results.iter().enumerate() {
            assert_eq!((*peer, matches!(done, Done::Lost)), (n as u64, n == 10));
        }
        assert!(queue.queued.is_empty() && queue.given.is_empty());
    }

    /// Returns a large frame that is to be sealed.
    fn large_frame() -> SealWork {
        let keys = KeyPair::generate().unwrap();
        let metadata = gateway_zmtp::command::Ready::default();
        let client = gateway_zmtp::curve::Client::new(keys.clone(), keys.public());
        let (client, hello) = client.hello().unwrap();
        let server = gateway_zmtp::curve::Server::new(Arc::from([keys]));
        let (server, welcome) = server.hello(&hello).unwrap();
        let (client, initiate) = client.welcome(&welcome, &metadata).unwrap();
        let introduced = server.initiate(&initiate).unwrap();
        let (_, ready) = introduced.accept(&metadata).unwrap();
        let mut sealer = client.ready(&ready).unwrap().0.sealer;
        let kind = gateway_zmtp::curve::FrameKind::Last;
        sealer.seal_work(kind, vec![0], 0..1).unwrap()
    }

    #[test]
    fn each_step_of_a_thread_that_has_ended_is_reported_as_lost() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        queue.start = |_, _| {
            let (work, _) = mpsc::channel();
            let (_, done) = mpsc::channel();
            Some(Worker { work, done })
        };
        add_ten(&mut queue);
        let (results, _) = all_results(&mut queue, 10);
        for (n, (peer, done)) in results.iter().enumerate() {
            assert!(*peer == n as u64 && matches!(done, Done::Lost), "{n}");
        }
        assert!(queue.queued.is_empty() && queue.given.is_empty());
    }

    #[test]
    fn the_data_thread_takes_one_step_in_a_turn_while_no_thread_can_be_started() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("handshakes", AGREEMENTS_SWEEP_MIN, control);
        queue.start = |_, _| None;
        add_ten(&mut queue);
        assert_eq!(queue.queued.len(), 9);
        let (results, turns) = all_results(&mut queue, 10);
        let peers: Vec<_> = results.iter().map(|(peer, _)| *peer).collect();
        assert_eq!((peers, turns), ((0..10).collect(), 10));
        assert!(
            results
                .iter()
                .all(|(_, done)| matches!(done, Done::Agreed(_)))
        );
    }

    #[test]
    fn results_of_the_data_thread_come_before_results_of_a_later_thread() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue::new("frames", FRAMES_SWEEP_MIN, control);
        let (work, _inbox) = mpsc::channel();
        let (outbox, done) = mpsc::channel();
        queue.done_here = Some((PeerId(0), Done::Lost));
        queue.given = [PeerId(1)].into();
        outbox.send((PeerId(1), Done::Lost)).unwrap();
        queue.worker = Some(Worker { work, done });
        let order = [(); 2].map(|()| queue.next_done().unwrap().0);
        assert_eq!(order, [PeerId(0), PeerId(1)]);
    }

    #[test]
    fn steps_that_would_delay_messages_wait_until_a_thread_can_be_started() {
        let (control, _orders) = Control::new().unwrap();
        let mut queue = Queue {
            without_thread: WithoutThread::Wait,
            ..Queue::new("passwords", VERIFICATIONS_SWEEP_MIN, control)
        };
        let start = std::mem::replace(&mut queue.start, |_, _| None);
        add_ten(&mut queue);
        assert!(queue.next_done().is_none());
        assert_eq!(queue.queued.len(), 10);
        queue.start = start;
        let (results, _) = all_results(&mut queue, 10);
        assert_eq!(results.len(), 10);
    }
}
