//! Edits taken up while frames flow. What generation judges a message is seen from outside: a rejection
//! says so.

#[path = "support/gateway.rs"]
mod gateway_support;

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::reply::Reason;
use gateway::watch::Wake;
use gateway_support::*;

/// Routes beside the fixed frontend and pool; `extra` goes at the end of the file.
fn yaml(routes: &str, extra: &str) -> String {
    on_this_engine(&beside_engine(routes, extra))
}

fn beside_engine(routes: &str, extra: &str) -> String {
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

struct Edited {
    gateway: Gateway,
    client: zmq::Socket,
    file: PathBuf,
    wake: Wake,
    /// One for all that a test asks for: a second one, or one that has just gone, might be handed what
    /// the first is asked for. Comes when it is first needed.
    worker: OnceCell<zmq::Socket>,
}

impl Edited {
    fn start() -> Self {
        let gateway = Gateway::start(&beside_engine("", ""));
        let wake = gateway.follow();
        let client = gateway.dealer();
        let file = gateway.directory.path().join("routes.yaml");
        let edited = Self {
            gateway,
            client,
            file,
            wake,
            worker: OnceCell::new(),
        };
        assert_eq!(edited.generation(), 1);
        edited
    }

    /// The generation that judges a message now.
    fn generation(&self) -> u64 {
        send(&self.client, &["no such route", ""]);
        rejected(&self.client, &[], Reason::UnknownType).generation
    }

    /// Round trips until the configuration has been taken up.
    #[track_caller]
    fn await_generation(&self, generation: u64) {
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
    fn await_route(&self, kind: &str, there: bool) {
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

    fn worker(&self) -> &zmq::Socket {
        self.worker.get_or_init(|| self.gateway.worker())
    }

    fn write(&self, routes: &str) {
        fs::write(&self.file, yaml(routes, "")).unwrap();
    }
}

#[test]
fn every_way_of_writing_a_file_is_seen() {
    let edited = Edited::start();
    edited.write("  A: { pool: people }");
    edited.await_generation(2);
    edited.await_route("A", true);
    // As sed -i and vim do.
    let beside = edited.file.with_extension("tmp");
    fs::write(&beside, yaml("  B: { pool: people }", "")).unwrap();
    fs::rename(&beside, &edited.file).unwrap();
    edited.await_generation(3);
    // As editors that keep a backup do: away, then anew.
    fs::rename(&edited.file, edited.file.with_extension("yaml~")).unwrap();
    edited.write("  C: { pool: people }");
    edited.await_generation(4);
    // In two writes, the first of which is broken.
    fs::write(&edited.file, "frontends:").unwrap();
    edited.write("  D: { pool: people }");
    edited.await_generation(5);
    edited.await_route("D", true);
    edited.await_route("A", false);
}

/// Runs a program in a directory.
fn run_in(directory: &Path, program: &str, arguments: &[&str]) {
    let outcome = std::process::Command::new(program)
        .args(arguments)
        .current_dir(directory)
        // Whoever runs the tests has settings of their own.
        .envs([
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
        ])
        .output();
    let outcome = outcome.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
fn a_checkout_of_another_branch_is_seen_as_one_edit() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path().to_owned();
    let git = |arguments: &[&str]| {
        let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        run_in(&directory, "git", &[&author, arguments].concat());
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "one"]);
    git(&["checkout", "--quiet", "-b", "other"]);
    // On the other branch a directory of schemas takes the place of the one.
    let proto = "syntax = \"proto3\"; message Order { int32 n = 1; }";
    git(&["rm", "--quiet", "-r", "schemas"]);
    fs::create_dir_all(directory.join("protos/deep")).unwrap();
    fs::write(directory.join("protos/deep/order.proto"), proto).unwrap();
    let routes = "  ORDER: { schema: Order, pool: people }";
    fs::write(
        &edited.file,
        yaml(routes, "proto: { import_paths: [protos] }"),
    )
    .unwrap();
    edited.await_route("ORDER", false);
    edited.await_generation(2);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "two"]);
    for n in 0..3 {
        let before = edited.generation();
        git(&[
            "checkout",
            "--quiet",
            if n % 2 == 0 { "main" } else { "other" },
        ]);
        edited.await_generation(before + 1);
        send(&edited.client, &[&b"ORDER"[..], b"\xff"]);
        let known = texts(&receive(&edited.client))[1].contains("schema_violation");
        assert_eq!(known, n % 2 == 1);
    }
}

