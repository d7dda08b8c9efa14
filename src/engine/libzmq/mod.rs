//! The engine over libzmq, through the `zmq` crate: a ROUTER a frontend, a DEALER a pool.
//!
//! A turn: poll, drain each readable socket up to a budget, run the core on each message, retry
//! what clients could not take. Frames are forwarded as the `zmq::Message`s they came in, never
//! copied.
//!
//! The sockets are made in `sockets`; `links` is the sending half, which the core calls; `pools` is
//! what happens behind a DEALER, as far as `monitor` tells; `reload` takes over another
//! configuration.
//!
//! libzmq hides its peers, and what follows from it is documented for users: a pool is one crowd of
//! workers that libzmq serves in turn, so neither `per_worker` and `balance` nor the loss of one of
//! several workers can be told (the loss of all is: a monitor counts connections); clients are
//! known by their identities from their first message on and forgotten when idle; back-pressure on
//! one client is impossible, so what it doesn't read is given up beyond `limits.client_bytes`.

mod adopt;
mod data;
mod fixed;
mod links;
mod monitor;
mod pools;
mod reload;
mod sockets;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tracing::warn;
use zmq::{Message, POLLIN, POLLOUT};

use crate::core::{Core, Event};
use crate::engine::control::{Control, Order};
use crate::engine::error::EngineError;
use crate::engine::notes::{log_last_notes, log_notes};
use crate::engine::observer::Observer;
use crate::engine::started::Started;
use crate::frame::Frame;
use crate::ledger::Ledger;
use crate::snapshot::{FrontendId, Snapshot};
use data::{BUDGET, Libzmq, PoolReady, Ready, receive};
use links::Links;
pub(super) use reload::Reloader;
use sockets::{FLUSH, SharedBook};

/// How often clients are looked through for idle ones to forget. Only memory depends on it.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Bytes of a libzmq message up to which it lies in the message itself, and from which it has a
/// buffer of its own; between, it shares the buffer that it was received in.
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

/// The walks recurse once a level, to `limits.depth` at most, which is at most 1000.
const DATA_STACK: usize = 8 << 20;

