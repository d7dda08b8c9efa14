//! The last content of the files is what holds, whatever happens while they are read; equal content
//! is no change.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use gateway::config::Inputs;
use gateway::reload::Outcome;
use gateway::reply::Reason;

use crate::support::edited::{Edited, beside_engine, routes_yaml};
use crate::support::gateway::{NEVER, on_this_engine};
use crate::support::sockets::{PATIENCE_MS, receive, send, texts};

#[test]
fn equal_content_is_no_change_and_no_reload() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path();
    let (routes, person) = (&edited.file, directory.join("schemas/person.proto"));
    for n in 0..30 {
        for file in [routes, &person] {
            let text = fs::read(file).unwrap();
            match n % 3 {
                // At once, lest half of it be seen.
                0 => {
                    let beside = file.with_extension("tmp");
                    fs::write(&beside, text).unwrap();
                    fs::rename(&beside, file).unwrap();
                }
                1 => fs::File::open(file)
                    .and_then(|file| file.set_modified(SystemTime::now()))
                    .unwrap(),
                _ => drop(fs::OpenOptions::new().append(true).open(file).unwrap()),
            }
        }
        assert_eq!(edited.generation(), 1);
    }
    // Whoever asks is answered, and that is the only reload of them all.
    assert_eq!(edited.reload().outcome, Outcome::Unchanged);
    edited.write("  A: { pool: people }");
    edited.await_route("A", true);
    assert_eq!(edited.generation(), 2);
    // It holds before it is counted.
    let until = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
    while edited.reloads(Outcome::Applied) == 0 {
        assert!(Instant::now() < until, "nobody counted it");
        std::thread::yield_now();
    }
    let reloads = Outcome::ALL.map(|outcome| edited.reloads(outcome));
    assert_eq!(reloads, [1, 1, 0, 0], "{:?}", Outcome::ALL);
}

/// Nothing is looked at twice: what is written, or taken away, after the files were read is no part
/// of what is loaded, and is seen by whoever reads next.
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
    let holds = |inputs: Inputs, route: &[u8], field: &[u8]| {
        let snapshot = inputs.load().unwrap().snapshot;
        let route = snapshot.routes.get(route).expect("the route");
        let schema = route.schema.as_ref().unwrap();
        assert!(schema.check(field, 10).is_ok());
    };
    let (number, text): (&[u8], &[u8]) = (b"\x08\x01", b"\x0a\x01x");
    write("A", "builtin", "int32");
    let a = Inputs::read(&file, &[]);
    // Between looking and loading: another content, and the first again.
    write("B", "builtin", "string");
    let b = Inputs::read(&file, &[]);
    let seen = a.seen().clone();
    assert_ne!(*b.seen(), seen);
    holds(a, b"A", number);
    write("A", "builtin", "int32");
    holds(b, b"B", text);
    let again = Inputs::read(&file, &[]);
    assert_eq!(*again.seen(), seen);
    // One file alone.
    fs::write(schemas.join("more.proto"), "syntax = \"proto3\";").unwrap();
    assert_ne!(*Inputs::read(&file, &[]).seen(), seen);
    // A fault loads as the fault that was seen, and what mends it is another content.
    fs::write(&file, "routes: [").unwrap();
    let broken = Inputs::read(&file, &[]);
    write("A", "builtin", "int32");
    assert_ne!(*Inputs::read(&file, &[]).seen(), *broken.seen());
    assert!(broken.load().unwrap_err().has_errors());
    // Nothing is left to look at.
    fs::remove_file(schemas.join("order.proto")).unwrap();
    let missing = Inputs::read(&file, &[]);
    fs::remove_dir_all(&schemas).unwrap();
    fs::remove_file(&file).unwrap();
    holds(again, b"A", number);
    let said = missing.load().unwrap_err().to_string();
    assert!(said.contains("there is no message \"Order\""), "{said}");
}

/// Writes a file in place, or by renaming another one over it.
fn put(rng: &mut fastrand::Rng, file: &Path, text: &str) {
    if rng.bool() {
        fs::write(file, text).unwrap();
    } else {
        let beside = file.with_extension("tmp");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, file).unwrap();
    }
}

fn order(field: &str) -> String {
    format!("syntax = \"proto3\"; message Order {{ {field} n = 1; }}")
}

/// Returns whether a text in field 1 comes to what this route and this kind of field make of it.
fn holds(client: &zmq::Socket, route: char, field: &str) -> bool {
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

/// Makes round trips of a random number: not a wait for anything, but for writes to fall anywhere.
fn pass_time(rng: &mut fastrand::Rng, edited: &Edited) {
    for _ in 0..rng.usize(0..120) {
        edited.generation();
    }
}

/// Makes random edits of routes.yaml, some of them broken, and of order.proto; returns the last
/// route and field.
fn edit_at_random(
    rng: &mut fastrand::Rng,
    edited: &Edited,
    order_file: &Path,
    routes: impl Fn(char) -> String,
) -> (char, &'static str) {
    let (mut route, mut field) = ('A', "int32");
    put(rng, order_file, &order(field));
    for _ in 0..rng.usize(1..9) {
        match rng.u8(0..5) {
            0 => put(rng, &edited.file, "routes: ["),
            1 | 2 => {
                field = rng.choice(["int32", "string"]).unwrap();
                put(rng, order_file, &order(field));
            }
            _ => {
                let text = routes(rng.choice(['A', 'B']).unwrap());
                put(rng, &edited.file, &text);
            }
        }
        pass_time(rng, edited);
    }
    // One and another, and perhaps the one again.
    for _ in 0..rng.usize(1..4) {
        route = if route == 'A' { 'B' } else { 'A' };
        put(rng, &edited.file, &routes(route));
        pass_time(rng, edited);
    }
    (route, field)
}

/// Writes at random moments, those at which files are being read included, in place and by
/// renaming, of contents that come back: whatever was in flight, the last is what holds in the end.
/// By events alone.
#[test]
fn the_last_write_wins() {
    let start = beside_engine("", "").replace("timeout: 20s", "queue: 0");
    let start = start.replace("settle: 20ms", "settle: 1ms");
    let edited = Edited::of(&start, NEVER);
    let schemas = edited.gateway.directory.path().join("schemas");
    let routes = |route: char| {
        let text = start.replace("OPAQUE: {", &format!("{route}: {{ schema: Order,"));
        on_this_engine(&text)
    };
    // So many that to read them takes longer than a write, and there is time between the first and
    // the last.
    for n in 0..300 {
        fs::write(schemas.join(format!("{n}.proto")), "syntax = \"proto3\";").unwrap();
    }
    for seed in 0..60 {
        let rng = &mut fastrand::Rng::with_seed(seed);
        let order_file = schemas.join("order.proto");
        let (route, field) = edit_at_random(rng, &edited, &order_file, routes);
        let patience = Instant::now() + Duration::from_millis(PATIENCE_MS as u64);
        // It may hold from before, with something else still in flight.
        let mut held = 0;
        while held < 200 {
            held = if holds(&edited.client, route, field) {
                held + 1
            } else {
                0
            };
            assert!(
                Instant::now() < patience,
                "seed {seed}: {route}, {field} never came, or didn't stay"
            );
        }
    }
}
