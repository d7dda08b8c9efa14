//! `routes.schema.json` is true: it has the keys and the words that the gateway itself reads, accepts what
//! `gateway check` accepts, and rejects what of the rest a schema can know.
//!
//! What the gateway reads is taken from what it says: to a key that nobody knows, which keys it
//! expects there; to a word that nobody knows, which words. So a key that is added to the one and
//! forgotten in the other fails here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::pages::{ROOT, configurations_in, pages, schema};

/// Files of `tests/config/configs/invalid` that are wrong in a way that no schema can know: names that refer to
/// nothing, what the YAML itself says twice, what depends on another key or on the machine.
const BEYOND_A_SCHEMA: &[&str] = &[
    "admin_where_clients_are",
    "bad_rules/routes",
    "broken_import/routes",
    "broken_proto/routes",
    "clashing_binds",
    "rule_by_another_name/routes",
    "merge_conflict_in_a_proto/routes",
    "file_as_message",
    "file_of_one_message/routes",
    "encoding_as_message",
    "fault_in_an_alias",
    "long_line",
    "missing_import/routes",
    "missing_import_path",
    "no_message_at_all/routes",
    "no_schemas_directory/routes",
    "one_type_spelt_twice",
    "plain_peers_with_libzmq",
    "require_unknown_field",
    "several_import_paths/routes",
    "sound_proto_beside_a_broken_one/routes",
    "timeout_none_with_libzmq",
    "types_without_a_route",
    "unknown_frontend",
    "unknown_message",
    "unknown_pool",
    "warnings_with_errors",
];

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// A YAML text as JSON has it, every key as a string; none where it isn't YAML, or says a key twice.
fn as_json(text: &str) -> Option<Value> {
    fn convert(value: serde_yaml::Value) -> Option<Value> {
        Some(match value {
            serde_yaml::Value::Sequence(items) => {
                Value::Array(items.into_iter().map(convert).collect::<Option<_>>()?)
            }
            serde_yaml::Value::Mapping(pairs) => {
                let mut map = Map::new();
                for (key, value) in pairs {
                    let key = match key {
                        serde_yaml::Value::String(text) => text,
                        serde_yaml::Value::Sequence(_) | serde_yaml::Value::Mapping(_) => {
                            return None;
                        }
                        other => serde_yaml::to_string(&other).ok()?.trim().to_owned(),
                    };
                    map.insert(key, convert(value)?);
                }
                Value::Object(map)
            }
            serde_yaml::Value::Tagged(_) => return None,
            scalar => serde_json::to_value(scalar).ok()?,
        })
    }
    convert(serde_yaml::from_str(text.trim_start_matches('\u{feff}')).ok()?)
}

fn faults(validator: &jsonschema::Validator, value: &Value) -> Vec<String> {
    let told = |fault: jsonschema::ValidationError| format!("{}: {fault}", fault.instance_path());
    validator.iter_errors(value).map(told).collect()
}

