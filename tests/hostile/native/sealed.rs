//! Tests of attacks on CURVE, by peers without a key and by an attacker that changes bytes on the
//! network: no message of these attackers is accepted, and no other peer is delayed.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::support::TEST_TIMEOUT;
use crate::support::attack::{Service, assert_bounded, assert_serves};
use crate::support::binary::binary;
use crate::support::process::Process;
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{End, client, frames, keys};
use crate::support::sockets::receive;
use crate::support::turns;
use crate::support::zmtp::{COMMAND, LONG, Raw, command, frame, message, ready};
use gateway_zmtp::curve::{FrameKind, KeyPair};
use gateway_zmtp::greeting::naming;
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::plain::Client;
use gateway_zmtp::session::{SessionSecurity, Side};

/// A gateway with a frontend for all clients, and with a frontend and a pool for the key of `alice`
/// alone.
pub struct Secured {
    pub process: Process,
    pub ours: KeyPair,
    pub alice: KeyPair,
    /// Holds the key of the gateway.
    _files: tempfile::TempDir,
}

impl Secured {
    pub fn start() -> Self {
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
    security: {{ curve: {{ secret: {secret:?}, peers: {{ alice: "{key}" }} }} }}
pools:
  people: {{ bind: "tcp://127.0.0.1:0" }}
  idle: {{ bind: "tcp://127.0.0.1:0" }}
  sealed:
    bind: "tcp://127.0.0.1:0"
    per_worker: 100
    security: {{ curve: {{ secret: {secret:?}, peers: {{ alice: "{key}" }} }} }}
routes: {{ OPAQUE: {{ pool: people }}, OTHER: {{ pool: idle }}, SEALED: {{ pool: sealed }} }}
limits: {{ client_bytes: 256MiB }}
"#,
            key = alice.public()
        );
        Self {
            process: Process::start(&yaml),
            ours,
            alice,
            _files: files,
        }
    }

    pub fn endpoint(&self) -> String {
        self.process.endpoint("frontend secured")
    }

    fn security(&self) -> SessionSecurity {
        client(&self.alice, self.ours.public())
    }

    pub fn alice(&self) -> Peer {
        Peer::connect(&self.endpoint(), self.security(), "DEALER").admitted()
    }

    /// Returns the greeting and the HELLO of a client.
    pub fn hello(&self) -> Vec<u8> {
        let mut end = End::new(self.security(), Side::Connects, "DEALER");
        let mut hello = std::mem::take(&mut end.out);
        let greeting = naming(Mechanism::Curve);
        end.hear(&greeting);
        hello.append(&mut end.out);
        assert!(hello.len() > 64 + 200);
        hello
    }
}

/// Connections send HELLO and close at once, faster than key agreements can be computed.
#[test]
fn a_flood_of_hellos_costs_no_memory_and_blocks_no_other_address() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let (hello, endpoint) = (gateway.hello(), gateway.endpoint());
    let address = endpoint.strip_prefix("tcp://").unwrap();
    assert_bounded(&gateway.process, 32, || {
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
                Peer::connect_from(here, &endpoint, security, "DEALER").admitted();
            }
            done.store(true, Ordering::Relaxed);
            flood.join().unwrap();
        });
    });
    gateway.alice();
}

/// The number of HELLOs that one address sends each second.
const HELLOS_PER_SECOND: u32 = 10_000;

/// The interval between two bursts of HELLOs.
const BURST_INTERVAL: Duration = Duration::from_millis(10);

/// Sends [`HELLOS_PER_SECOND`] HELLOs each second, or as many as possible, until the sender of
/// `stopped` is dropped. Each HELLO has a connection of its own. Returns the number of HELLOs.
fn flood(gateway: &Secured, stopped: &Receiver<()>) -> u32 {
    let (hello, endpoint) = (gateway.hello(), gateway.endpoint());
    let address = endpoint.strip_prefix("tcp://").unwrap();
    let began = Instant::now();
    let (mut count, mut burst) = (0, 0);
    loop {
        for _ in 0..HELLOS_PER_SECOND / 100 {
            if let Ok(mut stream) = TcpStream::connect(address) {
                let _ = stream.write_all(&hello);
                count += 1;
            }
        }
        burst += 1;
        let pause = (BURST_INTERVAL * burst).saturating_sub(began.elapsed());
        if stopped.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return count;
        }
    }
}

