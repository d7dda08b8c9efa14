//! Tests of the standard rules of buf.validate on fields of every type.

use serde_json::{Value, json};

use super::{DEPTH, Ruled};
use gateway_schema::Schema;

/// A field `f` with a rule, values that the rule allows, and values that it forbids, each with the
/// id of the broken rule.
type Case = (&'static str, Vec<Value>, Vec<(Value, &'static str)>);

/// Asserts that, in each case, the rule allows the good values and forbids the bad values.
fn hold(cases: Vec<Case>) {
    for (field, good, bad) in cases {
        let ruled = Ruled::new(&format!("message M {{ {field} }}"));
        for value in good {
            ruled.accepts(&json!({ "f": value }));
        }
        for (value, rule) in bad {
            ruled.refuses(&json!({ "f": value }), "f", rule);
        }
    }
}

#[test]
fn rules_of_numbers_and_bools_are_enforced() {
    hold(vec![
        (
            "int32 f = 1 [(buf.validate.field).int32 = {gte: 1, lt: 10}];",
            vec![json!(1), json!(9)],
            vec![(json!(0), "int32.gte_lt"), (json!(10), "int32.gte_lt")],
        ),
        (
            "int64 f = 1 [(buf.validate.field).int64.not_in = 7];",
            vec![json!(8)],
            vec![(json!(7), "int64.not_in")],
        ),
        (
            "uint32 f = 1 [(buf.validate.field).uint32.in = 5];",
            vec![json!(5)],
            vec![(json!(6), "uint32.in")],
        ),
        (
            "uint64 f = 1 [(buf.validate.field).uint64.lte = 100];",
            vec![json!(100)],
            vec![(json!(101), "uint64.lte")],
        ),
        (
            "sint32 f = 1 [(buf.validate.field).sint32.const = -3];",
            vec![json!(-3)],
            vec![(json!(3), "sint32.const")],
        ),
        (
            "sint64 f = 1 [(buf.validate.field).sint64.gt = -3];",
            vec![json!(-2)],
            vec![(json!(-3), "sint64.gt")],
        ),
        (
            "fixed32 f = 1 [(buf.validate.field).fixed32.gt = 3];",
            vec![json!(4)],
            vec![(json!(3), "fixed32.gt")],
        ),
        (
            "fixed64 f = 1 [(buf.validate.field).fixed64.gt = 3];",
            vec![json!(4)],
            vec![(json!(3), "fixed64.gt")],
        ),
        (
            "sfixed32 f = 1 [(buf.validate.field).sfixed32.lt = 3];",
            vec![json!(-4)],
            vec![(json!(3), "sfixed32.lt")],
        ),
        (
            "sfixed64 f = 1 [(buf.validate.field).sfixed64.lt = 3];",
            vec![json!(-4)],
            vec![(json!(3), "sfixed64.lt")],
        ),
        (
            "float f = 1 [(buf.validate.field).float.gt = 0.5];",
            vec![json!(0.75), json!(1)],
            vec![(json!(0.5), "float.gt")],
        ),
        (
            "double f = 1 [(buf.validate.field).double.lte = 2];",
            vec![json!(2), json!(-1.5)],
            vec![(json!(2.5), "double.lte")],
        ),
        (
            "bool f = 1 [(buf.validate.field).bool.const = true];",
            vec![json!(true)],
            vec![(json!(false), "bool.const")],
        ),
    ]);
}

