//! Tests of the defaults and bounds in `routes.schema.json`.
//!
//! The defaults and bounds of the schema are compared with the gateway, which loads configurations
//! for this comparison, and with the tables in docs/routes.md and docs/schemas.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gateway::reload::Plan;
use gateway::snapshot::Snapshot;
use gateway_diagnostic::Diagnostics;
use serde_json::{Value, json};

use crate::binary::binary;
use crate::pages::{ROOT, schema};

/// The keys that lead to a value in routes.yaml, from the outermost key to the innermost.
type KeyPath = Vec<String>;

/// Returns every key of the schema with a fixed name. Each entry has the key's section, with its
/// name in docs/routes.md, the path to the key, and the schema of the key.
fn described(root: &Value) -> Vec<(String, KeyPath, Value)> {
    let properties = |pointer: &str| {
        root.pointer(pointer)
            .and_then(Value::as_object)
            .unwrap()
            .clone()
    };
    let path = |keys: &[&str]| {
        keys.iter()
            .map(|key| (*key).to_owned())
            .collect::<KeyPath>()
    };
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
    for (definition, section, parent) in [
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
            // Some keys are valid only together with other keys.
            let parent = match &*key {
                "ack" => &["routes", "P"],
                "topic_end" => &["channels", "single"],
                _ => parent,
            };
            all.push((
                section.to_owned(),
                path(&[parent, &[&*key]].concat()),
                schema,
            ));
        }
    }
    all
}

/// A directory with a valid configuration. A test may change one value of the configuration.
struct Configuration(tempfile::TempDir);

impl Configuration {
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

    /// Writes the routes.yaml with one changed value, and returns its path.
    fn write(&self, change: Option<(&KeyPath, &Value)>) -> PathBuf {
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
        if let Some((path, value)) = change {
            // Indexing creates missing keys.
            let target = path.iter().fold(&mut config, |value, key| &mut value[key]);
            *target = value.clone();
        }
        let file = self.0.path().join("routes.yaml");
        fs::write(&file, config.to_string()).unwrap();
        file
    }

    fn load(&self, change: Option<(&KeyPath, &Value)>) -> Result<Snapshot, Diagnostics> {
        let loaded = gateway::config::load(&self.write(change));
        loaded.map(|loaded| loaded.snapshot)
    }
}

/// Returns the alternative of a schema that is a number with bounds, or `None` if there is none.
fn number(schema: &Value) -> Option<&Value> {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut all = choices.into_iter().flatten().chain([schema]);
    all.find(|choice| choice.get("minimum").is_some() && choice.get("maximum").is_some())
}

