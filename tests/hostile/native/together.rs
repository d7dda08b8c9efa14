//! A test with all attacks at once, at low priority, and with honest peers: a client, and a
//! publisher and a subscriber of a channel. No message of the honest peers is lost, and the memory
//! stays within its bound.
//!
//! In an ordinary run, the attacks last for [`SECONDS`]. `tests/hostile/hour.sh` runs the test for
//! an hour, and bounds the round trips of the honest client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::judged;
use crate::support::attack::{CLIENTS, IDLE, Service};
use crate::support::process::Process;
use crate::support::sockets::{SetOnDrop, receive, send};
use crate::support::turns;
use crate::support::zmtp::{LONG, MORE, Raw, command, frame, greeting, message, ping, ready};

/// The duration of the attacks in an ordinary run, in seconds. `TOGETHER_SECONDS` sets another
/// duration.
const SECONDS: u64 = 8;

/// The maximum of the resident memory, as a multiple of `limits.memory`.
const PEAK_MAX: f64 = 1.2;

/// The maximum resident memory in the last quarter of the attacks, as a multiple of the maximum in
/// the second quarter. The growth is checked only if the attacks last for a minute or more.
const GROWTH_MAX: f64 = 1.25;

/// The interval between two measurements of the memory.
const SAMPLING_INTERVAL: Duration = Duration::from_millis(500);

/// The pause between two messages of the honest publisher.
const PUBLISH_PAUSE: Duration = Duration::from_millis(1);

/// The number of errors in a broken edit.
const FAULTS: usize = 1_000;

const CHANNELS: &str = r#"
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" }
  kept: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last, keep_bytes: 16MiB }
limits: { memory: 384MiB }
reload: { watch: false }
"#;

const ROUTES: &str = "  tick: { publish: ticks }\n  k*: { publish: kept }\n";

/// The target of the attacks. Each attack is a method that runs until `done` is set.
struct Target<'a> {
    gateway: &'a Process,
    done: &'a AtomicBool,
}

