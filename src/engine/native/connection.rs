//! One connection: its stream, and what is decided without one: what the peer says ([`Session`]), what time means for
//! it ([`Liveness`]), what waits to be written ([`Outbox`]).

use std::io;
use std::time::Duration;

use super::dial::{DialId, Target};
use super::liveness::{Liveness, Stage, View};
use super::outbox::Outbox;
use super::stream::Stream;
use crate::peer::{PeerId, WorkerKind};
use crate::snapshot::{FrontendId, PoolId};
use gateway_zmtp::bytes::Input;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::Session;

/// Whose peer a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Frontend(FrontendId),
    Pool(PoolId),
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// We have called and nobody has answered yet.
    Connecting,
    /// Its greeting and its READY are to come.
    Meeting,
    /// The core knows it as a client.
    Client,
    /// The core knows it as a worker.
    Worker(WorkerKind),
    /// It has been told why it isn't served; what it says now is not heard.
    Closing,
}

/// What a read gave.
pub(super) enum Read {
    /// So many bytes, which may have gone straight into the frame that they belong to.
    Some(Input, usize),
    /// Nothing for now.
    Nothing,
    /// The peer says no more.
    End,
}

/// Whether the system has room for what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// For all so far.
    There,
    /// It had none; it will tell when it has. To try before costs a call for nothing, in each turn.
    Full,
    /// It has told so, and nothing has been written since.
    Again,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) stream: Stream,
    pub(super) role: Role,
    /// What called it, if the gateway did.
    pub(super) dial: Option<DialId>,
    /// What it was called at, if it was.
    pub(super) target: Option<Target>,
    pub(super) phase: Phase,
    pub(super) session: Session,
    pub(super) liveness: Liveness,
    pub(super) outbox: Outbox,
    pub(super) room: Room,
    /// There may be something to read. The system tells once; it holds until a read finds less than it
    /// asked for.
    pub(super) readable: bool,
    /// What was read and is left for its next turn.
    pub(super) rest: Option<Input>,
    /// The peer has said its last: read to the end, since the system won't tell again.
    pub(super) half_closed: bool,
    /// In the list of those to be read.
    pub(super) queued: bool,
    /// In the list of those to be written to.
    pub(super) dirty: bool,
    /// It can't be written to: it has gone, and what it said before that is still read.
    pub(super) mute: bool,
    /// A request for it was turned back for want of room.
    pub(super) blocked: bool,
    /// It gets no more requests and goes once it holds none.
    pub(super) retired: bool,
    /// It is not read from for now, as long as it leaves too much unread itself.
    pub(super) paused: bool,
    /// Bytes that it had yet to take after the last write.
    pub(super) left: u64,
    /// Memory that it was last seen to take for a message that isn't whole.
    pub(super) half: u64,
    /// When it is to be looked at next, if it is.
    pub(super) timer: Option<Duration>,
}

impl Connection {
    pub(super) fn new(
        peer: PeerId,
        stream: Stream,
        role: Role,
        dial: Option<DialId>,
        now: Duration,
    ) -> Self {
        Self {
            peer,
            stream,
            role,
            dial,
            target: None,
            phase: match dial {
                Some(_) => Phase::Connecting,
                None => Phase::Meeting,
            },
            session: Session::default(),
            liveness: Liveness::new(now),
            outbox: Outbox::default(),
            room: Room::There,
            readable: false,
            rest: None,
            half_closed: false,
            queued: false,
            dirty: false,
            mute: false,
            blocked: false,
            retired: false,
            paused: false,
            left: 0,
            half: 0,
            timer: None,
        }
    }

    /// Whether the core knows it.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.phase, Phase::Client | Phase::Worker(_))
    }

    /// Whether it still has to say what it is.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Meeting)
    }

    /// Whether it may still have to show, within a moment, that it is worth its place.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_new() || matches!(self.phase, Phase::Closing)
    }

    /// What matters for how long it may be silent; with a heartbeat, if it is to have one.
    pub(super) fn view(&self, heartbeat: Option<Duration>) -> View {
        View {
            stage: match self.phase {
                Phase::Connecting | Phase::Meeting => Stage::New,
                Phase::Client | Phase::Worker(_) => Stage::Known,
                Phase::Closing => Stage::Leaving,
            },
            heartbeat: heartbeat.filter(|_| self.session.understands_ping()),
            waits: self.room != Room::There,
        }
    }

    /// Whether there may be something that is not taken in yet.
    pub(super) fn has_input(&self) -> bool {
        self.readable || self.rest.is_some()
    }

    /// Whether it is a client that doesn't read its answers. It is not read either: TCP pushes back. A worker
    /// always is: what it answers frees it, and may be what it waits for before it reads on.
    pub(super) fn is_deaf(&self, outbox_max: u64) -> bool {
        matches!(self.role, Role::Frontend(_)) && self.outbox.held() > outbox_max / 2
    }

    /// What was left by the last turn, or else what one read of so many bytes at most gives.
    pub(super) fn read(
        &mut self,
        buffers: &mut BufferPool,
        most: usize,
        now: Duration,
    ) -> io::Result<Read> {
        if let Some(rest) = self.rest.take() {
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
                // Less than was asked for is all that there is.
                self.readable = n == asked || self.half_closed;
                self.liveness.heard(now);
                Ok(Read::Some(input, n))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Read::Nothing)
            }
            // It stays readable and has its turn again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Read::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Writes what waits, as far as the peer takes it; how many bytes that was.
    pub(super) fn write(&mut self, buffers: &mut BufferPool, now: Duration) -> io::Result<u64> {
        if self.room == Room::Full {
            self.outbox.compact();
            return Ok(0);
        }
        let before = self.outbox.unwritten();
        let all = self
            .outbox
            .write(buffers, |slices| self.stream.write(slices))?;
        let written = before - self.outbox.unwritten();
        match self.room {
            Room::Again if written > 0 => self.liveness.took(written, now),
            _ => self.liveness.wrote(written),
        }
        self.room = match all {
            true => Room::There,
            false => Room::Full,
        };
        match all {
            true => self.outbox.rest(),
            false => self.outbox.compact(),
        }
        Ok(written)
    }
}
