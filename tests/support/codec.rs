//! The decoder of ZMTP against one that is too simple to be wrong, for streams cut anywhere: what the property
//! test and the fuzz target have in common.
#![allow(dead_code)]

use gateway::engine::native::bytes::{Bytes, Input, Spare};
use gateway::engine::native::zmtp::command::{self, COMMAND_MAX, Command};
use gateway::engine::native::zmtp::decoder::{Bounds, Decoder, Fault, Item};
use gateway::engine::native::zmtp::greeting::{Greeting, LENGTH};
use gateway::engine::native::zmtp::{COMMAND, LONG, MORE};
use gateway::frame::Frame;

/// Largest size that a frame may claim.
const SIZE_MAX: u64 = 1 << 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Message(Vec<Vec<u8>>),
    Oversize(Vec<Vec<u8>>),
    Command(Vec<u8>),
    Fault(Fault),
}

/// What the decoder makes of a stream that comes in these pieces, each read as a connection reads.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, bounds: Bounds) -> Vec<Said> {
    let (mut decoder, mut spare) = (Decoder::default(), Spare::default());
    let mut said = Vec::new();
    for mut piece in pieces {
        while !piece.is_empty() {
            let mut input = match decoder.direct() {
                Some(room) => {
                    let n = room.len().min(piece.len());
                    assert!(n > 0, "a read must have room");
                    room[..n].copy_from_slice(&piece[..n]);
                    decoder.appended(n);
                    piece = &piece[n..];
                    Input::default()
                }
                None => Input::from(std::mem::take(&mut piece).to_vec()),
            };
            loop {
                let owned =
                    |frames: Vec<Bytes>| frames.iter().map(|it| it.bytes().to_vec()).collect();
                match decoder.next(&mut input, bounds, &mut spare) {
                    Ok(Some(Item::Message(frames))) => said.push(Said::Message(owned(frames))),
                    Ok(Some(Item::Oversize(frames))) => said.push(Said::Oversize(owned(frames))),
                    Ok(Some(Item::Command(body))) => {
                        said.push(Said::Command(body.bytes().to_vec()));
                    }
                    Ok(None) => break,
                    Err(fault) => {
                        said.push(Said::Fault(fault));
                        return said;
                    }
                }
            }
            assert!(input.rest().is_empty(), "it takes all that it is given");
        }
    }
    said
}

/// The same, read at leisure from the whole.
pub fn expected(mut bytes: &[u8], bounds: Bounds) -> Vec<Said> {
    let mut said = Vec::new();
    let (mut message, mut sum, mut oversize) = (Vec::new(), 0_u64, false);
    while let Some(&flags) = bytes.first() {
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            said.push(Said::Fault(Fault::Flags(flags)));
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
            _ if size > SIZE_MAX => Some(Fault::Size(size)),
            COMMAND if size > COMMAND_MAX => Some(Fault::Command(size)),
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

/// Reads a command; what it says of a peer must be bounded, whatever that said.
pub fn read_command(body: &[u8]) {
    match command::parse(&Bytes::from(body.to_vec())) {
        Ok(Command::Ready(ready)) => {
            assert!(ready.identity.len() <= 255);
            assert!(ready.socket_type.len() <= 8 * body.len());
        }
        Ok(Command::Error(reason)) => assert!(reason.len() <= 255 * 10 && !reason.contains('\n')),
        Ok(Command::Ping { context, .. }) => assert!(context.len() <= 16),
        Ok(Command::Pong | Command::Other) => {}
        Err(fault) => assert!(!fault.is_empty()),
    }
}

/// Judges a greeting, whole and cut at `cut`: the verdict is the same, unless the first part says enough.
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
    // What it says of a stranger may be less precise by the first bytes, but never something else.
    assert_eq!(whole.is_ok(), cut.is_ok(), "{whole:?} {cut:?}");
    if whole.is_ok() {
        assert_eq!(whole, cut);
    }
}
