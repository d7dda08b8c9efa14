//! A test with all attacks at once, at low priority, and with honest peers: a client, and a
//! publisher and a subscriber of a channel. No message of the honest peers is lost, and the memory
//! stays within its bound.
//!
//! An ordinary run takes some seconds. `tests/hostile/hour.sh` runs it for an hour, and bounds the
//! round trips of the honest client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::judged;
use crate::support::attack::{CLIENTS, IDLE, Service};
use crate::support::process::Process;
use crate::support::sockets::{SetOnDrop, receive, send};
use crate::support::turns;
use crate::support::zmtp::{LONG, MORE, Raw, command, frame, greeting, message, ping, ready};

/// The time of the attacks in an ordinary run, in seconds; `TOGETHER_SECONDS` sets another.
const SECONDS: u64 = 8;

/// The maximum of the resident memory, as a multiple of `limits.memory`.
const PEAK_MAX: f64 = 1.2;

/// The maximum of the resident memory at the end, as a multiple of that after a quarter of the
/// time, if the attacks last for a minute or more.
const GROWTH_MAX: f64 = 1.25;

/// The time between two measurements of the memory.
const SAMPLING: Duration = Duration::from_millis(500);

/// The time between two messages of the honest publisher.
const PACE: Duration = Duration::from_millis(1);

/// The number of faults of a broken edit.
const FAULTS: usize = 1_000;

const CHANNELS: &str = r#"
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" }
  kept: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last, keep_bytes: 16MiB }
limits: { memory: 384MiB }
reload: { watch: false }
"#;

const ROUTES: &str = "  tick: { publish: ticks }\n  k*: { publish: kept }\n";

/// The target of the attacks.
struct Target<'a> {
    gateway: &'a Process,
    done: &'a AtomicBool,
}

