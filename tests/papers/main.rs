//! The pages and examples of the repository are true, and its code keeps the structure that they promise.
//!
//! - `circles`: No circle of imports, crates in one direction, no globs, functions of a screen.
//! - `examples`: Each example runs against a gateway as its first line says.
//! - `kubernetes`: The manifest in docs/kubernetes.md runs.
//! - `metrics`: docs/metrics.md lists every metric, and docs/rejections.md every reason.
//! - `reference`: The pages list every log line, and every key of status and diagnostics.

mod circles;
mod examples;
mod kubernetes;
mod metrics;
mod reference;
#[path = "../support/mod.rs"]
mod support;
