//! Tests of the decoder with random streams of frames, valid and broken: the result does not depend
//! on how a stream is cut into pieces.

#[path = "support/model.rs"]
mod model;

use fastrand::Rng;
use gateway_zmtp::{COMMAND, LONG, MORE, put_frame};
use model::{
    BOUNDS, decode, decode_counting, expected, judge, numbered, read_command, read_greeting,
    stretched,
};

/// The number of streams of each test.
const STREAMS: u64 = 400;

fn body(random: &mut Rng) -> Vec<u8> {
    let size = match random.u8(..10) {
        0..6 => random.usize(..300),
        6 | 7 => random.usize(254..258),
        8 => random.usize(..70_000),
        _ => random.usize(..200_000),
    };
    numbered(random.u8(..), size)
}

/// Returns a stream of messages of up to eight frames, some beyond the bounds, with commands
/// anywhere.
fn stream(random: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.u8(1..7) {
        for left in (0..random.u8(1..9)).rev() {
            if random.u8(..6) == 0 {
                let command = [b"\x04PING\0\0".to_vec(), vec![7; random.usize(..500)]].concat();
                put_frame(&mut bytes, COMMAND, &command);
            }
            let more = if left > 0 { MORE } else { 0 };
            let body = body(random);
            if random.u8(..5) == 0 {
                // The size has eight bytes, even if one byte would be enough.
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

/// Cuts bytes into pieces of random sizes.
fn pieces<'a>(mut bytes: &'a [u8], random: &mut Rng) -> Vec<&'a [u8]> {
    let most = [2, 20, 2_000, 70_000][random.usize(..4)];
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let most = if random.u8(..4) == 0 { 3 } else { most };
        let (piece, rest) = bytes.split_at(random.usize(1..=most).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Returns `bytes` after one to three changes: a byte changed or added, a run repeated, or the end
/// cut off.
fn mutated(bytes: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.u8(1..4) {
        let at = random.usize(..bytes.len().max(1));
        match random.u8(..6) {
            0 | 1 if !bytes.is_empty() => bytes[at] = random.u8(..),
            2 if !bytes.is_empty() => bytes[at] ^= 1 << random.u8(..8),
            3 => bytes.truncate(at),
            4 => bytes.insert(at, random.u8(..)),
            _ => {
                let run = bytes[at..(at + random.usize(..9)).min(bytes.len())].to_vec();
                bytes.splice(at..at, run);
            }
        }
    }
    bytes
}

#[test]
fn a_stream_is_decoded_alike_however_it_is_cut() {
    for seed in 1..=STREAMS {
        let mut random = Rng::with_seed(seed);
        let bytes = stream(&mut random);
        let expected = expected(&bytes, BOUNDS);
        assert!(decode([&bytes[..]], BOUNDS) == expected, "seed {seed}");
        let cut = pieces(&bytes, &mut random);
        assert!(decode(cut, BOUNDS) == expected, "seed {seed}, cut");
    }
}

#[test]
fn a_broken_stream_is_decoded_up_to_its_fault_however_it_is_cut() {
    for seed in 1..=STREAMS {
        let mut random = Rng::with_seed(seed);
        let mut bytes = stream(&mut random);
        // The changes are near the front, where headers are.
        let tail = bytes.split_off(random.usize(..bytes.len().min(2_000)));
        bytes = [mutated(&bytes, &mut random), tail].concat();
        let expected = expected(&bytes, BOUNDS);
        assert!(decode([&bytes[..]], BOUNDS) == expected, "seed {seed}");
        let cut = pieces(&bytes, &mut random);
        assert!(decode(cut, BOUNDS) == expected, "seed {seed}, cut");
    }
}

/// A fuzzer tries inputs of a few hundred bytes, in which recipes stand for large frames
/// ([`stretched`]). Many of these frames are read straight into memory of their own, which an
/// earlier frame may have used.
#[test]
fn frames_made_from_recipes_are_decoded_alike_however_they_are_cut() {
    let mut direct = 0;
    for seed in 1..=2_000 {
        let mut random = Rng::with_seed(seed);
        let mut bytes = Vec::new();
        for _ in 0..random.u8(1..13) {
            match random.u8(..4) {
                0 => put_frame(&mut bytes, COMMAND, b"\x04PONG"),
                1 => put_frame(&mut bytes, random.u8(..2), b"small"),
                _ => {
                    let most: u32 = [1 << 8, 1 << 15, 1 << 16][random.usize(..3)];
                    let [.., high, low] = random.u32(..most).to_be_bytes();
                    bytes.extend([0xf7, random.u8(..2), high, low, random.u8(..)]);
                }
            }
        }
        if random.u8(..3) == 0 {
            bytes = mutated(&bytes, &mut random);
        }
        let stretched = stretched(&bytes);
        judge(random.u8(100..), &stretched);
        direct += decode_counting(stretched.chunks(64 << 10), BOUNDS).1;
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
        let mut random = Rng::with_seed(seed);
        read_command(&mutated(ready, &mut random));
        let bytes = mutated(&greeting, &mut random);
        read_greeting(&bytes, random.usize(..70));
    }
}
