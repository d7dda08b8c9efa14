//! Streams of frames at random, sound and broken, cut at random: however it comes, it means the same.

#[path = "support/codec.rs"]
mod codec;
#[path = "support/session.rs"]
mod session;
#[path = "support/random.rs"]
mod support;

use std::io::IoSlice;

use codec::*;
use gateway::engine::native::outbox::Outbox;
use gateway_zmtp::bytes::Bytes;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{COMMAND, LONG, MORE, put_frame};
use support::{Random, mutated};

/// Streams that each test looks at.
const STREAMS: u64 = 400;

fn size(random: &mut Random) -> usize {
    match random.below(10) {
        0..6 => random.below(300),
        6 | 7 => 254 + random.below(4),
        8 => random.below(70_000),
        _ => random.below(200_000),
    }
}

fn body(random: &mut Random) -> Vec<u8> {
    let first = random.next() as u8;
    numbered(first, size(random))
}

/// Messages of up to eight frames, some beyond the bounds, with commands anywhere.
fn stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(6) {
        for left in (0..1 + random.below(8)).rev() {
            if random.below(6) == 0 {
                let command = [b"\x04PING\0\0".to_vec(), vec![7; random.below(500)]].concat();
                put_frame(&mut bytes, COMMAND, &command);
            }
            let more = if left > 0 { MORE } else { 0 };
            let body = body(random);
            if random.below(5) == 0 {
                // A long size where a short one would do.
                bytes.push(more | LONG);
                bytes.extend_from_slice(&(body.len() as u64).to_be_bytes());
                bytes.extend_from_slice(&body);
            } else {
                put_frame(&mut bytes, more, &body);
            }
        }
    }
    bytes
}

