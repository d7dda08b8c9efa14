#![forbid(unsafe_code)]
//! What a payload must look like: an encoding and a message of the compiled `.proto` files.

pub mod breaking;

mod contract;
mod json;
mod keys;
mod msgpack;
mod named;
mod needs;
mod options;
mod protobuf;
mod require;
mod rules;
mod schema;
mod scope;
mod table;
mod text;
mod violation;

pub use gateway_proto::Definitions;
pub use options::{Encoding, Layout, Options, UnknownFields};
pub use require::{Presence, RequireError};
pub use rules::Ruler;
pub use schema::Schema;
pub use table::{MessageId, Table};
pub use violation::Violation;
