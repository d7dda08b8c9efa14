//! Tests of the JSON walk: each requirement with valid and invalid payloads, the output of serde,
//! and an independent reader's verdicts on well-formedness.

use std::collections::HashMap;

use crate::support::*;
use gateway_schema::{Encoding, Options, Presence, Schema};
use serde::Serialize;

fn all() -> Schema {
    schema(Encoding::Json, KINDS, "t.All")
}

const PERSON: &str = r#"
syntax = "proto2"; package t;
enum Kind { HOME = 0; WORK = 7; }
message Phone { required string number = 1; optional Kind kind = 2; }
message Person {
  optional int64 id = 9; optional string full_name = 2; repeated Phone phones = 3;
  map<string, int32> scores = 4; optional bytes photo = 5; optional bool admin = 6;
  optional double height = 7; oneof contact { string mail = 8; int32 fax = 1; }
  optional group Extra = 10 { optional int32 n = 1; }
  extensions 100 to 199;
}
extend Person { optional int32 nick = 100; }
"#;

fn person() -> Schema {
    schema(Encoding::Json, PERSON, "t.Person")
}

const KNOWN: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto"; import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto"; import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto"; import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Known {
  google.protobuf.Any any = 1; google.protobuf.Duration span = 2; google.protobuf.FieldMask mask = 3;
  google.protobuf.Struct meta = 4; google.protobuf.Value value = 5; google.protobuf.ListValue list = 6;
  google.protobuf.Timestamp at = 7; google.protobuf.Empty empty = 8;
  google.protobuf.NullValue null = 9; repeated google.protobuf.NullValue nulls = 10;
  google.protobuf.DoubleValue f64 = 11; google.protobuf.FloatValue f32 = 12;
  google.protobuf.Int64Value i64 = 13; google.protobuf.UInt64Value u64 = 14;
  google.protobuf.Int32Value i32 = 15; google.protobuf.UInt32Value u32 = 16;
  google.protobuf.BoolValue flag = 17; google.protobuf.StringValue text = 18;
  google.protobuf.BytesValue data = 19; repeated google.protobuf.Int32Value i32s = 20;
  map<string, google.protobuf.Value> values = 21; repeated google.protobuf.Any anys = 22;
  oneof pick { google.protobuf.Value one = 23; google.protobuf.NullValue two = 24; int32 three = 25; }
  Known inner = 26;
}
"#;

fn known() -> Schema {
    schema(Encoding::Json, KNOWN, "t.Known")
}

/// Returns `{"NAME":VALUE}`, and the offset of the value.
fn one(name: &str, value: &str) -> (Vec<u8>, usize) {
    (format!("{{{name:?}:{value}}}").into_bytes(), name.len() + 4)
}

#[track_caller]
fn field_accepts(schema: &Schema, field: &str, values: &[&str]) {
    for value in values {
        accepted(schema, &one(field, value).0);
    }
}

/// Asserts that `field` rejects `value`, with a violation at the start of the value.
#[track_caller]
fn field_rejects(schema: &Schema, field: &str, value: &str, expected: &str, found: &str) {
    let (payload, offset) = one(field, value);
    refused(schema, &payload, field, expected, found, offset);
}

#[track_caller]
fn all_accepts(field: &str, values: &[&str]) {
    field_accepts(&all(), field, values);
}

#[track_caller]
fn all_rejects(field: &str, value: &str, expected: &str, found: &str) {
    field_rejects(&all(), field, value, expected, found);
}

/// Asserts that `payload` fails with this violation.
#[track_caller]
fn fails(schema: &Schema, payload: &str, path: &str, expected: &str, found: &str, offset: usize) {
    refused(schema, payload.as_bytes(), path, expected, found, offset);
}

