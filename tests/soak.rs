//! A steady client at full speed, while routes.yaml and the .proto files are rewritten again and again, in every
//! way that files change, a third of the edits broken: not one answer is lost or wrong, a good edit takes hold, a
//! broken one changes nothing, and neither memory nor descriptors grow. In a process of its own, whose
//! descriptors are counted.
//!
//! `SOAK_EDITS` says how many edits; `tests/soak.sh` makes a thousand.

#[path = "support/gateway.rs"]
mod gateway_support;

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gateway::reply::Reason;
use gateway::watch::Wake;
use gateway_support::*;

/// Edits of a run that is part of every test run.
const EDITS: u64 = 150;

/// Messages that the steady client has open at once.
const BATCH: u64 = 50;

/// Reloads that failed so far.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Descriptors of this process, and its memory in KiB.
fn footprint() -> (usize, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    (descriptors, kib.parse().unwrap())
}

fn patience() -> Instant {
    Instant::now() + Duration::from_millis(PATIENCE_MS as u64)
}

/// Somebody who edits the files of a running gateway.
struct Editor {
    directory: PathBuf,
    file: PathBuf,
    /// Asks what holds: `R{n}` is a route in edit `n` alone.
    client: zmq::Socket,
    wake: Wake,
}

impl Editor {
    /// Edit `n`: routes, pools, frontends, schemas and an import path come and go with it.
    fn yaml(&self, n: u64) -> String {
        let ipc = |name: String| format!("ipc://{}", self.directory.join(name).display());
        let (mut frontends, mut pools, mut routes) = (String::new(), String::new(), String::new());
        if n % 4 > 1 {
            frontends = format!("  more: {{ bind: \"{}\" }}\n", ipc("f".into()));
        }
        for pool in 0..n % 3 {
            pools += &format!("  p{pool}: {{ bind: \"{}\" }}\n", ipc(format!("p{pool}")));
            routes += &format!("  MORE{pool}: {{ schema: demo.Person, pool: p{pool} }}\n");
        }
        for route in 0..n % 7 {
            routes +=
                &format!("  X{route}.*: {{ schema: {{ msgpack: demo.Reply }}, pool: people }}\n");
        }
        let roots = if n % 5 == 1 {
            "[schemas, roots/more]"
        } else {
            "[schemas]"
        };
        let extra = if n % 5 == 1 {
            "  OTHER: { schema: more.Other, pool: people }\n"
        } else {
            ""
        };
        on_this_engine(&format!(
            r#"
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
{frontends}pools:
  people: {{ bind: "tcp://127.0.0.1:0", timeout: {}s }}
{pools}reload: {{ settle: 20ms }}
proto: {{ import_paths: {roots} }}
routes:
  OPAQUE: {{ pool: people }}
  PROTOBUF: {{ schema: demo.Person, pool: people }}
  R{n}: {{ schema: demo.Person, pool: people }}
{routes}{extra}"#,
            20 + n % 3
        ))
    }

    fn broken(&self, n: u64) -> String {
        let good = self.yaml(n);
        match n % 5 {
            0 => good.replace("pools:", "pools: ["),
            1 => good.replace("pool: people }", "pool: nobody }"),
            2 => good.replace("demo.Person", "demo.Nobody"),
            3 => good[..good.len() / 2].to_owned() + "\n\tx",
            _ => String::new(),
        }
    }

    /// Writes routes.yaml, each time in another way.
    fn write(&self, n: u64, text: &str) {
        let beside = self.directory.join("routes.yaml.new");
        let backup = self.directory.join("routes.yaml~");
        match n / 3 % 8 {
            // In place.
            0 => fs::write(&self.file, text).unwrap(),
            // As sed -i: a file beside, renamed over.
            1 => {
                fs::write(&beside, text).unwrap();
                fs::rename(&beside, &self.file).unwrap();
            }
            // As editors that keep a backup: away, then anew.
            2 => {
                fs::rename(&self.file, &backup).unwrap();
                fs::write(&self.file, text).unwrap();
                fs::remove_file(&backup).unwrap();
            }
            // As git checkout: removed, then made.
            3 => {
                fs::remove_file(&self.file).unwrap();
                let mut file = fs::File::create_new(&self.file).unwrap();
                file.write_all(text.as_bytes()).unwrap();
            }
            // In many small writes.
            4 => {
                let mut file = fs::File::create(&self.file).unwrap();
                for part in text.as_bytes().chunks(40) {
                    file.write_all(part).unwrap();
                    file.flush().unwrap();
                }
            }
            // As Kubernetes: a directory beside, and a link that is renamed.
            5 => {
                let version = format!("..{n}");
                fs::create_dir(self.directory.join(&version)).unwrap();
                fs::write(self.directory.join(&version).join("routes.yaml"), text).unwrap();
                let (data, new) = (self.directory.join("..data"), self.directory.join("..new"));
                let before = fs::read_link(&data).ok();
                symlink(&version, &new).unwrap();
                fs::rename(&new, &data).unwrap();
                if fs::read_link(&self.file).is_err() {
                    symlink("..data/routes.yaml", &beside).unwrap();
                    fs::rename(&beside, &self.file).unwrap();
                }
                if let Some(before) = before {
                    fs::remove_dir_all(self.directory.join(before)).unwrap();
                }
            }
            // And a signal at once.
            6 => {
                fs::write(&self.file, text).unwrap();
                self.wake.reload();
            }
            // A burst, of which the last counts.
            _ => {
                for _ in 0..20 {
                    fs::write(&self.file, "routes: [").unwrap();
                }
                fs::write(&self.file, text).unwrap();
            }
        }
    }

