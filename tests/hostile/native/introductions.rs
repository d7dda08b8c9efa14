//! Tests of INITIATEs that no honest client of CURVE sends. The client is written by hand from
//! RFC 26.

use std::time::{Duration, Instant};

use crypto_box::aead::Aead as _;
use crypto_box::{PublicKey, SalsaBox, SecretKey};

use super::sealed::Secured;
use crate::support::attack::{assert_bounded, assert_serves};
use crate::support::turns;
use crate::support::zmtp::{Raw, Received, command};
use gateway_zmtp::curve::KeyPair;
use gateway_zmtp::greeting::naming;
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::z85;

/// A client that has received WELCOME.
struct Welcomed {
    raw: Raw,
    server: PublicKey,
    short_term: SecretKey,
    /// The short-term key of the server.
    server_short_term: PublicKey,
    cookie: Vec<u8>,
}

/// Returns a new secret key.
fn new_secret() -> SecretKey {
    secret_of(&KeyPair::generate().unwrap())
}

fn secret_of(keys: &KeyPair) -> SecretKey {
    SecretKey::from(z85::decode::<32>(&keys.secret().to_z85()).unwrap())
}

fn seal(to: &PublicKey, from: &SecretKey, nonce: &[&[u8]], content: &[u8]) -> Vec<u8> {
    let nonce: [u8; 24] = nonce.concat().try_into().unwrap();
    let sealed = SalsaBox::new(to, from).encrypt(&nonce.into(), content);
    sealed.unwrap()
}

impl Welcomed {
    fn new(gateway: &Secured) -> Self {
        let server = PublicKey::from(*gateway.ours.public().bytes());
        let short_term = new_secret();
        let mut raw = Raw::connect(&gateway.endpoint());
        raw.send(&naming(Mechanism::Curve));
        std::io::Read::read_exact(&mut raw.stream, &mut [0; 64]).unwrap();
        let first = 1u64.to_be_bytes();
        let mut hello = b"\x05HELLO\x01\0".to_vec();
        hello.extend([0; 72]);
        hello.extend(short_term.public_key().as_bytes());
        hello.extend(first);
        let nonce: [&[u8]; 2] = [b"CurveZMQHELLO---", &first];
        hello.extend(seal(&server, &short_term, &nonce, &[0; 64]));
        raw.send(&command(&hello));
        let Received::Command(welcome) = raw.receive() else {
            panic!("no WELCOME");
        };
        let nonce = [b"WELCOME-", &welcome[8..24]].concat();
        let nonce: [u8; 24] = nonce.try_into().unwrap();
        let opened = SalsaBox::new(&server, &short_term).decrypt(&nonce.into(), &welcome[24..]);
        let opened = opened.unwrap();
        let server_short_term: [u8; 32] = opened[..32].try_into().unwrap();
        Self {
            raw,
            server,
            short_term,
            server_short_term: server_short_term.into(),
            cookie: opened[32..].to_vec(),
        }
    }

    /// Sends an INITIATE that names `key`, with a vouch that is sealed with `secret`.
    fn introduce(&mut self, key: &PublicKey, secret: &SecretKey, metadata: &[u8]) {
        let short_term = self.short_term.public_key();
        let both = [*short_term.as_bytes(), *self.server.as_bytes()].concat();
        let long = [7; 16];
        let vouch = seal(
            &self.server_short_term,
            secret,
            &[b"VOUCH---", &long],
            &both,
        );
        let content = [key.as_bytes(), &long[..], &vouch, metadata].concat();
        let second = 2u64.to_be_bytes();
        let nonce: [&[u8]; 2] = [b"CurveZMQINITIATE", &second];
        let sealed = seal(&self.server_short_term, &self.short_term, &nonce, &content);
        let initiate = [b"\x08INITIATE", &self.cookie[..], &second, &sealed].concat();
        self.raw.try_send(&command(&initiate));
    }
}

/// Returns metadata with the socket type and an identity of this size.
fn metadata(size: usize) -> Vec<u8> {
    let mut metadata = b"\x0bSocket-Type\0\0\0\x06DEALER\x08Identity".to_vec();
    metadata.extend((size as u32).to_be_bytes());
    metadata.extend(vec![7; size]);
    metadata
}

/// In libzmq up to 4.3.1, long metadata overflowed a buffer of 256 bytes (CVE-2019-13132).
#[test]
fn metadata_of_any_size_is_bounded() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let alice = secret_of(&gateway.alice);
    assert_bounded(&gateway.process, 32, || {
        for (metadata, admitted) in [
            (Vec::new(), false),
            (metadata(0), true),
            (metadata(255), true),
            (metadata(256), false),
            (vec![0; 255], false),
            (metadata(64 << 10), false),
            (metadata(16 << 20), false),
        ] {
            let mut client = Welcomed::new(&gateway);
            client.introduce(&alice.public_key(), &alice, &metadata);
            let received = client.raw.receive();
            let ready =
                matches!(&received, Received::Command(body) if body.starts_with(b"\x05READY"));
            assert_eq!(ready, admitted, "{} bytes: {received:?}", metadata.len());
        }
    });
    assert_serves(&gateway.process);
}

/// A stranger names the key of another peer, but has no secret key to vouch for it. The stranger
/// must not learn whether the gateway knows the key, neither from the answer nor from the time
/// until the answer. The test compares the shortest of many times, because the load of the machine
/// changes the shortest time little.
#[test]
fn a_stranger_does_not_learn_which_keys_are_known() {
    const ATTEMPTS: usize = 40;
    let _turn = turns::take();
    let gateway = Secured::start();
    let known = PublicKey::from(*gateway.alice.public().bytes());
    let unknown = new_secret().public_key();
    let stranger = new_secret();
    let mut least = [Duration::MAX; 2];
    for _ in 0..ATTEMPTS {
        for (key, least) in [&known, &unknown].into_iter().zip(&mut least) {
            let mut client = Welcomed::new(&gateway);
            let before = Instant::now();
            client.introduce(key, &stranger, &metadata(0));
            assert_eq!(client.raw.receive(), Received::End);
            *least = before.elapsed().min(*least);
        }
    }
    let [known, unknown] = least;
    let difference = known.abs_diff(unknown);
    println!("known {known:?}, unknown {unknown:?}");
    assert!(difference < known.min(unknown) / 2, "{known:?} {unknown:?}");
    gateway.alice();
}