#[test]
fn integers_in_range_pass_as_numbers_and_as_strings() {
    for (field, kind) in [("i32", "int32"), ("s32", "sint32"), ("sx32", "sfixed32")] {
        all_accepts(
            field,
            &[
                "0",
                "-0",
                "7",
                "999999999",
                "1000000000",
                "2147483647",
                "-2147483648",
                "\"12\"",
                "\"-12\"",
                "1.0",
                "1e3",
                "2.5e1",
                "\"1e2\"",
                "\"\\u0031\"",
                "0.0",
                "0e0",
            ],
        );
        all_rejects(field, "2147483648", kind, "the number 2147483648");
        all_rejects(field, "-2147483649", kind, "the number -2147483649");
        all_rejects(field, "1.5", kind, "the number 1.5");
        all_rejects(field, "1e10", kind, "the number 1e10");
        all_rejects(field, "\"2147483648\"", kind, "the string \"2147483648\"");
        all_rejects(field, "\"\"", kind, "the string \"\"");
        all_rejects(field, "\" 1\"", kind, "the string \" 1\"");
        all_rejects(field, "\"01\"", kind, "the string \"01\"");
        all_rejects(field, "\"NaN\"", kind, "the string \"NaN\"");
        all_rejects(field, "true", kind, "true");
    }
    for (field, kind) in [("i64", "int64"), ("s64", "sint64"), ("sx64", "sfixed64")] {
        all_accepts(
            field,
            &[
                "9223372036854775807",
                "\"-9223372036854775808\"",
                "-9223372036854775808",
            ],
        );
        all_rejects(
            field,
            "9223372036854775808",
            kind,
            "the number 9223372036854775808",
        );
        all_rejects(field, "\"1e19\"", kind, "the string \"1e19\"");
    }
    for (field, kind) in [("u32", "uint32"), ("x32", "fixed32")] {
        all_accepts(field, &["4294967295", "\"0\"", "-0"]);
        all_rejects(field, "4294967296", kind, "the number 4294967296");
        all_rejects(field, "-1", kind, "the number -1");
    }
    for (field, kind) in [("u64", "uint64"), ("x64", "fixed64")] {
        all_accepts(field, &["18446744073709551615", "\"18446744073709551615\""]);
        all_rejects(
            field,
            "18446744073709551616",
            kind,
            "the number 18446744073709551616",
        );
        all_rejects(field, "-1", kind, "the number -1");
        let endless = "9".repeat(400);
        let shown = format!("the number {}…", &endless[..48]);
        all_rejects(field, &endless, kind, &shown);
    }
}

#[test]
fn floats_are_numbers_or_strings_that_hold_a_number() {
    let long = "1".repeat(200);
    all_accepts(
        "f64",
        &[
            "1.5",
            "-3",
            "1e308",
            "1e-999",
            "\"1.5\"",
            "\"NaN\"",
            "\"Infinity\"",
            "\"-Infinity\"",
            &long,
            "5e-324",
        ],
    );
    all_accepts(
        "f32",
        &[
            "3.4028234e38",
            "3.4028235e+38",
            "-3.4028235e+38",
            "1e-300",
            "\"-Infinity\"",
            "9223372036854775807",
        ],
    );
    all_rejects("f64", "1e309", "double", "the number 1e309");
    all_rejects("f64", "\"-1e309\"", "double", "the string \"-1e309\"");
    all_rejects("f64", "\"nan\"", "double", "the string \"nan\"");
    all_rejects("f64", "\"\"", "double", "the string \"\"");
    all_rejects("f32", "3.5e38", "float", "the number 3.5e38");
    all_rejects("f32", "3.502823e38", "float", "the number 3.502823e38");
    all_rejects(
        "f32",
        &long,
        "float",
        &format!("the number {}…", &long[..48]),
    );
    all_rejects("f32", "false", "float", "false");
}

#[test]
fn bools_and_strings_are_not_converted() {
    all_accepts("flag", &["true", "false"]);
    all_rejects("flag", "\"true\"", "bool", "the string \"true\"");
    all_rejects("flag", "1", "bool", "the number 1");
    let escapes = r#""\"\\\/\b\f\n\r\t\u00e9\ud83e\udd80""#;
    let long = format!("\"{}\"", "zażółć 🦀 ".repeat(5000));
    all_accepts("text", &["\"\"", "\"zażółć 🦀\"", escapes, &long]);
    all_rejects("text", "5", "string", "the number 5");
    all_rejects("text", "{}", "string", "an object");
}

#[test]
fn bytes_are_base64_or_an_array_of_integers() {
    all_accepts(
        "data",
        &[
            "\"\"",
            "\"QUJD\"",
            "\"QQ==\"",
            "\"QQ\"",
            "\"-_\"",
            "\"+\\/\"",
            "[]",
            "[0,255,7.0]",
        ],
    );
    all_rejects("data", "\"Q\"", "bytes in base64", "the string \"Q\"");
    all_rejects("data", "\"é\"", "bytes in base64", "the string \"é\"");
    all_rejects("data", "7", "bytes in base64", "the number 7");
    fails(
        &all(),
        r#"{"data":[0,256]}"#,
        "data[1]",
        "a byte (0 to 255)",
        "the number 256",
        11,
    );
    fails(
        &all(),
        r#"{"data":[0,"1"]}"#,
        "data[1]",
        "a byte (0 to 255)",
        "the string \"1\"",
        11,
    );
}

