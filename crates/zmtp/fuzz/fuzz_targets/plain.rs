//! Sends any bytes to a listener with PLAIN after the greeting. Checks that the peer is admitted
//! only if it has sent the password.
#![no_main]

#[path = "../../tests/support/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    pair::knock(input);
});