#[test]
fn what_sed_and_vim_do_is_seen() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path().to_owned();
    run_in(&directory, "sed", &["-i", "s/OPAQUE:/SED:/", "routes.yaml"]);
    edited.await_generation(2);
    edited.await_route("SED", true);
    // vim: a probe, the old file away, a new one under its name, the old one deleted.
    fs::write(directory.join("4913"), "").unwrap();
    fs::remove_file(directory.join("4913")).unwrap();
    let backup = directory.join("routes.yaml~");
    fs::rename(&edited.file, &backup).unwrap();
    edited.write("  VIM: { pool: people }");
    fs::remove_file(&backup).unwrap();
    edited.await_route("VIM", true);
}

#[test]
fn a_burst_of_writes_is_one_reload() {
    let edited = Edited::start();
    let slowly = |routes: &str| yaml(routes, "").replace("settle: 20ms", "settle: 2s");
    fs::write(&edited.file, slowly("")).unwrap();
    edited.await_generation(2);
    let schemas = edited.gateway.directory.path().join("schemas");
    for n in 0..100 {
        fs::write(&edited.file, slowly(&format!("  R{n}: {{ pool: people }}"))).unwrap();
        let proto = format!("syntax = \"proto3\"; message M{n} {{}}");
        fs::write(schemas.join(format!("m{}.proto", n % 7)), proto).unwrap();
    }
    edited.await_generation(3);
    edited.await_route("R99", true);
    // Had it been two, the second would be the last.
    assert_eq!(edited.generation(), 3);
}

/// `..data` is a link to a directory, which is replaced by renaming another link over it.
#[test]
fn a_config_maps_swap_is_seen() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path();
    let version = |name: &str, routes: &str| {
        fs::create_dir(directory.join(name)).unwrap();
        fs::write(directory.join(name).join("routes.yaml"), yaml(routes, "")).unwrap();
    };
    version("..1", "  A: { pool: people }");
    symlink("..1", directory.join("..data")).unwrap();
    fs::remove_file(&edited.file).unwrap();
    symlink("..data/routes.yaml", &edited.file).unwrap();
    edited.await_generation(2);
    for n in 2..5 {
        version(&format!("..{n}"), &format!("  R{n}: {{ pool: people }}"));
        symlink(format!("..{n}"), directory.join("..new")).unwrap();
        fs::rename(directory.join("..new"), directory.join("..data")).unwrap();
        fs::remove_dir_all(directory.join(format!("..{}", n - 1))).unwrap();
        edited.await_generation(n + 1);
    }
    edited.await_route("R4", true);
}

#[test]
fn proto_files_are_followed_through_their_directorys_loss() {
    let edited = Edited::start();
    let schemas = edited.gateway.directory.path().join("schemas");
    let order = |field: &str| format!("syntax = \"proto3\"; message Order {{ {field} }}");
    edited.write("  ORDER: { schema: Order, pool: people }");
    fs::create_dir_all(schemas.join("deep/er")).unwrap();
    fs::write(schemas.join("deep/er/order.proto"), order("int32 n = 1;")).unwrap();
    edited.await_generation(2);
    let judge = |payload: &[u8]| {
        send(&edited.client, &[b"ORDER", payload]);
        let worker = edited.worker();
        let frames = loop {
            worker.set_rcvtimeo(0).unwrap();
            if worker.recv_multipart(0).is_ok() {
                return true;
            }
            if edited.client.poll(zmq::POLLIN, 1).unwrap() > 0 {
                break receive(&edited.client);
            }
        };
        assert!(String::from_utf8_lossy(&frames[1]).contains("schema_violation"));
        false
    };
    assert!(!judge(b"\x0a\x01x"), "n is no string yet");
    fs::write(schemas.join("deep/er/order.proto"), order("string n = 1;")).unwrap();
    edited.await_generation(3);
    // A directory that goes and comes back, as with git checkout.
    fs::remove_dir_all(&schemas).unwrap();
    fs::create_dir_all(&schemas).unwrap();
    fs::write(schemas.join("order.proto"), order("bytes other = 1;")).unwrap();
    edited.await_generation(4);
    fs::rename(schemas.join("order.proto"), schemas.join("renamed.proto")).unwrap();
    edited.await_generation(5);
    assert!(judge(b"\x0a\x01x"));
}

