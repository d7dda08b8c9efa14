//! Two sessions that talk to each other, and an attacker on the wire between them.
#![allow(dead_code)] // No program uses the whole module.

use gateway_zmtp::bytes::Input;
use gateway_zmtp::curve::{FrameKind, KeyPair, PublicKey, Sealer};
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::greeting;
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{
    NullPeers, PlainPeers, Session, SessionError, SessionEvent, SessionSecurity, Side,
};
use gateway_zmtp::{LONG, MORE, command, put_frame};

/// The bounds of messages, for both sides.
pub const BOUNDS: Bounds = Bounds {
    bytes: 1 << 20,
    frames: 8,
};

/// The only user that a side with PLAIN admits.
pub const USER: &str = "alice";
pub const PASSWORD: &str = "secret";

/// One side of a connection.
pub struct End {
    pub session: Session,
    pub buffers: BufferPool,
    pub sealer: Option<Box<Sealer>>,
    /// The bytes for the peer.
    pub out: Vec<u8>,
    /// The events of the peer, as text.
    pub heard: Vec<String>,
    pub messages: Vec<Vec<Vec<u8>>>,
    pub key: Option<PublicKey>,
    pub fault: Option<SessionError>,
    socket_type: &'static str,
}

impl End {
    pub fn new(security: SessionSecurity, side: Side, socket_type: &'static str) -> Self {
        let session = Session::new(security, side);
        let mut out = Vec::new();
        session.open(&mut out);
        Self {
            session,
            buffers: BufferPool::default(),
            sealer: None,
            out,
            heard: Vec::new(),
            messages: Vec::new(),
            key: None,
            fault: None,
            socket_type,
        }
    }

    /// Receives bytes of the peer, in reads of at most 64 KiB or straight into the memory of a
    /// frame.
    pub fn hear(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        while !bytes.is_empty() && self.fault.is_none() {
            let mut input = match self.session.direct() {
                Some(room) => {
                    let n = room.len().min(bytes.len());
                    room[..n].copy_from_slice(&bytes[..n]);
                    self.session.appended(n);
                    bytes = &bytes[n..];
                    Input::default()
                }
                None => {
                    let n = bytes.len().min(64 << 10);
                    let (first, rest) = bytes.split_at(n);
                    bytes = rest;
                    Input::from(first.to_vec())
                }
            };
            while self.fault.is_none() {
                match self.session.next(&mut input, BOUNDS, &mut self.buffers) {
                    Ok(None) => {
                        assert!(input.rest().is_empty(), "the session takes all input");
                        break;
                    }
                    Ok(Some(event)) => self.handle(event),
                    Err(fault) => self.fault = Some(fault),
                }
            }
        }
    }

    /// Handles an event as the gateway does.
    fn handle(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Ready(ready) => {
                self.heard.push(format!("ready {}", ready.socket_type));
                self.key = self.session.key();
                let admitted = self.session.admit(self.socket_type, &mut self.out);
                admitted.expect("an admission after READY");
                self.sealer = self.session.take_sealer();
            }
            SessionEvent::Message(message) => {
                let frames = message.frames().map(<[u8]>::to_vec).collect();
                self.buffers.recycle(message);
                self.messages.push(frames);
            }
            SessionEvent::Oversize(_) => self.heard.push("oversize".into()),
            SessionEvent::Ping { ttl, .. } => self.heard.push(format!("ping {ttl}")),
            SessionEvent::Error(reason) => self.heard.push(format!("error {reason}")),
            SessionEvent::Answer(bytes) => self.out.extend_from_slice(&bytes),
            SessionEvent::Work(work) => match self.session.resume(work.run()) {
                Ok(event) => self.handle(event),
                Err(fault) => self.fault = Some(fault),
            },
            SessionEvent::Open(work) => self.fault = self.session.opened(work.run()).err(),
            SessionEvent::Credentials(credentials) => {
                let (user, password) = (credentials.user(), credentials.password());
                if (user, password) == (USER.as_bytes(), PASSWORD.as_bytes()) {
                    let event = self.session.accept(credentials);
                    self.handle(event);
                } else {
                    self.heard.push("wrong credentials".into());
                }
            }
            SessionEvent::Subscribe(_) | SessionEvent::Cancel(_) | SessionEvent::Other => {}
        }
    }

    /// Returns whether the peer has completed its handshake.
    pub fn is_met(&self) -> bool {
        self.heard.iter().any(|event| event.starts_with("ready"))
    }

    /// Sends a message.
    pub fn say(&mut self, frames: &[Vec<u8>]) {
        let last = frames.len() - 1;
        for (n, frame) in frames.iter().enumerate() {
            let (kind, flags) = if n < last {
                (FrameKind::More, MORE)
            } else {
                (FrameKind::Last, 0)
            };
            match &mut self.sealer {
                Some(sealer) => sealer
                    .seal(kind, frame, &mut self.out)
                    .expect("nonces are left"),
                None => put_frame(&mut self.out, flags, frame),
            }
        }
    }

    /// Sends a PING.
    pub fn ping(&mut self) {
        let mut frame = Vec::new();
        command::put_ping(&mut frame);
        match &mut self.sealer {
            Some(sealer) => sealer
                .seal(FrameKind::Command, &frame[2..], &mut self.out)
                .expect("nonces are left"),
            None => self.out.extend_from_slice(&frame),
        }
    }
}

