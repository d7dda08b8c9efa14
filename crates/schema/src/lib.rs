//! Checks Protocol Buffers, MessagePack and JSON payloads against messages of compiled `.proto`
//! files.
//!
//! A [`Schema`] is a message type in an encoding. [`Schema::check`] reads a payload once, without
//! decoding it into a data structure. It reports the path of the first violation, the expected and
//! the found value, and the offset in bytes:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gateway_diagnostic::Diagnostics;
//! use gateway_proto::{Compiler, compile};
//! use gateway_schema::{Encoding, Options, Schema, Table};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! std::fs::write(
//!     directory.path().join("person.proto"),
//!     r#"
//!     syntax = "proto3";
//!     package demo;
//!     message Person {
//!       string name = 1;
//!       int32 age = 2;
//!       repeated Person friends = 3;
//!     }
//!     "#,
//! )?;
//! let mut found = Diagnostics::new();
//! let roots = [directory.path().to_owned()];
//! let descriptors = compile(&roots, Compiler::Builtin, &mut found).ok_or(found)?;
//!
//! let table = Arc::new(Table::build(descriptors.files())?);
//! let person = table.message("demo.Person").expect("person.proto defines it");
//! let schema = Schema::new(Encoding::Json, table, person, Options::default());
//!
//! // Messages may be nested up to 100 levels deep.
//! assert!(schema.check(br#"{"name": "Ada", "age": 36}"#, 100).is_ok());
//!
//! let payload = br#"{"friends": [{"age": "thirty"}]}"#;
//! let violation = schema.check(payload, 100).unwrap_err();
//! assert_eq!(violation.path, "friends[0].age");
//! assert_eq!(violation.expected, "int32");
//! assert_eq!(violation.found, "the string \"thirty\"");
//! assert_eq!(violation.offset, 21);
//! println!("{violation}");
//! # Ok(())
//! # }
//! ```
//!
//! - MessagePack and JSON payloads are checked against the same `.proto` message as Protocol
//!   Buffers. In MessagePack, a message is a map keyed by field name, or an array in declaration
//!   order. In JSON, it has the form that ProtoJSON defines.
//! - [`Schema::require`] requires further fields, which the `.proto` file does not require.
//! - [`RuleSet`] compiles `buf.validate` rules, and [`Schema::enforce`] checks payloads against
//!   them.
//! - [`breaking`] compares two schemas and finds the changes that break payloads.
//!
//! A payload cannot make a check panic, allocate without bound, or recurse deeper than the caller
//! allows. The crate does no I/O, and reads the clock only for rules about the current time.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

pub mod breaking;

mod contract;
mod hint;
mod json;
mod keys;
mod msgpack;
mod named;
mod needs;
mod options;
mod prefix;
mod protobuf;
mod reached;
mod require;
mod roots;
mod rules;
mod schema;
mod scope;
mod table;
mod text;
mod violation;

/// The places of definitions, for [`breaking::Defined`].
pub use gateway_proto::Definitions;
pub use hint::Lookalike;
pub use options::{Encoding, Layout, Options, TextKeys, UnknownFields};
pub use require::{Presence, RequireError};
pub use rules::{Estimate, ExplainedRule, RuleCost, RuleLimits, RuleSet};
pub use schema::Schema;
pub use table::{MessageId, Table, TableError};
pub use violation::Violation;
