//! The native engine: ZMTP spoken by the gateway itself, on one thread, over the system's readiness events.
//!
//! A turn (`Native::turn`): wait; take in connections; read from each peer that has something, once, and
//! tell the core each message; then write to each peer that something waits for. So a frame goes from
//! `traffic` (read, [`gateway_zmtp::decoder`]) through the core into an [`outbox`] (`peers`) and out.
//!
//! `listen`, `dial` and `meet` bring connections as far as the core's knowing them; `reload` takes over
//! another configuration; `end` says goodbye. All memory that a peer can claim is bounded where it is claimed:
//! in `decoder` what comes in, in `peers` what goes out, in `meet` the number of strangers.
//!
//! [`gateway_zmtp`], [`liveness`] and [`outbox`] do no I/O: a connection is these, and a stream. They are public
//! for benches and fuzz targets to drive them alone; nothing else outside the engine may.

mod address;
mod clock;
mod connection;
mod dial;
mod end;
mod listen;
pub mod liveness;
mod meet;
pub mod outbox;
mod peers;
mod quiet;
mod reload;
pub mod socket_types;
mod stream;
mod timers;
mod traffic;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tracing::warn;

use super::control::{Control, Order, Orders};
use super::notes::{log_last_notes, log_notes};
use super::{EngineError, Observer, Running};
use crate::core::{Core, Event};
use crate::frame::Frame;
use crate::ledger::Ledger;
use crate::metrics::Inquiries;
use crate::peer::PeerId;
use crate::snapshot::Snapshot;
use clock::Clock;
use connection::Room;
use dial::Dialer;
use gateway_zmtp::bytes::Bytes;
use listen::Listeners;
use peers::Peers;
use quiet::Quiet;
pub(super) use reload::Reloader;
use reload::{Commit, SharedBook};
use traffic::Share;

/// Events that one wait may tell of; others are told by the next one.
const EVENTS: usize = 1024;

/// How long reading may go on in a turn before what was decided is written, whoever has yet to be read: some part of
/// what a request takes over a network, so that no crowd of busy peers is felt by a quiet one.
const READ_MAX: Duration = Duration::from_millis(2);

/// Small messages after which it is looked how long it has taken: a fraction of [`READ_MAX`], so that most turns read
/// no clock for it.
const WORK_UNTIMED: usize = 512;

/// What orders come by.
const CONTROL: Token = Token(0);

/// The walks recurse once a level, to `limits.depth` at most, which is at most 1000.
const DATA_STACK: usize = 8 << 20;

/// What the data thread begins with.
struct Start {
    poll: Poll,
    orders: Orders,
    commits: mpsc::Receiver<Commit>,
    control: Control,
    book: SharedBook,
    snapshot: Arc<Snapshot>,
    inquiries: Inquiries,
}

/// What the data thread begins with, and what others have of it. Nothing is bound yet.
fn prepare(snapshot: Arc<Snapshot>) -> Result<(Start, Reloader, Observer), EngineError> {
    let book = SharedBook::default();
    let (commits, inbox) = mpsc::channel();
    let (control, orders) = Control::new().map_err(failed)?;
    let (observer, inquiries) = Observer::new(control.clone());
    let start = Start {
        poll: Poll::new().map_err(failed)?,
        orders,
        commits: inbox,
        control: control.clone(),
        book: book.clone(),
        snapshot,
        inquiries,
    };
    Ok((start, Reloader::new(book, commits, control), observer))
}

/// Binds everything, then serves on a thread of its own.
pub(super) fn start(snapshot: Arc<Snapshot>) -> Result<Running, EngineError> {
    let (start, reloader, observer) = prepare(snapshot)?;
    let control = start.control.clone();
    // Adopted as the first thing that the data thread does.
    let listening = reloader.prepare(&start.snapshot)?;
    let thread = std::thread::Builder::new()
        .name("data".into())
        .stack_size(DATA_STACK)
        // Frames are counted without atomics, so everything that holds them is made where it is used.
        .spawn(move || Native::new(start).map_err(failed)?.run())
        .map_err(|error| EngineError::new("data thread", error))?;
    Ok(Running {
        listening,
        control,
        reloader: super::Reloader(super::OfEngine::Native(reloader)),
        observer,
        thread,
    })
}