#[test]
fn an_import_path_that_the_edit_adds_is_followed() {
    let edited = Edited::start();
    let more = edited.gateway.directory.path().join("more");
    fs::create_dir(&more).unwrap();
    let proto = |field: &str| format!("syntax = \"proto3\"; message M {{ {field} }}");
    fs::write(more.join("m.proto"), proto("int32 a = 1;")).unwrap();
    let with_root = yaml(
        "  M: { schema: M, pool: people }",
        "proto: { import_paths: [more] }\n",
    );
    fs::write(&edited.file, with_root).unwrap();
    edited.await_generation(2);
    fs::write(more.join("m.proto"), proto("int32 b = 1;")).unwrap();
    edited.await_generation(3);
}

#[test]
fn a_broken_edit_changes_nothing_and_a_mended_one_takes_hold() {
    let edited = Edited::start();
    for broken in ["routes: [", "", "frontends: {}\n", "\u{0}\u{1}"] {
        fs::write(&edited.file, broken).unwrap();
        let schemas = edited.gateway.directory.path().join("schemas");
        fs::write(schemas.join("broken.proto"), "message {").unwrap();
        edited.await_route("OPAQUE", true);
        assert_eq!(edited.generation(), 1);
        fs::remove_file(schemas.join("broken.proto")).unwrap();
    }
    edited.write("  MENDED: { pool: people }");
    edited.await_route("MENDED", true);
    // Had any of the broken ones taken hold, it would be a later one.
    assert_eq!(edited.generation(), 2);
}

#[test]
fn equal_content_is_no_change_unless_asked_for() {
    let edited = Edited::start();
    let text = fs::read(&edited.file).unwrap();
    for _ in 0..20 {
        fs::write(&edited.file, &text).unwrap();
        edited.wake.reload();
        assert_eq!(edited.generation(), 1);
    }
    // The next real change is the second generation: none came between.
    edited.write("  A: { pool: people }");
    edited.await_route("A", true);
    assert_eq!(edited.generation(), 2);
}

/// Writes at random moments; whatever was in flight, the last content is what holds in the end.
#[test]
fn the_last_write_wins() {
    let edited = Edited::start();
    let mut rng = fastrand::Rng::with_seed(7);
    for round in 0..15 {
        for n in 0..rng.usize(1..12) {
            match rng.u8(0..4) {
                0 => fs::write(&edited.file, "routes: [").unwrap(),
                _ => edited.write(&format!("  R{round}x{n}: {{ pool: people }}")),
            }
            // Not a wait for anything: round trips of a random number, to fall anywhere.
            for _ in 0..rng.usize(0..400) {
                edited.generation();
            }
        }
        edited.write(&format!("  LAST{round}: {{ pool: people }}"));
        edited.await_route(&format!("LAST{round}"), true);
    }
}

#[test]
fn pools_and_frontends_come_and_go() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path().to_owned();
    let ipc = |name: &str| format!("ipc://{}", directory.join(name).display());
    let (clients, people) = (ipc("more-clients"), ipc("more-people"));
    let with_more = format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }}, more: {{ bind: "{clients}" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", timeout: 20s }}, more: {{ bind: "{people}" }} }}
reload: {{ settle: 20ms }}
routes: {{ OPAQUE: {{ pool: people }}, MORE: {{ pool: more }} }}
"#
    );
    let socket = |kind, endpoint: &str| {
        let socket = edited.gateway.context.socket(kind).unwrap();
        socket.set_rcvtimeo(PATIENCE_MS).unwrap();
        socket.set_linger(0).unwrap();
        socket.connect(endpoint).unwrap();
        socket
    };
    let (client, worker) = (socket(zmq::REQ, &clients), socket(zmq::DEALER, &people));
    let mut generation = 1;
    for _ in 0..3 {
        fs::write(&edited.file, on_this_engine(&with_more)).unwrap();
        generation += 1;
        edited.await_generation(generation);
        send(&client, &["MORE", "x"]);
        let held = receive(&worker);
        edited.write("");
        generation += 1;
        edited.await_generation(generation);
        // The removed pool serves what it has, and the removed frontend delivers it.
        send(&worker, &[&held[0][..], b"REPLY", b"owed"]);
        assert_eq!(texts(&receive(&client)), ["REPLY", "owed"]);
        send(&edited.client, &["MORE", "x"]);
        rejected(&edited.client, &[], Reason::UnknownType);
    }
}