/// `hellos.sh` also runs this test with `HELLOS_CONTROL`, which directs the flood at another
/// gateway. The load of the machine is then the same, so the script can compare the round trips of
/// both runs.
#[test]
fn clients_and_new_peers_are_served_during_ten_thousand_hellos_a_second() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let control = std::env::var_os("HELLOS_CONTROL").map(|_| Secured::start());
    let seconds = std::env::var("HELLOS_SECONDS");
    let seconds = seconds.map_or(1, |text| text.parse().expect("a number"));
    let duration = Duration::from_secs(seconds);
    let service = Service::start(&gateway.process);
    let (stop, stopped) = channel();
    let (count, newcomers, slowest) = std::thread::scope(|scope| {
        let flooded = control.as_ref().unwrap_or(&gateway);
        let flood = scope.spawn(move || flood(flooded, &stopped));
        let began = Instant::now();
        let (mut newcomers, mut slowest) = (0, Duration::ZERO);
        while began.elapsed() < duration {
            let connecting = Instant::now();
            let here = Ipv4Addr::new(127, 0, 0, 2);
            Peer::connect_from(here, &gateway.endpoint(), gateway.security(), "DEALER").admitted();
            slowest = slowest.max(connecting.elapsed());
            newcomers += 1;
        }
        drop(stop);
        (flood.join().unwrap(), newcomers, slowest)
    });
    println!("{count} HELLOs in {seconds} s, and {newcomers} newcomers, each within {slowest:?}");
    assert!(
        u64::from(count) >= 100 * seconds,
        "{count} HELLOs are no flood"
    );
    assert!(slowest < TEST_TIMEOUT / 4, "{slowest:?}");
    service.end();
}

/// Handshakes stop after the greeting, within HELLO and after HELLO.
#[test]
fn stalled_handshakes_block_no_other_peer() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let (hello, endpoint) = (gateway.hello(), gateway.endpoint());
    let held = assert_bounded(&gateway.process, 32, || {
        let mut held = Vec::new();
        for n in 0..600 {
            let mut raw = Raw::connect(&endpoint);
            let part = match n % 3 {
                0 => 64,
                1 => hello.len() - 1,
                _ => hello.len(),
            };
            raw.send(&hello[..part]);
            held.push(raw);
        }
        gateway.alice();
        held
    });
    drop(held);
    assert_serves(&gateway.process);
}

