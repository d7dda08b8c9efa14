//! Frames ⇄ message: envelope · type · headers · payload.
//!
//! Pure. A client's frames are taken apart here, and the shapes that workers see are named here;
//! what is *in* a payload is schema's, who gets it is core's.

use crate::peer::ClientKind;
use crate::snapshot::ErrorFrames;

/// Longest type frame, in bytes: what a ZeroMQ identity may have, so that a type can be matched,
/// logged and labelled without a bound of its own.
pub(crate) const TYPE_MAX: usize = 255;

/// Type frame of the answers of plain workers, whose answers have none.
pub(crate) const REPLY_TYPE: &[u8] = b"REPLY";

/// Type frame of the gateway's own answers, and of a worker's that wants to say that it failed.
pub(crate) const ERROR_TYPE: &[u8] = b"ERROR";

/// One frame of a message that is a list of frames.
pub trait Frame: From<Vec<u8>> {
    /// Returns the frame's bytes.
    fn bytes(&self) -> &[u8];

    /// Returns the same bytes in memory of their own size: for frames that must wait, so that a
    /// small one doesn't keep the large buffer alive that it was received in.
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

/// A message's frames, in whatever form an engine holds them: handed from peer to peer, never
/// copied by the core. The default has no frames.
pub trait Frames: Default {
    /// Returns a message of these frames.
    fn of(frames: Vec<Vec<u8>>) -> Self;

    /// Returns how many frames there are.
    fn len(&self) -> usize;

    /// Returns whether there is no frame.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes of a frame, counted from 0.
    fn get(&self, n: usize) -> Option<&[u8]>;

    /// Returns the sum of the frames' bytes.
    fn size(&self) -> u64;

    /// Drops the first `n` frames, or all if there are fewer.
    fn drop_front(&mut self, n: usize);

    /// Returns the same frames in memory of their own size: for a message that must wait.
    fn compact(self) -> Self;

    /// Returns the same message with these frames, which are copied, in front.
    fn with_front(self, front: &[&[u8]]) -> Self;

    /// Returns a message of the last frame alone, or of none if there is no frame.
    fn last(&self) -> Self;
}

impl<F: Frame> Frames for Vec<F> {
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

/// What goes in front of a client's answer. A socket's usual envelope is the delimiter alone, which takes no list of
/// its own: so a small request costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// Nothing.
    #[default]
    None,
    /// One empty frame.
    Delimiter,
    /// Frames through the delimiter, such as a REQ's request number: copies, since they wait for
    /// the answer.
    Frames(Box<[Vec<u8>]>),
    /// Such frames or none, in front of an answer that does not have the usual frames.
    Shaped(Box<[Vec<u8>]>, AnswerShape),
}

/// The frames that an answer has for its client, behind the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerShape {
    /// What becomes of the type.
    pub kind: AnswerType,
    /// The frames of a rejection and of a worker's ERROR.
    pub errors: ErrorFrames,
}

/// What becomes of an answer's type on the way to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerType {
    /// It is sent.
    #[default]
    Kept,
    /// It is taken off, unless it is ERROR: for a plain client.
    Stripped,
}

impl AnswerShape {
    /// Takes off the frames of an answer that its client doesn't get.
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
    /// How many frames it has.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Delimiter => 1,
            Self::Frames(frames) | Self::Shaped(frames, _) => frames.len(),
        }
    }

    /// Calls `with` with the frames in front of an answer, and the answer as its client gets it.
    #[inline]
    pub fn wrap<M: Frames, R>(&self, mut body: M, with: impl FnOnce(&[&[u8]], M) -> R) -> R {
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
        with(frames, body)
    }
}

/// Returns the sum of these frames' bytes.
#[inline]
pub(crate) fn size(frames: &[&[u8]]) -> u64 {
    frames.iter().map(|frame| frame.len() as u64).sum()
}

/// A client's message, taken apart. What is missing is empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<M> {
    /// What goes in front of the answer.
    pub envelope: Envelope,
    /// Type, headers, payload: what a worker gets.
    pub body: M,
}

