//! Tests of payloads that write a field more than once, or not at all. Rules apply to the value
//! that a decoder returns. A record is one occurrence of a field in a protobuf payload.

use super::*;

/// Asserts that this protobuf payload breaks the rule at the path in `broken`, or no rule if
/// `broken` is `None`.
#[track_caller]
fn protobuf(ruled: &Ruled, payload: &[u8], broken: Option<(&str, &str)>) {
    let verdict = ruled.protobuf.check(payload, DEPTH);
    let reported = verdict.as_ref().map_err(|violation| {
        let rule = violation.rule.as_deref().unwrap_or_default();
        (violation.path.as_str(), rule)
    });
    assert_eq!(reported.err(), broken, "{payload:02x?}: {verdict:?}");
}

#[test]
fn the_last_of_several_values_counts() {
    let ruled = Ruled::new(
        "message M { int32 f = 1 [(buf.validate.field).int32.gt = 5];
           optional string s = 2 [(buf.validate.field).string.len = 1]; }",
    );
    protobuf(&ruled, b"\x08\x01\x08\x06", None);
    protobuf(&ruled, b"\x08\x06\x08\x01", Some(("f", "int32.gt")));
    // An encoded zero equals an unset field, which breaks the rule, too.
    protobuf(&ruled, b"\x08\x06\x08\x00", Some(("f", "int32.gt")));
    protobuf(&ruled, b"", Some(("f", "int32.gt")));
    protobuf(&ruled, b"\x08\x06\x12\x02ab\x12\x01a", None);
    protobuf(
        &ruled,
        b"\x08\x06\x12\x01a\x12\x00",
        Some(("s", "string.len")),
    );
}

/// A string of proto2 may contain bytes that are not UTF-8. Rules need UTF-8, but only in the
/// strings that the rules read.
#[test]
fn a_string_that_is_not_utf8_matters_if_a_rule_reads_it() {
    let ruled = Ruled::new(
        r#"syntax = "proto2"; package t; import "buf/validate/validate.proto";
        message M {
          optional string own = 1 [(buf.validate.field).string.min_len = 1];
          optional string cel = 2 [(buf.validate.field).cel_expression = "this != 'no'"];
          optional string read = 3;
          optional string unread = 4;
          oneof one { string text = 5; int32 n = 6; }
          repeated string list = 7 [(buf.validate.field).repeated.items.cel_expression = "this != 'no'"];
          map<string, string> map = 8 [(buf.validate.field).map.values.cel_expression = "this != 'no'"];
          map<string, string> keys = 9 [(buf.validate.field).map.keys.cel_expression = "this != 'no'"];
          map<string, string> long = 10 [(buf.validate.field).map.keys.string.min_len = 1];
          option (buf.validate.message).cel_expression = "this.read != 'no' && (has(this.text) || this.n >= 0)";
        }"#,
    );
    for number in 1..=5 {
        let (tag, text) = (number << 3 | 2, if number < 4 { "a" } else { "" });
        let wrong = [tag, 2, b'a', 0xff];
        let right = [&[tag, text.len() as u8], text.as_bytes()].concat();
        assert_eq!(ruled.protobuf.check(&right, DEPTH), Ok(()), "{number}");
        // A later record replaces the first one.
        let both = [&wrong[..], &right].concat();
        assert_eq!(ruled.protobuf.check(&both, DEPTH), Ok(()), "{number}");
    }
    // No rule reads these strings.
    for payload in [
        &b"\x22\x01\xff"[..],
        b"\x2a\x01\xff",
        b"\x2a\x01\xff\x30\x01",
    ] {
        assert_eq!(ruled.protobuf.check(payload, DEPTH), Ok(()), "{payload:?}");
    }
    for (payload, path, expected, offset) in [
        (&b"\x0a\x01\xff"[..], "own", "a string", 1),
        (b"\x12\x01\xff", "cel", "a string", 1),
        (b"\x1a\x01\xff", "", "`this.read`", 0),
        (b"\x3a\x01a\x3a\x01\xff", "list[1]", "a string", 4),
        (
            b"\x42\x06\x0a\x01a\x12\x01\xff",
            "map[\"a\"]",
            "a string",
            6,
        ),
        (b"\x42\x06\x0a\x01\xff\x12\x01\xff", "map[…]", "a string", 6),
        (b"\x4a\x03\x0a\x01\xff", "keys[…] (key)", "a string", 2),
        (
            b"\x52\x03\x0a\x01\xff",
            "long[\"\u{fffd}\"] (key)",
            "a string",
            2,
        ),
    ] {
        let violation = ruled.protobuf.check(payload, DEPTH).unwrap_err();
        let expected = format!("{expected} in UTF-8, because rules apply to it");
        assert_eq!((&*violation.path, violation.expected), (path, expected));
        assert_eq!((violation.rule, violation.offset), (None, offset));
    }
}

