//! Tests of the CURVE handshake and its sealed frames, between the two sides of this crate and
//! under attack.

use std::sync::Arc;

use fastrand::Rng;
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{
    AwaitsInitiate, AwaitsWelcome, Client, Connected, CurveError, FrameKind, KeyPair, OVERHEAD,
    PublicKey, SecretKey, Server,
};

fn metadata(socket_type: &str) -> Ready {
    Ready {
        socket_type: socket_type.into(),
        ..Ready::default()
    }
}

fn pair() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}

/// Two peers that know each other's keys.
struct Peers {
    server: KeyPair,
    client: KeyPair,
}

impl Peers {
    fn new() -> Self {
        Self {
            server: pair(),
            client: pair(),
        }
    }

    fn server(&self) -> Server {
        Server::new(Arc::from([self.server.clone()]))
    }

    fn client(&self) -> Client {
        Client::new(self.client.clone(), self.server.public())
    }

    /// Returns both sides after the server has answered HELLO, and the body of the WELCOME.
    fn welcomed(&self) -> (AwaitsWelcome, AwaitsInitiate, Vec<u8>) {
        let (client, hello) = self.client().hello().expect("a HELLO");
        let (server, welcome) = self.server().hello(&hello).expect("a WELCOME");
        (client, server, welcome)
    }

    /// Returns the server after WELCOME, and the INITIATE for it.
    fn initiated(&self) -> (AwaitsInitiate, Vec<u8>) {
        let (client, server, welcome) = self.welcomed();
        let (_, initiate) = client
            .welcome(&welcome, &metadata("DEALER"))
            .expect("an INITIATE");
        (server, initiate)
    }

    fn connected(&self) -> (Connected, Connected) {
        let (client, server, welcome) = self.welcomed();
        let (client, initiate) = client
            .welcome(&welcome, &metadata("DEALER"))
            .expect("an INITIATE");
        let introduced = server.initiate(&initiate).expect("a client");
        assert_eq!(introduced.client(), self.client.public());
        assert_eq!(introduced.metadata().socket_type, "DEALER");
        let (server, ready) = introduced.accept(&metadata("ROUTER")).expect("a READY");
        let (client, theirs) = client.ready(&ready).expect("a server");
        assert_eq!(theirs.socket_type, "ROUTER");
        (client, server)
    }
}

/// Returns the body of a frame.
fn body(frame: &[u8]) -> Vec<u8> {
    let header = if frame[0] & gateway_zmtp::LONG == 0 {
        2
    } else {
        9
    };
    frame[header..].to_vec()
}

fn sealed(from: &mut Connected, kind: FrameKind, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    from.sealer.seal(kind, data, &mut frame).expect("nonces");
    body(&frame)
}

#[test]
fn frames_of_every_size_and_kind_arrive_in_both_directions() {
    let (mut client, mut server) = Peers::new().connected();
    let kinds = [FrameKind::More, FrameKind::Last, FrameKind::Command];
    for size in [0, 1, 60, 222, 223, 255, 256, 70_000, 1 << 20] {
        let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
        for kind in kinds {
            let mut body = sealed(&mut client, kind, &data);
            assert_eq!(body.len(), OVERHEAD + size);
            let frame = server.opener.open(&mut body).expect("a frame");
            assert_eq!((frame.kind, frame.data), (kind, &data[..]));
            let mut body = sealed(&mut server, kind, &data);
            let frame = client.opener.open(&mut body).expect("a frame");
            assert_eq!((frame.kind, frame.data), (kind, &data[..]));
        }
    }
}

#[test]
fn commands_have_the_lengths_of_the_specification() {
    let peers = Peers::new();
    let (client, hello) = peers.client().hello().expect("a HELLO");
    assert_eq!(hello.len(), 200);
    assert_eq!(hello[8..80], [0; 72], "the padding");
    let (_, welcome) = peers.server().hello(&hello).expect("a WELCOME");
    assert_eq!(welcome.len(), 168);
    let (_, initiate) = client.welcome(&welcome, &Ready::default()).expect("right");
    // The one property has a name of 11 bytes, `Socket-Type`, and an empty value.
    assert_eq!(initiate.len(), 257 + 1 + 11 + 4);
}

#[test]
fn a_replayed_reordered_skipped_or_wrapped_nonce_is_refused() {
    let (mut client, mut server) = Peers::new().connected();
    let first = sealed(&mut client, FrameKind::Last, b"1");
    let second = sealed(&mut client, FrameKind::Last, b"2");
    let third = sealed(&mut client, FrameKind::Last, b"3");
    assert!(server.opener.open(&mut first.clone()).is_ok());
    // The second frame is missing: the third does not continue the first.
    let refused = server.opener.open(&mut third.clone()).map(drop);
    assert_eq!(refused, Err(CurveError::NonceOutOfOrder));
    assert!(server.opener.open(&mut second.clone()).is_ok());
    assert!(server.opener.open(&mut third.clone()).is_ok());
    for replayed in [&first, &second, &third] {
        let refused = server.opener.open(&mut replayed.clone()).map(drop);
        assert_eq!(refused, Err(CurveError::NonceOutOfOrder));
    }
    let mut zero = sealed(&mut client, FrameKind::Last, b"4");
    zero[8..16].fill(0);
    let refused = server.opener.open(&mut zero).map(drop);
    assert_eq!(refused, Err(CurveError::NonceOutOfOrder));
}

