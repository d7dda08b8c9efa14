//! Drives a connection from its first byte on: its session, its liveness and its output. The bytes
//! of the peer arrive in pieces of any size and at any rate. The first byte of the fuzzer's input
//! determines the settings, and the next eight bytes determine the sizes of the pieces and the
//! times between them. The peer sends the remaining bytes. If the highest bit of the first byte is
//! set, the peer sends a valid greeting and READY before these bytes. A few bytes can stand for a
//! large frame: see [`model::stretched`].
#![no_main]

#[path = "../../crates/zmtp/tests/support/model.rs"]
mod model;
#[path = "../../tests/support/session_model.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[settings, ref steps @ ..], rest)) = input.split_first_chunk::<9>() else {
        return;
    };
    let opening = match settings & 0x80 {
        0 => Vec::new(),
        _ => session::opening(),
    };
    let bytes = [opening, model::stretched(rest)].concat();
    session::drive(session::Settings::of(settings), steps, &bytes);
});
