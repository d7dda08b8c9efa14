//! Tests of payloads against messages, in each encoding.
//!
//! - `protobuf`: The protobuf walk and prost-reflect give the same verdicts, also on mutated
//!   payloads, except for the differences that the test lists.
//! - `msgpack`: The MessagePack walk accepts the output of rmp-serde. The two agree on which
//!   mutated payloads are well-formed.
//! - `json`: The JSON walk accepts the output of serde_json. The two agree on which
//!   mutated payloads are well-formed, except for duplicate keys and numbers that are too large for
//!   a double.
//! - `lookalikes`: The likely formats of rejected payloads.
//! - `conformance`: The binary cases that every protobuf implementation must decide alike.
//! - `roots`: A table that is built for the root messages of schemas holds only the messages that
//!   the roots need. With such a table, verdicts are the same as with a table of all messages.
//! - `violations`: All violations of a payload are reported, in order, up to a maximum number.

mod conformance;
mod json;
mod lookalikes;
mod msgpack;
mod protobuf;
mod roots;
#[path = "../support/mod.rs"]
mod support;
mod violations;
