//! A single pass over a payload that checks its structure and its standard rules together.
//!
//! The pass supports payloads in the form that most writers produce. Its result is either that a
//! payload certainly fits its message and keeps the standard rules, or that the verdict is unknown.
//! In the second case, the walk checks the structure, and the judge (`judge.rs`) checks the rules.
//! Only the walk and the judge report violations, so the pass keeps no paths, ids or positions.
//! For values in other forms, the pass calls the functions of the walk and the judge.
//!
//! `plan.rs` puts the rules into the form that the pass reads, `test.rs` has the tests of values,
//! and each encoding has a file.

pub(super) mod json;
mod msgpack;
pub(super) mod plan;
pub(super) mod protobuf;
mod scalar;
mod seen;
pub(super) mod test;
#[cfg(test)]
mod tests;

use super::plan::{PlanId, Plans};
use crate::contract::Contract;
use crate::options::Encoding;
use plan::CombinedPlans;

/// Returns whether `payload` certainly fits `contract` and keeps the standard rules of `root`.
///
/// A result of false says nothing about the payload.
pub(super) fn passes(
    contract: &Contract,
    (plans, combined): (&Plans, &CombinedPlans),
    root: PlanId,
    payload: &[u8],
    depth: u32,
) -> bool {
    // A combined plan is shared by all schemas of a message, so it cannot hold the required paths
    // of one schema.
    if !contract.needs.is_empty() {
        return false;
    }
    let plans = (plans, combined);
    match contract.encoding {
        Encoding::Protobuf => protobuf::passes(contract, plans, root, payload, depth),
        Encoding::Msgpack => msgpack::passes(contract, plans, root, payload, depth),
        Encoding::Json => json::passes(contract, plans, root, payload, depth),
    }
}
