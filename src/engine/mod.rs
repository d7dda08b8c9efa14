//! The seam: what carries frames between the network and the core.
//!
//! An engine turns what peers do into [`Event`](crate::core::Event)s and carries out what the core
//! decides through an [`Outlet`](crate::core::Outlet). It knows no routes and no schemas. It owns
//! one thread, on which it also runs the core, so nothing on a message's way takes a lock.
//!
//! What an engine must do, whichever it is: number every connection anew ([`PeerId`](crate::peer::PeerId)
//! is never used twice); tell who comes before what they send and who goes after it; never block in an
//! outlet's call; bound what it keeps for a client by `limits.client_bytes` and tell the fate of each
//! answer that it kept; log once a turn what the core noted (`notes::log_notes`); take in at most a budget of messages before it looks at the others again.
//! One that sees each worker says so with `Headcount::One`; one that doesn't gives the core one
//! `Headcount::Crowd` a pool. The core needs no other knowledge of the difference.

mod control;
#[cfg(feature = "libzmq")]
mod libzmq;
pub mod native;
mod notes;

use std::fmt;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

pub use control::Control;

use crate::ledger::Ledger;
use crate::metrics::{self, Inquirer, Inquiries, Sample};
use crate::snapshot::{EngineKind, Snapshot};

/// An address that the gateway listens on, as the system resolved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// `frontend`, `pool` or `admin`.
    pub role: &'static str,
    /// Its key in routes.yaml; empty for admin.
    pub name: String,
    /// The address, port 0 resolved.
    pub endpoint: String,
}

impl Listening {
    /// Returns the address in a form that a peer on this machine can connect to.
    pub fn local_endpoint(&self) -> String {
        self.endpoint.replace("0.0.0.0", "127.0.0.1")
    }
}

/// `frontend clients`.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, .. } = self;
        match name.is_empty() {
            true => f.write_str(role),
            false => write!(f, "{role} {name}"),
        }
    }
}

/// Why the gateway could not start or go on.
#[derive(Debug)]
pub struct EngineError {
    text: String,
    binds: Vec<BindFault>,
}

/// An address that can't be listened on.
#[derive(Debug)]
pub struct BindFault {
    /// `frontend` or `pool`.
    pub role: &'static str,
    /// Its key in routes.yaml.
    pub name: String,
    /// As it is written there.
    pub endpoint: String,
    /// Why.
    pub error: io::Error,
}

impl EngineError {
    fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        let text = format!("{what}: {why}");
        let binds = Vec::new();
        Self { text, binds }
    }

    /// The addresses that can't be listened on, if that is why.
    pub fn binds(&self) -> &[BindFault] {
        &self.binds
    }
}

impl From<Vec<BindFault>> for EngineError {
    fn from(binds: Vec<BindFault>) -> Self {
        let texts = binds.iter().map(|fault| {
            let BindFault {
                role,
                name,
                endpoint,
                error,
            } = fault;
            format!("{role} {name}: can't listen on {endpoint}: {error}")
        });
        let text = texts.collect::<Vec<_>>().join("; ");
        Self { text, binds }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for EngineError {}

/// A gateway that runs on its own thread.
pub struct Running {
    listening: Vec<Listening>,
    control: Control,
    reloader: Reloader,
    observer: Observer,
    thread: JoinHandle<Result<Ledger, EngineError>>,
}

/// What gives a running gateway another configuration, for the thread that reads configurations to hold.
#[derive(Clone)]
pub struct Reloader(OfEngine);

#[derive(Clone)]
enum OfEngine {
    #[cfg(feature = "libzmq")]
    Libzmq(libzmq::Reloader),
    Native(native::Reloader),
}

impl Reloader {
    /// Makes `snapshot` the one that the gateway works by, and gives the new addresses that it listens
    /// on. First everything that can fail is done beside the running gateway, which an error leaves as
    /// it was; the change itself happens between two messages and can't fail.
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

/// What asks a running gateway what it has counted, from any thread.
#[derive(Clone, Debug)]
pub struct Observer {
    inquirer: Inquirer,
    control: Control,
}

impl Observer {
    /// What asks a core, and wakes its engine through `control`; and what that core is to answer.
    fn new(control: Control) -> (Self, Inquiries) {
        let (inquirer, inquiries) = metrics::inquiries();
        (Self { inquirer, control }, inquiries)
    }

    /// Has `tell` called, on the data thread, with a sample of the next moment; it must not block. False,
    /// and `tell` is dropped, if the gateway has ended or too many ask already.
    #[must_use]
    pub fn ask(&self, tell: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let asked = self.inquirer.ask(tell);
        if asked {
            self.control.wake();
        }
        asked
    }

    /// Waits for a sample; none if the gateway has ended or doesn't answer in time.
    pub fn sample(&self, patience: Duration) -> Option<Arc<Sample>> {
        let (told, samples) = mpsc::channel();
        let asked = self.ask(move |sample| {
            // Whoever waited may have lost patience.
            let _ = told.send(sample);
        });
        samples.recv_timeout(patience).ok().filter(|_| asked)
    }
}

/// Binds every address of `snapshot` and starts to serve. An error leaves nothing behind.
pub fn start(snapshot: Arc<Snapshot>) -> Result<Running, EngineError> {
    match snapshot.engine {
        #[cfg(feature = "libzmq")]
        EngineKind::Libzmq => libzmq::start(snapshot),
        // Configurations that name it are refused; this is a snapshot that somebody made by hand.
        #[cfg(not(feature = "libzmq"))]
        EngineKind::Libzmq => Err(EngineError::new("engine libzmq", "this build has none")),
        EngineKind::Native => native::start(snapshot),
    }
}

/// Whether every address of `snapshot` can be bound, as far as can be told without serving: to tell of them beside
/// another reason not to start.
pub fn try_binds(snapshot: &Snapshot) -> Result<(), EngineError> {
    match snapshot.engine {
        EngineKind::Libzmq => Ok(()),
        EngineKind::Native => native::try_binds(snapshot),
    }
}

impl Running {
    /// Where it listens.
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// The first address of a frontend or pool, to connect to from this machine.
    pub fn endpoint(&self, name: &str) -> Option<String> {
        let found = self.listening.iter().find(|at| at.name == name)?;
        Some(found.local_endpoint())
    }

    /// What ends it, for another thread to hold.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What gives it another configuration.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// What asks it what it has counted.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Waits for the end; gives what was counted.
    pub fn wait(self) -> Result<Ledger, EngineError> {
        let ended = self.thread.join();
        ended.unwrap_or_else(|_| Err(EngineError::new("the data thread", "it panicked")))
    }
}
