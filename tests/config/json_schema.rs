//! Tests of `routes.schema.json`. The schema has the same keys and words as the gateway, accepts
//! valid configurations, and rejects every error that a schema can detect.
//!
//! The keys and words of the gateway come from its error messages: the message about an unknown key
//! lists the valid keys, and the message about an unknown word lists the valid words. A test fails
//! if the gateway has a key that the schema does not have, or the other way round.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::binary::binary;
use crate::pages::{ROOT, configurations_in, pages, schema};

/// The files of `tests/config/configs/invalid` with errors that no schema can detect. These are
/// names that refer to nothing, types and addresses that are written twice in different ways,
/// errors in `.proto` files, and errors that depend on another key or on the machine.
const BEYOND_A_SCHEMA: &[&str] = &[
    "admin_where_clients_are",
    "bad_rules/routes",
    "broken_import/routes",
    "broken_proto/routes",
    "channels_with_libzmq",
    "clashing_binds",
    "rule_by_another_name/routes",
    "memory_too_small",
    "memory_with_libzmq",
    "merge_conflict_in_a_proto/routes",
    "file_as_message",
    "file_of_one_message/routes",
    "encoding_as_message",
    "fault_in_an_alias",
    "long_line",
    "missing_import/routes",
    "missing_import_path",
    "no_message_at_all/routes",
    "no_pool_to_name",
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

/// The keys that no file of `tests/config/configs/valid` has. `tests/config/security.rs` tests
/// these keys with generated files: a file with a secret causes a warning unless only its owner may
/// read the file, and Git does not store this permission.
const NEED_KEY_FILES: &[&str] = &[
    "/$defs/security_map/properties/curve",
    "/$defs/security_map/properties/anonymous",
    "/$defs/security_map/properties/plain",
    "/$defs/plain/properties/users",
    "/$defs/curve/properties/secret",
    "/$defs/curve/properties/peers",
    "/$defs/curve/properties/server",
];

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// Converts a YAML text to JSON, with every key as a string. Returns `None` if the text is not
/// YAML, or has a tag, a duplicate key, or a key that is a list or a map.
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
    let reported =
        |fault: jsonschema::ValidationError| format!("{}: {fault}", fault.instance_path());
    validator.iter_errors(value).map(reported).collect()
}

/// Returns the configurations below a directory, at any depth.
fn configurations(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(configurations(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            all.push(path);
        }
    }
    all.sort();
    all
}

#[test]
fn the_command_prints_the_file_of_the_repository() {
    let file = fs::read(Path::new(ROOT).join("routes.schema.json")).unwrap();
    // `schema` is the earlier name of the command.
    for command in ["config-schema", "schema"] {
        let printed = std::process::Command::new(binary())
            .arg(command)
            .output()
            .unwrap();
        assert!(printed.status.success());
        assert_eq!(printed.stdout, file);
    }
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
        let value = as_json(&text).unwrap_or_else(|| panic!("{name} is not YAML"));
        assert_eq!(faults(&validator, &value), [""; 0], "{name}");
    }
}

