#![forbid(unsafe_code)]
//! A schema gateway for ZeroMQ, to run inside another program.
//!
//! A gateway checks every message of its clients against a schema, hands it to a pool of workers, and
//! answers every request exactly once. What it does is written in a `routes.yaml` and in `.proto` files, as
//! for the program `gateway`, and the README of the repository describes both.
//!
//! [`Gateway::load`] reads a configuration and reports every error in it with its place.
//! [`Gateway::start`] listens and serves on threads of its own. The [`Handle`] that it returns knows the
//! addresses, reloads the configuration, and ends the gateway.
//!
//! ```
//! use gateway::{Gateway, Outcome};
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
//! assert_eq!(report.outcome, Outcome::Unchanged);
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
//! `libzmq`, on by default, is the engine over libzmq, and needs a C++ compiler. The other engine, `native`,
//! is always there and is the default in a configuration.
//!
//! # The modules
//!
//! The flow is the layout: **frame → route → schema → pool → reply**. A message comes in through an
//! `engine`, which reports it to the `core`; `frame` takes it apart, `route` finds its route,
//! [`gateway_schema`] checks its payload, `pool` chooses a worker, and `reply` writes the gateway's own
//! answers. All of them work by one `snapshot`, which `config` makes of the files, `reload` compares with the
//! next one, and `watch` keeps up to date. `metrics` counts, and `admin` shows the counters over HTTP.
//!
//! Read `core::Core::on` first, then the modules in that order. `ARCHITECTURE.md` has the invariants.

pub use crate::embed::{Builder, Error, Gateway, Handle};
pub use crate::engine::{BindFault, Control, EngineError, Listening};
pub use crate::ledger::Ledger;
pub use crate::reload::{Changes, Outcome, Plan, Report};
pub use crate::reply::Reason;
pub use gateway_diagnostic::{Diagnostic, Diagnostics, Place, Severity};

// The modules are public for the binary, tests, benches and fuzz targets of this repository alone, which
// drive parts of the gateway without the rest. They may change in any version.

// The way of a message.
#[doc(hidden)]
pub mod core;
mod deadline;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod frame;
#[doc(hidden)]
pub mod ledger;
#[doc(hidden)]
pub mod peer;
mod pool;
mod rejections;
#[doc(hidden)]
pub mod reply;
#[doc(hidden)]
pub mod route;
// The way of a configuration.
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
pub mod reload;
#[doc(hidden)]
pub mod snapshot;
#[doc(hidden)]
pub mod watch;
// Insight into a running gateway.
#[doc(hidden)]
pub mod admin;
mod metrics;
// Public for a test.
#[doc(hidden)]
pub mod panics;
// The program around it.
#[doc(hidden)]
pub mod cli;
mod embed;