#[test]
fn rules_of_strings_are_enforced() {
    hold(vec![
        (
            "string f = 1 [(buf.validate.field).string = {min_len: 2, max_len: 3}];",
            vec![json!("ab"), json!("äöü")],
            vec![
                (json!("a"), "string.min_len"),
                (json!("abcd"), "string.max_len"),
            ],
        ),
        (
            "string f = 1 [(buf.validate.field).string.pattern = \"^[a-z]+$\"];",
            vec![json!("abc")],
            vec![(json!("a1"), "string.pattern")],
        ),
        (
            "string f = 1 [(buf.validate.field).string.email = true];",
            vec![json!("a@example.org")],
            vec![(json!("a@"), "string.email")],
        ),
        (
            "string f = 1 [(buf.validate.field).string.uuid = true];",
            vec![json!("2f1e9b0c-3b0f-4d5e-8f7a-1b2c3d4e5f60")],
            vec![(json!("2f1e"), "string.uuid")],
        ),
        (
            "string f = 1 [(buf.validate.field).string.hostname = true];",
            vec![json!("example.org")],
            vec![(json!("-x-"), "string.hostname")],
        ),
        (
            "string f = 1 [(buf.validate.field).string.ipv4 = true];",
            vec![json!("127.0.0.1")],
            vec![(json!("::1"), "string.ipv4")],
        ),
        (
            "string f = 1 [(buf.validate.field).string.uri = true];",
            vec![json!("https://example.org/a")],
            vec![(json!("no uri"), "string.uri")],
        ),
    ]);
}

#[test]
fn rules_of_enums_lists_maps_and_presence_are_enforced() {
    hold(vec![
        (
            "E f = 1 [(buf.validate.field).enum.defined_only = true]; enum E { A = 0; B = 1; }",
            vec![json!("B"), json!(1)],
            vec![(json!(9), "enum.defined_only")],
        ),
        (
            "E f = 1 [(buf.validate.field).enum.not_in = 1]; enum E { A = 0; B = 1; }",
            vec![json!("A")],
            vec![(json!("B"), "enum.not_in"), (json!(1), "enum.not_in")],
        ),
        (
            "repeated int32 f = 1 [(buf.validate.field).repeated = {min_items: 1, unique: true}];",
            vec![json!([1]), json!([1, 2])],
            vec![
                (json!([]), "repeated.min_items"),
                (json!([3, 3]), "repeated.unique"),
            ],
        ),
        (
            "map<string, int32> f = 1 [(buf.validate.field).map.max_pairs = 1];",
            vec![json!({"a": 1})],
            vec![(json!({"a": 1, "b": 2}), "map.max_pairs")],
        ),
        (
            "optional int32 f = 1 [(buf.validate.field).required = true];",
            vec![json!(0), json!(5)],
            vec![(json!(null), "required")],
        ),
        (
            "string f = 1 [(buf.validate.field).required = true];",
            vec![json!("x")],
            vec![(json!(""), "required")],
        ),
        (
            "string f = 1 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, string: {min_len: 3}}];",
            vec![json!(""), json!("abc")],
            vec![(json!("ab"), "string.min_len")],
        ),
        (
            "string f = 1 [(buf.validate.field).cel = {id: \"f.x\", message: \"starts with x\", expression: \"this.startsWith('x')\"}];",
            vec![json!("xy")],
            vec![(json!("y"), "f.x")],
        ),
    ]);
}

