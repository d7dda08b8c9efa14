//! The frames of a message, and their parts: envelope, type, headers, payload.
//!
//! These functions are pure. They split messages, check their form, and show types and identities
//! as text. Schemas judge the content of payloads, and the core chooses the worker.

use std::fmt::Debug;

use crate::peer::ClientKind;
use crate::snapshot::ErrorFrames;

/// The maximum length of a type, in bytes. It equals the maximum length of a ZeroMQ identity. Since
/// types are bounded, they can be matched, logged and used as labels without another limit.
pub(crate) const TYPE_MAX: usize = 255;

/// The type of answers from plain workers, which send no type.
pub(crate) const REPLY_TYPE: &[u8] = b"REPLY";

/// The type of the acknowledgement that a message was published.
pub(crate) const ACK_TYPE: &[u8] = b"ACK";

/// The type of rejections, and of a worker's answer that reports a failure.
pub(crate) const ERROR_TYPE: &[u8] = b"ERROR";

/// A frame of a message that is stored as a list of frames.
pub trait Frame: From<Vec<u8>> + Debug + Send + 'static {
    /// Returns the frame's bytes.
    fn bytes(&self) -> &[u8];

    /// Returns the same bytes in an allocation of exactly their size, so that a small frame in a
    /// queue does not keep the large receive buffer alive.
    fn compact(self) -> Self;
}

impl Frame for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn compact(mut self) -> Self {
        self.shrink_to_fit();
        self
    }
}

/// The frames of a message, in any form that an engine uses. The core passes them from peer to peer
/// without copying. The default has no frames.
pub trait Frames: Default + Debug {
    /// The same frames in a form that may go to another thread.
    type Parcel: Frames<Parcel = Self::Parcel> + Send + 'static;

    /// Returns the frames in the form that may go to another thread. A large frame that has its own
    /// memory is not copied.
    fn pack(self) -> Self::Parcel;

    /// Returns the message of packed frames.
    fn unpack(parcel: Self::Parcel) -> Self;

    /// Returns a message of these frames.
    fn of(frames: Vec<Vec<u8>>) -> Self;

    /// Returns the number of frames.
    fn len(&self) -> usize;

    /// Returns whether there is no frame.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of frame `n`, counted from 0, or `None` if there is no such frame.
    fn get(&self, n: usize) -> Option<&[u8]>;

    /// Returns the sum of the frames' bytes.
    fn size(&self) -> u64;

    /// Drops the first `n` frames, or all if there are fewer.
    fn drop_front(&mut self, n: usize);

    /// Returns the same frames in allocations of exactly their size, for a message that is queued.
    fn compact(self) -> Self;

    /// Returns the same message, preceded by copies of these frames.
    fn with_front(self, front: &[&[u8]]) -> Self;

    /// Returns a message that has only the last frame, or no frame if there is none.
    fn last(&self) -> Self;
}

impl<F: Frame> Frames for Vec<F> {
    type Parcel = Self;

    fn pack(self) -> Self {
        self.into_iter().map(F::compact).collect()
    }

    fn unpack(parcel: Self) -> Self {
        parcel
    }

    fn of(frames: Vec<Vec<u8>>) -> Self {
        frames.into_iter().map(F::from).collect()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, n: usize) -> Option<&[u8]> {
        self.as_slice().get(n).map(F::bytes)
    }

    fn size(&self) -> u64 {
        self.iter().map(|frame| frame.bytes().len() as u64).sum()
    }

    fn drop_front(&mut self, n: usize) {
        drop(self.drain(..n.min(self.len())));
    }

    fn compact(self) -> Self {
        self.into_iter().map(F::compact).collect()
    }

    fn with_front(self, front: &[&[u8]]) -> Self {
        let front = front.iter().map(|frame| F::from(frame.to_vec()));
        front.chain(self).collect()
    }

    fn last(&self) -> Self {
        let last = self.as_slice().last();
        last.map(|frame| F::from(frame.bytes().to_vec()))
            .into_iter()
            .collect()
    }
}

