//! The pages and examples of the repository are true.
//!
//! - `examples`: Each example runs against a gateway as its first line says.
//! - `kubernetes`: The manifest in docs/kubernetes.md runs.
//! - `metrics`: docs/metrics.md lists every metric, and README.md every reason.
//! - `reference`: The pages list every log line, and every key of status and diagnostics.

mod examples;
mod kubernetes;
mod metrics;
mod reference;
#[path = "../support/mod.rs"]
mod support;
