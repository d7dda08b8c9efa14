//! The engine over libzmq, through the `zmq` crate: a ROUTER for each frontend, a DEALER for each
//! pool, and for each channel an XSUB for its publishers and an XPUB for its subscribers.
//!
//! A turn polls, reads each readable socket up to a budget, runs the core on each message, and
//! tries again to send the answers for which clients had no room. Frames are forwarded as the
//! `zmq::Message`s in which they arrived. Only queued frames that share a receive buffer are
//! copied.
//!
//! The sockets are opened in `open` and recorded in `sockets`. The sending half, which the core
//! calls, is in `links`. `pools` handles the workers of a DEALER, as far as `monitor` reports them.
//! `channels` handles publishers and subscribers. `reload` hands another configuration to the data
//! thread, which adopts it in `adopt`.
//!
//! libzmq does not reveal its peers, and the consequences are documented for users. All workers of
//! a pool are one peer for the core, and libzmq serves them in turn. So `balance` has no effect,
//! and `per_worker` only sets the size of libzmq's queue for each worker. The loss of one of
//! several workers is not noticed. The loss of all workers is noticed, because a monitor counts
//! connections.
//!
//! The publishers of a channel are one peer for the core, and its subscribers are another peer.
//! libzmq finds the subscribers whose subscriptions match a message, and drops the message for a
//! subscriber that has no room. Messages therefore cannot be kept for one subscriber, and `slow`
//! cannot be supported.
//!
//! Clients are known by their identities from their first message on, and are forgotten when idle.
//! Back-pressure on one client is impossible. Answers that a client does not read are therefore
//! dropped beyond `limits.client_bytes`. A client's messages that wait for judges count as open
//! requests, up to `limits.client_requests`.

mod adopt;
mod channels;
mod client;
mod data;
mod fixed;
mod frontend;
mod left;
mod links;
mod monitor;
mod open;
mod pools;
mod refused;
mod reload;
mod sockets;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tracing::warn;
use zmq::{Message, POLLIN, POLLOUT};

use crate::core::{Core, Event};
use crate::engine::control::{Control, Order};
use crate::engine::error::EngineError;
use crate::engine::judges::Judges;
use crate::engine::notes::{log_last_notes, log_notes};
use crate::engine::numbering::first_number;
use crate::engine::observer::Observer;
use crate::engine::started::Started;
use crate::frame::Frame;
use crate::ledger::Ledger;
use crate::snapshot::{FrontendId, Snapshot};
use data::{BUDGET, Libzmq, PoolReady, Ready, SideReady, receive};
use links::Links;
use open::FLUSH;
pub(super) use reload::Reloader;
use sockets::SharedSocketRegistry;

/// The time between two searches for idle clients, which are then forgotten. The interval affects
/// only the use of memory.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum number of verdicts of judges that a turn reports to the core. After each verdict,
/// the core may check messages that waited for this verdict, for up to a millisecond.
const VERDICTS_MAX: usize = 4;

/// The duration of a turn after which the core's unfinished work is left to the next turn, so that
/// the sockets are read in between.
const WORK_TIME_MAX: Duration = Duration::from_millis(3);

/// The sizes in bytes of frames that share the buffer in which they arrived. libzmq stores shorter
/// frames in the `zmq::Message` itself, and each longer frame in a buffer of its own.
const SHARES_BUFFER: std::ops::Range<usize> = 34..8192;

impl Frame for Message {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn compact(self) -> Self {
        if SHARES_BUFFER.contains(&self.len()) {
            Message::from(&*self)
        } else {
            self
        }
    }
}

/// The stack size of the data thread, in bytes. The checks of a payload recurse once for each level
/// of nesting, up to `limits.depth`, which is at most 1000.
const DATA_STACK_SIZE: usize = 8 << 20;

/// Binds and connects all sockets, then serves peers on a new thread.
pub(super) fn start(snapshot: Arc<Snapshot>) -> Result<Started<Reloader>, EngineError> {
    let registry = SharedSocketRegistry::new();
    let mut prepared = None;
    registry.prepare(&snapshot, |opened| {
        prepared = Some(opened);
        Ok(())
    })?;
    let (control, orders) = Control::new().map_err(|error| EngineError::new("control", error))?;
    let (observer, requests) = Observer::new(control.clone());
    let (commits, inbox) = mpsc::channel();
    let listening = prepared.as_ref();
    let listening = listening.map_or_else(Vec::new, |prepared| prepared.listening.clone());
    let shared = registry.clone();
    let judges = Judges::new(control.clone());
    // The core's values are reference-counted without atomics, so the core is created on the thread
    // that uses it.
    let serve = move || {
        let mut engine = Libzmq {
            core: Core::new(Arc::clone(&snapshot))
                .numbering_from(first_number())
                .answering(requests),
            links: Links::new(judges),
            registry: shared,
            orders,
            commits: inbox,
            start: Instant::now(),
            snapshot: Arc::clone(&snapshot),
            swept: Duration::ZERO,
            verdicts_left: false,
            flush_deadline: None,
            woke: Duration::ZERO,
            close_due: None,
        };
        if let Some(prepared) = prepared {
            engine.adopt(snapshot, prepared);
        }
        engine.run()
    };
    let thread = std::thread::Builder::new()
        .name("data".into())
        .stack_size(DATA_STACK_SIZE)
        .spawn(serve)
        .map_err(|error| EngineError::new("data thread", error))?;
    let reloader = Reloader {
        registry,
        commits,
        control: control.clone(),
    };
    Ok(Started {
        listening,
        control,
        reloader,
        observer,
        thread,
    })
}

