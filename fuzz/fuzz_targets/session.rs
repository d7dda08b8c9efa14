//! A connection from its first byte on: its session, its liveness and the bytes written to it, in any pieces and at any
//! pace. The first byte of the input chooses the settings, the next eight the pieces and the time between them, and the
//! rest is what the peer sends, after a valid greeting and READY if the first byte's highest bit is set. Few bytes may
//! stand for large frames: [`model::stretched`].
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
