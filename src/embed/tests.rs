//! Tests of the guarantees for an embedding program, beyond the example in the crate's
//! documentation.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{Error, Gateway};
use crate::reload::ReloadOutcome;

/// The time after which a test fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

const PERSON: &str =
    "syntax = \"proto3\"; package demo; message Person { int32 id = 1; string name = 2; }";

/// Returns a routes.yaml with ports that the system chooses, and with these additional lines.
fn routes(more: &str) -> String {
    format!(
        "frontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ PERSON: {{ schema: demo.Person, pool: people }} }}\n{more}\n"
    )
}

/// Returns a directory with the schema of [`routes`].
fn schemas() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("schemas/person.proto"), PERSON).unwrap();
    directory
}

fn address(endpoint: &str) -> SocketAddr {
    endpoint.split("//").nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_dropped_handle_stops_the_gateway() {
    let directory = schemas();
    let gateway = Gateway::from_text(&routes(""), directory.path());
    let handle = gateway.load().unwrap().start().unwrap();
    let clients = address(&handle.endpoint("clients").unwrap());
    TcpStream::connect(clients).unwrap();
    drop(handle);
    let deadline = Instant::now() + TEST_TIMEOUT;
    while TcpStream::connect(clients).is_ok() {
        assert!(Instant::now() < deadline, "the gateway still listens");
    }
}

#[test]
fn an_ended_gateway_leaves_no_listener() {
    let directory = schemas();
    let text = routes("admin: { bind: \"127.0.0.1:0\" }");
    let gateway = Gateway::from_text(&text, directory.path());
    let handle = gateway.load().unwrap().start().unwrap();
    let listening = handle.listening();
    let roles: Vec<_> = listening.iter().map(|at| at.role).collect();
    assert_eq!(roles, ["frontend", "pool", "admin"]);
    handle.stop();
    handle.wait().unwrap();
    for at in listening {
        assert!(TcpStream::connect(address(&at.endpoint)).is_err(), "{at}");
    }
}

/// Returns a routes.yaml with a channel and a route to the channel. Publishers connect to the
/// address `publishers`.
fn channel(publishers: &str) -> String {
    format!(
        "channels: {{ ticks: {{ publishers: \"{publishers}\", subscribers: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ PERSON: {{ schema: demo.Person, publish: ticks }} }}\n"
    )
}

#[test]
fn both_sides_of_a_channel_still_listen_after_a_reload() {
    let directory = schemas();
    let text = channel("tcp://127.0.0.1:0");
    let gateway = Gateway::from_text(&text, directory.path()).watch(false);
    let handle = gateway.load().unwrap().start().unwrap();
    let roles = || -> Vec<_> { handle.listening().iter().map(|at| at.role).collect() };
    let expected = ["publisher side of channel", "subscriber side of channel"];
    assert_eq!(roles(), expected);
    let person = directory.path().join("schemas/person.proto");
    fs::write(&person, PERSON.replace(" }", " bool member = 3; }")).unwrap();
    assert_eq!(handle.reload().unwrap().outcome, ReloadOutcome::Applied);
    assert_eq!(roles(), expected);
    let publishers = handle.endpoint("ticks.publishers").unwrap();
    TcpStream::connect(address(&publishers)).unwrap();
}

#[test]
fn the_error_about_a_taken_address_of_a_channel_names_its_line_and_column() {
    let directory = schemas();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = channel(&format!("tcp://{}", taken.local_addr().unwrap()));
    let gateway = Gateway::from_text(&text, directory.path()).load().unwrap();
    let Err(Error::Configuration(found)) = gateway.start() else {
        panic!("another listener has the address");
    };
    let found = found.to_string();
    assert!(found.contains("publisher side of channel ticks"), "{found}");
    assert!(found.contains("<text>:1:34\n"), "{found}");
}

#[test]
fn a_configuration_text_reloads_the_schemas_of_its_directory() {
    let directory = schemas();
    let gateway = Gateway::from_text(&routes(""), directory.path()).watch(false);
    let gateway = gateway.load().unwrap();
    assert_eq!(gateway.summary(), "1 route, 1 pool, 1 frontend, 1 message");
    let handle = gateway.start().unwrap();
    let person = directory.path().join("schemas/person.proto");
    fs::write(&person, PERSON.replace(" }", " bool member = 3; }")).unwrap();
    let report = handle.reload().unwrap();
    assert_eq!(
        (report.outcome, report.generation),
        (ReloadOutcome::Applied, 2)
    );
    fs::write(&person, "message").unwrap();
    let report = handle.reload().unwrap();
    assert_eq!(
        (report.outcome, report.generation),
        (ReloadOutcome::Invalid, 2)
    );
    handle.drain();
    handle.wait().unwrap();
}

#[test]
fn errors_in_a_configuration_text_name_its_line_and_column() {
    let directory = schemas();
    let text = routes("").replace("demo.Person", "demo.Persn");
    let Err(Error::Configuration(found)) = Gateway::from_text(&text, directory.path()).load()
    else {
        panic!("the configuration names a message that does not exist");
    };
    let found = found.to_string();
    assert!(found.contains("<text>:3:29\n"), "{found}");
    assert!(found.contains("did you mean \"demo.Person\"?"), "{found}");
}

#[test]
fn the_builder_overrides_whether_files_are_watched() {
    let directory = schemas();
    for (key, watch) in [("true", false), ("false", true)] {
        let text = routes(&format!("reload: {{ watch: {key} }}"));
        let builder = Gateway::from_text(&text, directory.path());
        let as_written = builder.clone().load().unwrap();
        assert_eq!(as_written.loaded.snapshot.reload.watch, !watch);
        let overridden = builder.watch(watch).load().unwrap();
        assert_eq!(overridden.loaded.snapshot.reload.watch, watch);
    }
}

#[test]
fn every_address_that_is_taken_is_reported() {
    let directory = schemas();
    let taken = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [clients, admin] = [0, 1].map(|i: usize| taken[i].local_addr().unwrap());
    let text = routes(&format!("admin: {{ bind: \"{admin}\" }}"));
    let text = text.replacen("127.0.0.1:0", &clients.to_string(), 1);
    let gateway = Gateway::from_text(&text, directory.path()).load().unwrap();
    let Err(Error::Configuration(found)) = gateway.start() else {
        panic!("two addresses are taken");
    };
    let places = found.iter().map(|fault| fault.place.as_ref().unwrap());
    let places: Vec<_> = places.collect();
    assert_eq!(places.len(), 2, "{found}");
}
