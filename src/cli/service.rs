//! Notifies the service manager that started the process, such as systemd, that the gateway is
//! ready, reloads, stops, or is alive. The notifications are datagrams to the socket that the
//! environment variable NOTIFY_SOCKET names (sd_notify(3)). Without this variable, nothing is sent.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

use crate::engine::Observer;

/// The maximum time that sending a datagram may block.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// The service manager, if it started the process and expects notifications.
#[derive(Debug)]
pub(super) struct Service {
    manager: Option<Manager>,
    /// Set once the gateway is stopping. From then on the gateway is not reported as ready or
    /// reloading.
    is_stopping: AtomicBool,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Service {
    /// Returns the service manager that the environment names. Logs a warning if its address is
    /// invalid or no socket can be created.
    pub(super) fn from_environment() -> Self {
        let name = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let manager = name.and_then(|name| match Manager::new(&name) {
            Ok(manager) => Some(manager),
            Err(error) => {
                warn!("can't notify the service manager at {name:?}: {error}");
                None
            }
        });
        Self {
            manager,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Reports that the gateway serves, unless it is stopping. This is called after startup and
    /// after each reload, whatever the outcome of the reload.
    pub(super) fn ready(&self) {
        if !self.is_stopping.load(Ordering::Relaxed) {
            self.send("READY=1");
        }
    }

    /// Reports that the files are being loaded, unless the gateway is stopping.
    pub(super) fn reloading(&self) {
        if self.is_stopping.load(Ordering::Relaxed) {
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={us}"));
    }

    /// Reports, once, that the gateway is stopping and accepts no more requests.
    pub(super) fn stopping(&self) {
        if !self.is_stopping.swap(true, Ordering::Relaxed) {
            self.send("STOPPING=1");
        }
    }

    /// Starts a thread that periodically requests an answer from the data thread, and reports each
    /// answer to the service manager as a sign of life. Does nothing if the service manager has not
    /// requested such reports.
    pub(super) fn watch_over(self: &Arc<Self>, observer: Observer) {
        let Some(time) = watchdog_time(|name| env::var(name).ok(), process::id()) else {
            return;
        };
        let service = Arc::clone(self);
        let alive = move |timeout| observer.sample(timeout).is_some();
        let keep = move || keep_alive(time, alive, || service.send("WATCHDOG=1"));
        if let Err(error) = thread::Builder::new().name("keepalive".into()).spawn(keep) {
            warn!("can't answer the service manager's watchdog: {error}");
        }
    }

    fn send(&self, state: &str) {
        if let Some(Manager { socket, address }) = &self.manager {
            // A service manager that does not receive notifications must not affect the gateway.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}

impl Manager {
    fn new(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_encoded_bytes() {
            [b'@', name @ ..] => abstract_address(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => {
                return Err(io::Error::other(
                    "the address is neither a path nor an abstract name",
                ));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, address })
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns the period within which the service manager expects a sign of life of process `id`, or
/// `None` if no sign of life is expected.
fn watchdog_time(variable: impl Fn(&str) -> Option<String>, id: u32) -> Option<Duration> {
    let time: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    let meant = variable("WATCHDOG_PID");
    let is_meant = meant.is_none_or(|meant| meant.parse() == Ok(id));
    (is_meant && time > 0).then(|| Duration::from_micros(time))
}

/// Loops forever, with a period of half of `time`. In each period, calls `is_alive` with the period
/// as the timeout, and calls `notify` if the result is true.
fn keep_alive(time: Duration, is_alive: impl Fn(Duration) -> bool, notify: impl Fn()) {
    let pause = time / 2;
    loop {
        let asked = Instant::now();
        if is_alive(pause) {
            notify();
        }
        thread::sleep(pause.saturating_sub(asked.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_the_watchdog_of_this_process_counts() {
        let time = |usec: &str, pid: &str| {
            let variable = |name: &str| {
                let value = if name == "WATCHDOG_USEC" { usec } else { pid };
                (!value.is_empty()).then(|| value.to_owned())
            };
            watchdog_time(variable, 7)
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(time("1000000", "7"), second);
        assert_eq!(time("1000000", ""), second);
        for (usec, pid) in [("1000000", "8"), ("0", "7"), ("", "7"), ("soon", "7")] {
            assert_eq!(time(usec, pid), None, "{usec} {pid}");
        }
    }

    /// The loop has no end, so the test leaves it by a panic.
    #[test]
    fn no_sign_of_life_is_sent_while_the_data_thread_hangs() {
        let (asked, reported) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let is_alive = |timeout: Duration| {
            assert!(timeout <= Duration::from_millis(1));
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 | 2 => true,
                1 => false,
                _ => panic!("enough"),
            }
        };
        let notify = || {
            reported.fetch_add(1, Ordering::Relaxed);
        };
        let keep = || keep_alive(Duration::from_millis(2), is_alive, notify);
        assert!(catch_unwind(AssertUnwindSafe(keep)).is_err());
        assert_eq!(reported.into_inner(), 2);
    }
}
