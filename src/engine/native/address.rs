//! Addresses of routes.yaml, in the form that system calls take.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The maximum time to look up a name to listen on. By default, glibc's resolver asks a name server
/// twice, and waits for five seconds each time.
const LOOK_UP_MAX: Duration = Duration::from_secs(10);

/// An address to listen on or to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A TCP address. The host is a name, an IP address, or `*` for all addresses. Port 0 is any
    /// free port.
    Tcp { host: String, port: u16 },
    /// A socket in the file system or, with a leading `@` as in libzmq, an abstract name of Linux.
    Ipc(PathBuf),
}

impl Address {
    /// Parses an endpoint that the configuration has accepted. Fails for any other endpoint, such
    /// as `udp://`.
    pub(super) fn parse(endpoint: &str) -> io::Result<Self> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidInput, "no such kind of address");
        if let Some(path) = endpoint.strip_prefix("ipc://") {
            return Ok(Self::Ipc(path.into()));
        }
        let rest = endpoint.strip_prefix("tcp://").ok_or_else(unknown)?;
        let (host, port) = rest.rsplit_once(':').ok_or_else(unknown)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let port = match port {
            "*" => 0,
            digits => digits.parse().map_err(|_| unknown())?,
        };
        Ok(Self::Tcp {
            host: bare.unwrap_or(host).to_owned(),
            port,
        })
    }
}

/// Returns the current addresses of a TCP name and port, or the error of the system's resolver. The
/// resolver may take seconds, so the data thread must not call this function.
pub(super) fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = if host == "*" { "0.0.0.0" } else { host };
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Returns the current addresses of a TCP name and port, for a caller that must not wait long:
/// fails after [`LOOK_UP_MAX`].
pub(super) fn resolve_in_time(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host == "*" || host.parse::<IpAddr>().is_ok() {
        return resolve(host, port);
    }
    let name = host.to_owned();
    in_time(LOOK_UP_MAX, move || resolve(&name, port))
}

/// Runs a look-up on a thread of its own, and waits for the result for at most `timeout`. Fails if
/// the look-up fails, panics or takes longer.
fn in_time<T: Send + 'static>(
    timeout: Duration,
    look_up: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (answer, answers) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("resolver".into())
        .spawn(move || {
            // The caller may have stopped waiting.
            let _ = answer.send(look_up());
        })?;
    match answers.recv_timeout(timeout) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => {
            let why = format!("the name could not be looked up within {timeout:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the look-up of the name failed"))
        }
    }
}

/// Returns whether an ipc path is an abstract name, which the file system does not know.
pub(super) fn is_abstract(path: &Path) -> bool {
    cfg!(target_os = "linux") && path.as_os_str().as_bytes().starts_with(b"@")
}

/// Returns an ipc path in the form that system calls take. Fails if the path is too long for the
/// system.
pub(super) fn unix(path: &Path) -> io::Result<UnixAddr> {
    #[cfg(target_os = "linux")]
    if is_abstract(path) {
        use std::os::linux::net::SocketAddrExt;
        return UnixAddr::from_abstract_name(&path.as_os_str().as_bytes()[1..]);
    }
    UnixAddr::from_pathname(path)
}

/// Returns an ipc path as an endpoint.
pub(super) fn ipc(path: &Path) -> String {
    format!("ipc://{}", path.display())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Ipc(path) => f.write_str(&ipc(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_parsed() {
        let tcp = |host: &str, port| Address::Tcp {
            host: host.into(),
            port,
        };
        let read = |text: &str| Address::parse(text).unwrap();
        assert_eq!(read("tcp://*:5559"), tcp("*", 5559));
        assert_eq!(read("tcp://127.0.0.1:*"), tcp("127.0.0.1", 0));
        assert_eq!(read("tcp://[::1]:7"), tcp("::1", 7));
        assert_eq!(read("tcp://[::1]:7").to_string(), "tcp://[::1]:7");
        assert_eq!(read("ipc:///run/g"), Address::Ipc("/run/g".into()));
        assert!(Address::parse("udp://x:1").is_err());
    }

    #[test]
    fn a_look_up_that_hangs_or_panics_is_an_error() {
        let (_never, forever) = mpsc::channel::<()>();
        let hangs = move || {
            let _ = forever.recv();
            Ok(())
        };
        let error = in_time(Duration::from_millis(1), hangs).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let panics = || -> io::Result<()> { panic!("on purpose") };
        in_time(LOOK_UP_MAX, panics).unwrap_err();
        assert_eq!(in_time(LOOK_UP_MAX, || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn the_wildcard_and_addresses_are_resolved() {
        assert_eq!(resolve("*", 7).unwrap(), [([0, 0, 0, 0], 7).into()]);
        let local = resolve("::1", 7).unwrap();
        assert!(local.iter().all(SocketAddr::is_ipv6) && local.len() == 1);
    }
}
