//! The queue of bytes for a peer. Small frames are copied together, and large frames are shared.
//! The queue records where each answer ends, and so knows when an answer is written completely.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use crate::ledger::RequestOutcome;
use gateway_zmtp::bytes::Bytes;
use gateway_zmtp::curve::{FrameKind, LARGE_MIN, OVERHEAD, SealWork, Sealer};
use gateway_zmtp::message::{Message, Wire};
use gateway_zmtp::pool::{BufferPool, PIECE};
use gateway_zmtp::{self as zmtp, MORE};

/// The size from which a frame is shared instead of copied, in bytes. Copying a smaller frame costs
/// less than passing it to the system as a separate piece, and the receive buffer of a copied frame
/// can be reused at once.
const SHARED_MIN: usize = 16 << 10;

/// The maximum number of pieces in one system call.
const PIECES_MAX: usize = 64;

/// The cost of a queued answer in addition to its frames, in bytes, so that a flood of small
/// answers is bounded, too.
const ANSWER_OVERHEAD: u64 = 64;

/// The maximum capacity of the last piece in a queue that waits, as a multiple of its bytes.
/// Further capacity is released, so that a peer that leaves few bytes unread does not hold a whole
/// piece.
const LAST_PIECE_FACTOR: usize = 4;

/// The capacity that an empty outbox keeps in each of its lists, in entries, which take a few KiB.
/// A client that always has a hundred requests in flight then causes no allocations.
const ENTRIES_KEPT: usize = 128;

/// The outbox of one peer.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<Piece>,
    /// The number of bytes of the first piece that are written.
    written_of_first: usize,
    /// The number of pieces at the front that [`Outbox::compact`] has processed.
    compacted: usize,
    unwritten: u64,
    /// The number of bytes written so far.
    written: u64,
    /// The large frames that are to be sealed. Each has a place in `pieces`.
    to_seal: VecDeque<SealWork>,
    /// The answers in the queue, each with the number of written bytes at which it is complete.
    answers: VecDeque<(u64, RequestOutcome)>,
}

#[derive(Debug)]
enum Piece {
    Copied(Vec<u8>),
    Shared(Bytes),
    /// A large frame of this size that is being sealed on another thread.
    Sealing(usize),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes.bytes(),
            Self::Sealing(_) => &[],
        }
    }

    fn is_sealing(&self) -> bool {
        matches!(self, Self::Sealing(_))
    }
}

impl Outbox {
    /// Returns the number of queued bytes.
    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// Returns the memory charged for the queue, in bytes: the queued bytes, and the additional
    /// cost of each answer.
    pub fn held(&self) -> u64 {
        self.unwritten + ANSWER_OVERHEAD * self.answers.len() as u64
    }

    /// Returns the memory that the queue takes, in bytes: the queued bytes, the written bytes of
    /// the first piece, the spare capacity of the last piece, and the lists.
    pub fn memory(&self) -> u64 {
        let slack = match self.pieces.back() {
            Some(Piece::Copied(piece)) => piece.capacity() - piece.len(),
            Some(Piece::Shared(_) | Piece::Sealing(_)) | None => 0,
        };
        let entries = self.answers.len() + self.pieces.len();
        self.unwritten + (self.written_of_first + slack) as u64 + ANSWER_OVERHEAD * entries as u64
    }