fn pieces<'a>(mut bytes: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let most = [2, 20, 2_000, 70_000][random.below(4)];
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let most = if random.below(4) == 0 { 3 } else { most };
        let (piece, rest) = bytes.split_at((1 + random.below(most)).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

#[test]
fn a_stream_means_the_same_however_it_comes() {
    for seed in 1..=STREAMS {
        let mut random = Random(seed);
        let bytes = stream(&mut random);
        let expected = expected(&bytes, BOUNDS);
        assert!(decode([&bytes[..]], BOUNDS) == expected, "seed {seed}");
        let cut = pieces(&bytes, &mut random);
        assert!(decode(cut, BOUNDS) == expected, "seed {seed}, cut");
    }
}

#[test]
fn a_broken_stream_is_understood_as_far_as_it_can_be_however_it_comes() {
    for seed in 1..=STREAMS {
        let mut random = Random(seed);
        let stream = stream(&mut random);
        let mut bytes = stream;
        // Near the front, where headers are.
        let tail = bytes.split_off(random.below(bytes.len().min(2_000)));
        bytes = [mutated(&bytes, &mut random), tail].concat();
        let expected = expected(&bytes, BOUNDS);
        assert!(decode([&bytes[..]], BOUNDS) == expected, "seed {seed}");
        let cut = pieces(&bytes, &mut random);
        assert!(decode(cut, BOUNDS) == expected, "seed {seed}, cut");
    }
}

/// What a fuzzer tries is some hundred bytes; the frames that they stand for are read straight into their own memory, and
/// into that of those before them.
#[test]
fn few_bytes_stand_for_large_frames_and_mean_the_same() {
    let mut direct = 0;
    for seed in 1..=2_000 {
        let mut random = Random(seed);
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(12) {
            match random.below(4) {
                0 => put_frame(&mut bytes, COMMAND, b"\x04PONG"),
                1 => put_frame(&mut bytes, random.below(2) as u8, b"small"),
                _ => {
                    let most = [1 << 8, 1 << 15, 1 << 16][random.below(3)];
                    let [.., high, low] = random.below(most).to_be_bytes();
                    bytes.extend([0xf7, random.below(2) as u8, high, low, random.next() as u8]);
                }
            }
        }
        if random.below(3) == 0 {
            bytes = mutated(&bytes, &mut random);
        }
        let cut = random.next() as u8;
        let stretched = stretched(&bytes);
        if cut >= 100 {
            judge(cut, &stretched);
            direct += decode_counting(stretched.chunks(64 << 10), BOUNDS).1;
        }
        if seed % 4 == 0 {
            let front = [session::front(), stretched].concat();
            let steps = [random.next() as u8 & 7, 5 + random.below(3) as u8];
            session::drive(session::Settings::of(cut), &steps, &front);
        }
    }
    assert!(
        direct > 1 << 20,
        "{direct} bytes read into their own memory"
    );
}

#[test]
fn commands_and_greetings_of_any_bytes_are_read_or_refused() {
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me";
    let mut greeting = [0; 70];
    greeting[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL");
    for seed in 1..=20_000 {
        let mut random = Random(seed);
        read_command(&mutated(ready, &mut random));
        let bytes = mutated(&greeting, &mut random);
        read_greeting(&bytes, random.below(70));
    }
}

fn ready(kind: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(kind.len() as u8);
    body.extend_from_slice(kind.as_bytes());
    body
}

/// A frame of a message, or a command.
fn put_word(bytes: &mut Vec<u8>, random: &mut Random) {
    let more = if random.below(3) == 0 { MORE } else { 0 };
    match random.below(12) {
        0..6 => put_frame(bytes, more, &vec![7; random.below(100)]),
        6 => {
            let most = [300_000, 90_000, 900][random.below(30).min(2)];
            let body = numbered(random.next() as u8, random.below(most));
            put_frame(bytes, more, &body);
        }
        7 | 8 => put_frame(bytes, COMMAND, b"\x04PING\0\x05hi"),
        9 => put_frame(bytes, COMMAND, b"\x04PONG"),
        10 if random.below(8) == 0 => put_frame(bytes, COMMAND, b"\x05ERROR\x02no"),
        11 if random.below(8) == 0 => put_frame(bytes, COMMAND, &ready("DEALER")),
        _ => put_frame(bytes, COMMAND, b"\x05HELLO"),
    }
}

/// What a peer may say from its first byte on, with much that it may not.
fn words(random: &mut Random) -> Vec<u8> {
    let mut bytes = [0; 64].to_vec();
    bytes[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL");
    bytes[11] = random.below(2) as u8;
    let early = [0, 0, 0, random.below(3)][random.below(4)];
    for _ in 0..early {
        put_word(&mut bytes, random);
    }
    let kinds = ["DEALER", "REQ", "REP", "ROUTER", "SUB"];
    put_frame(&mut bytes, COMMAND, &ready(kinds[random.below(12) % 5]));
    for _ in 0..random.below(30) {
        put_word(&mut bytes, random);
    }
    match random.below(3) {
        0 => mutated(&bytes, random),
        _ => bytes,
    }
}

#[test]
fn a_session_holds_whatever_is_said_and_whenever() {
    for seed in 1..=20_000 {
        let mut random = Random(seed);
        let bytes = words(&mut random);
        let settings = session::Settings::of(random.next() as u8);
        let steps: Vec<_> = (0..1 + random.below(8))
            .map(|_| random.next() as u8 & [7, 0x3f][random.below(2)])
            .collect();
        session::drive(settings, &steps, &bytes);
    }
}

/// Out through an outbox, whose peer takes as much as it likes, and in again.
#[test]
fn what_an_outbox_says_is_what_was_put_in() {
    let bounds = Bounds {
        bytes: u64::MAX,
        frames: usize::MAX,
    };
    for seed in 1..=STREAMS / 4 {
        let mut random = Random(seed);
        let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
        let mut expected = Vec::new();
        let mut out = Vec::new();
        for _ in 0..1 + random.below(20) {
            let frames: Vec<_> = (0..1 + random.below(6))
                .map(|_| body(&mut random))
                .collect();
            for (n, frame) in frames.iter().enumerate() {
                let more = n + 1 < frames.len();
                match random.below(2) {
                    0 => outbox.copy(&mut buffers, frame, more),
                    _ => outbox.push(&mut buffers, &Bytes::from(frame.clone()), more),
                }
            }
            expected.push(Said::Message(frames));
            let room = random.below(300_000);
            write(&mut outbox, &mut buffers, &mut out, room);
            if random.below(2) == 0 {
                outbox.compact();
            }
        }
        write(&mut outbox, &mut buffers, &mut out, usize::MAX / 2);
        assert!(outbox.is_empty());
        assert!(decode([&out[..]], bounds) == expected, "seed {seed}");
    }
}

fn write(outbox: &mut Outbox, buffers: &mut BufferPool, out: &mut Vec<u8>, mut room: usize) {
    let take = |slices: &[IoSlice<'_>]| {
        let before = out.len();
        for slice in slices {
            let n = slice.len().min(room);
            room -= n;
            out.extend_from_slice(&slice[..n]);
        }
        Ok(out.len() - before)
    };
    outbox.write(buffers, take).unwrap();
}
