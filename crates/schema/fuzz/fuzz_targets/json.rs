//! Checks payloads by the JSON walk. A payload that passes must be well-formed to serde_json, too.
#![no_main]

use gateway_schema::Encoding;
use gateway_schema_fuzz::walk;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some(payload) = walk(Encoding::Json, input) {
        serde_json::from_slice::<serde::de::IgnoredAny>(payload).unwrap();
    }
});
