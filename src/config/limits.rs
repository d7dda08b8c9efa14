//! What `limits` says: bounds on what peers may do, with their defaults.

use super::section::Section;
use super::value::{COUNT_MAX, Count, Size};
use super::yaml::Node;
use crate::snapshot::Limits;
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Deepest nesting that `limits.depth` may allow: what the walks' recursion can take on the data
/// thread's stack.
const DEPTH_MAX: u64 = 1_000;

/// Largest `limits.message`, in bytes: what ZMTP's peers can be expected to hold at once.
const MESSAGE_MAX: u64 = 2 << 30;

/// Reads the section; without one, the defaults.
pub fn limits(node: Option<&Node>, found: &mut Diagnostics) -> Limits {
    let mut limits = Limits {
        message: 16 << 20,
        frames: 16,
        depth: 100,
        rules: 1 << 20,
        clients: 100_000,
        client_requests: 10_000,
        client_bytes: 64 << 20,
    };
    let Some(node) = node else { return limits };
    let mut section = Section::open(node, "limits", &[], found);
    if let Some(size) = section.value::<Size<MESSAGE_MAX>>("message", found) {
        if size.value.0 == 0 {
            let fault = Diagnostic::error("\"message\" can't be that size").at(size.place);
            found.push(fault.label("expected 1B to 2GiB"));
        }
        limits.message = size.value.0;
    }
    // Type and payload, with a REQ's two frames of envelope.
    if let Some(n) = section.value::<Count<4, 65_536>>("frames", found) {
        limits.frames = n.value.0 as usize;
    }
    if let Some(n) = section.value::<Count<1, DEPTH_MAX>>("depth", found) {
        limits.depth = n.value.0 as u32;
    }
    if let Some(size) = section.value::<Size>("rules", found) {
        limits.rules = size.value.0;
    }
    if let Some(n) = section.value::<Count<1, COUNT_MAX>>("clients", found) {
        limits.clients = n.value.0 as usize;
    }
    if let Some(n) = section.value::<Count<1, COUNT_MAX>>("client_requests", found) {
        limits.client_requests = n.value.0 as u32;
    }
    if let Some(size) = section.value::<Size>("client_bytes", found) {
        limits.client_bytes = size.value.0;
    }
    section.close(found);
    limits
}
