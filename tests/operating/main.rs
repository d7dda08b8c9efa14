//! Tests of the interfaces of a running gateway for its operators: HTTP, metrics, the log and the
//! notifications for a service manager.
//!
//! - `admin`: Health, status and reload are answered over HTTP.
//! - `channels`: Channels and their subscribers are in the metrics and in the status.
//! - `log_reader`: A log reader that stalls or closes its end delays nothing.
//! - `logs`: The log reports the startup, reloads, workers and rejections, at a bounded rate.
//! - `memory`: Memory that is needed only to load the files is returned to the system.
//! - `metrics`: The counters balance in every scrape.
//! - `rejections`: The last rejections are shown over HTTP.
//! - `service`: A service manager is notified of the startup, reloads and the shutdown, and that
//!   the gateway is alive. The data thread has the highest priority.

mod admin;
mod channels;
mod log_reader;
mod logs;
mod memory;
mod metrics;
mod rejections;
mod service;
#[path = "../support/mod.rs"]
mod support;