fn failed(error: io::Error) -> EngineError {
    EngineError::new("engine native", error)
}

/// Binds everything, and lets go of it.
pub(super) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    reload::try_binds(snapshot)
}

impl Frame for Bytes {
    fn bytes(&self) -> &[u8] {
        Bytes::bytes(self)
    }

    fn compact(self) -> Self {
        Bytes::compact(self)
    }
}

struct Native {
    core: Core<Bytes>,
    snapshot: Arc<Snapshot>,
    peers: Peers,
    listeners: Listeners,
    dialer: Dialer,
    poll: Poll,
    orders: Orders,
    commits: mpsc::Receiver<Commit>,
    book: SharedBook,
    clock: Clock,
    /// Connections that were strangers when they were put here, oldest first.
    handshakes: VecDeque<PeerId>,
    /// How many clients the core knows.
    clients: usize,
    /// Clients without a name so far.
    nameless: u32,
    /// Something was removed from the configuration and is not closed yet.
    removing: bool,
    /// When it is looked next whether that can be closed.
    look_at: Duration,
    /// Set when it drains: when what is still unread is given up.
    flush_until: Option<Duration>,
    quiet: Quiet,
    /// When the last wait ended.
    woke: Duration,
}

impl Native {
    fn new(start: Start) -> io::Result<Self> {
        let Start {
            poll,
            orders,
            commits,
            control,
            book,
            snapshot,
            inquiries,
        } = start;
        let registry = poll.registry();
        registry.register(
            &mut SourceFd(&orders.descriptor()),
            CONTROL,
            Interest::READABLE,
        )?;
        Ok(Self {
            core: Core::new(Arc::clone(&snapshot)).answering(inquiries),
            peers: Peers::new(registry.try_clone()?),
            listeners: Listeners::new(registry.try_clone()?),
            dialer: Dialer::new(control, address::resolve),
            snapshot,
            poll,
            orders,
            commits,
            book,
            clock: Clock::new(),
            handshakes: VecDeque::new(),
            clients: 0,
            nameless: 0,
            removing: false,
            look_at: Duration::ZERO,
            flush_until: None,
            quiet: Quiet::default(),
            woke: Duration::ZERO,
        })
    }

    fn run(mut self) -> Result<Ledger, EngineError> {
        self.commit(Duration::ZERO);
        let mut events = Events::with_capacity(EVENTS);
        let ended = loop {
            match self.turn(&mut events) {
                Ok(Go::On) => {}
                Ok(Go::End) => break Ok(()),
                Err(error) => break Err(EngineError::new("waiting for the network", error)),
            }
        };
        self.book.close();
        log_last_notes(&mut self.core);
        let ledger = self.core.ledger();
        self.say_goodbye(&mut events);
        ended.map(|()| ledger)
    }

    /// One turn: the whole engine.
    fn turn(&mut self, events: &mut Events) -> io::Result<Go> {
        // The clock is read before the wait and after it; what happens in between happens then.
        let ends = self.clock.now();
        let wait = self.wait(ends);
        let counters = &mut self.peers.counters;
        counters.turns += 1;
        counters.busy += ends.saturating_sub(self.woke);
        match self.poll.poll(events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(error),
        }
        let now = self.clock.now();
        self.woke = now;
        let ordered = self.sort(events, now);
        if ordered && self.obey(now) {
            return Ok(Go::End);
        }
        self.accept(now);
        self.call(now);
        let busy = self.read(now);
        self.look_at_silent(now);
        self.core.on(now, Event::Tick, &mut self.peers);
        self.tell(now);
        self.write(now);
        log_notes(&mut self.core);
        if self.removing {
            self.close_removed(now);
        }
        Ok(self.is_over(busy || !events.is_empty(), now))
    }

