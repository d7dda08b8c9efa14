//! A valid configuration.

use super::binds::Bind;
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostics, Place};

/// A valid configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The resolved snapshot.
    pub snapshot: Snapshot,
    /// Warnings about settings that are valid but probably not intended, and errors that exclude
    /// only single keys or single users.
    pub warnings: Diagnostics,
    /// The number of messages in the .proto files.
    pub messages: usize,
    /// The number of routes.
    pub routes: usize,
    /// The place of `admin.bind`.
    pub admin: Option<Place>,
    /// True if values seem to refer to environment variables. A reload does not read these
    /// variables again.
    pub has_variables: bool,
    /// The addresses on which frontends, pools and channels listen, each with its place.
    pub binds: Vec<Bind>,
}

impl Loaded {
    /// Returns the numbers of routes, pools, channels (if there are any), frontends and messages,
    /// for a line of the log.
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let channels = self.snapshot.channels.len();
        let parts = [
            Some(count(self.routes, "route")),
            Some(count(self.snapshot.pools.len(), "pool")),
            (channels > 0).then(|| count(channels, "channel")),
            Some(count(self.snapshot.frontends.len(), "frontend")),
            Some(count(self.messages, "message")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