/// The frames that a client receives before its answer. Most envelopes are the delimiter alone,
/// which needs no list, so a small request costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// The envelope has no frames.
    #[default]
    None,
    /// The envelope is one empty frame.
    Delimiter,
    /// The frames up to the delimiter, such as a REQ's request number. They are copied, because
    /// they must be kept until the answer arrives.
    Frames(Box<[Vec<u8>]>),
    /// The envelope of a client that does not receive all frames of a worker's answer: the frames
    /// before the answer, which may be none, and the form of the answer.
    Shaped(Box<[Vec<u8>]>, AnswerShape),
}

/// The form in which a client receives an answer, after the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerShape {
    /// The treatment of the type.
    pub kind: AnswerType,
    /// The form of a rejection and of a worker's ERROR.
    pub errors: ErrorFrames,
}

/// The treatment of an answer's type on the way to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerType {
    /// The type is sent.
    #[default]
    Kept,
    /// The type is removed unless it is ERROR, for a client that sends no types.
    Stripped,
}

impl AnswerShape {
    /// Removes the frames of an answer that its client does not receive.
    fn cut<M: Frames>(self, body: &mut M) {
        let is_error = body.get(0) == Some(ERROR_TYPE);
        match (self.errors, self.kind) {
            (ErrorFrames::Payload, _) if is_error => body.drop_front(body.len().saturating_sub(1)),
            (_, AnswerType::Stripped) if !is_error => body.drop_front(1),
            _ => {}
        }
    }
}

impl Envelope {
    /// Returns the number of frames.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Delimiter => 1,
            Self::Frames(frames) | Self::Shaped(frames, _) => frames.len(),
        }
    }

    /// Returns the sum of the frames' bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::None | Self::Delimiter => 0,
            Self::Frames(frames) | Self::Shaped(frames, _) => {
                frames.iter().map(|frame| frame.len() as u64).sum()
            }
        }
    }

    /// Calls `send` with the frames before an answer, and the answer in the form that its client
    /// receives.
    #[inline]
    pub(crate) fn wrap<M: Frames, R>(&self, mut body: M, send: impl FnOnce(&[&[u8]], M) -> R) -> R {
        let list: Vec<&[u8]>;
        let frames: &[&[u8]] = match self {
            Self::None => &[],
            Self::Delimiter => &[b""],
            Self::Frames(frames) => {
                list = frames.iter().map(Vec::as_slice).collect();
                &list
            }
            Self::Shaped(frames, shape) => {
                shape.cut(&mut body);
                list = frames.iter().map(Vec::as_slice).collect();
                &list
            }
        };
        send(frames, body)
    }
}

/// Returns the total size of these frames, in bytes.
#[inline]
pub(crate) fn size(frames: &[&[u8]]) -> u64 {
    frames.iter().map(|frame| frame.len() as u64).sum()
}

/// A message of a client or a publisher, split into its parts. A missing part is empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SplitMessage<M> {
    /// The frames to send before the answer.
    pub envelope: Envelope,
    /// The type, headers and payload, which a worker receives.
    pub body: M,
}

impl<M: Frames> SplitMessage<M> {
    /// Splits a received message into envelope and body. The envelope of a REQ is everything up to
    /// and including the first empty frame, which makes `ZMQ_REQ_CORRELATE` work. The envelope of
    /// another peer is at most a leading empty frame. The body stays in the memory in which it
    /// arrived.
    #[inline]
    pub(crate) fn split(kind: ClientKind, mut frames: M) -> Self {
        let is_empty = |n: &usize| frames.get(*n).is_some_and(<[u8]>::is_empty);
        let delimiter = match kind {
            ClientKind::Req => (0..frames.len()).find(is_empty),
            ClientKind::Dealer => Some(0).filter(is_empty),
        };
        let envelope = match (delimiter, kind) {
            (Some(0), _) => {
                frames.drop_front(1);
                Envelope::Delimiter
            }
            (Some(at), _) => {
                let front = (0..=at).filter_map(|n| frames.get(n));
                let envelope = Envelope::Frames(front.map(<[u8]>::to_vec).collect());
                frames.drop_front(at + 1);
                envelope
            }
            // The message is malformed. The answer still gets the delimiter, without which a REQ
            // would wait forever.
            (None, ClientKind::Req) => Envelope::Delimiter,
            (None, ClientKind::Dealer) => Envelope::None,
        };
        Self {
            envelope,
            body: frames,
        }
    }

