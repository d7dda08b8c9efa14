//! Attacks a CURVE handshake and the encrypted traffic after it by changing, repeating, dropping
//! and inserting bytes on their way to one side, which the first byte of the input selects. Checks
//! that this side receives a prefix of the sent messages.
#![no_main]

#[path = "../../tests/support/pair.rs"]
mod pair;

use gateway_zmtp::session::Side;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&first, instructions)) = input.split_first() else {
        return;
    };
    let side = match first & 1 {
        0 => Side::Listens,
        _ => Side::Connects,
    };
    pair::attack(side, instructions);
});
