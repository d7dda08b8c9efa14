//! Tests of the message of each broken rule, in the words of validate.proto.

use std::collections::{BTreeMap, BTreeSet};

use super::every::{Case, bytes, strings};
use super::*;

/// Asserts that, in each case, the value breaks the rule of the field, and that the violation has
/// the expected message.
fn assert_sentences(cases: &[(&str, Value, &str)]) {
    for (field, value, reported) in cases {
        assert_sentence(field, (value, value), reported);
    }
}

/// Asserts that a value breaks the rule of `field`, and that the violation has the message
/// `reported`. The value is given in the forms of JSON and of MessagePack.
fn assert_sentence(field: &str, (value, packed): (&Value, &Value), reported: &str) {
    let ruled = Ruled::new(&format!(
        "import \"google/protobuf/duration.proto\"; import \"google/protobuf/timestamp.proto\";
         import \"google/protobuf/field_mask.proto\"; message M {{ {field} }}"
    ));
    let value = json!({ "f": value });
    let packed = rmp_serde::to_vec(&json!({ "f": packed })).unwrap();
    let schemas = [
        (&ruled.json, value.to_string().into_bytes()),
        (&ruled.msgpack, packed),
    ];
    for (schema, payload) in schemas {
        let violation = schema.check(&payload, DEPTH).expect_err(field);
        assert_eq!(violation.expected, *reported, "{field}");
        assert!(violation.rule.is_some() && violation.found.is_empty());
    }
}

#[test]
fn rules_of_strings_have_the_documented_sentences() {
    assert_sentences(&[
        (
            "string f = 1 [(buf.validate.field).string.email = true];",
            json!("a@"),
            "must be a valid email address",
        ),
        (
            "string f = 1 [(buf.validate.field).string.email = true];",
            json!(""),
            "value is empty, which is not a valid email address",
        ),
        (
            "string f = 1 [(buf.validate.field).string.host_and_port = true];",
            json!("a"),
            "must be a valid host (hostname or IP address) and port pair",
        ),
        (
            "string f = 1 [(buf.validate.field).string.uri_ref = true];",
            json!("a b"),
            "must be a valid URI Reference",
        ),
        (
            "string f = 1 [(buf.validate.field).string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME];",
            json!("a b"),
            "must be a valid HTTP header name",
        ),
        (
            "string f = 1 [(buf.validate.field).string = {in: ['x', 'y\"z']}];",
            json!("q"),
            "must be in list [x, y\"z]",
        ),
        (
            "string f = 1 [(buf.validate.field).string.min_len = 2];",
            json!("q"),
            "must be at least 2 characters",
        ),
        (
            "string f = 1 [(buf.validate.field).string.const = 'a'];",
            json!("q"),
            "must equal `a`",
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = '^a'];",
            json!("q"),
            "does not match regex pattern `^a`",
        ),
    ]);
}

/// Returns the fixed sentences in validate.proto by the id of the rule. The sentences of other
/// rules contain values.
fn fixed_sentences() -> BTreeMap<String, String> {
    let validate = Path::new(env!("CARGO_MANIFEST_DIR")).join(VALIDATE);
    let text = fs::read_to_string(validate).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let value = |line: &str, key: &str| {
        let quoted = line.strip_prefix(key)?.strip_prefix(": \"")?;
        Some(quoted.strip_suffix('"')?.to_owned())
    };
    let of_rule = |pair: &[&str]| Some((value(pair[0], "id")?, value(pair[1], "message")?));
    lines.windows(2).filter_map(of_rule).collect()
}

#[test]
fn every_format_of_strings_and_bytes_has_the_sentence_of_validate_proto() {
    let mut cases = Vec::new();
    strings(&mut cases);
    bytes(&mut cases);
    let sentences = fixed_sentences();
    let mut checked = BTreeSet::new();
    let (empty, no_bytes) = (json!(""), json!([]));
    for case in &cases {
        let Case {
            kind, rules, id, ..
        } = case;
        let field = format!("optional {kind} f = 1 [(buf.validate.field) = {{{rules}}}];");
        let packed_empty = if kind == "bytes" { &no_bytes } else { &empty };
        for (id, value) in [
            (id.clone(), (&case.breaks.0, case.breaks.packed())),
            (format!("{id}_empty"), (&empty, packed_empty)),
        ] {
            if let Some(sentence) = sentences.get(&id) {
                assert_sentence(&field, value, sentence);
                checked.insert(id);
            }
        }
    }
    let is_format = |id: &&String| id.starts_with("string.") || id.starts_with("bytes.");
    let all: BTreeSet<_> = sentences.keys().filter(is_format).cloned().collect();
    assert_eq!(checked, all);
    assert!(all.contains("string.email") && all.len() > 40, "{all:?}");
}