    /// Returns the type.
    #[inline]
    pub(crate) fn kind(&self) -> &[u8] {
        self.body.get(0).unwrap_or_default()
    }

    /// Returns whether the body has the form of a message. The rule is the same for requests and
    /// answers.
    #[inline]
    pub(crate) fn has_shape(&self, frames_max: usize) -> bool {
        has_shape(&self.body, self.envelope.len(), frames_max)
    }

    /// Describes why the body does not have the form of a message.
    pub(crate) fn fault(&self, frames_max: usize) -> String {
        shape_fault(&self.body, self.envelope.len(), frames_max)
    }
}

/// Returns whether `body` consists of type, headers and payload. `envelope` is the number of frames
/// before the body, which count towards `frames_max`.
#[inline]
pub(crate) fn has_shape<M: Frames>(body: &M, envelope: usize, frames_max: usize) -> bool {
    let frames = body.len();
    let kind = body.get(0).unwrap_or_default();
    frames >= 2 && envelope + frames <= frames_max && (1..=TYPE_MAX).contains(&kind.len())
}

/// Describes why `body` does not have [the form of a message](has_shape).
#[cold]
pub(crate) fn shape_fault<M: Frames>(body: &M, envelope: usize, frames_max: usize) -> String {
    let kind = body.get(0).unwrap_or_default();
    misfit(body.len(), kind.len(), envelope, frames_max)
}

/// Describes the fault of a message that has `envelope` frames before its body, `frames` frames in
/// its body, and a type of `kind` bytes.
fn misfit(frames: usize, kind: usize, envelope: usize, frames_max: usize) -> String {
    match (frames, kind) {
        _ if envelope + frames > frames_max => {
            format!("more than {frames_max} frames, the limit of limits.frames")
        }
        (0, _) => "no frames: a message is a type, then headers if any, then a payload".to_owned(),
        (1, _) => {
            "1 frame: a message is a type, then headers if any, then a payload, which may be empty"
                .to_owned()
        }
        (_, 0) => "the type frame is empty: a type has 1 to 255 bytes".to_owned(),
        _ => format!("the type frame has {kind} bytes: a type has 1 to 255 bytes"),
    }
}

/// Returns the frames of a request that a rejection repeats: the headers, preceded by the type if
/// `with_type` is set.
#[inline]
pub(crate) fn kept<M: Frames>(
    body: &M,
    with_type: bool,
) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
    let end = body.len().saturating_sub(1);
    let first = usize::from(!with_type);
    (first..end.max(first)).map(|n| body.get(n).unwrap_or_default())
}

/// Returns the frames of a body after its type and before the frame with index `end`.
#[inline]
pub(crate) fn between<M: Frames>(
    body: &M,
    end: usize,
) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
    (1..end.max(1)).map(|n| body.get(n).unwrap_or_default())
}

/// Returns the payload, which is empty if there is none.
#[inline]
pub(crate) fn payload<M: Frames>(body: &M) -> &[u8] {
    match body.len() {
        0 | 1 => &[],
        n => body.get(n - 1).unwrap_or_default(),
    }
}