/// Binds and connects everything, then serves on a thread of its own.
pub(super) fn start(snapshot: Arc<Snapshot>) -> Result<Started<Reloader>, EngineError> {
    let book = SharedBook::new();
    let mut prepared = None;
    book.prepare(&snapshot, |made| {
        prepared = Some(made);
        Ok(())
    })?;
    let (control, orders) = Control::new().map_err(|error| EngineError::new("control", error))?;
    let (observer, inquiries) = Observer::new(control.clone());
    let (commits, inbox) = mpsc::channel();
    let listening = prepared.as_ref();
    let listening = listening.map_or_else(Vec::new, |prepared| prepared.listening.clone());
    let shared = book.clone();
    // What the core shares is counted without atomics, so it is made where it is used.
    let serve = move || {
        let mut engine = Libzmq {
            core: Core::new(Arc::clone(&snapshot)).answering(inquiries),
            links: Links::default(),
            book: shared,
            orders,
            commits: inbox,
            start: Instant::now(),
            snapshot: Arc::clone(&snapshot),
            swept: Duration::ZERO,
            flush_until: None,
            woke: Duration::ZERO,
        };
        if let Some(prepared) = prepared {
            engine.adopt(snapshot, prepared);
        }
        engine.run()
    };
    let thread = std::thread::Builder::new()
        .name("data".into())
        .stack_size(DATA_STACK)
        .spawn(serve)
        .map_err(|error| EngineError::new("data thread", error))?;
    let reloader = Reloader {
        book,
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
        // The sockets close, and what they have accepted leaves while libzmq is let go of.
        let book = self.book.clone();
        drop(self);
        book.close();
        ended.map(|()| ledger)
    }

    fn serve(&mut self) -> Result<(), EngineError> {
        loop {
            let ready = self.poll()?;
            let now = self.start.elapsed();
            self.woke = now;
            for frontend in &ready.frontends {
                self.drain_frontend(*frontend, now)?;
            }
            for (pool, ready) in &ready.pools {
                self.serve_pool(*pool, ready, now)?;
            }
            if ready.control && self.obey(now) {
                self.links.discard_unsent();
                return Ok(());
            }
            self.core.on(now, Event::Tick, &mut self.links);
            self.tell(now);
            self.links.retry(now);
            self.tell(now);
            self.sweep(now);
            log_notes(&mut self.core);
            self.close_removed(&ready, now);
            if self.is_over(&ready, now) {
                return Ok(());
            }
        }
    }

    /// Waits until something can be done; gives what.
    fn poll(&mut self) -> Result<Ready, EngineError> {
        let now = self.start.elapsed();
        self.links.counters.turns += 1;
        self.links.counters.busy += now.saturating_sub(self.woke);
        let due = [
            self.core.next_deadline(),
            self.links.next_retry(),
            self.flush_until,
            Some(self.swept + SWEEP_EVERY),
        ];
        let at_once = self.core.is_drained() || self.links.pools.values().any(|pool| pool.leaving);
        let due = due.into_iter().flatten().min().filter(|_| !at_once);
        let due = due.unwrap_or(now);
        // Rounded up, or the last part of a millisecond would be spent spinning.
        let wait = due.saturating_sub(now).as_micros().div_ceil(1_000);
        let Links {
            frontends, pools, ..
        } = &self.links;
        let mut items = Vec::with_capacity(1 + frontends.len() + 2 * pools.len());
        items.push(zmq::PollItem::from_fd(self.orders.descriptor(), POLLIN));
        items.extend(
            frontends
                .values()
                .map(|frontend| frontend.socket.as_poll_item(POLLIN)),
        );
        for pool in pools.values() {
            let writable = if pool.blocked {
                POLLOUT
            } else {
                zmq::PollEvents::empty()
            };
            items.push(pool.socket.as_poll_item(POLLIN | writable));
            items.push(pool.monitor.socket().as_poll_item(POLLIN));
        }
        match zmq::poll(&mut items, i64::try_from(wait).unwrap_or(i64::MAX)) {
            Ok(_) | Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(EngineError::new("poll", error)),
        }
        let (of_frontends, of_pools) = items[1..].split_at(frontends.len());
        let readable = frontends
            .keys()
            .zip(of_frontends)
            .filter(|(_, item)| item.is_readable());
        Ok(Ready {
            control: items[0].is_readable(),
            frontends: readable.map(|(id, _)| *id).collect(),
            pools: pools
                .keys()
                .zip(of_pools.chunks(2))
                .map(|(id, pair)| {
                    let ready = PoolReady {
                        readable: pair[0].is_readable(),
                        writable: pair[0].is_writable(),
                        monitor: pair[1].is_readable(),
                    };
                    (*id, ready)
                })
                .collect(),
        })
    }

    fn drain_frontend(&mut self, id: FrontendId, now: Duration) -> Result<(), EngineError> {
        // One more than is allowed tells that there are too many; the identity doesn't count.
        let keep = self.snapshot.limits.frames + 2;
        for _ in 0..BUDGET {
            let Some(frontend) = self.links.frontends.get(&id) else {
                break;
            };
            let Some(mut frames) = receive(&frontend.socket, keep)? else {
                break;
            };
            self.links.counters.messages_in += 1;
            // libzmq puts the client's identity in front.
            let identity = frames.remove(0);
            let (peer, events) = self.links.client(id, identity, &mut frames);
            for event in events.into_iter().flatten() {
                self.core.on(now, event, &mut self.links);
            }
            self.core
                .on(now, Event::Message { peer, frames }, &mut self.links);
            self.tell(now);
        }
        Ok(())
    }

    /// Carries out the order in force; true to end at once.
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
                    self.flush_until = Some(deadline + FLUSH);
                    self.core
                        .on(now, Event::Drain { deadline }, &mut self.links);
                }
                self.decline();
                false
            }
        }
    }

    fn is_over(&mut self, ready: &Ready, now: Duration) -> bool {
        // What has arrived by now is still told that it came too late.
        if self.core.is_drained() && ready.frontends.is_empty() {
            return true;
        }
        let give_up = self.flush_until.is_some_and(|until| until <= now);
        if give_up {
            let unread = self.links.give_up();
            warn!(
                answers = unread,
                "given up: their clients did not read them"
            );
            self.tell(now);
        }
        give_up
    }

    fn sweep(&mut self, now: Duration) {
        if now >= self.swept + SWEEP_EVERY {
            self.swept = now;
            self.links.forget_idle();
            self.tell(now);
        }
    }
}