/// A varint may have bits beyond the 64th. These bits are dropped, whether or not the message has
/// rules.
#[test]
fn a_varint_with_more_than_64_bits_has_the_value_of_the_first_64() {
    let ruled = Ruled::new(
        "message M { int64 i = 1 [(buf.validate.field).int64.lt = 0];
           message Plain { int64 i = 1; } Plain plain = 2; }",
    );
    let ones = [&[0xff; 9][..], b"\x7f"].concat();
    protobuf(&ruled, &[b"\x08", &ones[..]].concat(), None);
    let both = [&b"\x08"[..], &ones, b"\x12\x0b\x08", &ones].concat();
    protobuf(&ruled, &both, None);
    let zero = [&b"\x08"[..], &[0x80; 9], b"\x7e"].concat();
    protobuf(&ruled, &zero, Some(("i", "int64.lt")));
}

#[test]
fn records_of_a_message_are_merged() {
    let ruled = Ruled::new(
        "message M { N n = 1 [(buf.validate.field).required = true]; repeated N many = 2; map<int32, N> map = 3;
           google.protobuf.Timestamp t = 4 [(buf.validate.field).timestamp.lt = {seconds: 5, nanos: 5}]; }
         message N { int32 a = 1 [(buf.validate.field).required = true]; int32 b = 2 [(buf.validate.field).int32.lt = 5];
           repeated int32 c = 3 [(buf.validate.field).repeated.max_items = 2]; N n = 4; }
         import \"google/protobuf/timestamp.proto\";",
    );
    protobuf(&ruled, b"", Some(("n", "required")));
    protobuf(&ruled, b"\x0a\x02\x10\x01", Some(("n.a", "required")));
    protobuf(&ruled, b"\x0a\x02\x10\x01\x0a\x02\x08\x01", None);
    protobuf(
        &ruled,
        b"\x0a\x02\x08\x01\x0a\x02\x10\x09",
        Some(("n.b", "int32.lt")),
    );
    protobuf(&ruled, b"\x0a\x04\x08\x01\x10\x09\x0a\x02\x10\x01", None);
    // The records of a list are concatenated, and nested messages are merged, too.
    protobuf(
        &ruled,
        b"\x0a\x06\x08\x01\x1a\x02\x01\x02\x0a\x02\x18\x03",
        Some(("n.c", "repeated.max_items")),
    );
    protobuf(
        &ruled,
        b"\x0a\x04\x08\x01\x22\x00\x0a\x04\x22\x02\x08\x01",
        None,
    );
    protobuf(
        &ruled,
        b"\x0a\x04\x08\x01\x22\x00\x0a\x00",
        Some(("n.n.a", "required")),
    );
    // The elements of a list are not merged.
    let good = b"\x0a\x02\x08\x01";
    let with = |rest: &[u8]| [&good[..], rest].concat();
    protobuf(
        &ruled,
        &with(b"\x12\x00\x12\x02\x08\x01"),
        Some(("many[0].a", "required")),
    );
    // The records of a map entry's value are merged. A later entry replaces an earlier entry with
    // the same key, and an entry without a value has an empty value.
    protobuf(
        &ruled,
        &with(b"\x1a\x08\x08\x07\x12\x00\x12\x02\x08\x01"),
        None,
    );
    protobuf(
        &ruled,
        &with(b"\x1a\x04\x08\x07\x12\x00\x1a\x06\x08\x07\x12\x02\x08\x01"),
        None,
    );
    protobuf(
        &ruled,
        &with(b"\x1a\x02\x08\x07"),
        Some(("map[7].a", "required")),
    );
    // The parts of a timestamp are merged, too.
    protobuf(&ruled, &with(b"\x22\x02\x08\x05\x22\x02\x10\x04"), None);
    protobuf(
        &ruled,
        &with(b"\x22\x02\x08\x05\x22\x02\x10\x05"),
        Some(("t", "timestamp.lt")),
    );
}