/// Returns a readable form of a type or an identity: the text itself if all bytes are printable
/// ASCII other than the space, and hexadecimal digits otherwise.
pub(crate) fn printable(bytes: &[u8]) -> String {
    if bytes.iter().all(|b| b.is_ascii_graphic()) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Returns a type in the form of a key of routes.yaml: the text itself if all bytes are printable
/// ASCII other than the space, and `hex:…` otherwise. The result is empty if `kind` is empty or
/// longer than [`TYPE_MAX`].
pub(crate) fn type_name(kind: &[u8]) -> String {
    match kind {
        [] => String::new(),
        _ if kind.len() > TYPE_MAX => String::new(),
        _ if kind.iter().all(u8::is_ascii_graphic) => printable(kind),
        _ => format!("hex:{}", printable(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    /// Returns the envelope in the form that precedes an answer, and the body.
    fn split(kind: ClientKind, texts: &[&str]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let SplitMessage { envelope, body } = SplitMessage::split(kind, frames(texts));
        let none = Vec::<Vec<u8>>::new();
        let front = envelope.wrap(none, |frames, _| {
            frames.iter().map(|frame| frame.to_vec()).collect()
        });
        assert_eq!(envelope.len(), Vec::len(&front));
        (front, body)
    }

    #[test]
    fn the_envelope_of_a_dealer_is_a_leading_empty_frame_at_most() {
        use ClientKind::Dealer;
        assert_eq!(split(Dealer, &["T", "p"]), (vec![], frames(&["T", "p"])));
        assert_eq!(
            split(Dealer, &["", "T", "p"]),
            (frames(&[""]), frames(&["T", "p"]))
        );
        assert_eq!(
            split(Dealer, &["T", "", "p"]),
            (vec![], frames(&["T", "", "p"]))
        );
    }

    #[test]
    fn the_envelope_of_a_req_ends_with_the_first_empty_frame() {
        use ClientKind::Req;
        assert_eq!(
            split(Req, &["", "T", "p"]),
            (frames(&[""]), frames(&["T", "p"]))
        );
        assert_eq!(
            split(Req, &["id01", "", "T", "", "p"]),
            (frames(&["id01", ""]), frames(&["T", "", "p"]))
        );
        assert_eq!(split(Req, &["T"]), (frames(&[""]), frames(&["T"])));
    }

    #[test]
    fn the_form_of_a_message_is_checked() {
        let fault = |texts: &[&str]| {
            let body = frames(texts);
            (!has_shape(&body, 0, 4)).then(|| shape_fault(&body, 0, 4))
        };
        assert_eq!(fault(&["T", "p"]), None);
        assert_eq!(fault(&["T", "h", "h", ""]), None);
        assert!(fault(&["T", "h", "h", "h", "p"]).is_some_and(|f| f.contains("limits.frames")));
        assert!(fault(&[]).is_some_and(|f| f.starts_with("no frames")));
        assert!(fault(&["T"]).is_some_and(|f| f.starts_with("1 frame")));
        assert!(fault(&["", "p"]).is_some_and(|f| f.contains("empty")));
        assert!(fault(&[&"x".repeat(256), "p"]).is_some_and(|f| f.contains("256 bytes")));
        assert_eq!(fault(&[&"x".repeat(255), "p"]), None);
    }

    #[test]
    fn type_headers_and_payload_are_found() {
        let body = frames(&["T", "a", "b", "p"]);
        assert!(kept(&body, false).eq([b"a", b"b"]));
        assert!(kept(&body, true).eq([b"T", b"a", b"b"]));
        assert_eq!(payload(&body), b"p");
        for few in [&["T", "p"][..], &["T"], &[]] {
            assert_eq!(kept(&frames(few), false).len(), 0);
        }
        assert_eq!(payload(&frames(&["T"])), b"");
    }

    #[test]
    fn only_printable_ascii_is_shown_unchanged() {
        assert_eq!(printable(b"client1"), "client1");
        assert_eq!(printable(b"\0k"), "006b");
        assert_eq!(printable(b"a b"), "612062");
        assert_eq!(printable("é".as_bytes()), "c3a9");
        assert_eq!(type_name(b"person.new"), "person.new");
        assert_eq!(type_name(b"a b"), "hex:612062");
        assert_eq!(type_name(b"\xff\x01"), "hex:ff01");
        assert_eq!(type_name(&[b'x'; TYPE_MAX + 1]), "");
    }
}
