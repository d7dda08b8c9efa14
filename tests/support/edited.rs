//! A gateway in this process whose files are edited while it runs. Its rejections state the
//! generation in force.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gateway::reload::{ReloadOutcome, Report};
use gateway::reply::Reason;

use super::gateway::{Following, Gateway, NEVER, on_this_engine};
use super::sockets::{TEST_TIMEOUT_MS, receive, rejected, send};

/// Returns a routes.yaml with these routes, a fixed frontend and pool, and `extra` at the end.
pub fn routes_yaml(routes: &str, extra: &str) -> String {
    on_this_engine(&routes_yaml_without_engine(routes, extra))
}

/// Returns the same routes.yaml as [`routes_yaml`], without the key `engine`.
pub fn routes_yaml_without_engine(routes: &str, extra: &str) -> String {
    format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", per_worker: 10, timeout: 20s }} }}
reload: {{ settle: 20ms }}
routes:
  OPAQUE: {{ pool: people }}
{routes}
{extra}"#
    )
}

pub struct Edited {
    pub gateway: Gateway,
    pub client: zmq::Socket,
    pub file: PathBuf,
    pub following: Following,
    /// The only worker of a test, connected when it is first needed. A second worker, or a worker
    /// that has just disconnected, might receive a request instead.
    worker: OnceCell<zmq::Socket>,
}

impl Edited {
    /// Starts a gateway that checks its files after events only.
    pub fn start() -> Self {
        Self::with_yaml(&routes_yaml_without_engine("", ""), NEVER)
    }

    /// Starts a gateway with this routes.yaml. It checks its files at this interval if there is no
    /// event.
    pub fn with_yaml(yaml: &str, check_every: Duration) -> Self {
        Self::of_gateway(Gateway::start(yaml), check_every)
    }

    /// Follows the files of a gateway that has just started.
    pub fn of_gateway(gateway: Gateway, check_every: Duration) -> Self {
        let following = gateway.follow_with(check_every, |_| {});
        let client = gateway.dealer();
        let file = gateway.directory.path().join("routes.yaml");
        let edited = Self {
            gateway,
            client,
            file,
            following,
            worker: OnceCell::new(),
        };
        assert_eq!(edited.generation(), 1);
        edited
    }

    /// Returns the generation in force.
    pub fn generation(&self) -> u64 {
        send(&self.client, &["no such route", ""]);
        rejected(&self.client, &[], Reason::UnknownType).generation
    }

    /// Makes round trips until this generation, or a later one, is in force.
    #[track_caller]
    pub fn await_generation(&self, generation: u64) {
        let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
        while self.generation() < generation {
            assert!(
                Instant::now() < deadline,
                "generation {generation} is not in force in time"
            );
        }
    }

    /// Makes round trips until a route for this type exists or, if `exists` is false, until none
    /// exists.
    #[track_caller]
    pub fn await_route(&self, kind: &str, exists: bool) {
        let worker = self.worker();
        worker.set_rcvtimeo(0).unwrap();
        let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
        loop {
            send(&self.client, &[kind, "x"]);
            let reply = loop {
                if let Ok(request) = worker.recv_multipart(0) {
                    send(worker, &[&request[0][..], b"REPLY", b"y"]);
                }
                if self.client.poll(zmq::POLLIN, 1).unwrap() > 0 {
                    break receive(&self.client);
                }
                assert!(Instant::now() < deadline, "no answer");
            };
            if (reply[0] == b"REPLY") == exists {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "route {kind}: expected exists = {exists}"
            );
        }
    }

    pub fn worker(&self) -> &zmq::Socket {
        self.worker.get_or_init(|| self.gateway.worker())
    }

    pub fn write(&self, routes: &str) {
        fs::write(&self.file, routes_yaml(routes, "")).unwrap();
    }

    /// Requests a reload of the files, changed or not, and returns the report.
    pub fn reload(&self) -> Arc<Report> {
        let (sender, reported) = mpsc::channel();
        self.following.wake.reload_with(move |report| {
            let _ = sender.send(report);
        });
        reported
            .recv_timeout(Duration::from_millis(TEST_TIMEOUT_MS as u64))
            .expect("a report in time")
    }

    /// Returns the number of reloads with this outcome.
    pub fn reloads(&self, outcome: ReloadOutcome) -> u64 {
        self.following.control_status.current().reloads[outcome as usize]
    }
}