#[test]
fn enums_pass_by_name_or_number_open_or_closed() {
    all_accepts(
        "color",
        &["1", "\"GREEN\"", "\"\\u0047REEN\"", "99", "-1", "1.0"],
    );
    let color = "a value of enum t.Color";
    all_rejects("color", "2147483648", color, "the number 2147483648");
    let near = "a value of enum t.Color (did you mean \"GREEN\"?)";
    all_rejects("color", "\"GREN\"", near, "the name \"GREN\"");
    let all = "a value of enum t.Color (RED, GREEN)";
    all_rejects("color", "\"1\"", all, "the name \"1\"");
    all_rejects("color", "true", color, "true");
    all_rejects("color", "[]", color, "an array");
    accepted(
        &person(),
        br#"{"phones":[{"number":"1","kind":7},{"number":"","kind":"WORK"}]}"#,
    );
    let unknown = r#"{"phones":[{"number":"1","kind":1}]}"#;
    fails(
        &person(),
        unknown,
        "phones[0].kind",
        "a value of enum t.Kind",
        "the number 1",
        32,
    );
}

#[test]
fn null_is_an_absent_field_and_rejected_as_an_element() {
    for field in [
        "i32", "text", "numbers", "tags", "child", "color", "wrapped", "at",
    ] {
        all_accepts(field, &["null"]);
    }
    fails(
        &all(),
        r#"{"numbers":[1,null]}"#,
        "numbers[1]",
        "int32",
        "null",
        14,
    );
    fails(
        &all(),
        r#"{"tags":{"k":null}}"#,
        "tags[\"k\"]",
        "int32",
        "null",
        13,
    );
    fails(&all(), "null", "", "t.All as an object", "null", 0);
    fails(
        &all(),
        r#"{"children":[null]}"#,
        "children[0]",
        "t.All as an object",
        "null",
        13,
    );
    all_accepts("values", &["[null,1]"]);
    field_accepts(&known(), "nulls", &["[null,0,\"NULL_VALUE\"]"]);
    field_accepts(&known(), "null", &["null"]);
    field_accepts(&known(), "values", &["{\"k\":null}"]);
    let payload = r#"{"i32s":[null]}"#;
    fails(&known(), payload, "i32s[0]", "int32", "null", 9);
}

