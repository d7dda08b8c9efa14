use super::*;
use crate::reply::Reason;
use crate::snapshot::RouteId;
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{Client, KeyPair, Opener, Server};

/// Takes at most `most` bytes with each call of the system. Returns the result of
/// [`Outbox::write`].
fn take(outbox: &mut Outbox, into: &mut Vec<u8>, most: usize) -> bool {
    let write = |slices: &[IoSlice<'_>]| {
        let before = into.len();
        for slice in slices {
            let room = most - (into.len() - before);
            into.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        Ok(into.len() - before)
    };
    outbox.write(&mut BufferPool::default(), write).unwrap()
}

#[test]
fn all_queued_bytes_are_written_however_few_the_peer_takes_at_a_time() {
    let large = vec![9; SHARED_MIN + 1];
    let mut expected = Vec::new();
    let frames: Vec<Vec<u8>> = vec![vec![1; 10], large, vec![2; PIECE - 5], vec![], vec![3; 300]];
    for frame in &frames {
        zmtp::put_frame(&mut expected, MORE, frame);
    }
    for most in [1, 7, 1000, SHARED_MIN, usize::MAX / 2] {
        let mut outbox = Outbox::default();
        let mut buffers = BufferPool::default();
        for frame in &frames {
            outbox.push(&mut buffers, &Bytes::from(frame.clone()), true);
        }
        assert_eq!(outbox.unwritten(), expected.len() as u64);
        let mut out = Vec::new();
        while !take(&mut outbox, &mut out, most) {
            outbox.compact();
        }
        assert!(out == expected, "{most} at a time");
        assert!(outbox.is_empty() && outbox.pieces.is_empty());
    }
}

#[test]
fn lists_that_grew_in_a_burst_shrink() {
    let mut outbox = Outbox::default();
    let mut buffers = BufferPool::default();
    let large = Bytes::from(vec![9; SHARED_MIN]);
    for round in 0..2 {
        for _ in 0..1_000 {
            outbox.push(&mut buffers, &large, false);
            outbox.mark(RequestOutcome::Answered(RouteId::NONE));
        }
        assert!(outbox.pieces.capacity() >= 1_000, "round {round}");
        assert!(take(&mut outbox, &mut Vec::new(), usize::MAX / 2));
        outbox.rest();
        while outbox.next_written().is_some() {}
        assert!(outbox.pieces.capacity() <= ENTRIES_KEPT);
        assert!(outbox.answers.capacity() <= ENTRIES_KEPT);
    }
}

#[test]
fn a_large_frame_is_written_from_its_receive_buffer() {
    let mut received = gateway_zmtp::bytes::Input::from(vec![7; 2 * SHARED_MIN]);
    let (large, small) = (received.take(SHARED_MIN), received.take(SHARED_MIN - 1));
    for (frame, shared) in [(large, true), (small, false)] {
        let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
        outbox.push(&mut buffers, &frame, false);
        let mut places = Vec::new();
        let write = |slices: &[IoSlice<'_>]| {
            places.extend(slices.iter().map(|slice| slice.as_ptr()));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        };
        assert!(outbox.write(&mut buffers, write).unwrap());
        assert_eq!(places.contains(&frame.bytes().as_ptr()), shared);
    }
}

#[test]
fn queued_pieces_are_compacted_once() {
    let mut outbox = Outbox::default();
    let mut buffers = BufferPool::default();
    let mut received = gateway_zmtp::bytes::Input::from(vec![7; 3 * SHARED_MIN]);
    let mut expected = Vec::new();
    for n in 0..3 {
        let frame = received.take(SHARED_MIN);
        outbox.push(&mut buffers, &frame, false);
        zmtp::put_frame(&mut expected, 0, frame.bytes());
        outbox.compact();
        assert_eq!(outbox.compacted, outbox.pieces.len(), "{n}");
    }
    let mut out = Vec::new();
    while !take(&mut outbox, &mut out, SHARED_MIN) {
        assert!(outbox.compacted <= outbox.pieces.len());
    }
    assert_eq!((out == expected, outbox.compacted), (true, 0));
}

/// Returns the two sides of a CURVE connection: the sealer of one and the opener of the other.
fn sides() -> (Sealer, Opener) {
    let keys = || KeyPair::generate().unwrap();
    let (server, ready) = (keys(), Ready::default());
    let client = Client::new(keys(), server.public());
    let (client, hello) = client.hello().unwrap();
    let (server, welcome) = Server::new([server].into()).hello(&hello).unwrap();
    let (client, initiate) = client.welcome(&welcome, &ready).unwrap();
    let (server, body) = server.initiate(&initiate).unwrap().accept(&ready).unwrap();
    let (client, _) = client.ready(&body).unwrap();
    (server.sealer, client.opener)
}

/// Opens the frames of a stream.
fn open(opener: &mut Opener, mut wire: &[u8]) -> Vec<(FrameKind, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some(flags) = wire.first() {
        let (header, size) = match flags & zmtp::LONG {
            0 => (2, usize::from(wire[1])),
            _ => (9, usize::from_be_bytes(wire[1..9].try_into().unwrap())),
        };
        let mut body = wire[header..header + size].to_vec();
        let frame = opener.open(&mut body).unwrap();
        frames.push((frame.kind, frame.data.to_vec()));
        wire = &wire[header + size..];
    }
    frames
}

#[test]
fn a_large_frame_that_is_sealed_on_another_thread_keeps_its_place() {
    let (mut sealer, mut opener) = sides();
    let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
    let large = |n: u8| vec![n; LARGE_MIN];
    let body = vec![b"T".to_vec(), large(1), b"between".to_vec(), large(2)];
    let body = Message::from(body);
    outbox.push_sealed(&mut buffers, &mut sealer, &[b"head"], body);
    outbox.mark(RequestOutcome::Answered(RouteId::NONE));
    outbox.push_sealed(
        &mut buffers,
        &mut sealer,
        &[],
        vec![b"next".to_vec()].into(),
    );
    let all = outbox.unwritten();
    let works: Vec<_> = std::iter::from_fn(|| outbox.next_to_seal()).collect();
    assert_eq!(works.len(), 2);
    let mut out = Vec::new();
    // The bytes before the first large frame may be written, and no others.
    assert!(take(&mut outbox, &mut out, usize::MAX / 2));
    assert_eq!(
        (outbox.unwritten(), outbox.waits_for_seal()),
        (all - out.len() as u64, true)
    );
    let before = out.len();
    for work in works {
        outbox.compact();
        outbox.sealed(work.run());
        assert_eq!(outbox.next_written(), None);
        assert!(take(&mut outbox, &mut out, usize::MAX / 2));
    }
    assert!(before < 200 && outbox.is_empty() && outbox.pieces.is_empty());
    assert_eq!(out.len() as u64, all);
    assert!(outbox.next_written().is_some());
    let expected = [
        (FrameKind::More, b"head".to_vec()),
        (FrameKind::More, b"T".to_vec()),
        (FrameKind::More, large(1)),
        (FrameKind::More, b"between".to_vec()),
        (FrameKind::Last, large(2)),
        (FrameKind::Last, b"next".to_vec()),
    ];
    assert!(open(&mut opener, &out) == expected);
    // A frame that is sealed after the queue was dropped has no place.
    outbox.sealed(vec![1]);
    assert!(outbox.is_empty());
}

#[test]
fn queued_pieces_keep_no_spare_capacity() {
    let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
    let frame = Bytes::from(vec![7; SHARED_MIN]);
    for _ in 0..10 {
        buffers.keep_piece(Vec::with_capacity(PIECE));
    }
    for _ in 0..10 {
        outbox.copy(&mut buffers, b"header", true);
        outbox.push(&mut buffers, &frame, false);
        outbox.compact();
    }
    let room = |piece: &Piece| match piece {
        Piece::Copied(piece) => piece.capacity(),
        Piece::Shared(_) | Piece::Sealing(_) => 0,
    };
    let room: usize = outbox.pieces.iter().map(room).sum();
    assert!(room < 1_000, "{room}");
}

#[test]
fn an_answer_is_written_when_its_last_byte_is_written() {
    let mut outbox = Outbox::default();
    let mut buffers = BufferPool::default();
    let outcomes = [
        RequestOutcome::Answered(RouteId::NONE),
        RequestOutcome::Rejected(RouteId::NONE, Reason::Timeout),
    ];
    for outcome in outcomes {
        outbox.copy(&mut buffers, b"12345678", false);
        outbox.mark(outcome);
    }
    let bytes = outbox.unwritten();
    assert_eq!(outbox.held(), bytes + 2 * ANSWER_OVERHEAD);
    let mut out = Vec::new();
    assert!(!take(&mut outbox, &mut out, 9));
    assert_eq!(outbox.next_written(), None);
    assert!(!take(&mut outbox, &mut out, 1));
    assert_eq!(outbox.next_written(), Some(outcomes[0]));
    assert_eq!(outbox.next_written(), None);
    assert_eq!(outbox.held(), bytes - 10 + ANSWER_OVERHEAD);
    assert_eq!(outbox.next_lost(), Some(outcomes[1]));
    assert_eq!(outbox.next_lost(), None);
}
