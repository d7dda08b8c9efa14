//! Tests that the last content of the files always takes effect, even if the files change while the
//! gateway reads them. A rewrite with equal content is not a change.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use gateway::config::Inputs;
use gateway::reload::ReloadOutcome;
use gateway::reply::Reason;

use crate::support::edited::{Edited, routes_yaml, routes_yaml_without_engine};
use crate::support::gateway::{NEVER, on_this_engine};
use crate::support::sockets::{TEST_TIMEOUT_MS, receive, send, texts};

#[test]
fn equal_content_is_no_change_and_no_reload() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path();
    let (routes, person) = (&edited.file, directory.join("schemas/person.proto"));
    for n in 0..30 {
        for file in [routes, &person] {
            let text = fs::read(file).unwrap();
            match n % 3 {
                // The rename is atomic, so no partial content is seen.
                0 => {
                    let temporary = file.with_extension("tmp");
                    fs::write(&temporary, text).unwrap();
                    fs::rename(&temporary, file).unwrap();
                }
                1 => fs::File::open(file)
                    .and_then(|file| file.set_modified(SystemTime::now()))
                    .unwrap(),
                _ => drop(fs::OpenOptions::new().append(true).open(file).unwrap()),
            }
        }
        assert_eq!(edited.generation(), 1);
    }
    // A requested reload is answered. The rewrites above caused no reload.
    assert_eq!(edited.reload().outcome, ReloadOutcome::Unchanged);
    // This edit renames a file. A file that is written in place is empty for a moment, and an empty
    // file is not valid.
    let temporary = routes.with_extension("tmp");
    fs::write(&temporary, routes_yaml("  A: { pool: people }", "")).unwrap();
    fs::rename(&temporary, routes).unwrap();
    edited.await_route("A", true);
    assert_eq!(edited.generation(), 2);
    // The edit takes effect before it is counted.
    let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
    while edited.reloads(ReloadOutcome::Applied) == 0 {
        assert!(Instant::now() < deadline, "the edit is not counted");
        std::thread::yield_now();
    }
    let reloads = ReloadOutcome::ALL.map(|outcome| edited.reloads(outcome));
    assert_eq!(reloads, [1, 1, 0, 0], "{:?}", ReloadOutcome::ALL);
}

/// Files are read once: a change after `Inputs::read` is not part of the load, and the next read
/// finds it.
#[test]
fn a_load_uses_the_files_as_they_were_read() {
    let directory = tempfile::tempdir().unwrap();
    let (file, schemas) = (
        directory.path().join("routes.yaml"),
        directory.path().join("schemas"),
    );
    let write = |route: &str, compiler: &str, field: &str| {
        let routes = format!("  {route}: {{ schema: Order, pool: people }}");
        let extra = format!("proto: {{ compiler: {compiler} }}");
        fs::create_dir_all(&schemas).unwrap();
        fs::write(&file, routes_yaml(&routes, &extra)).unwrap();
        let order = format!("syntax = \"proto3\"; message Order {{ {field} n = 1; }}");
        fs::write(schemas.join("order.proto"), order).unwrap();
    };
    // Asserts that the inputs load with this route, and that its schema accepts the payload.
    let assert_loads = |inputs: Inputs, route: &[u8], payload: &[u8]| {
        let snapshot = inputs.load().unwrap().snapshot;
        let route = snapshot.routes.get(route).expect("the route");
        let schema = route.schema.as_ref().unwrap();
        assert!(schema.check(payload, 10).is_ok());
    };
    let (number, text): (&[u8], &[u8]) = (b"\x08\x01", b"\x0a\x01x");
    write("A", "builtin", "int32");
    let a = Inputs::read(&file, &[]);
    // The files change after `a` is read and before it is loaded, and change back before `b` is
    // loaded.
    write("B", "builtin", "string");
    let b = Inputs::read(&file, &[]);
    let seen = a.seen().clone();
    assert_ne!(*b.seen(), seen);
    assert_loads(a, b"A", number);
    write("A", "builtin", "int32");
    assert_loads(b, b"B", text);
    let again = Inputs::read(&file, &[]);
    assert_eq!(*again.seen(), seen);
    // Adding a single file changes the content.
    fs::write(schemas.join("more.proto"), "syntax = \"proto3\";").unwrap();
    assert_ne!(*Inputs::read(&file, &[]).seen(), seen);
    // A broken file causes an error when the inputs are loaded, although the file on disk has been
    // corrected since it was read. The correction counts as a change.
    fs::write(&file, "routes: [").unwrap();
    let broken = Inputs::read(&file, &[]);
    write("A", "builtin", "int32");
    assert_ne!(*Inputs::read(&file, &[]).seen(), *broken.seen());
    assert!(broken.load().unwrap_err().has_errors());
    // Inputs that were read can still be loaded after all files are removed.
    fs::remove_file(schemas.join("order.proto")).unwrap();
    let missing = Inputs::read(&file, &[]);
    fs::remove_dir_all(&schemas).unwrap();
    fs::remove_file(&file).unwrap();
    assert_loads(again, b"A", number);
    let reported = missing.load().unwrap_err().to_string();
    assert!(
        reported.contains("there is no message \"Order\""),
        "{reported}"
    );
}

