#![forbid(unsafe_code)]
#![warn(missing_docs)]
//! The schema gateway for ZeroMQ.

pub mod cli;
pub mod config;
pub mod core;
pub mod deadline;
pub mod diagnostic;
pub mod engine;
pub mod frame;
pub mod pool;
pub mod reload;
pub mod reply;
pub mod route;
pub mod schema;
pub mod snapshot;
pub mod watch;