/// Carries bytes back and forth, in pieces of `piece` bytes, until both sides are idle.
pub fn carry(one: &mut End, other: &mut End, piece: usize) {
    while !one.out.is_empty() || !other.out.is_empty() {
        for piece in std::mem::take(&mut one.out).chunks(piece) {
            other.hear(piece);
        }
        for piece in std::mem::take(&mut other.out).chunks(piece) {
            one.hear(piece);
        }
    }
}

pub fn keys() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}

pub fn server(keys: &KeyPair, null: NullPeers) -> SessionSecurity {
    SessionSecurity::Server {
        keys: [keys.clone()].into(),
        plain: PlainPeers::Refused,
        null,
    }
}

pub fn client(keys: &KeyPair, server: PublicKey) -> SessionSecurity {
    client_as("DEALER", keys, server)
}

pub fn client_as(socket_type: &'static str, keys: &KeyPair, server: PublicKey) -> SessionSecurity {
    SessionSecurity::Client {
        keys: keys.clone(),
        server,
        socket_type,
    }
}

/// Returns a listener and a connecting peer after a CURVE handshake.
pub fn connected() -> (End, End) {
    let (server_keys, client_keys) = (keys(), keys());
    let security = server(&server_keys, NullPeers::Refused);
    let mut one = End::new(security, Side::Listens, "ROUTER");
    let security = client(&client_keys, server_keys.public());
    let mut other = End::new(security, Side::Connects, "DEALER");
    carry(&mut one, &mut other, usize::MAX);
    assert!(one.is_met() && other.is_met());
    (one, other)
}

/// Returns the frames of a stream, each with its header.
pub fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let (header, size) = if stream[0] & LONG == 0 {
            (2, usize::from(stream[1]))
        } else {
            let size: [u8; 8] = stream[1..9].try_into().expect("eight bytes");
            (9, u64::from_be_bytes(size) as usize)
        };
        let (frame, rest) = stream.split_at(header + size);
        frames.push(frame.to_vec());
        stream = rest;
    }
    frames
}

/// The minimum size, in bytes, of a flight of which the attacker repeats no part, because each
/// repetition may double the flight. A flight is all bytes that a peer sends before it waits for an
/// answer.
const FLIGHT_MAX: usize = 1 << 16;

/// Runs a CURVE connection on which an attacker changes the bytes for one side. Each instruction
/// for the attacker has four bytes: the action, the flight, the position and the byte. Checks that
/// the messages that the side receives are a prefix of the sent messages, unless the side has
/// admitted a peer without a key. Returns the number of received messages.
pub fn attack(side: Side, instructions: &[u8]) -> usize {
    let server_keys = keys();
    let security = server(&server_keys, NullPeers::Admitted);
    let listener = End::new(security, Side::Listens, "ROUTER");
    let security = client(&keys(), server_keys.public());
    let caller = End::new(security, Side::Connects, "DEALER");
    let (mut attacked, mut other) = match side {
        Side::Listens => (listener, caller),
        Side::Connects => (caller, listener),
    };
    let sent: Vec<Vec<Vec<u8>>> = (0..4u8).map(|n| vec![vec![n; 3], vec![n; 300]]).collect();
    for flight in 0..5 {
        if other.is_met() {
            for message in &sent {
                other.say(message);
            }
        }
        let mut bytes = std::mem::take(&mut other.out);
        for [action, turn, position, byte] in instructions.as_chunks::<4>().0 {
            if turn % 5 == flight && !bytes.is_empty() {
                let at = usize::from(*position) * bytes.len() / 256;
                match action % 4 {
                    0 => bytes[at] ^= byte,
                    1 => bytes.truncate(at),
                    2 => drop(bytes.splice(at..at, [*byte; 3])),
                    // Each repetition may double the flight.
                    _ if bytes.len() < FLIGHT_MAX => bytes.extend_from_within(at..),
                    _ => {}
                }
            }
        }
        attacked.hear(&bytes);
        let answer = std::mem::take(&mut attacked.out);
        other.hear(&answer);
        let ends = other.is_met() && !attacked.messages.is_empty();
        if ends || attacked.fault.is_some() || other.fault.is_some() {
            break;
        }
    }
    // Without a key, the peer is the attacker in clear text, who sends messages of its own. A side
    // that knows the server's key admits no such peer.
    if attacked.key.is_some() || side == Side::Connects {
        let messages = &attacked.messages;
        assert!(sent.starts_with(messages), "{messages:?}");
    }
    attacked.messages.len()
}

/// Sends a listener with PLAIN a peer's greeting and then `bytes`, and returns whether the listener
/// admits the peer. Checks that the listener admits the peer, and receives messages from it, only
/// if `bytes` contains the right credentials.
pub fn is_admitted(bytes: &[u8]) -> bool {
    let null = NullPeers::Refused;
    let mut listener = End::new(SessionSecurity::Plain { null }, Side::Listens, "ROUTER");
    listener.hear(&greeting::naming(Mechanism::Plain));
    listener.hear(bytes);
    let field = |text: &str| [&[text.len() as u8][..], text.as_bytes()].concat();
    let hello = [&b"\x05HELLO"[..], &field(USER), &field(PASSWORD)].concat();
    let has_credentials = bytes.windows(hello.len()).any(|part| part == hello);
    let admitted = listener.is_met();
    assert!(has_credentials || !admitted && listener.messages.is_empty());
    assert!(listener.sealer.is_none() && listener.key.is_none());
    admitted
}
