//! The receiving half of a connection, which decides whether the connection may be read.

use mio::event::Event;

use crate::engine::native::connection::listed::Listed;
use gateway_zmtp::bytes::Input;

/// The last report of the system about incoming bytes. The system reports each arrival once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// Nothing is to be read.
    Idle,
    /// There may be bytes to read, until a read returns less than the buffer's size.
    Ready,
    /// The peer has sent its last bytes, which must be read to the end, since the system reports
    /// nothing more.
    Last,
    /// The peer has sent its last bytes, and the last read found no more of them.
    LastIdle,
}

/// The state of the flow control of a connection's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum Flow {
    Reading,
    /// Reading is paused, because the peer leaves too many answers unread, or because too many of
    /// its messages wait for judges to check them.
    Paused,
}

/// The receiving half.
#[derive(Debug)]
pub(super) struct Receiving {
    arrival: Arrival,
    /// The bytes that were read and are left for the next turn.
    rest: Option<Input>,
    flow: Flow,
    /// The membership in the list of connections to read from. A connection that is paused while it
    /// is in the list is still read once.
    listed: Listed,
}

impl Receiving {
    pub(super) fn new() -> Self {
        Self {
            arrival: Arrival::Idle,
            rest: None,
            flow: Flow::Reading,
            listed: Listed::Out,
        }
    }

    /// Records an event of the system.
    pub(super) fn note(&mut self, event: &Event) {
        let last = event.is_read_closed() || event.is_error();
        if last || self.is_last() {
            self.arrival = Arrival::Last;
        } else if event.is_readable() {
            self.arrival = Arrival::Ready;
        }
    }

    /// Records that the peer has sent its last bytes, which may not have been read yet.
    pub(super) fn end(&mut self) {
        self.arrival = Arrival::Last;
    }

    /// Records a read that returned `n` of the `requested` bytes. If `n` is less, no more bytes
    /// have arrived.
    pub(super) fn got(&mut self, n: usize, requested: usize) {
        self.arrival = if self.is_last() {
            Arrival::Last
        } else if n == requested {
            Arrival::Ready
        } else {
            Arrival::Idle
        };
    }

    /// Records a read that found nothing.
    pub(super) fn got_nothing(&mut self) {
        self.arrival = if self.is_last() {
            Arrival::LastIdle
        } else {
            Arrival::Idle
        };
    }

    /// Returns whether the peer has sent its last bytes.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.arrival, Arrival::Last | Arrival::LastIdle)
    }

    /// Returns whether there may be bytes that are not decoded yet.
    pub(super) fn has_input(&self) -> bool {
        matches!(self.arrival, Arrival::Ready | Arrival::Last) || self.rest.is_some()
    }

    /// Keeps bytes for the next turn.
    pub(super) fn keep(&mut self, rest: Input) {
        self.rest = Some(rest);
    }

    /// Returns the memory of the bytes that the last turn left, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.rest.as_ref().map_or(0, |rest| rest.memory() as u64)
    }

    /// Takes the bytes that the last turn left, if there are any.
    pub(super) fn take_rest(&mut self) -> Option<Input> {
        self.rest.take()
    }

    /// Pauses or resumes reading. Returns whether the flow has changed.
    pub(super) fn regulate(&mut self, flow: Flow) -> bool {
        std::mem::replace(&mut self.flow, flow) != flow
    }

    /// Returns whether reading is paused.
    pub(super) fn is_paused(&self) -> bool {
        self.flow == Flow::Paused
    }

    /// If there may be something to read and reading is not paused, records that the connection is
    /// in the list of connections to read from. Returns true if the connection was not in the list
    /// before, so that the caller must append the connection to the list.
    pub(super) fn enlist(&mut self) -> bool {
        self.has_input() && self.flow == Flow::Reading && self.listed.enter()
    }

    /// Records that the connection was removed from the list of connections to read from, because
    /// it has its turn.
    pub(super) fn leave_list(&mut self) {
        self.listed.leave();
    }

    /// Returns whether the connection is in the list of connections to read from.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.is_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_ready_until_a_read_returns_less_than_requested() {
        let mut receiving = Receiving::new();
        assert!(!receiving.has_input());
        receiving.got(10, 10);
        assert!(receiving.has_input());
        receiving.got(9, 10);
        assert!(!receiving.has_input() && !receiving.is_last());
    }

    #[test]
    fn the_last_bytes_are_read_until_a_read_finds_none() {
        let mut receiving = Receiving::new();
        receiving.end();
        receiving.got(1, 10);
        assert!(receiving.has_input() && receiving.is_last());
        receiving.got_nothing();
        assert!(!receiving.has_input() && receiving.is_last());
    }

    #[test]
    fn a_paused_connection_is_not_added_to_the_list_but_stays_in_it() {
        let mut receiving = Receiving::new();
        receiving.got(1, 1);
        assert!(receiving.regulate(Flow::Paused) && !receiving.regulate(Flow::Paused));
        assert!(!receiving.enlist());
        assert!(receiving.regulate(Flow::Reading));
        assert!(receiving.enlist() && !receiving.enlist());
        receiving.regulate(Flow::Paused);
        assert!(receiving.is_listed());
        receiving.leave_list();
        assert!(!receiving.is_listed() && !receiving.enlist());
    }
}
