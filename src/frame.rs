//! Frames ⇄ message: envelope · type · headers · payload.
//!
//! Pure. A client's frames are taken apart here, and the shapes that workers see are named here;
//! what is *in* a payload is schema's, who gets it is core's.

use crate::peer::ClientKind;

/// Longest type frame, in bytes: what a ZeroMQ identity may have, so that a type can be matched,
/// logged and labelled without a bound of its own.
pub(crate) const TYPE_MAX: usize = 255;

/// Type frame of the gateway's own answers, and of a worker's that wants to say that it failed.
pub(crate) const ERROR_TYPE: &[u8] = b"ERROR";

/// One frame, in whatever form an engine holds it: moved from peer to peer, never copied by the core.
pub trait Frame: From<Vec<u8>> {
    /// The frame's bytes.
    fn bytes(&self) -> &[u8];

    /// The same bytes in memory of their own size: for frames that must wait, so that a small one
    /// doesn't keep the large buffer alive that it was received in.
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

/// The sum of the frames' bytes.
pub fn size<F: Frame>(frames: &[F]) -> u64 {
    frames.iter().map(|frame| frame.bytes().len() as u64).sum()
}

/// What goes in front of a client's answer. A socket's usual envelope is the delimiter alone, which takes no list of
/// its own: so a small request costs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Envelope<F> {
    /// Nothing.
    #[default]
    None,
    /// One empty frame.
    Delimiter,
    /// Frames through the delimiter, such as a REQ's request number.
    Frames(Vec<F>),
}

impl<F: Frame> Envelope<F> {
    /// How many frames it has.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Delimiter => 1,
            Self::Frames(frames) => frames.len(),
        }
    }

    /// Each frame in memory of its own size, since the envelope waits for the answer.
    pub fn compact(self) -> Self {
        match self {
            Self::Frames(frames) => Self::Frames(frames.into_iter().map(F::compact).collect()),
            other => other,
        }
    }

    /// Puts it where the first `head` of these frames are.
    pub fn replace(self, head: usize, frames: &mut Vec<F>) {
        match self {
            // Nearly every answer; a drain costs several times as much.
            Self::None if head == 1 => drop(frames.remove(0)),
            Self::None => drop(frames.drain(..head)),
            Self::Delimiter => {
                drop(frames.splice(..head, std::iter::once(F::from(Vec::new()))));
            }
            Self::Frames(envelope) => drop(frames.splice(..head, envelope)),
        }
    }
}

/// A client's message, taken apart. What is missing is empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<F> {
    /// What goes in front of the answer.
    pub envelope: Envelope<F>,
    /// Type, headers, payload: what a worker gets.
    pub body: Vec<F>,
}

impl<F: Frame> Message<F> {
    /// Splits a message as it came into envelope and body (design: a REQ's envelope is everything
    /// through the first empty frame, which makes `ZMQ_REQ_CORRELATE` work; another peer's only a
    /// leading empty frame). The body stays in the list that it came in.
    pub fn split(kind: ClientKind, mut frames: Vec<F>) -> Self {
        let delimiter = match kind {
            ClientKind::Req => frames.iter().position(|frame| frame.bytes().is_empty()),
            ClientKind::Dealer => frames
                .first()
                .is_some_and(|frame| frame.bytes().is_empty())
                .then_some(0),
        };
        let envelope = match (delimiter, kind) {
            (Some(0), _) => {
                frames.remove(0);
                Envelope::Delimiter
            }
            (Some(at), _) => Envelope::Frames(frames.drain(..=at).collect()),
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
    pub fn kind(&self) -> &[u8] {
        self.body.first().map_or(&[], Frame::bytes)
    }

    /// What is wrong with the body's shape, in words; the same rule for requests and answers.
    pub fn fault(&self, most_frames: usize) -> Option<String> {
        shape_fault(&self.body, self.envelope.len(), most_frames)
    }
}

/// What keeps `body` from being type, headers and payload; `envelope` frames stand before it and
/// count to the `most_frames` that a message may have.
pub(crate) fn shape_fault<F: Frame>(
    body: &[F],
    envelope: usize,
    most_frames: usize,
) -> Option<String> {
    let frames = envelope + body.len();
    if frames > most_frames {
        return Some(format!(
            "more than {most_frames} frames, the limit of limits.frames"
        ));
    }
    match body {
        [] => {
            Some("no frames: a message is a type, then headers if any, then a payload".to_owned())
        }
        [_] => Some(
            "1 frame: a message is a type, then headers if any, then a payload, which may be empty"
                .to_owned(),
        ),
        [kind, ..] if kind.bytes().is_empty() => {
            Some("the type frame is empty: a type has 1 to 255 bytes".to_owned())
        }
        [kind, ..] if kind.bytes().len() > TYPE_MAX => Some(format!(
            "the type frame has {} bytes: a type has 1 to 255 bytes",
            kind.bytes().len()
        )),
        _ => None,
    }
}

/// The headers of a body: what stands between type and payload.
pub(crate) fn headers<F>(body: &[F]) -> &[F] {
    match body {
        [_, headers @ .., _] => headers,
        _ => &[],
    }
}

/// The payload's bytes; empty where there is none.
pub(crate) fn payload<F: Frame>(body: &[F]) -> &[u8] {
    match body {
        [_, .., payload] => payload.bytes(),
        _ => &[],
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    /// The envelope as it goes in front of an answer, and the body.
    fn split(kind: ClientKind, texts: &[&str]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let Message { envelope, body } = Message::split(kind, frames(texts));
        let mut answers = Vec::new();
        for head in 0..3 {
            let mut answer = frames(&["token", "", "REPLY"]);
            answer.drain(head..2);
            let count = envelope.len();
            envelope.clone().compact().replace(head, &mut answer);
            assert_eq!(answer.split_off(count), frames(&["REPLY"]), "{head}");
            answers.push(answer);
        }
        assert!(answers.iter().all(|it| *it == answers[0]));
        (answers.swap_remove(0), body)
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
        let fault = |texts: &[&str]| shape_fault(&frames(texts), 0, 4);
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
    fn headers_and_payload_are_found() {
        let body = frames(&["T", "a", "b", "p"]);
        assert_eq!(headers(&body), &frames(&["a", "b"])[..]);
        assert_eq!(payload(&body), b"p");
        assert_eq!(headers(&frames(&["T", "p"])), &frames(&[])[..]);
        assert_eq!(payload(&frames(&["T"])), b"");
    }

    #[test]
    fn only_printable_ascii_is_shown_as_it_is() {
        assert_eq!(printable(b"client1"), "client1");
        assert_eq!(printable(b"\0k"), "006b");
        assert_eq!(printable(b"a b"), "612062");
        assert_eq!(printable("é".as_bytes()), "c3a9");
    }
}
