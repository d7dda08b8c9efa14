//! Tests of PLAIN: sessions that verify passwords, and peers with and without the right password.

#[path = "support/pair.rs"]
mod pair;

use fastrand::Rng;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::command::{self, Ready};
use gateway_zmtp::greeting::{self, LENGTH};
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::plain::{Client, PlainError};
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{
    NullPeers, PlainPeers, Session, SessionError, SessionEvent, SessionSecurity, Side,
};
use gateway_zmtp::{COMMAND, put_frame};
use pair::{BOUNDS, End, PASSWORD, USER, carry, client, frames, is_admitted, keys};

const REFUSED: SessionSecurity = SessionSecurity::Plain {
    null: NullPeers::Refused,
};

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_frame(&mut frame, COMMAND, body);
    frame
}

fn metadata() -> Ready {
    Ready {
        socket_type: "DEALER".into(),
        ..Ready::default()
    }
}

/// Returns the frames with a client's HELLO and INITIATE.
fn handshake(user: &str, password: &str) -> (Vec<u8>, Vec<u8>) {
    let (client, hello) = Client::hello(user, password).expect("both are short enough");
    let (_, initiate) = client
        .welcome(b"\x07WELCOME", &metadata())
        .expect("a WELCOME");
    (framed(&hello), framed(&initiate))
}

/// Returns a listener that has read a peer's greeting, which names PLAIN.
fn greeted(security: SessionSecurity) -> End {
    let mut listener = End::new(security, Side::Listens, "ROUTER");
    listener.hear(&greeting::naming(Mechanism::Plain));
    listener
}

#[test]
fn a_client_with_the_right_password_is_served_wherever_its_bytes_are_cut() {
    let (hello, initiate) = handshake(USER, PASSWORD);
    let mut message = Vec::new();
    put_frame(&mut message, 0, b"hello");
    for piece in 1..=hello.len() {
        let mut listener = greeted(REFUSED);
        assert_eq!(listener.session.mechanism(), Some(Mechanism::Plain));
        for flight in [&hello, &initiate, &message] {
            flight.chunks(piece).for_each(|part| listener.hear(part));
        }
        assert_eq!(listener.fault, None);
        assert_eq!(listener.heard, ["ready DEALER"]);
        assert_eq!(listener.messages, [[b"hello"]]);
        let sent = frames(&listener.out[LENGTH..]);
        let mut ready = Vec::new();
        command::put_ready(&mut ready, "ROUTER");
        assert_eq!(sent, [framed(b"\x07WELCOME"), ready]);
    }
}

#[test]
fn a_peer_with_a_wrong_password_or_an_unknown_user_receives_no_answer() {
    for (user, password) in [(USER, "wrong"), ("bob", PASSWORD), (USER, ""), ("", "")] {
        let mut listener = greeted(REFUSED);
        listener.hear(&handshake(user, password).0);
        assert_eq!(listener.heard, ["wrong credentials"]);
        assert!(listener.session.is_verifying());
        assert_eq!(listener.out.len(), LENGTH);
    }
}

/// While the credentials are not accepted, the session makes no progress, whatever the peer sends.
#[test]
fn nothing_is_read_before_the_password_is_verified() {
    let (hello, initiate) = handshake(USER, PASSWORD);
    let mut session = Session::new(REFUSED, Side::Listens);
    let bytes = [&greeting::naming(Mechanism::Plain)[..], &hello, &initiate].concat();
    let (mut input, mut buffers) = (Input::from(bytes), BufferPool::default());
    let mut next = || session.next(&mut input, BOUNDS, &mut buffers);
    assert!(matches!(next(), Ok(Some(SessionEvent::Answer(_)))));
    assert!(matches!(next(), Ok(Some(SessionEvent::Credentials(_)))));
    assert!(matches!(next(), Err(SessionError::OutOfTurn)));
    let mut ready = Vec::new();
    let early = session.admit("ROUTER", &mut ready);
    assert!(matches!(
        early,
        Err(SessionError::Plain(PlainError::Malformed(_)))
    ));
    assert!(ready.is_empty());
}

