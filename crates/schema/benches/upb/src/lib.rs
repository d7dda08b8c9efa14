//! Decodes `demo.Person` with upb, through Google's `protobuf` crate.

// Generated code has the style of its generator.
#[allow(clippy::all)]
mod generated;

/// Returns whether upb reads `bytes` as a `demo.Person`.
pub fn reads(bytes: &[u8]) -> bool {
    <generated::Person as protobuf::Parse>::parse(bytes).is_ok()
}