#[test]
fn a_later_member_of_a_oneof_replaces_an_earlier_one() {
    let ruled = Ruled::new(
        "message M { oneof one { option (buf.validate.oneof).required = true;
             int32 a = 1 [(buf.validate.field).int32.gt = 5]; string b = 2; N c = 3; } }
         message N { int32 a = 1 [(buf.validate.field).required = true]; int32 b = 2; }",
    );
    protobuf(&ruled, b"", Some(("one", "required")));
    protobuf(&ruled, b"\x08\x01", Some(("a", "int32.gt")));
    protobuf(&ruled, b"\x08\x00", Some(("a", "int32.gt")));
    protobuf(&ruled, b"\x08\x01\x12\x01x", None);
    protobuf(&ruled, b"\x12\x01x\x08\x01", Some(("a", "int32.gt")));
    // Another member of the oneof discards the earlier content of a message member.
    protobuf(&ruled, b"\x1a\x02\x08\x01\x1a\x02\x10\x01", None);
    protobuf(
        &ruled,
        b"\x1a\x02\x08\x01\x12\x00\x1a\x02\x10\x01",
        Some(("c.a", "required")),
    );
    // Unknown fields are not members of the oneof.
    protobuf(&ruled, b"\x12\x01x\x48\x01", None);
    for (value, rule) in [
        (json!({"a": 1}), Some(("a", "int32.gt"))),
        (json!({"b": ""}), None),
        (json!({"a": null}), Some(("one", "required"))),
    ] {
        match rule {
            Some((path, rule)) => drop(ruled.refuses(&value, path, rule)),
            None => ruled.accepts(&value),
        }
    }
}

/// Tests that a number that a closed enum does not define is treated as an unknown field.
#[test]
fn numbers_that_a_closed_enum_does_not_define_are_unknown_fields() {
    let ruled = Ruled::new(
        "syntax = \"proto2\"; package t; import \"buf/validate/validate.proto\";
         enum E { Z = 0; A = 1; B = 2; }
         message M { optional E e = 1 [(buf.validate.field).enum.in = 1];
           repeated E many = 2 [(buf.validate.field).repeated.max_items = 1];
           map<int32, E> map = 3 [(buf.validate.field).map.max_pairs = 1];
           optional E needed = 4 [(buf.validate.field).required = true]; }",
    );
    let with = |rest: &[u8]| [b"\x20\x01", rest].concat();
    protobuf(&ruled, &with(b"\x08\x02"), Some(("e", "enum.in")));
    protobuf(&ruled, &with(b"\x08\x09"), None);
    protobuf(&ruled, &with(b"\x08\x01\x08\x09"), None);
    protobuf(&ruled, &with(b"\x12\x03\x01\x09\x08"), None);
    protobuf(
        &ruled,
        &with(b"\x10\x01\x10\x02"),
        Some(("many", "repeated.max_items")),
    );
    protobuf(
        &ruled,
        &with(b"\x1a\x04\x08\x01\x10\x01\x1a\x04\x08\x02\x10\x09"),
        None,
    );
    protobuf(&ruled, b"\x20\x09", Some(("needed", "required")));
}