    /// How long nothing needs to be done, unless something happens.
    fn wait(&self, now: Duration) -> Option<Duration> {
        let at_once = !self.peers.ready.is_empty()
            || self.peers.is_dirty()
            || self.listeners.is_ready()
            || self.core.is_drained();
        if at_once {
            return Some(Duration::ZERO);
        }
        let due = [
            self.core.next_deadline(),
            self.peers.timers.next(),
            self.listeners.next(),
            self.dialer.next(),
            self.flush_until,
            self.removing.then_some(self.look_at),
        ];
        let due = due.into_iter().flatten().min()?;
        Some(due.saturating_sub(now))
    }

    /// Notes what the system tells; true if there may be an order.
    fn sort(&mut self, events: &Events, now: Duration) -> bool {
        let mut ordered = false;
        for event in events {
            let token = event.token();
            if token == CONTROL {
                ordered = true;
            } else if let Some(peer) = Peers::of_token(token) {
                self.note(peer, event, now);
            } else if self.listeners.is(token) {
                self.listeners.mark_ready(token);
            }
        }
        ordered
    }

    fn note(&mut self, peer: PeerId, event: &mio::event::Event, now: Duration) {
        if event.is_writable() {
            self.answered(peer, now);
        }
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.half_closed |= event.is_read_closed() || event.is_error();
        connection.readable |= event.is_readable() || connection.half_closed;
        let writable = event.is_writable() || event.is_write_closed() || event.is_error();
        if writable && connection.room == Room::Full {
            connection.room = Room::Again;
        }
        let writable = writable && !connection.outbox.is_empty();
        self.peers.queue(peer);
        if writable {
            self.peers.mark_dirty(peer);
        }
    }

    /// Gives each peer that has something to say its turn; true if any had. If that takes long, the rest has it after
    /// what was decided so far is written and the system was asked for more.
    fn read(&mut self, now: Duration) -> bool {
        let turns = self.peers.ready.len();
        let share = Share::of(turns);
        let mut work = 0;
        for _ in 0..turns {
            let Some(peer) = self.peers.ready.pop_front() else {
                break;
            };
            work += self.serve(peer, share, now);
            self.tell(now);
            if work >= WORK_UNTIMED {
                if self.clock.now().saturating_sub(now) >= READ_MAX {
                    break;
                }
                work = 0;
            }
        }
        turns > 0
    }

    fn write(&mut self, now: Duration) {
        self.peers.flush(now);
        self.tell(now);
    }

    /// Tells the core what came to light while its effects were carried out.
    fn tell(&mut self, now: Duration) {
        while let Some(event) = self.peers.news.pop_front() {
            self.core.on(now, event, &mut self.peers);
        }
    }

    /// Carries out the order in force; true if that is to end at once.
    fn obey(&mut self, now: Duration) -> bool {
        match self.orders.get() {
            Order::Serve => {
                self.commit(now);
                false
            }
            Order::Stop => true,
            Order::Drain => {
                if self.flush_until.is_none() {
                    let deadline = now + self.snapshot.grace;
                    self.flush_until = Some(deadline + end::FLUSH);
                    self.core
                        .on(now, Event::Drain { deadline }, &mut self.peers);
                    self.tell(now);
                }
                self.decline();
                false
            }
        }
    }

    fn is_over(&mut self, busy: bool, now: Duration) -> Go {
        // What has arrived by now is still told that it came too late.
        if self.core.is_drained() && !busy {
            return Go::End;
        }
        if self.flush_until.is_some_and(|until| until <= now) {
            let unread = self.peers.give_up();
            warn!(
                answers = unread,
                "given up: their clients did not read them"
            );
            self.tell(now);
            return Go::End;
        }
        Go::On
    }
}

/// Whether there is another turn.
enum Go {
    On,
    End,
}

#[cfg(test)]
mod tests;