#[test]
fn only_the_commands_of_plain_continue_the_handshake() {
    let (hello, initiate) = handshake(USER, PASSWORD);
    let mut null = Vec::new();
    command::put_ready(&mut null, "DEALER");
    let mut message = Vec::new();
    put_frame(&mut message, 0, b"x");
    let hello_of_curve = framed(&[&b"\x05HELLO"[..], &[0; 194]].concat());
    for (case, bytes) in [
        ("READY of NULL", null),
        ("HELLO of CURVE", hello_of_curve),
        ("INITIATE without HELLO", initiate.clone()),
        ("a message", message.clone()),
        ("HELLO twice", [&hello[..], &hello].concat()),
        ("a message after HELLO", [&hello[..], &message].concat()),
        (
            "HELLO with bytes after the password",
            framed(b"\x05HELLO\x05alice\x06secretx"),
        ),
        (
            "INITIATE with metadata that is cut short",
            [&hello[..], &framed(b"\x08INITIATE\x0bSocket")].concat(),
        ),
    ] {
        let mut listener = greeted(REFUSED);
        listener.hear(&bytes);
        assert!(listener.fault.is_some() && !listener.is_met(), "{case}");
    }
}

#[test]
fn passwords_are_accepted_only_where_plain_peers_are_admitted() {
    let server_keys = keys();
    let server = |plain| SessionSecurity::Server {
        keys: [server_keys.clone()].into(),
        plain,
        null: NullPeers::Refused,
    };
    let (hello, initiate) = handshake(USER, PASSWORD);
    let mut both = greeted(server(PlainPeers::Admitted));
    both.hear(&hello);
    both.hear(&initiate);
    assert!(both.is_met() && both.key.is_none() && both.sealer.is_none());
    // Keys are accepted in addition to passwords.
    let mut listener = End::new(server(PlainPeers::Admitted), Side::Listens, "ROUTER");
    let security = client(&keys(), server_keys.public());
    let mut peer = End::new(security, Side::Connects, "DEALER");
    carry(&mut listener, &mut peer, usize::MAX);
    assert!(listener.is_met() && listener.key.is_some());
    for security in [server(PlainPeers::Refused), SessionSecurity::None] {
        let listener = greeted(security);
        assert!(matches!(
            listener.fault,
            Some(SessionError::Mismatch {
                theirs: Mechanism::Plain,
                ..
            })
        ));
    }
    // A peer with neither a key nor a password is admitted only if NULL peers are.
    for (null, admitted) in [(NullPeers::Refused, false), (NullPeers::Admitted, true)] {
        let mut listener = End::new(SessionSecurity::Plain { null }, Side::Listens, "ROUTER");
        listener.hear(&greeting::naming(Mechanism::Null));
        let mut ready = Vec::new();
        command::put_ready(&mut ready, "DEALER");
        if listener.fault.is_none() {
            listener.hear(&ready);
        }
        assert_eq!(listener.is_met(), admitted);
    }
}

#[test]
fn no_peer_is_admitted_without_the_password_whatever_the_peer_sends() {
    let mut random = Rng::with_seed(7);
    let (hello, initiate) = handshake(USER, PASSWORD);
    let mut message = Vec::new();
    put_frame(&mut message, 0, b"x");
    assert!(is_admitted(&[&hello[..], &initiate, &message].concat()));
    let (wrong, _) = handshake(USER, "seCret");
    let parts = [hello, wrong, initiate, message, framed(b"\x07WELCOME")];
    let mut admitted = 0;
    for _ in 0..50_000 {
        let mut bytes = Vec::new();
        for _ in 0..random.usize(1..5) {
            bytes.extend_from_slice(&parts[random.usize(..parts.len())]);
        }
        for _ in 0..random.usize(..3) {
            let at = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.u8(..)),
            }
        }
        admitted += usize::from(is_admitted(&bytes));
    }
    assert!(admitted > 100, "{admitted}");
}
