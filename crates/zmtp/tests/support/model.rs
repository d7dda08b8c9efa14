//! A model of the decoder that is too simple to be wrong, and comparisons of the decoder with the
//! model for streams that are cut anywhere. Also checks of greetings and commands. The property
//! tests and the fuzz targets share this module.
#![allow(dead_code)]

use gateway_zmtp::bytes::{Bytes, Input};
use gateway_zmtp::command::{self, COMMAND_MAX, Command};
use gateway_zmtp::decoder::{Bounds, Decoder, FrameError, Item};
use gateway_zmtp::greeting::{Greeting, LENGTH};
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{COMMAND, LONG, MORE, put_frame};

/// Bounds that are small enough for a fuzzer to exceed, and large enough for frames that are read
/// straight into memory of their own.
pub const BOUNDS: Bounds = Bounds {
    bytes: 100_000,
    frames: 4,
};

/// The maximum size that a frame may announce, in bytes.
const SIZE_MAX: u64 = 1 << 40;

/// The byte that precedes a recipe in the input of [`stretched`]. It is neither the flags of a
/// valid frame nor an ASCII character.
const STRETCH: u8 = 0xf7;

/// The size of a recipe for a frame, in bytes: one byte of flags, a third of the frame's size in
/// two bytes, big-endian, and the first byte of the body.
const RECIPE: usize = 4;

/// A decoded item, or the fault that ended the stream, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Message(Vec<Vec<u8>>),
    Oversize(Vec<Vec<u8>>),
    Command(Vec<u8>),
    Fault(FrameError),
}

/// Returns the same bytes with a frame in place of each [`STRETCH`] and its recipe. The few bytes
/// that a fuzzer tries can thus stand for frames of up to 196,605 bytes.
pub fn stretched(mut bytes: &[u8]) -> Vec<u8> {
    let mut longer = Vec::new();
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = rest;
        match rest.split_first_chunk::<RECIPE>() {
            Some((&[flags, high, low, fill], rest)) if first == STRETCH => {
                bytes = rest;
                let size = 3 * usize::from(u16::from_be_bytes([high, low]));
                put_frame(&mut longer, flags & MORE, &numbered(fill, size));
            }
            _ => longer.push(first),
        }
    }
    longer
}

/// Returns a body of `size` bytes that differ from their neighbours, so that a comparison detects a
/// displaced part.
pub fn numbered(first: u8, size: usize) -> Vec<u8> {
    let byte = |n: usize| first.wrapping_add(n as u8).wrapping_add((n >> 8) as u8);
    (0..size).map(byte).collect()
}

/// Decodes a stream that arrives in `pieces`. Each piece is read as a connection reads it: straight
/// into the memory of a frame, or into a buffer.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bounds: Bounds) -> Vec<Decoded> {
    decode_counting(pieces, bounds).0
}

/// Decodes a stream like [`decode`]. Returns the items, and the number of bytes that were read
/// straight into the memory of a frame.
pub fn decode_counting<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    bounds: Bounds,
) -> (Vec<Decoded>, usize) {
    let (mut decoder, mut buffers) = (Decoder::default(), BufferPool::default());
    let mut items = Vec::new();
    let mut direct = 0;
    for mut piece in pieces {
        while !piece.is_empty() {
            let mut input = match decoder.direct() {
                Some(room) => {
                    let n = room.len().min(piece.len());
                    assert!(n > 0, "a read must have room");
                    room[..n].copy_from_slice(&piece[..n]);
                    decoder.appended(n);
                    direct += n;
                    piece = &piece[n..];
                    Input::default()
                }
                None => Input::from(std::mem::take(&mut piece).to_vec()),
            };
            loop {
                match decoder.next(&mut input, bounds, &mut buffers) {
                    Ok(Some(Item::Message(frames))) => {
                        items.push(Decoded::Message(owned(&frames)));
                        buffers.recycle(frames);
                    }
                    Ok(Some(Item::Oversize(frames))) => {
                        items.push(Decoded::Oversize(owned(&frames)));
                        buffers.recycle(frames);
                    }
                    Ok(Some(Item::Command(body))) => {
                        items.push(Decoded::Command(body.bytes().to_vec()));
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        items.push(Decoded::Fault(fault));
                        return (items, direct);
                    }
                }
            }
            assert!(input.rest().is_empty(), "the decoder takes all input");
        }
    }
    (items, direct)
}

