#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
//! A schema gateway for ZeroMQ, to run inside another program.
//!
//! A gateway checks every message of its clients against a schema, hands it to a pool of workers,
//! and answers every request exactly once. A `routes.yaml` and `.proto` files describe its
//! behaviour, as for the program `gateway`; the README of the repository explains these files.
//!
//! [`Gateway::load`] reads a configuration and reports every error in it with its place.
//! [`Gateway::start`] listens and serves on threads of its own. The [`Handle`] that it returns
//! knows the addresses, reloads the configuration, and ends the gateway.
//!
//! ```
//! use gateway::{Gateway, ReloadOutcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let routes = r#"
//! frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
//! pools: { people: { bind: "tcp://127.0.0.1:0" } }
//! routes: { PERSON: { schema: demo.Person, pool: people } }
//! "#;
//! // The message is in a .proto file below `schemas/` in this directory.
//! let gateway = Gateway::from_text(routes, ".").watch(false).load()?;
//! let handle = gateway.start()?;
//! // The system has chosen a free port for each port 0.
//! let clients = handle.endpoint("clients").expect("a frontend that listens");
//! assert!(clients.starts_with("tcp://127.0.0.1:"));
//!
//! let report = handle.reload().expect("a gateway that runs");
//! assert_eq!(report.outcome, ReloadOutcome::Unchanged);
//!
//! // Open requests may finish, and then the gateway ends.
//! handle.drain();
//! let ledger = handle.wait()?;
//! assert_eq!(ledger.received, 0);
//! # Ok(())
//! # }
//! ```
//!
//! The gateway logs through [`tracing`]; without a subscriber it is silent.
//!
//! # Features
//!
//! - `libzmq`, on by default, is the engine over libzmq, and needs a C++ compiler. The other
//!   engine, `native`, is always there and is the default in a configuration.
//! - `sodium`, on by default, implements CURVE with libsodium, and needs a C compiler and make.
//!   Without this feature, CURVE uses the crate `crypto_box`, which is written in Rust only.
//!
//! # The modules
//!
//! The modules follow the flow **frame → route → schema → pool → reply**. A message arrives through
//! an `engine`, which reports it to the `core`; `frame` splits it, `route` finds its route,
//! [`gateway_schema`] checks its payload, `pool` chooses a worker, and `reply` encodes rejections.
//! All of them use one `snapshot`. `config` builds a snapshot from the files, `watch` follows
//! changes of the files, and `reload` compares the running snapshot with the next snapshot.
//! `metrics` takes samples of the counters, and `admin` shows them over HTTP.
//!
//! Read `core::Core::on` first, then the modules in that order. `ARCHITECTURE.md` has the
//! invariants.

pub use crate::embed::{Builder, Error, Gateway, Handle};
pub use crate::engine::{BindFault, BoundAddress, Control, EngineError};
pub use crate::ledger::Ledger;
pub use crate::reload::{Changes, Plan, ReloadOutcome, Report};
pub use crate::reply::Reason;
pub use gateway_diagnostic::{Diagnostic, Diagnostics, Place, Severity};

// The modules are public only for the binary, tests, benches and fuzz targets of this repository,
// which use parts of the gateway without the rest. They may change in any version.

// The modules through which a message passes.
mod channel;
#[doc(hidden)]
pub mod core;
mod deadline;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod frame;
#[doc(hidden)]
pub mod ledger;
mod memory;
#[doc(hidden)]
pub mod peer;
mod pool;
mod priority;
mod rejections;
#[doc(hidden)]
pub mod reply;
#[doc(hidden)]
pub mod route;
// The modules of the configuration.
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod reload;
#[doc(hidden)]
pub mod security;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod watch;
// The modules that show a running gateway.
#[doc(hidden)]
pub mod admin;
mod metrics;
// This is public for a test.
#[doc(hidden)]
pub mod panics;
// The command line, and the interface for programs that run a gateway.
#[doc(hidden)]
pub mod cli;
mod embed;
