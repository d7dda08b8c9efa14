//! Tests of every box of CURVE with three libraries: libsodium, crypto_box and dryoc. The peer of
//! each test is written by hand from RFC 26. It opens each box of this crate with all three
//! libraries. It also seals its own boxes with all three, which must yield the same bytes.

#[path = "support/libraries.rs"]
mod libraries;

use std::sync::Arc;

use fastrand::Rng;
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{
    Client, Connected, CurveError, FrameKind, KeyPair, LARGE_MIN, PublicKey, SecretKey, Server,
};
use gateway_zmtp::{LONG, z85};

use libraries::{Key, Nonce, open, public_key, seal};

/// The metadata with the property `Socket-Type: REQ`.
const REQ: &[u8] = b"\x0bSocket-Type\0\0\0\x03REQ";

/// The sizes of the frames, in bytes: some around the size of a cipher block, some around the
/// maximum of a short frame, and the smallest large frame.
const SIZES: [usize; 10] = [0, 1, 15, 16, 60, 64, 222, 223, 1024, LARGE_MIN];

fn ready(socket_type: &str) -> Ready {
    Ready {
        socket_type: socket_type.into(),
        ..Ready::default()
    }
}

/// A key pair whose secret key the test knows.
struct Pair {
    secret: Key,
    public: Key,
}

impl Pair {
    fn new(random: &mut Rng) -> Self {
        let secret = std::array::from_fn(|_| random.u8(..));
        Self {
            secret,
            public: public_key(&secret),
        }
    }

    /// Returns the pair as a type of this crate. Checks that the crate computes the same public
    /// key.
    fn keys(&self) -> KeyPair {
        let secret = SecretKey::from_z85(&z85::encode(&self.secret)).expect("a key");
        let keys = KeyPair::new(secret);
        assert_eq!(keys.public(), PublicKey::from_bytes(self.public));
        keys
    }
}

/// Returns the whole nonce: a prefix, and the part of the nonce that is sent.
fn nonce(prefix: &[u8], sent: &[u8]) -> Nonce {
    [prefix, sent].concat().try_into().expect("24 bytes")
}

/// Returns the body of a frame.
fn body(frame: &[u8]) -> &[u8] {
    match frame[0] & LONG {
        0 => &frame[2..],
        _ => &frame[9..],
    }
}

/// Returns the key at position `at`.
fn key_at(bytes: &[u8], at: usize) -> Key {
    bytes[at..at + 32].try_into().expect("a key")
}

/// Exchanges frames of all sizes between `side`, which is a side of this crate, and the test. The
/// public key of `side` is `theirs`, and the secret key of the test is `secret`. `prefixes` are the
/// nonce prefixes of the crate and of the test, in this order, and `first` their first short
/// nonces.
fn exchange(
    side: &mut Connected,
    theirs: &Key,
    secret: &Key,
    prefixes: [&[u8; 16]; 2],
    first: [u64; 2],
) {
    for (n, size) in SIZES.into_iter().enumerate() {
        let content: Vec<u8> = (0..size).map(|at| (at + n) as u8).collect();
        let [sent, received] = first.map(|first| (first + n as u64).to_be_bytes());

        let mut frame = Vec::new();
        if size < LARGE_MIN {
            let sealer = &mut side.sealer;
            sealer
                .seal(FrameKind::More, &content, &mut frame)
                .expect("nonces");
        } else {
            let work = side
                .sealer
                .seal_work(FrameKind::More, content.clone(), 0..size);
            frame = work.expect("nonces").run();
        }
        let message = body(&frame);
        assert_eq!(message[..8], *b"\x07MESSAGE");
        assert_eq!(message[8..16], sent);
        let inside = open(theirs, secret, &nonce(prefixes[0], &sent), &message[16..]);
        assert!(
            inside[0] == 1 && inside[1..] == content,
            "{size} bytes sent"
        );

        let inside = [&[0], &content[..]].concat();
        let sealed = seal(theirs, secret, &nonce(prefixes[1], &received), &inside);
        let mut message = [&b"\x07MESSAGE"[..], &received, &sealed].concat();
        let opener = &mut side.opener;
        let data = if size < LARGE_MIN {
            opener.open(&mut message).expect("a frame").data.to_vec()
        } else {
            let opened = opener.open_work(message).expect("a MESSAGE").run();
            opener.opened(opened).expect("a frame").1
        };
        assert!(data == content, "{size} bytes received");
    }
}

