//! Reloads. The thread that reads configurations prepares a reload and hands it to the data thread.

use std::sync::{Arc, mpsc};

use crate::engine::control::Control;
use crate::engine::error::EngineError;
use crate::engine::libzmq::sockets::{Prepared, SharedSocketRegistry};
use crate::engine::listening::BoundAddress;
use crate::snapshot::Snapshot;

/// Prepares reloads and hands them to the data thread.
#[derive(Clone)]
pub(in crate::engine) struct Reloader {
    pub(super) registry: SharedSocketRegistry,
    pub(super) commits: mpsc::Sender<Commit>,
    pub(super) control: Control,
}

/// A reload that cannot fail any more.
pub(super) struct Commit {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) prepared: Prepared,
    /// The data thread sends a message here once the reload has taken effect.
    pub(super) done: mpsc::Sender<()>,
}

impl Reloader {
    pub(in crate::engine) fn reload(
        &self,
        snapshot: Arc<Snapshot>,
    ) -> Result<Vec<BoundAddress>, EngineError> {
        let ending = || EngineError::new("reload", "the gateway is ending");
        let (done, committed) = mpsc::channel();
        let mut listening = Vec::new();
        self.registry.prepare(&Arc::clone(&snapshot), |prepared| {
            listening.clone_from(&prepared.listening);
            let commit = Commit {
                snapshot,
                prepared,
                done,
            };
            self.commits.send(commit).map_err(|_| ending())
        })?;
        self.control.wake();
        committed.recv().map_err(|_| ending())?;
        Ok(listening)
    }

    /// Returns every address on which the gateway listens.
    pub(in crate::engine) fn listening(&self) -> Vec<BoundAddress> {
        self.registry.listening()
    }
}