/// Returns a valid value that differs from the default. If the default is a word and a number is
/// also valid, this is the smallest valid number. Otherwise it is a value of the same type.
fn another(schema: &Value, default: &Value) -> Value {
    if let Some(number) = number(schema).filter(|_| default.is_string()) {
        return number["minimum"].clone();
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let mut choices = choices.into_iter().flatten().chain([schema]);
    let words = choices.find_map(|choice| choice.get("enum")?.as_array());
    let other = words.and_then(|words| words.iter().find(|word| *word != default));
    match (other, default) {
        (Some(word), _) => word.clone(),
        (None, Value::Bool(value)) => json!(!value),
        (None, Value::Number(n)) => json!(n.as_u64().unwrap() + 1),
        (None, Value::String(text)) => json!(format!("7{}", text.trim_matches(char::is_numeric))),
        (None, Value::Array(items)) if items.is_empty() => json!(["name"]),
        (None, _) => json!(["other"]),
    }
}

#[test]
fn the_gateway_and_the_schema_have_the_same_defaults() {
    let configuration = Configuration::new();
    let unset = configuration.load(None).unwrap();
    let mut count = 0;
    for (_, path, schema) in described(&schema()) {
        let Some(default) = schema.get("default") else {
            continue;
        };
        count += 1;
        let set = configuration.load(Some((&path, default))).unwrap();
        let plan = Plan::between(&unset, &set);
        assert!(plan.is_empty(), "{path:?}: {plan}");
        // These two keys control how files are loaded, and are not part of a snapshot.
        if !["compiler", "breaking"].contains(&&*path[path.len() - 1]) {
            let other = another(&schema, default);
            let changed = configuration.load(Some((&path, &other)));
            let changed = changed.unwrap_or_else(|errors| panic!("{path:?}: {other}: {errors}"));
            assert!(!Plan::between(&unset, &changed).is_empty(), "{path:?}");
        }
    }
    assert!(count >= 26, "{count}");
}

#[test]
fn by_default_the_compiler_is_built_in_and_a_breaking_edit_causes_a_warning() {
    let configuration = Configuration::new();
    let path = |key: &str| vec!["proto".to_owned(), key.to_owned()];
    for (compiler, succeeds) in [
        (None, true),
        (Some("builtin"), true),
        (Some("protoc"), false),
    ] {
        let word = compiler.map(|compiler| json!(compiler));
        let path = path("compiler");
        configuration.write(word.as_ref().map(|word| (&path, word)));
        let checked = std::process::Command::new(binary())
            .arg("check")
            .current_dir(&configuration.0)
            .env("PATH", "/nowhere")
            .output();
        assert_eq!(checked.unwrap().status.success(), succeeds, "{compiler:?}");
    }
    let running = configuration.load(None).unwrap();
    let proto = configuration.0.path().join("schemas/person.proto");
    let text = fs::read_to_string(&proto).unwrap();
    fs::write(proto, text.replace("string name", "int32 name")).unwrap();
    for (breaking, warnings) in [
        (None, Some(1)),
        (Some("warn"), Some(1)),
        (Some("allow"), Some(0)),
        (Some("reject"), None),
    ] {
        let word = breaking.map(|breaking| json!(breaking));
        let path = path("breaking");
        let file = configuration.write(word.as_ref().map(|word| (&path, word)));
        let loaded = gateway::config::load_after(&file, &running).ok();
        let found = loaded.map(|loaded| loaded.warnings.warnings());
        assert_eq!(found, warnings, "{breaking:?}");
    }
}

/// Returns the maximum that the description of a schema states, as a number and a unit, or `None`
/// if it states none.
fn described_maximum(schema: &Value) -> Option<(u64, String)> {
    let description = schema.get("description")?.as_str()?;
    let maximum = description.split("at most ").nth(1)?;
    let unit = maximum.trim_start_matches(char::is_numeric);
    let number = maximum[..maximum.len() - unit.len()].parse().ok()?;
    let unit = unit.split(|c: char| !c.is_alphabetic()).next()?;
    Some((number, unit.to_owned()))
}

#[test]
fn the_gateway_and_the_schema_have_the_same_bounds() {
    let configuration = Configuration::new();
    let mut count = 0;
    for (_, path, schema) in described(&schema()) {
        let bound = |name: &str| number(&schema)?.get(name)?.as_u64();
        let mut cases = Vec::new();
        if let (Some(minimum), Some(maximum)) = (bound("minimum"), bound("maximum")) {
            cases = vec![
                (json!(minimum), true),
                (json!(maximum), true),
                (json!(maximum + 1), false),
            ];
            cases.push((json!(minimum as i64 - 1), false));
        } else if schema.get("type").is_some_and(|ty| ty == "integer") {
            panic!("{path:?} has no bounds");
        }
        if let Some((maximum, unit)) = described_maximum(&schema) {
            cases.push((json!(format!("{maximum}{unit}")), true));
            cases.push((json!(format!("{}{unit}", maximum + 1)), false));
        }
        for (value, is_valid) in cases {
            count += 1;
            assert_eq!(
                configuration.load(Some((&path, &value))).is_ok(),
                is_valid,
                "{path:?}: {value}"
            );
        }
    }
    assert!(count >= 28, "{count}");
}

/// Returns the texts between backticks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tables are in docs/routes.md and docs/schemas.md.
#[test]
fn the_tables_have_every_key_and_its_default() {
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
        let mut defaults = words(default).map(|text| serde_yaml::from_str::<Value>(text).unwrap());
        for name in words(key) {
            let (key_section, name) = match (key.strip_prefix("**"), name.rsplit_once('.')) {
                // A bold key is the name of a section, or of a section and its only key.
                (Some(_), Some((_, "NAME" | "TYPE"))) => {
                    section = name.to_owned();
                    continue;
                }
                (Some(_), None) => {
                    section = name.to_owned();
                    continue;
                }
                (Some(_), Some((section, name))) => (section.to_owned(), name),
                (None, _) if section == "yes" => (String::new(), name),
                (None, _) => (section.clone(), name),
            };
            let default = defaults.next().map(|default| default.to_string());
            let maximum = meaning.split("at most ").nth(1);
            if let Some(text) = maximum.map(|text| text.trim_start_matches('`')) {
                let maximum = text.split(|c: char| !c.is_alphanumeric()).next().unwrap();
                bounds.insert((key_section.clone(), name.to_owned(), maximum.to_owned()));
            }
            let is_new = listed.insert((key_section, name.to_owned(), default));
            assert!(is_new, "twice: {name}");
        }
    }
    let expected = described(&schema()).into_iter();
    let expected = expected.map(|(section, path, schema)| {
        let default = schema.get("default").map(Value::to_string);
        (section, path[path.len() - 1].clone(), default)
    });
    // The encodings of a schema are not among its options.
    let encodings = ["protobuf", "msgpack", "json"];
    let encodings = encodings.map(|encoding| ("schema".into(), encoding.into(), None));
    let expected = expected.filter(|entry| !encodings.contains(entry));
    let expected: BTreeSet<_> = expected.collect();
    assert_eq!(listed, expected);
    assert!(bounds.len() >= 2, "{bounds:?}");
    for (section, name, maximum) in bounds {
        let mut keys = described(&schema()).into_iter();
        let key = keys.find(|key| key.0 == section && key.1.last() == Some(&name));
        let schema = key.unwrap().2;
        // The number may be one of two alternatives. The other alternative is a variable.
        let choices = schema.get("anyOf").and_then(Value::as_array);
        let mut choices = choices.into_iter().flatten().chain([&schema]);
        let bound = choices.find_map(|choice| choice.get("maximum").map(Value::to_string));
        let described = described_maximum(&schema).map(|(number, unit)| format!("{number}{unit}"));
        assert_eq!(bound.or(described), Some(maximum), "{section} {name}");
    }
}

/// docs/scope.md lists the keys of later releases.
#[test]
fn keys_of_later_releases_are_rejected() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/scope.md")).unwrap();
    let planned = page.split("\n- Not yet: ").nth(1).unwrap();
    let planned: Vec<_> = words(planned.split("\n- ").next().unwrap()).collect();
    let configuration = Configuration::new();
    for (key, path) in [
        ("mirror", &["routes", "A", "mirror"][..]),
        ("hash", &["routes", "A", "hash"]),
        ("idempotent", &["routes", "A", "idempotent"]),
        ("retries", &["routes", "A", "retries"]),
        ("pool", &["routes", "A", "pool"]),
    ] {
        assert!(planned.contains(&key), "docs/scope.md does not name {key}");
        let path: KeyPath = path.iter().map(|key| (*key).to_owned()).collect();
        let loaded = configuration.load(Some((&path, &json!({ "p": 95 }))));
        let errors = loaded.unwrap_err().to_string();
        assert!(errors.contains(key), "{errors}");
    }
}
