//! The engine over libzmq, through the `zmq` crate: a ROUTER a frontend, a DEALER a pool.
//!
//! A turn: poll, drain each readable socket up to a budget, run the core on each message, retry what
//! clients could not take. Frames are forwarded as the `zmq::Message`s they came in, never copied.
//!
//! libzmq hides its peers, and what follows from it is documented for users: a pool is one crowd of
//! workers that libzmq serves in turn, so neither `per_worker` and `balance` nor the loss of one of
//! several workers can be told (the loss of all is: a monitor counts connections); clients are known
//! by their identities from their first message on and forgotten when idle; back-pressure on one
//! client is impossible, so what it doesn't read is given up beyond `limits.client_bytes`.

mod links;
mod monitor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, warn};
use zmq::{DONTWAIT, Message, POLLIN, POLLOUT, Socket};

use super::control::{Control, Order, Orders};
use super::{EngineError, Listening, Running};
use crate::core::{Core, Event, Ledger, PeerId};
use crate::frame::Frame;
use crate::pool::WorkerKind;
use crate::snapshot::{Endpoints, FrontendId, PoolId, PoolSettings, Snapshot, Workers};
use links::Links;
use monitor::Monitor;

/// Messages that one socket may give a turn before the others have theirs.
const BUDGET: usize = 256;

/// Requests that libzmq may queue for a worker, at least.
const SEND_WINDOW: u32 = 100;

/// How often clients are looked through for idle ones to forget. Only memory depends on it.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// How long what was accepted for sending may take to leave at the end.
const FLUSH: Duration = Duration::from_secs(1);

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

/// Binds and connects everything, then serves on a thread of its own.
pub(super) fn start(snapshot: Arc<Snapshot>) -> Result<Running, EngineError> {
    let context = zmq::Context::new();
    let mut listening = Vec::new();
    let mut frontends = Vec::new();
    for frontend in &snapshot.frontends {
        let what = format!("frontend {}", frontend.name);
        let named = |error: zmq::Error| EngineError::new(&what, error);
        let socket = context.socket(zmq::ROUTER).map_err(named)?;
        prepare(&socket, &snapshot, &frontend.endpoints).map_err(named)?;
        // Without it, what a client has no room for is dropped without a word.
        socket.set_router_mandatory(true).map_err(named)?;
        open(
            &socket,
            "frontend",
            &frontend.name,
            &frontend.endpoints,
            &mut listening,
        )?;
        frontends.push(socket);
    }
    let mut pools = Vec::new();
    for (index, pool) in snapshot.pools.iter().enumerate() {
        let what = format!("pool {}", pool.name);
        let named = |error: zmq::Error| EngineError::new(&what, error);
        let socket = context.socket(zmq::DEALER).map_err(named)?;
        prepare(&socket, &snapshot, &pool.endpoints).map_err(named)?;
        heartbeat(&socket, pool).map_err(named)?;
        // What a worker that stopped reading may swallow. A small window costs throughput: each time
        // that it is full, the pool is polled until it isn't.
        let window = pool.per_worker.clamp(SEND_WINDOW, 1_000);
        socket.set_sndhwm(window as i32).map_err(named)?;
        // Requests go to workers that are there, not into the queue of one that may come some day.
        socket.set_immediate(true).map_err(named)?;
        let monitor = Monitor::new(&context, &socket, index).map_err(named)?;
        open(&socket, "pool", &pool.name, &pool.endpoints, &mut listening)?;
        let kind = match pool.workers {
            Workers::Rep => WorkerKind::Rep,
            Workers::Dealer | Workers::Auto => WorkerKind::Dealer,
        };
        pools.push(PoolSocket {
            socket,
            monitor,
            kind,
            crowd: None,
            leaving: false,
            blocked: false,
        });
    }
    let (control, orders) = Control::new().map_err(|error| EngineError::new("control", error))?;
    let engine = Libzmq {
        core: Core::new(Arc::clone(&snapshot)),
        links: Links::new(frontends, pools, snapshot.limits.client_bytes),
        orders,
        start: Instant::now(),
        frames_kept: snapshot.limits.frames + 1,
        grace: snapshot.grace,
        swept: Duration::ZERO,
        flush_until: None,
    };
    let thread = std::thread::Builder::new()
        .name("data".into())
        .stack_size(DATA_STACK)
        .spawn(move || engine.run())
        .map_err(|error| EngineError::new("data thread", error))?;
    Ok(Running {
        listening,
        control,
        thread,
    })
}

/// The walks recurse once a level, to `limits.depth` at most, which is at most 1000.
const DATA_STACK: usize = 8 << 20;