#[test]
fn all_libraries_agree_with_this_server() {
    let mut random = Rng::with_seed(17);
    let [server, client, short_term] = [(); 3].map(|()| Pair::new(&mut random));

    let sent = 1u64.to_be_bytes();
    let hello_nonce = nonce(b"CurveZMQHELLO---", &sent);
    let sealed = seal(&server.public, &short_term.secret, &hello_nonce, &[0; 64]);
    let mut hello = b"\x05HELLO\x01\0".to_vec();
    hello.extend([0; 72]);
    hello.extend([&short_term.public[..], &sent, &sealed].concat());

    let ours = Server::new(Arc::from([server.keys()]));
    let (ours, welcome) = ours.hello(&hello).expect("a WELCOME");

    let welcome_nonce = nonce(b"WELCOME-", &welcome[8..24]);
    let inside = open(
        &server.public,
        &short_term.secret,
        &welcome_nonce,
        &welcome[24..],
    );
    let (theirs, cookie) = (key_at(&inside, 0), &inside[32..]);
    assert_eq!(cookie.len(), 96);

    let long: [u8; 16] = std::array::from_fn(|_| random.u8(..));
    let inside = [short_term.public, server.public].concat();
    let vouch = seal(&theirs, &client.secret, &nonce(b"VOUCH---", &long), &inside);
    let sent = 2u64.to_be_bytes();
    let inside = [&client.public[..], &long, &vouch, REQ].concat();
    let initiate_nonce = nonce(b"CurveZMQINITIATE", &sent);
    let sealed = seal(&theirs, &short_term.secret, &initiate_nonce, &inside);
    let initiate = [&b"\x08INITIATE"[..], cookie, &sent, &sealed].concat();
    let introduced = ours.initiate(&initiate).expect("a client");
    assert_eq!(introduced.client(), client.keys().public());
    assert_eq!(introduced.metadata(), &ready("REQ"));

    let (mut connected, answer) = introduced.accept(&ready("REQ")).expect("a READY");
    assert_eq!(answer[..6], *b"\x05READY");
    let ready_nonce = nonce(b"CurveZMQREADY---", &answer[6..14]);
    let inside = open(&theirs, &short_term.secret, &ready_nonce, &answer[14..]);
    assert!(inside.starts_with(REQ), "{inside:?}");

    let prefixes = [b"CurveZMQMESSAGES", b"CurveZMQMESSAGEC"];
    exchange(
        &mut connected,
        &theirs,
        &short_term.secret,
        prefixes,
        [2, 3],
    );
}

#[test]
fn all_libraries_agree_with_this_client() {
    let mut random = Rng::with_seed(18);
    let [server, client, short_term] = [(); 3].map(|()| Pair::new(&mut random));
    let ours = Client::new(client.keys(), PublicKey::from_bytes(server.public));
    let (ours, hello) = ours.hello().expect("a HELLO");
    let theirs = key_at(&hello, 80);
    let hello_nonce = nonce(b"CurveZMQHELLO---", &hello[112..120]);
    let inside = open(&theirs, &server.secret, &hello_nonce, &hello[120..]);
    assert_eq!(inside, [0; 64]);

    let long: [u8; 16] = std::array::from_fn(|_| random.u8(..));
    let cookie = [7; 96];
    let inside = [&short_term.public[..], &cookie].concat();
    let sealed = seal(&theirs, &server.secret, &nonce(b"WELCOME-", &long), &inside);
    let welcome = [&b"\x07WELCOME"[..], &long, &sealed].concat();
    let (ours, initiate) = ours.welcome(&welcome, &ready("REQ")).expect("an INITIATE");

    assert_eq!(initiate[9..105], cookie);
    let initiate_nonce = nonce(b"CurveZMQINITIATE", &initiate[105..113]);
    let inside = open(
        &theirs,
        &short_term.secret,
        &initiate_nonce,
        &initiate[113..],
    );
    assert_eq!(inside[..32], client.public);
    let vouch_nonce = nonce(b"VOUCH---", &inside[32..48]);
    let vouch = open(
        &client.public,
        &short_term.secret,
        &vouch_nonce,
        &inside[48..128],
    );
    assert_eq!(vouch, [theirs, server.public].concat());
    assert!(inside[128..].starts_with(REQ), "{inside:?}");

    let sent = 1u64.to_be_bytes();
    let ready_nonce = nonce(b"CurveZMQREADY---", &sent);
    let sealed = seal(&theirs, &short_term.secret, &ready_nonce, REQ);
    let answer = [&b"\x05READY"[..], &sent, &sealed].concat();
    let (mut connected, metadata) = ours.ready(&answer).expect("a server");
    assert_eq!(metadata, ready("REQ"));

    let prefixes = [b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"];
    exchange(
        &mut connected,
        &theirs,
        &short_term.secret,
        prefixes,
        [3, 2],
    );
}

/// A public key of small order yields the same shared key for every secret key, so everybody could
/// read what the client sends.
#[test]
fn a_server_whose_short_term_key_protects_nothing_is_refused() {
    let mut random = Rng::with_seed(19);
    let [server, client] = [(); 2].map(|()| Pair::new(&mut random));
    for weak in [0, 1] {
        let ours = Client::new(client.keys(), PublicKey::from_bytes(server.public));
        let (ours, hello) = ours.hello().expect("a HELLO");
        let theirs = key_at(&hello, 80);
        let long = [7; 16];
        let mut inside = [0; 32 + 96];
        inside[0] = weak;
        let sealed = seal(&theirs, &server.secret, &nonce(b"WELCOME-", &long), &inside);
        let welcome = [&b"\x07WELCOME"[..], &long, &sealed].concat();
        let refused = ours.welcome(&welcome, &ready("REQ")).map(drop);
        assert_eq!(refused, Err(CurveError::WeakKey));
    }
}
