//! Tests that the defaults and bounds in `routes.schema.json` are those of the gateway, which loads
//! configurations with them, and that the tables in docs/routes.md and docs/schemas.md have every
//! key with its default.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gateway::reload::Plan;
use gateway::snapshot::Snapshot;
use gateway_diagnostic::Diagnostics;
use serde_json::{Value, json};

use crate::binary::binary;
use crate::pages::{ROOT, schema};

/// A place in routes.yaml, as a list of keys.
type At = Vec<String>;

/// Returns every key of the schema that has a fixed name: its section as docs/routes.md names it,
/// its place, which ends with its name, and its schema.
fn described(root: &Value) -> Vec<(String, At, Value)> {
    let properties = |at: &str| root.pointer(at).and_then(Value::as_object).unwrap().clone();
    let path = |keys: &[&str]| keys.iter().map(|it| (*it).to_owned()).collect::<At>();
    let mut all = Vec::new();
    for (key, schema) in properties("/properties") {
        match schema.get("properties").and_then(Value::as_object) {
            None if schema.get("additionalProperties").is_some() => {}
            None => all.push((String::new(), path(&[&key]), schema)),
            Some(inner) => {
                for (name, schema) in inner {
                    all.push((key.clone(), path(&[&key, name]), schema.clone()));
                }
            }
        }
    }
    for (definition, section, at) in [
        ("frontend", "frontends.NAME", &["frontends", "c"][..]),
        ("pool", "pools.NAME", &["pools", "p"]),
        ("channel", "channels.NAME", &["channels", "n"]),
        (
            "channel_side",
            "channel_side",
            &["channels", "n", "publishers"],
        ),
        ("keep", "keep", &["channels", "n", "keep"]),
        ("route", "routes.TYPE", &["routes", "A"]),
        ("schema", "schema", &["routes", "A", "schema"]),
        ("security_map", "security", &["frontends", "c", "security"]),
        ("curve", "curve", &["frontends", "c", "security", "curve"]),
        ("plain", "plain", &["frontends", "c", "security", "plain"]),
    ] {
        for (key, schema) in properties(&format!("/$defs/{definition}/properties")) {
            // Some keys are only valid together with others.
            let at = match &*key {
                "ack" => &["routes", "P"],
                "topic_end" => &["channels", "single"],
                _ => at,
            };
            let at = path(&[at, &[&*key]].concat());
            all.push((section.to_owned(), at, schema));
        }
    }
    all
}

/// A directory for a valid configuration, in which a value is set at one place.
struct Tried(tempfile::TempDir);

impl Tried {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let person = "syntax = \"proto3\"; package demo; message Person { string name = 1; }";
        for (root, more) in [("schemas", ""), ("other", "message Other {}")] {
            fs::create_dir(directory.path().join(root)).unwrap();
            let file = directory.path().join(root).join("person.proto");
            fs::write(file, format!("{person}{more}")).unwrap();
        }
        Self(directory)
    }

    fn file(&self, there: Option<(&At, &Value)>) -> PathBuf {
        let mut config = json!({
            "frontends": { "c": { "bind": "tcp://127.0.0.1:0" } },
            "pools": { "p": { "bind": "tcp://127.0.0.1:0" } },
            "channels": {
                "n": { "publishers": { "bind": "tcp://127.0.0.1:0" }, "subscribers": "tcp://127.0.0.1:0" },
                "single": { "publishers": "tcp://127.0.0.1:0", "subscribers": "tcp://127.0.0.1:0", "frames": "single" },
            },
            "routes": {
                "A": { "pool": "p", "schema": { "msgpack": "demo.Person" } },
                "P": { "publish": "n" },
                "S": { "publish": "single" },
            },
        });
        if let Some((at, value)) = there {
            // Indexing creates missing keys.
            let place = at.iter().fold(&mut config, |value, key| &mut value[key]);
            *place = value.clone();
        }
        let file = self.0.path().join("routes.yaml");
        fs::write(&file, config.to_string()).unwrap();
        file
    }

    fn load(&self, there: Option<(&At, &Value)>) -> Result<Snapshot, Diagnostics> {
        let loaded = gateway::config::load(&self.file(there));
        loaded.map(|loaded| loaded.snapshot)
    }
}

/// Returns the alternative of a schema that is a number with bounds, or `None`.
fn number(schema: &Value) -> Option<&Value> {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut all = choices.into_iter().flatten().chain([schema]);
    all.find(|it| it.get("minimum").is_some() && it.get("maximum").is_some())
}

