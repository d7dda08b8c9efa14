//! The input of a connection: events of the system, reads, and events of the session.

use std::io;
use std::time::Duration;

use mio::event::Event;

use crate::engine::native::connection::receiving::Flow;
use crate::engine::native::connection::{Connection, Phase, Read};
use crate::engine::role::Role;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::curve::Opened;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{HandshakeResult, SessionError, SessionEvent};

/// The maximum number of bytes of a large frame in one read. Copying them takes less than a
/// millisecond, even into memory that is used for the first time.
const DIRECT_READ_MAX: usize = 512 << 10;

impl Connection {
    /// Records an event of the system. Returns whether queued bytes can be written now.
    pub(in crate::engine::native) fn note(&mut self, event: &Event) -> bool {
        self.receiving.note(event);
        let writable = event.is_writable() || event.is_write_closed() || event.is_error();
        if writable {
            self.sending.retry();
        }
        writable && !self.sending.is_empty()
    }

    /// Returns the bytes that the last turn left, if there are any. Otherwise reads from the
    /// stream: at most `bytes_max` bytes into a buffer, or at most [`DIRECT_READ_MAX`] bytes of a
    /// large frame into the frame's memory. Fails if the connection has failed.
    pub(in crate::engine::native) fn read(
        &mut self,
        buffers: &mut BufferPool,
        bytes_max: usize,
        now: Duration,
    ) -> io::Result<Read> {
        if let Some(rest) = self.receiving.take_rest() {
            return Ok(Read::Some(rest, 0));
        }
        let (got, requested) = match self.session.direct() {
            Some(room) => {
                let requested = room.len().min(DIRECT_READ_MAX);
                let n = self.stream.read(&mut room[..requested]);
                (n.map(|n| (n, Input::default())), requested)
            }
            None => {
                let mut requested = 0;
                let input = buffers.fill(|chunk| {
                    requested = chunk.len().min(bytes_max);
                    self.stream.read(&mut chunk[..requested])
                });
                (input.map(|input| (input.rest().len(), input)), requested)
            }
        };
        match got {
            Ok((0, input)) => {
                buffers.give_back(input);
                Ok(Read::End)
            }
            Ok((n, input)) => {
                if input.rest().is_empty() {
                    self.session.appended(n);
                }
                self.receiving.got(n, requested);
                self.liveness.heard(now);
                Ok(Read::Some(input, n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.receiving.got_nothing();
                Ok(Read::Nothing)
            }
            // The connection remains readable and gets another turn.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Returns the peer's next message if the message is small and the input begins with all of it.
    /// Otherwise returns `None`, and [`Connection::next_event`] handles the input.
    #[inline]
    pub(in crate::engine::native) fn next_message(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
    ) -> Option<Message> {
        match self.phase {
            Phase::Connecting | Phase::Left | Phase::PutOff | Phase::Closing => None,
            _ => self.session.next_message(input, bounds),
        }
    }

    /// Returns the next event of the peer, or `None` once the input is used up. The input of a peer
    /// that is not served any more is dropped. Fails with the fault in the peer's input.
    pub(in crate::engine::native) fn next_event(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<SessionEvent>, SessionError> {
        if matches!(
            self.phase,
            Phase::Connecting | Phase::Left | Phase::PutOff | Phase::Closing
        ) {
            input.skip(input.rest().len());
            return Ok(None);
        }
        self.session.next(input, bounds, buffers)
    }

    /// Continues the handshake after a costly step.
    ///
    /// # Errors
    ///
    /// Fails with the fault in the command that required the step.
    pub(in crate::engine::native) fn resume(
        &mut self,
        worked: HandshakeResult,
    ) -> Result<SessionEvent, SessionError> {
        self.session.resume(worked)
    }

    /// Takes a large encrypted frame that another thread has opened. The frame is processed in the
    /// next turn of the connection, even if nothing more is read.
    ///
    /// # Errors
    ///
    /// Fails if the frame was not validly sealed.
    pub(in crate::engine::native) fn opened(
        &mut self,
        opened: Opened,
        now: Duration,
    ) -> Result<(), SessionError> {
        self.session.opened(opened)?;
        let rest = self.receiving.take_rest().unwrap_or_default();
        self.receiving.keep(rest);
        // The peer was not read meanwhile.
        self.liveness.excuse(now);
        Ok(())
    }

    /// Returns whether a message has begun and is not complete, even if the last frame was a
    /// command.
    pub(in crate::engine::native) fn is_inside_message(&self) -> bool {
        self.session.is_inside_message()
    }

    /// Returns whether the next bytes are to be read directly into the memory of a large frame. The
    /// result is false while the peer is held up.
    pub(in crate::engine::native) fn reads_directly(&mut self) -> bool {
        !self.held_up && self.session.direct().is_some()
    }

    /// Keeps bytes that were read in this turn for the next turn.
    pub(in crate::engine::native) fn keep(&mut self, rest: Input) {
        self.receiving.keep(rest);
    }

    /// Returns whether there may be bytes that are not decoded yet.
    pub(in crate::engine::native) fn has_input(&self) -> bool {
        self.receiving.has_input()
    }

    /// Returns whether this is a client whose queued answers take more than half of `outbox_max`.
    /// Such a client is not read, so that TCP stops it. A worker with as many queued bytes is still
    /// read. Each answer frees the worker for another request, and the worker may have to send an
    /// answer before it reads on.
    fn is_deaf(&self, outbox_max: u64) -> bool {
        matches!(self.role, Role::Frontend(_)) && self.sending.held() > outbox_max / 2
    }

    /// Sets whether the peer is held up. A peer is held up, and not read, while too many of its
    /// messages wait for judges to check them.
    pub(in crate::engine::native) fn hold_up(&mut self, held_up: bool) {
        self.held_up = held_up;
    }

    /// Returns whether the gateway must send PONGs although it has read no PING. A peer is not read
    /// while too many of its messages wait for judges to check them, or while another thread opens
    /// one of its encrypted frames. The unread bytes may contain a PING.
    pub(in crate::engine::native) fn awaits_pong(&self) -> bool {
        let waits = self.held_up || self.session.is_opening();
        waits && self.is_known() && self.session.understands_ping()
    }

    /// Returns whether the peer may be read. It may be read if it is not held up, if no thread is
    /// opening one of its encrypted frames, and if it does not leave too many answers unread.
    pub(in crate::engine::native) fn is_open(&self, outbox_max: u64) -> bool {
        !self.held_up && !self.session.is_opening() && !self.is_deaf(outbox_max)
    }

    /// Resumes reading if the peer may be read ([`Self::is_open`]), and pauses it otherwise.
    /// Returns the new flow if the flow has changed.
    pub(in crate::engine::native) fn regulate(&mut self, outbox_max: u64) -> Option<Flow> {
        let flow = if !self.is_open(outbox_max) {
            Flow::Paused
        } else {
            Flow::Reading
        };
        self.receiving.regulate(flow).then_some(flow)
    }

    /// Returns whether reading is paused.
    pub(in crate::engine::native) fn is_paused(&self) -> bool {
        self.receiving.is_paused()
    }

    /// Records that the connection is in the list of connections to read from, if there may be
    /// something to read and reading is not paused. Returns true if the connection was not in the
    /// list before, so that the caller must append it to the list. Returns false otherwise.
    pub(in crate::engine::native) fn enlist_to_read(&mut self) -> bool {
        self.receiving.enlist()
    }

    /// Records that the connection was removed from the list of connections to read from, because
    /// it has its turn.
    pub(in crate::engine::native) fn begin_turn(&mut self) {
        self.receiving.leave_list();
    }

    /// Adds work that the connection has caused in the engine's turn `turn`. The unit is the work
    /// for one small message.
    pub(in crate::engine::native) fn add_work(&mut self, work: usize, turn: u64) {
        self.recent_work.add(work, turn);
    }

    /// Returns whether the connection has caused so much work lately that other connections are
    /// read first in this turn of the engine.
    pub(in crate::engine::native) fn is_heavy(&self, turn: u64) -> bool {
        self.recent_work.is_heavy(turn)
    }

    /// Returns whether the connection is in the list of connections to read from.
    pub(in crate::engine::native) fn is_to_be_read(&self) -> bool {
        self.receiving.is_listed()
    }
}