#[test]
fn rules_of_times_and_masks_have_the_documented_sentences() {
    assert_sentences(&[
        (
            "google.protobuf.Duration f = 1 [(buf.validate.field).duration.gt = {seconds: 1, nanos: 500000000}];",
            json!({"seconds": 1}),
            "must be greater than 1.5s",
        ),
        (
            "google.protobuf.Duration f = 1 [(buf.validate.field).duration = {in: [{seconds: 1}, {seconds: -3600}]}];",
            json!({"seconds": 2}),
            "must be in list [1s, -3600s]",
        ),
        (
            "google.protobuf.Timestamp f = 1 [(buf.validate.field).timestamp.gt = {seconds: 100000}];",
            json!({"seconds": 1}),
            "must be greater than 1970-01-02T03:46:40Z",
        ),
        (
            "google.protobuf.Timestamp f = 1 [(buf.validate.field).timestamp.within = {seconds: 3600}];",
            json!({"seconds": 1}),
            "must be within 3600s of now",
        ),
        (
            "google.protobuf.FieldMask f = 1 [(buf.validate.field).field_mask = {const: {paths: ['a', 'b']}}];",
            json!({"paths": ["z"]}),
            "must equal paths [a, b]",
        ),
        (
            "google.protobuf.FieldMask f = 1 [(buf.validate.field).field_mask = {in: ['a', 'b']}];",
            json!({"paths": ["az"]}),
            "must only contain paths in [a, b]",
        ),
    ]);
}

#[test]
fn rules_of_numbers_lists_and_presence_have_the_documented_sentences() {
    assert_sentences(&[
        (
            "double f = 1 [(buf.validate.field).double = {in: [1.5, 1e23, 1e-7, 3]}];",
            json!(2),
            "must be in list [1.5, 1e+23, 1e-07, 3]",
        ),
        (
            "float f = 1 [(buf.validate.field).float.const = 0.1];",
            json!(2),
            "must equal 0.1",
        ),
        (
            "double f = 1 [(buf.validate.field).double = {gt: 0, lt: 5}];",
            json!(5),
            "must be greater than 0 and less than 5",
        ),
        (
            "int32 f = 1 [(buf.validate.field).int32 = {gte: 10, lte: 5}];",
            json!(7),
            "must be greater than or equal to 10 or less than or equal to 5",
        ),
        (
            "bool f = 1 [(buf.validate.field).bool.const = true];",
            json!(false),
            "must equal true",
        ),
        (
            "E f = 1 [(buf.validate.field).enum.defined_only = true]; enum E { A = 0; }",
            json!(7),
            "value must be one of the defined enum values",
        ),
        (
            "E f = 1 [(buf.validate.field).enum.not_in = 1]; enum E { A = 0; B = 1; }",
            json!("B"),
            "must not be in list [1]",
        ),
        (
            "repeated int32 f = 1 [(buf.validate.field).repeated.min_items = 3];",
            json!([1]),
            "must contain at least 3 item(s)",
        ),
        (
            "repeated int32 f = 1 [(buf.validate.field).repeated.unique = true];",
            json!([1, 1]),
            "repeated value must contain unique items",
        ),
        (
            "map<string, int32> f = 1 [(buf.validate.field).map.min_pairs = 3];",
            json!({"a": 1}),
            "map must be at least 3 entries",
        ),
        (
            "int32 f = 1 [(buf.validate.field).required = true];",
            json!(0),
            "value is required",
        ),
    ]);
}

#[test]
fn rules_of_messages_and_oneofs_name_their_fields() {
    let ruled = Ruled::new(
        "message M { option (buf.validate.message).oneof = {fields: ['a', 'b'], required: true};
           string a = 1; string b = 2; oneof c { option (buf.validate.oneof).required = true; int32 d = 3; } }",
    );
    let reported = ruled.refuses(&json!({"a": "x", "b": "y", "d": 1}), "", "message.oneof");
    assert_eq!(reported.expected, "only one of a, b can be set");
    let reported = ruled.refuses(&json!({"d": 1}), "", "message.oneof");
    assert_eq!(reported.expected, "one of a, b must be set");
    let reported = ruled.refuses(&json!({"a": "x"}), "c", "required");
    assert_eq!(reported.expected, "exactly one field is required in oneof");
}

/// Asserts that the values of rules on bytes are printed in hexadecimal.
#[test]
fn bytes_are_reported_in_hexadecimal() {
    let ruled = Ruled::new(
        "message M { bytes f = 1 [(buf.validate.field).bytes = {prefix: 'ab\\xff', const: 'ab'}]; }",
    );
    let reported = ruled.json.check(br#"{"f": "YQ=="}"#, DEPTH).unwrap_err();
    assert_eq!(reported.expected, "must be 6162");
    let reported = ruled.json.check(br#"{"f": "YWI="}"#, DEPTH).unwrap_err();
    assert_eq!(reported.expected, "does not have prefix 6162ff");
}