/// Tests that groups are checked as messages.
#[test]
fn groups_are_judged_as_messages() {
    let ruled = Ruled::new(
        "syntax = \"proto2\"; package t; import \"buf/validate/validate.proto\";
         message M { optional group One = 1 { optional int32 a = 1 [(buf.validate.field).required = true];
             optional int32 b = 2 [(buf.validate.field).int32.lt = 5]; }
           repeated group Many = 2 { optional int32 a = 1 [(buf.validate.field).required = true]; } }",
    );
    protobuf(&ruled, b"\x0b\x08\x01\x0c", None);
    protobuf(&ruled, b"\x0b\x0c", Some(("one.a", "required")));
    protobuf(
        &ruled,
        b"\x0b\x08\x01\x0c\x0b\x10\x07\x0c",
        Some(("one.b", "int32.lt")),
    );
    protobuf(
        &ruled,
        b"\x13\x08\x01\x14\x13\x14",
        Some(("many[1].a", "required")),
    );
}

#[test]
fn presence_distinguishes_zero_from_absence() {
    let ruled = Ruled::new(
        "message M {
           int32 plain = 1 [(buf.validate.field).int32.not_in = 0];
           optional int32 present = 2 [(buf.validate.field).int32.not_in = 0];
           int32 lenient = 3 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, int32: {gt: 5}}];
           optional int32 same = 4 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, int32: {gt: 5}}];
           repeated int32 list = 5 [(buf.validate.field).repeated = {items: {ignore: IGNORE_IF_ZERO_VALUE, int32: {gt: 5}}}];
           double float = 6 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, double: {gt: 5}}];
           google.protobuf.Int32Value wrapped = 7 [(buf.validate.field).int32.gt = 5];
           repeated string needed = 8 [(buf.validate.field).required = true];
         }
         import \"google/protobuf/wrappers.proto\";",
    );
    let good = json!({"plain": 1, "needed": ["x"]});
    ruled.accepts(&good);
    let with = |key: &str, to: Value| {
        let mut value = good.clone();
        value[key] = to;
        value
    };
    ruled.refuses(&json!({"needed": ["x"]}), "plain", "int32.not_in");
    ruled.refuses(&with("plain", json!(0)), "plain", "int32.not_in");
    ruled.refuses(&with("present", json!(0)), "present", "int32.not_in");
    ruled.accepts(&with("lenient", json!(0)));
    ruled.refuses(&with("lenient", json!(1)), "lenient", "int32.gt");
    ruled.refuses(&with("same", json!(0)), "same", "int32.gt");
    ruled.refuses(&with("list", json!([6, 0, 1])), "list[2]", "int32.gt");
    ruled.refuses(&with("wrapped", json!(0)), "wrapped", "int32.gt");
    ruled.refuses(&with("needed", json!([])), "needed", "required");
    ruled.accepts(&with("float", json!(0.0)));
    // Negative zero is not the default value, since its sign is encoded.
    let wire = b"\x08\x01\x42\x00\x31\x00\x00\x00\x00\x00\x00\x00\x80";
    protobuf(&ruled, wire, Some(("float", "double.gt")));
    let payload = br#"{"plain": 1, "needed": ["x"], "float": -0.0}"#;
    let reported = ruled.json.check(payload, DEPTH).unwrap_err();
    assert_eq!(
        (&*reported.path, reported.rule.as_deref()),
        ("float", Some("double.gt"))
    );
}

