//! Tests of files with keys and of files with users. Valid files are accepted. An error in one file
//! is reported at its position, and does not affect the other files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gateway::config;
use gateway::security::{Initiator, KnownPeers, Proof, Security};
use gateway_zmtp::curve::{KeyPair, PublicKey};

use crate::binary::binary;
use crate::pages::configurations_in;

/// The keys in libzmq's manual page zmq_curve.
const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

/// A hash of a password, with parameters that make the hash quick to compute.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$Sh2ANMDx4ULcVEJ7GKY9RzLv2LJ6TRMFaSTBn0JrVkg";

const SECURED: &str = r#"
frontends: { clients: { bind: "tcp://*:5559", security: { curve: { secret: keys/gateway.key_secret, peers: keys/clients } } } }
pools: { people: { bind: "tcp://*:5560" } }
routes: { A: { pool: people } }
"#;

/// A directory with a routes.yaml and keys.
struct Files(tempfile::TempDir);

impl Files {
    fn new(yaml: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("routes.yaml", yaml);
        files.write(
            "keys/gateway.key_secret",
            &format!(
                "metadata\ncurve\n    public-key = \"{PUBLIC}\"\n    secret-key = \"{SECRET}\"\n"
            ),
        );
        files.restrict("keys/gateway.key_secret");
        files
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn restrict(&self, name: &str) {
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), mode).unwrap();
    }

    /// Writes the public key of a new pair into a file with pyzmq's format, and returns the key.
    fn add(&self, name: &str) -> PublicKey {
        let key = KeyPair::generate().unwrap().public();
        self.write(
            name,
            &format!("metadata\ncurve\n    public-key = \"{key}\"\n"),
        );
        key
    }

    /// Runs `gateway check`, and returns its exit code, standard output and standard error.
    fn check(&self) -> (Option<i32>, String, String) {
        let output = std::process::Command::new(binary())
            .arg("check")
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Loads the configuration, and returns the security of the frontend and the warnings about the
    /// configuration.
    fn load(&self) -> (Security, String) {
        let loaded = config::load(&self.path("routes.yaml"));
        let loaded = loaded.unwrap_or_else(|found| panic!("{found}"));
        let frontend = loaded.snapshot.frontends.values().next().unwrap();
        let security = frontend.security.as_ref().unwrap();
        (Security::clone(security), loaded.warnings.to_string())
    }

    fn principal(&self, key: &PublicKey) -> Option<String> {
        let principal = self.load().0.principal(&Proof::Key(*key), Initiator::Peer);
        principal.map(|name| name.to_string())
    }
}

#[test]
fn the_configurations_of_the_page_pass() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = fs::read_to_string(page).unwrap();
    // The configurations inside numbered steps are indented.
    let steps: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("   "))
        .collect();
    let steps = configurations_in(&steps.join("\n"));
    let blocks = steps.into_iter().chain(configurations_in(&page));
    let mut checked = 0;
    for block in blocks {
        let files = Files::new(&block);
        for name in ["clients/alice", "workers/worker-1", "worker-1", "worker-2"] {
            files.add(&format!("keys/{name}.key"));
        }
        files.write("keys/users", &format!("alice:{HASH}\n"));
        files.restrict("keys/users");
        let (code, _, stderr) = files.check();
        assert_eq!((code, &*stderr), (Some(0), ""), "{block}");
        checked += 1;
    }
    assert!(checked >= 2, "{checked}");
}

#[test]
fn principals_are_named_by_the_file_its_metadata_or_the_map() {
    let files = Files::new(SECURED);
    let alice = files.add("keys/clients/alice.key");
    let berlin = files.add("keys/clients/berlin/sensor-1.key");
    files.write("keys/clients/bare.pub", PUBLIC);
    let named = KeyPair::generate().unwrap().public();
    for name in ["one", "two"] {
        let text = format!("metadata\n    name = \"bob\"\ncurve\n    public-key = \"{named}\"\n");
        files.write(&format!("keys/clients/{name}.key"), &text);
    }
    assert_eq!(files.check().0, Some(0));
    for (key, name) in [
        (alice, "alice"),
        (berlin, "sensor-1"),
        (PublicKey::from_z85(PUBLIC).unwrap(), "bare"),
        (named, "bob"),
    ] {
        assert_eq!(files.principal(&key).as_deref(), Some(name));
    }
    assert_eq!(
        files.principal(&KeyPair::generate().unwrap().public()),
        None
    );
    let map = SECURED.replace(
        "keys/clients",
        &format!("{{ carol: [\"{PUBLIC}\", \"{alice}\"] }}"),
    );
    files.write("routes.yaml", &map);
    assert_eq!(files.principal(&alice).as_deref(), Some("carol"));
    files.write("routes.yaml", &SECURED.replace("keys/clients", "any"));
    let (security, warnings) = files.load();
    assert_eq!(security.curve.unwrap().peers, KnownPeers::Any);
    assert!(warnings.contains("is admitted"), "{warnings}");
}

