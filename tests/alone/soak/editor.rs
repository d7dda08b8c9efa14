//! An editor that changes the files of a running gateway in all the ways that occur in practice.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gateway::reply::Reason;

use super::{FAILED, deadline};

use crate::support::ANN;
use crate::support::gateway::{Following, on_this_engine};
use crate::support::sockets::{TEST_TIMEOUT_MS, receive, send, texts};

/// An editor of the files of a running gateway.
pub struct Editor {
    pub directory: PathBuf,
    pub file: PathBuf,
    /// The client that finds out which edit is in force: only edit `n` has the route `R{n}`.
    pub client: zmq::Socket,
    pub following: Following,
}

/// The number of pools that edits add and remove. Each pool has a worker, whose socket reconnects.
pub const VANISHING_POOLS: u64 = 2;

impl Editor {
    /// Returns the endpoint of the pool `p{pool}`, which edits add and remove.
    pub fn vanishing(&self, pool: u64) -> String {
        format!(
            "ipc://{}",
            self.directory.join(format!("p{pool}")).display()
        )
    }

    /// Returns the routes.yaml of edit `n`. From edit to edit, routes, pools, frontends, schemas
    /// and an import path are added and removed.
    pub fn yaml(&self, n: u64) -> String {
        let ipc = |name: String| format!("ipc://{}", self.directory.join(name).display());
        let (mut frontends, mut pools, mut routes) = (String::new(), String::new(), String::new());
        if n % 4 > 1 {
            frontends = format!("  more: {{ bind: \"{}\" }}\n", ipc("f".into()));
        }
        for pool in 0..n % (VANISHING_POOLS + 1) {
            pools += &format!("  p{pool}: {{ bind: \"{}\" }}\n", self.vanishing(pool));
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
proto: {{ import_paths: {roots}, breaking: allow }}
admin: {{ bind: "127.0.0.1:0" }}
routes:
  OPAQUE: {{ pool: people }}
  PROTOBUF: {{ schema: demo.Person, pool: people }}
  PROBE: {{ schema: {{ protobuf: probe.Probe, unknown_fields: reject }}, pool: people }}
  R{n}: {{ schema: demo.Person, pool: people }}
{routes}{extra}"#,
            20 + n % 3
        ))
    }

    pub fn broken(&self, n: u64) -> String {
        let good = self.yaml(n);
        match n % 5 {
            0 => good.replace("pools:", "pools: ["),
            1 => good.replace("pool: people }", "pool: nobody }"),
            2 => good.replace("demo.Person", "demo.Nobody"),
            3 => good[..good.len() / 2].to_owned() + "\n\tx",
            _ => String::new(),
        }
    }

    /// Writes `text` to routes.yaml, in one of eight ways that `n` selects.
    pub fn write(&self, n: u64, text: &str) {
        let temporary = self.directory.join("routes.yaml.new");
        let backup = self.directory.join("routes.yaml~");
        match n / 3 % 8 {
            // In place.
            0 => fs::write(&self.file, text).unwrap(),
            // Like sed -i: a new file, renamed over the old one.
            1 => {
                fs::write(&temporary, text).unwrap();
                fs::rename(&temporary, &self.file).unwrap();
            }
            // Like editors that keep a backup: the old file is moved away, then a new one is
            // created.
            2 => {
                fs::rename(&self.file, &backup).unwrap();
                fs::write(&self.file, text).unwrap();
                fs::remove_file(&backup).unwrap();
            }
            // Like git checkout: removed, then created.
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
            // Like Kubernetes: a new directory, and a symbolic link that a rename replaces.
            5 => {
                let version = format!("..{n}");
                fs::create_dir(self.directory.join(&version)).unwrap();
                fs::write(self.directory.join(&version).join("routes.yaml"), text).unwrap();
                let (data, new) = (self.directory.join("..data"), self.directory.join("..new"));
                let before = fs::read_link(&data).ok();
                symlink(&version, &new).unwrap();
                fs::rename(&new, &data).unwrap();
                if fs::read_link(&self.file).is_err() {
                    symlink("..data/routes.yaml", &temporary).unwrap();
                    fs::rename(&temporary, &self.file).unwrap();
                }
                if let Some(before) = before {
                    fs::remove_dir_all(self.directory.join(before)).unwrap();
                }
            }
            // Followed at once by a request for a reload: directly, or by `POST /reload`.
            6 => {
                fs::write(&self.file, text).unwrap();
                match n % 2 {
                    0 => self.following.wake.reload(),
                    _ => self.post_reload(text == self.yaml(n)),
                }
            }
            // A burst of broken writes, followed by the right one.
            _ => {
                for _ in 0..20 {
                    fs::write(&self.file, "routes: [").unwrap();
                }
                fs::write(&self.file, text).unwrap();
            }
        }
    }

    /// Writes .proto files, in one of six ways that `n` selects. demo.Person, the message that the
    /// client sends, does not change.
    pub fn write_protos(&self, n: u64) {
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
            // Replaced by a rename.
            2 => {
                fs::write(schemas.join("extra.tmp"), message).unwrap();
                fs::rename(schemas.join("extra.tmp"), &extra).unwrap();
            }
            // Renamed, and renamed back by the next edit.
            3 => drop(fs::rename(&extra, schemas.join("other.proto"))),
            4 => drop(fs::rename(schemas.join("other.proto"), &extra)),
            // The directory replaced, as by a checkout.
            _ => {
                let kept = ["person.proto", "probe.proto"].map(|name| schemas.join(name));
                let texts = kept.each_ref().map(|file| fs::read(file).unwrap());
                fs::remove_dir_all(&schemas).unwrap();
                fs::create_dir(&schemas).unwrap();
                for (file, text) in kept.iter().zip(texts) {
                    fs::write(file, text).unwrap();
                }
            }
        }
        let more = self.directory.join("roots/more");
        fs::create_dir_all(&more).unwrap();
        let other =
            format!("syntax = \"proto3\"; package more; message Other {{ int32 n{n} = 1; }}");
        fs::write(more.join("more.proto"), other).unwrap();
    }

    /// Returns whether edit `n` is in force. If so, its route `R{n}` rejects an invalid payload as
    /// a schema violation; otherwise the type is unknown.
    pub fn is_in_force(&self, n: u64) -> bool {
        send(&self.client, &[format!("R{n}").as_bytes(), b"\xff"]);
        let answer = receive(&self.client);
        let text = String::from_utf8_lossy(&answer[1]).into_owned();
        let known = text.contains(Reason::SchemaViolation.label());
        assert!(known || text.contains("unknown_type"), "{text}");
        known
    }

    /// Writes the probe.proto of edit `n` and no other file, in one of four ways that `n` selects.
    pub fn write_probe(&self, n: u64) {
        let schemas = self.directory.join("schemas");
        let probe = schemas.join("probe.proto");
        let (temporary, text) = (schemas.join("probe.new"), probe_of(n));
        match n / 6 % 4 {
            0 => fs::write(&probe, text).unwrap(),
            1 => {
                fs::write(&temporary, text).unwrap();
                fs::rename(&temporary, &probe).unwrap();
            }
            // Removed, then created under another name and renamed.
            2 => {
                let _ = fs::remove_file(&probe);
                fs::write(schemas.join("probe.away"), text).unwrap();
                fs::rename(schemas.join("probe.away"), &probe).unwrap();
            }
            // Broken content first, then the content of edit `n - 1`, then the new content.
            _ => {
                fs::write(&probe, "syntax = ").unwrap();
                fs::write(&probe, probe_of(n - 1)).unwrap();
                fs::write(&probe, text).unwrap();
            }
        }
    }

    /// Returns whether the probe.proto of edit `n` is in force. Only its message has the field of
    /// the payload, and the route rejects unknown fields.
    fn is_probe_in_force(&self, n: u64) -> bool {
        let mut payload = varint(field(n) << 3);
        payload.push(1);
        send(&self.client, &[&b"PROBE"[..], &payload[..]]);
        let answer = receive(&self.client);
        let text = String::from_utf8_lossy(&answer[1]);
        let known = answer[0] == b"REPLY";
        assert!(
            known || text.contains(Reason::SchemaViolation.label()),
            "{text}"
        );
        known
    }

    /// Sends `POST /reload`, and asserts that the reload succeeds if and only if `good` is true.
    fn post_reload(&self, good: bool) {
        let listening = self.following.control_status.current().listening;
        let admin = listening
            .iter()
            .find(|at| at.role == "admin")
            .expect("admin");
        let at = admin.endpoint.rsplit('/').next().unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        let timeout = Duration::from_millis(TEST_TIMEOUT_MS as u64);
        stream.set_read_timeout(Some(timeout)).unwrap();
        let ask = format!("POST /reload HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), good, "{answer}");
    }

    /// Asserts that requests to the added pools of edit `n` are answered, which shows that their
    /// workers have reconnected.
    fn assert_vanishing_pools_serve(&self, n: u64) {
        for pool in 0..n % (VANISHING_POOLS + 1) {
            send(&self.client, &[format!("MORE{pool}").as_bytes(), ANN]);
            assert_eq!(
                texts(&receive(&self.client))[0],
                "REPLY",
                "edit {n}: p{pool}"
            );
        }
    }

    /// Makes edit `n` while edit `before` is in force, waits for the outcome, and returns the
    /// number of the edit whose routes.yaml is then in force.
    pub fn edit(&self, n: u64, before: u64) -> u64 {
        let failed = FAILED.load(Ordering::SeqCst);
        let deadline = deadline();
        if n.is_multiple_of(3) {
            match n % 2 {
                0 => self.write(n, &self.broken(n)),
                _ => {
                    let broken = self.directory.join("schemas/broken.proto");
                    fs::write(broken, "syntax = \"proto3\"; message {").unwrap();
                }
            }
            while FAILED.load(Ordering::SeqCst) == failed {
                assert!(
                    Instant::now() < deadline,
                    "edit {n}: no failure is reported"
                );
                assert!(
                    self.is_in_force(before),
                    "edit {n} is broken and ended edit {before}"
                );
            }
            assert!(
                self.is_in_force(before) && !self.is_in_force(n),
                "edit {n} is broken"
            );
            return before;
        }
        if n % 6 == 5 {
            self.write_probe(n);
            while !self.is_probe_in_force(n) {
                assert!(Instant::now() < deadline, "probe {n} did not take effect");
            }
            assert!(self.is_in_force(before), "a .proto ended edit {before}");
            return before;
        }
        self.write_protos(n);
        self.write(n, &self.yaml(n));
        while !self.is_in_force(n) {
            assert!(Instant::now() < deadline, "edit {n} did not take effect");
        }
        assert!(
            !self.is_in_force(before),
            "edit {n} left a part of edit {before} in force"
        );
        self.assert_vanishing_pools_serve(n);
        n
    }
}

/// Returns the field number in the probe of edit `n`. Protobuf reserves the numbers 19000 to 19999.
fn field(n: u64) -> u64 {
    n % 18_000 + 1
}

fn probe_of(n: u64) -> String {
    let field = field(n);
    // These messages make each configuration large, so that the test notices a configuration whose
    // memory is never freed.
    let ballast = (0..60).map(|m| {
        format!("message M{m} {{ int32 a = 1; string b = 2; repeated M{m} c = 3; map<string, M0> d = 4; }}\n")
    });
    let ballast: String = ballast.collect();
    format!("syntax = \"proto3\"; package probe; message Probe {{ int32 n = {field}; }}\n{ballast}")
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}
