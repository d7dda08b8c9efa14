//! A gateway in this process with real peers over real TCP.
//!
//! The engine is the one that `GATEWAY_TEST_ENGINE` names (default native), so that the same suite
//! holds every engine to the same behaviour.

use std::sync::Arc;
use std::time::Duration;

use gateway::admin::{Admin, Sights};
use gateway::config::{Inputs, Seen};
use gateway::core::Ledger;
use gateway::engine::{self, Control, Running};
use gateway::reload::Standing;
use gateway::snapshot::Snapshot;
use gateway::watch::{Follower, Wake};
use gateway_diagnostic::Diagnostics;

use super::PERSON;
use super::sockets;

/// Longer than any test takes.
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

fn engine() -> String {
    std::env::var("GATEWAY_TEST_ENGINE").unwrap_or_else(|_| "native".into())
}

/// Whether this is the engine that is tested: for what only one of them can do.
pub fn engine_is(name: &str) -> bool {
    engine() == name
}

/// A routes.yaml for the engine that is tested.
pub fn on_this_engine(yaml: &str) -> String {
    format!("engine: {}\n{yaml}", engine())
}

/// A follower at work.
pub struct Following {
    pub wake: Wake,
    pub standing: Arc<Standing>,
}

/// A frontend, a pool and an HTTP listener beside these routes.
pub fn yaml(routes: &str, pool: &str) -> String {
    with_admin(routes, pool, "admin: { bind: \"127.0.0.1:0\" }")
}

/// The same with this for the listener, or other sections.
pub fn with_admin(routes: &str, pool: &str, admin: &str) -> String {
    on_this_engine(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", {pool} }} }}
reload: {{ watch: false }}
routes:
  PERSON: {{ schema: demo.Person, pool: people }}
{routes}
{admin}
"#
    ))
}

pub struct Gateway {
    pub running: Option<Running>,
    snapshot: Arc<Snapshot>,
    seen: Seen,
    control: Control,
    pub context: zmq::Context,
    pub directory: tempfile::TempDir,
}

impl Gateway {
    /// Starts one with this routes.yaml, the addresses of which should have port 0.
    pub fn start(yaml: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), yaml)
    }

    /// The same with its files in this directory.
    pub fn start_in(directory: tempfile::TempDir, yaml: &str) -> Self {
        Self::start_as(directory, &on_this_engine(yaml))
    }

    /// The same with the engine that this routes.yaml names.
    pub fn start_as(directory: tempfile::TempDir, yaml: &str) -> Self {
        let schemas = directory.path().join("schemas");
        std::fs::create_dir_all(&schemas).unwrap();
        std::fs::write(schemas.join("person.proto"), PERSON).unwrap();
        let file = directory.path().join("routes.yaml");
        std::fs::write(&file, yaml).unwrap();
        let inputs = Inputs::read(&file, &[]);
        let seen = inputs.seen().clone();
        let loaded = inputs.load().unwrap_or_else(|found| panic!("{found}"));
        let snapshot = Arc::new(loaded.snapshot);
        let running = engine::start(Arc::clone(&snapshot)).unwrap();
        Self {
            snapshot,
            seen,
            control: running.control(),
            running: Some(running),
            context: zmq::Context::new(),
            directory,
        }
    }

    /// Follows its files from now on, on a thread that lives as long as the test's process: by events alone,
    /// so that none that is missed goes unnoticed.
    pub fn follow(&self) -> Following {
        self.follow_telling(NEVER, |_| {})
    }

    /// The same, looking at the files this often without an event, and `tell` hearing what is wrong with
    /// them.
    pub fn follow_telling(&self, look_every: Duration, tell: fn(&Diagnostics)) -> Following {
        follow(self.follower(look_every, tell))
    }

    /// The same with a listener for HTTP, once its files say so.
    pub fn follow_with_admin(&self, look_every: Duration, tell: fn(&Diagnostics)) -> Following {
        let follower = self.follower(look_every, tell);
        let sights = Sights {
            observer: self.running.as_ref().unwrap().observer(),
            standing: follower.standing(),
            wake: follower.wake(),
        };
        let standing = Arc::clone(&sights.standing);
        follow(follower.with_admin(Admin::new(sights), standing))
    }

    fn follower(&self, look_every: Duration, tell: fn(&Diagnostics)) -> Follower {
        let (seen, snapshot) = (self.seen.clone(), Arc::clone(&self.snapshot));
        let reloader = self.running.as_ref().unwrap().reloader();
        let follower = Follower::new(&self.file(), seen, snapshot, reloader, tell);
        follower.looking_every(look_every)
    }

    /// One frontend `clients`, one pool `people`, and a route of each kind.
    pub fn people(pool: &str) -> Self {
        Self::start(&format!(
            r#"
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
pools:
  people: {{ bind: "tcp://127.0.0.1:0", {pool} }}
routes:
  OPAQUE: {{ pool: people }}
  PROTOBUF: {{ schema: demo.Person, pool: people }}
  MSGPACK: {{ schema: {{ msgpack: demo.Person, require: [id, name] }}, pool: people }}
  CHECKED: {{ schema: demo.Person, reply: demo.Reply, pool: people }}
"#
        ))
    }

    /// What it started with.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("routes.yaml")
    }

    pub fn endpoint(&self, name: &str) -> String {
        self.running.as_ref().unwrap().endpoint(name).unwrap()
    }

    /// A socket connected to a frontend or a pool.
    pub fn peer(&self, kind: zmq::SocketType, name: &str) -> zmq::Socket {
        sockets::connected(&self.context, kind, &self.endpoint(name))
    }

    pub fn dealer(&self) -> zmq::Socket {
        self.peer(zmq::DEALER, "clients")
    }

    pub fn req(&self) -> zmq::Socket {
        self.peer(zmq::REQ, "clients")
    }

    pub fn worker(&self) -> zmq::Socket {
        self.peer(zmq::DEALER, "people")
    }

    /// A DEALER client with an identity.
    pub fn named_dealer(&self, identity: &[u8]) -> zmq::Socket {
        sockets::named(&self.context, identity, &self.endpoint("clients"))
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Drains, waits for the end, and holds the books to balance.
    pub fn end(mut self) -> Ledger {
        self.control.drain();
        let ledger = self.running.take().unwrap().wait().unwrap();
        assert_eq!(ledger.received, ledger.ended(), "{ledger:?}");
        ledger
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.control.stop();
            let ended = running.wait();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

fn follow(follower: Follower) -> Following {
    let following = Following {
        wake: follower.wake(),
        standing: follower.standing(),
    };
    std::thread::spawn(move || follower.follow());
    following
}
