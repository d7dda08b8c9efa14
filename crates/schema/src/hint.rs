//! Guesses of the format of a rejected payload, for the error message to its sender. Most payloads
//! that fit no schema at all are whole messages in another encoding.
//!
//! This module examines a payload only after it was rejected, and has no effect on the verdict.

use std::fmt;

use crate::contract::Contract;
use crate::options::{Encoding, UnknownFields};
use crate::violation::First;
use crate::{msgpack, protobuf};

/// The maximum size, in bytes, of a payload that is read as a whole to recognise its format. A
/// longer payload is recognised by its first and last bytes only, so that a rejection does not read
/// megabytes once more.
const WALKED_MAX: usize = 64 << 10;

/// The minimum length, in bytes, of a text that is taken for encoded bytes. A shorter text that
/// consists of digits and letters may be a word.
const TEXT_MIN: usize = 16;

/// The likely format of a payload that its schema rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookalike {
    /// Text that begins and ends as JSON does.
    Json,
    /// One whole map whose first key is a string.
    Msgpack,
    /// A protobuf message of the schema's type, without unknown fields.
    Protobuf,
    /// JSON text as the content of a JSON string.
    JsonTwice,
    /// The text that Python's `str` makes of a dict, or of a list of dicts or strings, with single
    /// quotes where JSON has double quotes.
    PythonText,
    /// The output of Python's `pickle`.
    Pickle,
    /// Text after a byte order mark.
    ByteOrderMark,
    /// Data that is compressed by gzip.
    Gzip,
    /// Data that is compressed by zlib.
    Zlib,
    /// Data that is compressed by Zstandard.
    Zstd,
    /// Bytes as hexadecimal digits.
    Hex,
    /// Bytes as base64 text.
    Base64,
}

impl Lookalike {
    /// Returns this format as the encoding of a schema, or `None` if no schema can have it.
    pub fn encoding(self) -> Option<Encoding> {
        match self {
            Self::Json => Some(Encoding::Json),
            Self::Msgpack => Some(Encoding::Msgpack),
            Self::Protobuf => Some(Encoding::Protobuf),
            _ => None,
        }
    }
}

/// Completes the sentence "the payload looks like …".
impl fmt::Display for Lookalike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Msgpack => "MessagePack",
            Self::Protobuf => "protobuf",
            Self::JsonTwice => "JSON in a JSON string, encoded twice",
            Self::PythonText => "Python's str() of a dict or list; json.dumps() writes JSON",
            Self::Pickle => "a Python pickle, as send_pyobj() sends",
            Self::ByteOrderMark => "text with a byte order mark",
            Self::Gzip => "gzip",
            Self::Zlib => "zlib",
            Self::Zstd => "Zstandard",
            Self::Hex => "hexadecimal text",
            Self::Base64 => "base64 text",
        })
    }
}

/// Returns the likely format of a payload that `contract` rejects, or `None` if the payload
/// resembles no format other than the encoding of `contract`.
pub(crate) fn lookalike(contract: &Contract, payload: &[u8], depth: u32) -> Option<Lookalike> {
    let by_bytes = by_first_bytes(payload).or_else(|| by_text(payload));
    let found = by_bytes.or_else(|| by_walk(contract, payload, depth))?;
    (found.encoding() != Some(contract.encoding)).then_some(found)
}

fn by_first_bytes(payload: &[u8]) -> Option<Lookalike> {
    Some(match payload {
        [0x1f, 0x8b, 8, ..] => Lookalike::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Lookalike::Zstd,
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Lookalike::Zlib,
        [0x80, 2..=5, .., b'.'] => Lookalike::Pickle,
        [0xef, 0xbb, 0xbf, ..] | [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Lookalike::ByteOrderMark,
        _ => return None,
    })
}

fn by_text(payload: &[u8]) -> Option<Lookalike> {
    let text = payload.trim_ascii();
    let inner = |at: usize| text[at..].trim_ascii_start().first();
    match (text.first()?, text.last()?) {
        (b'{', b'}') => match inner(1) {
            Some(b'"' | b'}') => Some(Lookalike::Json),
            Some(b'\'') => Some(Lookalike::PythonText),
            _ => None,
        },
        // The payload is a list of dicts.
        (b'[', b']') if is_python(text) => Some(Lookalike::PythonText),
        (b'[', b']') => match inner(1) {
            Some(b'{' | b'[' | b']' | b'"' | b'0'..=b'9' | b'-' | b't' | b'f' | b'n') => {
                Some(Lookalike::Json)
            }
            Some(b'\'') => Some(Lookalike::PythonText),
            _ => None,
        },
        (b'"', b'"') if text.starts_with(b"\"{\\\"") => Some(Lookalike::JsonTwice),
        _ => encoded_text(text),
    }
}

/// Returns whether the first element of a list is a dict as Python's `str` writes it.
fn is_python(list: &[u8]) -> bool {
    let first = list[1..].trim_ascii_start();
    let inner = first
        .strip_prefix(b"{")
        .map_or(&b""[..], <[u8]>::trim_ascii_start);
    inner.first() == Some(&b'\'')
}

/// Returns [`Lookalike::Hex`] if the text consists of an even number of hexadecimal digits, and
/// [`Lookalike::Base64`] if the text is base64. Returns `None` for any other text, and if the
/// length is not between [`TEXT_MIN`] and [`WALKED_MAX`].
fn encoded_text(text: &[u8]) -> Option<Lookalike> {
    if !(TEXT_MIN..=WALKED_MAX).contains(&text.len()) {
        return None;
    }
    if text.len().is_multiple_of(2) && text.iter().all(u8::is_ascii_hexdigit) {
        return Some(Lookalike::Hex);
    }
    let padding = text.iter().rev().take(2).filter(|&&b| b == b'=').count();
    let digits = &text[..text.len() - padding];
    let is_digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_');
    let is_base64 = text.len().is_multiple_of(4) && digits.iter().all(is_digit);
    is_base64.then_some(Lookalike::Base64)
}

fn by_walk(contract: &Contract, payload: &[u8], depth: u32) -> Option<Lookalike> {
    if payload.is_empty() || payload.len() > WALKED_MAX {
        return None;
    }
    if contract.encoding != Encoding::Msgpack && msgpack::is_keyed_map(payload, depth) {
        return Some(Lookalike::Msgpack);
    }
    if contract.encoding == Encoding::Protobuf {
        return None;
    }
    let mut strict = contract.clone();
    strict.encoding = Encoding::Protobuf;
    strict.options.unknown_fields = UnknownFields::Reject;
    let verdict = protobuf::check::<First>(&strict, payload, depth);
    verdict.is_ok().then_some(Lookalike::Protobuf)
}
