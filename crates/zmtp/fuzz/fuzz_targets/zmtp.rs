//! Compares the decoder with its model, both for the whole stream and for the stream in pieces, and
//! parses commands and greetings. The first byte of the fuzzer's input determines the size of the
//! pieces. A few bytes can stand for a large frame: see [`model::stretched`].
#![no_main]

#[path = "../../tests/support/model.rs"]
mod model;

use model::{judge, read_command, read_greeting, stretched};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else {
        return;
    };
    judge(cut, &stretched(bytes));
    read_command(bytes);
    read_greeting(bytes, usize::from(cut));
});
