//! Checks payloads by the MessagePack walk. rmp-serde must also accept a payload that passes.
#![no_main]

use gateway_schema::Encoding;
use gateway_schema_fuzz::walk;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some(payload) = walk(Encoding::Msgpack, input) {
        rmp_serde::from_slice::<serde::de::IgnoredAny>(payload).unwrap();
    }
});
