//! Payloads against messages, in each encoding.
//!
//! - [`protobuf`]: what the protobuf walk accepts and rejects, beside prost-reflect's verdicts on mutated payloads.
//! - [`msgpack`]: what the MessagePack walk accepts and rejects, what rmp-serde writes, and rmp-serde's verdicts
//!   on mutated payloads.
//! - [`json`]: what the JSON walk accepts and rejects, what serde_json writes, and serde_json's verdicts on
//!   mutated payloads.
//! - [`lookalikes`]: what rejected payloads look like.
//! - [`conformance`]: the binary cases that every protobuf implementation must decide alike.
//! - [`violations`]: the violations after the first: which are found, in which order, and how many.

mod conformance;
mod json;
mod lookalikes;
mod msgpack;
mod protobuf;
#[path = "../support/mod.rs"]
mod support;
mod violations;
