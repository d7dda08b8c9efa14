//! What a connection says: the decoder against a simple one, whole and in pieces; commands; greetings. The first
//! byte chooses how the rest is cut.
#![no_main]

#[path = "../../tests/support/codec.rs"]
mod codec;

use codec::{Said, decode, expected, read_command, read_greeting};
use gateway::engine::native::zmtp::decoder::Bounds;

/// Small, so that the fuzzer gets beyond them.
const BOUNDS: Bounds = Bounds {
    bytes: 600,
    frames: 4,
};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    let expected = expected(bytes, BOUNDS);
    assert_eq!(decode([bytes], BOUNDS), expected);
    assert_eq!(
        decode(bytes.chunks(usize::from(cut).max(1)), BOUNDS),
        expected
    );
    for said in &expected {
        if let Said::Command(body) = said {
            read_command(body);
        }
    }
    read_command(bytes);
    read_greeting(bytes, usize::from(cut));
});
