//! Tests of the paths and the offsets of violations.

use super::*;

#[test]
fn violations_in_nested_messages_have_their_path() {
    let ruled = Ruled::new(
        "message M {
           repeated Line lines = 1; map<string, Line> named = 2; M again = 3;
           repeated string words = 4 [(buf.validate.field).repeated.items.string.min_len = 2];
           map<int32, string> texts = 5 [(buf.validate.field).map = {keys: {int32: {gt: 0}}, values: {string: {min_len: 1}}}];
           oneof choice { option (buf.validate.oneof).required = true; int32 a = 6; int32 b = 7; }
           option (buf.validate.message).cel = {id: \"m.lines\", message: \"two lines at most\", expression: \"this.lines.size() <= 2\"};
         }
         message Line { string zip = 1 [(buf.validate.field).string.len = 5];
           option (buf.validate.message).cel = {id: \"line\", message: \"no zip of zeros\", expression: \"this.zip != '00000'\"}; }",
    );
    let good = json!({"a": 1, "lines": [{"zip": "12345"}], "words": ["ab"], "texts": {}});
    ruled.accepts(&good);
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        changed
    };
    ruled.refuses(
        &with("lines", json!([{"zip": "12345"}, {"zip": "1"}])),
        "lines[1].zip",
        "string.len",
    );
    ruled.refuses(
        &with("named", json!({"k\"": {"zip": "1"}})),
        "named[\"k\\\"\"].zip",
        "string.len",
    );
    ruled.refuses(
        &with("words", json!(["ab", "a"])),
        "words[1]",
        "string.min_len",
    );
    ruled.refuses(&with("again", json!({})), "again.choice", "required");
    ruled.refuses(&json!({}), "choice", "required");
    let again = json!({"b": 2, "again": {"a": 1, "lines": [{"zip": "x"}]}});
    ruled.refuses(
        &with("again", again),
        "again.again.lines[0].zip",
        "string.len",
    );
    // A rule of a message is reported at the path of the message, with the text of the rule.
    let three = json!([{"zip": "12345"}, {"zip": "12345"}, {"zip": "12345"}]);
    let fault = ruled.refuses(&with("lines", three), "", "m.lines");
    assert_eq!(fault.to_string(), "two lines at most (rule m.lines)");
    let fault = ruled.refuses(
        &with("lines", json!([{"zip": "00000"}])),
        "lines[0]",
        "line",
    );
    assert_eq!(fault.to_string(), "lines[0]: no zip of zeros (rule line)");
    // Map keys that are not strings are tested in protobuf and MessagePack, because keys in JSON
    // are always strings.
    let texts = b"\x0a\x07\x0a\x0512345\x30\x01\x2a\x04\x08\x00\x12\x00";
    let fault = ruled.protobuf.check(texts, DEPTH).unwrap_err();
    assert_eq!(
        (&*fault.path, fault.rule.as_deref()),
        ("texts[0] (key)", Some("int32.gt"))
    );
    let fault = ruled
        .msgpack
        .check(b"\x82\xa1a\x01\xa5texts\x81\x07\xa0", DEPTH)
        .unwrap_err();
    assert_eq!(
        (&*fault.path, fault.rule.as_deref()),
        ("texts[7]", Some("string.min_len"))
    );
}

#[test]
fn structure_is_checked_before_rules() {
    let ruled =
        Ruled::new("message M { int32 f = 1 [(buf.validate.field).int32.gt = 5]; string s = 2; }");
    let fault = ruled
        .protobuf
        .check(b"\x08\x01\x10\x01", DEPTH)
        .unwrap_err();
    assert_eq!((fault.rule, &*fault.path), (None, "s"));
    let fault = ruled
        .msgpack
        .check(b"\x82\xa1f\x01\xa1s\x01", DEPTH)
        .unwrap_err();
    assert_eq!((fault.rule, &*fault.path), (None, "s"));
}

#[test]
fn predefined_and_standard_rules_are_reported_by_their_ids() {
    let ruled = Ruled::new(
        "syntax = \"proto2\"; package t; import \"buf/validate/validate.proto\";
         extend buf.validate.Int32Rules {
           optional bool even = 80048952 [(buf.validate.predefined).cel = {
             id: \"int32.even\", message: \"must be even\", expression: \"this % 2 == 0\"}];
         }
         message M { optional int32 f = 1 [(buf.validate.field).int32.(even) = true];
           required int32 g = 2 [(buf.validate.field).int32.gt = 0]; }",
    );
    ruled.accepts(&json!({"f": 4, "g": 1}));
    let fault = ruled.refuses(&json!({"f": 3, "g": 1}), "f", "int32.even");
    assert_eq!(fault.to_string(), "f: must be even (rule int32.even)");
    ruled.refuses(&json!({"f": 4, "g": 0}), "g", "int32.gt");
}

#[test]
fn all_violations_are_reported_if_the_option_is_set() {
    let text = "message M { repeated int32 n = 1 [(buf.validate.field).repeated.items.int32.gt = 0]; int32 f = 2 [(buf.validate.field).int32.gt = 0]; }";
    let (descriptors, _dir) = descriptors(text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &["t.M"], &mut Diagnostics::new());
    let rule_set = Arc::new(rule_set.unwrap());
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    let root = table.message("t.M").unwrap();
    let mut schema = Schema::new(Encoding::Json, table, root, options);
    assert!(schema.enforce(&rule_set, LIMITS));
    let fault = schema.check(br#"{"n": [1, 0, -1]}"#, DEPTH).unwrap_err();
    let others: Vec<_> = fault
        .others
        .iter()
        .flatten()
        .map(|other| &*other.path)
        .collect();
    assert_eq!((&*fault.path, &*others), ("n[1]", &["n[2]", "f"][..]));
    let many = format!("{{\"n\": {:?}}}", vec![0; 1000]);
    let fault = schema.check(many.as_bytes(), DEPTH).unwrap_err();
    assert_eq!(fault.others.unwrap().len(), 15);
}

/// Returns schemas for singular, repeated and map fields with rules.
fn places() -> Ruled {
    Ruled::new(
        "message M {
           int32 first = 1; repeated Line lines = 2; map<string, Line> named = 3;
           repeated int32 numbers = 4 [(buf.validate.field).repeated.items.int32.gt = 0];
           map<int32, string> texts = 5 [(buf.validate.field).map.values.string.min_len = 1];
           string name = 6 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 3}}];
           Line needed = 7;
         }
         message Line { optional string zip = 1 [(buf.validate.field).required = true, (buf.validate.field).string.len = 2];
           oneof one { int32 a = 2 [(buf.validate.field).int32.lt = 5]; int32 b = 3; } }",
    )
}