impl Libzmq {
    fn run(mut self) -> Result<Ledger, EngineError> {
        let ended = self.serve();
        log_last_notes(&mut self.core);
        let ledger = self.core.ledger();
        // This closes the sockets. The end of the context then waits until libzmq has sent the
        // messages that it has accepted.
        let registry = self.registry.clone();
        drop(self);
        registry.close();
        ended.map(|()| ledger)
    }

    fn serve(&mut self) -> Result<(), EngineError> {
        self.introduce_sides(self.start.elapsed());
        loop {
            let ready = self.poll()?;
            let now = self.start.elapsed();
            self.woke = now;
            // Each turn reads the monitors that have reports, because the I/O of libzmq stops if a
            // monitor has no room for another report.
            for frontend in &ready.reported {
                self.links.forget_left(*frontend);
                self.report_events(now);
            }
            for frontend in &ready.frontends {
                self.drain_frontend(*frontend, now)?;
            }
            for (pool, ready) in &ready.pools {
                self.serve_pool(*pool, ready, now)?;
            }
            for (side, ready) in &ready.sides {
                self.serve_side(*side, ready, now)?;
            }
            if ready.control && self.obey(now) {
                self.links.discard_unsent();
                return Ok(());
            }
            self.report_verdicts(now);
            self.continue_work(now);
            self.core.on(now, Event::Tick, &mut self.links);
            self.report_events(now);
            self.links.retry(now);
            self.report_events(now);
            self.sweep(now);
            log_notes(&mut self.core);
            self.close_removed(&ready, now);
            if self.is_over(&ready, now) {
                return Ok(());
            }
        }
    }

    /// Reports up to [`VERDICTS_MAX`] verdicts of judges to the core.
    fn report_verdicts(&mut self, now: Duration) {
        let mut reported = 0;
        while reported < VERDICTS_MAX
            && let Some(verdict) = self.links.judges.next()
        {
            reported += 1;
            self.core
                .on(now, Event::Judged { verdict }, &mut self.links);
            self.report_events(now);
        }
        self.verdicts_left = reported == VERDICTS_MAX;
    }

    /// Lets the core continue its unfinished work, if there is any: at least one part, and further
    /// parts until this turn has taken [`WORK_TIME_MAX`]. The turn began at `now`.
    fn continue_work(&mut self, now: Duration) {
        while self.core.has_unfinished_work() {
            self.core.on(now, Event::Continue, &mut self.links);
            self.report_events(now);
            if self.start.elapsed().saturating_sub(now) >= WORK_TIME_MAX {
                break;
            }
        }
    }