/// Tests that a field with the value -0.0 is set, even if the field has no presence, because -0.0
/// is encoded. In a list or a map, -0.0 is the zero value that IGNORE_IF_ZERO_VALUE ignores.
#[test]
fn negative_zero_is_a_set_value_in_a_field_but_the_zero_value_in_a_list_or_map() {
    for (field, path) in [
        ("double f = 1 [(buf.validate.field) = {RULES}]", "f"),
        ("double f = 1 [(buf.validate.field) = {ZERO, RULES}]", "f"),
        (
            "double f = 1 [(buf.validate.field) = {ignore: IGNORE_ALWAYS, RULES}]",
            "",
        ),
        (
            "double f = 1 [(buf.validate.field) = {required: true, RULES}]",
            "f",
        ),
        (
            "optional double f = 1 [(buf.validate.field) = {RULES}]",
            "f",
        ),
        (
            "optional double f = 1 [(buf.validate.field) = {ZERO, RULES}]",
            "f",
        ),
        (
            "repeated double f = 1 [(buf.validate.field).repeated.items = {RULES}]",
            "f[0]",
        ),
        (
            "repeated double f = 1 [(buf.validate.field).repeated.items = {ZERO, RULES}]",
            "",
        ),
        (
            "map<string, double> f = 1 [(buf.validate.field).map.values = {RULES}]",
            "f[\"k\"]",
        ),
        (
            "map<string, double> f = 1 [(buf.validate.field).map.values = {ZERO, RULES}]",
            "",
        ),
    ] {
        for (rules, id) in [
            ("double: {gt: 5}", "double.gt"),
            ("cel_expression: \"this > 5.0\"", "this > 5.0"),
        ] {
            let zero = field.replace("ZERO", "ignore: IGNORE_IF_ZERO_VALUE");
            judges_negative_zero(&zero.replace("RULES", rules), path, id);
        }
    }
}

/// Asserts that -0.0 in `field` breaks the rule `id` at `path`, or no rule if `path` is empty.
#[track_caller]
fn judges_negative_zero(field: &str, path: &str, id: &str) {
    let other = "string other = 2 [(buf.validate.field).string.max_len = 1];";
    let ruled = Ruled::new(&format!("message M {{ {field}; {other} }}"));
    let (wire, json, msgpack): (&[u8], _, &[u8]) = match field.split(' ').next().unwrap() {
        "repeated" => (b"\x0a\x08", "[-0.0]", b"\x81\xa1f\x91\xcb"),
        "map<string," => (
            b"\x0a\x0c\x0a\x01k\x11",
            "{\"k\": -0.0}",
            b"\x81\xa1f\x81\xa1k\xcb",
        ),
        _ => (b"\x09", "-0.0", b"\x81\xa1f\xcb"),
    };
    let verdicts = [
        ruled
            .protobuf
            .check(&[wire, &(-0.0f64).to_le_bytes()].concat(), DEPTH),
        ruled
            .msgpack
            .check(&[msgpack, &(-0.0f64).to_be_bytes()].concat(), DEPTH),
        ruled
            .json
            .check(format!("{{\"f\": {json}}}").as_bytes(), DEPTH),
    ];
    for verdict in verdicts {
        let reported = verdict.err().map(|reported| (reported.path, reported.rule));
        let expected = (!path.is_empty()).then(|| (path.to_owned(), Some(id.into())));
        assert_eq!(reported, expected, "{field}");
    }
}

/// Tests that a field with the value -0.0 counts as set for the oneof rule of a message.
#[test]
fn negative_zero_counts_in_the_oneof_of_a_message() {
    let ruled = Ruled::new(
        "message M { option (buf.validate.message).oneof = {fields: [\"a\", \"b\"], required: true};
           double a = 1; int32 b = 2; }",
    );
    let zero = b"\x09\0\0\0\0\0\0\0\x80";
    protobuf(&ruled, b"", Some(("", "message.oneof")));
    protobuf(&ruled, zero, None);
    let both = [&zero[..], b"\x10\x01"].concat();
    protobuf(&ruled, &both, Some(("", "message.oneof")));
}
