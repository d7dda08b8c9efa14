//! The interface to engines, which move frames between the network and the core.
//!
//! An engine turns the actions of peers into [`Event`](crate::core::Event)s and carries out the
//! core's decisions through an [`Outlet`](crate::core::Outlet). An engine knows no routes and no
//! schemas. It runs on one thread of its own. The core runs on the same thread, so no message waits
//! for a lock.
//!
//! Every engine must meet these conditions:
//!
//! - It gives each connection a new number: a [`PeerId`](crate::peer::PeerId) is never reused.
//! - It reports a peer before the peer's messages, and the disconnection after them.
//! - It never blocks in a call of the outlet.
//! - It bounds the answers that it keeps for a client by `limits.client_bytes`, and reports the
//!   fate of each of these answers.
//! - It logs the core's notes once a turn (`notes::log_notes`).
//! - It reports each verdict of its judges (`judges`) to the core.
//! - It processes at most a budget of messages of one peer before it serves the other peers again.
//!
//! An engine that can distinguish peers reports each worker, publisher and subscriber with
//! `Headcount::One`. Any other engine reports one peer with `Headcount::Unknown` for each pool and
//! for each side of a channel. The core knows no other difference between engines.

mod control;
mod error;
mod fair_queue;
mod judges;
#[cfg(feature = "libzmq")]
mod libzmq;
mod listening;
// This is public, and hidden from the documentation, only because tests, benches and fuzz targets
// drive the parts of the engine that do no I/O: `liveness`, `outbox` and `socket_types`.
#[doc(hidden)]
pub mod native;
mod notes;
mod numbering;
mod observer;
mod role;
mod started;

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::snapshot::{EngineKind, Snapshot};
pub use control::Control;
pub use error::{BindFault, EngineError};
pub use listening::BoundAddress;
pub(crate) use listening::{PUBLISHERS, SUBSCRIBERS};
pub use observer::Observer;
use started::Started;

/// A gateway that runs on its own thread.
pub struct Running(Started<Reloader>);

/// A handle by which the thread that reads configurations passes another configuration to a running
/// gateway.
#[derive(Clone)]
pub struct Reloader(EngineReloader);

#[derive(Clone)]
enum EngineReloader {
    #[cfg(feature = "libzmq")]
    Libzmq(libzmq::Reloader),
    Native(native::Reloader),
}

impl Reloader {
    /// Puts `snapshot` in force, and returns the addresses on which the gateway newly listens. All
    /// steps that can fail come first and do not affect the running gateway, so an error changes
    /// nothing. The change itself happens between two messages and cannot fail.
    pub fn reload(&self, snapshot: Arc<Snapshot>) -> Result<Vec<BoundAddress>, EngineError> {
        refuse_security(&snapshot)?;
        match (&self.0, snapshot.engine) {
            #[cfg(feature = "libzmq")]
            (EngineReloader::Libzmq(engine), EngineKind::Libzmq) => engine.reload(snapshot),
            (EngineReloader::Native(engine), EngineKind::Native) => engine.reload(snapshot),
            _ => Err(EngineError::new(
                "the engine can't change while the gateway runs",
                "restart the gateway",
            )),
        }
    }

    /// Returns every address on which the gateway listens. `snapshot` must be the snapshot that was
    /// put in force last.
    pub fn listening(&self, snapshot: &Snapshot) -> Vec<BoundAddress> {
        match &self.0 {
            #[cfg(feature = "libzmq")]
            EngineReloader::Libzmq(engine) => engine.listening(),
            EngineReloader::Native(engine) => engine.listening(snapshot),
        }
    }
}

/// Rejects a snapshot with `security` for engine libzmq, because the published libzmq has no CURVE.
fn refuse_security(snapshot: &Snapshot) -> Result<(), EngineError> {
    if snapshot.engine == EngineKind::Libzmq && snapshot.has_security() {
        return Err(EngineError::new(
            "engine libzmq has no `security`",
            "use engine: native",
        ));
    }
    Ok(())
}

/// Binds every address of `snapshot` and starts to serve. After an error, no address is bound.
pub fn start(snapshot: Arc<Snapshot>) -> Result<Running, EngineError> {
    start_with(snapshot, || ())
}

/// Does the same as [`start`]. `release_memory` must return free memory of the allocator to the
/// system. Engine native calls this function after bursts of messages, on a separate thread. Engine
/// libzmq never calls it.
pub(crate) fn start_with(
    snapshot: Arc<Snapshot>,
    release_memory: fn(),
) -> Result<Running, EngineError> {
    refuse_security(&snapshot)?;
    match snapshot.engine {
        #[cfg(feature = "libzmq")]
        EngineKind::Libzmq => {
            libzmq::start(snapshot).map(|started| running(started, EngineReloader::Libzmq))
        }
        // A configuration that names libzmq is rejected earlier, so only a snapshot that was built
        // in code reaches this point.
        #[cfg(not(feature = "libzmq"))]
        EngineKind::Libzmq => Err(EngineError::new(
            "engine libzmq",
            "this build has no libzmq",
        )),
        EngineKind::Native => native::start(snapshot, release_memory)
            .map(|started| running(started, EngineReloader::Native)),
    }
}

fn running<R>(started: Started<R>, wrap: impl FnOnce(R) -> EngineReloader) -> Running {
    let Started {
        listening,
        control,
        reloader,
        observer,
        thread,
    } = started;
    Running(Started {
        listening,
        control,
        reloader: Reloader(wrap(reloader)),
        observer,
        thread,
    })
}

/// Checks that every address of `snapshot` can be bound, as far as that is possible without
/// serving. Always succeeds for engine libzmq. The caller uses this function to report bind errors
/// together with another error at startup.
pub(crate) fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    match snapshot.engine {
        EngineKind::Libzmq => Ok(()),
        EngineKind::Native => native::try_binds(snapshot),
    }
}

impl Running {
    /// Returns the addresses on which the gateway listens.
    pub fn listening(&self) -> &[BoundAddress] {
        &self.0.listening
    }

    /// Returns the first address of a frontend or pool, for a connection from this machine, or
    /// `None` if it has no address. The sides of a channel are found as `NAME.publishers` and
    /// `NAME.subscribers`.
    pub fn endpoint(&self, name: &str) -> Option<String> {
        let found = self
            .0
            .listening
            .iter()
            .find(|address| address.is_of(name))?;
        Some(found.local_endpoint())
    }

    /// Returns a handle with which another thread can stop the gateway.
    pub fn control(&self) -> Control {
        self.0.control.clone()
    }

    /// Returns the handle that passes another configuration to the gateway.
    pub fn reloader(&self) -> Reloader {
        self.0.reloader.clone()
    }

    /// Returns the handle that reads the counters of the gateway.
    pub fn observer(&self) -> Observer {
        self.0.observer.clone()
    }

    /// Waits until the gateway has stopped, and returns its counts. Fails with the error that
    /// stopped the gateway, if any.
    pub fn wait(self) -> Result<Ledger, EngineError> {
        let ended = self.0.thread.join();
        ended.unwrap_or_else(|_| Err(EngineError::new("the data thread", "it panicked")))
    }
}
