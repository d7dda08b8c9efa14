use super::*;
use crate::{put_frame, put_header};

const BOUNDS: Bounds = Bounds {
    bytes: 100_000,
    frames: 4,
};

/// A decoded item in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decoded {
    Message(Vec<Vec<u8>>),
    Oversize(Vec<Vec<u8>>),
    Command(Vec<u8>),
    Fault(FrameError),
}

fn owned(message: &Message) -> Vec<Vec<u8>> {
    message.frames().map(<[u8]>::to_vec).collect()
}

/// Decodes a stream that is cut into these pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Decoded>, Decoder) {
    let mut decoder = Decoder::default();
    let mut buffers = BufferPool::default();
    let mut decoded = Vec::new();
    for piece in pieces {
        let mut input = Input::from(piece.to_vec());
        loop {
            match decoder.next(&mut input, BOUNDS, &mut buffers) {
                Ok(Some(Item::Message(frames))) => decoded.push(Decoded::Message(owned(&frames))),
                Ok(Some(Item::Oversize(frames))) => decoded.push(Decoded::Oversize(owned(&frames))),
                Ok(Some(Item::Command(body))) => {
                    decoded.push(Decoded::Command(body.bytes().to_vec()))
                }
                Ok(None) => break,
                Err(fault) => {
                    decoded.push(Decoded::Fault(fault));
                    return (decoded, decoder);
                }
            }
        }
        assert!(input.rest().is_empty(), "the decoder takes all input");
    }
    (decoded, decoder)
}

fn message(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let more = if n + 1 < frames.len() { MORE } else { 0 };
        put_frame(&mut bytes, more, frame);
    }
    bytes
}

/// Returns a stream with every kind of item, and these items. The stream has short, long and empty
/// frames, a command inside a message, a message with too many frames, and two messages with too
/// many bytes.
fn everything() -> (Vec<u8>, Vec<Decoded>) {
    let long = vec![b'x'; 300];
    let huge = vec![b'h'; 100_001];
    let mut bytes = message(&[b"T", b"", &long]);
    put_frame(&mut bytes, COMMAND, b"\x04PONG");
    put_frame(&mut bytes, MORE, b"A");
    put_frame(&mut bytes, COMMAND, b"\x04PONG");
    put_frame(&mut bytes, 0, b"b");
    bytes.extend(message(&[b"1", b"2", b"3", b"4", b"5", b"6"]));
    bytes.extend(message(&[b"T", b"head", &huge, b"after"]));
    bytes.extend(message(&[&huge]));
    bytes.extend(message(&[b""]));
    let frames = |frames: &[&[u8]]| frames.iter().map(|f| f.to_vec()).collect();
    let pong = Decoded::Command(b"\x04PONG".to_vec());
    let items = vec![
        Decoded::Message(frames(&[b"T", b"", &long])),
        pong.clone(),
        pong,
        Decoded::Message(frames(&[b"A", b"b"])),
        Decoded::Message(frames(&[b"1", b"2", b"3", b"4"])),
        Decoded::Oversize(frames(&[b"T", b"head"])),
        Decoded::Oversize(vec![]),
        Decoded::Message(frames(&[b""])),
    ];
    (bytes, items)
}

#[test]
fn a_stream_is_decoded_alike_wherever_it_is_cut_in_two() {
    let (bytes, items) = everything();
    assert_eq!(decode([&bytes[..]]).0, items);
    // Inside the huge frames, the position of the cut makes no difference, so only some positions
    // are tried.
    let last = bytes.len() - 500;
    let cuts = (0..bytes.len()).filter(|cut| *cut < 1_000 || cut % 97 == 0 || *cut > last);
    for cut in cuts {
        let (one, other) = bytes.split_at(cut);
        let (found, decoder) = decode([one, other]);
        assert_eq!(found, items, "cut at {cut}");
        assert!(!decoder.is_inside());
    }
}

#[test]
fn a_stream_is_decoded_alike_in_pieces_of_any_size() {
    let (bytes, items) = everything();
    for size in [1, 2, 3, 5, 7, 11, 64, 1000, 65_536] {
        assert_eq!(decode(bytes.chunks(size)).0, items, "pieces of {size}");
    }
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let size_max = if random.bool() { 4 } else { 20_000 };
            let (piece, after) = rest.split_at(random.usize(1..=size_max).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(decode(pieces).0, items, "seed {seed}");
    }
}

