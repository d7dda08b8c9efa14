//! Tests of `limits.memory`, the bound on the memory that all peers together take. The main test
//! runs under real limits of the system. An allocation beyond these limits fails, and the process
//! aborts. `tests/hostile/cgroup.sh` runs the test in a cgroup instead, where the system kills a
//! process that exceeds the limit.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::attack::{CLIENTS, Service, assert_serves};
use crate::support::cgroup::Cgroup;
use crate::support::process::Process;
use crate::support::turns;
use crate::support::zmtp::{LONG, MORE, Raw, Received, command, frame, message};

const YAML: &str = r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools:
  people: { bind: "tcp://127.0.0.1:0" }
  idle: { bind: "tcp://127.0.0.1:0", queue: 1000000, queue_bytes: 4GiB, timeout: 5s }
  lavish: { bind: "tcp://127.0.0.1:0", per_worker: 1000 }
channels:
  kept: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last, keep_bytes: 4GiB }
routes: { OPAQUE: { pool: people }, OTHER: { pool: idle }, LAVISH: { pool: lavish }, k*: { publish: kept } }
admin: { bind: "127.0.0.1:0" }
reload: { watch: false }
"#;

/// The maximum time for which an attacker tries to send bytes that the gateway does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// The maximum peak of the resident memory, as a multiple of the bound.
const PEAK_MAX: f64 = 1.2;

/// A thread that sends an attacker's bytes, and its connection.
struct Attacker {
    raw: Raw,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// Connects to an address as this type of socket.
    fn connect(gateway: &Process, (name, socket_type): (&str, &str)) -> Self {
        let raw = Raw::peer(&gateway.endpoint(name), socket_type);
        raw.stream.set_write_timeout(Some(WRITE_TIMEOUT)).unwrap();
        Self { raw, thread: None }
    }

    /// Starts a thread that sends these bytes the given number of times, and reads nothing.
    fn attack(&mut self, bytes: &Arc<Vec<u8>>, times: usize) {
        let stream = self.raw.stream.try_clone().unwrap();
        let (mut raw, bytes) = (Raw { stream }, Arc::clone(bytes));
        self.thread = Some(std::thread::spawn(move || {
            for _ in 0..times {
                if !raw.try_send(&bytes) {
                    break;
                }
            }
        }));
    }

