//! Drives a connection from its first byte on: its session, its liveness and its output. The bytes
//! of the peer arrive in pieces of any size and at any rate. The first byte of the input determines
//! the settings, and the next eight the sizes of the pieces and the times between them. The peer
//! sends the remaining bytes, after a valid greeting and READY if the first byte's highest bit is
//! set. A few bytes can stand for a large frame: see [`model::stretched`].
#![no_main]

#[path = "../../crates/zmtp/tests/support/model.rs"]
mod model;
#[path = "../../tests/support/session_model.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&[settings, ref steps @ ..], said)) = input.split_first_chunk::<9>() else {
        return;
    };
    let front = match settings & 0x80 {
        0 => Vec::new(),
        _ => session::front(),
    };
    let bytes = [front, model::stretched(said)].concat();
    session::drive(session::Settings::of(settings), steps, &bytes);
});