impl<M: Frames> Message<M> {
    /// Splits a message as it came into envelope and body (design: a REQ's envelope is everything
    /// through the first empty frame, which makes `ZMQ_REQ_CORRELATE` work; another peer's only a
    /// leading empty frame). The body stays in the memory that it came in.
    #[inline]
    pub fn split(kind: ClientKind, mut frames: M) -> Self {
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
            // Broken already; the answer still gets the delimiter without which a REQ never wakes.
            (None, ClientKind::Req) => Envelope::Delimiter,
            (None, ClientKind::Dealer) => Envelope::None,
        };
        Self {
            envelope,
            body: frames,
        }
    }

    /// The type frame's bytes.
    #[inline]
    pub fn kind(&self) -> &[u8] {
        self.body.get(0).unwrap_or_default()
    }

    /// Whether the body has the shape of one; the same rule for requests and answers.
    #[inline]
    pub fn has_shape(&self, most_frames: usize) -> bool {
        has_shape(&self.body, self.envelope.len(), most_frames)
    }

    /// What is wrong with the body's shape, in words.
    pub fn fault(&self, most_frames: usize) -> String {
        shape_fault(&self.body, self.envelope.len(), most_frames)
    }
}

/// Whether `body` is type, headers and payload; `envelope` frames stand before it and count to the
/// `most_frames` that a message may have.
#[inline]
pub(crate) fn has_shape<M: Frames>(body: &M, envelope: usize, most_frames: usize) -> bool {
    let frames = body.len();
    let kind = body.get(0).unwrap_or_default();
    frames >= 2 && envelope + frames <= most_frames && (1..=TYPE_MAX).contains(&kind.len())
}

/// Says what keeps `body` from [having a message's shape](has_shape).
#[cold]
pub(crate) fn shape_fault<M: Frames>(body: &M, envelope: usize, most_frames: usize) -> String {
    let kind = body.get(0).unwrap_or_default();
    misfit(body.len(), kind.len(), envelope, most_frames)
}

/// Says what is wrong with a message of so many `frames` whose type has `kind` bytes.
fn misfit(frames: usize, kind: usize, envelope: usize, most_frames: usize) -> String {
    match (frames, kind) {
        _ if envelope + frames > most_frames => {
            format!("more than {most_frames} frames, the limit of limits.frames")
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

/// Returns the frames of a request that an answer of the gateway's own needs: the headers, and before them the type
/// if it is asked for.
#[inline]
pub(crate) fn kept<M: Frames>(
    body: &M,
    with_type: bool,
) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
    let end = body.len().saturating_sub(1);
    let first = usize::from(!with_type);
    (first..end.max(first)).map(|n| body.get(n).unwrap_or_default())
}

/// The frames of a body behind its type and before the frame `end`.
#[inline]
pub(crate) fn between<M: Frames>(
    body: &M,
    end: usize,
) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
    (1..end.max(1)).map(|n| body.get(n).unwrap_or_default())
}

/// The payload's bytes; empty where there is none.
#[inline]
pub(crate) fn payload<M: Frames>(body: &M) -> &[u8] {
    match body.len() {
        0 | 1 => &[],
        n => body.get(n - 1).unwrap_or_default(),
    }
}

/// A type or an identity for people: as it is where it is printable ASCII, in hex otherwise.
pub(crate) fn printable(bytes: &[u8]) -> String {
    if bytes.iter().all(|b| b.is_ascii_graphic()) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Returns a type as a key of routes.yaml would have it: as it is where it is printable ASCII, `hex:…` otherwise.
/// Empty for what is no type.
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

    /// The envelope as it goes in front of an answer, and the body.
    fn split(kind: ClientKind, texts: &[&str]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let Message { envelope, body } = Message::split(kind, frames(texts));
        let none = Vec::<Vec<u8>>::new();
        let front = envelope.wrap(none, |frames, _| {
            frames.iter().map(|it| it.to_vec()).collect()
        });
        assert_eq!(envelope.len(), Vec::len(&front));
        (front, body)
    }

    #[test]
    fn a_dealers_envelope_is_a_leading_empty_frame_at_most() {
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
    fn a_reqs_envelope_goes_through_the_first_empty_frame() {
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
    fn shapes_are_judged() {
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
    fn only_printable_ascii_is_shown_as_it_is() {
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
