//! The addresses of sockets that were closed recently. After the gateway has closed a socket,
//! libzmq keeps listening at its address for some milliseconds, on a thread of its own. A new
//! socket at such an address must wait until libzmq no longer listens there.
//!
//! This concerns only TCP. At an ipc path, libzmq removes an existing file when it binds, and
//! removes no file when it closes a socket.

use std::thread;
use std::time::{Duration, Instant};

/// The maximum time for which libzmq is expected to keep listening at the address of a closed
/// socket. Usually it stops within milliseconds, and later only on a busy machine.
const LEAVING_MAX: Duration = Duration::from_secs(5);

/// The pause between two attempts to bind.
const PAUSE: Duration = Duration::from_millis(2);

/// The addresses of sockets that were closed within [`LEAVING_MAX`].
#[derive(Debug, Default)]
pub(super) struct ClosedAddresses(Vec<(String, Instant)>);

impl ClosedAddresses {
    /// Records that a socket which listens on these addresses closes.
    pub(super) fn note<'a>(&mut self, addresses: impl IntoIterator<Item = &'a String>) {
        let now = Instant::now();
        self.0.retain(|(_, left)| now - *left < LEAVING_MAX);
        let addresses = addresses.into_iter().cloned();
        self.0.extend(addresses.map(|address| (address, now)));
    }

    /// Binds `address` by calling `bind`. If the address is in use, and a socket that listened
    /// there closed within [`LEAVING_MAX`], tries again until the address is free or that time has
    /// passed. Returns the result of the last attempt.
    pub(super) fn bind(
        &self,
        address: &str,
        mut bind: impl FnMut() -> zmq::Result<()>,
    ) -> zmq::Result<()> {
        loop {
            match bind() {
                Err(zmq::Error::EADDRINUSE) if self.is_leaving(address) => thread::sleep(PAUSE),
                outcome => return outcome,
            }
        }
    }

    /// Returns whether libzmq may still listen on an address that conflicts with `address`.
    fn is_leaving(&self, address: &str) -> bool {
        let mut left = self.0.iter();
        left.any(|(other, left)| left.elapsed() < LEAVING_MAX && clash(other, address))
    }
}

/// Returns whether two TCP addresses have the same port, so that one may prevent the use of the
/// other.
fn clash(one: &str, other: &str) -> bool {
    let port = |address: &str| {
        let host_and_port = address.strip_prefix("tcp://")?;
        Some(host_and_port.rsplit_once(':')?.1.to_owned())
    };
    port(one).is_some_and(|port_of_one| port(other) == Some(port_of_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_waits_only_for_the_address_of_a_closed_socket() {
        let mut left = ClosedAddresses::default();
        left.note(&["tcp://*:5559".to_owned(), "ipc://people".to_owned()]);
        let mut attempts = 0;
        let bound = left.bind("tcp://127.0.0.1:5559", || {
            attempts += 1;
            match attempts {
                3 => Ok(()),
                _ => Err(zmq::Error::EADDRINUSE),
            }
        });
        assert_eq!((bound, attempts), (Ok(()), 3));
        for (address, error) in [
            ("tcp://*:5560", zmq::Error::EADDRINUSE),
            ("tcp://*:5559", zmq::Error::EACCES),
            ("ipc://people", zmq::Error::EADDRINUSE),
        ] {
            let mut attempts = 0;
            let bound = left.bind(address, || {
                attempts += 1;
                Err(error)
            });
            assert_eq!((bound, attempts), (Err(error), 1), "{address}");
        }
    }
}
