//! Google's protobuf for Rust as a decoder of `demo.Person`.

// Generated code is as its generator writes it.
#[allow(clippy::all)]
mod generated;

/// Whether upb reads `bytes` as a `demo.Person`.
pub fn reads(bytes: &[u8]) -> bool {
    <generated::Person as protobuf::Parse>::parse(bytes).is_ok()
}
