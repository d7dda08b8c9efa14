//! Tests of two additions of the native engine to the codec of the crate `gateway-zmtp`: the
//! liveness and the outbox of a connection. A session with both is compared with a model at any
//! timing of the input, and the output of an outbox must decode to the messages that were put in.
//! The crate tests the codec itself.

use std::io::IoSlice;

use crate::model::{Decoded, decode, numbered, stretched};
use crate::random::{Random, mutated};
use crate::session_model as session;
use gateway::engine::native::outbox::Outbox;
use gateway_zmtp::bytes::Bytes;
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{COMMAND, MORE, put_frame};

/// The number of message sequences that are sent through an outbox.
const OUTBOX_RUNS: u64 = 100;

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

/// A fuzzer tries inputs of a few hundred bytes. This test stretches such inputs to much larger
/// frames, which are read directly into memory of their own.
#[test]
fn a_session_agrees_with_its_model_on_large_frames() {
    for seed in 1..=500 {
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
        let settings = session::Settings::of(random.next() as u8);
        let bytes = [session::opening(), stretched(&bytes)].concat();
        let steps = [random.next() as u8 & 7, 5 + random.below(3) as u8];
        session::drive(settings, &steps, &bytes);
    }
}

fn ready(kind: &str) -> Vec<u8> {
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(kind.len() as u8);
    body.extend_from_slice(kind.as_bytes());
    body
}

/// Appends a random frame of a message, or a random command.
fn put_random_frame(bytes: &mut Vec<u8>, random: &mut Random) {
    let more = if random.below(3) == 0 { MORE } else { 0 };
    match random.below(12) {
        0..6 => put_frame(bytes, more, &vec![7; random.below(100)]),
        6 => {
            let most = [300_000, 90_000, 900][random.below(30).min(2)];
            let body = numbered(random.next() as u8, random.below(most));
            put_frame(bytes, more, &body);
        }
        7 | 8 => put_frame(bytes, COMMAND, b"\x04PING\0\x05hi"),
        9 if random.below(4) == 0 => put_frame(bytes, COMMAND, b"\x09SUBSCRIBEab"),
        9 if random.below(4) == 0 => put_frame(bytes, COMMAND, b"\x06CANCEL"),
        9 => put_frame(bytes, COMMAND, b"\x04PONG"),
        10 if random.below(8) == 0 => put_frame(bytes, COMMAND, b"\x05ERROR\x02no"),
        11 if random.below(8) == 0 => put_frame(bytes, COMMAND, &ready("DEALER")),
        _ => put_frame(bytes, COMMAND, b"\x05HELLO"),
    }
}

/// Returns a random stream of a peer: a greeting, and random messages and commands, many of which
/// are invalid.
fn random_stream(random: &mut Random) -> Vec<u8> {
    let mut bytes = [0; 64].to_vec();
    bytes[..12].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01");
    let mechanism = match random.below(40) {
        0 => "PLAIN",
        1 => "CURVE",
        2 => "GSSAPI",
        _ => "NULL",
    };
    // A few peers name another mechanism than the gateway.
    bytes[12..][..mechanism.len()].copy_from_slice(mechanism.as_bytes());
    bytes[11] = random.below(2) as u8;
    let early = [0, 0, 0, random.below(3)][random.below(4)];
    for _ in 0..early {
        put_random_frame(&mut bytes, random);
    }
    let kinds = ["DEALER", "REQ", "REP", "ROUTER", "PULL"];
    put_frame(&mut bytes, COMMAND, &ready(kinds[random.below(12) % 5]));
    for _ in 0..random.below(30) {
        put_random_frame(&mut bytes, random);
    }
    match random.below(3) {
        0 => mutated(&bytes, random),
        _ => bytes,
    }
}

#[test]
fn a_session_agrees_with_its_model_on_any_input_and_timing() {
    for seed in 1..=20_000 {
        let mut random = Random(seed);
        let bytes = random_stream(&mut random);
        let settings = session::Settings::of(random.next() as u8);
        let steps: Vec<_> = (0..1 + random.below(8))
            .map(|_| random.next() as u8 & [7, 0x3f][random.below(2)])
            .collect();
        session::drive(settings, &steps, &bytes);
    }
}

/// The peer of the outbox takes any number of bytes at a time. The written bytes are decoded again.
#[test]
fn an_outbox_writes_the_messages_that_were_put_in() {
    let bounds = Bounds {
        bytes: u64::MAX,
        frames: usize::MAX,
    };
    for seed in 1..=OUTBOX_RUNS {
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
            expected.push(Decoded::Message(frames));
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
