//! The open connections of a socket. libzmq reports nothing else about its peers.

use std::collections::HashSet;

use zmq::{Context, DONTWAIT, Socket, SocketEvent};

/// A socket's monitor.
pub(super) struct Monitor {
    socket: Socket,
    /// The address to which libzmq sends the events. Each monitor has its own address.
    endpoint: String,
    /// The file descriptors of the connections. A connection counts from its acceptance on, so a
    /// peer that does not speak ZMTP counts until its handshake fails.
    connections: HashSet<u32>,
}

impl Monitor {
    pub(super) fn new(context: &Context, monitored: &Socket, index: usize) -> zmq::Result<Self> {
        let endpoint = format!("inproc://monitor-{index}");
        let events = [
            SocketEvent::ACCEPTED,
            SocketEvent::CONNECTED,
            SocketEvent::DISCONNECTED,
        ];
        let mask = events.into_iter().map(|event| i32::from(event.to_raw()));
        monitored.monitor(&endpoint, mask.sum())?;
        let socket = context.socket(zmq::PAIR)?;
        socket.connect(&endpoint)?;
        Ok(Self {
            socket,
            endpoint,
            connections: HashSet::new(),
        })
    }

    /// Ends the monitoring of the socket `monitored`, which is about to close.
    ///
    /// libzmq's I/O thread sends each event to the monitor, and would wait forever for a monitor
    /// that has ended. A connection that ended while the socket closes would then stop the I/O of
    /// all sockets.
    pub(super) fn end(&mut self, monitored: &Socket) {
        // This makes room for events, so that the I/O thread does not wait for room while this
        // thread waits for the socket's lock.
        self.update();
        // A new monitor for no event, at another address, replaces the present monitor. This fails
        // only after the context has ended, and the end of the context wakes the I/O thread.
        let _ = monitored.monitor(&format!("{}-ended", self.endpoint), 0);
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Returns whether any connection was open at the last [`Self::update`].
    pub(super) fn connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Returns whether the connection with this descriptor was open at the last [`Self::update`].
    pub(super) fn is_open(&self, descriptor: u32) -> bool {
        self.connections.contains(&descriptor)
    }

    /// Returns the number of connections at the last [`Self::update`].
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Processes the events that have arrived since the last call. Returns true if the last open
    /// connection closed, even if another connection has been opened since.
    pub(super) fn update(&mut self) -> bool {
        self.update_with(|_| {})
    }

    /// Does the same as [`Self::update`], and calls `closed` with the descriptor of each connection
    /// that closed. The system may have reused this descriptor since.
    pub(super) fn update_with(&mut self, mut closed: impl FnMut(u32)) -> bool {
        let mut emptied = false;
        // The first frame has the event (16 bits) and the descriptor (32 bits), in the machine's
        // byte order. The second frame is the address.
        while let Ok(frames) = self.socket.recv_multipart(DONTWAIT) {
            let Some(&[e0, e1, v0, v1, v2, v3]) = frames.first().map(Vec::as_slice) else {
                continue;
            };
            let descriptor = u32::from_ne_bytes([v0, v1, v2, v3]);
            if SocketEvent::from_raw(u16::from_ne_bytes([e0, e1])) == SocketEvent::DISCONNECTED {
                emptied |= self.connections.remove(&descriptor) && self.connections.is_empty();
                closed(descriptor);
            } else {
                self.connections.insert(descriptor);
            }
        }
        emptied
    }
}
