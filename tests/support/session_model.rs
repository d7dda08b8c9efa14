//! A connection without its stream, with the steps that the engine performs: a peer's bytes arrive
//! in pieces of any size, time passes in between, and output is written as far as the peer reads
//! it. The connection is compared with a model that reads all bytes at once and is too simple to be
//! wrong. The property test and the fuzz target share this module. It needs the module `model`.

use std::hash::{DefaultHasher, Hasher};
use std::io::IoSlice;
use std::time::Duration;

use gateway::engine::native::liveness::{
    EndReason, HANDSHAKE_TIMEOUT, Liveness, LivenessAction, Stage, View,
};
use gateway::engine::native::outbox::Outbox;
use gateway::engine::native::socket_types::{self, Outlook};
use gateway::snapshot::Workers;
use gateway_zmtp::bytes::{Bytes, Input};
use gateway_zmtp::command::{self, COMMAND_MAX, Command};
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::greeting::{LENGTH, NULL_GREETING};
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{self, Session, SessionError};
use gateway_zmtp::{COMMAND, LONG, MORE, put_frame};

use super::model::{self, BOUNDS, expected};

/// The number of bytes that a session may hold in addition to twice the bytes that have arrived.
const HELD_EXTRA_MAX: u64 = 16 << 10;

/// The position of the minor version in a greeting. ZMTP 3.1 introduced PING.
const MINOR_VERSION: usize = 11;

/// Returns a valid greeting and READY.
pub fn opening() -> Vec<u8> {
    let mut bytes = NULL_GREETING.to_vec();
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
    put_frame(&mut bytes, COMMAND, ready);
    bytes
}

/// The settings of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// True if the connection belongs to a pool, false if it belongs to a frontend.
    pub pool: bool,
    /// True if the peer is sent a PING each second. This applies only to a pool.
    pub heartbeat: bool,
    /// The number of bytes of the output that the peer reads after each piece that it sends.
    pub reads: usize,
}

impl Settings {
    /// Returns the settings that `byte` encodes. Every byte is valid.
    pub fn of(byte: u8) -> Self {
        Self {
            pool: byte & 1 != 0,
            heartbeat: byte & 2 != 0,
            reads: [0, 5, 1 << 10, 1 << 30][usize::from(byte >> 2 & 3)],
        }
    }
}

/// Returns the size of a piece of the peer's bytes, and the time that passes before the piece
/// arrives. `byte` encodes both, and every byte is valid.
fn step(byte: u8) -> (usize, Duration) {
    let sizes = [1, 2, 7, 60, 300, 5_000, 70_000, usize::MAX];
    let millis = [0, 0, 1, 150, 1_100, 5_000, 31_000, 1_000_000];
    let (size, time) = (usize::from(byte & 7), usize::from(byte >> 3 & 7));
    (sizes[size], Duration::from_millis(millis[time]))
}

/// The maximum number of pieces, after which all remaining bytes arrive at once. A few bytes of
/// input can encode megabytes, which would take too long one byte at a time.
const PIECES_MAX: usize = 50_000;

/// Runs a connection whose peer sends `bytes`, and checks its behaviour. The bytes of `steps`
/// determine the pieces in turn, and are repeated if there are more pieces. `steps` must not be
/// empty.
pub fn drive(settings: Settings, steps: &[u8], mut bytes: &[u8]) {
    let expected = expected_events(bytes);
    let mut side = Side::new(settings);
    side.understands_ping = bytes.get(MINOR_VERSION).is_some_and(|minor| *minor > 0);
    for (n, &byte) in steps.iter().cycle().enumerate() {
        let (size, time) = step(byte);
        let size = if n < PIECES_MAX { size } else { usize::MAX };
        side.pass(time);
        if bytes.is_empty() || side.ended {
            break;
        }
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        side.receive(piece);
        side.write(settings.reads);
    }
    side.write(usize::MAX / 2);
    match side.ended {
        true => assert!(expected.starts_with(&side.events), "{:?}", side.events),
        false => assert_eq!(side.events, expected),
    }
    side.assert_output();
}