#[test]
fn a_forged_frame_is_refused_and_advances_no_nonce() {
    let (mut client, mut server) = Peers::new().connected();
    let right = sealed(&mut client, FrameKind::Last, b"hello");
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 0x40;
        let refused = server.opener.open(&mut changed).map(drop);
        match at {
            0..8 => assert!(matches!(refused, Err(CurveError::Malformed(_))), "{at}"),
            8..16 => assert_eq!(refused, Err(CurveError::NonceOutOfOrder), "{at}"),
            _ => assert_eq!(refused, Err(CurveError::Forged("MESSAGE")), "{at}"),
        }
    }
    for cut in 0..right.len() {
        let mut cut = right[..cut].to_vec();
        assert!(server.opener.open(&mut cut).is_err());
    }
    let kind = server
        .opener
        .open(&mut right.clone())
        .map(|frame| frame.kind);
    assert_eq!(kind, Ok(FrameKind::Last));
}

#[test]
fn a_frame_of_one_direction_is_refused_in_the_other() {
    let (mut client, mut server) = Peers::new().connected();
    let mut own = sealed(&mut client, FrameKind::Last, b"hello");
    // The server has used its first nonce for READY and its second for this frame. The client's
    // frame `own` has the client's third nonce, and the client expects the server's third nonce
    // next.
    let mut second = sealed(&mut server, FrameKind::Last, b"hello");
    assert!(client.opener.open(&mut second).is_ok());
    let reflected = client.opener.open(&mut own).map(drop);
    assert_eq!(reflected, Err(CurveError::Forged("MESSAGE")));
}

#[test]
fn a_hello_for_another_key_and_a_malformed_hello_have_different_errors() {
    let peers = Peers::new();
    let (_, hello) = peers.client().hello().expect("a HELLO");
    let other = Server::new(Arc::from([pair()]));
    assert_eq!(
        other.hello(&hello).map(drop),
        Err(CurveError::WrongServerKey)
    );
    for broken in [
        &hello[..199],
        &hello[..6],
        b"",
        b"\x05READY",
        &[&hello[..], b"x"].concat(),
    ] {
        let refused = peers.server().hello(broken).map(drop);
        assert!(
            matches!(refused, Err(CurveError::Malformed(_))),
            "{refused:?}"
        );
    }
    let mut version = hello.clone();
    version[6] = 2;
    let refused = peers.server().hello(&version).map(drop);
    assert!(
        matches!(refused, Err(CurveError::Malformed(_))),
        "{refused:?}"
    );
}

#[test]
fn a_hello_for_an_older_key_of_the_server_is_accepted() {
    let peers = Peers::new();
    let keys = [pair(), peers.server.clone()];
    let (client, hello) = peers.client().hello().expect("a HELLO");
    let (server, welcome) = Server::new(Arc::from(keys))
        .hello(&hello)
        .expect("a WELCOME");
    let (_, initiate) = client.welcome(&welcome, &metadata("REQ")).expect("right");
    assert!(server.initiate(&initiate).is_ok());
}

#[test]
fn the_cookie_of_another_connection_is_refused() {
    let peers = Peers::new();
    let (server, _) = peers.initiated();
    let (_, other) = peers.initiated();
    let refused = server.initiate(&other).map(drop);
    assert_eq!(refused, Err(CurveError::WrongCookie));
}

/// Returns each change of a command that its receiver must refuse: one changed bit in every byte,
/// every shorter length, and one byte more. The bytes in `unchecked` are not authenticated, and are
/// not changed.
fn broken(body: &[u8], unchecked: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    let changed = (0..body.len()).filter(|at| !unchecked.contains(at));
    let changed = changed.map(|at| {
        let mut changed = body.to_vec();
        changed[at] ^= 1;
        changed
    });
    let cut = (0..body.len()).map(|size| body[..size].to_vec());
    let longer = [body, b"x"].concat();
    changed.chain(cut).chain([longer]).collect()
}

/// Returns the positions of some of the [`broken`] commands, including the longer one, for a
/// command of `size` bytes. Not all are tried, because each needs a handshake of its own, which
/// takes long in an unoptimised build.
fn some_broken(size: usize) -> impl Iterator<Item = usize> {
    (0..2 * size).step_by(5).chain([2 * size])
}

