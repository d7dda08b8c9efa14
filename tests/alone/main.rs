//! Tests that measure their own process: its allocations, its memory, its descriptors.
//!
//! Each takes its turn with [`turns::take`], so that none sees what another one uses.
//!
//! - `core_allocation`: The core handles a small request and its answer without an allocation.
//! - `panics`: A panic is counted and logged with its place.
//! - `path_allocation`: The data thread of engine native does so from the socket to the socket.
//! - `reloads`: Thousands of reloads leave no descriptors and no memory behind.
//! - `soak`: No answer is lost or wrong, and nothing grows, while all files are rewritten.

// The allocator that counts is for the whole program.
#![allow(unsafe_code)]

mod core_allocation;
mod counting;
mod panics;
mod path_allocation;
mod reloads;
mod soak;
#[path = "../support/mod.rs"]
mod support;