    /// Writes .proto files, each time in another way; demo.Person stays what the steady client sends.
    fn write_protos(&self, n: u64) {
        let schemas = self.directory.join("schemas");
        let extra = schemas.join("extra.proto");
        let message = format!(
            "syntax = \"proto3\"; package extra; message E{n} {{ int32 id = {}; }}",
            n % 9 + 1
        );
        let _ = fs::remove_file(schemas.join("broken.proto"));
        match n / 2 % 6 {
            // Added, or changed in place.
            0 => fs::write(&extra, message).unwrap(),
            // Removed.
            1 => drop(fs::remove_file(&extra)),
            // Renamed over.
            2 => {
                fs::write(schemas.join("extra.tmp"), message).unwrap();
                fs::rename(schemas.join("extra.tmp"), &extra).unwrap();
            }
            // Under another name, and back with the next edit.
            3 => drop(fs::rename(&extra, schemas.join("other.proto"))),
            4 => drop(fs::rename(schemas.join("other.proto"), &extra)),
            // The directory replaced, as by a checkout.
            _ => {
                let text = fs::read(schemas.join("person.proto")).unwrap();
                fs::remove_dir_all(&schemas).unwrap();
                fs::create_dir(&schemas).unwrap();
                fs::write(schemas.join("person.proto"), text).unwrap();
            }
        }
        let more = self.directory.join("roots/more");
        fs::create_dir_all(&more).unwrap();
        let other =
            format!("syntax = \"proto3\"; package more; message Other {{ int32 n{n} = 1; }}");
        fs::write(more.join("more.proto"), other).unwrap();
    }

    /// Whether edit `n` holds, by what its own route says to a payload that its schema refuses.
    fn holds(&self, n: u64) -> bool {
        send(&self.client, &[format!("R{n}").as_bytes(), b"\xff"]);
        let answer = receive(&self.client);
        let text = String::from_utf8_lossy(&answer[1]).into_owned();
        let known = text.contains(Reason::SchemaViolation.label());
        assert!(known || text.contains("unknown_type"), "{text}");
        known
    }

    /// Makes edit `n` after edit `before` took hold, and waits for what comes of it.
    fn edit(&self, n: u64, before: u64) -> u64 {
        let failed = FAILED.load(Ordering::SeqCst);
        let until = patience();
        if n % 3 == 0 {
            match n % 2 {
                0 => self.write(n, &self.broken(n)),
                _ => {
                    let broken = self.directory.join("schemas/broken.proto");
                    fs::write(broken, "syntax = \"proto3\"; message {").unwrap();
                }
            }
            while FAILED.load(Ordering::SeqCst) == failed {
                assert!(Instant::now() < until, "edit {n}: nothing was said of it");
                assert!(
                    self.holds(before),
                    "edit {n} is broken and ended edit {before}"
                );
            }
            assert!(self.holds(before) && !self.holds(n), "edit {n} is broken");
            return before;
        }
        self.write_protos(n);
        self.write(n, &self.yaml(n));
        while !self.holds(n) {
            assert!(Instant::now() < until, "edit {n} never took hold");
        }
        assert!(
            !self.holds(before),
            "edit {n} left something of edit {before}"
        );
        n
    }
}

