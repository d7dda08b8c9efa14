//! The cost of admitting a peer with a known key or user, and of refusing a peer with an unknown
//! key or user. The two costs must be the same, so that the time of a refusal does not reveal which
//! keys and users exist.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Argon2, Params};
use gateway::security::{
    Curve, Denied, Hashed, Initiator, KnownPeers, Proof, Security, Servers, Users,
};
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{Client, KeyPair, PublicKey, Server};
use gateway_zmtp::plain;
use gateway_zmtp::session::NullPeers;

const KNOWN_KEY: &str = "key: known";
const UNKNOWN_KEY: &str = "key: unknown";
const KEY_OF_OTHERS: &str = "key: known at another address";
const WRONG_PASSWORD: &str = "password: wrong";
const UNKNOWN_USER: &str = "password: of an unknown user";

/// The groups of cases whose counts must be alike.
pub const GROUPS: [&[&str]; 2] = [
    &[KNOWN_KEY, UNKNOWN_KEY, KEY_OF_OTHERS],
    &[WRONG_PASSWORD, UNKNOWN_USER],
];

/// The fraction by which the counts of a group may differ. It allows for two look-ups in a map, and
/// is much less than the cost of one step of a handshake or of one pass of a password hash.
pub const SPREAD_MAX: f64 = 0.01;

/// The number of rounds for which a case does its work once. A handshake takes a million
/// instructions, so a handshake in every round would take too long.
const ROUNDS_EACH: u64 = 200;

/// The number of known keys and users.
const KNOWN: usize = 1_000;

/// Runs a case once for each [`ROUNDS_EACH`] of the `rounds`. Returns false if the case is not one
/// of this module.
pub fn run(case: &str, rounds: u64) -> bool {
    let times = rounds / ROUNDS_EACH;
    match case {
        KNOWN_KEY => handshakes(times, true, |it| &it.known),
        UNKNOWN_KEY => handshakes(times, false, |it| &it.unknown),
        KEY_OF_OTHERS => handshakes(times, false, |it| &it.of_others),
        WRONG_PASSWORD => passwords(times, "alice", Denied::WrongPassword),
        UNKNOWN_USER => passwords(times, "carol", Denied::UnknownUser),
        _ => return false,
    }
    true
}

/// A frontend and a pool that each know some keys, and client keys of three kinds.
struct Keys {
    ours: Arc<[KeyPair]>,
    frontend: Security,
    pool: Security,
    known: KeyPair,
    unknown: KeyPair,
    of_others: KeyPair,
}

impl Keys {
    fn new() -> Self {
        let new = || KeyPair::generate().expect("random bytes");
        let ours: Arc<[KeyPair]> = Arc::from([new()]);
        let (known, of_others) = (new(), new());
        Self {
            frontend: security(&ours, known.public()),
            pool: security(&ours, of_others.public()),
            ours,
            known,
            unknown: new(),
            of_others,
        }
    }
}

/// Returns security settings that admit this key and many others.
fn security(ours: &Arc<[KeyPair]>, key: PublicKey) -> Security {
    let others = (1..KNOWN).map(|n| {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        PublicKey::from_bytes(bytes)
    });
    let named = others.chain([key]).map(|key| (key, Arc::from("alice")));
    Security {
        curve: Some(Curve {
            keys: Arc::clone(ours),
            peers: KnownPeers::Named(named.collect()),
            servers: Servers::None,
        }),
        plain: None,
        null: NullPeers::Refused,
        from: Arc::default(),
    }
}

/// Performs handshakes with a client that has the key pair `key`, and asserts that the frontend
/// admits or refuses the client as expected. The client's part costs the same in all cases.
fn handshakes(times: u64, admitted: bool, key: fn(&Keys) -> &KeyPair) {
    let keys = Keys::new();
    let client = key(&keys);
    assert!(
        keys.pool
            .principal(&Proof::Key(keys.of_others.public()), Initiator::Peer)
            .is_some()
    );
    for _ in 0..times {
        let (client, hello) = Client::new(client.clone(), keys.ours[0].public())
            .hello()
            .expect("a HELLO");
        let (server, welcome) = Server::new(Arc::clone(&keys.ours))
            .hello(&hello)
            .expect("a WELCOME");
        let ours = Ready::default();
        let (_, initiate) = client.welcome(&welcome, &ours).expect("an INITIATE");
        let introduced = server.initiate(&initiate).expect("a client");
        let proof = Proof::Key(introduced.client());
        let principal = keys.frontend.principal(&proof, Initiator::Peer);
        assert_eq!(black_box(principal).is_some(), admitted);
    }
}

/// Verifies a wrong password for this user, and asserts that it is refused for the expected reason.
fn passwords(times: u64, user: &str, expected: Denied) {
    let params = Params::new(64, 1, 1, None).expect("valid parameters");
    let hashed = Argon2::from(params).hash_password_with_salt(b"secret", &[7; 16]);
    let hashed = Hashed::parse(&hashed.expect("a hash").to_string()).expect("a valid hash");
    let names = (1..KNOWN).map(|n| Arc::from(format!("user-{n}")));
    let users: HashMap<Arc<str>, Hashed> = names
        .chain([Arc::from("alice")])
        .map(|name| (name, hashed.clone()))
        .collect();
    let users = Users::new(users).expect("random bytes");
    let (_, hello) = plain::Client::hello(user, "wrong").expect("short texts");
    let credentials = plain::hello(&hello).expect("a HELLO");
    for _ in 0..times {
        assert_eq!(black_box(users.verify(&credentials)), Err(expected));
    }
}