#[test]
fn each_changed_cut_or_longer_command_of_the_handshake_is_refused() {
    let peers = Peers::new();
    let (_, hello) = peers.client().hello().expect("a HELLO");
    // The padding of a HELLO has no content.
    for hello in broken(&hello, 8..80) {
        assert!(peers.server().hello(&hello).is_err(), "{hello:?}");
    }
    for n in some_broken(peers.initiated().1.len()) {
        let (server, initiate) = peers.initiated();
        let initiate = broken(&initiate, 0..0).swap_remove(n);
        assert!(server.initiate(&initiate).is_err(), "{n}");
    }
    for n in some_broken(peers.welcomed().2.len()) {
        let (client, _, welcome) = peers.welcomed();
        let welcome = broken(&welcome, 0..0).swap_remove(n);
        let refused = client.welcome(&welcome, &metadata("DEALER"));
        assert!(refused.is_err(), "{n}");
    }
    let ready = || {
        let (client, server, welcome) = peers.welcomed();
        let initiate = client.welcome(&welcome, &metadata("DEALER"));
        let (client, initiate) = initiate.expect("an INITIATE");
        let introduced = server.initiate(&initiate).expect("a client");
        let (_, ready) = introduced.accept(&metadata("ROUTER")).expect("a READY");
        (client, ready)
    };
    for n in some_broken(ready().1.len()) {
        let (client, ready) = ready();
        let ready = broken(&ready, 0..0).swap_remove(n);
        assert!(client.ready(&ready).is_err(), "{n}");
    }
}

#[test]
fn metadata_of_any_size_is_read_or_refused() {
    let peers = Peers::new();
    for size in [0, 1, 255, 256, 64 << 10] {
        let (client, server, welcome) = peers.welcomed();
        let ours = Ready {
            socket_type: "REQ".into(),
            identity: vec![7; size],
        };
        let (_, initiate) = client.welcome(&welcome, &ours).expect("an INITIATE");
        let introduced = server.initiate(&initiate);
        assert_eq!(introduced.is_ok(), size <= 255, "{size}");
        if let Ok(introduced) = introduced {
            assert_eq!(introduced.metadata(), &ours);
        }
    }
}

#[test]
fn a_client_reports_the_reason_of_a_refusal() {
    let peers = Peers::new();
    let error = b"\x05ERROR\x03400";
    let refused = Err(CurveError::Refused("400".into()));
    let (client, _, welcome) = peers.welcomed();
    assert_eq!(client.welcome(error, &metadata("REQ")).map(drop), refused);
    let (client, _, _) = peers.welcomed();
    let mut forged = welcome.clone();
    forged[100] ^= 1;
    let reported = client.welcome(&forged, &metadata("REQ")).map(drop);
    assert_eq!(reported, Err(CurveError::Forged("WELCOME")));
    let (client, _, welcome) = peers.welcomed();
    let (client, _) = client.welcome(&welcome, &metadata("REQ")).expect("right");
    assert_eq!(client.ready(error).map(drop), refused);
}

/// With such a public key, every secret key yields the same shared key, so the peer must be
/// refused.
#[test]
fn a_key_that_protects_nothing_is_refused_on_either_side() {
    let peers = Peers::new();
    // Points of order 2, of order 4, and of order 8 with the unused bit set.
    let eight = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880";
    let eight: [u8; 32] = std::array::from_fn(|n| {
        u8::from_str_radix(&eight[2 * n..2 * n + 2], 16).expect("hexadecimal")
    });
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one, eight] {
        let client = Client::new(peers.client.clone(), PublicKey::from_bytes(weak));
        assert_eq!(client.hello().map(drop), Err(CurveError::WeakKey));
        let (_, mut hello) = peers.client().hello().expect("a HELLO");
        hello[80..112].copy_from_slice(&weak);
        let refused = peers.server().hello(&hello).map(drop);
        assert_eq!(refused, Err(CurveError::WeakKey));
    }
}

#[test]
fn random_bytes_in_place_of_any_command_are_refused() {
    let peers = Peers::new();
    let mut random = Rng::with_seed(7);
    let names: [&[u8]; 5] = [
        b"\x05HELLO",
        b"\x07WELCOME",
        b"\x08INITIATE",
        b"\x05READY",
        b"\x07MESSAGE",
    ];
    let (mut connected, _) = peers.connected();
    for _ in 0..200 {
        let mut bytes = random.choice(names).expect("five").to_vec();
        let size = random.usize(..400);
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(size));
        assert!(peers.server().hello(&bytes).is_err());
        let (client, server, welcome) = peers.welcomed();
        assert!(server.initiate(&bytes).is_err());
        let (client, _) = client.welcome(&welcome, &metadata("REQ")).expect("right");
        assert!(client.ready(&bytes).is_err());
        assert!(connected.opener.open(&mut bytes).is_err());
    }
}

#[test]
fn keys_in_text_form_are_checked() {
    assert!(SecretKey::from_z85("").is_err());
    assert!(PublicKey::from_z85(&"\"".repeat(40)).is_err());
    let key = pair().public();
    assert_eq!(PublicKey::from_z85(&key.to_string()), Ok(key));
}
