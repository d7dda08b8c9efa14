//! Tests of attacks on CURVE, by peers without a key and by an attacker that changes bytes on the
//! network: none of their messages is accepted, and no other peer is delayed.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::attack::{bounded, serves};
use crate::support::process::Process;
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{End, client, frames, keys};
use crate::support::turns;
use crate::support::zmtp::{COMMAND, LONG, Raw, command, frame, message, ready};
use gateway_zmtp::curve::KeyPair;
use gateway_zmtp::session::{SessionSecurity, Side};

/// A gateway with one frontend for everybody and one for `alice` alone.
struct Secured {
    process: Process,
    ours: KeyPair,
    alice: KeyPair,
    /// Holds the key of the gateway.
    _files: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let (ours, alice) = (keys(), keys());
        let files = tempfile::tempdir().unwrap();
        let secret = files.path().join("gateway.key_secret");
        fs::write(&secret, &*ours.secret().to_z85()).unwrap();
        let yaml = format!(
            r#"
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
  secured:
    bind: "tcp://127.0.0.1:0"
    security: {{ curve: {{ secret: {secret:?}, peers: {{ alice: "{}" }} }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }}, idle: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }}, OTHER: {{ pool: idle }} }}
"#,
            alice.public()
        );
        Self {
            process: Process::start(&yaml),
            ours,
            alice,
            _files: files,
        }
    }

    fn endpoint(&self) -> String {
        self.process.endpoint("frontend secured")
    }

    fn security(&self) -> SessionSecurity {
        client(&self.alice, self.ours.public())
    }

    fn alice(&self) -> Peer {
        Peer::connect(&self.endpoint(), self.security(), "DEALER").met()
    }

    /// Returns the greeting and the HELLO of a client.
    fn hello(&self) -> Vec<u8> {
        let mut end = End::new(self.security(), Side::Connects, "DEALER");
        let mut hello = std::mem::take(&mut end.out);
        let greeting = gateway_zmtp::greeting::naming(gateway_zmtp::mechanism::Mechanism::Curve);
        end.hear(&greeting);
        hello.append(&mut end.out);
        assert!(hello.len() > 64 + 200);
        hello
    }
}

/// The connections send HELLO and close at once, faster than key agreements can be computed.
#[test]
fn a_flood_of_hellos_costs_no_memory_and_keeps_no_other_address_out() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let (hello, endpoint) = (gateway.hello(), gateway.endpoint());
    let address = endpoint.strip_prefix("tcp://").unwrap();
    bounded(&gateway.process, 32, || {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                let mut count = 0;
                while count < 6_000 || !done.load(Ordering::Relaxed) {
                    if let Ok(mut stream) = TcpStream::connect(address) {
                        let _ = stream.write_all(&hello);
                    }
                    count += 1;
                }
            });
            for _ in 0..3 {
                let here = Ipv4Addr::new(127, 0, 0, 2);
                let security = gateway.security();
                Peer::connect_from(here, &endpoint, security, "DEALER").met();
            }
            done.store(true, Ordering::Relaxed);
            flood.join().unwrap();
        });
    });
    gateway.alice();
}

/// The handshakes stop after the greeting, within HELLO and after HELLO.
#[test]
fn handshakes_held_open_between_their_steps_keep_nobody_out() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let (hello, endpoint) = (gateway.hello(), gateway.endpoint());
    let held = bounded(&gateway.process, 32, || {
        let mut held = Vec::new();
        for n in 0..600 {
            let mut raw = Raw::connect(&endpoint);
            let part = match n % 3 {
                0 => 64,
                1 => hello.len() - 1,
                _ => hello.len(),
            };
            raw.say(&hello[..part]);
            held.push(raw);
        }
        gateway.alice();
        held
    });
    drop(held);
    serves(&gateway.process);
}

/// An attacker on the network changes, repeats or replaces the frames of an admitted client.
#[test]
fn what_is_changed_or_repeated_on_its_way_ends_the_connection() {
    type Attack = fn(&[Vec<u8>]) -> Vec<u8>;
    let attacks: [(&str, Attack); 9] = [
        ("a changed byte", |sent| {
            let mut bytes = sent.concat();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        }),
        ("a changed nonce", |sent| {
            let mut bytes = sent.concat();
            bytes[2 + 8 + 7] ^= 0x40;
            bytes
        }),
        ("the frames in another order", |sent| {
            sent.iter().rev().flatten().copied().collect()
        }),
        ("a frame again", |sent| [&*sent[0], &*sent[0]].concat()),
        ("a frame that is cut", |sent| {
            let body = &sent[0][2..sent[0].len() - 1];
            frame(0, body)
        }),
        ("a frame of more bytes than there are", |_| {
            let size = u64::MAX >> 1;
            [&[LONG][..], &size.to_be_bytes(), b"\x07MESSAGE"].concat()
        }),
        ("a message in clear text", |_| message(&["NOBODY", "x"])),
        ("another READY", |_| command(&ready("DEALER", &[]))),
        ("another INITIATE", |_| {
            frame(COMMAND, &[&b"\x08INITIATE"[..], &[0; 248]].concat())
        }),
    ];
    let gateway = Secured::start();
    for (case, attack) in attacks {
        let mut alice = gateway.alice();
        // No route has this type, so a message that is accepted is answered with an ERROR.
        alice.say(&[b"NOBODY", b"before"]);
        assert_eq!(alice.message()[0], b"ERROR", "{case}");
        alice.end.say(&[b"NOBODY".to_vec(), b"attacked".to_vec()]);
        let sent = frames(&std::mem::take(&mut alice.end.out));
        alice.end.out = attack(&sent);
        alice.write();
        assert!(alice.is_ended(), "{case}");
        assert_eq!(alice.end.messages, [[b""; 0]; 0], "{case}");
    }
    serves(&gateway.process);
}

/// A frame that is not the next one of the handshake ends the connection before READY.
#[test]
fn nothing_gets_in_ahead_of_the_handshake() {
    let gateway = Secured::start();
    let hello = gateway.hello();
    let (greeting, command_of_hello) = hello.split_at(64);
    for (case, bytes) in [
        ("a message", message(&["OPAQUE", "x"])),
        ("READY", command(&ready("DEALER", &[]))),
        ("INITIATE", frame(COMMAND, &[b'x'; 257])),
        ("a HELLO that is cut", command(&command_of_hello[2..201])),
        ("a HELLO as a message", frame(0, &command_of_hello[2..])),
        (
            "a second HELLO at once",
            [command_of_hello, command_of_hello].concat(),
        ),
        ("PLAIN's HELLO", command(b"\x05HELLO\x05alice\x01x")),
    ] {
        let mut raw = Raw::connect(&gateway.endpoint());
        raw.say(greeting);
        raw.try_say(&bytes);
        let mut heard = Vec::new();
        // The connection ends with a close or a reset.
        let _ = std::io::Read::read_to_end(&mut raw.stream, &mut heard);
        assert!(
            !heard.windows(6).any(|part| part == b"\x05READY"),
            "{case}: {heard:?}"
        );
    }
    gateway.alice();
    serves(&gateway.process);
}