/// An attacker on the network changes, repeats or replaces the frames of an admitted client.
#[test]
fn changed_or_repeated_frames_end_the_connection() {
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
        ("a truncated frame", |sent| {
            let body = &sent[0][2..sent[0].len() - 1];
            frame(0, body)
        }),
        ("a frame with a size that is too large", |_| {
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
        alice.send(&[b"NOBODY", b"before"]);
        assert_eq!(alice.message()[0], b"ERROR", "{case}");
        alice.end.say(&[b"NOBODY".to_vec(), b"attacked".to_vec()]);
        let sent = frames(&std::mem::take(&mut alice.end.out));
        alice.end.out = attack(&sent);
        alice.write();
        assert!(alice.is_ended(), "{case}");
        assert_eq!(alice.end.messages, [[b""; 0]; 0], "{case}");
    }
    assert_serves(&gateway.process);
}

/// An admitted client announces another identity, or subscribes as if the gateway were a PUB. All
/// frames are sealed correctly.
#[test]
fn sealed_commands_change_no_principal_and_cost_no_memory() {
    let gateway = Secured::start();
    let context = zmq::Context::new();
    let worker = gateway.process.peer(&context, zmq::DEALER, "pool idle");
    let mut alice = gateway.alice();
    let again = ready("DEALER", &[("Identity", b"bob")]);
    seal(&mut alice, &again);
    assert!(alice.is_ended());
    let mut alice = gateway.alice();
    assert_bounded(&gateway.process, 32, || {
        for name in [&b"\x09SUBSCRIBE"[..], b"\x06CANCEL"] {
            for _ in 0..1_000 {
                seal(&mut alice, &[name, &[7; 8_000]].concat());
            }
        }
        alice.send(&[b"OTHER", b"x"]);
        let request = receive(&worker);
        assert!(request[0].starts_with(b"alice#"), "{request:?}");
    });
    assert_serves(&gateway.process);
}

/// Sends a sealed command.
fn seal(peer: &mut Peer, body: &[u8]) {
    let sealer = peer.end.sealer.as_mut().unwrap();
    let sealed = sealer.seal(FrameKind::Command, body, &mut peer.end.out);
    sealed.unwrap();
    peer.write();
}

/// The connections send no bytes. There are more of them than libzmq 4.3.2 could handle
/// (CVE-2020-15166).
#[test]
fn a_thousand_silent_connections_block_no_other_peer() {
    let _turn = turns::take();
    let gateway = Secured::start();
    let endpoint = gateway.endpoint();
    let silent = assert_bounded(&gateway.process, 32, || {
        let silent: Vec<_> = (0..1_000).map(|_| Raw::connect(&endpoint)).collect();
        gateway.alice();
        silent
    });
    assert_serves(&gateway.process);
    drop(silent);
}

/// Connections with wrong passwords from one address occupy the thread that verifies them.
#[test]
fn a_flood_of_wrong_passwords_blocks_no_other_address() {
    const FLOOD: usize = 100;
    let _turn = turns::take();
    let files = tempfile::tempdir().unwrap();
    let users = files.path().join("users");
    fs::write(&users, line("alice", "secret")).unwrap();
    let yaml = format!(
        r#"
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
  guarded: {{ bind: "tcp://127.0.0.1:0", security: {{ plain: {{ users: {users:?} }} }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
admin: {{ bind: "127.0.0.1:0" }}
"#
    );
    let process = Process::start(&yaml);
    let endpoint = process.endpoint("frontend guarded");
    let flood: Vec<_> = (0..FLOOD)
        .map(|n| {
            let mut raw = Raw::connect(&endpoint);
            let (_, hello) = Client::hello("alice", &format!("wrong {n}")).unwrap();
            raw.send(&[&naming(Mechanism::Plain)[..], &command(&hello)].concat());
            raw
        })
        .collect();
    let context = zmq::Context::new();
    let alice = context.socket(zmq::DEALER).unwrap();
    alice.set_linger(0).unwrap();
    alice.set_rcvtimeo(TEST_TIMEOUT.as_millis() as i32).unwrap();
    alice.set_plain_username(Some("alice")).unwrap();
    alice.set_plain_password(Some("secret")).unwrap();
    alice
        .connect(&endpoint.replacen("tcp://", "tcp://127.0.0.2:0;", 1))
        .unwrap();
    alice.send_multipart(["NOBODY", "x"], 0).unwrap();
    assert_eq!(alice.recv_multipart(0).unwrap()[0], b"ERROR");
    // The flood is not over, because some of its passwords have not been verified yet. It does not
    // delay messages.
    let refused = process
        .metrics()
        .sum("gateway_engine_handshakes_failed_total", &[]);
    assert!(refused < FLOOD as f64, "{refused}");
    assert_serves(&process);
    drop(flood);
}

/// Returns the line of a user in a file of users.
fn line(user: &str, password: &str) -> String {
    let mut child = std::process::Command::new(binary())
        .args(["keygen", "--user", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(password.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A frame that does not come next in the handshake ends the connection before READY.
#[test]
fn frames_out_of_the_order_of_the_handshake_end_the_connection() {
    let gateway = Secured::start();
    let hello = gateway.hello();
    let (greeting, command_of_hello) = hello.split_at(64);
    for (case, bytes) in [
        ("a message", message(&["OPAQUE", "x"])),
        ("READY", command(&ready("DEALER", &[]))),
        ("INITIATE", frame(COMMAND, &[b'x'; 257])),
        ("a truncated HELLO", command(&command_of_hello[2..201])),
        ("a HELLO as a message", frame(0, &command_of_hello[2..])),
        (
            "a second HELLO at once",
            [command_of_hello, command_of_hello].concat(),
        ),
        ("PLAIN's HELLO", command(b"\x05HELLO\x05alice\x01x")),
    ] {
        let mut raw = Raw::connect(&gateway.endpoint());
        raw.send(greeting);
        raw.try_send(&bytes);
        let mut received = Vec::new();
        // The connection ends with a close or a reset.
        let _ = std::io::Read::read_to_end(&mut raw.stream, &mut received);
        assert!(
            !received.windows(6).any(|part| part == b"\x05READY"),
            "{case}: {received:?}"
        );
    }
    gateway.alice();
    assert_serves(&gateway.process);
}

/// Small frames and PINGs are sent between large frames, which another thread opens and seals.
#[test]
fn large_frames_are_opened_off_the_data_thread_in_their_order() {
    const ROUNDS: usize = 40;
    let _turn = turns::take();
    let gateway = Secured::start();
    let pool = gateway.process.endpoint("pool sealed");
    let mut worker = Peer::connect(&pool, gateway.security(), "DEALER").admitted();
    let mut alice = gateway.alice();
    let large: Vec<u8> = (0..1_000_000).map(|n| n as u8).collect();
    for n in 0..ROUNDS {
        let n = n.to_string().into_bytes();
        alice
            .end
            .say(&[b"SEALED".to_vec(), n.clone(), large.clone()]);
        alice.end.ping();
        alice.end.say(&[b"SEALED".to_vec(), large.clone(), n]);
        alice.write();
        for _ in 0..2 {
            let mut request = worker.message();
            request[1] = b"REPLY".to_vec();
            worker.end.say(&request);
            worker.write();
        }
    }
    for n in 0..ROUNDS {
        let n = n.to_string().into_bytes();
        let expected = [b"REPLY".to_vec(), n.clone(), large.clone()];
        assert!(alice.message() == expected, "{n:?}");
        assert!(alice.message() == [b"REPLY".to_vec(), large.clone(), n]);
    }
    let (data, frames) = (
        gateway.process.cpu_of("data"),
        gateway.process.cpu_of("frames"),
    );
    println!("the thread data took {data} ticks, and the thread frames took {frames}");
    assert!(data < frames, "{data} {frames}");
}