/// The configurations below a directory, however deep.
fn configurations(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(configurations(&path));
        } else if path.extension().is_some_and(|it| it == "yaml") {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn the_command_prints_the_file_of_the_repository() {
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_gateway"))
        .arg("schema")
        .output()
        .unwrap();
    assert!(printed.status.success());
    let file = fs::read(Path::new(ROOT).join("routes.schema.json")).unwrap();
    assert_eq!(printed.stdout, file);
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
}

#[test]
fn the_schema_accepts_every_valid_configuration() {
    let validator = validator();
    let root = Path::new(ROOT);
    let mut texts = vec![(
        "routes.yaml".to_owned(),
        fs::read_to_string(root.join("routes.yaml")).unwrap(),
    )];
    for directory in [
        "tests/config/configs/valid",
        "tests/config/mend",
        "examples",
    ] {
        for path in configurations(&root.join(directory)) {
            if !path.components().any(|part| part.as_os_str() == "broken") {
                texts.push((
                    path.display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    for (page, text) in pages() {
        let blocks = configurations_in(&text).into_iter();
        texts.extend(blocks.map(|block| (page.clone(), block)));
    }
    assert!(texts.len() > 20, "{}", texts.len());
    for (name, text) in texts {
        let value = as_json(&text).unwrap_or_else(|| panic!("{name} is no YAML"));
        assert_eq!(faults(&validator, &value), [""; 0], "{name}");
    }
}

#[test]
fn the_schema_rejects_what_a_schema_can_know() {
    let validator = validator();
    let directory = Path::new(ROOT).join("tests/config/configs/invalid");
    let mut accepted = BTreeSet::new();
    let mut rejected = 0;
    for path in configurations(&directory) {
        // What isn't text or YAML has faults that come before any schema's.
        let text = fs::read_to_string(&path).ok();
        let Some(value) = text.and_then(|text| as_json(&text)) else {
            continue;
        };
        if validator.is_valid(&value) {
            let name = path.strip_prefix(&directory).unwrap().with_extension("");
            accepted.insert(name.to_str().unwrap().to_owned());
        } else {
            rejected += 1;
        }
    }
    let beyond: BTreeSet<_> = BEYOND_A_SCHEMA.iter().map(|it| (*it).to_owned()).collect();
    // A new one belongs into the list, unless the schema can be taught to know it.
    assert_eq!(accepted, beyond);
    assert!(rejected > 30, "{rejected}");
}

/// What `gateway check` expects at `path`, by what it says of `wrong` there.
fn expected_at(path: &[String], wrong: Value, message: &str) -> BTreeSet<String> {
    let mut value = wrong;
    for key in path.iter().rev() {
        value = match key.as_str() {
            "[]" => json!([value]),
            key => json!({ key: value }),
        };
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    // JSON is YAML too.
    fs::write(&file, value.to_string()).unwrap();
    let found = gateway::config::load(&file).unwrap_err();
    let mut told = found.iter().filter(|it| it.message.contains(message));
    let told = told
        .next()
        .unwrap_or_else(|| panic!("nothing about {path:?} in\n{found}"));
    // `expected "a", "b" or "c"`
    let words = told.label.split('"').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// Walks a schema down to its leaves, and holds each map's keys and each key's words against the gateway's.
fn compare(root: &Value, schema: &Value, path: &mut Vec<String>, compared: &mut usize) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        compare(root, root.pointer(&target[1..]).unwrap(), path, compared);
    }
    for choice in schema
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        compare(root, choice, path, compared);
    }
    if let Some(items) = schema.get("items") {
        path.push("[]".into());
        compare(root, items, path, compared);
        path.pop();
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        assert_eq!(schema["additionalProperties"], false, "{path:?}");
        let keys: BTreeSet<_> = properties.keys().cloned().collect();
        let expected = expected_at(path, json!({ "zzz": 1 }), "has no key \"zzz\"");
        assert_eq!(keys, expected, "keys at {path:?}");
        *compared += 1;
        for (key, schema) in properties {
            path.push(key.clone());
            compare(root, schema, path, compared);
            path.pop();
        }
    } else if let Some(named @ Value::Object(_)) = schema.get("additionalProperties") {
        path.push("NAME".into());
        compare(root, named, path, compared);
        path.pop();
    }
    let words = schema.get("enum").and_then(Value::as_array);
    if let Some(words) = words.filter(|words| words.iter().all(Value::is_string)) {
        let words: BTreeSet<_> = words
            .iter()
            .map(|it| it.as_str().unwrap().to_owned())
            .collect();
        let expected = expected_at(path, json!("zzz"), "can't be \"zzz\"");
        assert_eq!(words, expected, "words at {path:?}");
        *compared += 1;
    }
    let says_something = [
        "$ref", "anyOf", "type", "enum", "const", "pattern", "required",
    ];
    assert!(
        says_something.iter().any(|it| schema.get(it).is_some()),
        "{path:?} may be anything: {schema}"
    );
}

#[test]
fn the_schema_has_the_keys_and_words_that_the_gateway_reads() {
    let schema = schema();
    let mut compared = 0;
    compare(&schema, &schema, &mut Vec::new(), &mut compared);
    // The whole file, seven kinds of maps in it and, twice over, what is a schema.
    assert!(compared >= 20, "{compared}");
}
