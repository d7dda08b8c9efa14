//! Messages of channels with `frames: single`, whose one frame is topic and payload.
//!
//! The rest of the core knows only type, headers and payload. A publisher's frame is split when it
//! arrives, and joined again before it is published, byte for byte.

use crate::frame::{Frames, TYPE_MAX};

/// Returns the type and the payload of a frame, as two frames. A frame without `topic_end` has no
/// payload, and its first bytes are the type.
pub(super) fn split<M: Frames>(frame: &[u8], topic_end: &[u8]) -> M {
    match find(frame, topic_end) {
        Some(at) => M::of(vec![
            frame[..at].to_vec(),
            frame[at + topic_end.len()..].to_vec(),
        ]),
        None => {
            // The empty header is the sign for `join` that there was no end.
            let (kind, rest) = frame.split_at(frame.len().min(TYPE_MAX));
            M::of(vec![kind.to_vec(), Vec::new(), rest.to_vec()])
        }
    }
}

/// Returns whether a message that [`split`] returned had a `topic_end`.
pub(super) fn has_end<M: Frames>(body: &M) -> bool {
    body.len() == 2
}

/// Returns a message of type, headers and payload as one frame. Headers are left out.
pub(super) fn join<M: Frames>(body: &M, topic_end: &[u8], was_split: bool) -> M {
    let kind = body.get(0).unwrap_or_default();
    let payload = body.get(body.len().saturating_sub(1)).unwrap_or_default();
    let end = match was_split && !has_end(body) {
        true => &[],
        false => topic_end,
    };
    M::of(vec![[kind, end, payload].concat()])
}

/// Returns the position of the first occurrence of `end`, which is not empty. A topic is at most as
/// long as a type, so no more is searched.
fn find(frame: &[u8], end: &[u8]) -> Option<usize> {
    let searched = &frame[..frame.len().min(TYPE_MAX + end.len())];
    searched.windows(end.len()).position(|window| window == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_joined_as_it_was() {
        let long = vec![b'x'; 3 * TYPE_MAX];
        for (frame, kind, payload) in [
            (&b"NASDAQ 12 3"[..], &b"NASDAQ"[..], &b"12 3"[..]),
            (b"A ", b"A", b""),
            (b" A", b"", b"A"),
            (b"", b"", b""),
            (b"plain", b"plain", b""),
            (&long, &long[..TYPE_MAX], &long[TYPE_MAX..]),
        ] {
            let body: Vec<Vec<u8>> = split(frame, b" ");
            assert_eq!((&*body[0], &*body[body.len() - 1]), (kind, payload));
            assert_eq!(join(&body, b" ", true), [frame.to_vec()]);
        }
    }

    #[test]
    fn a_message_of_several_frames_becomes_one() {
        let body = [&b"A"[..], b"header", b"payload"]
            .map(<[u8]>::to_vec)
            .to_vec();
        assert_eq!(join(&body, b"::", false), [b"A::payload".to_vec()]);
    }
}