/// Returns the schemas of a message with fields of bytes and of well-known types. Each field has a
/// rule.
fn known() -> Ruled {
    Ruled::new(
        "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
         import \"google/protobuf/duration.proto\"; import \"google/protobuf/struct.proto\";
         message M {
           bytes b = 1 [(buf.validate.field).bytes.max_len = 2];
           google.protobuf.Timestamp at = 2 [(buf.validate.field).timestamp.lt = {seconds: 1000}];
           google.protobuf.Int32Value n = 3 [(buf.validate.field).int32.gt = 5];
           google.protobuf.Duration d = 4 [(buf.validate.field).duration.gte = {seconds: 2}];
           google.protobuf.BytesValue w = 5 [(buf.validate.field).bytes.len = 3];
           google.protobuf.Value v = 6 [(buf.validate.field).cel = {
             id: \"v\", message: \"v\", expression: \"this != 'no'\"}];
         }",
    )
}

/// Checks a payload. The error is the path and the id of the broken rule, or the path and the text
/// of another violation.
fn verdict(schema: &Schema, payload: &[u8]) -> Result<(), (String, String)> {
    let verdict = schema.check(payload, DEPTH);
    verdict.map_err(|violation| match &violation.rule {
        Some(rule) => (violation.path, rule.to_string()),
        None => (violation.path.clone(), violation.to_string()),
    })
}

fn refused(path: &str, rule: &str) -> Result<(), (String, String)> {
    Err((path.to_owned(), rule.to_owned()))
}

/// Tests that rules apply to the decoded value, in whichever form MessagePack has bytes and times.
#[test]
fn rules_read_bytes_and_times_in_msgpack() {
    let ruled = known();
    let check = |payload: &[u8]| verdict(&ruled.msgpack, payload);
    assert_eq!(check(b"\x81\xa1b\xc4\x02ab"), Ok(()), "bin");
    assert_eq!(
        check(b"\x81\xa1b\xc4\x03abc"),
        refused("b", "bytes.max_len")
    );
    assert_eq!(check(b"\x81\xa1b\x92\x01\x02"), Ok(()), "as an array");
    assert_eq!(
        check(b"\x81\xa1b\x93\x01\x02\x03"),
        refused("b", "bytes.max_len")
    );
    let at = |ext: &[u8]| [&b"\x81\xa2at"[..], ext].concat();
    assert_eq!(
        check(&at(b"\xd6\xff\x00\x00\x03\xe7")),
        Ok(()),
        "999 s in four bytes"
    );
    assert_eq!(
        check(&at(b"\xd6\xff\x00\x00\x03\xe8")),
        refused("at", "timestamp.lt")
    );
    let eight = |nanos: u64, seconds: u64| {
        [
            b"\xd7\xff".to_vec(),
            (nanos << 34 | seconds).to_be_bytes().to_vec(),
        ]
        .concat()
    };
    assert_eq!(check(&at(&eight(999_999_999, 999))), Ok(()));
    assert_eq!(
        check(&at(&eight(0, 1 << 33))),
        refused("at", "timestamp.lt")
    );
    let twelve = |seconds: i64| {
        [
            b"\xc7\x0c\xff\0\0\0\0".to_vec(),
            seconds.to_be_bytes().to_vec(),
        ]
        .concat()
    };
    assert_eq!(check(&at(&twelve(-5))), Ok(()));
    assert_eq!(check(&at(&twelve(5_000))), refused("at", "timestamp.lt"));
    assert_eq!(
        check(b"\x81\xa2at\x82\xa7seconds\x01\xa5nanos\x02"),
        Ok(()),
        "as a map"
    );
}

#[test]
fn rules_read_wrappers_durations_and_values_in_msgpack() {
    let ruled = known();
    let check = |payload: &[u8]| verdict(&ruled.msgpack, payload);
    assert_eq!(check(b"\x81\xa1n\x06"), Ok(()), "bare");
    assert_eq!(check(b"\x81\xa1n\x05"), refused("n", "int32.gt"));
    assert_eq!(
        check(b"\x81\xa1n\x81\xa5value\x05"),
        refused("n", "int32.gt")
    );
    assert_eq!(check(b"\x81\xa1n\x91\x05"), refused("n", "int32.gt"));
    assert_eq!(check(b"\x81\xa1n\xca\x40\xe0\0\0"), Ok(()), "7.0 is 7");
    assert_eq!(check(b"\x81\xa1n\xc0"), Ok(()), "nil is absent");
    assert_eq!(check(b"\x81\xa1d\x81\xa7seconds\x02"), Ok(()));
    assert_eq!(
        check(b"\x81\xa1d\x81\xa7seconds\x01"),
        refused("d", "duration.gte")
    );
    assert_eq!(
        check(b"\x81\xa1w\x93\x01\x02\x03"),
        Ok(()),
        "bytes as integers"
    );
    assert_eq!(check(b"\x81\xa1w\x91\xc4\x02ab"), refused("w", "bytes.len"));
    assert_eq!(check(b"\x81\xa1v\xa3yes"), Ok(()));
    assert_eq!(check(b"\x81\xa1v\xa2no"), refused("v", "v"));
}

#[test]
fn rules_read_bytes_and_well_known_types_in_json() {
    let ruled = known();
    for (payload, broken) in [
        (r#"{"b": "YWI="}"#, None),
        (r#"{"b": "YWJj"}"#, Some(("b", "bytes.max_len"))),
        (r#"{"b": [1, 2]}"#, None),
        (r#"{"b": [1, 2, 3]}"#, Some(("b", "bytes.max_len"))),
        (r#"{"at": "1970-01-01T00:16:39.999999999Z"}"#, None),
        (r#"{"at": "1970-01-01T01:16:39.5+01:00"}"#, None),
        (
            r#"{"at": "1970-01-01T00:16:40Z"}"#,
            Some(("at", "timestamp.lt")),
        ),
        (
            r#"{"at": {"seconds": "1000"}}"#,
            Some(("at", "timestamp.lt")),
        ),
        (r#"{"n": 6}"#, None),
        (r#"{"n": "5"}"#, Some(("n", "int32.gt"))),
        (r#"{"n": 50e-1}"#, Some(("n", "int32.gt"))),
        (r#"{"n": {"value": 5}}"#, Some(("n", "int32.gt"))),
        (r#"{"n": null}"#, None),
        (r#"{"d": "2.000s"}"#, None),
        (r#"{"d": "1.999999999s"}"#, Some(("d", "duration.gte"))),
        (r#"{"d": {"seconds": 1}}"#, Some(("d", "duration.gte"))),
        (r#"{"w": "YWJj"}"#, None),
        (r#"{"w": "YWI"}"#, Some(("w", "bytes.len"))),
        (r#"{"v": "yes", "unknown": {"a": [1, {}]}}"#, None),
        (r#"{"v": "n\u006f"}"#, Some(("v", "v"))),
        (r#"{"v": {"a": [1, null, {}]}}"#, None),
    ] {
        let expected = broken.map_or(Ok(()), |(path, rule)| refused(path, rule));
        let found = verdict(&ruled.json, payload.as_bytes());
        assert_eq!(found, expected, "{payload}");
    }
}

#[test]
fn rules_read_each_path_of_a_field_mask_in_json() {
    let ruled = Ruled::new(
        "import \"google/protobuf/field_mask.proto\";
         message M {
           google.protobuf.FieldMask f = 1 [(buf.validate.field).field_mask.in = \"a_b\"];
         }",
    );
    let check = |payload: &str| verdict(&ruled.json, payload.as_bytes());
    for accepted in [r#"{"f": ""}"#, r#"{"f": "aB"}"#, r#"{"f": "aB,aB"}"#] {
        assert_eq!(check(accepted), Ok(()), "{accepted}");
    }
    // A path may be empty, and is then not in the list.
    for refused_text in [
        r#"{"f": "c"}"#,
        r#"{"f": "aB,"}"#,
        r#"{"f": ","}"#,
        r#"{"f": "aB,,aB"}"#,
    ] {
        let found = check(refused_text);
        assert_eq!(found, refused("f", "field_mask.in"), "{refused_text}");
    }
}

#[test]
fn rules_read_values_in_declaration_order_in_msgpack() {
    let ruled = known();
    let check = |payload: &[u8]| verdict(&ruled.msgpack, payload);
    assert_eq!(check(b"\x93\xc4\x01a\xc0\x06"), Ok(()));
    assert_eq!(check(b"\x93\xc4\x01a\xc0\x05"), refused("n", "int32.gt"));
}

/// Tests that the empty string is a valid URI reference, to the document itself, so that an unset
/// field passes, too.
#[test]
fn the_empty_string_is_a_uri_reference() {
    let rule = "(buf.validate.field).string.uri_ref = true";
    let ruled = Ruled::new(&format!("message M {{ string f = 1 [{rule}]; }}"));
    ruled.accepts(&json!({}));
    ruled.accepts(&json!({"f": ""}));
    ruled.refuses(&json!({"f": "a b"}), "f", "string.uri_ref");
}
