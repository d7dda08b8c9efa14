//! Checks payloads by the protobuf walk.
#![no_main]

use gateway_schema::Encoding;
use gateway_schema_fuzz::walk;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    walk(Encoding::Protobuf, input);
});
