//! Tests that the pages list every line of the log, and every JSON key of /status, /rejections and
//! diagnostics.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::support::TEST_TIMEOUT;
use crate::support::gateway::{engine_is, yaml};
use crate::support::process::Process;

const OPERATING: &str = include_str!("../../docs/operating.md");

/// Returns the texts between backticks.
fn words(text: &str) -> Vec<String> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// Returns the cells of each row of every table in a text.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

/// A call of a logging macro, such as `info!`.
#[derive(Debug)]
struct LogCall {
    levels: BTreeSet<String>,
    /// The fixed parts of the message, in order.
    parts: Vec<String>,
    fields: BTreeSet<String>,
    call: String,
}

impl LogCall {
    /// Parses the arguments of a call.
    fn parse(level: &str, call: &str) -> Self {
        let levels = match level {
            // The macro in src/rejections.rs is expanded with these three levels.
            "$level" => vec!["debug", "info", "warn"],
            level => vec![level],
        };
        let mut fields = BTreeSet::new();
        for argument in arguments(call) {
            if let Some(message) = argument.strip_prefix('"') {
                let message = message.trim_end_matches('"');
                let parts = message.split('{').enumerate().map(|(n, part)| match n {
                    0 => part,
                    _ => part.split_once('}').unwrap().1,
                });
                return Self {
                    levels: levels.into_iter().map(str::to_owned).collect(),
                    parts: parts.map(str::to_owned).collect(),
                    fields,
                    call: call.to_owned(),
                };
            }
            let name = argument.split('=').next().unwrap().trim();
            if !name.starts_with("target:") {
                fields.insert(name.trim_start_matches(['%', '?']).to_owned());
            }
        }
        panic!("no message in {call}");
    }