#[test]
fn lists_and_maps_are_typed() {
    all_accepts("numbers", &["[1,-1]", "[]", " [ 1 , \"2\" ] "]);
    all_rejects("numbers", "1", "an array of int32", "the number 1");
    all_rejects("numbers", "{}", "an array of int32", "an object");
    all_accepts("tags", &[r#"{"a":1,"b":2}"#, "{}"]);
    all_rejects("tags", "[]", "an object", "an array");
    all_accepts("by_id", &[r#"{"-1":{"text":"x"},"2":{}}"#]);
    all_accepts("by_flag", &[r#"{"true":"x","false":"y"}"#]);
    all_accepts("by_sint", &[r#"{"-9223372036854775808":"QQ==","5":""}"#]);
    all_accepts("by_fixed", &[r#"{"4294967295":"RED"}"#]);
    all_accepts("by_sfixed", &[r#"{"-5":1.5}"#]);
    all_accepts("by_u64", &[r#"{"18446744073709551615":""}"#]);
    let key = |field: &str, map: &str| {
        let (path, expected, found, _) = violation(&all(), &one(field, map).0);
        assert_eq!(path, field);
        format!("{expected}: {found}")
    };
    assert_eq!(key("by_id", r#"{"x":{}}"#), "int32 as map key: \"x\"");
    assert_eq!(
        key("by_id", r#"{"2147483648":{}}"#),
        "int32 as map key: \"2147483648\""
    );
    assert_eq!(key("by_fixed", r#"{"-1":0}"#), "fixed32 as map key: \"-1\"");
    assert_eq!(
        key("by_flag", r#"{"1":""}"#),
        "\"true\" or \"false\" as map key: \"1\""
    );
    assert_eq!(key("tags", "{1:1}"), "a name in quotes: '1'");
    let deep = r#"{"by_id":{"-4":{"text":1}}}"#;
    fails(&all(), deep, "by_id[-4].text", "string", "the number 1", 23);
    let deep = r#"{"children":[{},{"child":{"names":["a",1]}}]}"#;
    assert_eq!(
        violation(&all(), deep.as_bytes()).0,
        "children[1].child.names[1]"
    );
    let deep = r#"{"tags":{"a\"\u00e9":""}}"#;
    assert_eq!(violation(&all(), deep.as_bytes()).0, "tags[\"a\\\"é\"]");
}

#[test]
fn duplicate_keys_are_violations_at_every_level() {
    let twice = r#"{"full_name":"a","fullName":null}"#;
    fails(
        &person(),
        twice,
        "full_name",
        "each field once",
        "the field again",
        17,
    );
    let twice = r#"{"id":1,"\u0069d":2}"#;
    fails(
        &person(),
        twice,
        "id",
        "each field once",
        "the field again",
        8,
    );
    for size in [2usize, 8, 9, 10, 500] {
        for spread in [1, size - 1] {
            let mut keys: Vec<_> = (0..size).map(|n| format!("k{n}")).collect();
            // The keys are in a map, among unknown members, in an unknown object, in a Struct, or
            // in a Value.
            let in_all = |keys: &[String], plain: bool| {
                let name = |key: &str| match plain {
                    true => key.to_owned(),
                    false => key.replace('k', "\\u006b"),
                };
                let members: Vec<_> = keys
                    .iter()
                    .map(|key| format!("\"{}\":1", name(key)))
                    .collect();
                let members = members.join(",");
                [
                    (format!("{{\"tags\":{{{members}}}}}"), "tags"),
                    (format!("{{{members}}}"), ""),
                    (format!("{{\"other\":[{{{members}}}]}}"), ""),
                    (format!("{{\"meta\":{{{members}}}}}"), "meta"),
                    (format!("{{\"value\":{{{members}}}}}"), "value"),
                ]
            };
            for (payload, _) in in_all(&keys, true) {
                accepted(&all(), payload.as_bytes());
            }
            let key = size - 1 - spread;
            keys[size - 1] = keys[key].clone();
            for plain in [true, false] {
                for (payload, path) in in_all(&keys, plain) {
                    let (found, expected, ..) = violation(&all(), payload.as_bytes());
                    assert_eq!(
                        (found, &*expected),
                        (format!("{path}[\"k{key}\"]"), "each key once")
                    );
                }
            }
        }
    }
    // Two forms of the same number are the same key.
    for (first, second) in [("1", "1.0"), ("1", "10e-1"), ("-1", "-1.0"), ("0", "-0")] {
        let payload = format!("{{\"by_id\":{{\"{first}\":{{}},\"{second}\":{{}}}}}}");
        assert_eq!(violation(&all(), payload.as_bytes()).1, "each key once");
    }
    accepted(&all(), br#"{"by_id":{"1":{},"-1":{},"2":{}}}"#);
    accepted(&all(), br#"{"by_sint":{"4294967297":"","1":""}}"#);
}

#[test]
fn a_message_is_keyed_by_proto_or_json_names() {
    accepted(&person(), br#" { "id" : 1 , "full_name" : "x" } "#);
    accepted(&person(), br#"{"fullName":"x","\u0069\u0064":"9"}"#);
    accepted(&person(), b"{}");
    accepted(&person(), br#"{"extra":{"n":1},"[t.nick]":7}"#);
    fails(
        &person(),
        r#"{"[t.nick]":"x"}"#,
        "[t.nick]",
        "int32",
        "the string \"x\"",
        12,
    );
    fails(&person(), "[]", "", "t.Person as an object", "an array", 0);
    fails(
        &all(),
        r#"{"child":5}"#,
        "child",
        "t.All as an object",
        "the number 5",
        9,
    );
}

#[test]
fn unknown_keys_pass_only_with_well_formed_values() {
    accepted(
        &all(),
        r#"{"other":[{"a":[null,true,1.5e5,"é"]},{}],"i32":1}"#.as_bytes(),
    );
    for broken in [
        r#"{"other":[1,]}"#,
        r#"{"other":{"a":01}}"#,
        r#"{"other":tru}"#,
        r#"{"other":"\x"}"#,
    ] {
        assert!(all().check(broken.as_bytes(), 100).is_err(), "{broken}");
    }
    let strict = with(Encoding::Json, PERSON, "t.Person", STRICT);
    accepted(&strict, br#"{"id":1}"#);
    let near = "a field of t.Person (did you mean \"full_name\"?)";
    fails(
        &strict,
        r#"{"id":1,"full_nam":2}"#,
        "",
        near,
        "the key \"full_nam\"",
        8,
    );
    let within = r#"{"phones":[{"number":"1","zzzzzzzz":{}}]}"#;
    fails(
        &strict,
        within,
        "phones[0]",
        "a field of t.Phone",
        "the key \"zzzzzzzz\"",
        25,
    );
}

#[test]
fn a_oneof_holds_at_most_one_field() {
    accepted(&person(), br#"{"mail":"x","fax":null}"#);
    let two = r#"{"mail":"x","fax":0}"#;
    fails(
        &person(),
        two,
        "fax",
        "at most one field of the oneof",
        "a second field",
        12,
    );
    // For fields of the types Value and NullValue, null is a value.
    let two = r#"{"one":null,"three":1}"#;
    fails(
        &known(),
        two,
        "three",
        "at most one field of the oneof",
        "a second field",
        12,
    );
    let two = r#"{"one":null,"two":null}"#;
    fails(
        &known(),
        two,
        "two",
        "at most one field of the oneof",
        "a second field",
        12,
    );
}

/// Returns the schema of a message without fields.
fn empty() -> Schema {
    let proto = "syntax = \"proto3\"; package t; message E { }";
    schema(Encoding::Json, proto, "t.E")
}

/// Asserts that neither the walk nor serde_json accepts any of these texts.
#[track_caller]
fn not_json(texts: &[&str]) {
    let schema = empty();
    for wrong in texts {
        let parsed = serde_json::from_str::<serde_json::Value>(wrong);
        assert!(parsed.is_err(), "{wrong:?}");
        assert!(schema.check(wrong.as_bytes(), 100).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_grammar_of_rfc_8259_is_accepted() {
    for right in [
        "{}",
        "\t\r\n {} \n",
        r#"{"a":{"b":[]},"c":[[],{}]}"#,
        r#"{"":-0.0E+0}"#,
        r#"{"a":"\u0000"}"#,
        "{\"a\":\"\u{7f}\u{2028}\"}",
    ] {
        assert!(serde_json::from_str::<serde_json::Value>(right).is_ok());
        accepted(&empty(), right.as_bytes());
    }
}

#[test]
fn no_other_structure_is_json() {
    not_json(&[
        "",
        " ",
        "{",
        "}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}}",
        "{} x",
        "{}{}",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
        "{\"a\":[,]}",
        "{\"a\":[}",
        "{\"a\":[1}",
        "{\"a\":{]}",
    ]);
}

#[test]
fn no_other_scalar_or_blank_is_json() {
    not_json(&[
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":nul}",
        "{\"a\":nulll}",
        "{\"a\":True}",
        "{\"a\":\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\u{1f}\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u+123\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":\"\\ud800\\u0041\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\u12",
        "\u{feff}{}",
        "{/**/}",
        "{\"a\":1}//",
        "{\u{a0}}",
        "{\"a\":1\u{b}}",
    ]);
    for bytes in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"\xc0\x80\":1}",
        b"{\xff}",
    ] {
        assert!(empty().check(bytes, 100).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn each_violation_has_its_offset() {
    fails(
        &all(),
        r#"{"i32":1}x"#,
        "",
        "the end of the message",
        "'x'",
        9,
    );
    fails(&all(), r#"{"i32":1"#, "", "\",\" or \"}\"", "the end", 8);
    fails(
        &all(),
        r#"{"numbers":[1;2]}"#,
        "numbers",
        "\",\" or \"]\"",
        "';'",
        13,
    );
    fails(&all(), r#"{"i32" 1}"#, "", "\":\"", "'1'", 7);
    fails(
        &all(),
        "{\"text\":\"a\nb\"}",
        "text",
        "an escape for a control character",
        "the control character 0x0a",
        10,
    );
    fails(
        &all(),
        r#"{"text":"ab\ud800"}"#,
        "text",
        "a pair of surrogates",
        "a single surrogate",
        11,
    );
    fails(
        &all(),
        r#"{"text":"ab\u00zz"}"#,
        "text",
        "four hex digits after \\u",
        "other characters",
        11,
    );
    fails(
        &all(),
        r#"{"text":"ab"#,
        "text",
        "the end of the string",
        "the end",
        11,
    );
    fails(
        &all(),
        r#"{"child":{"i32":-}}"#,
        "child.i32",
        "a digit",
        "'}'",
        17,
    );
}

#[test]
fn a_string_that_is_not_utf_8_is_reported_at_its_first_invalid_byte() {
    let bad = b"{\"text\":\"a\xffb\"}";
    refused(
        &all(),
        bad,
        "text",
        "a string in UTF-8",
        "bytes that are not UTF-8",
        10,
    );
    let long = [&b"{\"text\":\"0123456789\xc3\xa90123456789"[..], b"\xc3\"}"].concat();
    refused(
        &all(),
        &long,
        "text",
        "a string in UTF-8",
        "bytes that are not UTF-8",
        31,
    );
}

#[test]
fn well_known_types_have_their_own_forms() {
    let known = known();
    field_accepts(
        &known,
        "at",
        &[
            "\"1972-01-01T10:00:20.021Z\"",
            "\"1972-01-01T10:00:20+01:00\"",
            r#"{"seconds":"1","nanos":5}"#,
        ],
    );
    field_rejects(
        &known,
        "at",
        "\"1972-01-01\"",
        "a timestamp in the format of RFC 3339",
        "the string \"1972-01-01\"",
    );
    field_rejects(
        &known,
        "at",
        "5",
        "a timestamp in the format of RFC 3339",
        "the number 5",
    );
    field_accepts(&known, "span", &["\"1.5s\"", "\"-3s\"", r#"{"seconds":1}"#]);
    field_rejects(
        &known,
        "span",
        "\"1.5\"",
        "a duration such as \"1.5s\"",
        "the string \"1.5\"",
    );
    field_accepts(
        &known,
        "mask",
        &["\"a.bC,d\"", "\"\"", r#"{"paths":["a_b"]}"#],
    );
    field_rejects(
        &known,
        "mask",
        "\"a_b\"",
        "field paths such as \"a.bC,d\"",
        "the string \"a_b\"",
    );
    field_accepts(
        &known,
        "meta",
        &[r#"{"a":[1,null,{"b":"c"}],"d":1e300}"#, "{}"],
    );
    field_rejects(&known, "meta", "[]", "an object", "an array");
    field_accepts(&known, "list", &["[1,[],{}]"]);
    field_rejects(&known, "list", "{}", "an array", "an object");
    field_accepts(
        &known,
        "value",
        &["null", "1.5", "\"x\"", "[null]", "{\"a\":true}"],
    );
    fails(
        &known,
        r#"{"value":[0,{"a":1e999}]}"#,
        "value[1][\"a\"]",
        "a number within a double's range",
        "the number 1e999",
        17,
    );
}

#[test]
fn an_object_for_a_well_known_type_has_one_of_its_fields() {
    let known = known();
    for (field, names) in [
        ("at", "seconds or nanos"),
        ("span", "seconds or nanos"),
        ("i32", "value"),
    ] {
        for value in [
            "{}",
            r#"{"x":{"seconds":1}}"#,
            r#"{ "second": 1, "x": [] }"#,
        ] {
            let expected = format!("an object with {names}");
            field_rejects(
                &known,
                field,
                value,
                &expected,
                "an object without such a field",
            );
        }
    }
    field_accepts(&known, "at", &[r#"{"x":[1],"nanos":5}"#]);
}

#[test]
fn wrappers_are_a_bare_value_or_an_object() {
    let known = known();
    field_accepts(&known, "empty", &["{}"]);
    for (field, value) in [
        ("f64", "1.5"),
        ("f32", "\"NaN\""),
        ("i64", "\"5\""),
        ("u64", "5"),
        ("i32", "-5"),
        ("u32", "5"),
        ("flag", "true"),
        ("text", "\"x\""),
        ("data", "\"QQ==\""),
    ] {
        field_accepts(
            &known,
            field,
            &[value, "null", &format!("{{\"value\":{value}}}")],
        );
        let (payload, _) = one(field, "[[]]");
        assert!(known.check(&payload, 100).is_err(), "{field}");
    }
    field_rejects(&known, "u32", "-1", "uint32", "the number -1");
}

#[test]
fn a_well_known_type_may_be_the_whole_payload() {
    for at_root in [
        ("google.protobuf.Value", "7"),
        ("google.protobuf.Timestamp", "\"2000-01-01T00:00:00Z\""),
    ] {
        accepted(
            &schema(Encoding::Json, KNOWN, at_root.0),
            at_root.1.as_bytes(),
        );
    }
}

#[test]
fn any_is_checked_as_the_message_that_it_names() {
    let known = known();
    let url = "type.googleapis.com/t.Known";
    for any in [
        "{}".to_owned(),
        format!(r#"{{"@type":"{url}","i32":5,"inner":{{}}}}"#),
        format!(r#"{{"i32":5,"@type":"{url}"}}"#),
        format!(r#"{{"\u0040type":"{url}","any":{{"@type":"{url}"}}}}"#),
        r#"{"@type":"x/google.protobuf.Duration","value":"1s"}"#.into(),
        r#"{"value":7,"@type":"x/google.protobuf.Value"}"#.into(),
        r#"{"@type":"x/google.protobuf.Empty"}"#.into(),
        r#"{"@type":"x/google.protobuf.Any","value":{"@type":"x/google.protobuf.Int32Value","value":1}}"#.into(),
    ] {
        field_accepts(&known, "any", &[&any]);
    }
    let any = format!(r#"{{"any":{{"@type":"{url}","i32":"x"}}}}"#);
    fails(&known, &any, "any.i32", "int32", "the string \"x\"", 52);
    field_rejects(
        &known,
        "any",
        r#"{"i32":5}"#,
        "an object with \"@type\"",
        "an object without \"@type\"",
    );
    field_rejects(
        &known,
        "any",
        "5",
        "google.protobuf.Any as an object",
        "the number 5",
    );
    for (any, path) in [
        (r#"{"@type":5}"#, "any.@type"),
        (r#"{"@type":"t.Known"}"#, "any.@type"),
        (r#"{"@type":"x/t.Unknown"}"#, "any.@type"),
        (r#"{"@type":"x/google.protobuf.Duration"}"#, "any"),
        (
            r#"{"@type":"x/google.protobuf.Duration","value":"1"}"#,
            "any.value",
        ),
        (
            r#"{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}"#,
            "any[\"value\"]",
        ),
        (
            r#"{"@type":"x/t.Known","@type":"x/t.Known"}"#,
            "any[\"@type\"]",
        ),
    ] {
        assert_eq!(violation(&known, &one("any", any).0).0, path, "{any}");
    }
    let strict = with(Encoding::Json, KNOWN, "t.Known", STRICT);
    field_accepts(
        &strict,
        "any",
        &[&format!(r#"{{"@type":"{url}","i32":5}}"#)],
    );
    let nested = r#"{"inner":{"@type":"x/t.Known"}}"#;
    fails(
        &strict,
        nested,
        "inner",
        "a field of t.Known",
        "the key \"@type\"",
        10,
    );
}

#[test]
fn late_types_of_nested_anys_are_bounded() {
    let nested = |levels: usize| {
        let inner = |any: String| format!(r#"{{"any":{any},"@type":"x/t.Known"}}"#);
        (0..levels).fold(r#"{"@type":"x/t.Known"}"#.to_owned(), |any, _| inner(any))
    };
    let payload = |levels| one("any", &nested(levels)).0;
    accepted(&known(), &payload(8));
    let (_, expected, ..) = violation(&known(), &payload(9));
    assert_eq!(
        expected,
        "\"@type\" as the first member, because it comes later in 8 enclosing objects"
    );
    // The members after an object whose type comes too late cause no further violation.
    let late = r#"{"any":{"i32":1,"@type":"x/t.Known"},"anys":[{"@type":"x/t.Known"}],"@type":"x/t.Known"}"#;
    let around = |any: String, _| format!(r#"{{"any":{any},"@type":"x/t.Known"}}"#);
    let nine = one("any", &(1..8).fold(late.to_owned(), around)).0;
    let every = Options {
        all_violations: true,
        ..STRICT
    };
    let every = with(Encoding::Json, KNOWN, "t.Known", every);
    let others = every.check(&nine, 100).unwrap_err().others;
    assert_eq!(others, Some(Vec::new()));
    // Siblings do not add to the depth.
    let list = vec![nested(2); 50].join(",");
    accepted(&known(), &one("anys", &format!("[{list}]")).0);
}

#[test]
fn depth_counts_messages_and_containers_in_values_of_any_type() {
    for (open, close) in [
        ("{\"child\":", "}"),
        ("{\"children\":[", "]}"),
        ("{\"by_id\":{\"1\":", "}}"),
    ] {
        let nested = |levels: usize| format!("{}{{}}{}", open.repeat(levels), close.repeat(levels));
        assert!(all().check(nested(10).as_bytes(), 10).is_ok());
        let too_deep = all().check(nested(11).as_bytes(), 10).unwrap_err();
        assert_eq!(too_deep.expected, "nesting within the depth limit");
    }
    for field in ["value", "other"] {
        let (payload, _) = one(field, &format!("{}{}", "[".repeat(9), "]".repeat(9)));
        assert!(all().check(&payload, 10).is_ok());
        let (payload, _) = one(field, &format!("{}{}", "[".repeat(11), "]".repeat(11)));
        assert!(all().check(&payload, 10).is_err());
    }
}

#[test]
fn a_thousand_levels_fit_two_mebibytes() {
    let check = || {
        for (field, open, close) in [
            ("child", "{\"child\":", "}"),
            ("value", "[", "]"),
            ("value", "{\"a\":", "}"),
            ("other", "[", "]"),
            ("other", "{\"a\":", "}"),
            ("other", "[", ""),
        ] {
            let value = format!("{}{{}}{}", open.repeat(998), close.repeat(998));
            let verdict = all().check(&one(field, &value).0, 1000);
            assert_eq!(verdict.is_ok(), !close.is_empty(), "{field}: {verdict:?}");
            let value = open.repeat(100_000);
            assert!(all().check(&one(field, &value).0, 1000).is_err());
        }
        let url = "{\"any\":{\"@type\":\"x/t.Known\",\"inner\":";
        let value = format!("{}{{}}{}", url.repeat(400), "}}".repeat(400));
        assert_eq!(known().check(value.as_bytes(), 1000), Ok(()));
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn_scoped(scope, check).unwrap().join().unwrap();
    });
}

#[test]
fn required_fields_and_paths_are_not_null() {
    let required = ("a value, because it is required", "none");
    fails(
        &person(),
        r#"{"phones":[{"kind":0}]}"#,
        "phones[0].number",
        required.0,
        required.1,
        11,
    );
    fails(
        &person(),
        r#"{"phones":[{"number":null}]}"#,
        "phones[0].number",
        required.0,
        required.1,
        11,
    );
    let mut schema = all();
    assert_eq!(schema.require("child.text"), Ok(Presence::Implicit));
    assert_eq!(schema.require("wrapped"), Ok(Presence::Explicit));
    assert_eq!(schema.require("far"), Ok(Presence::Explicit));
    accepted(&schema, br#"{"child":{"text":""},"wrapped":0,"far":0}"#);
    fails(
        &schema,
        r#"{"child":{},"wrapped":0,"far":0}"#,
        "child.text",
        required.0,
        required.1,
        9,
    );
    fails(
        &schema,
        r#" {"child":{"text":""},"far":1}"#,
        "wrapped",
        required.0,
        required.1,
        1,
    );
    let mut any = known();
    assert!(any.require("any.type_url").is_err() && any.require("meta.fields").is_err());
    assert!(any.require("at.seconds").is_ok());
    accepted(&any, br#"{"at":"2000-01-01T00:00:00Z"}"#);
}

#[derive(Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    Work,
}

#[derive(Serialize)]
struct Phone {
    number: &'static str,
    kind: Option<Kind>,
}

#[derive(Serialize)]
struct Person {
    id: i64,
    full_name: Option<String>,
    phones: Vec<Phone>,
    scores: HashMap<String, i32>,
    photo: Vec<u8>,
    admin: bool,
    height: f64,
    mail: Option<String>,
    fax: Option<i32>,
}

fn ada() -> Person {
    Person {
        id: i64::MIN,
        full_name: Some("Ada \"λ\"\n\u{1}".into()),
        phones: vec![
            Phone {
                number: "1",
                kind: Some(Kind::Work),
            },
            Phone {
                number: "",
                kind: None,
            },
        ],
        scores: (0..20).map(|n| (format!("k{n}"), n)).collect(),
        photo: vec![0, 128, 255],
        admin: true,
        height: 1.65e-7,
        mail: None,
        fax: Some(-1),
    }
}

#[test]
fn the_output_of_serde_passes() {
    let strict = with(Encoding::Json, PERSON, "t.Person", STRICT);
    accepted(&strict, &serde_json::to_vec(&ada()).unwrap());
    accepted(&strict, &serde_json::to_vec_pretty(&ada()).unwrap());
}

#[test]
fn an_independent_reader_agrees_which_mutated_payloads_are_well_formed() {
    // The message has no fields, so the walk rejects only payloads that are not well-formed objects
    // and payloads with duplicate keys. serde_json accepts duplicate keys.
    let schema = schema(
        Encoding::Json,
        "syntax = \"proto3\"; package t; message E { }",
        "t.E",
    );
    let seeds = [
        serde_json::to_vec(&ada()).unwrap(),
        serde_json::to_vec_pretty(&ada()).unwrap(),
        r#"{"a":"é\ud83d\ude00\n","b":[1.5e-7,-0,true,false,null,{"c":{}}],"d":""}"#.into(),
    ];
    let mut random = Random(7);
    let mut wrong = 0;
    for round in 0..60_000 {
        let payload = mutated(&seeds[round % seeds.len()], &mut random);
        let verdict = schema.check(&payload, 100);
        let parsed = serde_json::from_slice::<serde_json::Value>(&payload);
        let object = parsed.as_ref().is_ok_and(serde_json::Value::is_object);
        match verdict {
            Ok(()) => assert!(
                // serde_json rejects a number that is too large for a double. The walk accepts
                // such a number in an unknown member.
                object
                    || parsed
                        .as_ref()
                        .is_err_and(|e| e.to_string().contains("out of range")),
                "{}: {parsed:?}",
                String::from_utf8_lossy(&payload)
            ),
            Err(fault) if object => assert_eq!(
                fault.expected,
                "each key once",
                "{}",
                String::from_utf8_lossy(&payload)
            ),
            Err(_) => wrong += 1,
        }
    }
    assert!(wrong > 10_000, "{wrong}");
}

#[test]
fn a_violation_names_the_comma_before_the_end() {
    let found = "'}' right after a comma";
    fails(&all(), "{\"i32\":1, }", "", "a name in quotes", found, 10);
    let violation = all().check(b"{\"numbers\":[1,]}", 9).unwrap_err();
    assert_eq!(violation.found, "']' right after a comma", "{violation}");
}

#[test]
fn a_required_field_under_another_spelling_is_recognised() {
    let required = "a value, because it is required";
    let found = "none, but there is the key \"Number\"";
    let payload = r#"{"phones":[{"x":1,"Number":"1"}]}"#;
    fails(&person(), payload, "phones[0].number", required, found, 11);
    let reported = |payload: &str| {
        person()
            .check(payload.as_bytes(), 9)
            .unwrap_err()
            .to_string()
    };
    let missing = "phones[0].number: required field is missing";
    let but = format!("{missing}, but there is the key \"Number\" at byte 11");
    assert_eq!(reported(payload), but);
    assert_eq!(
        reported(r#"{"phones":[{}]}"#),
        format!("{missing} at byte 11")
    );
    // The key is in another message, or there is no similar key.
    for payload in [r#"{"number":1,"phones":[{}]}"#, r#"{"phones":[{"x":1}]}"#] {
        let violation = person().check(payload.as_bytes(), 9).unwrap_err();
        assert_eq!(violation.found, "none", "{payload}");
    }
}