/// Sends and receives until told to end; gives how many of its messages were answered, rightly all.
fn steady_client(client: &zmq::Socket, done: &AtomicBool) -> u64 {
    let mut number = 0;
    while !done.load(Ordering::SeqCst) {
        let mut open = HashMap::new();
        for n in number..number + BATCH {
            let (kind, payload): (_, &[u8]) = match n % 10 {
                // A field of the wrong type.
                7 => ("PROTOBUF", b"\x08\x01\x10\x05"),
                3 | 5 => ("PROTOBUF", ANN),
                _ => ("OPAQUE", b"opaque"),
            };
            let header = n.to_string();
            send(client, &[kind.as_bytes(), header.as_bytes(), payload]);
            open.insert(header.into_bytes(), payload);
        }
        while !open.is_empty() {
            let answer = receive(client);
            assert_eq!(answer.len(), 3, "{:?}", texts(&answer));
            let asked = open.remove(&answer[1]);
            let asked = asked.unwrap_or_else(|| panic!("nobody asked for {:?}", texts(&answer)));
            if asked.starts_with(b"\x08\x01\x10") {
                let said = String::from_utf8_lossy(&answer[2]);
                assert_eq!(answer[0], b"ERROR");
                assert!(
                    said.contains("schema_violation") && said.contains("name"),
                    "{said}"
                );
            } else {
                assert_eq!((&answer[0][..], &answer[2][..]), (&b"REPLY"[..], asked));
            }
        }
        number += BATCH;
    }
    number
}

/// Answers with what was asked until told to end.
fn echo(worker: &zmq::Socket, done: &AtomicBool) {
    worker.set_rcvtimeo(100).unwrap();
    while !done.load(Ordering::SeqCst) {
        if let Ok(mut frames) = worker.recv_multipart(0) {
            frames[1] = b"REPLY".to_vec();
            worker.send_multipart(frames, 0).unwrap();
        }
    }
}

/// Tells the other threads to end, also when this one fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn not_one_answer_is_lost_or_wrong_while_everything_is_rewritten() {
    let edits = std::env::var("SOAK_EDITS").map_or(EDITS, |n| n.parse().unwrap());
    let gateway = Gateway::people("");
    let Following { wake, .. } = gateway.follow_telling(NEVER, |found| {
        if found.has_errors() {
            FAILED.fetch_add(1, Ordering::SeqCst);
        }
    });
    let directory = gateway.directory.path().to_owned();
    let file = directory.join("routes.yaml");
    let editor = Editor {
        directory,
        file,
        client: gateway.dealer(),
        wake,
    };
    let (served, client_done, over) = (
        AtomicU64::new(0),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    let mut flat = None;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let (client, worker) = (gateway.dealer(), gateway.worker());
        let (served, client_done, over) = (&served, &client_done, &over);
        let worker_ends_with_this = Ends(over);
        let client_ends_with_this = Ends(client_done);
        scope.spawn(move || echo(&worker, over));
        let steady = scope
            .spawn(move || served.store(steady_client(&client, client_done), Ordering::SeqCst));
        // Its settings are those that the files start with, but for how long they must be at rest.
        editor.write_protos(1);
        editor.write(0, &editor.yaml(1));
        let until = patience();
        while !editor.holds(1) {
            assert!(Instant::now() < until, "edit 1 never took hold");
        }
        let mut holds = 1;
        for n in 2..edits + 2 {
            assert!(!steady.is_finished(), "the steady client ended at edit {n}");
            holds = editor.edit(n, holds);
            if n == edits / 3 + 2 {
                flat = Some(footprint());
            }
        }
        drop(client_ends_with_this);
        steady.join().unwrap();
        drop(worker_ends_with_this);
    });
    let (descriptors, kib) = footprint();
    let (descriptors_before, kib_before) = flat.unwrap();
    let served = served.into_inner();
    let (failed, took) = (FAILED.load(Ordering::SeqCst), started.elapsed());
    println!(
        "{edits} edits, {failed} reloads refused, {served} messages of the steady client in {took:?}; \
         after a third of them and at the end: descriptors {descriptors_before}, {descriptors}; \
         KiB {kib_before}, {kib}"
    );
    assert!(failed >= edits / 3, "{failed} reloads failed");
    assert!(served > 1_000, "{served}");
    assert!(
        descriptors <= descriptors_before + 10,
        "{descriptors} after {descriptors_before}"
    );
    assert!(kib <= kib_before + 16_000, "{kib} KiB after {kib_before}");
    let ledger = gateway.end();
    assert!(ledger.answered + ledger.rejected.iter().sum::<u64>() >= served);
    assert_eq!(ledger.client_gone + ledger.client_slow, 0);
}
