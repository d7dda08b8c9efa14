//! What a connection says: the decoder against a simple one, whole and in pieces; commands; greetings. The first
//! byte chooses how the rest is cut; what that makes longer, [`codec::stretched`] says.
#![no_main]

#[path = "../../tests/support/codec.rs"]
mod codec;

use codec::{judge, read_command, read_greeting, stretched};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    judge(cut, &stretched(bytes));
    read_command(bytes);
    read_greeting(bytes, usize::from(cut));
});