#[test]
fn frames_that_are_read_directly_are_decoded_like_other_frames() {
    let payload: Vec<u8> = (0..90_000_u32).map(|n| n as u8).collect();
    let bytes = message(&[b"T", &payload]);
    let mut decoder = Decoder::default();
    let mut buffers = BufferPool::default();
    // Too few bytes have arrived for the rest to be read directly into the frame's memory.
    let (_, mut early) = decode([&bytes[..100]]);
    assert!(early.direct().is_none());
    let (first, mut rest) = bytes.split_at(20_000);
    let mut input = Input::from(first.to_vec());
    assert!(
        decoder
            .next(&mut input, BOUNDS, &mut buffers)
            .unwrap()
            .is_none()
    );
    let before = rest.len();
    while let Some(room) = decoder.direct() {
        let sent = 20_000 + before - rest.len();
        assert!(
            room.len() <= (sent / 2).max(DIRECT_MIN),
            "the room is at most half of the bytes that have arrived, or DIRECT_MIN"
        );
        let n = room.len().min(1_000);
        room[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        decoder.appended(n);
    }
    let mut input = Input::from(rest.to_vec());
    let item = decoder.next(&mut input, BOUNDS, &mut buffers).unwrap();
    let Some(Item::Message(frames)) = item else {
        panic!("{item:?}");
    };
    assert_eq!(owned(&frames), [b"T".to_vec(), payload]);
}

#[test]
fn a_message_whole_in_the_buffer_is_not_copied() {
    let mut input = Input::from(message(&[b"T", &[7; 50_000]]));
    let whole = input.rest().as_ptr_range();
    let item = Decoder::default().next(&mut input, BOUNDS, &mut BufferPool::default());
    let Ok(Some(Item::Message(frames))) = item else {
        panic!("{item:?}");
    };
    for frame in frames.frames() {
        let frame = frame.as_ptr_range();
        assert!(whole.start < frame.start && frame.end <= whole.end);
    }
}

#[test]
fn a_frame_read_directly_is_not_copied() {
    let bytes = message(&[&[7; 80_000]]);
    // The memory grows by half of the bytes in it, but by at least `DIRECT_MIN`. Starting with
    // 20,000 bytes, the memory reaches the size of the frame while more than `DIRECT_MIN` bytes are
    // missing.
    let (first, mut rest) = bytes.split_at(bytes.len() - 60_000);
    let (mut decoder, mut buffers) = (Decoder::default(), BufferPool::default());
    let mut input = Input::from(first.to_vec());
    let begun = decoder.next(&mut input, BOUNDS, &mut buffers);
    assert!(matches!(begun, Ok(None)), "{begun:?}");
    let mut end = std::ptr::null();
    while let Some(room) = decoder.direct() {
        let n = room.len().min(rest.len());
        room[..n].copy_from_slice(&rest[..n]);
        end = room[..n].as_ptr_range().end;
        rest = &rest[n..];
        decoder.appended(n);
    }
    assert!(rest.is_empty(), "all bytes were read directly");
    let item = decoder.next(&mut Input::default(), BOUNDS, &mut buffers);
    let Ok(Some(Item::Message(frames))) = item else {
        panic!("{item:?}");
    };
    assert_eq!(frames.get(0).unwrap().as_ptr_range().end, end);
}

#[test]
fn invalid_flags_and_too_large_sizes_are_refused_at_once() {
    let fault = |bytes: &[u8]| decode([bytes]).0;
    for flags in [8, 0x10, 0x80, COMMAND | MORE, 0xff] {
        assert_eq!(fault(&[flags]), [Decoded::Fault(FrameError::Flags(flags))]);
    }
    for size in [SIZE_MAX + 1, 1 << 63, u64::MAX] {
        let mut huge = vec![LONG];
        huge.extend_from_slice(&size.to_be_bytes());
        assert_eq!(fault(&huge), [Decoded::Fault(FrameError::Size(size))]);
    }
    let mut command = vec![COMMAND | LONG];
    command.extend_from_slice(&(COMMAND_MAX + 1).to_be_bytes());
    let refused = [Decoded::Fault(FrameError::Command(COMMAND_MAX + 1))];
    assert_eq!(fault(&command), refused);
}

#[test]
fn announced_bytes_take_no_memory_before_they_arrive() {
    let mut bytes = Vec::new();
    put_header(&mut bytes, 0, 90_000);
    bytes.push(1);
    let (_, mut decoder) = decode([&bytes[..]]);
    assert!(decoder.direct().is_none());
    let Partial::Body { body, .. } = &decoder.frame else {
        panic!("{decoder:?}");
    };
    assert_eq!(body.capacity(), 1);
    let (_, mut decoder) = decode([&bytes[..], &[2; 20_000]]);
    assert!(decoder.direct().is_some_and(|room| room.len() <= 20_001));
    // A frame beyond the bound is not kept at all.
    let mut bytes = Vec::new();
    put_header(&mut bytes, 0, 1 << 40);
    bytes.resize(50_000, 0);
    let (_, mut decoder) = decode([&bytes[..]]);
    assert!(decoder.direct().is_none() && decoder.is_inside());
}

#[test]
fn frames_beyond_the_bound_are_not_kept() {
    let mut decoder = Decoder::default();
    let mut buffers = BufferPool::default();
    for _ in 0..10_000 {
        let mut input = Input::from([MORE, 1, b'x'].repeat(10));
        assert!(
            decoder
                .next(&mut input, BOUNDS, &mut buffers)
                .unwrap()
                .is_none()
        );
    }
    assert_eq!(decoder.message.len(), BOUNDS.frames);
    assert_eq!(
        decoder.held(),
        BOUNDS.frames as u64 * (1 + FRAME_CHARGE),
        "skipped frames are not counted"
    );
}

#[test]
fn an_incomplete_message_takes_at_most_twice_the_memory_of_its_arrived_bytes() {
    let mut bytes = message(&[&[1; 300], &[2; 50_000]]);
    let last = bytes.pop().unwrap();
    let mut decoder = Decoder::default();
    let mut buffers = BufferPool::default();
    for (n, piece) in bytes.chunks(1_000).enumerate() {
        let mut input = Input::from(piece.to_vec());
        let item = decoder.next(&mut input, BOUNDS, &mut buffers).unwrap();
        assert!(item.is_none());
        let sent = (n as u64 + 1) * 1_000;
        // The memory grows by half of the bytes that have arrived, and stays below twice their
        // number.
        assert!(
            (sent - 1_000..=2 * sent + FRAME_CHARGE).contains(&decoder.held()),
            "{sent}"
        );
    }
    let mut input = Input::from(vec![last]);
    let item = decoder.next(&mut input, BOUNDS, &mut buffers).unwrap();
    assert!(item.is_some());
    assert_eq!(decoder.held(), 0);
}

/// Returns the number of body bytes of the incomplete message at the end of a stream, or 0 if the
/// last message is complete. The number is computed without the decoder.
fn arrived_of(mut bytes: &[u8]) -> u64 {
    let mut arrived = 0;
    while let [flags, rest @ ..] = bytes {
        let (size, body) = match flags & LONG == 0 {
            true => match rest {
                [size, body @ ..] => (usize::from(*size), body),
                [] => break,
            },
            false => match rest.split_first_chunk() {
                Some((size, body)) => (u64::from_be_bytes(*size) as usize, body),
                None => break,
            },
        };
        let present = body.len().min(size);
        let whole = present == size;
        if flags & COMMAND == 0 {
            arrived += present as u64;
            if whole && flags & MORE == 0 {
                arrived = 0;
            }
        }
        bytes = &body[present..];
    }
    arrived
}

#[test]
fn the_arrived_bytes_of_a_message_are_counted_at_every_cut() {
    let (bytes, _) = everything();
    let ends = bytes.len() - 500..bytes.len();
    let cuts = (0..1_000)
        .chain((1_000..bytes.len()).step_by(97))
        .chain(ends);
    for cut in cuts {
        let sent = &bytes[..cut];
        assert_eq!(decode([sent]).1.arrived(), arrived_of(sent), "cut at {cut}");
        let pieces = sent.chunks(1_013);
        assert_eq!(
            decode(pieces).1.arrived(),
            arrived_of(sent),
            "pieces up to {cut}"
        );
    }
}

/// The bound on the number of frames may be raised between the parts of a message.
#[test]
fn a_truncated_message_is_never_returned_as_a_whole_one() {
    let bytes = message(&[&b"x"[..]; 10]);
    for at in 0..bytes.len() {
        let (mut decoder, mut buffers) = (Decoder::default(), BufferPool::default());
        let mut items = Vec::new();
        for (piece, frames) in [(&bytes[..at], 4), (&bytes[at..], 100)] {
            let mut input = Input::from(piece.to_vec());
            let bounds = Bounds { frames, ..BOUNDS };
            while let Some(item) = decoder.next(&mut input, bounds, &mut buffers).unwrap() {
                items.push(item);
            }
        }
        match &items[..] {
            [Item::Message(frames)] => assert_eq!(frames.len(), 10, "{at}"),
            [Item::Oversize(frames)] => assert_eq!(frames.len(), 4, "{at}"),
            _ => panic!("{items:?}"),
        }
    }
}
