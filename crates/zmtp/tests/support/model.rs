//! A model of the decoder that is too simple to be wrong, comparisons of the decoder with it for
//! streams that are cut anywhere, and checks of greetings and of commands. The property tests and
//! the fuzz targets share it.
#![allow(dead_code)]

use gateway_zmtp::bytes::{Bytes, Input};
use gateway_zmtp::command::{self, COMMAND_MAX, Command};
use gateway_zmtp::decoder::{Bounds, Decoder, FrameError, Item};
use gateway_zmtp::greeting::{Greeting, LENGTH};
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{COMMAND, LONG, MORE, put_frame};

/// Bounds that are small, so that a fuzzer exceeds them, and yet large enough for frames that are
/// read straight into memory of their own, which is reused.
pub const BOUNDS: Bounds = Bounds {
    bytes: 100_000,
    frames: 4,
};

/// The largest size that a frame may announce.
const SIZE_MAX: u64 = 1 << 40;

/// The byte that precedes a recipe in the input of [`stretched`]: neither the flags of a frame nor
/// a character.
const STRETCH: u8 = 0xf7;

/// The size of a recipe for a frame, in bytes: flags, a third of the size (two bytes, the lower one
/// last), the body's first byte.
const RECIPE: usize = 4;

/// A decoded item, or the fault that ended the stream, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Message(Vec<Vec<u8>>),
    Oversize(Vec<Vec<u8>>),
    Command(Vec<u8>),
    Fault(FrameError),
}

/// Returns the same bytes with a frame in place of each [`STRETCH`] and its recipe, so that the few
/// bytes that a fuzzer tries may stand for frames of up to 196,605 bytes.
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

/// Returns a body of `size` bytes in which a displaced part is unlikely to go unnoticed.
pub fn numbered(first: u8, size: usize) -> Vec<u8> {
    let byte = |n: usize| first.wrapping_add(n as u8).wrapping_add((n >> 8) as u8);
    (0..size).map(byte).collect()
}

/// Decodes a stream that arrives in these pieces, each of which is read as a connection reads it.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bounds: Bounds) -> Vec<Said> {
    decode_counting(pieces, bounds).0
}

/// Decodes a stream like [`decode`], and counts the bytes that were read straight into their
/// frame's memory.
pub fn decode_counting<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    bounds: Bounds,
) -> (Vec<Said>, usize) {
    let (mut decoder, mut buffers) = (Decoder::default(), BufferPool::default());
    let mut said = Vec::new();
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
                        said.push(Said::Message(owned(&frames)));
                        buffers.recycle(frames);
                    }
                    Ok(Some(Item::Oversize(frames))) => {
                        said.push(Said::Oversize(owned(&frames)));
                        buffers.recycle(frames);
                    }
                    Ok(Some(Item::Command(body))) => {
                        said.push(Said::Command(body.bytes().to_vec()));
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        said.push(Said::Fault(fault));
                        return (said, direct);
                    }
                }
            }
            assert!(input.rest().is_empty(), "the decoder takes all input");
        }
    }
    (said, direct)
}

fn owned(message: &Message) -> Vec<Vec<u8>> {
    message.frames().map(<[u8]>::to_vec).collect()
}

/// Compares a stream with the model, whole and cut into pieces of `cut` bytes, or of 512 times
/// `cut` bytes if `cut` is 128 or more.
pub fn judge(cut: u8, bytes: &[u8]) {
    let expected = expected(bytes, BOUNDS);
    let cut = usize::from(cut) * if cut < 128 { 1 } else { 512 };
    assert!(decode([bytes], BOUNDS) == expected);
    assert!(decode(bytes.chunks(cut.max(1)), BOUNDS) == expected);
    for said in &expected {
        if let Said::Command(body) = said {
            read_command(body);
        }
    }
}

/// Decodes a whole stream in the simplest way.
pub fn expected(mut bytes: &[u8], bounds: Bounds) -> Vec<Said> {
    let mut said = Vec::new();
    let (mut message, mut sum, mut oversize) = (Vec::new(), 0_u64, false);
    while let Some(&flags) = bytes.first() {
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            said.push(Said::Fault(FrameError::Flags(flags)));
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
            said.push(Said::Fault(fault));
            break;
        }
        let Some((body, rest)) = rest.split_at_checked(size as usize) else {
            break;
        };
        bytes = rest;
        if flags & COMMAND != 0 {
            said.push(Said::Command(body.to_vec()));
            continue;
        }
        sum += size;
        oversize |= sum > bounds.bytes;
        if !oversize && message.len() < bounds.frames {
            message.push(body.to_vec());
        }
        if flags & MORE == 0 {
            let frames = std::mem::take(&mut message);
            said.push(match oversize {
                true => Said::Oversize(frames),
                false => Said::Message(frames),
            });
            (sum, oversize) = (0, false);
        }
    }
    said
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

/// Reads a greeting, whole and cut at `cut`, and asserts that both are accepted, with the same
/// content, or both are refused.
pub fn read_greeting(bytes: &[u8], cut: usize) {
    let mut input = Input::from(bytes.to_vec());
    let whole = Greeting::new().feed(&mut input);
    if let Ok(minor) = &whole {
        assert_eq!(minor.is_some(), bytes.len() >= LENGTH);
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
