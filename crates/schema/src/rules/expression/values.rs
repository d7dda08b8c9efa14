//! The fields of a payload that rules in CEL read, as values of CEL.
//!
//! The payload is read once, and only the fields in [`Wanted`] are put into a tree. An expression
//! therefore finds a field without reading the payload again. JSON and MessagePack share a reader.

mod building;
mod meaning;
pub(super) mod named;
pub(super) mod protobuf;
mod tree;
mod wanted;

pub(super) use tree::{Content, Node};
pub(super) use wanted::Wanted;
