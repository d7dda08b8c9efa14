//! Tests of edits of the files of a running gateway.
//!
//! - `breaking_live`: A running gateway rejects, reports or allows a breaking edit.
//! - `breaking_routes`: A route whose schema changes is compared with the configuration in force.
//! - `files`: File changes of every kind are noticed by events alone.
//! - `hold`: Edits take effect while requests are in flight, and no answer is lost.
//! - `last`: The last content of the files takes effect, and a rewrite with equal content is no
//!   change.
//! - `libzmq`: Engine libzmq refuses changes that it cannot apply while it runs.
//! - `native`: On engine native, every key takes effect live, also for connected peers.
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