fn owned(message: &Message) -> Vec<Vec<u8>> {
    message.frames().map(<[u8]>::to_vec).collect()
}

/// Compares the decoder with the model for a stream, whole and cut into pieces of `cut` bytes, or
/// of 512 times `cut` bytes if `cut` is 128 or more.
pub fn judge(cut: u8, bytes: &[u8]) {
    let expected = expected(bytes, BOUNDS);
    let cut = usize::from(cut) * if cut < 128 { 1 } else { 512 };
    assert!(decode([bytes], BOUNDS) == expected);
    assert!(decode(bytes.chunks(cut.max(1)), BOUNDS) == expected);
    for item in &expected {
        if let Decoded::Command(body) = item {
            read_command(body);
        }
    }
}

/// Decodes a whole stream in the simplest way. This function is the model.
pub fn expected(mut bytes: &[u8], bounds: Bounds) -> Vec<Decoded> {
    let mut items = Vec::new();
    let (mut message, mut sum, mut oversize) = (Vec::new(), 0_u64, false);
    while let Some(&flags) = bytes.first() {
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            items.push(Decoded::Fault(FrameError::Flags(flags)));
            break;
        }
        let header = if flags & LONG == 0 { 2 } else { 9 };
        let Some((header, rest)) = bytes.split_at_checked(header) else {
            break;
        };
        let size = header[1..]
            .iter()
            .fold(0, |size, byte| size << 8 | u64::from(*byte));
        let fault = match flags & COMMAND {
            _ if size > SIZE_MAX => Some(FrameError::Size(size)),
            COMMAND if size > COMMAND_MAX => Some(FrameError::Command(size)),
            _ => None,
        };
        if let Some(fault) = fault {
            items.push(Decoded::Fault(fault));
            break;
        }
        let Some((body, rest)) = rest.split_at_checked(size as usize) else {
            break;
        };
        bytes = rest;
        if flags & COMMAND != 0 {
            items.push(Decoded::Command(body.to_vec()));
            continue;
        }
        sum += size;
        oversize |= sum > bounds.bytes;
        if !oversize && message.len() < bounds.frames {
            message.push(body.to_vec());
        }
        if flags & MORE == 0 {
            let frames = std::mem::take(&mut message);
            items.push(match oversize {
                true => Decoded::Oversize(frames),
                false => Decoded::Message(frames),
            });
            (sum, oversize) = (0, false);
        }
    }
    items
}

/// Reads a command's body, and asserts that the parsed fields are bounded.
pub fn read_command(body: &[u8]) {
    match command::parse(&Bytes::from(body.to_vec())) {
        Ok(Command::Ready(ready)) => {
            assert!(ready.identity.len() <= 255);
            assert!(ready.socket_type.len() <= 8 * body.len());
        }
        Ok(Command::Error(reason)) => assert!(reason.len() <= 255 * 10 && !reason.contains('\n')),
        Ok(Command::Ping { context, .. }) => assert!(context.len() <= 16),
        Ok(Command::Subscribe(prefix) | Command::Cancel(prefix)) => {
            assert!(body.ends_with(&prefix));
        }
        Ok(Command::Pong | Command::Other) => {}
        Err(fault) => assert!(!fault.is_empty()),
    }
}

/// Reads a greeting whole, and again cut at `cut`. Asserts that both attempts return the same
/// content, or that both fail.
pub fn read_greeting(bytes: &[u8], cut: usize) {
    let mut input = Input::from(bytes.to_vec());
    let whole = Greeting::new().feed(&mut input);
    if let Ok(greeted) = &whole {
        assert_eq!(greeted.is_some(), bytes.len() >= LENGTH);
        assert_eq!(input.rest().len(), bytes.len().saturating_sub(LENGTH));
    }
    let (one, other) = bytes.split_at(cut.min(bytes.len()));
    let mut greeting = Greeting::new();
    let first = greeting.feed(&mut Input::from(one.to_vec()));
    let cut = match first {
        Ok(None) => greeting.feed(&mut Input::from(other.to_vec())),
        verdict => verdict,
    };
    // The first bytes alone may identify an unsupported protocol less precisely, but they are still
    // refused.
    assert_eq!(whole.is_ok(), cut.is_ok(), "{whole:?} {cut:?}");
    if whole.is_ok() {
        assert_eq!(whole, cut);
    }
}
