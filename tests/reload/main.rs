//! Edits of the files of a running gateway.
//!
//! - `breaking_live`: A running gateway rejects, reports or allows a breaking edit.
//! - `breaking_routes`: A route that changes its schema is compared with the configuration in
//!   force.
//! - `files`: Every way in which files change is seen by events alone.
//! - `hold`: Edits take hold while requests flow, and no answer is lost.
//! - `last`: The last content of the files holds, and equal content is no change.
//! - `libzmq`: Engine libzmq refuses what it cannot change while it runs.
//! - `native`: Every key takes hold live, also for connected peers, on engine native alone.
//! - `plan`: Every key of routes.yaml is part of the plan of a reload.

mod breaking_live;
mod breaking_routes;
mod files;
mod hold;
mod last;
mod libzmq;
mod native;
mod plan;
#[path = "../support/mod.rs"]
mod support;
