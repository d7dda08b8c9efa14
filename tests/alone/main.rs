//! Tests that measure their own process: its allocations, its memory, its descriptors.
//!
//! Each test waits for its turn with [`turns::take`], so that its measurements do not include
//! another test.
//!
//! - `core_allocation`: The core handles a small request and its answer without an allocation.
//! - `panics`: Every panic is counted, and several panics at one place are logged once.
//! - `path_allocation`: The native engine's data thread handles a small request and its answer
//!   without an allocation, from socket to socket.
//! - `reloads`: Thousands of reloads leave no descriptors and no memory behind.
//! - `soak`: No answer is lost or wrong, and neither memory nor the number of descriptors grows,
//!   while all files are rewritten.

// The module `counting` implements the global allocator of this program, which needs unsafe code.
#![allow(unsafe_code)]

mod core_allocation;
mod counting;
mod panics;
mod path_allocation;
mod reloads;
mod soak;
#[path = "../support/mod.rs"]
mod support;
