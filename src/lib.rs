#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! The schema gateway for ZeroMQ.

pub mod diagnostic;
pub mod schema;
