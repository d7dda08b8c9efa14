//! Messages of clients and workers in another form than `[type, header…, payload]`.
//!
//! The rest of the core knows only that form. A plain client's message gets its frontend's type
//! when it arrives, and a plain worker's answer gets the type REPLY and the request's headers.
//! Frames that a worker must not receive are left out when a request is handed out. Frames that a
//! client must not receive are left out when an answer is delivered ([`Envelope::wrap`]). A request
//! keeps the form in which it arrived and the form in which it was handed out, so a reload changes
//! neither.

use std::sync::Arc;

use super::doubts::Doubts;
use super::event::Extent;
use crate::frame::{self, AnswerShape, AnswerType, Envelope, Frames, SplitMessage};
use crate::peer::{ClientKind, WorkerKind};
use crate::snapshot::{EnvelopeMode, Framing, WorkerFrames};

/// Returns the framing of a frontend, or `None` for the usual framing: typed clients, and no proxy.
pub(super) fn unusual(framing: &Arc<Framing>) -> Option<Arc<Framing>> {
    (**framing != Framing::default()).then(|| Arc::clone(framing))
}

/// Splits a message with this framing into envelope and body. If the message is malformed,
/// [`SplitMessage::has_shape`] returns false for the result. Notes a doubt if the frontend's `type`
/// does not seem to fit the client.
#[cold]
pub(super) fn split<M: Frames>(
    framing: &Framing,
    mut frames: M,
    extent: Extent,
    doubts: Doubts<'_>,
    address: impl FnOnce() -> Option<String>,
) -> SplitMessage<M> {
    let found = find_envelope(framing, doubts.client.kind, &frames, extent);
    let knows = |kind: &[u8]| doubts.snapshot.routes.knows(kind);
    let envelope: Box<[Vec<u8>]> = match found {
        FoundEnvelope::Envelope(count) => copies(&frames, count),
        FoundEnvelope::Missing => Box::new([Vec::new()]),
        FoundEnvelope::Unknown => {
            // The envelope is guessed to end before the first known type, or else after one frame,
            // so that the rejection reaches a client behind one proxy.
            let at = (0..frames.len()).find(|n| frames.get(*n).is_some_and(knows));
            copies(&frames, at.unwrap_or(1).min(frames.len().saturating_sub(1)))
        }
    };
    match found {
        FoundEnvelope::Envelope(count) => frames.drop_front(count),
        FoundEnvelope::Missing => {}
        FoundEnvelope::Unknown => frames = M::default(),
    }
    let kind = match &framing.kind {
        Some(kind) => {
            frames = frames.with_front(&[kind]);
            AnswerType::Stripped
        }
        None => AnswerType::Kept,
    };
    let shape = AnswerShape {
        kind,
        errors: framing.errors,
    };
    let message = SplitMessage {
        envelope: Envelope::Shaped(envelope, shape),
        body: frames,
    };
    if framing.kind.is_some() {
        doubts.type_as_header(&message, address);
    }
    message
}

/// The envelope of a message: the frames before its type or, if the client sends no type, before
/// its headers and payload.
enum FoundEnvelope {
    /// The envelope has this number of frames.
    Envelope(usize),
    /// A REQ sent no envelope. Its answer still needs the delimiter: the REQ ignores an answer
    /// without the delimiter, and waits for ever.
    Missing,
    /// No empty frame ends the envelope, so its end is unknown.
    Unknown,
}

fn find_envelope<M: Frames>(
    framing: &Framing,
    client: ClientKind,
    frames: &M,
    extent: Extent,
) -> FoundEnvelope {
    let is_empty = |n: &usize| frames.get(*n).is_some_and(<[u8]>::is_empty);
    let through_delimiter = (0..frames.len()).find(is_empty).map(|at| at + 1);
    match (framing.envelope, client) {
        (EnvelopeMode::Routed, _) => {
            through_delimiter.map_or(FoundEnvelope::Unknown, FoundEnvelope::Envelope)
        }
        (EnvelopeMode::Auto, ClientKind::Req) => {
            through_delimiter.map_or(FoundEnvelope::Missing, FoundEnvelope::Envelope)
        }
        (EnvelopeMode::Auto, ClientKind::Dealer) => {
            // If a plain client sends a single frame, the frame is the payload, even if it is
            // empty.
            let is_whole = extent == Extent::Whole && frames.len() == 1;
            let is_payload = framing.kind.is_some() && is_whole;
            FoundEnvelope::Envelope(usize::from(is_empty(&0) && !is_payload))
        }
    }
}