    /// Waits until a socket is ready or an action is due, and returns the ready sockets.
    fn poll(&mut self) -> Result<Ready, EngineError> {
        let now = self.start.elapsed();
        self.links.counters.turns.add(now.saturating_sub(self.woke));
        let due = [
            self.core.next_deadline(),
            self.links.next_retry(),
            self.flush_deadline,
            self.close_due,
            Some(self.swept + SWEEP_INTERVAL),
        ];
        let at_once = self.core.is_drained()
            || self.verdicts_left
            || self.core.has_unfinished_work()
            || self.links.pools.values().any(|pool| pool.leaving);
        let due = due.into_iter().flatten().min().filter(|_| !at_once);
        let due = due.unwrap_or(now);
        // The time is rounded up, because the last part of a millisecond would otherwise be spent
        // spinning.
        let wait = due.saturating_sub(now).as_micros().div_ceil(1_000);
        let mut items = self.poll_items();
        match zmq::poll(&mut items, i64::try_from(wait).unwrap_or(i64::MAX)) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(EngineError::new("poll", error)),
        }
        Ok(self.ready(&items))
    }

    /// Returns the items that a turn polls: orders, and then each socket with its monitor.
    fn poll_items(&self) -> Vec<zmq::PollItem<'_>> {
        let Links {
            frontends,
            pools,
            sides,
            ..
        } = &self.links;
        let sockets = frontends.len() + pools.len() + sides.len();
        let mut items = Vec::with_capacity(1 + 2 * sockets);
        items.push(zmq::PollItem::from_fd(self.orders.descriptor(), POLLIN));
        for frontend in frontends.values() {
            items.push(frontend.socket().as_poll_item(POLLIN));
            items.push(frontend.monitor().as_poll_item(POLLIN));
        }
        for pool in pools.values() {
            let writable = if pool.blocked {
                POLLOUT
            } else {
                zmq::PollEvents::empty()
            };
            items.push(pool.socket.as_poll_item(POLLIN | writable));
            items.push(pool.monitor.socket().as_poll_item(POLLIN));
        }
        for side in sides.values() {
            let readable = if side.is_paused {
                zmq::PollEvents::empty()
            } else {
                POLLIN
            };
            items.push(side.socket.as_poll_item(readable));
            items.push(side.monitor.socket().as_poll_item(POLLIN));
        }
        items
    }

    /// Returns the sockets that are ready, by the result of polling [`Self::poll_items`].
    fn ready(&self, items: &[zmq::PollItem<'_>]) -> Ready {
        let Links {
            frontends,
            pools,
            sides,
            ..
        } = &self.links;
        let (of_frontends, others) = items[1..].split_at(2 * frontends.len());
        let (of_pools, of_sides) = others.split_at(2 * pools.len());
        let of_frontends = frontends.keys().zip(of_frontends.chunks(2));
        let reported = of_frontends
            .clone()
            .filter(|(_, pair)| pair[1].is_readable());
        let readable = of_frontends.filter(|(_, pair)| pair[0].is_readable());
        let of_pools = pools.keys().zip(of_pools.chunks(2)).map(|(id, pair)| {
            let ready = PoolReady {
                readable: pair[0].is_readable(),
                writable: pair[0].is_writable(),
                monitor: pair[1].is_readable(),
            };
            (*id, ready)
        });
        let of_sides = sides.keys().zip(of_sides.chunks(2)).map(|(role, pair)| {
            let ready = SideReady {
                readable: pair[0].is_readable(),
                monitor: pair[1].is_readable(),
            };
            (*role, ready)
        });
        Ready {
            control: items[0].is_readable(),
            frontends: readable.map(|(id, _)| *id).collect(),
            reported: reported.map(|(id, _)| *id).collect(),
            pools: of_pools.collect(),
            sides: of_sides.collect(),
        }
    }

    fn drain_frontend(&mut self, id: FrontendId, now: Duration) -> Result<(), EngineError> {
        // One frame over the limit is kept, so that the core notices a message with too many
        // frames. The identity does not count.
        let keep = self.snapshot.limits.frames + 2;
        self.links.allowance = BUDGET;
        while self.links.allowance > 0 {
            self.links.allowance -= 1;
            let Some(frontend) = self.links.frontends.get(&id) else {
                break;
            };
            let Some(mut frames) = receive(frontend.socket(), keep)? else {
                break;
            };
            self.links.counters.messages_in += 1;
            // libzmq puts the client's identity first.
            let identity = frames.remove(0);
            let (peer, events) = self.links.client(id, identity, &mut frames);
            for event in events.into_iter().flatten() {
                self.core.on(now, event, &mut self.links);
            }
            self.core
                .on(now, Event::Message { peer, frames }, &mut self.links);
            self.report_events(now);
        }
        Ok(())
    }

    /// Carries out the order in force. Returns true if the engine must end at once.
    fn obey(&mut self, now: Duration) -> bool {
        match self.orders.get() {
            Order::Serve => {
                self.commit(now);
                false
            }
            Order::Stop => true,
            Order::Drain => {
                if self.flush_deadline.is_none() {
                    let deadline = now + self.snapshot.grace;
                    self.flush_deadline = Some(deadline + FLUSH);
                    self.core
                        .on(now, Event::Drain { deadline }, &mut self.links);
                }
                self.decline();
                false
            }
        }
    }

    fn is_over(&mut self, ready: &Ready, now: Duration) -> bool {
        // After the drain, messages that have arrived already are still rejected before the engine
        // ends.
        if self.core.is_drained() && ready.frontends.is_empty() {
            return true;
        }
        let give_up = self.flush_deadline.is_some_and(|deadline| deadline <= now);
        if give_up {
            let unread = self.links.give_up();
            warn!(
                answers = unread,
                "dropped answers that clients did not read"
            );
            self.report_events(now);
        }
        give_up
    }

    fn sweep(&mut self, now: Duration) {
        if now >= self.swept + SWEEP_INTERVAL {
            self.swept = now;
            self.links.forget_idle();
            self.report_events(now);
        }
    }
}
