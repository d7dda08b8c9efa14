//! The handshake of CURVE and sealed traffic, with somebody on the wire who changes, repeats, drops
//! and inserts what he likes: nothing that was not said may be heard, nor anything out of order.
#![no_main]

#[path = "../../tests/support/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    pair::attack(input);
});
