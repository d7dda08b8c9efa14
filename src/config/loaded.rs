//! A configuration that can be run.

use super::binds::Bind;
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostics, Place};

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What the gateway works by.
    pub snapshot: Snapshot,
    /// What probably isn't meant.
    pub warnings: Diagnostics,
    /// How many messages the .proto files define.
    pub messages: usize,
    /// How many routes there are.
    pub routes: usize,
    /// Where `admin.bind` stands.
    pub admin: Option<Place>,
    /// Where each address stands that frontends and pools listen on.
    pub binds: Vec<Bind>,
}

impl Loaded {
    /// Returns the numbers of routes, pools, frontends and messages, for a line of the log.
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let parts = [
            count(self.routes, "route"),
            count(self.snapshot.pools.len(), "pool"),
            count(self.snapshot.frontends.len(), "frontend"),
            count(self.messages, "message"),
        ];
        parts.join(", ")
    }
}
