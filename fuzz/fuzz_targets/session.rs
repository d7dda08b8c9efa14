//! A connection from its first byte on: its session, its liveness and what it is told, in any pieces and at any pace.
//! The first byte says what it is, the next eight how it comes, and the rest is what the peer says; of the first's
//! highest bit, behind a greeting and a READY that are in order. What it makes longer, [`codec::stretched`] says.
#![no_main]

#[path = "../../tests/support/codec.rs"]
mod codec;
#[path = "../../tests/support/session.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[settings, ref steps @ ..], said)) = input.split_first_chunk::<9>() else {
        return;
    };
    let front = match settings & 0x80 {
        0 => Vec::new(),
        _ => session::front(),
    };
    let bytes = [front, codec::stretched(said)].concat();
    session::drive(session::Settings::of(settings), steps, &bytes);
});
