//! How many workers a pool's socket is connected to: all that libzmq tells of its peers.

use std::collections::HashSet;

use zmq::{Context, DONTWAIT, Socket, SocketEvent};

/// A pool's socket monitor.
pub(super) struct Monitor {
    socket: Socket,
    /// Connections by file descriptor. One counts from when it is accepted, so a stranger's counts
    /// until its handshake fails.
    connections: HashSet<u32>,
}

impl Monitor {
    pub(super) fn new(context: &Context, of: &Socket, index: usize) -> zmq::Result<Self> {
        let endpoint = format!("inproc://monitor-{index}");
        let events = [
            SocketEvent::ACCEPTED,
            SocketEvent::CONNECTED,
            SocketEvent::DISCONNECTED,
        ];
        let mask = events.into_iter().map(|event| i32::from(event.to_raw()));
        of.monitor(&endpoint, mask.sum())?;
        let socket = context.socket(zmq::PAIR)?;
        socket.connect(&endpoint)?;
        Ok(Self {
            socket,
            connections: HashSet::new(),
        })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Whether anybody is connected, as of the last [`Self::update`].
    pub(super) fn connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// How many are connected, as of the last [`Self::update`].
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Takes in what happened; true if at any moment the last connection closed.
    pub(super) fn update(&mut self) -> bool {
        let mut emptied = false;
        // Frames: event (16 bits) and descriptor (32 bits) in the machine's order; address.
        while let Ok(frames) = self.socket.recv_multipart(DONTWAIT) {
            let Some(&[e0, e1, v0, v1, v2, v3]) = frames.first().map(Vec::as_slice) else {
                continue;
            };
            let descriptor = u32::from_ne_bytes([v0, v1, v2, v3]);
            if SocketEvent::from_raw(u16::from_ne_bytes([e0, e1])) == SocketEvent::DISCONNECTED {
                emptied |= self.connections.remove(&descriptor) && self.connections.is_empty();
            } else {
                self.connections.insert(descriptor);
            }
        }
        emptied
    }
}
