//! One connection: its stream, how far it has come, what has been read of it and what waits to be written.

use std::io;
use std::time::Duration;

use super::bytes::{Input, Spare};
use super::dial::DialId;
use super::outbox::Outbox;
use super::stream::Stream;
use super::zmtp::decoder::Decoder;
use super::zmtp::greeting::Greeting;
use crate::core::PeerId;
use crate::pool::WorkerKind;
use crate::snapshot::{FrontendId, PoolId};

/// Whose peer a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Frontend(FrontendId),
    Pool(PoolId),
}

/// How far a connection has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// We have called and nobody has answered yet.
    Connecting,
    /// Its greeting is coming in.
    Greeting(Box<Greeting>),
    /// Its READY is to come; it speaks ZMTP 3 with this minor version.
    Handshake { minor: u8 },
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

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) stream: Stream,
    pub(super) role: Role,
    /// What called it, if the gateway did.
    pub(super) dial: Option<DialId>,
    pub(super) phase: Phase,
    pub(super) decoder: Decoder,
    pub(super) outbox: Outbox,
    /// Whether it understands PING: from ZMTP 3.1 on.
    pub(super) pings: bool,
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
    /// When this phase began.
    pub(super) since: Duration,
    /// When bytes last came.
    pub(super) heard: Duration,
    /// When the PING was sent that nothing has come after.
    pub(super) pinged: Option<Duration>,
    /// How long it takes our silence, and so how long we take its.
    pub(super) ttl: Option<Duration>,
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
            phase: match dial {
                Some(_) => Phase::Connecting,
                None => Phase::Greeting(Box::default()),
            },
            decoder: Decoder::default(),
            outbox: Outbox::default(),
            pings: false,
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
            since: now,
            heard: now,
            pinged: None,
            ttl: None,
            timer: None,
        }
    }

    /// Whether the core knows it.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.phase, Phase::Client | Phase::Worker(_))
    }

    /// Whether it still has to say what it is.
    pub(super) fn is_new(&self) -> bool {
        matches!(
            self.phase,
            Phase::Connecting | Phase::Greeting(_) | Phase::Handshake { .. }
        )
    }

    /// Whether it may still have to show, within a moment, that it is worth its place.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_new() || matches!(self.phase, Phase::Closing)
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

    /// What was left by the last turn, or else what one read gives.
    pub(super) fn read(&mut self, spare: &mut Spare, now: Duration) -> io::Result<Read> {
        if let Some(rest) = self.rest.take() {
            return Ok(Read::Some(rest, 0));
        }
        let (got, asked) = match self.decoder.direct() {
            Some(room) => {
                let n = self.stream.read(room);
                (n.map(|n| (n, Input::default())), room.len())
            }
            None => {
                let mut asked = 0;
                let input = spare.fill(|chunk| {
                    asked = chunk.len();
                    self.stream.read(chunk)
                });
                (input.map(|input| (input.rest().len(), input)), asked)
            }
        };
        match got {
            Ok((0, input)) => {
                spare.give_back(input);
                Ok(Read::End)
            }
            Ok((n, input)) => {
                if input.rest().is_empty() {
                    self.decoder.appended(n);
                }
                // Less than was asked for is all that there is.
                self.readable = n == asked || self.half_closed;
                self.heard = now;
                self.pinged = None;
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

    /// Writes what waits, as far as the peer takes it.
    pub(super) fn write(&mut self, spare: &mut Spare) -> io::Result<()> {
        let all = self
            .outbox
            .write(spare, |slices| self.stream.write(slices))?;
        if !all {
            self.outbox.compact();
        }
        Ok(())
    }
}