#[test]
fn changed_settings_hold_at_once_and_connections_stay() {
    let edited = Edited::start();
    let strict = fs::read_to_string(&edited.file).unwrap();
    let strict = strict.replace("timeout: 20s", "timeout: 2s, queue: 1");
    fs::write(&edited.file, strict).unwrap();
    edited.await_generation(2);
    send(&edited.client, &["OPAQUE", "1", "x"]);
    send(&edited.client, &["OPAQUE", "2", "x"]);
    rejected(&edited.client, &["2"], Reason::QueueFull);
    rejected(&edited.client, &["1"], Reason::NoWorker);
}

#[test]
fn a_request_is_judged_by_the_generation_that_it_came_under() {
    let edited = Edited::start();
    let worker = edited.gateway.worker();
    send(&edited.client, &["OPAQUE", "old", "x"]);
    let held = receive(&worker);
    let strict = fs::read_to_string(&edited.file).unwrap();
    let strict = strict.replace("OPAQUE: { pool", "OPAQUE: { reply: demo.Reply, pool");
    fs::write(&edited.file, strict).unwrap();
    edited.await_generation(2);
    send(&edited.client, &["OPAQUE", "new", "x"]);
    answer(&worker, b"\xff no Reply");
    let frames = receive(&edited.client);
    assert_eq!(texts(&frames[..2]), ["ERROR", "new"]);
    send(&worker, &[&held[0][..], b"REPLY", b"old", b"\xff no Reply"]);
    assert_eq!(texts(&receive(&edited.client))[..2], ["REPLY", "old"]);
}

