//! What a running gateway shows to those who operate it: HTTP, metrics and the log.
//!
//! - `admin`: Health, status and reload are answered over HTTP.
//! - `log_reader`: A log whose reader stops or leaves delays nothing.
//! - `logs`: The log reports the start, reloads, workers and rejections, at a bounded rate.
//! - `metrics`: The counters balance in every scrape.
//! - `rejections`: The last rejections are shown over HTTP.

mod admin;
mod log_reader;
mod logs;
mod metrics;
mod rejections;
#[path = "../support/mod.rs"]
mod support;