/// The exit code of `gateway check` is 1, but a gateway runs with the other keys.
#[test]
fn an_error_in_a_peers_file_excludes_only_that_key() {
    let files = Files::new(SECURED);
    let alice = files.add("keys/clients/alice.key");
    for (name, text, reported) in [
        (
            "typo.key",
            format!("curve\n    public-key = \"{}\"\n", &PUBLIC[1..]),
            "typo.key:2:19",
        ),
        ("empty.key", String::new(), "empty.key:1:1"),
        ("anonymous.key", PUBLIC.to_owned(), "anonymous.key:1:1"),
        ("a b.key", PUBLIC.to_owned(), "a b.key:1:1"),
        (
            "both.key",
            format!("curve\n    secret-key = \"{SECRET}\"\n    public-key = \"{PUBLIC}\"\n"),
            "both.key:2:19",
        ),
    ] {
        let name = format!("keys/clients/{name}");
        files.write(&name, &text);
        let (code, stdout, stderr) = files.check();
        assert_eq!((code, &*stdout), (Some(1), ""), "{name}");
        assert!(
            stderr.contains(reported) && stderr.contains("this key is ignored"),
            "{stderr}"
        );
        assert!(!stderr.contains(&SECRET[..8]), "{stderr}");
        assert_eq!(files.principal(&alice).as_deref(), Some("alice"), "{name}");
        assert_eq!(files.principal(&PublicKey::from_z85(PUBLIC).unwrap()), None);
        fs::remove_file(files.path(&name)).unwrap();
    }
    // The gateway does not read files with secret keys in the directory.
    files.write("keys/clients/bob.key_secret", SECRET);
    let (code, _, stderr) = files.check();
    assert!(
        code == Some(0) && stderr.contains("bob.key_secret is ignored"),
        "{stderr}"
    );
}

/// The gateway rejects a configuration with one of these errors.
#[test]
fn other_errors_of_keys_are_reported() {
    let other = KeyPair::generate().unwrap();
    let with_secret = |text: &str| SECURED.replace("keys/gateway.key_secret", text);
    let with_peers = |text: &str| SECURED.replace("keys/clients", text);
    let literal = format!("{:?}", &*other.secret().to_z85());
    let two_names = format!("{{ alice: {PUBLIC:?}, bob: {PUBLIC:?} }}");
    for (yaml, reported) in [
        (with_secret("keys/missing"), "routes.yaml:2:76"),
        (with_secret("keys"), "is a directory"),
        (
            with_secret("keys/clients/alice.key"),
            "no secret key in the file",
        ),
        (with_secret("keys/swapped"), "does not belong"),
        (with_secret(&literal), "routes.yaml:2:76"),
        (with_peers("keys/missing"), "No such file"),
        (with_peers(&two_names), "two names, alice and bob"),
        (with_peers("{ alice: short }"), "found 5"),
        (with_peers("{ a#1: short }"), "can't be a principal"),
        (with_peers("[keys/clients]"), "can't be a list"),
        (
            with_peers("keys/clients, server: keys/clients/alice.key"),
            "without \"connect\"",
        ),
        (
            SECURED.replace(", peers: keys/clients", ""),
            "has no \"peers\"",
        ),
        (
            SECURED.replace("secret: keys/gateway.key_secret, ", ""),
            "has no \"secret\"",
        ),
        (
            SECURED.replace("} } } }\npools", "}, plain: {} } } }\npools"),
            "\"plain\" has no \"users\"",
        ),
        (
            SECURED.replace("} } } }\npools", "}, from: 10.0.0.1/8 } } }\npools"),
            "10.0.0.0/8",
        ),
        (
            SECURED.replace("5560\"", "5560\", identity: client"),
            "identity \"client\"",
        ),
        (
            format!("engine: libzmq{SECURED}"),
            "not supported by engine libzmq",
        ),
        (
            format!("security: {{ curve: {{ secret: keys/gateway.key_secret }} }}{SECURED}"),
            "pool people does not name its workers' keys",
        ),
        (
            format!("security: {{ from: 10.0.0.0/8 }}{SECURED}"),
            "pool people does not name its workers' addresses",
        ),
    ] {
        let files = Files::new(&yaml);
        files.add("keys/clients/alice.key");
        let swapped = format!("public-key = {}\nsecret-key = {SECRET}\n", other.public());
        files.write("keys/swapped", &swapped);
        let (code, _, stderr) = files.check();
        assert_eq!(code, Some(1), "{yaml}");
        assert!(stderr.contains(reported), "{reported}: {stderr}");
        for secret in [SECRET, &other.secret().to_z85()] {
            assert!(!stderr.contains(&secret[..8]), "{stderr}");
        }
    }
}

