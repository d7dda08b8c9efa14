//! The seam: what carries frames between the network and the core.
//!
//! An engine turns what peers do into [`Event`](crate::core::Event)s and carries out what the core
//! decides through an [`Outlet`](crate::core::Outlet). It knows no routes and no schemas. It owns
//! one thread, on which it also runs the core, so nothing on a message's way takes a lock.
//!
//! What an engine must do, whichever it is: number every connection anew
//! ([`PeerId`](crate::peer::PeerId) is never used twice); tell who comes before what they send and
//! who goes after it; never block in an outlet's call; bound what it keeps for a client by
//! `limits.client_bytes` and tell the fate of each answer that it kept; log once a turn what the
//! core noted (`notes::log_notes`); take in at most a budget of messages before it looks at the
//! others again. One that sees each worker says so with `Headcount::One`; one that doesn't gives the
//! core one `Headcount::Crowd` a pool. The core needs no other knowledge of the difference.

mod control;
mod error;
#[cfg(feature = "libzmq")]
mod libzmq;
mod listening;
// Public, and hidden from the documentation, only because tests, benches and fuzz targets drive the
// parts of the engine that do no I/O: `liveness`, `outbox` and `socket_types`.
#[doc(hidden)]
pub mod native;
mod notes;
mod observer;
mod started;

use std::sync::Arc;

use crate::ledger::Ledger;
use crate::snapshot::{EngineKind, Snapshot};
pub use control::Control;
pub use error::{BindFault, EngineError};
pub use listening::Listening;
pub use observer::Observer;
use started::Started;

/// A gateway that runs on its own thread.
pub struct Running(Started<Reloader>);

/// What gives a running gateway another configuration, for the thread that reads configurations to
/// hold.
#[derive(Clone)]
pub struct Reloader(OfEngine);

#[derive(Clone)]
enum OfEngine {
    #[cfg(feature = "libzmq")]
    Libzmq(libzmq::Reloader),
    Native(native::Reloader),
}

impl Reloader {
    /// Makes `snapshot` the one that the gateway works by, and gives the new addresses that it
    /// listens on. First everything that can fail is done beside the running gateway, which an
    /// error leaves as it was; the change itself happens between two messages and can't fail.
    pub fn reload(&self, snapshot: Arc<Snapshot>) -> Result<Vec<Listening>, EngineError> {
        match (&self.0, snapshot.engine) {
            #[cfg(feature = "libzmq")]
            (OfEngine::Libzmq(engine), EngineKind::Libzmq) => engine.reload(snapshot),
            (OfEngine::Native(engine), EngineKind::Native) => engine.reload(snapshot),
            _ => Err(EngineError::new(
                "the engine can't change while the gateway runs",
                "restart it",
            )),
        }
    }

    /// Everywhere that the gateway listens by `snapshot`, which is the one that was given last.
    pub fn listening(&self, snapshot: &Snapshot) -> Vec<Listening> {
        match &self.0 {
            #[cfg(feature = "libzmq")]
            OfEngine::Libzmq(engine) => engine.listening(),
            OfEngine::Native(engine) => engine.listening(snapshot),
        }
    }
}

/// Binds every address of `snapshot` and starts to serve. An error leaves nothing behind.
pub fn start(snapshot: Arc<Snapshot>) -> Result<Running, EngineError> {
    match snapshot.engine {
        #[cfg(feature = "libzmq")]
        EngineKind::Libzmq => {
            libzmq::start(snapshot).map(|started| running(started, OfEngine::Libzmq))
        }
        // Configurations that name it are refused, so only a snapshot made by hand gets here.
        #[cfg(not(feature = "libzmq"))]
        EngineKind::Libzmq => Err(EngineError::new("engine libzmq", "this build has none")),
        EngineKind::Native => {
            native::start(snapshot).map(|started| running(started, OfEngine::Native))
        }
    }
}

fn running<R>(started: Started<R>, of_engine: impl FnOnce(R) -> OfEngine) -> Running {
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
        reloader: Reloader(of_engine(reloader)),
        observer,
        thread,
    })
}

/// Whether every address of `snapshot` can be bound, as far as can be told without serving: to tell
/// of them beside another reason not to start.
pub fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    match snapshot.engine {
        EngineKind::Libzmq => Ok(()),
        EngineKind::Native => native::try_binds(snapshot),
    }
}

impl Running {
    /// Where it listens.
    pub fn listening(&self) -> &[Listening] {
        &self.0.listening
    }

    /// The first address of a frontend or pool, to connect to from this machine.
    pub fn endpoint(&self, name: &str) -> Option<String> {
        let found = self.0.listening.iter().find(|at| at.name == name)?;
        Some(found.local_endpoint())
    }

    /// What ends it, for another thread to hold.
    pub fn control(&self) -> Control {
        self.0.control.clone()
    }

    /// What gives it another configuration.
    pub fn reloader(&self) -> Reloader {
        self.0.reloader.clone()
    }

    /// What asks it what it has counted.
    pub fn observer(&self) -> Observer {
        self.0.observer.clone()
    }

    /// Waits for the end; gives what was counted.
    pub fn wait(self) -> Result<Ledger, EngineError> {
        let ended = self.0.thread.join();
        ended.unwrap_or_else(|_| Err(EngineError::new("the data thread", "it panicked")))
    }
}
