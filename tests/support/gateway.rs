//! A gateway in this process with real peers over real TCP.
//!
//! `GATEWAY_TEST_ENGINE` names the engine (default native), so that the same tests check that all
//! engines behave alike.

use std::sync::Arc;
use std::time::Duration;

use gateway::admin::{Admin, AdminSources};
use gateway::config::{FilesIdentity, Inputs};
use gateway::engine::{self, Control, Running};
use gateway::ledger::Ledger;
use gateway::panics::Panics;
use gateway::reload::{SharedControlStatus, Wake};
use gateway::snapshot::Snapshot;
use gateway::watch::Follower;
use gateway_diagnostic::Diagnostics;

use super::PERSON;
use super::sockets;

/// A time that is longer than any test takes.
pub const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

fn engine() -> String {
    std::env::var("GATEWAY_TEST_ENGINE").unwrap_or_else(|_| "native".into())
}

/// Returns whether this engine is under test, for facts that hold on one engine only.
pub fn engine_is(name: &str) -> bool {
    engine() == name
}

/// Returns a routes.yaml for the engine under test.
pub fn on_this_engine(yaml: &str) -> String {
    format!("engine: {}\n{yaml}", engine())
}

/// A running follower of the files. Dropping this value ends the follower.
///
/// A follower must not outlive its test, because the system allows each user only about a hundred
/// watchers (in Linux `fs.inotify.max_user_instances`).
pub struct Following {
    pub wake: Wake,
    pub control_status: Arc<SharedControlStatus>,
}

/// Returns a routes.yaml with one frontend, one pool with these settings, an HTTP listener and
/// these routes.
pub fn yaml(routes: &str, pool: &str) -> String {
    with_admin(routes, pool, "admin: { bind: \"127.0.0.1:0\" }")
}

/// Returns the same routes.yaml as [`yaml`], but with `admin` in place of the HTTP listener.
/// `admin` may contain other sections.
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
    seen: FilesIdentity,
    control: Control,
    pub context: zmq::Context,
    pub directory: tempfile::TempDir,
}

impl Gateway {
    /// Starts a gateway with this routes.yaml. Its addresses should have port 0.
    pub fn start(yaml: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), yaml)
    }

    /// Starts a gateway whose files are in this directory.
    pub fn start_in(directory: tempfile::TempDir, yaml: &str) -> Self {
        Self::start_as(directory, &on_this_engine(yaml))
    }

    /// Starts a gateway with the engine that this routes.yaml names.
    pub fn start_as(directory: tempfile::TempDir, yaml: &str) -> Self {
        Self::start_edited(directory, yaml, |_| {})
    }

    /// Starts a gateway with the snapshot of this routes.yaml, after `edit` has changed it.
    pub fn start_edited(
        directory: tempfile::TempDir,
        yaml: &str,
        edit: impl FnOnce(&mut Snapshot),
    ) -> Self {
        let schemas = directory.path().join("schemas");
        std::fs::create_dir_all(&schemas).unwrap();
        std::fs::write(schemas.join("person.proto"), PERSON).unwrap();
        let file = directory.path().join("routes.yaml");
        std::fs::write(&file, yaml).unwrap();
        let inputs = Inputs::read(&file, &[]);
        let seen = inputs.seen().clone();
        let loaded = inputs.load().unwrap_or_else(|found| panic!("{found}"));
        let mut snapshot = loaded.snapshot;
        edit(&mut snapshot);
        let snapshot = Arc::new(snapshot);
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

    /// Follows the files, checks them at this interval if there is no event, and passes diagnostics
    /// to `show_faults`.
    pub fn follow_with(&self, check_every: Duration, show_faults: fn(&Diagnostics)) -> Following {
        follow(self.follower(check_every, show_faults))
    }

    /// Follows the files as [`Self::follow_with`] does, with an HTTP listener if routes.yaml has
    /// `admin`.
    pub fn follow_with_admin(
        &self,
        check_every: Duration,
        show_faults: fn(&Diagnostics),
    ) -> Following {
        let follower = self.follower(check_every, show_faults);
        let sources = AdminSources {
            observer: self.running.as_ref().unwrap().observer(),
            control_status: follower.control_status(),
            wake: follower.wake(),
            panics: Panics::default(),
        };
        let control_status = Arc::clone(&sources.control_status);
        follow(follower.with_admin(Admin::new(sources), control_status))
    }

    fn follower(&self, check_every: Duration, show_faults: fn(&Diagnostics)) -> Follower {
        let (seen, snapshot) = (self.seen.clone(), Arc::clone(&self.snapshot));
        let reloader = self.running.as_ref().unwrap().reloader();
        let follower = Follower::new(&self.file(), seen, snapshot, reloader, show_faults);
        follower.checking_every(check_every)
    }

    /// Starts a gateway with one frontend `clients` and one pool `people` with these settings. Its
    /// routes are `OPAQUE` without a schema, `PROTOBUF`, `MSGPACK`, and `CHECKED` with a schema of
    /// replies.
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

    /// Returns the snapshot that the gateway started with.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("routes.yaml")
    }

    pub fn endpoint(&self, name: &str) -> String {
        self.running.as_ref().unwrap().endpoint(name).unwrap()
    }

    /// Returns a socket that is connected to a frontend or a pool.
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

    /// Returns a DEALER client with an identity.
    pub fn named_dealer(&self, identity: &[u8]) -> zmq::Socket {
        sockets::named(&self.context, identity, &self.endpoint("clients"))
    }

    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Drains the gateway, waits for its end, and asserts that the ledger balances.
    pub fn end(mut self) -> Ledger {
        self.control.drain();
        let ledger = self.running.take().unwrap().wait().unwrap();
        assert_eq!(ledger.received, ledger.ended(), "{ledger:?}");
        ledger
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.wake.end();
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
        control_status: follower.control_status(),
    };
    std::thread::spawn(move || follower.follow());
    following
}