/// Engine native only: there is nothing that it can't change.
#[test]
fn addresses_move_while_connections_serve() {
    if !engine_is("native") {
        return;
    }
    let edited = Edited::start();
    let port = |endpoint: &str| endpoint.rsplit_once(':').unwrap().1.to_owned();
    let (clients, people) = (
        port(&edited.gateway.endpoint("clients")),
        port(&edited.gateway.endpoint("people")),
    );
    let with = |clients: &str, people: &str| {
        format!(
            r#"
frontends: {{ clients: {{ bind: "{clients}" }} }}
pools: {{ people: {{ bind: "{people}", timeout: 20s }} }}
reload: {{ settle: 20ms }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#
        )
    };
    let reachable = |endpoint: &str, port: &str| {
        let client = edited.gateway.context.socket(zmq::DEALER).unwrap();
        client.set_rcvtimeo(PATIENCE_MS).unwrap();
        client.set_linger(0).unwrap();
        client.connect(&format!("{endpoint}:{port}")).unwrap();
        send(&client, &["nothing", "x"]);
        rejected(&client, &[], Reason::UnknownType);
    };
    // The two change places, and what was a frontend's port is a pool's.
    let worker = edited.gateway.worker();
    send(&edited.client, &["OPAQUE", "x"]);
    let held = receive(&worker);
    let swapped = with(
        &format!("tcp://127.0.0.1:{people}"),
        &format!("tcp://127.0.0.1:{clients}"),
    );
    fs::write(&edited.file, on_this_engine(&swapped)).unwrap();
    edited.await_generation(2);
    reachable("tcp://127.0.0.1", &people);
    // Who was connected before stays what it was.
    send(&worker, &[&held[0][..], b"REPLY", b"y"]);
    assert_eq!(texts(&receive(&edited.client)), ["REPLY", "y"]);
    // The same port of another address, which can't be bound before the first is free.
    let wider = with(
        &format!("tcp://*:{people}"),
        &format!("tcp://127.0.0.2:{clients}"),
    );
    fs::write(&edited.file, on_this_engine(&wider)).unwrap();
    edited.await_generation(3);
    reachable("tcp://127.0.0.3", &people);
    send(&edited.client, &["OPAQUE", "x"]);
    answer(&worker, b"z");
    assert_eq!(texts(&receive(&edited.client)), ["REPLY", "z"]);
}

/// Engine libzmq only.
#[test]
fn what_the_engine_cannot_change_is_refused_and_the_rest_of_the_edit_with_it() {
    if !engine_is("libzmq") {
        return;
    }
    let edited = Edited::start();
    let text = fs::read_to_string(&edited.file).unwrap();
    let moved = text.replace(
        "bind: \"tcp://127.0.0.1:0\", timeout",
        "bind: \"tcp://127.0.0.2:0\", timeout",
    );
    assert_ne!(moved, text);
    fs::write(&edited.file, moved.replace("OPAQUE:", "OTHER:")).unwrap();
    let reloader = edited.gateway.running.as_ref().unwrap().reloader();
    let loaded = gateway::config::load(&edited.file).unwrap();
    let refusal = reloader
        .reload(std::sync::Arc::new(loaded.snapshot))
        .unwrap_err();
    let refusal = refusal.to_string();
    assert!(
        refusal.contains("pool people: engine libzmq can't change its addresses"),
        "{refusal}"
    );
    edited.await_route("OPAQUE", true);
    assert_eq!(edited.generation(), 1);
}

/// Tells the other threads to end, also when this one fails.
struct Ends<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Clients at full speed through two hundred edits, a third of them broken.
#[test]
fn no_answer_is_lost_or_wrong_while_files_are_rewritten() {
    let edited = Edited::start();
    let done = std::sync::atomic::AtomicBool::new(false);
    let over = std::sync::atomic::AtomicBool::new(false);
    let served = std::thread::scope(|scope| {
        let worker = edited.gateway.worker();
        let client = edited.gateway.dealer();
        let (done, over) = (&done, &over);
        let worker_ends_with_this = Ends(over);
        let client_ends_with_this = Ends(done);
        scope.spawn(move || {
            worker.set_rcvtimeo(100).unwrap();
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                if let Ok(mut frames) = worker.recv_multipart(0) {
                    frames[1] = b"REPLY".to_vec();
                    worker.send_multipart(frames, 0).unwrap();
                }
            }
        });
        let served = scope.spawn(move || {
            let mut number = 0_u64;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                for n in 0..50 {
                    send(&client, &["OPAQUE", &format!("{}", number + n), "x"]);
                }
                for n in 0..50 {
                    let expected = [
                        "REPLY".to_owned(),
                        format!("{}", number + n),
                        "x".to_owned(),
                    ];
                    assert_eq!(texts(&receive(&client)), expected);
                }
                number += 50;
            }
            number
        });
        let beside = edited.file.with_extension("tmp");
        for n in 0..200 {
            let text = match n % 3 {
                0 => "routes: {".to_owned(),
                _ => yaml(
                    &format!("  R{n}: {{ schema: demo.Person, pool: people }}"),
                    "",
                ),
            };
            match n % 2 {
                0 => fs::write(&edited.file, text).unwrap(),
                _ => {
                    fs::write(&beside, text).unwrap();
                    fs::rename(&beside, &edited.file).unwrap();
                }
            }
            if n % 10 == 4 && n % 3 != 0 {
                // The one worker serves it too; a second one would change the order.
                let patience = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
                loop {
                    send(&edited.client, &[format!("R{n}").as_bytes(), ANN]);
                    if receive(&edited.client)[0] == b"REPLY" {
                        break;
                    }
                    assert!(Instant::now() < patience, "R{n} never came");
                }
            }
        }
        drop(client_ends_with_this);
        let served = served.join().unwrap();
        drop(worker_ends_with_this);
        served
    });
    assert!(served > 1_000, "{served}");
    let Edited { gateway, .. } = edited;
    let ledger = gateway.end();
    assert!(ledger.answered >= served);
    assert_eq!(ledger.client_gone + ledger.client_slow, 0);
}

#[test]
fn schemas_stay_found_by_a_relative_path() {
    // `routes.yaml` in the working directory has no parent to speak of.
    let inputs = gateway::config::Inputs::read(Path::new("routes.yaml"), &[]);
    assert_eq!(inputs.seen().roots, [PathBuf::from("schemas")]);
}
