//! A gateway in this process whose files are edited while it runs. What generation judges a message is seen from
//! outside: a rejection says so.

use std::cell::OnceCell;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gateway::reload::{Outcome, Report};
use gateway::reply::Reason;

use super::gateway::{Following, Gateway, NEVER, on_this_engine};
use super::sockets::{PATIENCE_MS, receive, rejected, send};

/// Routes beside the fixed frontend and pool; `extra` goes at the end of the file.
pub fn routes_yaml(routes: &str, extra: &str) -> String {
    on_this_engine(&beside_engine(routes, extra))
}

pub fn beside_engine(routes: &str, extra: &str) -> String {
    format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", timeout: 20s }} }}
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
    /// One for all that a test asks for: a second one, or one that has just gone, might be handed what
    /// the first is asked for. Comes when it is first needed.
    worker: OnceCell<zmq::Socket>,
}

impl Edited {
    /// One that looks at its files when events say so, and never else.
    pub fn start() -> Self {
        Self::of(&beside_engine("", ""), NEVER)
    }

    /// One with this routes.yaml, whose files are looked at this often without an event.
    pub fn of(yaml: &str, look_every: Duration) -> Self {
        Self::following(Gateway::start(yaml), look_every)
    }

    pub fn following(gateway: Gateway, look_every: Duration) -> Self {
        let following = gateway.follow_telling(look_every, |_| {});
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

    /// The generation that judges a message now.
    pub fn generation(&self) -> u64 {
        send(&self.client, &["no such route", ""]);
        rejected(&self.client, &[], Reason::UnknownType).generation
    }

    /// Round trips until the configuration has been taken up.
    #[track_caller]
    pub fn await_generation(&self, generation: u64) {
        let patience = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
        while self.generation() < generation {
            assert!(
                Instant::now() < patience,
                "generation {generation} never came"
            );
        }
    }

    /// Round trips until a message of this type is (or is no longer) taken.
    #[track_caller]
    pub fn await_route(&self, kind: &str, there: bool) {
        let worker = self.worker();
        worker.set_rcvtimeo(0).unwrap();
        let patience = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
        loop {
            send(&self.client, &[kind, "x"]);
            let reply = loop {
                if let Ok(request) = worker.recv_multipart(0) {
                    send(worker, &[&request[0][..], b"REPLY", b"y"]);
                }
                if self.client.poll(zmq::POLLIN, 1).unwrap() > 0 {
                    break receive(&self.client);
                }
                assert!(Instant::now() < patience, "no answer");
            };
            if (reply[0] == b"REPLY") == there {
                return;
            }
            assert!(Instant::now() < patience, "{kind}: {there} never came");
        }
    }

    pub fn worker(&self) -> &zmq::Socket {
        self.worker.get_or_init(|| self.gateway.worker())
    }

    pub fn write(&self, routes: &str) {
        fs::write(&self.file, routes_yaml(routes, "")).unwrap();
    }

    /// Has the files loaded, changed or not, and says what it came to.
    pub fn reload(&self) -> Arc<Report> {
        let (tell, told) = mpsc::channel();
        self.following.wake.reload_and_tell(move |report| {
            let _ = tell.send(report);
        });
        told.recv_timeout(Duration::from_millis(PATIENCE_MS as u64))
            .expect("a report in time")
    }

    /// Reloads so far that came to this.
    pub fn reloads(&self, outcome: Outcome) -> u64 {
        self.following.standing.known().reloads[outcome as usize]
    }
}
