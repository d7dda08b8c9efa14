//! The native engine, which implements ZMTP itself. It runs on one thread, which waits for the
//! system's readiness events.
//!
//! A turn (`Native::turn`) waits, accepts connections, reads from each peer that has sent
//! something, passes each message to the core, and then writes to each peer with queued bytes. A
//! frame is read in `service/traffic.rs` by [`gateway_zmtp::decoder`], passes through the core, and
//! enters an [`outbox`] in `peers`, from which it is written.
//!
//! `Service` holds the state that serving a peer needs, and the files of `service/` are its
//! actions. `listen` and `dial` start connections, `reload` hands over another configuration, and
//! `removal` decides when the connections and listeners of removed frontends, pools and channels
//! are closed. All memory that a peer can claim is bounded in the module that allocates it. The
//! decoder bounds the input, `peers` bounds the output, and `admissions` bounds the number of
//! connections without a complete handshake.
//!
//! [`gateway_zmtp`], [`liveness`] and [`outbox`] do no I/O. A connection (`connection`) combines
//! them with a stream, which does the I/O.

mod address;
mod admissions;
mod clock;
mod connection;
mod dial;
mod drain;
mod frames;
mod listen;
mod memory;
mod peers;
mod quiet;
mod reload;
mod removal;
mod service;
mod steps;
mod stream;
mod timers;

// These are public for tests, benches and fuzz targets, which use them without the engine.
pub mod liveness;
pub mod outbox;
pub mod socket_types;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tracing::warn;

use crate::engine::control::{Control, Order, Orders};
use crate::engine::error::EngineError;
use crate::engine::observer::Observer;
use crate::engine::started::Started;
use crate::ledger::Ledger;
use crate::metrics::SampleRequests;
use crate::snapshot::Snapshot;
use clock::Clock;
use drain::{Drain, LastReads};
use listen::Listeners;
use peers::Peers;
pub(super) use reload::{Reloader, try_binds};
use reload::{Reloads, reloads};
use removal::Removal;
use service::Service;

/// The maximum number of events that one wait returns. The next wait returns the others.
const EVENTS_MAX: usize = 1024;

/// The token under which the system reports that there may be an order.
const CONTROL: Token = Token(0);

/// The stack size of the data thread, in bytes. The checks of a payload recurse once for each level
/// of nesting, up to `limits.depth`, which is at most 1000.
const DATA_STACK_SIZE: usize = 8 << 20;

/// The values with which the data thread starts.
struct Start {
    poll: Poll,
    orders: Orders,
    reloads: Reloads,
    control: Control,
    snapshot: Arc<Snapshot>,
    requests: SampleRequests,
    release: fn(),
}

/// Creates the values with which the data thread starts, and the handles for other threads. Binds
/// no address yet.
fn prepare(
    snapshot: Arc<Snapshot>,
    release: fn(),
) -> Result<(Start, Reloader, Observer), EngineError> {
    let (control, orders) = Control::new().map_err(failed)?;
    let (observer, requests) = Observer::new(control.clone());
    let (reloader, reloads) = reloads(control.clone());
    let start = Start {
        poll: Poll::new().map_err(failed)?,
        orders,
        reloads,
        control,
        snapshot,
        requests,
        release,
    };
    Ok((start, reloader, observer))
}

/// Binds every address, then serves peers on a new thread. `release` must return free memory to the
/// system. The engine calls `release` after bursts of messages, on another thread.
pub(super) fn start(
    snapshot: Arc<Snapshot>,
    release: fn(),
) -> Result<Started<Reloader>, EngineError> {
    let (start, reloader, observer) = prepare(snapshot, release)?;
    let control = start.control.clone();
    // The data thread adopts these listeners as its first action.
    let listening = reloader.prepare(&start.snapshot)?;
    let thread = std::thread::Builder::new()
        .name("data".into())
        .stack_size(DATA_STACK_SIZE)
        // Frames are reference-counted without atomics, so everything that holds frames is created
        // on the thread that uses it.
        .spawn(move || Native::new(start).map_err(failed)?.run())
        .map_err(|error| EngineError::new("data thread", error))?;
    Ok(Started {
        listening,
        control,
        reloader,
        observer,
        thread,
    })
}

fn failed(error: io::Error) -> EngineError {
    EngineError::new("engine native", error)
}

/// The data thread.
struct Native {
    service: Service,
    listeners: Listeners,
    reloads: Reloads,
    removal: Removal,
    drain: Drain,
    last_reads: LastReads,
    poll: Poll,
    orders: Orders,
    clock: Clock,
    /// The time at which the last wait ended.
    woke: Duration,
}

impl Native {
    fn new(start: Start) -> io::Result<Self> {
        let Start {
            poll,
            orders,
            reloads,
            control,
            snapshot,
            requests,
            release,
        } = start;
        let registry = poll.registry();
        registry.register(
            &mut SourceFd(&orders.descriptor()),
            CONTROL,
            Interest::READABLE,
        )?;
        Ok(Self {
            service: Service::new(snapshot, requests, registry.try_clone()?, control, release),
            listeners: Listeners::new(registry.try_clone()?),
            reloads,
            removal: Removal::default(),
            drain: Drain::default(),
            last_reads: LastReads::default(),
            poll,
            orders,
            clock: Clock::new(),
            woke: Duration::ZERO,
        })
    }

