//! The decoder against its model, whole and in pieces; commands; greetings. The first byte of the
//! input chooses how the rest is cut. Few bytes may stand for large frames: [`model::stretched`].
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
