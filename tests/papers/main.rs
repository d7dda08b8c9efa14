//! Tests that the pages and examples of the repository are true, and that its code keeps its
//! structure.
//!
//! - `circles`: Imports form no circles and use no globs, crates import only allowed crates, and
//!   functions fit on a screen.
//! - `examples`: Each example runs as its first line describes.
//! - `guarantees`: Each promise of docs/guarantees.md names an existing test.
//! - `kubernetes`: The gateway accepts the configuration, the arguments and the requests in the
//!   manifest of docs/kubernetes.md.
//! - `map`: ARCHITECTURE.md, CONTRIBUTING.md and docs/internals name files that exist.
//! - `metrics`: docs/metrics.md lists every metric, and docs/rejections.md every reason.
//! - `reference`: The pages list every log line and every key of /status, /rejections and
//!   diagnostics.
//! - `systemd`: The unit in docs/operating.md fits the gateway.
//! - `words`: Comments are wrapped, doc comments do not begin as fragments, and messages have no
//!   uncommon words.

mod circles;
mod examples;
mod guarantees;
mod kubernetes;
mod map;
mod metrics;
mod reference;
#[path = "../support/mod.rs"]
mod support;
mod systemd;
mod words;