    /// Returns whether `message` has all fixed parts in order.
    fn matches(&self, message: &str) -> bool {
        let mut rest = message;
        self.parts.iter().all(|part| match rest.find(&**part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }

    /// Returns whether the message has no fixed words, so that only the fields identify the line.
    fn has_no_words(&self) -> bool {
        !self
            .parts
            .iter()
            .any(|part| part.contains(char::is_alphabetic))
    }
}

/// Splits the arguments of a call at the commas outside brackets and string literals.
fn arguments(call: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let (mut depth, mut is_text, mut last) = (0, false, ' ');
    for c in call.chars() {
        match c {
            '"' if last != '\\' => is_text = !is_text,
            '(' | '[' | '{' if !is_text => depth += 1,
            ')' | ']' | '}' if !is_text => depth -= 1,
            ',' if !is_text && depth == 0 => {
                arguments.push(String::new());
                last = c;
                continue;
            }
            _ => {}
        }
        last = c;
        arguments.last_mut().unwrap().push(c);
    }
    let arguments = arguments.iter().map(|argument| argument.trim().to_owned());
    arguments.collect()
}

/// Adds the calls of logging macros in all files below a directory.
fn log_calls(directory: &Path, found: &mut Vec<LogCall>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            log_calls(&path, found);
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        for level in ["error", "warn", "info", "debug", "trace", "$level"] {
            let opening = format!("{level}!(");
            for (at, _) in code.match_indices(&opening) {
                let rest = &code[at + opening.len()..];
                let (mut depth, mut is_text, mut last) = (1, false, ' ');
                let end = rest.find(|c| {
                    match c {
                        '"' if last != '\\' => is_text = !is_text,
                        '(' if !is_text => depth += 1,
                        ')' if !is_text => depth -= 1,
                        _ => {}
                    }
                    last = c;
                    depth == 0
                });
                found.push(LogCall::parse(level, &rest[..end.unwrap()]));
            }
        }
    }
}

#[test]
fn the_table_of_the_log_has_every_line_with_its_level_and_its_fields() {
    let mut lines = Vec::new();
    log_calls(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut lines,
    );
    assert!(lines.len() > 30, "{}", lines.len());
    let section = OPERATING.split("## What the log says").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut documented = 0;
    let mut reported = BTreeSet::new();
    for row in rows(section).filter(|row| row.len() == 4 && row[0] != "message") {
        let levels: BTreeSet<_> = row[1].split(", ").map(str::to_owned).collect();
        let fields: BTreeSet<_> = words(row[2]).into_iter().collect();
        let messages = words(row[0]);
        let (mut found_levels, mut found_fields) = (BTreeSet::new(), BTreeSet::new());
        for message in &messages {
            let mut candidates = lines.iter().filter(|line| line.levels.is_subset(&levels));
            assert!(candidates.any(|line| line.matches(message)), "{message}");
        }
        for (n, line) in lines.iter().enumerate() {
            let is_match = match line.has_no_words() {
                true => line.fields == fields,
                false => messages.iter().any(|message| line.matches(message)),
            };
            if is_match && line.levels.is_subset(&levels) && line.fields.is_subset(&fields) {
                found_levels.extend(line.levels.clone());
                found_fields.extend(line.fields.clone());
                reported.insert(n);
            }
        }
        assert_eq!((found_levels, found_fields), (levels, fields), "{row:?}");
        documented += 1;
    }
    assert!(documented > 20, "{documented}");
    let missing = lines
        .iter()
        .enumerate()
        .filter(|(n, _)| !reported.contains(n));
    let missing: Vec<_> = missing.map(|(_, line)| &line.call).collect();
    assert!(missing.is_empty(), "not in docs/operating.md: {missing:#?}");
}

#[test]
fn a_line_that_names_a_peer_has_its_address() {
    let mut lines = Vec::new();
    log_calls(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut lines,
    );
    let has_peer = |line: &&LogCall| {
        let mut peers = ["client", "worker", "subscriber", "publisher"].iter();
        peers.any(|peer| line.fields.contains(*peer))
    };
    let with_peer: Vec<_> = lines.iter().filter(has_peer).collect();
    assert!(with_peer.len() > 5, "{with_peer:#?}");
    let mut without_address = with_peer.iter();
    let without_address = without_address.find(|line| !line.fields.contains("peer"));
    assert!(without_address.is_none(), "{without_address:#?}");
}

/// Adds to `found` the paths of all keys in a value, with `[]` for the items of a list. `path` is
/// the path of the value itself. Does not descend below a path that ends with one of `leaves`.
fn add_paths(value: &Value, path: &str, leaves: &[&str], found: &mut BTreeSet<String>) {
    match value {
        _ if leaves.iter().any(|leaf| path.ends_with(leaf)) => {
            found.insert(path.to_owned());
        }
        Value::Object(map) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                add_paths(value, &format!("{path}{dot}{key}"), leaves, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                add_paths(item, &format!("{path}[]"), leaves, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// Replaces the name of a section in the path of a change. All sections have the same keys, but the
/// test does not change all sections.
fn unify_sections(path: &str) -> String {
    let mut path = path.to_owned();
    for kind in ["pools", "channels", "routes", "protos"] {
        path = path.replace(&format!("changes.{kind}"), "changes.frontends");
    }
    path
}

/// A channel with every kind of address, and the start of `routes` with a route to the channel.
const CHANNEL: &str = r#"
channels:
  ticks:
    publishers: { connect: "tcp://127.0.0.1:1" }
    subscribers: { bind: "tcp://127.0.0.1:0", connect: "tcp://127.0.0.1:1" }
routes:
  tick: { publish: ticks }
"#;

/// Returns a subscriber of the channel. The gateway has received its subscription.
fn subscriber(context: &zmq::Context, process: &Process) -> zmq::Socket {
    let subscriber = context.socket(zmq::SUB).unwrap();
    subscriber.set_subscribe(b"tick").unwrap();
    let endpoint = process.endpoint("subscriber side of channel ticks");
    subscriber.connect(&endpoint).unwrap();
    let deadline = Instant::now() + TEST_TIMEOUT;
    while process.status()["channels"][0]["subscriptions"][0]["prefix_count"] != 1 {
        assert!(Instant::now() < deadline, "no subscription");
    }
    subscriber
}

#[test]
fn the_page_has_every_key_of_the_status() {
    let routes = "  R: { pool: other, timeout: 1s, frontends: clients, reply: demo.Reply }";
    let other = "queue: 7 }, other: { connect: \"tcp://127.0.0.1:1\"";
    let is_native = engine_is("native");
    let security = match is_native {
        true => "security: { from: 127.0.0.0/8 },",
        false => "",
    };
    let clients = format!("far: {{ connect: \"tcp://127.0.0.1:1\" }}, clients: {{ {security}");
    let text = yaml(routes, other).replace("clients: {", &clients);
    let process = Process::start(&match is_native {
        true => text.replace("routes:\n", CHANNEL),
        false => text,
    });
    process.await_first_check();
    let context = zmq::Context::new();
    let _subscriber = is_native.then(|| subscriber(&context, &process));
    let _worker = process.peer(&context, zmq::DEALER, "pool people");
    let _client = process.peer(&context, zmq::DEALER, "frontend clients");
    process.await_metrics("a client", |metrics| {
        // Engine libzmq knows a client only after the client's first message.
        !is_native || metrics.sum("gateway_clients", &[]) == 1.0
    });
    process.await_metrics("a worker", |metrics| {
        metrics.sum("gateway_pool_workers", &[]) == 1.0
    });
    // The edit adds, changes and removes entries.
    let text = fs::read_to_string(process.file()).unwrap();
    let text = text.replace("queue: 7", "queue: 8").replace("R: {", "S: {");
    let text = text.replace("far: {", "near: {");
    let text = format!("{text}shutdown: {{ grace: 1s }}\n");
    fs::write(process.file(), text).unwrap();
    let reported = process.reload();
    assert_eq!(reported.code, 200, "{}", reported.body);
    let proto = process.directory.path().join("schemas/person.proto");
    let person = fs::read_to_string(&proto).unwrap();
    let status = process.status();
    let mut present = BTreeSet::new();
    let leaves = ["rejections", "diagnostics[]"];
    add_paths(&status, "", &leaves, &mut present);
    // After a failed reload, the status contains diagnostics.
    fs::write(&proto, person.replace("string", "strin")).unwrap();
    assert_eq!(process.reload().code, 422);
    add_paths(&process.status(), "", &leaves, &mut present);
    let mut present: BTreeSet<_> = present.iter().map(|path| unify_sections(path)).collect();
    // An empty list has no path. If a value is null in one answer and a list in another, keep only
    // the path with `[]`.
    let all = present.clone();
    present.retain(|path| path != "last_reload" && !all.contains(&format!("{path}[]")));

    let page = include_str!("../../docs/status.md");
    let page = page.split("\n# /rejections").next().unwrap();
    let listed = rows(page).flat_map(|row| words(row[0]));
    let mut listed: BTreeSet<String> = listed.collect();
    assert!(listed.remove("last_reload"));
    if !is_native {
        listed.retain(|path| !path.starts_with("principals[]"));
        present.remove("principals");
        listed.retain(|path| !path.starts_with("memory.") && !path.starts_with("channels[]"));
        present.remove("channels");
        assert!(present.remove("memory"), "memory is null");
    }
    // The row "`routes[].received` to `routes[].rejections`" stands for all keys of the ledger.
    let keys = listed.iter().filter_map(|key| key.strip_prefix("ledger."));
    let keys: Vec<_> = keys.map(|key| format!("routes[].{key}")).collect();
    listed.extend(keys);
    assert_eq!(listed, present);
}

#[test]
fn the_page_has_every_key_of_a_rejection() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    client.send_multipart(["PERSON", "{"], 0).unwrap();
    client.recv_multipart(0).unwrap();
    let mut present = BTreeSet::new();
    let reported = process.get("/rejections").json();
    add_paths(&reported["rejections"][0], "", &[], &mut present);
    let page = include_str!("../../docs/status.md");
    let table = page.split("\n# /rejections").nth(1).unwrap();
    let listed: BTreeSet<_> = rows(table)
        .filter(|row| !row[0].starts_with("key"))
        .collect();
    let listed: BTreeSet<_> = listed.iter().flat_map(|row| words(row[0])).collect();
    assert_eq!(listed, present);
}

#[test]
fn the_page_has_every_key_of_a_diagnostic() {
    let process = Process::start(&yaml("", ""));
    let proto = process.directory.path().join("schemas/person.proto");
    fs::write(
        proto,
        "syntax = \"proto3\"; package demo; message Person { strin a = 1; }",
    )
    .unwrap();
    let reported = process.reload().json();
    let mut present = BTreeSet::new();
    let leaves = ["related[]"];
    add_paths(&reported["diagnostics"][0], "", &leaves, &mut present);
    let present = present.iter().map(|path| path.replace("[]", ""));
    let mut present: BTreeSet<_> = present.collect();
    let table = OPERATING.split("Each entry has these keys").nth(1).unwrap();
    let table = table.split("Entries are sorted").next().unwrap();
    let listed: BTreeSet<_> = rows(table).flat_map(|row| words(row[0])).collect();
    assert_eq!(listed, present);
    // A related entry has only the keys of a message and of a position.
    for key in ["severity", "label", "help", "related"] {
        assert!(present.remove(key));
    }
    let related = reported["diagnostics"][0]["related"][0]
        .as_object()
        .unwrap();
    assert_eq!(related.keys().cloned().collect::<BTreeSet<_>>(), present);
}