/// Returns copies of the first `count` frames.
fn copies<M: Frames>(frames: &M, count: usize) -> Box<[Vec<u8>]> {
    let first = (0..count).filter_map(|n| frames.get(n));
    first.map(<[u8]>::to_vec).collect()
}

/// Describes the fault of a malformed message to a frontend with this framing. `usual` is the
/// description of the fault for the usual framing.
#[cold]
pub(super) fn fault<M: Frames>(
    framing: Option<&Framing>,
    message: &SplitMessage<M>,
    frames_max: usize,
    usual: String,
) -> String {
    let frames = message.body.len();
    let Some(framing) = framing else {
        return if frames == 1 {
            usual + "; a client that sends only payloads needs a frontend with `type`"
        } else {
            usual
        };
    };
    let envelope: &[Vec<u8>] = match &message.envelope {
        Envelope::Frames(frames) | Envelope::Shaped(frames, _) => frames,
        Envelope::None | Envelope::Delimiter => &[],
    };
    let is_delimited = envelope.last().is_some_and(Vec::is_empty);
    let what = match framing.kind {
        Some(_) => "payload",
        None => "type",
    };
    if framing.envelope == EnvelopeMode::Routed && !is_delimited {
        format!(
            "`envelope: routed` of this frontend requires an empty frame that ends the envelope, and \
             there is none: behind a proxy, a DEALER must send an empty frame before the {what}"
        )
    } else if framing.kind.is_none() {
        usual
    } else if envelope.len() + frames > frames_max {
        format!(
            "more than {frames_max} frames, the limit of limits.frames: the frontend's type counts as a frame"
        )
    } else {
        "no payload: a message to this frontend is headers, if any, then a payload, which may be empty"
            .to_owned()
    }
}

/// Returns a plain worker's answer as type, headers and payload. `handed` is the form in which the
/// request was handed out, and `headers` are the headers of the request.
///
/// # Errors
///
/// Fails with a description of the fault in the answer's frames.
#[cold]
pub(super) fn typed_answer<M: Frames>(
    mut answer: M,
    worker: WorkerKind,
    handed: WorkerFrames,
    headers: &[Vec<u8>],
) -> Result<M, String> {
    let is_delimited = answer.get(1).is_some_and(<[u8]>::is_empty) && answer.len() > 2;
    let head = match (worker, handed) {
        (WorkerKind::Dealer, WorkerFrames::Typed | WorkerFrames::Payload) => 1,
        (WorkerKind::Dealer, WorkerFrames::Delimited) | (WorkerKind::Rep, _) if is_delimited => 2,
        (WorkerKind::Dealer, WorkerFrames::Delimited) => {
            return Err(
                "a worker of a pool with `frames: delimited` answers [identity, \"\", payload]: \
                 the empty frame is missing"
                    .to_owned(),
            );
        }
        (WorkerKind::Rep, _) => {
            return Err("the worker doesn't answer as a REP does: no empty frame follows the envelope, or no frame follows the empty one".to_owned());
        }
    };
    let frames = answer.len() - head.min(answer.len());
    if frames != 1 {
        let mut fault = format!(
            "a plain worker answers with one frame, the payload, but this one sent {frames}"
        );
        if head == 1 && frames == 2 && is_delimited {
            fault.push_str(
                ": if it puts an empty frame before the payload, its pool needs `frames: delimited`",
            );
        }
        return Err(fault);
    }
    answer.drop_front(head);
    let mut leading = vec![frame::REPLY_TYPE];
    leading.extend(headers.iter().map(Vec::as_slice));
    Ok(answer.with_front(&leading))
}