#[test]
fn doubtful_settings_cause_warnings() {
    let files = Files::new(SECURED);
    fs::create_dir(files.path("keys/clients")).unwrap();
    let (code, _, stderr) = files.check();
    assert!(
        code == Some(0) && stderr.contains("no peer with a key is admitted"),
        "{stderr}"
    );
    files.add("keys/clients/alice.key");
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(files.path("keys/gateway.key_secret"), mode).unwrap();
    let (code, _, stderr) = files.check();
    let help = "chmod 600 keys/gateway.key_secret";
    assert!(code == Some(0) && stderr.contains(help), "{stderr}");
    files.restrict("keys/gateway.key_secret");
    let shared = SECURED.replace(
        "5560\"",
        "5560\", security: { curve: { secret: keys/gateway.key_secret, peers: keys/clients } }",
    );
    files.write("routes.yaml", &shared);
    let (code, _, stderr) = files.check();
    assert!(
        code == Some(0) && stderr.contains("admitted as workers"),
        "{stderr}"
    );
}

/// Access of the file's group causes no warning, because the gateway may run in this group.
#[test]
fn files_with_secrets_that_other_users_can_access_cause_a_warning() {
    let yaml = SECURED.replace(
        "} } } }\npools",
        "}, plain: { users: keys/users } } } }\npools",
    );
    let yaml = yaml.replace("tcp://*:5559", "tcp://127.0.0.1:5559");
    for name in ["keys/gateway.key_secret", "keys/users"] {
        let files = Files::new(&yaml);
        files.add("keys/clients/alice.key");
        files.write("keys/users", &format!("alice:{HASH}\n"));
        files.restrict("keys/users");
        for (mode, expected) in [
            (0o600, false),
            (0o400, false),
            (0o640, false),
            (0o604, true),
            (0o644, true),
            (0o602, true),
            (0o777, true),
        ] {
            fs::set_permissions(files.path(name), fs::Permissions::from_mode(mode)).unwrap();
            let (code, _, stderr) = files.check();
            let has_warning = stderr.contains(&format!("chmod 600 {name}"));
            assert_eq!(
                (code, has_warning),
                (Some(0), expected),
                "{mode:o} {stderr}"
            );
            assert_eq!(stderr.is_empty(), !expected, "{mode:o} {stderr}");
        }
    }
}

fn keygen(directory: &Path, name: &str) -> (Option<i32>, String) {
    let output = std::process::Command::new(binary())
        .args(["keygen", name])
        .current_dir(directory)
        .output()
        .unwrap();
    let both = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(both).unwrap())
}