impl Target<'_> {
    fn is_running(&self) -> bool {
        !self.done.load(Ordering::Relaxed)
    }

    /// Opens a connection to a frontend, a pool or a side of a channel. Returns `None` if the
    /// connection is refused, for example because memory is short.
    fn peer(&self, name: &str, socket_type: &str) -> Option<Raw> {
        let endpoint = self.gateway.endpoint(name);
        let stream = TcpStream::connect(endpoint.strip_prefix("tcp://")?).ok()?;
        let time = Some(Duration::from_millis(500));
        stream.set_read_timeout(time).ok()?;
        stream.set_write_timeout(time).ok()?;
        let mut raw = Raw { stream };
        let opening = [&greeting(1)[..], &command(&ready(socket_type, &[]))].concat();
        let is_sent = raw.try_send(&opening);
        (is_sent && raw.stream.read_exact(&mut [0; 64]).is_ok()).then_some(raw)
    }

    /// Sends the same bytes on several connections that never read, again and again.
    fn floods(&self, connections: usize, bytes: &[u8]) {
        while self.is_running() {
            let peers = (0..connections).filter_map(|_| self.peer(CLIENTS, "DEALER"));
            let mut peers: Vec<_> = peers.collect();
            for _ in 0..4 {
                for raw in &mut peers {
                    if self.is_running() {
                        raw.try_send(bytes);
                    }
                }
            }
        }
    }

    /// Sends the payloads that take longest to check.
    fn payloads(&self) {
        let (context, attacks) = (zmq::Context::new(), judged::attacks());
        while self.is_running() {
            let client = context.socket(zmq::DEALER).unwrap();
            client.set_linger(0).unwrap();
            client.set_rcvtimeo(500).unwrap();
            client.set_sndtimeo(500).unwrap();
            client.connect(&self.gateway.endpoint(CLIENTS)).unwrap();
            for attack in &attacks {
                let _ = client.send_multipart([attack.kind.as_bytes(), &attack.payload], 0);
            }
            while self.is_running() && client.recv_multipart(0).is_ok() {}
        }
    }

    /// Opens connections that send nothing, or speak another protocol.
    fn strangers(&self) {
        while self.is_running() {
            let mut all = Vec::new();
            for n in 0..200 {
                let endpoint = self.gateway.endpoint([CLIENTS, IDLE][n % 2]);
                let address = endpoint.strip_prefix("tcp://").unwrap();
                let Ok(mut stream) = TcpStream::connect(address) else {
                    continue;
                };
                let bytes: &[u8] = match n % 3 {
                    0 => b"",
                    1 => b"GET / HTTP/1.1\r\n\r\n",
                    _ => &[0xff; 9],
                };
                let _ = stream.write_all(bytes);
                all.push(stream);
            }
        }
    }

    /// Makes edits with many errors and edits that change a limit, and requests reloads without an
    /// edit.
    fn edits(&self, yaml: &str) {
        let faults: String = (0..FAULTS).map(|n| format!("  {n}: {{}}\n")).collect();
        for n in 0.. {
            if !self.is_running() {
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

    /// Opens HTTP connections that send nothing, or send a request and do not read the answer.
    fn http(&self) {
        while self.is_running() {
            let mut all = Vec::new();
            for n in 0..200 {
                if let Ok(mut stream) = TcpStream::connect(self.gateway.admin()) {
                    let bytes = ["", "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"][n % 2];
                    let _ = stream.write_all(bytes.as_bytes());
                    all.push(stream);
                }
            }
            self.ask("GET /status");
        }
    }

    /// Connects subscribers with the maximum number of prefixes and then a publisher, and
    /// disconnects all of them together.
    fn subscribers_with_prefixes(&self) {
        while self.is_running() {
            let mut peers = Vec::new();
            for n in 0..5 {
                let Some(mut raw) = self.peer("subscriber side of channel kept", "SUB") else {
                    continue;
                };
                for prefix in 0..10_000 {
                    let body = format!("\x09SUBSCRIBEk{n}.{prefix}");
                    raw.try_send(&command(body.as_bytes()));
                }
                peers.push(raw);
            }
            peers.extend(self.peer("publisher side of channel kept", "XPUB"));
        }
    }

    /// Publishes many messages that the channel keeps, and connects subscribers that subscribe to
    /// all of these messages and do not read.
    fn silent_subscribers(&self) {
        while self.is_running() {
            let Some(mut publisher) = self.peer("publisher side of channel kept", "PUB") else {
                continue;
            };
            let messages = (0..50_000).map(|n| message(&[format!("k{n}").as_bytes(), b"x"]));
            publisher.try_send(&messages.collect::<Vec<_>>().concat());
            let mut silent_subscribers = Vec::new();
            for _ in 0..5 {
                if let Some(mut raw) = self.peer("subscriber side of channel kept", "SUB") {
                    raw.try_send(&command(b"\x09SUBSCRIBEk"));
                    publisher.try_send(&message(&["k", "live"]).repeat(1_000));
                    silent_subscribers.push(raw);
                }
            }
        }
    }
}

/// Sends numbered messages from an honest publisher to an honest subscriber, one after the other,
/// until `done` is set. Returns the number of messages.
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
        std::thread::park_timeout(PUBLISH_PAUSE);
    }
    number
}

/// Runs `attack` on a thread of the lowest priority.
fn spawn<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    attack: impl FnOnce() + Send + 'scope,
) {
    scope.spawn(move || {
        lower_priority();
        attack();
    });
}

/// Gives the calling thread the lowest priority, so that the attacks themselves take no time from
/// the gateway. With the policy SCHED_IDLE, the thread stops running as soon as any other thread is
/// ready to run. Where chrt is missing, the thread has the nice value 19 instead, and stops only
/// after its time slice.
fn lower_priority() {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let policy = Command::new("chrt")
        .args(["--idle", "--pid", "0"])
        .arg(thread.file_name().unwrap())
        .status();
    if !policy.is_ok_and(|status| status.success()) {
        // The system gives each thread a priority of its own.
        let _ = rustix::process::setpriority_process(None, 19);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_message_of_honest_peers_is_lost_during_all_attacks_at_once() {
    let _turn = turns::take();
    let process = judged::start_with(CHANNELS, ROUTES);
    let yaml = std::fs::read_to_string(process.file()).unwrap();
    let time = Duration::from_secs(number("TOGETHER_SECONDS").unwrap_or(SECONDS));
    let bound = process.metrics().sum("gateway_memory_limit_bytes", &[]);
    let done = AtomicBool::new(false);
    // With `TOGETHER_CONTROL`, the attacks are directed at another gateway. This run shows the
    // times of the honest peers on an equally busy machine.
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
        spawn(scope, || target.silent_subscribers());
        spawn(scope, || target.payloads());
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::park_timeout(SAMPLING_INTERVAL);
            resident.push((process.memory_and_descriptors().0 << 10) as f64);
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

/// Asserts that all messages are accounted for, that the resident memory stayed within the bound,
/// and, if the attacks lasted for a minute or more, that its growth stayed within [`GROWTH_MAX`].
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
