//! `gateway health` and `gateway reload`: one question to the gateway that runs, at the admin address of its
//! configuration.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::configuration::file_of;
use super::output;
use crate::config;

/// Bytes of an answer that are read: more than any of a gateway's has.
const ANSWER_MAX: u64 = 4 << 20;

/// Longest wait for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// What is asked of a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether it takes requests.
    Health,
    /// To load its files now.
    Reload,
}

impl Question {
    fn method_and_path(self) -> (&'static str, &'static str) {
        match self {
            Self::Health => ("GET", "/readyz"),
            Self::Reload => ("POST", "/reload"),
        }
    }

    /// Returns the longest wait for an answer: a reload compiles every file.
    fn patience(self) -> Duration {
        match self {
            Self::Health => Duration::from_secs(3),
            Self::Reload => Duration::from_secs(90),
        }
    }
}

/// Asks the gateway that runs by the configuration at `path`, and prints its answer. Succeeds where the answer is that
/// all is well.
pub(super) fn ask(path: &Path, question: Question) -> ExitCode {
    let answer = config::admin_address(&file_of(path)).and_then(|address| {
        let address = reachable(address);
        request(address, question).map_err(|error| format!("no answer from {address}: {error}"))
    });
    match answer {
        Ok(Answer { code: 200, body }) => output::print(&body, ExitCode::SUCCESS),
        Ok(Answer { body, .. }) => failed(&body),
        Err(error) => failed(&format!("error: {error}\n")),
    }
}

fn failed(text: &str) -> ExitCode {
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

/// Returns the address at which a listener on `bind` is reached from this machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[derive(Debug)]
struct Answer {
    code: u16,
    body: String,
}

fn request(address: SocketAddr, question: Question) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIME)?;
    stream.set_read_timeout(Some(question.patience()))?;
    stream.set_write_timeout(Some(CONNECT_TIME))?;
    let (method, path) = question.method_and_path();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let parsed = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let code = head.split(' ').nth(1)?.parse().ok()?;
        let body = body.to_owned();
        Some(Answer { code, body })
    });
    parsed.ok_or_else(|| io::Error::other("this is no answer of a gateway"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