#[test]
fn keygen_writes_a_pair_that_only_its_owner_can_read_and_overwrites_nothing() {
    let files = Files::new(SECURED);
    let keys = files.path("keys");
    fs::remove_file(files.path("keys/gateway.key_secret")).unwrap();
    let (code, reported) = keygen(&keys, "gateway");
    assert_eq!(code, Some(0), "{reported}");
    let text = |name: &str| fs::read_to_string(files.path(name)).unwrap();
    let (public, secret) = (text("keys/gateway.key"), text("keys/gateway.key_secret"));
    let mode = fs::metadata(files.path("keys/gateway.key_secret"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(secret.starts_with(&public) && secret.contains("secret-key"));
    assert!(!public.contains("secret") && !reported.contains(secret.rsplit('"').nth(1).unwrap()));
    let (code, reported) = keygen(&keys, "gateway");
    assert!(
        code == Some(1) && reported.contains("already exists"),
        "{reported}"
    );
    fs::remove_file(files.path("keys/gateway.key")).unwrap();
    assert_eq!(keygen(&keys, "gateway").0, Some(1));
    assert_eq!(text("keys/gateway.key_secret"), secret);
    for name in ["", "a b", "a#1", "../alice", "anonymous"] {
        assert_eq!(keygen(&keys, name).0, Some(1), "{name}");
    }
    fs::create_dir(files.path("keys/clients")).unwrap();
    assert_eq!(keygen(&files.path("keys/clients"), "alice").0, Some(0));
    fs::remove_file(files.path("keys/clients/alice.key_secret")).unwrap();
    assert_eq!(
        files.check(),
        (
            Some(0),
            "routes.yaml: ok: 1 route, 1 pool, 1 frontend, 0 messages\n".into(),
            String::new()
        )
    );
}

/// Runs `gateway check` on each configuration, with a key of the client alice. Asserts the exit
/// code and a part of standard error. If the expected part is empty, standard error must be empty.
fn check_with_key(cases: &[(String, i32, &str)]) {
    for (yaml, code, reported) in cases {
        let files = Files::new(yaml);
        files.add("keys/clients/alice.key");
        let (found, _, stderr) = files.check();
        assert_eq!(found, Some(*code), "{yaml}{stderr}");
        assert!(
            stderr.contains(reported) && (stderr.is_empty() == reported.is_empty()),
            "{yaml}{stderr}"
        );
    }
}

#[test]
fn a_route_may_name_principals_only_if_clients_are_identified() {
    let route = |allow: &str| {
        SECURED.replace(
            "{ pool: people }",
            &format!("{{ pool: people, allow: {allow} }}"),
        )
    };
    check_with_key(&[
        (route("[alice, \"al*\", anonymous]"), 0, ""),
        (route("\"*\""), 0, ""),
        (route("bob"), 0, "no peer has this name"),
        (route("alice, rate: 100/s"), 0, ""),
        (route("alice, rate: { rate: 100/s, burst: 500 }"), 0, ""),
        (route("alice, rate: 100"), 1, "expected a number and a unit"),
        (
            route("alice, rate: { burst: 5 }"),
            1,
            "does not say how often",
        ),
        (
            route("alice, rate: { rate: 1/h, brust: 5 }"),
            1,
            "did you mean \"burst\"",
        ),
        (route("[\"a*b\"]"), 1, "can't be a principal"),
        (route("[]"), 1, "can't be an empty list"),
        (
            format!("engine: libzmq\n{}", route("alice")),
            1,
            "\"allow\" is not supported by engine libzmq",
        ),
        (
            route("alice").replace("security: { curve", "errors: json } } #"),
            1,
            "has no effect without \"security\"",
        ),
    ]);
}

const CHANNEL: &str = r#"
channels:
  ticks:
    publishers: { bind: "tcp://*:5561", security: { curve: { secret: keys/gateway.key_secret, peers: keys/clients } } }
    subscribers: { bind: "tcp://*:5562", security: none }
  notes: { publishers: { bind: "tcp://*:5563", security: none }, subscribers: { bind: "tcp://*:5564", security: none } }
routes: { A: { publish: ticks, allow: alice }, B: { publish: notes } }
"#;

/// The `allow` of a route to a channel applies to the publishers of the channel and to the clients
/// that may publish. So the gateway must know the names of both.
#[test]
fn a_route_to_a_channel_may_name_principals_only_if_all_senders_are_identified() {
    let replaced = |from: &str, to: &str| CHANNEL.replace(from, to);
    let with_frontend = |security: &str| {
        let frontends =
            format!("frontends: {{ c: {{ bind: \"tcp://*:5559\", security: {security} }} }}");
        format!("{frontends}{CHANNEL}")
    };
    let curve = "{ curve: { secret: keys/gateway.key_secret, peers: keys/clients } }";
    let (secured, open) = (with_frontend(curve), with_frontend("none"));
    let with_pool = format!("pools: {{ p: {{ bind: \"tcp://*:5560\" }} }}\n{open}");
    let with_pool = with_pool.replace("publish: ticks, allow: alice", "publish: ticks");
    let with_pool = with_pool.replace("routes: {", "routes: { P: { pool: p, allow: alice },");
    let allow_notes =
        |config: &str| config.replace("publish: notes", "publish: notes, allow: alice");
    check_with_key(&[
        (CHANNEL.to_owned(), 0, ""),
        (replaced("alice", "bob"), 0, "no peer has this name"),
        (allow_notes(CHANNEL), 1, "who a publisher is"),
        (secured.clone(), 0, ""),
        (allow_notes(&secured), 0, ""),
        (open, 1, "could choose any identity"),
        (with_pool, 1, "who a client is: give a frontend"),
    ]);
}

/// Publishers and subscribers inherit only `secret` from the `security` of the whole file.
#[test]
fn each_side_of_a_channel_must_name_its_own_peers() {
    let own = "security: { curve: { secret: keys/gateway.key_secret, peers: keys/clients } }";
    let for_all = |security: &str| format!("security: {security}{CHANNEL}");
    let keys = for_all("{ curve: { secret: keys/gateway.key_secret, peers: keys/clients } }");
    let addresses = for_all("{ from: 10.0.0.0/8 }");
    let without_first = |config: &str, part: &str| {
        assert!(config.contains(part), "{part}");
        config.replacen(part, "", 1)
    };
    let no_own = without_first(&keys, &format!(", {own}"));
    let no_own = no_own.replace(", allow: alice", "");
    let inherits_secret = keys.replacen("secret: keys/gateway.key_secret, ", "", 2);
    let inherits_secret = inherits_secret.replacen(
        "{ curve: {",
        "{ curve: { secret: keys/gateway.key_secret,",
        1,
    );
    let subscribers = "5562\", security: none";
    check_with_key(&[
        (keys.clone(), 0, ""),
        (inherits_secret, 0, ""),
        (
            no_own,
            1,
            "channel ticks does not name its publishers' keys",
        ),
        (
            keys.replace(subscribers, "5562\""),
            1,
            "channel ticks does not name its subscribers' keys",
        ),
        (
            addresses.replace(subscribers, "5562\""),
            1,
            "channel ticks does not name its subscribers' addresses",
        ),
        (
            without_first(CHANNEL, ", peers: keys/clients"),
            1,
            "has no \"peers\"",
        ),
        (
            CHANNEL.replace("keys/gateway.key_secret", "keys/missing"),
            1,
            "No such file",
        ),
    ]);
    let files = Files::new(CHANNEL);
    files.add("keys/clients/alice.key");
    let loaded = config::load(&files.path("routes.yaml")).unwrap();
    let channels = loaded.snapshot.channels.values();
    let secured = channels.map(|channel| {
        (
            channel.publishers.security.is_some(),
            channel.subscribers.security.is_some(),
        )
    });
    assert_eq!(secured.collect::<Vec<_>>(), [(true, false), (false, false)]);
}

const PLAIN: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0", security: { plain: { users: keys/users } } } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { A: { pool: people, allow: alice } }
"#;

#[test]
fn an_error_in_a_file_of_users_is_reported_and_excludes_only_that_user() {
    let files = Files::new(PLAIN);
    let text = format!("# Users\nalice:{HASH}\nbob:{HASH}x!\na b:{HASH}\nsecret\nalice:{HASH}\n");
    files.write("keys/users", &text);
    files.restrict("keys/users");
    let (code, _, stderr) = files.check();
    assert_eq!(code, Some(1), "{stderr}");
    for reported in [
        "error: this is not a valid hash of argon2",
        "keys/users:3:5",
        "expected a hash of argon2",
        "error: this can't be the name of a user",
        "keys/users:4:1",
        "error: the line names no user",
        "keys/users:5:1",
        "error: user alice has two lines",
        "keys/users:6:1",
        "this line is ignored, and all other lines are in force",
    ] {
        assert!(stderr.contains(reported), "{reported}: {stderr}");
    }
    // The output has neither a hash nor a text that may be a password.
    assert!(
        !stderr.contains("c29tZXNh") && !stderr.contains("secret"),
        "{stderr}"
    );
    let (security, warnings) = files.load();
    let users = security.plain.as_ref().unwrap();
    let names: Vec<_> = users.names().map(|name| name.to_string()).collect();
    assert_eq!(names, ["alice"], "{warnings}");
}

/// Runs `gateway check` on each configuration, with the password of the user alice. Asserts the
/// exit code and a part of standard error. If the expected part is empty, standard error must be
/// empty.
fn check_with_user(cases: &[(String, i32, &str)]) {
    for (yaml, code, reported) in cases {
        let files = Files::new(yaml);
        files.write("keys/users", &format!("alice:{HASH}\n"));
        files.restrict("keys/users");
        let (found, _, stderr) = files.check();
        assert_eq!(found, Some(*code), "{yaml}{stderr}");
        assert!(
            stderr.contains(reported) && (stderr.is_empty() == reported.is_empty()),
            "{yaml}{stderr}"
        );
    }
}

#[test]
fn passwords_in_clear_text_cause_a_warning() {
    let with_address =
        |address: &str| PLAIN.replace("127.0.0.1:0\", security", &format!("{address}\", security"));
    let curve = format!(
        "{{ curve: {{ secret: keys/gateway.key_secret, peers: {{ bob: \"{PUBLIC}\" }} }}, plain"
    );
    check_with_user(&[
        (PLAIN.to_owned(), 0, ""),
        (with_address("[::1]:0"), 0, ""),
        (with_address("localhost:0"), 0, ""),
        (with_address("*:5559"), 0, "in clear text"),
        (with_address("10.1.2.3:5559"), 0, "in clear text"),
        (with_address("*:5559").replace("{ plain", &curve), 0, ""),
    ]);
    let files = Files::new(PLAIN);
    files.write("keys/users", &format!("alice:{HASH}\n"));
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(files.path("keys/users"), mode).unwrap();
    let (code, _, stderr) = files.check();
    assert!(
        code == Some(0) && stderr.contains("can read the password hashes"),
        "{stderr}"
    );
}

#[test]
fn plain_is_rejected_where_users_cannot_be_checked() {
    let connects = PLAIN.replace(
        "bind: \"tcp://127.0.0.1:0\", security",
        "connect: \"tcp://127.0.0.1:1\", security",
    );
    let workers = PLAIN.replace(
        "people: { bind: \"tcp://127.0.0.1:0\"",
        "people: { bind: \"tcp://127.0.0.1:0\", security: { plain: { users: keys/users } }",
    );
    let inherited = format!("security: {{ plain: {{ users: keys/users }} }}{SECURED}");
    let replaced = |from: &str, to: &str| PLAIN.replace(from, to);
    check_with_user(&[
        (connects, 1, "not supported with \"connect\""),
        (replaced("keys/users", "keys/none"), 1, "can't read"),
        (replaced("keys/users", "keys"), 1, "can't read"),
        (
            replaced("{ users: keys/users }", "{}"),
            1,
            "\"plain\" has no \"users\"",
        ),
        (replaced("{ users:", "{ user:"), 1, "did you mean \"users\""),
        (
            replaced("allow: alice", "allow: bob"),
            0,
            "no peer has this name",
        ),
        (
            format!("engine: libzmq\n{PLAIN}"),
            1,
            "not supported by engine libzmq",
        ),
        (workers, 0, "clients are admitted as workers"),
        (inherited, 1, "pool people does not name its workers' keys"),
    ]);
}

/// Runs `gateway keygen --user` with this input, and returns its exit code and output.
fn keygen_user(name: &str, input: &[u8]) -> (Option<i32>, String) {
    let mut child = std::process::Command::new(binary())
        .args(["keygen", "--user", name])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A program that rejects the name may exit without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn keygen_prints_the_line_of_a_user() {
    let (code, line) = keygen_user("alice", b"secret\n");
    assert_eq!(code, Some(0), "{line}");
    assert!(line.starts_with("alice:$argon2id$v=19$m=19456,t=2,p=1$") && line.ends_with('\n'));
    assert!(
        !line.contains("secret") && line.lines().count() == 1,
        "{line}"
    );
    let (_, again) = keygen_user("alice", b"secret");
    assert_ne!(line, again, "two hashes have the same salt");
    let files = Files::new(PLAIN);
    files.write("keys/users", &line);
    files.restrict("keys/users");
    assert_eq!(files.check().0, Some(0));
    assert_eq!(keygen_user("alice", &[b'x'; 255]).0, Some(0));
    for (name, input, reported) in [
        ("alice", &b""[..], "it is empty"),
        ("alice", b"\n", "it is empty"),
        ("alice", &[b'x'; 256], "more than 255 bytes"),
        ("a b", b"secret", "can't name a user"),
        ("a:b", b"secret", "can't name a user"),
        ("anonymous", b"secret", "can't name a user"),
    ] {
        let (code, text) = keygen_user(name, input);
        assert!(code == Some(1) && text.contains(reported), "{name}: {text}");
    }
}
