//! Tests of `plain` in routes.yaml on real sockets: users that connect with libzmq, wrong
//! passwords, and edits of the file of users.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::binary::binary;
use crate::support::gateway::engine_is;
use crate::support::process::Process;
use crate::support::pyzmq;
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{client, keys};
use crate::support::sockets::{connected, receive, send, socket};
use crate::support::zmtp::{Raw, Received, command, message, ready};
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::KeyPair;
use gateway_zmtp::greeting::{LENGTH, naming};
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::plain;
use gateway_zmtp::session::SessionSecurity;

/// Returns the line for a user in a file of users, as `gateway keygen` prints it.
fn line(user: &str, password: &str) -> String {
    let mut child = Command::new(binary())
        .args(["keygen", "--user", user])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(password.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A gateway with a file of users.
struct Guarded {
    process: Process,
    files: tempfile::TempDir,
    ours: KeyPair,
}

const PLAIN: &str = "{ plain: { users: KEYS/users } }";

impl Guarded {
    /// Starts a gateway whose frontend has this `security`, in which KEYS stands for the directory
    /// of the file of users. The file has these lines.
    fn start(security: &str, lines: &[String]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let ours = keys();
        fs::write(files.path().join("secret"), &*ours.secret().to_z85()).unwrap();
        fs::write(files.path().join("users"), lines.concat()).unwrap();
        let yaml = format!(
            r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0", security: {security} }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
reload: {{ settle: 20ms }}
admin: {{ bind: "127.0.0.1:0" }}
"#
        );
        let directory = files.path().display().to_string();
        Self {
            process: Process::start(&yaml.replace("KEYS", &directory)),
            files,
            ours,
        }
    }

    fn clients(&self) -> String {
        self.process.endpoint("frontend clients")
    }

    /// Replaces the file of users, and waits until the new file is in force.
    fn set_users(&mut self, lines: &[String]) {
        self.write_users(lines);
        self.process.await_line("reloaded: ~1 frontend (clients)");
    }

    fn write_users(&self, lines: &[String]) {
        let path = self.files.path().join("users");
        let temporary: PathBuf = path.with_extension("tmp");
        fs::write(&temporary, lines.concat()).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    fn worker(&self) -> Peer {
        let pool = self.process.endpoint("pool people");
        Peer::connect(&pool, SessionSecurity::None, "DEALER").admitted()
    }

    /// Returns a peer that has sent its greeting with PLAIN and has read the gateway's greeting.
    fn greeted(&self) -> Raw {
        let mut raw = Raw::connect(&self.clients());
        raw.send(&naming(Mechanism::Plain));
        let mut theirs = [0; LENGTH];
        raw.stream.read_exact(&mut theirs).unwrap();
        assert_eq!(theirs, naming(Mechanism::Plain));
        raw
    }

    /// Connects as a user. Returns `None` if the gateway refuses the user.
    fn user(&self, user: &str, password: &str) -> Option<Raw> {
        let mut raw = self.greeted();
        let (client, hello) = plain::Client::hello(user, password).unwrap();
        raw.send(&command(&hello));
        let Received::Command(welcome) = raw.receive() else {
            return None;
        };
        let ours = Ready {
            socket_type: "DEALER".into(),
            ..Ready::default()
        };
        let (client, initiate) = client.welcome(&welcome, &ours).unwrap();
        raw.send(&command(&initiate));
        let Received::Command(ready) = raw.receive() else {
            return None;
        };
        assert_eq!(client.ready(&ready).unwrap().socket_type, "ROUTER");
        Some(raw)
    }
}

/// Sends a request from `client` and answers it from `worker`. Returns the token of the request.
#[track_caller]
fn exchange(client: &mut Raw, worker: &mut Peer) -> String {
    client.send(&message(&["OPAQUE", "x"]));
    let request = worker.message();
    worker.send(&[&request[0], b"REPLY", b"y"]);
    assert_eq!(client.receive_message(), [b"REPLY".to_vec(), b"y".to_vec()]);
    String::from_utf8(request[0].clone()).unwrap()
}

fn libzmq(context: &zmq::Context, endpoint: &str, user: &str, password: &str) -> zmq::Socket {
    let client = socket(context, zmq::DEALER);
    client.set_plain_username(Some(user)).unwrap();
    client.set_plain_password(Some(password)).unwrap();
    client.connect(endpoint).unwrap();
    client
}

#[test]
fn users_of_libzmq_are_served_as_soon_as_their_lines_are_in_the_file() {
    if !engine_is("native") {
        return;
    }
    let alice = line("alice", "secret");
    let mut gateway = Guarded::start(PLAIN, std::slice::from_ref(&alice));
    let status = gateway.process.status();
    assert_eq!(status["endpoints"][0]["security"], "plain");
    let mut worker = gateway.worker();
    let context = zmq::Context::new();
    let bob = libzmq(&context, &gateway.clients(), "bob", "another");
    send(&bob, &["OPAQUE", "x"]);
    gateway.process.await_line(
        "frontend clients: a connection is refused: user bob is unknown: to admit it, put the line that `gateway keygen --user bob` prints",
    );
    let mut answer = |client: &zmq::Socket, name: &str| {
        let request = worker.message();
        let token = String::from_utf8(request[0].clone()).unwrap();
        assert!(token.starts_with(&format!("{name}#")), "{token}");
        worker.send(&[&request[0], b"REPLY", b"y"]);
        assert_eq!(receive(client), [b"REPLY".to_vec(), b"y".to_vec()]);
    };
    let known = libzmq(&context, &gateway.clients(), "alice", "secret");
    send(&known, &["OPAQUE", "x"]);
    answer(&known, "alice");
    // libzmq connects again by itself.
    gateway.set_users(&[alice, line("bob", "another")]);
    answer(&bob, "bob");
}

#[test]
fn a_changed_password_or_a_removal_ends_the_connections_of_a_user() {
    if !engine_is("native") {
        return;
    }
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|user| line(user, "secret"));
    let mut gateway = Guarded::start(PLAIN, &[alice.clone(), bob.clone(), carol]);
    let mut worker = gateway.worker();
    let [mut first, mut second, mut third] =
        ["alice", "bob", "carol"].map(|user| gateway.user(user, "secret").unwrap());
    // A fault in a line affects only the user of that line.
    gateway.write_users(&[alice, line("bob", "other"), "carol:oops\n".into()]);
    let fault = gateway
        .process
        .await_line("this is not the hash of a password");
    let place = fault["place"].as_str().unwrap();
    assert!(place.ends_with("users:3:7"), "{place}");
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    assert_eq!(second.receive(), Received::End);
    assert_eq!(third.receive(), Received::End);
    assert!(exchange(&mut first, &mut worker).starts_with("alice#"));
    assert!(gateway.user("bob", "secret").is_none());
    let mut second = gateway.user("bob", "other").unwrap();
    assert!(exchange(&mut second, &mut worker).starts_with("bob#"));
    // Without `plain`, no password is accepted.
    let yaml = fs::read_to_string(gateway.process.file()).unwrap();
    let at = yaml.find("{ plain").unwrap();
    let end = at + yaml[at..].find("} }").unwrap() + 3;
    let yaml = [&yaml[..at], "{ from: 127.0.0.0/8 }", &yaml[end..]].concat();
    fs::write(gateway.process.file(), yaml).unwrap();
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    assert_eq!(first.receive(), Received::End);
    assert_eq!(second.receive(), Received::End);
}

/// docs/security.md describes these steps: the file has a line with a second name for the user, and
/// the old line is removed after the program has changed to the second name.
#[test]
fn a_second_name_replaces_a_password_without_an_interruption() {
    if !engine_is("native") {
        return;
    }
    let old = line("alice", "secret");
    let mut gateway = Guarded::start(PLAIN, std::slice::from_ref(&old));
    let file = gateway.process.file();
    let yaml = fs::read_to_string(&file).unwrap();
    let yaml = yaml.replace(
        "{ pool: people } }",
        "{ pool: people, allow: \"alice*\" } }",
    );
    fs::write(&file, yaml).unwrap();
    gateway.process.await_line("reloaded: ~1 route (OPAQUE)");
    let mut worker = gateway.worker();
    let mut before = gateway.user("alice", "secret").unwrap();
    // A request that is open during the edit is answered.
    before.send(&message(&["OPAQUE", "x"]));
    let open = worker.message();
    let new = line("alice-2", "another");
    gateway.set_users(&[old, new.clone()]);
    worker.send(&[&open[0], b"REPLY", b"y"]);
    assert_eq!(before.receive_message(), [b"REPLY".to_vec(), b"y".to_vec()]);
    let mut after = gateway.user("alice-2", "another").unwrap();
    assert!(exchange(&mut after, &mut worker).starts_with("alice-2#"));
    assert!(exchange(&mut before, &mut worker).starts_with("alice#"));
    gateway.set_users(&[new]);
    assert_eq!(before.receive(), Received::End);
    assert!(exchange(&mut after, &mut worker).starts_with("alice-2#"));
}

/// A core dump contains the memory of the process, which must hold only the secrets in use.
#[test]
fn no_password_and_no_file_of_a_secret_stays_in_memory() {
    if !engine_is("native") {
        return;
    }
    let security = "{ curve: { secret: KEYS/secret, peers: any }, plain: { users: KEYS/users } }";
    const RIGHT: &str = "the right password 5d1c";
    const WRONG: &str = "the wrong password 8ab7";
    let users = line("alice", RIGHT);
    let gateway = Guarded::start(security, std::slice::from_ref(&users));
    let mut worker = gateway.worker();
    for _ in 0..2 {
        let mut alice = gateway.user("alice", RIGHT).unwrap();
        exchange(&mut alice, &mut worker);
    }
    assert!(gateway.user("alice", WRONG).is_none());
    assert!(gateway.user("nobody", WRONG).is_none());
    // A HELLO in pieces is collected before it is read.
    let mut raw = gateway.greeted();
    let (_, hello) = plain::Client::hello("alice", RIGHT).unwrap();
    let hello = command(&hello);
    for piece in hello.chunks(hello.len() / 2 + 1) {
        raw.send(piece);
    }
    assert!(matches!(raw.receive(), Received::Command(_)));

    let Some(memory) = gateway.process.contents() else {
        eprintln!("skipped: the memory of another process cannot be read here");
        return;
    };
    let found = |text: &[u8]| {
        let windows = memory.iter().map(|part| part.windows(text.len()));
        windows.flatten().filter(|part| *part == text).count()
    };
    let secret = gateway.ours.secret().to_z85();
    let hash = users.trim_end().rsplit('$').next().unwrap();
    for text in [RIGHT, WRONG, &**secret, hash] {
        assert_eq!(found(text.as_bytes()), 0, "{text}");
    }
    // The public key shows that the test has searched the memory that holds keys.
    assert!(found(gateway.ours.public().bytes()) > 0);
}

/// Each common mistake of a peer has a log line that explains it.
#[test]
fn each_mistake_of_a_user_is_logged_with_its_remedy() {
    if !engine_is("native") {
        return;
    }
    let mut gateway = Guarded::start(PLAIN, &[line("alice", "secret")]);
    for (user, password, hint) in [
        (
            "alice",
            "Secret",
            "the password of user alice is wrong: give the peer the right one",
        ),
        ("bob", "secret", "user bob is unknown: to admit it"),
        (
            "a b",
            "secret",
            "its user name is unknown and invalid: 612062",
        ),
    ] {
        // Each mistake has a gateway of its own, because the log does not repeat a mistake of one
        // address.
        let mut fresh = Guarded::start(PLAIN, &[line("alice", "secret")]);
        assert!(fresh.user(user, password).is_none());
        let reported = fresh
            .process
            .await_line("frontend clients: a connection is refused");
        let reported = reported["message"].as_str().unwrap();
        assert!(
            reported.contains(hint) && !reported.contains(password),
            "{reported}"
        );
    }
    let mut fresh = Guarded::start(PLAIN, &[line("alice", "secret")]);
    let _libzmq_client = libzmq(&zmq::Context::new(), &fresh.clients(), "alice", "Secret");
    fresh.process.await_line(
        "frontend clients: a connection is refused: the password of user alice is wrong",
    );
    let mut fresh = Guarded::start(PLAIN, &[line("alice", "secret")]);
    let _without = connected(&zmq::Context::new(), zmq::DEALER, &fresh.clients());
    fresh.process.await_line(
        "frontend clients: a connection is refused: it has no password (mechanism NULL)",
    );
    let mut fresh = Guarded::start(PLAIN, &[line("alice", "secret")]);
    let curve = pyzmq::Peer::by_curve(&fresh.clients(), keys().public(), &keys());
    if let Some(_running) = curve.start() {
        fresh.process.await_line(
            "frontend clients: a connection is refused: it asks for security mechanism CURVE, and PLAIN is required here",
        );
    }
    let mut raw = Raw::connect(&gateway.clients());
    raw.send(&naming(Mechanism::Null));
    let reported = gateway
        .process
        .await_line("frontend clients: a connection is refused");
    let reported = reported["message"].as_str().unwrap();
    let hint =
        "it has no password (mechanism NULL), and PLAIN is required here: give it a user name";
    assert!(reported.contains(hint), "{reported}");
    let mut gateway = Guarded::start(PLAIN, &[]);
    let mut raw = Raw::connect(&gateway.clients());
    raw.send(&naming(Mechanism::Curve));
    let reported = gateway
        .process
        .await_line("frontend clients: a connection is refused");
    let reported = reported["message"].as_str().unwrap();
    assert!(
        reported.contains("mechanism CURVE, and PLAIN is required here"),
        "{reported}"
    );
}

/// A peer that names PLAIN in its greeting but then breaks the protocol is not served, and does not
/// receive the reason.
#[test]
fn a_peer_that_only_names_plain_is_not_admitted() {
    if !engine_is("native") {
        return;
    }
    let gateway = Guarded::start(PLAIN, &[line("alice", "secret")]);
    let (client, hello) = plain::Client::hello("alice", "wrong").unwrap();
    let (_, initiate) = client.welcome(b"\x07WELCOME", &Ready::default()).unwrap();
    let request = message(&["OPAQUE", "x"]);
    for (case, bytes) in [
        ("READY", command(&ready("DEALER", &[]))),
        ("INITIATE", command(&initiate)),
        ("a message", request.clone()),
        (
            "HELLO and READY",
            [command(&hello), command(&ready("DEALER", &[]))].concat(),
        ),
        (
            "HELLO and INITIATE",
            [command(&hello), command(&initiate)].concat(),
        ),
        ("HELLO and a message", [command(&hello), request].concat()),
    ] {
        let mut raw = gateway.greeted();
        raw.try_send(&bytes);
        let mut received = Vec::new();
        // The connection ends with a close or a reset.
        let _ = raw.stream.read_to_end(&mut received);
        let has = |name: &[u8]| received.windows(name.len()).any(|part| part == name);
        assert!(
            !has(b"\x05READY") && !has(b"\x07WELCOME"),
            "{case}: {received:?}"
        );
    }
    assert!(gateway.user("alice", "secret").is_some());
}

#[test]
fn peers_with_a_key_with_a_password_and_with_neither_are_served_at_one_address() {
    if !engine_is("native") {
        return;
    }
    let bob = keys();
    let security = format!(
        "{{ curve: {{ secret: KEYS/secret, peers: {{ bob: \"{}\" }} }}, plain: {{ users: KEYS/users }}, anonymous: true }}",
        bob.public()
    );
    let gateway = Guarded::start(&security, &[line("alice", "secret")]);
    let status = gateway.process.status();
    assert_eq!(
        status["endpoints"][0]["security"],
        "curve, plain, anonymous"
    );
    let mut worker = gateway.worker();
    let mut alice = gateway.user("alice", "secret").unwrap();
    assert!(exchange(&mut alice, &mut worker).starts_with("alice#"));
    let security = client(&bob, gateway.ours.public());
    let mut bob = Peer::connect(&gateway.clients(), security, "DEALER").admitted();
    let mut other = Peer::connect(&gateway.clients(), SessionSecurity::None, "DEALER").admitted();
    for (client, name) in [(&mut bob, "bob#"), (&mut other, "anonymous#")] {
        client.send(&[b"OPAQUE", b"x"]);
        let request = worker.message();
        assert!(request[0].starts_with(name.as_bytes()), "{request:?}");
        worker.send(&[&request[0], b"REPLY", b"y"]);
        assert_eq!(client.message()[0], b"REPLY");
    }
    assert!(gateway.user("alice", "wrong").is_none());
    let names: Vec<_> = gateway.process.status()["principals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|principal| principal["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["alice", "anonymous", "bob"]);
}