/// Asserts that the value at `path` breaks a rule, and that the offset of the violation is the end
/// of `before`. The value begins at this offset. If the value is absent, the message that lacks the
/// value begins at this offset.
#[track_caller]
fn assert_offset(schema: &Schema, before: &[u8], after: &[u8], path: &str) {
    let payload = [before, after].concat();
    let fault = schema.check(&payload, DEPTH).unwrap_err();
    assert!(fault.rule.is_some(), "{fault}");
    assert_eq!(
        (&*fault.path, fault.offset),
        (path, before.len()),
        "{payload:02x?}"
    );
}

#[test]
fn a_broken_rule_is_reported_at_the_offset_of_the_value_in_json() {
    let ruled = places();
    let json = |before: &str, after: &str, path: &str| {
        assert_offset(&ruled.json, before.as_bytes(), after.as_bytes(), path);
    };
    json(" {\"first\":1, \"name\": ", "\"ab\"}", "name");
    json(
        "{\"lines\":[{\"zip\":\"ab\"},{\"b\":1,\"zip\": ",
        "\"a\"}]}",
        "lines[1].zip",
    );
    json(
        "{\"lines\":[{\"zip\":\"ab\"}, ",
        "{\"b\":1}]}",
        "lines[1].zip",
    );
    json(
        "{\"named\":{\"x\":{\"zip\":\"ab\"},\"k\\u0022\":{\"zip\":\"ab\",\"a\":",
        "5}}}",
        "named[\"k\\\"\"].a",
    );
    json("{\"numbers\":[1,2,", "0,3]}", "numbers[2]");
    json("{\"texts\":{\"1\":\"x\",\"-2\":", "\"\"}}", "texts[-2]");
}

#[test]
fn a_broken_rule_is_reported_at_the_offset_of_the_value_in_msgpack() {
    let ruled = places();
    let msgpack = |before: &[u8], after: &[u8], path: &str| {
        assert_offset(&ruled.msgpack, before, after, path);
    };
    msgpack(b"\x82\xa5first\x01\xa4name", b"\xa2ab", "name");
    msgpack(b"\x96\x01\xc0\xc0\xc0\xc0", b"\xa2ab", "name");
    msgpack(
        b"\x81\xa5lines\x92\x91\xa2ab\x82\xa1b\x01\xa3zip",
        b"\xa1a",
        "lines[1].zip",
    );
    msgpack(
        b"\x81\xa5lines\x92\x91\xa2ab",
        b"\x81\xa1b\x01",
        "lines[1].zip",
    );
    msgpack(
        b"\x81\xa5named\x82\xa1x\x91\xa2ab\xa2k\"\x92\xa2ab",
        b"\x05",
        "named[\"k\\\"\"].a",
    );
    msgpack(b"\x81\xa7numbers\x94\x01\x02", b"\x00\x03", "numbers[2]");
    msgpack(b"\x81\xa5texts\x82\x01\xa1x\xfe", b"\xa0", "texts[-2]");
}

#[test]
fn a_broken_rule_is_reported_at_the_offset_of_the_value_in_protobuf() {
    let ruled = places();
    let protobuf = |before: &[u8], after: &[u8], path: &str| {
        assert_offset(&ruled.protobuf, before, after, path);
    };
    protobuf(b"\x08\x01\x32", b"\x02ab", "name");
    protobuf(b"\x32\x03abc\x32", b"\x02ab", "name");
    protobuf(
        b"\x12\x04\x0a\x02ab\x08\x01\x12\x05\x18\x01\x0a",
        b"\x01a",
        "lines[1].zip",
    );
    protobuf(b"\x12\x04\x0a\x02ab\x12\x02", b"\x18\x01", "lines[1].zip");
    protobuf(
        b"\x1a\x0c\x0a\x02k\"\x12\x06\x0a\x02ab\x10",
        b"\x05",
        "named[\"k\\\"\"].a",
    );
    protobuf(
        b"\x22\x02\x01\x02\x08\x01\x22\x03",
        b"\x00\x03\x04",
        "numbers[2]",
    );
    protobuf(b"\x20\x01\x20\x02\x20", b"\x00\x20\x03", "numbers[2]");
    protobuf(
        b"\x2a\x0d\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12",
        b"\x00",
        "texts[-2]",
    );
    // The message that lacks the value is empty, so its content begins at the end of the payload.
    protobuf(b"\x3a\x00", b"", "needed.zip");
}