struct Side {
    settings: Settings,
    /// True if the greeting shows that the peer knows PING.
    understands_ping: bool,
    session: Session,
    liveness: Liveness,
    outbox: Outbox,
    buffers: BufferPool,
    stage: Stage,
    now: Duration,
    /// The number of bytes that have arrived.
    arrived: u64,
    ttl: Option<Duration>,
    /// The events of the session, as text.
    events: Vec<String>,
    /// The bodies of the commands that the peer must receive, without PINGs.
    expected_commands: Vec<Vec<u8>>,
    /// The bytes that the peer has read.
    sent: Vec<u8>,
    /// True if the connection is no longer read.
    ended: bool,
}

impl Side {
    fn new(settings: Settings) -> Self {
        let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
        outbox.put(&mut buffers, |into| into.extend_from_slice(&NULL_GREETING));
        Self {
            settings,
            understands_ping: false,
            session: Session::new(session::SessionSecurity::None, session::Side::Connects),
            liveness: Liveness::new(Duration::ZERO),
            outbox,
            buffers,
            stage: Stage::New,
            now: Duration::ZERO,
            arrived: 0,
            ttl: None,
            events: Vec::new(),
            expected_commands: Vec::new(),
            sent: Vec::new(),
            ended: false,
        }
    }

    /// Advances the clock, and performs the action that is then due.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        let pinged = self.settings.heartbeat && self.settings.pool;
        let pinged = pinged && self.session.understands_ping();
        let view = View {
            stage: self.stage,
            heartbeat: pinged.then_some(Duration::from_secs(1)),
            waits: !self.outbox.is_empty(),
        };
        match self.liveness.judge(view, self.now) {
            LivenessAction::Rest(next) => assert!(next.is_none_or(|at| at > self.now), "{next:?}"),
            LivenessAction::Ping(next) => {
                assert!(next > self.now, "{next:?}");
                assert!(self.stage == Stage::Known && self.outbox.is_empty());
                assert!(pinged && self.understands_ping);
                self.outbox.put(&mut self.buffers, command::put_ping);
            }
            LivenessAction::End(over) => {
                let (met, age) = (self.stage == Stage::Known, self.liveness.age(self.now));
                let may_be = match over {
                    EndReason::Handshake => !met && age >= HANDSHAKE_TIMEOUT,
                    EndReason::PutOff | EndReason::Goodbye => false,
                    EndReason::PartialMessage => met && self.session.is_inside(),
                    EndReason::Ttl => met && self.ttl.is_some(),
                    EndReason::Heartbeat => met && pinged,
                };
                assert!(may_be, "{over:?} after {age:?}");
                self.ended = true;
            }
        }
    }

    /// Receives the next bytes of the peer.
    fn receive(&mut self, mut piece: &[u8]) {
        let mut whole = false;
        while !piece.is_empty() && !self.ended {
            let before = piece.len();
            let mut input = match self.session.direct() {
                Some(room) => {
                    let n = room.len().min(piece.len());
                    assert!(n > 0, "a read must have room");
                    room[..n].copy_from_slice(&piece[..n]);
                    self.session.appended(n);
                    piece = &piece[n..];
                    Input::default()
                }
                None => Input::from(std::mem::take(&mut piece).to_vec()),
            };
            let mut left = before - piece.len();
            self.arrived += left as u64;
            self.liveness.heard(self.now);
            while !self.ended {
                match self.session.next(&mut input, BOUNDS, &mut self.buffers) {
                    Ok(None) => {
                        assert!(input.rest().is_empty(), "the session takes all input");
                        break;
                    }
                    Ok(Some(event)) => {
                        // Every complete item consumed at least one of these bytes.
                        let before = std::mem::replace(&mut left, input.rest().len());
                        assert!(left < before, "an event that consumed no bytes");
                        whole |= !self.session.is_inside_message();
                        self.handle(event);
                    }
                    Err(fault) => {
                        if fault.should_receive_error() {
                            self.send_error(&fault.to_string());
                        }
                        self.events.push(fault_text(&fault));
                        self.ended = true;
                    }
                }
            }
            let held = self.session.held();
            // Reused memory may be twice as large as the frame.
            let most = 2 * BOUNDS.bytes + COMMAND_MAX;
            assert!(held <= most, "the session holds {held} bytes");
            let arrived = self.arrived;
            assert!(held <= 2 * arrived + HELD_EXTRA_MAX, "{held} of {arrived}");
        }
        let inside = self.stage == Stage::Known && self.session.is_inside();
        let arrived = inside.then(|| self.session.arrived());
        self.liveness.inside(arrived, whole, self.now);
    }

    /// Handles an event of the session as the engine does.
    fn handle(&mut self, event: session::SessionEvent) {
        self.events.push(event_text(&event));
        match event {
            session::SessionEvent::Ready(ready) => {
                assert!(self.stage == Stage::New && ready.identity.len() <= 255);
                let announced = match self.settings.pool {
                    true => socket_types::worker(&ready.socket_type, Workers::Auto)
                        .map(|worker| worker.announced),
                    false => {
                        socket_types::client(&ready.socket_type).map(|client| client.announced)
                    }
                };
                match announced {
                    Ok(announced) => {
                        self.stage = Stage::Known;
                        let size = (announced.len() as u32).to_be_bytes();
                        let head = b"\x05READY\x0bSocket-Type";
                        let body = [&head[..], &size, announced.as_bytes()].concat();
                        self.send(body, |into| command::put_ready(into, announced));
                    }
                    Err(misfit) => {
                        if misfit.outlook == Outlook::Never {
                            self.send_error(&misfit.why);
                        }
                        self.ended = true;
                    }
                }
            }
            session::SessionEvent::Ping { ttl, context } => {
                assert_eq!(self.stage, Stage::Known);
                self.ttl = (ttl > 0).then(|| Duration::from_millis(100) * u32::from(ttl));
                self.liveness.set_ttl(self.ttl);
                let body = [b"\x04PONG", &context[..]].concat();
                self.send(body, |into| command::put_pong(into, &context));
            }
            session::SessionEvent::Message(frames) => {
                assert_eq!(self.stage, Stage::Known);
                assert!((1..=BOUNDS.frames).contains(&frames.len()));
                assert!(frames.size() <= BOUNDS.bytes);
                self.buffers.recycle(frames);
            }
            session::SessionEvent::Oversize(frames) => {
                assert_eq!(self.stage, Stage::Known);
                assert!(frames.len() <= BOUNDS.frames);
                assert!(frames.size() <= BOUNDS.bytes);
                self.buffers.recycle(frames);
            }
            session::SessionEvent::Error(_) => self.ended = true,
            session::SessionEvent::Answer(_)
            | session::SessionEvent::Work(_)
            | session::SessionEvent::Open(_)
            | session::SessionEvent::Credentials(_) => {
                panic!("the mechanism NULL has no such event")
            }
            session::SessionEvent::Subscribe(_)
            | session::SessionEvent::Cancel(_)
            | session::SessionEvent::Other => {}
        }
    }

    fn send_error(&mut self, why: &str) {
        let reason = &why.as_bytes()[..why.len().min(255)];
        let body = [b"\x05ERROR", &[reason.len() as u8][..], reason].concat();
        self.send(body, |into| command::put_error(into, why));
    }

    /// Sends a command with `put`, and records that its body is expected in the output.
    fn send(&mut self, body: Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        self.expected_commands.push(body);
        self.outbox.put(&mut self.buffers, put);
    }

    /// Writes output of at most `most` bytes, which the peer reads.
    fn write(&mut self, mut most: usize) {
        let before = self.outbox.unwritten();
        let sent = &mut self.sent;
        let all = self
            .outbox
            .write(&mut self.buffers, |slices: &[IoSlice<'_>]| {
                let before = sent.len();
                for slice in slices {
                    let n = slice.len().min(most);
                    most -= n;
                    sent.extend_from_slice(&slice[..n]);
                }
                Ok(sent.len() - before)
            });
        assert_eq!(all.unwrap(), self.outbox.is_empty());
        self.liveness.wrote(before - self.outbox.unwritten());
    }

    /// Asserts that the output is a greeting and complete commands: the commands in
    /// `expected_commands`, in order, and PINGs.
    fn assert_output(&self) {
        let (greeting, frames) = self.sent.split_at(LENGTH);
        assert_eq!(greeting, NULL_GREETING);
        let endless = Bounds {
            bytes: u64::MAX,
            frames: usize::MAX,
        };
        let mut again = Vec::new();
        let mut commands = Vec::new();
        for said in expected(frames, endless) {
            let model::Decoded::Command(body) = said else {
                panic!("{said:?}");
            };
            put_frame(&mut again, COMMAND, &body);
            assert!(command::parse(&Bytes::from(body.clone())).is_ok());
            commands.push(body);
        }
        assert_eq!(again, frames, "nothing but complete commands");
        commands.retain(|body| !body.starts_with(b"\x04PING"));
        assert_eq!(commands, self.expected_commands);
    }
}

