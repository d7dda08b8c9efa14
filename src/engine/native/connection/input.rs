//! What a connection receives: events of the system, reads, and what the peer says.

use std::io;
use std::time::Duration;

use mio::event::Event;

use crate::engine::native::connection::receiving::Flow;
use crate::engine::native::connection::{Connection, Phase, Read};
use crate::engine::native::role::Role;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{Fault, Said, Worked};

impl Connection {
    /// Notes an event of the system. Returns whether what waits can be written now.
    pub(in crate::engine::native) fn note(&mut self, event: &Event) -> bool {
        self.receiving.note(event);
        let writable = event.is_writable() || event.is_write_closed() || event.is_error();
        if writable {
            self.sending.retry();
        }
        writable && !self.sending.is_empty()
    }

    /// Returns the bytes that the last turn left, or else those that a read of `most` bytes gives.
    pub(in crate::engine::native) fn read(
        &mut self,
        buffers: &mut BufferPool,
        most: usize,
        now: Duration,
    ) -> io::Result<Read> {
        if let Some(rest) = self.receiving.take_rest() {
            return Ok(Read::Some(rest, 0));
        }
        let (got, asked) = match self.session.direct() {
            Some(room) => {
                let n = self.stream.read(room);
                (n.map(|n| (n, Input::default())), room.len())
            }
            None => {
                let mut asked = 0;
                let input = buffers.fill(|chunk| {
                    asked = chunk.len().min(most);
                    self.stream.read(&mut chunk[..asked])
                });
                (input.map(|input| (input.rest().len(), input)), asked)
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
                self.receiving.got(n, asked);
                self.liveness.heard(now);
                Ok(Read::Some(input, n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.receiving.got_nothing();
                Ok(Read::Nothing)
            }
            // The connection stays readable and has its turn again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Returns what the peer says next, or nothing once the input is used up. Input of a peer that
    /// is not listened to is skipped.
    pub(in crate::engine::native) fn hear(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Said>, Fault> {
        if matches!(self.phase, Phase::Connecting | Phase::Left | Phase::Closing) {
            input.skip(input.rest().len());
            return Ok(None);
        }
        self.session.next(input, bounds, buffers)
    }

    /// Goes on with the handshake after a costly step.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the command that the step was about.
    pub(in crate::engine::native) fn resume(&mut self, worked: Worked) -> Result<Said, Fault> {
        self.session.resume(worked)
    }

    /// Returns whether a message has begun and is not whole, whatever command is between its
    /// frames.
    pub(in crate::engine::native) fn is_inside_message(&self) -> bool {
        self.session.is_inside_message()
    }

    /// Returns whether a large frame is coming in, which is read straight into its memory.
    pub(in crate::engine::native) fn reads_directly(&mut self) -> bool {
        self.session.direct().is_some()
    }

    /// Keeps bytes that were read for the next turn.
    pub(in crate::engine::native) fn keep(&mut self, rest: Input) {
        self.receiving.keep(rest);
    }

    /// Returns whether there may be bytes that are not decoded yet.
    pub(in crate::engine::native) fn has_input(&self) -> bool {
        self.receiving.has_input()
    }

    /// Returns whether this is a client that does not read its answers, and so is not read from
    /// either: TCP pushes back. A worker is always read from: an answer of its frees it, and may be
    /// what it waits for before it reads on.
    pub(in crate::engine::native) fn is_deaf(&self, outbox_max: u64) -> bool {
        matches!(self.role, Role::Frontend(_)) && self.sending.held() > outbox_max / 2
    }

    /// Pauses or resumes reading by what the peer leaves unread. Returns the new flow, if that is a
    /// change.
    pub(in crate::engine::native) fn regulate(&mut self, outbox_max: u64) -> Option<Flow> {
        let flow = if self.is_deaf(outbox_max) {
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

    /// Enters the list of connections to read from, if there may be something to read and reading
    /// is not paused. Returns whether the connection is to be appended to it.
    pub(in crate::engine::native) fn enlist_to_read(&mut self) -> bool {
        self.receiving.enlist()
    }

    /// Leaves that list, because the connection has its turn.
    pub(in crate::engine::native) fn begin_turn(&mut self) {
        self.receiving.leave_list();
    }

    /// Returns whether the connection is in that list.
    pub(in crate::engine::native) fn is_to_be_read(&self) -> bool {
        self.receiving.is_listed()
    }
}