/// Returns a value that differs from the default and has its type. If the default is a word and the
/// other values are numbers, returns the smallest number.
fn another(schema: &Value, default: &Value) -> Value {
    if let Some(number) = number(schema).filter(|_| default.is_string()) {
        return number["minimum"].clone();
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut choices = choices.into_iter().flatten().chain([schema]);
    let words = choices.find_map(|choice| choice.get("enum")?.as_array());
    let other = words.and_then(|words| words.iter().find(|it| *it != default));
    match (other, default) {
        (Some(word), _) => word.clone(),
        (None, Value::Bool(it)) => json!(!it),
        (None, Value::Number(n)) => json!(n.as_u64().unwrap() + 1),
        (None, Value::String(text)) => json!(format!("7{}", text.trim_matches(char::is_numeric))),
        (None, Value::Array(items)) if items.is_empty() => json!(["name"]),
        (None, _) => json!(["other"]),
    }
}

#[test]
fn defaults_are_those_of_the_gateway() {
    let tried = Tried::new();
    let without = tried.load(None).unwrap();
    let mut count = 0;
    for (_, at, schema) in described(&schema()) {
        let Some(default) = schema.get("default") else {
            continue;
        };
        count += 1;
        let with = tried.load(Some((&at, default))).unwrap();
        let plan = Plan::between(&without, &with);
        assert!(plan.is_empty(), "{at:?}: {plan}");
        // These two keys control how files are loaded, and are not part of a snapshot.
        if !["compiler", "breaking"].contains(&&*at[at.len() - 1]) {
            let other = another(&schema, default);
            let with = tried.load(Some((&at, &other)));
            let with = with.unwrap_or_else(|found| panic!("{at:?}: {other}: {found}"));
            assert!(!Plan::between(&without, &with).is_empty(), "{at:?}");
        }
    }
    assert!(count >= 26, "{count}");
}

#[test]
fn by_default_the_compiler_is_built_in_and_a_breaking_edit_causes_a_warning() {
    let tried = Tried::new();
    let at = |key: &str| vec!["proto".to_owned(), key.to_owned()];
    for (compiler, succeeds) in [
        (None, true),
        (Some("builtin"), true),
        (Some("protoc"), false),
    ] {
        let word = compiler.map(|it| json!(it));
        let (at, _) = (at("compiler"), tried.file(None));
        let there = word.as_ref().map(|word| (&at, word));
        tried.file(there);
        let checked = std::process::Command::new(binary())
            .arg("check")
            .current_dir(&tried.0)
            .env("PATH", "/nowhere")
            .output();
        assert_eq!(checked.unwrap().status.success(), succeeds, "{compiler:?}");
    }
    let running = tried.load(None).unwrap();
    let proto = tried.0.path().join("schemas/person.proto");
    let text = fs::read_to_string(&proto).unwrap();
    fs::write(proto, text.replace("string name", "int32 name")).unwrap();
    for (breaking, warnings) in [
        (None, Some(1)),
        (Some("warn"), Some(1)),
        (Some("allow"), Some(0)),
        (Some("reject"), None),
    ] {
        let word = breaking.map(|it| json!(it));
        let at = at("breaking");
        let file = tried.file(word.as_ref().map(|word| (&at, word)));
        let loaded = gateway::config::load_after(&file, &running).ok();
        let found = loaded.map(|loaded| loaded.warnings.warnings());
        assert_eq!(found, warnings, "{breaking:?}");
    }
}

/// Returns the maximum in a description: a number, and its unit.
fn at_most(schema: &Value) -> Option<(u64, String)> {
    let said = schema.get("description")?.as_str()?;
    let said = said.split("at most ").nth(1)?;
    let unit = said.trim_start_matches(char::is_numeric);
    let number = said[..said.len() - unit.len()].parse().ok()?;
    let unit = unit.split(|c: char| !c.is_alphabetic()).next()?;
    Some((number, unit.to_owned()))
}

#[test]
fn bounds_are_those_of_the_gateway() {
    let tried = Tried::new();
    let mut count = 0;
    for (_, at, schema) in described(&schema()) {
        let bound = |name: &str| number(&schema)?.get(name)?.as_u64();
        let mut tries = Vec::new();
        if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
            tries = vec![
                (json!(least), true),
                (json!(most), true),
                (json!(most + 1), false),
            ];
            tries.push((json!(least as i64 - 1), false));
        } else if schema.get("type").is_some_and(|it| it == "integer") {
            panic!("{at:?} has no bounds");
        }
        if let Some((most, unit)) = at_most(&schema) {
            tries.push((json!(format!("{most}{unit}")), true));
            tries.push((json!(format!("{}{unit}", most + 1)), false));
        }
        for (value, good) in tries {
            count += 1;
            assert_eq!(
                tried.load(Some((&at, &value))).is_ok(),
                good,
                "{at:?}: {value}"
            );
        }
    }
    assert!(count >= 28, "{count}");
}

