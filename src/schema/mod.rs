//! What a payload must look like: an encoding and a message of the compiled `.proto` files.
//!
//! `.proto` files → [`compile`] → descriptors → [`table`] → a [`Schema`] for each route, which the
//! walks ([`protobuf`], [`msgpack`]) hold payloads against. Schema knows no sockets, no routes, no
//! clock; a payload can never make it panic, allocate without bound or recurse beyond `depth`.

pub mod compile;
pub mod verify;

mod builtin;
mod fault;
mod outline;
mod places;
mod protoc;
mod sources;