#[test]
fn the_schema_rejects_every_error_that_a_schema_can_express() {
    let validator = validator();
    let directory = Path::new(ROOT).join("tests/config/configs/invalid");
    let mut accepted = BTreeSet::new();
    let mut rejected = 0;
    for path in configurations(&directory) {
        // A schema cannot be applied to a file that is not text or not YAML.
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
    let expected = BEYOND_A_SCHEMA.iter().map(|name| (*name).to_owned());
    let expected: BTreeSet<_> = expected.collect();
    // If this fails for a new file, extend the schema so that it rejects the file. Add the file to
    // the list only if no schema can reject it.
    assert_eq!(accepted, expected);
    assert!(rejected > 30, "{rejected}");
}

/// Loads a configuration with the invalid value `invalid` at `path`, finds the diagnostic with
/// `message` in its message, and returns the words that the diagnostic says are expected.
fn expected_at(path: &[String], invalid: Value, message: &str) -> BTreeSet<String> {
    let mut value = invalid;
    for key in path.iter().rev() {
        value = match key.as_str() {
            "[]" => json!([value]),
            key => json!({ key: value }),
        };
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    // JSON is also valid YAML.
    fs::write(&file, value.to_string()).unwrap();
    let found = gateway::config::load(&file).unwrap_err();
    let mut reported = found.iter().filter(|error| error.message.contains(message));
    let reported = reported
        .next()
        .unwrap_or_else(|| panic!("nothing about {path:?} in\n{found}"));
    // The label has the form `expected "a", "b" or "c"`.
    let words = reported.label.split('"').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

/// Asserts that each value of a schema may be a variable, and adds the number of the values to
/// `count`. Skips lists, maps, and schemas that refer to another schema.
fn assert_accepts_variables(root: &Value, schema: &Value, path: &str, count: &mut usize) {
    for part in ["properties", "$defs"] {
        let inner = schema.get(part).and_then(Value::as_object);
        for (key, schema) in inner.into_iter().flatten() {
            assert_accepts_variables(root, schema, &format!("{path}/{part}/{key}"), count);
        }
    }
    let is_collection = ["object", "array"]
        .map(Value::from)
        .contains(&schema["type"]);
    let refers = schema.get("$ref").is_some();
    if is_collection || refers || ["/$defs/key", "/$defs/variable", ""].contains(&path) {
        return;
    }
    let whole = json!({ "allOf": [schema], "$defs": root["$defs"] });
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    for value in ["${NAME}", "a ${NAME:-b}"] {
        // The schema `false` accepts nothing.
        let is_valid = validator.is_valid(&json!(value)) || *schema == json!(false);
        assert!(is_valid, "{path}: {value}");
    }
    *count += 1;
}

#[test]
fn every_value_may_have_a_variable() {
    let schema = schema();
    let mut count = 0;
    assert_accepts_variables(&schema, &schema, "", &mut count);
    assert!(count >= 30, "{count}");
}

/// Asserts that the gateway has the same keys for each map in a schema, and the same words for each
/// key. Adds the number of compared sets to `compared`.
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
            .map(|word| word.as_str().unwrap().to_owned())
            .collect();
        let expected = expected_at(path, json!("zzz"), "can't be \"zzz\"");
        assert_eq!(words, expected, "words at {path:?}");
        *compared += 1;
    }
    let constraints = [
        "$ref", "anyOf", "type", "enum", "const", "pattern", "required",
    ];
    assert!(
        constraints.iter().any(|key| schema.get(key).is_some()),
        "{path:?} accepts any value: {schema}"
    );
}

#[test]
fn the_schema_has_the_keys_and_words_that_the_gateway_reads() {
    let schema = schema();
    let mut compared = 0;
    compare(&schema, &schema, &mut Vec::new(), &mut compared);
    // The bound detects a comparison that ends too early.
    assert!(compared >= 20, "{compared}");
}

/// Adds to `keys` the JSON pointers of all keys that a schema describes. `pointer` is the pointer
/// of the schema itself.
fn add_described_keys(schema: &Value, pointer: &str, keys: &mut BTreeSet<String>) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for key in properties.into_iter().flat_map(Map::keys) {
        keys.insert(format!("{pointer}/properties/{key}"));
    }
    let inner: Vec<_> = match schema {
        Value::Object(map) => map
            .iter()
            .map(|(key, inner)| (key.clone(), inner))
            .collect(),
        Value::Array(list) => {
            let numbered = list.iter().enumerate();
            numbered.map(|(n, inner)| (n.to_string(), inner)).collect()
        }
        _ => Vec::new(),
    };
    for (key, inner) in inner {
        add_described_keys(inner, &format!("{pointer}/{key}"), keys);
    }
}

/// Adds to `keys` the JSON pointers of all keys that `value` has. `pointer` is the pointer of the
/// schema for `value`.
fn add_used_keys(root: &Value, pointer: &str, value: &Value, keys: &mut BTreeSet<String>) {
    let Some(schema) = root.pointer(pointer) else {
        return;
    };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        add_used_keys(root, &target[1..], value, keys);
    }
    for list in ["anyOf", "oneOf"] {
        let choices = schema.get(list).and_then(Value::as_array);
        for n in 0..choices.map_or(0, Vec::len) {
            add_used_keys(root, &format!("{pointer}/{list}/{n}"), value, keys);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        add_used_keys(root, &format!("{pointer}/items"), item, keys);
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let known = format!("{pointer}/properties/{key}");
        if root.pointer(&known).is_some() {
            add_used_keys(root, &known, value, keys);
            keys.insert(known);
        } else {
            let pointer = format!("{pointer}/additionalProperties");
            add_used_keys(root, &pointer, value, keys);
        }
    }
}

#[test]
fn the_valid_files_have_every_key() {
    let schema = schema();
    let (mut known, mut used) = (BTreeSet::new(), BTreeSet::new());
    add_described_keys(&schema, "", &mut known);
    for path in configurations(&Path::new(ROOT).join("tests/config/configs/valid")) {
        let value = as_json(&fs::read_to_string(&path).unwrap()).unwrap();
        add_used_keys(&schema, "", &value, &mut used);
    }
    let unused: BTreeSet<_> = known.difference(&used).map(String::as_str).collect();
    assert_eq!(unused, NEED_KEY_FILES.iter().copied().collect());
}

/// The test writes each key of an entry directly into the section, without the name of the entry.
#[test]
fn a_missing_name_is_recognised_by_every_key_of_an_entry() {
    let schema = schema();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    for (section, entry) in [
        ("frontends", "frontend"),
        ("pools", "pool"),
        ("channels", "channel"),
        ("routes", "route"),
    ] {
        let keys = schema["$defs"][entry]["properties"].as_object().unwrap();
        for key in keys.keys() {
            // JSON is also valid YAML.
            let text = json!({ section: { key.as_str(): "a value" } }).to_string();
            fs::write(&file, text).unwrap();
            let found = gateway::config::load(&file).unwrap_err();
            let label = format!("{key:?} is a key of a {entry}");
            assert!(found.iter().any(|error| error.label == label), "{found}");
        }
    }
}