impl Target<'_> {
    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    /// Opens a connection to a frontend, a pool or a side of a channel. Returns `None` if it is
    /// refused, as when memory is short.
    fn peer(&self, name: &str, socket_type: &str) -> Option<Raw> {
        let endpoint = self.gateway.endpoint(name);
        let stream = TcpStream::connect(endpoint.strip_prefix("tcp://")?).ok()?;
        let time = Some(Duration::from_millis(500));
        stream.set_read_timeout(time).ok()?;
        stream.set_write_timeout(time).ok()?;
        let mut raw = Raw { stream };
        let opening = [&greeting(1)[..], &command(&ready(socket_type, &[]))].concat();
        let said = raw.try_say(&opening);
        (said && raw.stream.read_exact(&mut [0; 64]).is_ok()).then_some(raw)
    }

    /// Sends the same bytes on several connections that never read, again and again.
    fn floods(&self, connections: usize, bytes: &[u8]) {
        while self.goes_on() {
            let peers = (0..connections).filter_map(|_| self.peer(CLIENTS, "DEALER"));
            let mut peers: Vec<_> = peers.collect();
            for _ in 0..4 {
                for raw in &mut peers {
                    if self.goes_on() {
                        raw.try_say(bytes);
                    }
                }
            }
        }
    }

    /// A client with the payloads that take longest to check.
    fn payloads(&self) {
        let (context, attacks) = (zmq::Context::new(), judged::attacks());
        while self.goes_on() {
            let client = context.socket(zmq::DEALER).unwrap();
            client.set_linger(0).unwrap();
            client.set_rcvtimeo(500).unwrap();
            client.set_sndtimeo(500).unwrap();
            client.connect(&self.gateway.endpoint(CLIENTS)).unwrap();
            for attack in &attacks {
                let _ = client.send_multipart([attack.kind.as_bytes(), &attack.payload], 0);
            }
            while self.goes_on() && client.recv_multipart(0).is_ok() {}
        }
    }

    /// Strangers: silent connections, and other protocols.
    fn strangers(&self) {
        while self.goes_on() {
            let mut all = Vec::new();
            for n in 0..200 {
                let endpoint = self.gateway.endpoint([CLIENTS, IDLE][n % 2]);
                let address = endpoint.strip_prefix("tcp://").unwrap();
                let Ok(mut stream) = TcpStream::connect(address) else {
                    continue;
                };
                let said: &[u8] = match n % 3 {
                    0 => b"",
                    1 => b"GET / HTTP/1.1\r\n\r\n",
                    _ => &[0xff; 9],
                };
                let _ = stream.write_all(said);
                all.push(stream);
            }
        }
    }

    /// Edits with many faults, edits that change a limit, and requests to reload without an edit.
    fn edits(&self, yaml: &str) {
        let faults: String = (0..FAULTS).map(|n| format!("  {n}: {{}}\n")).collect();
        for n in 0.. {
            if !self.goes_on() {
                break;
            }
            let text = match n % 3 {
                0 => yaml.replace("routes:\n", &format!("routes:\n{faults}")),
                1 => yaml.replace("384MiB", "385MiB"),
                _ => yaml.to_owned(),
            };
            std::fs::write(self.gateway.file(), text).unwrap();
            for _ in 0..10 {
                self.ask("POST /reload");
            }
        }
        std::fs::write(self.gateway.file(), yaml).unwrap();
    }

    /// Sends a request to the HTTP listener, and reads a byte of the answer.
    fn ask(&self, what: &str) {
        if let Ok(mut stream) = TcpStream::connect(self.gateway.admin()) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let head = format!("{what} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.read(&mut [0]);
        }
    }

    /// HTTP clients that are silent, or that send requests and do not read the answers.
    fn http(&self) {
        while self.goes_on() {
            let mut all = Vec::new();
            for n in 0..200 {
                if let Ok(mut stream) = TcpStream::connect(self.gateway.admin()) {
                    let said = ["", "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"][n % 2];
                    let _ = stream.write_all(said.as_bytes());
                    all.push(stream);
                }
            }
            self.ask("GET /status");
        }
    }

    /// Subscribers that have the maximum number of prefixes and disconnect at once, and publishers
    /// that connect meanwhile.
    fn subscribers_with_prefixes(&self) {
        while self.goes_on() {
            let mut crowd = Vec::new();
            for n in 0..5 {
                let Some(mut raw) = self.peer("subscriber side of channel kept", "SUB") else {
                    continue;
                };
                for prefix in 0..10_000 {
                    let body = format!("\x09SUBSCRIBEk{n}.{prefix}");
                    raw.try_say(&command(body.as_bytes()));
                }
                crowd.push(raw);
            }
            crowd.extend(self.peer("publisher side of channel kept", "XPUB"));
        }
    }

    /// A publisher that fills the memory of kept messages, and subscribers that subscribe to all of
    /// them and do not read.
    fn sleepers(&self) {
        while self.goes_on() {
            let Some(mut publisher) = self.peer("publisher side of channel kept", "PUB") else {
                continue;
            };
            let messages = (0..50_000).map(|n| message(&[format!("k{n}").as_bytes(), b"x"]));
            publisher.try_say(&messages.collect::<Vec<_>>().concat());
            let mut sleepers = Vec::new();
            for _ in 0..5 {
                if let Some(mut raw) = self.peer("subscriber side of channel kept", "SUB") {
                    raw.try_say(&command(b"\x09SUBSCRIBEk"));
                    publisher.try_say(&message(&["k", "live"]).repeat(1_000));
                    sleepers.push(raw);
                }
            }
        }
    }
}

/// Sends numbered messages from an honest publisher to an honest subscriber, one after the other.
/// Returns their number.
fn exchange(gateway: &Process, done: &AtomicBool) -> u64 {
    let context = zmq::Context::new();
    let connect = |kind, side: &str| {
        let socket = context.socket(kind).unwrap();
        socket.set_rcvtimeo(30_000).unwrap();
        let endpoint = gateway.endpoint(&format!("{side} side of channel ticks"));
        socket.connect(&endpoint).unwrap();
        socket
    };
    let publisher = connect(zmq::XPUB, "publisher");
    let subscriber = connect(zmq::SUB, "subscriber");
    subscriber.set_subscribe(b"tick").unwrap();
    assert_eq!(receive(&publisher), [b"\x01tick"]);
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        let text = number.to_string();
        send(&publisher, &["tick", &text]);
        assert_eq!(receive(&subscriber), [b"tick", text.as_bytes()]);
        number += 1;
        std::thread::park_timeout(PACE);
    }
    number
}

