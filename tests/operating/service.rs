//! Tests of the notifications for a service manager (see sd_notify(3)), which arrive on a real
//! datagram socket, and of the priorities of the process's threads.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use crate::support::TEST_TIMEOUT;
use crate::support::binary::binary;
use crate::support::process::Process;

const YAML: &str = r#"frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { A: { pool: people } }
reload: { watch: false }
"#;

/// On a busy machine, the data thread must not wait for the threads that compile a configuration or
/// answer HTTP requests.
#[test]
fn the_data_thread_has_the_highest_priority() {
    let yaml = format!("{YAML}admin: {{ bind: \"127.0.0.1:0\" }}\n");
    let process = Process::start(&yaml);
    let data = process.nice_of("data");
    assert!(data.is_some());
    let deadline = Instant::now() + TEST_TIMEOUT;
    for thread in ["admin", "follower"] {
        // A new thread needs a moment until it has set its name and lowered its priority.
        while process.nice_of(thread) <= data {
            assert!(Instant::now() < deadline, "{thread} has no lower priority");
        }
    }
}

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Self { socket, directory }
    }

    /// Starts a gateway with these additional environment variables.
    fn start(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = Command::new(binary());
        command
            .env("NOTIFY_SOCKET", self.directory.path().join("notify"))
            .envs(variables.iter().copied());
        Process::start_by(command, YAML)
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut state = [0; 1024];
        let length = self.socket.recv(&mut state).expect("a datagram");
        String::from_utf8(state[..length].to_vec()).unwrap()
    }

    /// Receives the notification that a reload has started, and asserts that the reload started at
    /// `from` or later. `from` is a time of the monotonic clock, in microseconds.
    #[track_caller]
    fn assert_reload_started_since(&self, from: u64) {
        let state = self.next();
        let at = state.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        let at: u64 = at.unwrap_or_else(|| panic!("{state}")).parse().unwrap();
        assert!((from..=now()).contains(&at), "{from} {at}");
    }
}

/// Returns the time of the monotonic clock in microseconds.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec * 1_000_000 + now.tv_nsec / 1_000) as u64
}

#[test]
fn a_manager_is_notified_of_the_startup_reloads_and_the_shutdown() {
    let manager = Manager::new();
    let mut gateway = manager.start(&[]);
    assert_eq!(manager.next(), "READY=1");
    let valid = format!("{YAML}limits: {{ frames: 9 }}\n");
    for text in [YAML, &valid, "routes: [", YAML] {
        let from = now();
        fs::write(gateway.file(), text).unwrap();
        gateway.signal("HUP");
        manager.assert_reload_started_since(from);
        assert_eq!(manager.next(), "READY=1", "{text}");
    }
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    assert_eq!(manager.next(), "STOPPING=1");
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0]).is_err());
}

#[test]
fn the_watchdog_is_notified_only_if_it_asked_this_process() {
    let manager = Manager::new();
    let gateway = manager.start(&[("WATCHDOG_USEC", "100000")]);
    assert_eq!(manager.next(), "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    drop(gateway);
    let gateway = manager.start(&[("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")]);
    // The first gateway may have sent one more notification to the watchdog.
    while manager.next() == "WATCHDOG=1" {}
    gateway.signal("TERM");
    assert_eq!(manager.next(), "STOPPING=1");
}

#[test]
fn notifications_reach_an_abstract_socket() {
    let name = format!("gateway-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut command = Command::new(binary());
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let _gateway = Process::start_by(command, YAML);
    let mut state = [0; 64];
    let length = socket.recv(&mut state).unwrap();
    assert_eq!(&state[..length], b"READY=1");
}

#[test]
fn a_gateway_without_a_reachable_service_manager_starts_and_stops() {
    let mut command = Command::new(binary());
    command.env("NOTIFY_SOCKET", "nowhere");
    let mut gateway = Process::start_by(command, YAML);
    gateway.signal("TERM");
    assert!(gateway.wait().success());
    let mut command = Command::new(binary());
    command.env("NOTIFY_SOCKET", "/nowhere/at/all");
    let mut gateway = Process::start_by(command, YAML);
    gateway.signal("TERM");
    assert!(gateway.wait().success());
}
