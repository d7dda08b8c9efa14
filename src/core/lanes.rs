//! The lanes, and the backlog of each peer in them. A lane is a queue of messages that wait for the
//! verdict of a judge, or for an earlier message of their lane.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use rustc_hash::FxHashMap;

use crate::frame::Envelope;
use crate::peer::PeerId;
use crate::snapshot::{AnyOf, Limits};

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Request,
    Answer,
}

/// The key of a lane, whose messages keep their order. All messages of a lane have the same client
/// and the same envelope. Behind a proxy, each client has a different envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) client: PeerId,
    /// A hash of the envelope. If two envelopes have the same hash, they share a lane, which only
    /// makes their messages wait for each other.
    envelope: u64,
    pub(super) direction: Direction,
}

/// The lanes, and the backlog of each peer in them.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<LaneKey, VecDeque<LaneEntry>>,
    backlogs: FxHashMap<PeerId, Backlog>,
    hasher: RandomState,
    /// The size of all messages in the lanes, in bytes.
    bytes: u64,
    /// The number of payloads that judges have checked.
    judged: u64,
}

/// A message in a lane. Its request may have ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneEntry {
    /// The number of the request: the message is that request, or the answer to it.
    pub(super) number: u64,
    /// The client or worker that sent the message.
    pub(super) sender: PeerId,
    pub(super) bytes: u64,
}

/// The number and size of a peer's messages in all lanes.
#[derive(Debug, Default)]
struct Backlog {
    messages: u64,
    bytes: u64,
    paused: bool,
}

impl Lanes {
    /// Returns whether all lanes are empty, and a payload of this size is as cheap to check as a
    /// small payload. If so, the message joins no lane and needs no judge.
    #[inline]
    pub(super) fn is_usual(&self, schema: Option<&AnyOf>, bytes: usize) -> bool {
        self.lanes.is_empty() && schema.is_none_or(|schema| schema.is_usual(bytes))
    }

    /// Returns whether a message must join this lane, because earlier messages wait in it or
    /// because a judge must check its payload.
    pub(super) fn defers(&self, lane: LaneKey, schema: Option<&AnyOf>, payload: &[u8]) -> bool {
        self.lanes.contains_key(&lane) || schema.is_some_and(|schema| !schema.is_direct(payload))
    }

    /// Returns the lane of a client's messages with this envelope, or of the answers to them.
    pub(super) fn lane(
        &self,
        client: PeerId,
        envelope: &Envelope,
        direction: Direction,
    ) -> LaneKey {
        let envelope = match envelope {
            Envelope::Frames(frames) | Envelope::Shaped(frames, _) if frames.len() > 1 => {
                self.hasher.hash_one(frames)
            }
            // An envelope of one frame is the empty delimiter of a REQ client. The delimiter is the
            // same in all messages, so it does not distinguish lanes.
            _ => 0,
        };
        LaneKey {
            client,
            envelope,
            direction,
        }
    }

    /// Returns the number of messages in the lanes.
    pub(super) fn len(&self) -> u64 {
        self.backlogs.values().map(|backlog| backlog.messages).sum()
    }

    /// Returns the size of all messages in the lanes, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts a payload that a judge has checked.
    pub(super) fn count_judged(&mut self) {
        self.judged += 1;
    }

    /// Returns the number of payloads that judges have checked.
    pub(super) fn judged(&self) -> u64 {
        self.judged
    }

    /// Adds a message at the end of its lane. Returns whether its sender must be paused, because
    /// the backlog is more than half of `limits.client_requests` or of `bytes_max`.
    #[must_use]
    pub(super) fn push(
        &mut self,
        lane: LaneKey,
        entry: LaneEntry,
        limits: &Limits,
        bytes_max: u64,
    ) -> bool {
        let backlog = self.backlogs.entry(entry.sender).or_default();
        backlog.messages += 1;
        backlog.bytes += entry.bytes;
        self.bytes += entry.bytes;
        let messages_max = u64::from(limits.client_requests) / 2;
        let is_high = backlog.messages > messages_max || backlog.bytes > bytes_max / 2;
        let pauses = is_high && !backlog.paused;
        backlog.paused |= is_high;
        self.lanes.entry(lane).or_default().push_back(entry);
        pauses
    }

    /// Returns the number of the first request in a lane, or `None` if the lane is empty.
    pub(super) fn first(&self, lane: LaneKey) -> Option<u64> {
        Some(self.lanes.get(&lane)?.front()?.number)
    }

    /// Removes the first message of a lane. Returns its sender if the gateway must read from the
    /// sender again, because the sender's backlog has shrunk to a quarter of
    /// `limits.client_requests` and of `limits.client_bytes`. Returns `None` otherwise.
    #[must_use]
    pub(super) fn pop(&mut self, lane: LaneKey, limits: &Limits) -> Option<PeerId> {
        let entries = self.lanes.get_mut(&lane)?;
        let first = entries.pop_front();
        if entries.is_empty() {
            self.lanes.remove(&lane);
        }
        let LaneEntry { sender, bytes, .. } = first?;
        self.bytes -= bytes;
        let backlog = self.backlogs.get_mut(&sender)?;
        backlog.messages -= 1;
        backlog.bytes -= bytes;
        let is_low = backlog.messages <= u64::from(limits.client_requests) / 4
            && backlog.bytes <= limits.client_bytes / 4;
        let resumes = backlog.paused && is_low;
        backlog.paused &= !is_low;
        if backlog.messages == 0 {
            self.backlogs.remove(&sender);
        }
        resumes.then_some(sender)
    }
}
