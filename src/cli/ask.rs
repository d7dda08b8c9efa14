//! `gateway health` and `gateway reload`: one request to the running gateway, at the admin address
//! of its configuration.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::configuration::file_of;
use super::output;
use crate::config;

/// The maximum size of an answer, in bytes. The answers of a gateway are smaller.
const ANSWER_MAX: usize = 4 << 20;

/// The maximum time for connecting, and for sending the request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A request to a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminRequest {
    /// Asks whether the gateway accepts requests.
    Health,
    /// Makes the gateway load its files now.
    Reload,
}

impl AdminRequest {
    fn method_and_path(self) -> (&'static str, &'static str) {
        match self {
            Self::Health => ("GET", "/readyz"),
            Self::Reload => ("POST", "/reload"),
        }
    }

    /// Returns the maximum time to wait for an answer, which is longer for a reload, because a
    /// reload compiles every file.
    fn timeout(self) -> Duration {
        match self {
            Self::Health => Duration::from_secs(3),
            Self::Reload => Duration::from_secs(90),
        }
    }
}

/// Sends a request to the admin address that the configuration at `path` names, and prints the
/// answer of the gateway. Succeeds if the answer has status 200.
pub(super) fn ask(path: &Path, question: AdminRequest) -> ExitCode {
    let answer = config::admin_address(&file_of(path)).and_then(|address| {
        let address = reachable(address);
        request(address, question, question.timeout())
            .map_err(|error| format!("no answer from {address}: {error}"))
    });
    match answer {
        Ok(AdminAnswer { code: 200, body }) => output::print(&body, ExitCode::SUCCESS),
        Ok(AdminAnswer { body, .. }) => failed(&body),
        Err(error) => failed(&format!("error: {error}\n")),
    }
}

fn failed(text: &str) -> ExitCode {
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

/// Returns the address at which a listener on `bind` can be reached from this machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[derive(Debug)]
struct AdminAnswer {
    code: u16,
    body: String,
}

fn request(
    address: SocketAddr,
    question: AdminRequest,
    timeout: Duration,
) -> io::Result<AdminAnswer> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    let (method, path) = question.method_and_path();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let bytes = answer_by(&mut stream, deadline).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::other(format!("the answer was not complete within {timeout:?}"))
        }
        _ => error,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let parsed = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let code = head.split(' ').nth(1)?.parse().ok()?;
        let body = body.to_owned();
        Some(AdminAnswer { code, body })
    });
    parsed.ok_or_else(|| io::Error::other("the received text is not an answer of a gateway"))
}

/// Reads until the connection ends or [`ANSWER_MAX`] bytes have arrived. Fails at `deadline`, even
/// if bytes are still arriving.
fn answer_by(stream: &mut TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    while bytes.len() < ANSWER_MAX {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// The deadline is for the whole answer, not for each of its bytes.
    #[test]
    fn an_answer_sent_byte_by_byte_has_a_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sender = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            while peer.write_all(b"x").is_ok() {}
        });
        let answer = request(address, AdminRequest::Health, Duration::from_millis(50));
        let error = answer.unwrap_err().to_string();
        assert_eq!(error, "the answer was not complete within 50ms");
        sender.join().unwrap();
    }

    #[test]
    fn a_listener_on_all_interfaces_is_reached_by_loopback() {
        for (bind, reached) in [
            ("0.0.0.0:9559", "127.0.0.1:9559"),
            ("[::]:9559", "[::1]:9559"),
            ("10.0.0.7:1", "10.0.0.7:1"),
        ] {
            let reached: SocketAddr = reached.parse().unwrap();
            assert_eq!(reachable(bind.parse().unwrap()), reached);
        }
    }
}