/// Runs `attack` on a thread of the lowest priority.
fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    attack: impl FnOnce() + Send + 'scope,
) {
    scope.spawn(move || {
        // The system gives each thread a priority of its own.
        let _ = rustix::process::setpriority_process(None, 19);
        attack();
    });
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn all_attacks_together_take_nothing_from_honest_peers() {
    let _turn = turns::take();
    let process = judged::start_with(CHANNELS, ROUTES);
    let yaml = std::fs::read_to_string(process.file()).unwrap();
    let time = Duration::from_secs(number("TOGETHER_SECONDS").unwrap_or(SECONDS));
    let bound = process.metrics().sum("gateway_memory_limit_bytes", &[]);
    let done = AtomicBool::new(false);
    // The control shows the times of the honest peers on a machine that is as busy.
    let other = std::env::var_os("TOGETHER_CONTROL").map(|_| judged::start_with(CHANNELS, ROUTES));
    let target = Target {
        gateway: other.as_ref().unwrap_or(&process),
        done: &done,
    };
    let large = vec![7; 15 << 20];
    let rejected = message(&[&b"NONE"[..], &large, b""]);
    let size = (16_u64 << 20).to_be_bytes();
    let half = [
        &frame(MORE, b"OPAQUE")[..],
        &[LONG],
        &size,
        &large[..1 << 20],
    ]
    .concat();
    let queued = message(&[&b"OTHER"[..], &large[..1 << 20]]);
    let small = message(&["OTHER", ""]).repeat(1_000);
    let pings = ping(1, b"context").repeat(1_000);
    let tiny = [MORE, 1, b'x'].repeat(90);
    let service = Service::start(&process);
    let (mut resident, mut ticks) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let target = &target;
        let guard = SetOnDrop(target.done);
        let honest = scope.spawn(|| exchange(&process, target.done));
        for bytes in [&rejected, &half, &queued, &small, &pings, &tiny] {
            spawn(scope, || target.floods(10, bytes));
        }
        spawn(scope, || target.strangers());
        spawn(scope, || target.edits(&yaml));
        spawn(scope, || target.http());
        spawn(scope, || target.subscribers_with_prefixes());
        spawn(scope, || target.sleepers());
        spawn(scope, || target.payloads());
        let until = Instant::now() + time;
        while Instant::now() < until {
            std::thread::park_timeout(SAMPLING);
            resident.push((process.footprint().0 << 10) as f64);
        }
        drop(guard);
        ticks = honest.join().unwrap();
    });
    let p99 = service.end();
    println!("{ticks} messages of a channel meanwhile");
    assert_is_sound(&process, bound, &resident, time);
    if let Some(most) = number("TOGETHER_P99_MS") {
        assert!(p99 < Duration::from_millis(most), "{p99:?}");
    }
}

/// Asserts that all messages are accounted for, and that the resident memory was within the bound,
/// and constant if the attacks lasted long.
fn assert_is_sound(process: &Process, bound: f64, resident: &[f64], time: Duration) {
    let metrics = process.metrics();
    metrics.assert_balanced();
    let peak = (process.peak() << 10) as f64;
    let quarter = resident.len() / 4;
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let (early, late) = (
        most(&resident[quarter..2 * quarter.max(1)]),
        most(&resident[3 * quarter..]),
    );
    println!(
        "peak {:.0} % of the bound; {:.0} MiB in the second quarter, {:.0} MiB in the last",
        100.0 * peak / bound,
        early / f64::from(1 << 20),
        late / f64::from(1 << 20),
    );
    if let Some([ran, waited]) = process.schedule_of("data") {
        println!("the data thread ran for {ran:?}, and waited {waited:?} for a processor");
    }
    for le in ["0.005", "0.01", "0.025", "0.05", "0.1"] {
        let turns = metrics.sum("gateway_engine_turn_seconds_count", &[]);
        let label = format!("le=\"{le}\"");
        let short = metrics.sum("gateway_engine_turn_seconds_bucket", &[&label]);
        println!("{} of {turns} turns took more than {le} s", turns - short);
    }
    assert!(peak <= PEAK_MAX * bound, "{peak} bytes");
    if time >= Duration::from_secs(60) {
        assert!(late <= GROWTH_MAX * early, "{late} bytes after {early}");
    }
}