/// Options that every socket to peers has; libzmq copies them when it binds.
fn prepare(socket: &Socket, snapshot: &Snapshot, endpoints: &Endpoints) -> zmq::Result<()> {
    // A frame over the limit ends its connection inside libzmq, unanswered. So that a message that is
    // only somewhat over can be answered, libzmq's own limit is twice ours.
    let most = i64::try_from(snapshot.limits.message.saturating_mul(2)).unwrap_or(i64::MAX);
    socket.set_maxmsgsize(most)?;
    socket.set_linger(FLUSH.as_millis() as i32)?;
    // With a domain set, libzmq hangs up on whoever doesn't speak ZMTP 3; without, it takes an HTTP
    // request for a peer of ZMTP 1 and hands it work. Nobody handles the domain, so it asks nothing
    // of real peers.
    socket.set_zap_domain("gateway")?;
    let all = endpoints.bind.iter().chain(&endpoints.connect);
    let v6 = all.into_iter().any(|endpoint| endpoint.contains('['));
    socket.set_ipv6(v6)
}

fn heartbeat(socket: &Socket, pool: &PoolSettings) -> zmq::Result<()> {
    if let Some(interval) = pool.heartbeat {
        let ms = i32::try_from(interval.as_millis()).unwrap_or(i32::MAX / 4);
        socket.set_heartbeat_ivl(ms)?;
        // Silent for three of them is lost: one until the ping, two for its answer.
        socket.set_heartbeat_timeout(ms.saturating_mul(2))?;
    }
    Ok(())
}

fn open(
    socket: &Socket,
    role: &'static str,
    name: &str,
    endpoints: &Endpoints,
    listening: &mut Vec<Listening>,
) -> Result<(), EngineError> {
    for endpoint in &endpoints.bind {
        let failed = |error: zmq::Error| {
            EngineError::new(format!("{role} {name}: can't listen on {endpoint}"), error)
        };
        // libzmq has no port 0; it calls that *.
        let port_0 = endpoint
            .strip_suffix(":0")
            .filter(|it| it.starts_with("tcp://"));
        let wildcard = port_0.map(|host| format!("{host}:*"));
        socket
            .bind(wildcard.as_deref().unwrap_or(endpoint))
            .map_err(failed)?;
        let resolved = socket.get_last_endpoint().map_err(failed)?;
        listening.push(Listening {
            role,
            name: name.to_owned(),
            endpoint: resolved.unwrap_or_else(|_| endpoint.clone()),
        });
    }
    for endpoint in &endpoints.connect {
        socket.connect(endpoint).map_err(|error| {
            EngineError::new(format!("{role} {name}: can't connect to {endpoint}"), error)
        })?;
    }
    Ok(())
}

/// A pool's DEALER and what is known of the workers behind it.
struct PoolSocket {
    socket: Socket,
    monitor: Monitor,
    kind: WorkerKind,
    /// All its workers, as the core knows them: one peer, while any is connected.
    crowd: Option<PeerId>,
    /// The last one went; what it sent before that is still being read.
    leaving: bool,
    /// No connected worker can take more.
    blocked: bool,
}

struct Libzmq {
    core: Core<Message>,
    links: Links,
    orders: Orders,
    start: Instant,
    /// Frames of a message that are kept: enough to see that there are too many.
    frames_kept: usize,
    grace: Duration,
    /// When idle clients were last looked for.
    swept: Duration,
    /// Set when it drains: when what is still unsent is given up.
    flush_until: Option<Duration>,
}

impl Libzmq {
    fn run(mut self) -> Result<Ledger, EngineError> {
        loop {
            let ready = self.poll()?;
            let now = self.start.elapsed();
            for index in 0..self.links.frontends.len() {
                if ready.frontends[index] {
                    self.drain_frontend(FrontendId(index), now)?;
                }
            }
            for index in 0..self.links.pools.len() {
                self.serve_pool(PoolId(index), &ready, now)?;
            }
            if ready.control && self.obey(now) {
                self.links.discard_unsent();
                break;
            }
            self.core.on(now, Event::Tick, &mut self.links);
            self.tell(now);
            self.links.retry(now);
            self.tell(now);
            self.sweep(now);
            if self.is_over(&ready, now) {
                break;
            }
        }
        Ok(self.core.ledger().clone())
    }

