//! The section `limits`: the limits on messages and requests of peers, with their defaults.

use super::section::Section;
use super::value::{COUNT_MAX, Count, MemoryAmount, Size};
use super::yaml::Node;
use crate::snapshot::{EngineKind, Limits, MemoryLimit};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The maximum of `limits.depth`. Payloads are checked recursively, and the data thread's stack
/// suffices for this depth.
const DEPTH_MAX: u64 = 1_000;

/// The maximum of `limits.message`, in bytes. Larger messages may exceed the memory of ZMTP peers.
const MESSAGE_MAX: u64 = 2 << 30;

/// Reads the section. Absent keys have their defaults.
pub(super) fn limits(node: Option<&Node>, engine: EngineKind, found: &mut Diagnostics) -> Limits {
    let mut limits = Limits {
        message: 16 << 20,
        frames: 16,
        depth: 100,
        rules: 1 << 20,
        rules_cost: 1_000_000,
        clients: 100_000,
        client_requests: 10_000,
        client_bytes: 64 << 20,
        memory: MemoryLimit::default(),
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
    // Four frames are the minimum, because a message of a REQ has a type and a payload, and its
    // envelope may have a request number and an empty delimiter.
    if let Some(n) = section.value::<Count<4, 65_536>>("frames", found) {
        limits.frames = n.value.0 as usize;
    }
    if let Some(n) = section.value::<Count<1, DEPTH_MAX>>("depth", found) {
        limits.depth = n.value.0 as u32;
    }
    if let Some(size) = section.value::<Size>("rules", found) {
        limits.rules = size.value.0;
    }
    if let Some(n) = section.value::<Count<1, COUNT_MAX>>("rules_cost", found) {
        limits.rules_cost = n.value.0;
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
    if let Some(amount) = section.value::<MemoryAmount>("memory", found) {
        if engine == EngineKind::Libzmq {
            let fault = Diagnostic::error("\"memory\" is not supported by engine libzmq");
            let fault = fault.at(amount.place).label("remove it");
            found.push(
                fault.help("use engine native: libzmq does not report how much memory it uses"),
            );
        }
        limits.memory = amount.value.0;
    }
    section.close(found);
    limits
}