    /// Returns whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.unwritten == 0
    }

    /// Appends protocol bytes.
    pub fn put(&mut self, buffers: &mut BufferPool, put: impl FnOnce(&mut Vec<u8>)) {
        self.append(buffers, 0, put);
    }

    /// Appends a frame that is small, or cannot be shared.
    pub fn copy(&mut self, buffers: &mut BufferPool, frame: &[u8], more: bool) {
        let flags = if more { MORE } else { 0 };
        let room = frame.len() + zmtp::HEADER_MAX;
        self.append(buffers, room, |piece| zmtp::put_frame(piece, flags, frame));
    }

    /// Appends a frame.
    pub fn push(&mut self, buffers: &mut BufferPool, frame: &Bytes, more: bool) {
        let bytes = frame.bytes();
        if bytes.len() < SHARED_MIN {
            self.copy(buffers, bytes, more);
            return;
        }
        let flags = if more { MORE } else { 0 };
        self.put(buffers, |piece| zmtp::put_header(piece, flags, bytes.len()));
        self.unwritten += bytes.len() as u64;
        self.pieces.push_back(Piece::Shared(frame.clone()));
    }

    /// Appends a message: `head`, frames that are copied, then `body`. Frames of a small body that
    /// are contiguous in their receive buffer are copied at once, headers included.
    pub fn push_message(&mut self, buffers: &mut BufferPool, head: &[&[u8]], body: &Message) {
        match body.wire() {
            Wire::Span(wire) if wire.len() < SHARED_MIN && !wire.is_empty() => {
                let room = head.iter().map(|frame| zmtp::HEADER_MAX + frame.len());
                let room = room.fold(wire.len(), |sum, frame| sum + frame);
                self.append(buffers, room, |piece| {
                    piece.reserve(room);
                    for frame in head {
                        zmtp::put_frame(piece, MORE, frame);
                    }
                    piece.extend_from_slice(wire);
                });
            }
            _ => self.push_frames(buffers, head, body),
        }
    }

    /// Appends an encrypted message, with each frame in a CURVE box of its own. The large frames
    /// are to be sealed on another thread ([`Self::next_to_seal`]). Their memory is copied only if
    /// something else shares it.
    pub(crate) fn push_sealed(
        &mut self,
        buffers: &mut BufferPool,
        sealer: &mut Sealer,
        head: &[&[u8]],
        body: Message,
    ) {
        let mut left = head.len() + body.len();
        let mut kind = || {
            left -= 1;
            match left {
                0 => FrameKind::Last,
                _ => FrameKind::More,
            }
        };
        for frame in head {
            self.put_sealed(buffers, sealer, kind(), frame);
        }
        if body.size() < LARGE_MIN as u64 {
            for frame in body.frames() {
                self.put_sealed(buffers, sealer, kind(), frame);
            }
            return buffers.recycle(body);
        }
        for frame in body.into_frames() {
            match frame.bytes().len() {
                ..LARGE_MIN => self.put_sealed(buffers, sealer, kind(), frame.bytes()),
                LARGE_MIN.. => self.push_large(sealer, kind(), frame),
            }
        }
    }

    /// Appends a frame that is to be sealed on another thread.
    fn push_large(&mut self, sealer: &mut Sealer, kind: FrameKind, frame: Bytes) {
        let (memory, part) = frame.into_sendable();
        // Sealing fails after 2⁶⁴ frames: then nothing more is sent, and the peer notices.
        if let Ok(work) = sealer.seal_work(kind, memory, part) {
            self.unwritten += work.size() as u64;
            self.pieces.push_back(Piece::Sealing(work.size()));
            self.to_seal.push_back(work);
        }
    }

    /// Removes and returns the next large frame to seal, if there is one. The frames must be sealed
    /// in the order in which they are returned.
    pub(crate) fn next_to_seal(&mut self) -> Option<SealWork> {
        self.to_seal.pop_front()
    }

    /// Puts the sealed form of the next large frame into its place. Does nothing if the queue was
    /// dropped meanwhile.
    pub(crate) fn sealed(&mut self, frame: Vec<u8>) {
        let mut pieces = self.pieces.iter_mut();
        if let Some(place) = pieces.find(|piece| piece.is_sealing())
            && let Piece::Sealing(size) = place
        {
            self.unwritten = self.unwritten + frame.len() as u64 - *size as u64;
            *place = Piece::Copied(frame);
        }
    }

    /// Returns whether the next bytes are being sealed, so that there is nothing to write yet.
    pub(crate) fn waits_for_seal(&self) -> bool {
        self.pieces.front().is_some_and(Piece::is_sealing)
    }

    /// Appends an encrypted frame. The frame is copied once, and encrypted in place.
    pub(crate) fn put_sealed(
        &mut self,
        buffers: &mut BufferPool,
        sealer: &mut Sealer,
        kind: FrameKind,
        frame: &[u8],
    ) {
        let room = frame.len() + OVERHEAD + zmtp::HEADER_MAX;
        self.append(buffers, room, |piece| {
            // Sealing fails after 2⁶⁴ frames: then nothing more is sent, and the peer notices.
            let _ = sealer.seal(kind, frame, piece);
        });
    }

    /// Appends a message that is large, or whose frames are in different buffers.
    fn push_frames(&mut self, buffers: &mut BufferPool, head: &[&[u8]], body: &Message) {
        for (n, frame) in head.iter().enumerate() {
            let more = n + 1 < head.len() || !body.is_empty();
            self.copy(buffers, frame, more);
        }
        match body.wire() {
            Wire::Frames(frames) => {
                let last = frames.len().saturating_sub(1);
                for (n, frame) in frames.iter().enumerate() {
                    self.push(buffers, frame, n < last);
                }
            }
            Wire::Span(_) => {
                if let Some(wire) = body.shared_wire().filter(|wire| !wire.bytes().is_empty()) {
                    self.unwritten += wire.bytes().len() as u64;
                    self.pieces.push_back(Piece::Shared(wire));
                }
            }
        }
    }

    /// Records that the last appended answer ends at the current end of the queue.
    pub fn mark(&mut self, outcome: RequestOutcome) {
        self.answers
            .push_back((self.written + self.unwritten, outcome));
    }

    /// Removes the next answer that is completely written, and returns its outcome. Returns `None`
    /// if there is no such answer.
    pub fn next_written(&mut self) -> Option<RequestOutcome> {
        let written = self.written;
        let Some((end, outcome)) = self.answers.front().copied() else {
            if self.answers.capacity() > ENTRIES_KEPT {
                self.answers = VecDeque::new();
            }
            return None;
        };
        if end > written {
            return None;
        }
        self.answers.pop_front();
        Some(outcome)
    }

    /// Removes the next queued answer, written or not, because no answer will be written any more.
    /// Returns its outcome, or `None` if no answer is queued.
    pub(crate) fn next_lost(&mut self) -> Option<RequestOutcome> {
        self.answers.pop_front().map(|(_, outcome)| outcome)
    }

    /// Writes as much as the system takes. Returns false if the system has no room, and true once
    /// all bytes are written, or all bytes before a frame that is being sealed.
    pub fn write(
        &mut self,
        buffers: &mut BufferPool,
        mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        while !self.pieces.is_empty() && !self.waits_for_seal() {
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let mut offered = 0;
            let mut count = 0;
            let mut skip = self.written_of_first;
            let sealed = self.pieces.iter().take_while(|piece| !piece.is_sealing());
            for (slice, piece) in slices.iter_mut().zip(sealed) {
                let bytes = &piece.bytes()[skip..];
                skip = 0;
                offered += bytes.len();
                *slice = IoSlice::new(bytes);
                count += 1;
            }
            match write(&slices[..count]) {
                Ok(n) => {
                    self.advance(buffers, n);
                    if n < offered {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Releases receive buffers that are larger than the queued frames in them, and the spare
    /// capacity of the pieces. The last piece, to which more may be appended, keeps some of its
    /// capacity.
    pub fn compact(&mut self) {
        // The next copy may still go into the last piece.
        let open = matches!(self.pieces.back(), Some(Piece::Copied(_)));
        let end = self.pieces.len() - usize::from(open);
        for piece in self.pieces.range_mut(self.compacted.min(end)..end) {
            match piece {
                Piece::Shared(bytes) => *bytes = std::mem::take(bytes).compact(),
                Piece::Copied(piece) => piece.shrink_to_fit(),
                Piece::Sealing(_) => {}
            }
        }
        self.compacted = end;
        if let Some(Piece::Copied(last)) = self.pieces.back_mut()
            && last.capacity() / LAST_PIECE_FACTOR > last.len()
        {
            last.shrink_to(LAST_PIECE_FACTOR / 2 * last.len());
        }
    }

    /// Frees the capacity that a burst has added to the list of pieces, once nothing is queued.
    /// Otherwise each connection would keep that capacity until it closes.
    pub fn rest(&mut self) {
        if self.pieces.is_empty() && self.pieces.capacity() > ENTRIES_KEPT {
            self.pieces = VecDeque::new();
        }
    }

    fn advance(&mut self, buffers: &mut BufferPool, n: usize) {
        self.written += n as u64;
        self.unwritten -= n as u64;
        self.written_of_first += n;
        while let Some(first) = self.pieces.front().filter(|piece| !piece.is_sealing()) {
            let length = first.bytes().len();
            if self.written_of_first < length {
                break;
            }
            self.written_of_first -= length;
            self.compacted = self.compacted.saturating_sub(1);
            match self.pieces.pop_front() {
                Some(Piece::Copied(piece)) => buffers.keep_piece(piece),
                Some(Piece::Shared(bytes)) => buffers.keep(bytes),
                Some(Piece::Sealing(_)) | None => break,
            }
        }
    }

    /// Calls `put` with the piece to append to: the last piece, if it is a copied piece and `n`
    /// more bytes keep it within [`PIECE`], and otherwise a new piece.
    #[inline]
    fn append(&mut self, buffers: &mut BufferPool, n: usize, put: impl FnOnce(&mut Vec<u8>)) {
        let append = |piece: &mut Vec<u8>| {
            let before = piece.len();
            put(piece);
            piece.len() - before
        };
        let appended = match self.pieces.back_mut() {
            Some(Piece::Copied(piece)) if piece.len() + n <= PIECE => append(piece),
            _ => {
                let mut piece = buffers.piece();
                let appended = append(&mut piece);
                self.pieces.push_back(Piece::Copied(piece));
                appended
            }
        };
        self.unwritten += appended as u64;
    }
}

#[cfg(test)]
mod tests;