/// Writes a file in place, or by renaming another file over it.
fn write(rng: &mut fastrand::Rng, file: &Path, text: &str) {
    if rng.bool() {
        fs::write(file, text).unwrap();
    } else {
        let temporary = file.with_extension("tmp");
        fs::write(&temporary, text).unwrap();
        fs::rename(&temporary, file).unwrap();
    }
}

fn order(field: &str) -> String {
    format!("syntax = \"proto3\"; message Order {{ {field} n = 1; }}")
}

/// Returns whether this route is in force, and field 1 of its schema has this type. Sends a payload
/// with a string in field 1 to both routes. The other route must be unknown. If field 1 has another
/// type, the payload violates the schema. Otherwise the queue, which has no room, rejects the
/// request.
fn is_in_force(client: &zmq::Socket, route: char, field: &str) -> bool {
    ['A', 'B'].iter().all(|other| {
        let reason = match (*other == route, field) {
            (false, _) => Reason::UnknownType,
            (true, "string") => Reason::QueueFull,
            (true, _) => Reason::SchemaViolation,
        };
        send(client, &[other.to_string().as_bytes(), b"\x0a\x01x"]);
        texts(&receive(client))[1].contains(reason.label())
    })
}

/// Makes a random number of round trips. The time that they take is random, so the next write can
/// occur at any moment of a load.
fn pass_time(rng: &mut fastrand::Rng, edited: &Edited) {
    for _ in 0..rng.usize(0..120) {
        edited.generation();
    }
}

/// Makes random edits of routes.yaml, some of them broken, and of order.proto. Returns the last
/// route and field.
fn edit_at_random(
    rng: &mut fastrand::Rng,
    edited: &Edited,
    order_file: &Path,
    routes: impl Fn(char) -> String,
) -> (char, &'static str) {
    let (mut route, mut field) = ('A', "int32");
    write(rng, order_file, &order(field));
    for _ in 0..rng.usize(1..9) {
        match rng.u8(0..5) {
            0 => write(rng, &edited.file, "routes: ["),
            1 | 2 => {
                field = rng.choice(["int32", "string"]).unwrap();
                write(rng, order_file, &order(field));
            }
            _ => {
                let text = routes(rng.choice(['A', 'B']).unwrap());
                write(rng, &edited.file, &text);
            }
        }
        pass_time(rng, edited);
    }
    // Alternate between both routes, so that the last content may equal an earlier one.
    for _ in 0..rng.usize(1..4) {
        route = if route == 'A' { 'B' } else { 'A' };
        write(rng, &edited.file, &routes(route));
        pass_time(rng, edited);
    }
    (route, field)
}

/// Files are written at random moments, even while the gateway reads them. They are written in
/// place or by renaming, and some contents occur more than once. In the end the last content is
/// always in force, without polling.
#[test]
fn the_last_write_wins() {
    let start = routes_yaml_without_engine("", "").replace("timeout: 20s", "queue: 0");
    let start = start.replace("settle: 20ms", "settle: 1ms");
    let edited = Edited::with_yaml(&start, NEVER);
    let schemas = edited.gateway.directory.path().join("schemas");
    let routes = |route: char| {
        let text = start.replace("OPAQUE: {", &format!("{route}: {{ schema: Order,"));
        on_this_engine(&text)
    };
    // With so many files, reading them takes longer than a write. A write can then occur after the
    // first file is read and before the last file is read.
    for n in 0..300 {
        fs::write(schemas.join(format!("{n}.proto")), "syntax = \"proto3\";").unwrap();
    }
    for seed in 0..60 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let order_file = schemas.join("order.proto");
        let (route, field) = edit_at_random(rng, &edited, &order_file, routes);
        let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
        // This content may already be in force because of an earlier edit, while a reload of
        // another content is still in progress. So many answers in a row must show it.
        let mut in_a_row = 0;
        while in_a_row < 200 {
            in_a_row = if is_in_force(&edited.client, route, field) {
                in_a_row + 1
            } else {
                0
            };
            assert!(
                Instant::now() < deadline,
                "seed {seed}: {route} with {field} did not take effect in time, or did not last"
            );
        }
    }
}