    /// Waits until something can be done; gives what.
    fn poll(&mut self) -> Result<Ready, EngineError> {
        let now = self.start.elapsed();
        let due = [
            self.core.next_deadline(),
            self.links.next_retry(),
            self.flush_until,
            Some(self.swept + SWEEP_EVERY),
        ];
        let at_once = self.core.is_drained() || self.links.pools.iter().any(|pool| pool.leaving);
        let due = due
            .into_iter()
            .flatten()
            .min()
            .filter(|_| !at_once)
            .unwrap_or(now);
        // Rounded up, or the last part of a millisecond would be spent spinning.
        let wait = due.saturating_sub(now).as_micros().div_ceil(1_000);
        let mut items = vec![zmq::PollItem::from_fd(self.orders.descriptor(), POLLIN)];
        items.extend(
            self.links
                .frontends
                .iter()
                .map(|socket| socket.as_poll_item(POLLIN)),
        );
        for pool in &self.links.pools {
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
        let (frontends, pools) = items[1..].split_at(self.links.frontends.len());
        Ok(Ready {
            control: items[0].is_readable(),
            frontends: frontends.iter().map(zmq::PollItem::is_readable).collect(),
            pools: pools
                .chunks(2)
                .map(|pair| PoolReady {
                    readable: pair[0].is_readable(),
                    writable: pair[0].is_writable(),
                    monitor: pair[1].is_readable(),
                })
                .collect(),
        })
    }

    fn drain_frontend(&mut self, frontend: FrontendId, now: Duration) -> Result<(), EngineError> {
        for _ in 0..BUDGET {
            let socket = &self.links.frontends[frontend.0];
            let Some(mut frames) = receive(socket, self.frames_kept + 1)? else {
                break;
            };
            // libzmq puts the client's identity in front.
            let identity = frames.remove(0);
            let (peer, events) = self.links.client(frontend, identity, &mut frames);
            for event in events.into_iter().flatten() {
                self.core.on(now, event, &mut self.links);
            }
            self.core
                .on(now, Event::Message { peer, frames }, &mut self.links);
            self.tell(now);
        }
        Ok(())
    }

    fn serve_pool(
        &mut self,
        pool: PoolId,
        ready: &Ready,
        now: Duration,
    ) -> Result<(), EngineError> {
        let ready = &ready.pools[pool.0];
        let socket = &mut self.links.pools[pool.0];
        if ready.monitor {
            socket.leaving |= socket.monitor.update() && socket.crowd.is_some();
        }
        if socket.crowd.is_none() && socket.monitor.connected() {
            self.workers_come(pool, now);
        }
        if ready.readable {
            self.drain_pool(pool, now)?;
        }
        // What the last worker sent before it went still counts.
        if self.links.pools[pool.0].leaving && !ready.readable {
            self.workers_gone(pool, now);
            if self.links.pools[pool.0].monitor.connected() {
                self.workers_come(pool, now);
            }
        }
        let socket = &mut self.links.pools[pool.0];
        if let Some(peer) = socket.crowd.filter(|_| ready.writable && socket.blocked) {
            socket.blocked = false;
            self.core.on(now, Event::Writable { peer }, &mut self.links);
        }
        self.tell(now);
        Ok(())
    }

    fn drain_pool(&mut self, pool: PoolId, now: Duration) -> Result<(), EngineError> {
        for _ in 0..BUDGET {
            let socket = &self.links.pools[pool.0];
            // A worker's envelope, of two frames at most, doesn't count.
            let Some(frames) = receive(&socket.socket, self.frames_kept + 2)? else {
                break;
            };
            match socket.crowd {
                Some(peer) => {
                    self.core
                        .on(now, Event::Message { peer, frames }, &mut self.links);
                    self.tell(now);
                }
                None => debug!("an answer from a worker that is gone"),
            }
        }
        Ok(())
    }

    /// The first worker of a pool came.
    fn workers_come(&mut self, pool: PoolId, now: Duration) {
        let peer = self.links.number();
        let socket = &mut self.links.pools[pool.0];
        socket.crowd = Some(peer);
        let kind = socket.kind;
        let crowd = true;
        let came = Event::WorkerCame {
            peer,
            pool,
            kind,
            crowd,
        };
        self.core.on(now, came, &mut self.links);
    }

    /// The last worker of a pool went.
    fn workers_gone(&mut self, pool: PoolId, now: Duration) {
        let socket = &mut self.links.pools[pool.0];
        socket.leaving = false;
        socket.blocked = false;
        if let Some(peer) = socket.crowd.take() {
            self.core.on(now, Event::Gone { peer }, &mut self.links);
        }
    }

    /// Tells the core what came to light while its effects were carried out.
    fn tell(&mut self, now: Duration) {
        while let Some(event) = self.links.news() {
            self.core.on(now, event, &mut self.links);
        }
    }

    /// Carries out the order in force; true to end at once.
    fn obey(&mut self, now: Duration) -> bool {
        match self.orders.get() {
            Order::Serve => false,
            Order::Stop => true,
            Order::Drain => {
                if self.flush_until.is_none() {
                    let deadline = now + self.grace;
                    self.flush_until = Some(deadline + FLUSH);
                    self.core
                        .on(now, Event::Drain { deadline }, &mut self.links);
                }
                false
            }
        }
    }

    fn is_over(&mut self, ready: &Ready, now: Duration) -> bool {
        // What has arrived by now is still told that it came too late.
        if self.core.is_drained() && !ready.frontends.contains(&true) {
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

/// What a poll found.
struct Ready {
    control: bool,
    frontends: Vec<bool>,
    pools: Vec<PoolReady>,
}

struct PoolReady {
    readable: bool,
    writable: bool,
    monitor: bool,
}

/// The next whole message, of which at most `keep` frames are kept; none if there is none yet.
fn receive(socket: &Socket, keep: usize) -> Result<Option<Vec<Message>>, EngineError> {
    let mut frames = Vec::with_capacity(4);
    loop {
        let mut frame = Message::new();
        match socket.recv(&mut frame, DONTWAIT) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) if frames.is_empty() => return Ok(None),
            // The rest of a message is there once its first frame is.
            Err(zmq::Error::EINTR) => continue,
            Err(error) => return Err(EngineError::new("receive", error)),
        }
        let more = frame.get_more();
        if frames.len() < keep {
            frames.push(frame);
        }
        if !more {
            return Ok(Some(frames));
        }
    }
}