/// Describes an event as text.
fn event_text(event: &session::SessionEvent) -> String {
    let all = |message: &Message| bodies_text(message.frames());
    match event {
        session::SessionEvent::Message(frames) => format!("message {}", all(frames)),
        session::SessionEvent::Oversize(frames) => format!("oversize {}", all(frames)),
        other => format!("{other:?}"),
    }
}

/// Describes bodies as text: a short body by its bytes, a long body by its size and a hash.
fn bodies_text<'a>(bodies: impl Iterator<Item = &'a [u8]>) -> String {
    let text = |body: &[u8]| match body.len() {
        0..=100 => format!("{body:?}"),
        size => {
            let mut hasher = DefaultHasher::new();
            hasher.write(body);
            format!("{size} bytes {:x}", hasher.finish())
        }
    };
    bodies.map(text).collect::<Vec<_>>().join(" ")
}

/// Describes a fault as text. All unsupported protocols have the same text, because the details
/// depend on how many bytes arrive at once.
fn fault_text(fault: &SessionError) -> String {
    match fault {
        SessionError::Unsupported(_) => UNSUPPORTED.into(),
        other => format!("{other:?}"),
    }
}

/// The text of every unsupported protocol.
const UNSUPPORTED: &str = "unsupported protocol";

/// Checks that a greeting names the mechanism NULL. The error is the text of the fault.
fn expected_mechanism(greeting: &[u8]) -> Result<(), String> {
    // In the mechanism's field, the bytes after the first zero mean nothing.
    let theirs = match greeting[12..32].split(|byte| *byte == 0).next() {
        Some(b"NULL") => return Ok(()),
        Some(b"PLAIN") => Mechanism::Plain,
        Some(b"CURVE") => Mechanism::Curve,
        _ => return Err(UNSUPPORTED.into()),
    };
    let ours = Mechanism::Null;
    Err(fault_text(&SessionError::Mismatch { theirs, ours }))
}