    fn await_end(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A client's address and type of socket.
const CLIENT: (&str, &str) = (CLIENTS, "DEALER");

/// A kind of attack.
struct Attack {
    /// The address and the type of socket of each connection.
    socket: (&'static str, &'static str),
    /// The number of connections.
    connections: usize,
    /// The bytes that each connection sends.
    bytes: Vec<u8>,
    /// The number of times that each connection sends these bytes.
    times: usize,
}

/// Returns messages of a kilobyte, each with a type of its own.
fn kept() -> Vec<u8> {
    let payload = [7; 1 << 10];
    let messages = (0..200_000).map(|n| message(&[format!("k{n}").as_bytes(), &payload]));
    messages.collect::<Vec<_>>().concat()
}

/// Returns subscriptions to long prefixes, as many as one subscriber may have.
fn subscriptions() -> Vec<u8> {
    let all = (0..10_000).map(|n| command(format!("\x09SUBSCRIBE{n:0200}").as_bytes()));
    all.collect::<Vec<_>>().concat()
}

fn attacks() -> Vec<Attack> {
    const MIB: usize = 1 << 20;
    let large = vec![7; 15 * MIB];
    let half = [
        &frame(MORE, b"OPAQUE")[..],
        &[LONG],
        &(16_u64 << 20).to_be_bytes(),
        &large,
    ];
    vec![
        // Rejections that would repeat large headers.
        Attack {
            socket: CLIENT,
            connections: 30,
            bytes: message(&[&b"NONE"[..], &large, b""]),
            times: 2,
        },
        // Messages that never become complete.
        Attack {
            socket: CLIENT,
            connections: 30,
            bytes: half.concat(),
            times: 1,
        },
        // Requests that wait for a worker.
        Attack {
            socket: CLIENT,
            connections: 20,
            bytes: message(&[&b"OTHER"[..], &large[..MIB]]),
            times: 60,
        },
        // Many small requests that wait.
        Attack {
            socket: CLIENT,
            connections: 20,
            bytes: message(&["OTHER", ""]).repeat(10_000),
            times: 1,
        },
        // Requests with headers that are kept until the answer.
        Attack {
            socket: CLIENT,
            connections: 20,
            bytes: message(&[&b"LAVISH"[..], &large[..MIB / 4], b"x"]),
            times: 100,
        },
        // Large answers that are not read.
        Attack {
            socket: CLIENT,
            connections: 20,
            bytes: message(&["LAVISH", "x"]),
            times: 60,
        },
        // Messages with types of their own, all of which a channel keeps.
        Attack {
            socket: ("publisher side of channel kept", "PUB"),
            connections: 1,
            bytes: kept(),
            times: 1,
        },
        // Subscriptions.
        Attack {
            socket: ("subscriber side of channel kept", "SUB"),
            connections: 30,
            bytes: subscriptions(),
            times: 1,
        },
    ]
}

/// Answers every request of the pool `lavish` with a megabyte, until `done` is set.
fn answer_lavishly(gateway: &Process, done: &Arc<AtomicBool>) -> JoinHandle<()> {
    let context = zmq::Context::new();
    let worker = gateway.peer(&context, zmq::DEALER, "pool lavish");
    worker.set_rcvtimeo(50).unwrap();
    let done = Arc::clone(done);
    std::thread::spawn(move || {
        let payload = vec![7; 1 << 20];
        while !done.load(Ordering::Relaxed) {
            if let Ok(mut frames) = worker.recv_multipart(0) {
                let last = frames.len() - 1;
                frames[1] = b"REPLY".to_vec();
                frames[last].clone_from(&payload);
                worker.send_multipart(frames, 0).unwrap();
            }
        }
    })
}

/// Asserts that small requests, of 16 KiB, are answered.
fn assert_small_requests_are_answered(gateway: &Process) {
    let mut honest = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let payload = vec![7; 16 << 10];
    for number in ["1", "2", "3"] {
        honest.send(&message(&[&b"OPAQUE"[..], number.as_bytes(), &payload]));
        let Received::Message(frames) = honest.receive() else {
            panic!("no answer");
        };
        let expected = [b"REPLY".to_vec(), number.into(), payload.clone()];
        assert!(frames == expected, "{:?}", frames[0]);
    }
}

/// The number of bytes that the limits of the system allow.
const LIMIT: u64 = 512 << 20;

/// Limits on the address space (1 GiB) and on data (512 MiB). The gateway does not count half a
/// gigabyte of the address space as memory, so both limits allow 512 MiB of memory.
const LIMITS: &str = "ulimit -v 1048576 && ulimit -d 524288";

/// All attacks at once demand gigabytes. By default, the bound is half of the memory that the
/// limits of the system allow. Beyond those limits, an allocation fails and the process aborts.
#[test]
fn all_peers_together_stay_within_the_bound_under_limits_of_the_system() {
    let _turn = turns::take();
    // The cgroup can be removed only after the process has ended.
    let in_cgroup = std::env::var_os("MEMORY_IN_CGROUP").is_some();
    let group = in_cgroup.then(|| Cgroup::create("gateway-memory", LIMIT).unwrap());
    let limits = group.as_ref().map_or(LIMITS.into(), Cgroup::entering);
    let gateway = Process::start_under(&limits, YAML);
    let bound = gateway.metrics().sum("gateway_memory_limit_bytes", &[]);
    assert_eq!(bound, (LIMIT / 2) as f64);
    let done = Arc::new(AtomicBool::new(false));
    let lavish = answer_lavishly(&gateway, &done);
    let service = Service::start(&gateway);
    let attacks = attacks();
    let connect = |attack: &Attack| -> Vec<_> {
        (0..attack.connections)
            .map(|_| Attacker::connect(&gateway, attack.socket))
            .collect()
    };
    let mut groups: Vec<_> = attacks.iter().map(connect).collect();
    for (attack, attackers) in attacks.into_iter().zip(&mut groups) {
        let bytes = Arc::new(attack.bytes);
        for attacker in attackers {
            attacker.attack(&bytes, attack.times);
        }
    }
    gateway.await_metrics("a shortage of memory", |metrics| {
        metrics.sum("gateway_memory_short", &[]) == 1.0
    });
    assert_small_requests_are_answered(&gateway);
    for attacker in groups.iter_mut().flatten() {
        attacker.await_end();
    }
    assert_small_requests_are_answered(&gateway);
    let metrics = gateway.metrics();
    let held = metrics.sum("gateway_memory_held_bytes", &[]);
    let refused = metrics.sum(
        "gateway_rejections_total",
        &["reason=\"client_limit\"", "route=\"OTHER\""],
    );
    let peak = (gateway.peak() << 10) as f64;
    println!(
        "held {:.0} MiB, peak {:.0} MiB, {:.0} % of the bound; {refused} refused",
        held / f64::from(1 << 20),
        peak / f64::from(1 << 20),
        100.0 * peak / bound,
    );
    assert!(peak <= PEAK_MAX * bound, "{peak} bytes");
    assert!(refused > 0.0, "each refusal is counted by its reason");
    // Once the attackers have disconnected, the shortage ends.
    for attacker in groups.iter().flatten() {
        let _ = attacker.raw.stream.shutdown(Shutdown::Both);
    }
    drop(groups);
    gateway.await_metrics("the end of the shortage", |metrics| {
        metrics.sum("gateway_memory_short", &[]) == 0.0
    });
    service.end();
    done.store(true, Ordering::Relaxed);
    lavish.join().unwrap();
    assert_serves(&gateway);
}

#[test]
fn the_default_bound_is_half_of_the_limit_of_the_cgroup() {
    let group = match Cgroup::create("gateway-bound", LIMIT) {
        Ok(group) => group,
        Err(error) => {
            eprintln!("skipped: this process may not create a cgroup: {error}");
            return;
        }
    };
    let gateway = Process::start_under(&group.entering(), YAML);
    let bound = gateway.metrics().sum("gateway_memory_limit_bytes", &[]);
    assert_eq!(bound, (LIMIT / 2) as f64);
}

/// Answers are queued for clients that do not read, and are dropped when these clients disconnect.
#[test]
fn memory_of_a_burst_is_returned_to_the_system() {
    let _turn = turns::take();
    let gateway = Process::start(YAML);
    let done = Arc::new(AtomicBool::new(false));
    let lavish = answer_lavishly(&gateway, &done);
    let resident = |gateway: &Process| {
        let metrics = gateway.metrics();
        metrics.sum("process_resident_memory_bytes", &[])
    };
    let before = resident(&gateway);
    let mut silent: Vec<_> = (0..10)
        .map(|_| Attacker::connect(&gateway, CLIENT))
        .collect();
    for client in &mut silent {
        client.raw.send(&message(&["LAVISH", "x"]).repeat(20));
    }
    let held = 150.0 * f64::from(1 << 20);
    gateway.await_metrics("the answers", |metrics| {
        metrics.sum("gateway_memory_held_bytes", &[]) > held
    });
    drop(silent);
    let after_max = before + held / 4.0;
    gateway.await_metrics("the memory", |metrics| {
        metrics.sum("process_resident_memory_bytes", &[]) < after_max
    });
    done.store(true, Ordering::Relaxed);
    lavish.join().unwrap();
}

#[test]
fn an_edit_of_the_memory_bound_takes_effect_live() {
    let gateway = Process::start(&format!("{YAML}limits: {{ memory: 64MiB }}\n"));
    gateway.await_first_check();
    let limit = |gateway: &Process| gateway.metrics().sum("gateway_memory_limit_bytes", &[]);
    assert_eq!(limit(&gateway), f64::from(64 << 20));
    let edited = format!("{YAML}limits: {{ memory: 128MiB }}\n");
    std::fs::write(gateway.file(), edited).unwrap();
    assert_eq!(gateway.reload().json()["outcome"], "applied");
    gateway.await_metrics("the other bound", |metrics| {
        metrics.sum("gateway_memory_limit_bytes", &[]) == f64::from(128 << 20)
    });
}