    fn run(mut self) -> Result<Ledger, EngineError> {
        self.commit(Duration::ZERO);
        let mut events = Events::with_capacity(EVENTS_MAX);
        let ended = loop {
            match self.turn(&mut events) {
                Ok(NextTurn::Follows) => {}
                Ok(NextTurn::None) => break Ok(()),
                Err(error) => break Err(EngineError::new("waiting for the network", error)),
            }
        };
        self.reloads.registry().close();
        let ledger = self.service.final_ledger();
        self.listeners.close();
        self.service.say_goodbye(&mut self.poll, &mut events);
        ended.map(|()| ledger)
    }

    /// Runs one turn of the engine's loop, and returns whether another turn follows.
    fn turn(&mut self, events: &mut Events) -> io::Result<NextTurn> {
        // The clock is read before and after the wait. The second reading is the time of all
        // actions of the turn.
        let finished = self.clock.now();
        let wait = self.wait(finished);
        let busy = finished.saturating_sub(self.woke);
        self.service.count_turn(busy);
        match self.poll.poll(events, wait) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(error),
        }
        let now = self.clock.now();
        self.woke = now;
        let ordered = self.note_events(events, now);
        if ordered && self.obey(now) {
            return Ok(NextTurn::None);
        }
        self.service.finish_steps(now);
        self.listeners.accept(&mut self.service, now, &self.clock);
        self.service.call(&self.removal, now);
        let service = &mut self.service;
        let busy = service.read(now, &self.clock)
            | service.report_verdicts(now, &self.clock)
            | service.continue_work(now, &self.clock);
        service.examine_silent(now, &self.clock);
        service.tick(now);
        service.write(now, &self.clock);
        service.log_notes();
        self.removal.close(
            service,
            &mut self.listeners,
            self.reloads.registry(),
            &self.clock,
            now,
        );
        self.service.weigh(now);
        Ok(self.is_over(busy || !events.is_empty(), now))
    }

    /// Returns the maximum time to wait for events, or `None` if no action is due without an event.
    fn wait(&self, now: Duration) -> Option<Duration> {
        let is_drained = self.service.is_drained();
        let at_once = self.service.needs_turn()
            || self.listeners.is_ready()
            || is_drained && self.last_reads.due().is_none();
        if at_once {
            return Some(Duration::ZERO);
        }
        let due = [
            self.service.next_due(),
            self.listeners.next(),
            self.drain.end(),
            self.last_reads.due().filter(|_| is_drained),
            self.removal.due(),
        ];
        let due = due.into_iter().flatten().min()?;
        Some(due.saturating_sub(now))
    }

    /// Records the events of the system. Returns true if there may be an order.
    fn note_events(&mut self, events: &Events, now: Duration) -> bool {
        let mut ordered = false;
        for event in events {
            let token = event.token();
            if token == CONTROL {
                ordered = true;
            } else if let Some(peer) = Peers::of_token(token) {
                self.service.note(peer, event, now);
            } else if self.listeners.has(token) {
                self.listeners.mark_ready(token);
            }
        }
        ordered
    }

    /// Adopts the reloads that were handed over.
    fn commit(&mut self, now: Duration) {
        self.reloads.commit(
            &mut self.service,
            &mut self.listeners,
            &mut self.removal,
            now,
        );
    }

    /// Carries out the order in force. Returns whether the engine must end at once.
    fn obey(&mut self, now: Duration) -> bool {
        match self.orders.get() {
            Order::Serve => {
                self.commit(now);
                false
            }
            Order::Stop => true,
            Order::Drain => {
                let grace = self.service.snapshot().grace;
                if let Some(deadline) = self.drain.begin(grace, now) {
                    self.service.drain(deadline, now);
                }
                self.reloads.decline();
                false
            }
        }
    }

    /// Decides whether another turn follows. None follows once a drain is complete, or its time is
    /// over. `busy` is true if this turn had anything to process.
    fn is_over(&mut self, busy: bool, now: Duration) -> NextTurn {
        // At the end of a drain, a busy turn is followed by another turn, which rejects the
        // messages that arrived in the meantime.
        if !self.service.is_drained() {
            self.last_reads.restart();
        } else if !busy || !self.last_reads.may_take_more(now) {
            let left = self.service.unread_by_subscribers();
            if self.last_reads.are_done(left, now) {
                if left > 0 {
                    warn!(bytes = left, "dropped bytes that subscribers did not read");
                }
                return NextTurn::None;
            }
        }
        if self.drain.end().is_some_and(|end| end <= now) {
            let unread = self.service.give_up(now);
            warn!(
                answers = unread,
                "dropped answers that clients did not read"
            );
            return NextTurn::None;
        }
        NextTurn::Follows
    }
}

/// The decision about another turn.
enum NextTurn {
    Follows,
    None,
}