/// Returns the events of a session whose peer sends `bytes`, as text. Reads all bytes at once.
fn expected_events(bytes: &[u8]) -> Vec<String> {
    let begins = |at: usize, rule: fn(u8) -> bool| bytes.get(at).is_none_or(|byte| rule(*byte));
    let sound = begins(0, |byte| byte == 0xff)
        && begins(9, |byte| byte & 1 == 1)
        && begins(10, |byte| byte >= 3);
    let Some((greeting, mut rest)) = bytes.split_at_checked(LENGTH).filter(|_| sound) else {
        return match sound {
            true => Vec::new(),
            false => vec![UNSUPPORTED.into()],
        };
    };
    if let Err(fault) = expected_mechanism(greeting) {
        return vec![fault];
    }
    let mut events = Vec::new();
    // The bytes up to READY are read frame by frame.
    let mut inside = false;
    loop {
        let end = match frame_length(rest) {
            Some(end) if end <= rest.len() as u64 => end as usize,
            // The frame is incomplete or invalid. Such a frame is reported in the same way before
            // and after READY.
            _ => {
                events.extend(expected(rest, BOUNDS).into_iter().flat_map(traffic));
                return events;
            }
        };
        let (frame, others) = rest.split_at(end);
        rest = others;
        if frame[0] & COMMAND == 0 {
            inside = true;
            if frame[0] & MORE == 0 {
                events.push(fault_text(&SessionError::BeforeReady));
                return events;
            }
            continue;
        }
        let header = if frame[0] & LONG == 0 { 2 } else { 9 };
        match command::parse(&Bytes::from(frame[header..].to_vec())) {
            Ok(Command::Ready(_)) if inside => {
                events.push(fault_text(&SessionError::BeforeReady));
                return events;
            }
            Ok(Command::Ready(ready)) => {
                events.push(event_text(&session::SessionEvent::Ready(Box::new(ready))));
                break;
            }
            Ok(Command::Error(reason)) => {
                events.push(event_text(&session::SessionEvent::Error(reason)));
            }
            Ok(_) => events.push(event_text(&session::SessionEvent::Other)),
            Err(fault) => {
                events.push(fault_text(&SessionError::Command(fault)));
                return events;
            }
        }
    }
    for item in expected(rest, BOUNDS) {
        events.extend(traffic(item));
        if events
            .last()
            .is_some_and(|event| event.starts_with("Again") || event.starts_with("Command"))
        {
            break;
        }
    }
    events
}

