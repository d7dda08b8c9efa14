//! What the rest of the process says to a running engine: an order, and a byte on a socket that wakes
//! whatever the data thread waits in.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const SERVE: u8 = 0;
const DRAIN: u8 = 1;
const STOP: u8 = 2;

/// What tells a running gateway to end.
#[derive(Clone, Debug)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    order: AtomicU8,
    waker: UnixStream,
}

/// What the engine is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    Drain,
    Stop,
}

/// The engine's end.
pub(super) struct Orders {
    shared: Arc<Shared>,
    woken: UnixStream,
}

impl Control {
    /// Both ends.
    pub(super) fn new() -> std::io::Result<(Self, Orders)> {
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

    /// Take no more requests, let the held ones finish within `shutdown.grace`, then end.
    pub fn drain(&self) {
        self.order(DRAIN);
    }

    /// End at once.
    pub fn stop(&self) {
        self.order(STOP);
    }

    fn order(&self, order: u8) {
        self.0.order.fetch_max(order, Ordering::SeqCst);
        self.wake();
    }

    /// Has the data thread look for orders and whatever else the engine keeps for it.
    pub(super) fn wake(&self) {
        // It fails when a byte is there already, or when the engine has ended: both are fine.
        let _ = (&self.0.waker).write(&[0]);
    }
}

impl Orders {
    /// Becomes readable when there may be a new order.
    pub(super) fn descriptor(&self) -> RawFd {
        self.woken.as_raw_fd()
    }

    /// The order in force.
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
