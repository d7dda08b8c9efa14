//! Sends the fuzzer's bytes to a listener with PLAIN after a valid greeting. Checks that the peer
//! is admitted only if it has sent the right user name and password.
#![no_main]

#[path = "../../tests/support/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    pair::is_admitted(input);
});