/// Returns the size of the first frame, including its header. Returns `None` if the header is
/// incomplete or invalid.
fn frame_length(bytes: &[u8]) -> Option<u64> {
    let flags = *bytes.first()?;
    let header = if flags & LONG == 0 { 2 } else { 9 };
    let size = bytes.get(1..header)?;
    let size = size
        .iter()
        .fold(0, |size, byte| size << 8 | u64::from(*byte));
    let fault = matches!(
        expected(&bytes[..header], BOUNDS)[..],
        [model::Decoded::Fault(_)]
    );
    (!fault).then(|| size.saturating_add(header as u64))
}

/// Returns the event of a complete item after READY.
fn traffic(item: model::Decoded) -> Option<String> {
    let fault = |fault| fault_text(&fault);
    let all = |frames: &[Vec<u8>]| bodies_text(frames.iter().map(Vec::as_slice));
    Some(match item {
        model::Decoded::Message(frames) => format!("message {}", all(&frames)),
        model::Decoded::Oversize(frames) => format!("oversize {}", all(&frames)),
        model::Decoded::Fault(why) => fault(SessionError::Frame(why)),
        model::Decoded::Command(body) => match command::parse(&Bytes::from(body)) {
            Ok(Command::Ready(_)) => fault(SessionError::SecondReady),
            Ok(Command::Error(reason)) => event_text(&session::SessionEvent::Error(reason)),
            Ok(Command::Ping { ttl, context }) => {
                event_text(&session::SessionEvent::Ping { ttl, context })
            }
            Ok(Command::Subscribe(prefix)) => event_text(&session::SessionEvent::Subscribe(prefix)),
            Ok(Command::Cancel(prefix)) => event_text(&session::SessionEvent::Cancel(prefix)),
            Ok(Command::Pong | Command::Other) => event_text(&session::SessionEvent::Other),
            Err(why) => fault(SessionError::Command(why)),
        },
    })
}
