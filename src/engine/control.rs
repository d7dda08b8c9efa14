//! Orders from the rest of the process to a running engine. An order also writes a byte to a
//! socket, which wakes the data thread.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

// The values of `Shared::order`. An order is replaced only by a greater one.
const SERVE: u8 = 0;
const DRAIN: u8 = 1;
const STOP: u8 = 2;

/// A handle that ends a running gateway.
#[derive(Clone, Debug)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    order: AtomicU8,
    waker: UnixStream,
}

/// An order to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    Drain,
    Stop,
}

/// The receiving end of the orders, for the engine.
pub(crate) struct Orders {
    shared: Arc<Shared>,
    woken: UnixStream,
}

impl Control {
    /// Returns a handle and the receiving end of its orders. Fails if the system cannot create the
    /// pair of sockets that wakes the data thread.
    pub(crate) fn new() -> std::io::Result<(Self, Orders)> {
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            order: AtomicU8::new(SERVE),
            waker,
        });
        let orders = Orders {
            shared: Arc::clone(&shared),
            woken,
        };
        Ok((Self(shared), orders))
    }

    /// Stops accepting requests, lets open requests finish within `shutdown.grace`, then ends the
    /// engine.
    pub fn drain(&self) {
        self.order(DRAIN);
    }

    /// Ends the engine at once.
    pub fn stop(&self) {
        self.order(STOP);
    }

    fn order(&self, order: u8) {
        self.0.order.fetch_max(order, Ordering::SeqCst);
        self.wake();
    }

    /// Wakes the data thread, so that it checks for orders, reloads and requests for samples.
    pub(super) fn wake(&self) {
        // This fails if the socket is full, or if the engine has ended. In both cases, no further
        // byte is needed.
        let _ = (&self.0.waker).write(&[0]);
    }
}

impl Orders {
    /// Returns the descriptor that becomes readable when there may be a new order.
    pub(super) fn descriptor(&self) -> RawFd {
        self.woken.as_raw_fd()
    }

    /// Returns the order in force, and discards the bytes that woke the data thread.
    pub(super) fn get(&mut self) -> Order {
        let mut bytes = [0; 16];
        while self.woken.read(&mut bytes).is_ok_and(|n| n == bytes.len()) {}
        match self.shared.order.load(Ordering::SeqCst) {
            SERVE => Order::Serve,
            DRAIN => Order::Drain,
            _ => Order::Stop,
        }
    }
}