/// Returns the texts between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tables are those of docs/routes.md and docs/schemas.md.
#[test]
fn the_pages_have_every_key_and_its_default() {
    let pages = ["docs/routes.md", "docs/schemas.md"];
    let pages = pages.map(|page| fs::read_to_string(Path::new(ROOT).join(page)).unwrap());
    let (mut listed, mut bounds) = (BTreeSet::new(), BTreeSet::new());
    let mut section = String::new();
    for line in pages.concat().lines() {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [key, default, meaning] = cells[..] else {
            section.clear();
            continue;
        };
        match key {
            "key" => section = "yes".into(),
            "option" => section = "schema".into(),
            _ => {}
        }
        if section.is_empty() || ["key", "option"].contains(&key) || key.starts_with("---") {
            continue;
        }
        let mut defaults = words(default).map(|it| serde_yaml::from_str::<Value>(it).unwrap());
        for name in words(key) {
            let (of, name) = match (key.strip_prefix("**"), name.rsplit_once('.')) {
                // A bold key is the name of a section, or of a section and its only key.
                (Some(_), Some((_, "NAME" | "TYPE"))) => {
                    section = name.to_owned();
                    continue;
                }
                (Some(_), None) => {
                    section = name.to_owned();
                    continue;
                }
                (Some(_), Some((of, name))) => (of.to_owned(), name),
                (None, _) if section == "yes" => (String::new(), name),
                (None, _) => (section.clone(), name),
            };
            let default = defaults.next().map(|it| it.to_string());
            let most = meaning.split("at most ").nth(1).map(|most| {
                let most = most.trim_start_matches('`');
                most.split(|c: char| !c.is_alphanumeric()).next().unwrap()
            });
            if let Some(most) = most {
                bounds.insert((of.clone(), name.to_owned(), most.to_owned()));
            }
            let is_new = listed.insert((of, name.to_owned(), default));
            assert!(is_new, "twice: {name}");
        }
    }
    let expected = described(&schema()).into_iter();
    let expected = expected.map(|(section, at, schema)| {
        let default = schema.get("default").map(Value::to_string);
        (section, at[at.len() - 1].clone(), default)
    });
    // The encodings of a schema are not among its options.
    let encodings = ["protobuf", "msgpack", "json"].map(|it| ("schema".into(), it.into(), None));
    let expected: BTreeSet<_> = expected.filter(|it| !encodings.contains(it)).collect();
    assert_eq!(listed, expected);
    assert!(bounds.len() >= 2, "{bounds:?}");
    for (section, name, most) in bounds {
        let mut keys = described(&schema()).into_iter();
        let key = keys.find(|it| it.0 == section && it.1.last() == Some(&name));
        let schema = key.unwrap().2;
        // A number may be one of several alternatives, next to a variable.
        let forms = schema.get("anyOf").and_then(Value::as_array);
        let mut forms = forms.into_iter().flatten().chain([&schema]);
        let bound = forms.find_map(|form| form.get("maximum").map(Value::to_string));
        let said = at_most(&schema).map(|(number, unit)| format!("{number}{unit}"));
        assert_eq!(bound.or(said), Some(most), "{section} {name}");
    }
}

/// docs/scope.md promises that keys of later releases are refused.
#[test]
fn keys_of_later_releases_are_rejected() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/scope.md")).unwrap();
    let not_yet = page.split("\n- Not yet: ").nth(1).unwrap();
    let not_yet: Vec<_> = words(not_yet.split("\n- ").next().unwrap()).collect();
    let tried = Tried::new();
    for (key, at) in [
        ("mirror", &["routes", "A", "mirror"][..]),
        ("hash", &["routes", "A", "hash"]),
        ("idempotent", &["routes", "A", "idempotent"]),
        ("retries", &["routes", "A", "retries"]),
        ("pool", &["routes", "A", "pool"]),
    ] {
        assert!(not_yet.contains(&key), "docs/scope.md does not name {key}");
        let at: At = at.iter().map(|it| (*it).to_owned()).collect();
        let found = tried.load(Some((&at, &json!({ "p": 95 })))).unwrap_err();
        assert!(found.to_string().contains(key), "{found}");
    }
}
