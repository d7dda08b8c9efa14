//! Messages on channels with `frames: single`: one frame, which contains the topic, `topic_end` and
//! the payload.
//!
//! The rest of the core knows only type, headers and payload. A publisher's frame is split when it
//! arrives, and joined again before it is published, byte for byte.

use crate::frame::{Frames, TYPE_MAX};

/// Splits a frame at the first `topic_end` into two frames, the type and the payload. A frame
/// without `topic_end` becomes three frames: its first [`TYPE_MAX`] bytes as the type, an empty
/// header, and the remaining bytes as the payload.
pub(super) fn split<M: Frames>(frame: &[u8], topic_end: &[u8]) -> M {
    match find(frame, topic_end) {
        Some(at) => M::of(vec![
            frame[..at].to_vec(),
            frame[at + topic_end.len()..].to_vec(),
        ]),
        None => {
            // The empty header marks a frame without `topic_end`, for `has_end`.
            let (kind, rest) = frame.split_at(frame.len().min(TYPE_MAX));
            M::of(vec![kind.to_vec(), Vec::new(), rest.to_vec()])
        }
    }
}

/// Returns whether the frame that [`split`] turned into `body` had a `topic_end`.
pub(super) fn has_end<M: Frames>(body: &M) -> bool {
    body.len() == 2
}

/// Joins the type and the payload of a message into one frame, with `topic_end` between them.
/// Headers are left out. `was_split` must be true if [`split`] returned the message. In this case,
/// a frame that had no `topic_end` is restored without one.
pub(super) fn join<M: Frames>(body: &M, topic_end: &[u8], was_split: bool) -> M {
    let kind = body.get(0).unwrap_or_default();
    let payload = body.get(body.len().saturating_sub(1)).unwrap_or_default();
    let end = match was_split && !has_end(body) {
        true => &[],
        false => topic_end,
    };
    M::of(vec![[kind, end, payload].concat()])
}

/// Returns the position of the first `end` in a frame, or `None` if no `end` follows a topic of at
/// most [`TYPE_MAX`] bytes. `end` must not be empty.
fn find(frame: &[u8], end: &[u8]) -> Option<usize> {
    let searched = &frame[..frame.len().min(TYPE_MAX + end.len())];
    searched.windows(end.len()).position(|window| window == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_restores_a_frame_that_was_split() {
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
    fn join_leaves_out_the_headers_of_a_message() {
        let body = [&b"A"[..], b"header", b"payload"]
            .map(<[u8]>::to_vec)
            .to_vec();
        assert_eq!(join(&body, b"::", false), [b"A::payload".to_vec()]);
    }
}
