//! Attacks a CURVE handshake and the encrypted traffic after it by changing, repeating, dropping
//! and inserting bytes on the wire. Checks that the listener receives a prefix of the sent
//! messages.
#![no_main]

#[path = "../../tests/support/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    pair::attack(input);
});
