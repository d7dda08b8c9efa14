#![forbid(unsafe_code)]
//! The schema gateway for ZeroMQ, as a library that its binary, examples and tests stand on.
//!
//! The flow is the layout: **frame → route → schema → pool → reply**. A message comes in through an
//! [`engine`], which tells the [`core`] what happened; [`frame`] takes it apart, [`route`] finds where
//! it goes, [`gateway_schema`] says whether its payload is right, [`pool`] who is free to answer, and [`reply`]
//! writes what the gateway answers itself. All of them work by one [`snapshot`], which [`config`] makes
//! of the files, [`reload`] compares with the next, and [`watch`] keeps up to date.
//!
//! [`metrics`] is what is counted on the way, and [`admin`] shows it.
//!
//! Read [`core::Core::on`] first, then the modules in that order. `ARCHITECTURE.md` has the invariants.

// the way of a message
pub mod core;
pub mod deadline;
pub mod engine;
pub mod frame;
pub mod pool;
pub mod reply;
pub mod route;
// the way of a configuration
pub mod config;
pub mod reload;
pub mod snapshot;
pub mod watch;
// seeing inside
pub mod admin;
pub mod metrics;
// the command line
pub mod cli;
