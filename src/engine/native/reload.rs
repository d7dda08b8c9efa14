//! Reloads of the configuration. The thread that reads the files prepares a reload, and the data
//! thread commits the reload between two messages.
//!
//! Every key but `engine` may change. A listener stays open if the new configuration also has its
//! address, even if a frontend, pool or channel of another name then has the address. New listeners
//! are bound during the preparation, and removed listeners are closed at the commit. Only the
//! listeners of a removed pool stay until the pool has no open request, unless a new listener must
//! take over an address.

mod adopt;
mod registry;

use std::sync::{Arc, mpsc};

use crate::engine::control::Control;
use crate::engine::error::EngineError;
use crate::engine::listening::BoundAddress;
use crate::engine::native::address::Address;
use crate::engine::role::Role;
use crate::snapshot::Snapshot;
use registry::Planned;
pub(super) use registry::SharedListenerRegistry;
pub(in crate::engine) use registry::try_binds;

/// Prepares reloads and hands them to the data thread.
#[derive(Clone)]
pub(in crate::engine) struct Reloader {
    registry: SharedListenerRegistry,
    commits: mpsc::Sender<Commit>,
    control: Control,
}

/// A reload that cannot fail any more.
struct Commit {
    snapshot: Arc<Snapshot>,
    listeners: Vec<Planned>,
    calls: Vec<(Role, Address)>,
    /// The value of `limits.memory` in bytes. Computing it may read the system's files, which the
    /// data thread must not do.
    memory: u64,
    /// Receives a message once the reload has taken effect.
    done: mpsc::Sender<()>,
}

/// The reloads that were handed over, for the data thread.
pub(super) struct Reloads {
    commits: mpsc::Receiver<Commit>,
    registry: SharedListenerRegistry,
}

/// Returns the sending and the receiving end of the channel for reloads.
pub(super) fn reloads(control: Control) -> (Reloader, Reloads) {
    let registry = SharedListenerRegistry::default();
    let (commits, inbox) = mpsc::channel();
    let reloader = Reloader {
        registry: registry.clone(),
        commits,
        control,
    };
    let commits = inbox;
    (reloader, Reloads { commits, registry })
}

impl Reloader {
    /// Prepares a reload, and waits until it has taken effect. Returns the new listeners.
    ///
    /// # Errors
    ///
    /// Fails if the gateway cannot change to the configuration, or is ending.
    pub(in crate::engine) fn reload(
        &self,
        snapshot: Arc<Snapshot>,
    ) -> Result<Vec<BoundAddress>, EngineError> {
        let (done, committed) = mpsc::channel();
        let listening = self.hand_over(&snapshot, done)?;
        self.control.wake();
        committed.recv().map_err(|_| ending())?;
        Ok(listening)
    }

    /// Does the same as [`Self::reload`], but does not wait until the reload has taken effect.
    pub(super) fn prepare(
        &self,
        snapshot: &Arc<Snapshot>,
    ) -> Result<Vec<BoundAddress>, EngineError> {
        self.hand_over(snapshot, mpsc::channel().0)
    }

    /// Returns every address on which the gateway listens.
    pub(in crate::engine) fn listening(&self, snapshot: &Snapshot) -> Vec<BoundAddress> {
        self.registry.lock().shown(snapshot)
    }

    /// Binds the new addresses, hands the reload over, and returns the new addresses.
    fn hand_over(
        &self,
        snapshot: &Arc<Snapshot>,
        done: mpsc::Sender<()>,
    ) -> Result<Vec<BoundAddress>, EngineError> {
        let preparing = self.registry.prepare().ok_or_else(ending)?;
        let calls = calls(snapshot)?;
        let (plan, listeners) = preparing.plan(snapshot)?;
        let commit = Commit {
            snapshot: Arc::clone(snapshot),
            listeners,
            calls,
            memory: snapshot.limits.memory.bytes(),
            done,
        };
        let hand_over = || self.commits.send(commit).is_ok();
        preparing
            .adopt(plan, snapshot, hand_over)
            .ok_or_else(ending)
    }
}

fn ending() -> EngineError {
    EngineError::new("reload", "the gateway is ending")
}

/// Returns every address to which a configuration connects. Fails if an address cannot be parsed.
fn calls(snapshot: &Snapshot) -> Result<Vec<(Role, Address)>, EngineError> {
    let all = Role::all(snapshot).flat_map(|(role, endpoints)| {
        let calls = endpoints.connect.iter();
        calls.map(move |endpoint| (role, endpoint))
    });
    all.map(|(role, endpoint)| match Address::parse(endpoint) {
        Ok(address) => Ok((role, address)),
        Err(error) => Err(EngineError::new(endpoint, error)),
    })
    .collect()
}

impl Reloads {
    /// Drops the reloads that were handed over, because the gateway is ending.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.registry.finish();
        }
    }

    /// Returns the registry of the listeners.
    pub(super) fn registry(&self) -> &SharedListenerRegistry {
        &self.registry
    }
}
