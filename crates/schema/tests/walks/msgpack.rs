//! Tests of the MessagePack walk: each requirement with valid and invalid payloads, the output of
//! serde, and an independent reader's verdicts on well-formedness.

use std::collections::HashMap;

use crate::support::*;
use gateway_schema::{Encoding, Layout, Options, Presence, RequireError, Schema, TextKeys};
use serde::Serialize;
use serde::de::IgnoredAny;

fn all() -> Schema {
    schema(Encoding::Msgpack, KINDS, "t.All")
}

const PERSON: &str = r#"
syntax = "proto2"; package t;
enum Kind { HOME = 0; WORK = 7; }
message Phone { required string number = 1; optional Kind kind = 2; }
message Person {
  optional int64 id = 9; optional string full_name = 2; repeated Phone phones = 3;
  map<string, int32> scores = 4; optional bytes photo = 5; optional bool admin = 6;
  optional double height = 7; oneof contact { string mail = 8; int32 fax = 1; }
}
"#;

fn person() -> Schema {
    schema(Encoding::Msgpack, PERSON, "t.Person")
}

// Functions that encode MessagePack values.
fn s(text: &str) -> Vec<u8> {
    rmp_serde::to_vec(text).unwrap()
}
fn i(n: i64) -> Vec<u8> {
    rmp_serde::to_vec(&n).unwrap()
}
fn f(n: f64) -> Vec<u8> {
    [vec![0xcb], n.to_be_bytes().to_vec()].concat()
}
fn bin(bytes: &[u8]) -> Vec<u8> {
    [vec![0xc4, bytes.len() as u8], bytes.to_vec()].concat()
}
fn ext(kind: i8, data: &[u8]) -> Vec<u8> {
    [vec![0xc7, data.len() as u8, kind as u8], data.to_vec()].concat()
}
fn arr(values: &[Vec<u8>]) -> Vec<u8> {
    [
        vec![0xdc, (values.len() >> 8) as u8, values.len() as u8],
        values.concat(),
    ]
    .concat()
}
fn map(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let body = pairs
        .iter()
        .flat_map(|(key, value)| [key.clone(), value.clone()]);
    let head = vec![0xde, (pairs.len() >> 8) as u8, pairs.len() as u8];
    [head, body.collect::<Vec<_>>().concat()].concat()
}
fn one(name: &str, value: Vec<u8>) -> Vec<u8> {
    [vec![0x81], s(name), value].concat()
}
const NIL: [u8; 1] = [0xc0];

/// Asserts that a field of `All` rejects `value`, which follows its key.
#[track_caller]
fn all_rejects(field: &str, value: Vec<u8>, expected: &str, found: &str) {
    let offset = 1 + s(field).len();
    refused(&all(), &one(field, value), field, expected, found, offset);
}

#[track_caller]
fn all_accepts(field: &str, values: &[Vec<u8>]) {
    for value in values {
        accepted(&all(), &one(field, value.clone()));
    }
}

#[test]
fn integers_in_range_pass_also_as_whole_floats() {
    let (i32s, i64s) = (["i32", "s32", "sx32"], ["i64", "s64", "sx64"]);
    for (field, kind) in i32s.into_iter().zip(["int32", "sint32", "sfixed32"]) {
        all_accepts(
            field,
            &[
                i(0),
                i(i32::MAX.into()),
                i(i32::MIN.into()),
                f(-3.0),
                f(-0.0),
                vec![0xca, 0, 0, 0, 0],
            ],
        );
        all_rejects(field, i(1 << 31), kind, "the integer 2147483648");
        all_rejects(field, i(-(1 << 31) - 1), kind, "the integer -2147483649");
        all_rejects(field, f(1.5), kind, "the float 1.5");
        all_rejects(field, f(f64::NAN), kind, "the float NaN");
        all_rejects(field, f(f64::INFINITY), kind, "the float inf");
        all_rejects(field, f(1e300), kind, "the float 1e300");
    }
    for (field, kind) in i64s.into_iter().zip(["int64", "sint64", "sfixed64"]) {
        all_accepts(
            field,
            &[i(i64::MAX), i(i64::MIN), f(-9.223_372_036_854_776e18)],
        );
        all_rejects(
            field,
            rmp_serde::to_vec(&(1u64 << 63)).unwrap(),
            kind,
            "the integer 9223372036854775808",
        );
        all_rejects(
            field,
            f(9.223_372_036_854_776e18),
            kind,
            "the float 9.223372036854776e18",
        );
    }
    for (field, kind) in [("u32", "uint32"), ("x32", "fixed32")] {
        all_accepts(field, &[i(0), i(u32::MAX.into()), f(4294967295.0)]);
        all_rejects(field, i(-1), kind, "the integer -1");
        all_rejects(field, i(1 << 32), kind, "the integer 4294967296");
    }
    for (field, kind) in [("u64", "uint64"), ("x64", "fixed64")] {
        all_accepts(
            field,
            &[
                rmp_serde::to_vec(&u64::MAX).unwrap(),
                f(1e19),
                vec![0xd3, 0, 0, 0, 0, 0, 0, 0, 1],
            ],
        );
        all_rejects(field, i(-1), kind, "the integer -1");
        all_rejects(
            field,
            f(1.8446744073709552e19),
            kind,
            "the float 1.8446744073709552e19",
        );
        all_rejects(field, s("1"), kind, "a string");
    }
}

#[test]
fn floats_bools_strings_and_bytes_are_checked() {
    all_accepts(
        "f64",
        &[
            f(1.5),
            f(f64::NAN),
            i(3),
            i(-3),
            vec![0xca, 0x7f, 0x80, 0, 0],
        ],
    );
    all_accepts(
        "f32",
        &[
            f(1.5),
            f(f64::INFINITY),
            f(f32::MAX.into()),
            f(3.4028235e38),
            f(1e-300),
            i(i64::MAX),
        ],
    );
    all_rejects("f32", f(1e39), "float", "the float 1e39");
    all_rejects("f32", f(3.502823e38), "float", "the float 3.502823e38");
    all_rejects("f64", s("1.5"), "double", "a string");
    all_accepts("flag", &[vec![0xc2], vec![0xc3]]);
    all_rejects("flag", i(1), "bool", "the integer 1");
    all_rejects("i32", vec![0xc3], "int32", "true");
    all_accepts("text", &[s(""), s("zażółć 🦀"), s(&"long ".repeat(20_000))]);
    all_rejects("text", bin(b"x"), "string", "binary of 1 byte");
    all_rejects("text", i(5), "string", "the integer 5");
    let bad = one("text", vec![0xa3, b'a', 0xff, b'b']);
    refused(
        &all(),
        &bad,
        "text",
        "a string in UTF-8",
        "bytes that are not UTF-8",
        8,
    );
    all_accepts(
        "data",
        &[bin(&[1, 255]), arr(&[]), arr(&[i(0), i(255), f(7.0)])],
    );
    all_rejects("data", s("x"), "bytes", "a string");
    let bad = one("data", arr(&[i(0), i(256)]));
    refused(
        &all(),
        &bad,
        "data[1]",
        "a byte (0 to 255)",
        "the integer 256",
        10,
    );
}

#[test]
fn enums_pass_by_name_or_number_open_or_closed() {
    all_accepts("color", &[i(1), s("GREEN"), i(99), i(-1), f(1.0)]);
    all_rejects(
        "color",
        i(1 << 31),
        "a value of enum t.Color",
        "the integer 2147483648",
    );
    all_rejects(
        "color",
        s("GREN"),
        "a value of enum t.Color (did you mean \"GREEN\"?)",
        "the name \"GREN\"",
    );
    all_rejects(
        "color",
        s("green!!"),
        "a value of enum t.Color (RED, GREEN)",
        "the name \"green!!\"",
    );
    all_rejects("color", vec![0xc3], "a value of enum t.Color", "true");
    let phone = |kind| {
        one(
            "phones",
            arr(&[map(&[(s("number"), s("1")), (s("kind"), kind)])]),
        )
    };
    accepted(&person(), &phone(i(7)));
    accepted(&person(), &phone(s("WORK")));
    refused(
        &person(),
        &phone(i(1)),
        "phones[0].kind",
        "a value of enum t.Kind",
        "the integer 1",
        28,
    );
}

#[test]
fn nil_is_an_absent_field_and_rejected_as_an_element() {
    all_accepts("i32", &[NIL.into()]);
    all_accepts("numbers", &[NIL.into()]);
    all_accepts("tags", &[NIL.into()]);
    let element = one("numbers", arr(&[i(1), NIL.into()]));
    refused(&all(), &element, "numbers[1]", "int32", "nil", 13);
    let value = one("tags", map(&[(s("k"), NIL.into())]));
    refused(&all(), &value, "tags[\"k\"]", "int32", "nil", 11);
    refused(&all(), &NIL, "", "t.All as a map or an array", "nil", 0);
    all_accepts("values", &[arr(&[NIL.into(), i(1)])]);
}

#[test]
fn lists_and_maps_are_typed() {
    all_accepts("numbers", &[arr(&[i(1), i(-1)]), vec![0x90]]);
    all_rejects("numbers", i(1), "an array of int32", "the integer 1");
    all_accepts(
        "tags",
        &[map(&[(s("a"), i(1)), (s("b"), i(2))]), vec![0x80]],
    );
    all_rejects("tags", arr(&[]), "a map", "an array of 0");
    all_accepts(
        "by_id",
        &[map(&[(i(-1), one("text", s("x"))), (f(2.0), map(&[]))])],
    );
    all_accepts(
        "by_flag",
        &[map(&[(vec![0xc3], s("x")), (vec![0xc2], s("y"))])],
    );
    let key = |field, key: Vec<u8>, value| {
        let (path, expected, found, _) = violation(&all(), &one(field, map(&[(key, value)])));
        assert_eq!(path, field);
        format!("{expected}: {found}")
    };
    assert_eq!(key("tags", i(1), i(1)), "string as map key: the integer 1");
    assert_eq!(key("by_id", s("1"), map(&[])), "int32 as map key: a string");
    assert_eq!(
        key("by_id", i(1 << 31), map(&[])),
        "int32 as map key: the integer 2147483648"
    );
    assert_eq!(
        key("by_flag", i(1), s("x")),
        "bool as map key: the integer 1"
    );
    assert_eq!(
        key("tags", vec![0xa1, 0xff], i(1)),
        "a string in UTF-8 as map key: bytes that are not UTF-8"
    );
    let deep = one("by_id", map(&[(i(-4), one("text", i(1)))]));
    refused(
        &all(),
        &deep,
        "by_id[-4].text",
        "string",
        "the integer 1",
        17,
    );
    let deep = one(
        "children",
        arr(&[map(&[]), one("child", one("names", arr(&[s("a"), i(1)])))]),
    );
    assert_eq!(violation(&all(), &deep).0, "children[1].child.names[1]");
}

#[test]
fn an_unknown_key_may_occur_only_once() {
    for size in [2usize, 8, 9, 10, 500] {
        let mut pairs: Vec<_> = (0..size).map(|n| (s(&format!("k{n}")), i(1))).collect();
        pairs.insert(1, (s("full_name"), s("x")));
        accepted(&person(), &map(&pairs));
        pairs.push((s("k0"), NIL.into()));
        let (path, expected, ..) = violation(&person(), &map(&pairs));
        assert_eq!((&*path, &*expected), ("[\"k0\"]", "each key once"));
    }
}

#[test]
fn duplicate_keys_are_violations_by_either_name_and_in_maps() {
    let twice = map(&[(s("full_name"), s("a")), (s("fullName"), NIL.into())]);
    refused(
        &person(),
        &twice,
        "full_name",
        "each field once",
        "the field again",
        15,
    );
    for size in [2usize, 8, 9, 10, 500] {
        for spread in [1, size - 1] {
            let mut pairs: Vec<_> = (0..size).map(|n| (s(&format!("k{n}")), i(1))).collect();
            accepted(&all(), &one("tags", map(&pairs)));
            pairs[size - 1] = pairs[size - 1 - spread].clone();
            let key = size - 1 - spread;
            let (path, expected, ..) = violation(&all(), &one("tags", map(&pairs)));
            assert_eq!(
                (path, &*expected),
                (format!("tags[\"k{key}\"]"), "each key once")
            );
        }
    }
    // The key 1 is the same in any width and as a float, and differs from -1 and 2^32 + 1.
    for again in [i(1), f(1.0), vec![0xd3, 0, 0, 0, 0, 0, 0, 0, 1]] {
        let pairs = [
            (i(1), bin(b"")),
            (i(-1), bin(b"")),
            (i((1 << 32) + 1), bin(b"")),
            (again, bin(b"")),
        ];
        accepted(&all(), &one("by_sint", map(&pairs[..3])));
        assert_eq!(
            violation(&all(), &one("by_sint", map(&pairs))).0,
            "by_sint[1]"
        );
    }
}

/// JavaScript's encoders write every key of a map as a string, also if the schema requires a number
/// or a bool.
#[test]
fn keys_may_be_the_text_of_their_value_if_the_schema_allows_it() {
    let options = Options {
        text_keys: TextKeys::Allow,
        ..Options::default()
    };
    let lax = with(Encoding::Msgpack, KINDS, "t.All", options);
    let big = u64::MAX.to_string();
    let values = [
        ("by_flag", &["true", "false"][..], s("")),
        ("by_sint", &["0", "-9", "9007199254740993"], bin(b"")),
        ("by_fixed", &["0", "4294967295"], i(0)),
        ("by_u64", &[&*big], s("")),
    ];
    for (field, keys, value) in values {
        let pairs: Vec<_> = keys.iter().map(|key| (s(key), value.clone())).collect();
        accepted(&lax, &one(field, map(&pairs)));
        assert_eq!(violation(&all(), &one(field, map(&pairs))).0, field);
    }
    accepted(
        &lax,
        &one("by_sint", map(&[(i(1), bin(b"")), (s("2"), bin(b""))])),
    );
    accepted(&lax, &one("tags", map(&[(s("1"), i(1)), (s("01"), i(1))])));
    for (field, key, value) in [
        ("by_flag", "True", s("")),
        ("by_flag", "1", s("")),
        ("by_fixed", "-1", i(0)),
        ("by_fixed", "4294967296", i(0)),
        ("by_sint", "", bin(b"")),
        ("by_sint", "-", bin(b"")),
        ("by_sint", "-0", bin(b"")),
        ("by_sint", "01", bin(b"")),
        ("by_sint", "+1", bin(b"")),
        ("by_sint", "1.0", bin(b"")),
        ("by_sint", "1e3", bin(b"")),
        ("by_sint", "9223372036854775808", bin(b"")),
        ("by_sint", &"9".repeat(60), bin(b"")),
    ] {
        let (path, _, found, _) = violation(&lax, &one(field, map(&[(s(key), value)])));
        assert_eq!((&*path, &*found), (field, "a string"), "{key}");
    }
    // A number as a string is the same key as the number, even if the map has so many keys that
    // they are not compared pairwise.
    for size in [1, 8, 9, 500] {
        let mut pairs: Vec<_> = (0..size).map(|n| (i(n), bin(b""))).collect();
        pairs.push((s("0"), bin(b"")));
        let (path, expected, ..) = violation(&lax, &one("by_sint", map(&pairs)));
        assert_eq!((&*path, &*expected), ("by_sint[0]", "each key once"));
    }
    let wrong = one("by_fixed", map(&[(s("7"), s("MAUVE"))]));
    assert_eq!(violation(&lax, &wrong).0, "by_fixed[7]");
}

#[test]
fn a_message_is_keyed_by_strings() {
    let expected = "a field's name";
    refused(&all(), &[0x81, 1, 1], "", expected, "the integer 1", 1);
    refused(
        &all(),
        &[0x81, 0xc4, 1, b'a', 1],
        "",
        expected,
        "binary of 1 byte",
        1,
    );
    refused(
        &all(),
        &[0x81, 0xa1, 0xff, 1],
        "",
        "a string in UTF-8",
        "bytes that are not UTF-8",
        2,
    );
    accepted(&all(), &one("byId", map(&[])));
    refused(
        &all(),
        &i(5),
        "",
        "t.All as a map or an array",
        "the integer 5",
        0,
    );
    refused(
        &all(),
        &one("child", s("x")),
        "child",
        "t.All as a map or an array",
        "a string",
        7,
    );
}

#[test]
fn unknown_keys_pass_only_with_well_formed_values() {
    let strict = with(Encoding::Msgpack, KINDS, "t.All", STRICT);
    for value in [
        i(1),
        arr(&[ext(5, b"abc"), bin(b"x"), NIL.into()]),
        map(&[(i(1), f(1.0))]),
        vec![0xd8; 18],
    ] {
        accepted(&all(), &one("other", value.clone()));
        refused(
            &strict,
            &one("other", value),
            "",
            "a field of t.All",
            "the key \"other\"",
            1,
        );
    }
    let near = one("child", one("txt", i(1)));
    refused(
        &strict,
        &near,
        "child",
        "a field of t.All (did you mean \"text\"?)",
        "the key \"txt\"",
        8,
    );
    refused(
        &all(),
        &one("other", vec![0xc1]),
        "",
        "a value",
        "the unused marker 0xc1",
        7,
    );
    let long = one(&"x".repeat(100), i(1));
    let found = format!("the key \"{}…\"", "x".repeat(48));
    refused(&strict, &long, "", "a field of t.All", &found, 1);
}

#[test]
fn arrays_follow_the_declaration() {
    let person = person();
    let full = [
        i(1),
        s("Ada"),
        arr(&[arr(&[s("12"), i(0)]), arr(&[s("1")])]),
        map(&[]),
        bin(b""),
        vec![0xc3],
        f(1.0),
        s("m"),
        NIL.into(),
    ];
    for count in 0..=full.len() {
        accepted(&person, &arr(&full[..count]));
    }
    let long = arr(&[&full[..], &[NIL.into()]].concat());
    refused(
        &person,
        &long,
        "",
        "at most 9 values, the fields of t.Person",
        "10",
        0,
    );
    refused(&person, &arr(&[s("x")]), "id", "int64", "a string", 3);
    refused(
        &person,
        &arr(&[NIL.into(), NIL.into(), arr(&[arr(&[])])]),
        "phones[0].number",
        "a value, because it is required",
        "none",
        8,
    );
}

#[test]
fn layout_may_be_limited() {
    let limited = |layout| {
        let options = Options {
            layout,
            ..Options::default()
        };
        with(Encoding::Msgpack, PERSON, "t.Person", options)
    };
    let (maps, arrays) = (one("phones", arr(&[one("number", s("1"))])), arr(&[]));
    accepted(&limited(Layout::Map), &maps);
    accepted(&limited(Layout::Array), &arrays);
    refused(
        &limited(Layout::Array),
        &maps,
        "",
        "t.Person as an array",
        "a map of 1",
        0,
    );
    refused(
        &limited(Layout::Map),
        &arrays,
        "",
        "t.Person as a map",
        "an array of 0",
        0,
    );
    let nested = one("phones", arr(&[arr(&[s("1")])]));
    refused(
        &limited(Layout::Map),
        &nested,
        "phones[0]",
        "t.Phone as a map",
        "an array of 1",
        11,
    );
}

#[test]
fn a_oneof_holds_at_most_one_field() {
    let both = |left, right| map(&[(s("left_side"), left), (s("right_side"), right)]);
    accepted(&all(), &both(s("a"), NIL.into()));
    accepted(&all(), &both(NIL.into(), i(1)));
    let expected = "at most one field of the oneof";
    refused(
        &all(),
        &both(s("a"), i(1)),
        "right_side",
        expected,
        "a second field",
        15,
    );
    let value = map(&[(s("left_side"), s("a")), (s("anySide"), NIL.into())]);
    refused(&all(), &value, "any_side", expected, "a second field", 15);
    let mut placed = vec![NIL.to_vec(); 9];
    (placed[7], placed[8]) = (s("m"), i(1));
    refused(
        &person(),
        &arr(&placed),
        "fax",
        expected,
        "a second field",
        12,
    );
}

#[test]
fn timestamps_pass_as_extension_or_message() {
    let nanos = |n: u32| [n.to_be_bytes().to_vec(), vec![0; 8]].concat();
    let packed = |n: u64| (n << 34 | 5).to_be_bytes();
    all_accepts(
        "at",
        &[
            ext(-1, &[0; 4]),
            vec![0xd6, 0xff, 1, 2, 3, 4],
            ext(-1, &packed(999_999_999)),
            ext(-1, &nanos(999_999_999)),
        ],
    );
    all_accepts(
        "at",
        &[
            map(&[(s("seconds"), i(1)), (s("nanos"), i(2))]),
            arr(&[i(1), i(2)]),
            arr(&[]),
        ],
    );
    let expected = "a timestamp with at most 999999999 nanoseconds";
    all_rejects(
        "at",
        ext(-1, &nanos(1_000_000_000)),
        expected,
        "1000000000 nanoseconds",
    );
    all_rejects(
        "at",
        ext(-1, &packed(1_000_000_000)),
        expected,
        "1000000000 nanoseconds",
    );
    all_rejects(
        "at",
        ext(-1, &[0; 5]),
        "a timestamp of 4, 8 or 12 bytes",
        "5 bytes",
    );
    all_rejects(
        "at",
        ext(5, &[0; 4]),
        "google.protobuf.Timestamp as a map or an array",
        "an extension of type 5",
    );
    all_rejects(
        "at",
        i(5),
        "google.protobuf.Timestamp as a map or an array",
        "the integer 5",
    );
}

#[test]
fn struct_value_list_and_wrappers_have_their_own_forms() {
    let tree = map(&[
        (s("a"), arr(&[NIL.into(), i(1), s("x")])),
        (s("b"), map(&[])),
    ]);
    all_accepts("meta", &[tree.clone(), map(&[])]);
    all_rejects("meta", arr(&[]), "a map", "an array of 0");
    all_accepts(
        "value",
        &[
            NIL.into(),
            i(1),
            f(0.5),
            s("x"),
            vec![0xc2],
            tree.clone(),
            arr(std::slice::from_ref(&tree)),
        ],
    );
    all_rejects(
        "value",
        bin(b"x"),
        "nil, bool, number, string, array or map",
        "binary of 1 byte",
    );
    all_accepts("list", &[arr(&[tree.clone(), NIL.into()])]);
    all_rejects("list", tree, "an array", "a map of 2");
    let bad = one("meta", one("a", arr(&[map(&[(i(1), i(1))])])));
    assert_eq!(violation(&all(), &bad).0, "meta[\"a\"][0]");
    let twice = one("value", map(&[(s("a"), i(1)), (s("a"), i(1))]));
    assert_eq!(violation(&all(), &twice).0, "value[\"a\"]");
    all_accepts(
        "wrapped",
        &[
            i(5),
            one("value", i(5)),
            arr(&[i(5)]),
            arr(&[]),
            NIL.into(),
            f(5.0),
        ],
    );
    all_rejects("wrapped", s("5"), "int32", "a string");
    all_rejects("wrapped", i(1 << 31), "int32", "the integer 2147483648");
    all_accepts(
        "wrapped_bytes",
        &[
            bin(b"x"),
            arr(&[]),
            arr(&[i(1)]),
            arr(&[i(1), i(2)]),
            arr(&[bin(b"x")]),
            one("value", bin(b"")),
        ],
    );
    let bad = one("wrapped", one("value", s("x")));
    assert_eq!(violation(&all(), &bad).0, "wrapped.value");
}

#[test]
fn truncation_trailing_bytes_reserved_markers_and_false_lengths_are_rejected() {
    let payload = one(
        "child",
        map(&[
            (s("text"), s("abc")),
            (s("numbers"), arr(&[i(1), i(70_000)])),
            (s("f64"), f(1.0)),
        ]),
    );
    accepted(&all(), &payload);
    for cut in 0..payload.len() {
        assert!(all().check(&payload[..cut], 9).is_err(), "{cut}");
    }
    refused(
        &all(),
        &[&payload[..], &[0xc0]].concat(),
        "",
        "the end of the message",
        "1 byte more",
        payload.len(),
    );
    refused(&all(), &[], "", "1 byte", "only 0", 0);
    refused(&all(), &[0xc1], "", "a value", "the unused marker 0xc1", 0);
    all_rejects(
        "numbers",
        vec![0xdd, 255, 255, 255, 255],
        "4294967295 elements",
        "only 0 bytes",
    );
    all_rejects(
        "tags",
        vec![0xdf, 255, 255, 255, 255, 0],
        "4294967295 pairs",
        "only 1 byte",
    );
    all_rejects("tags", vec![0x82, 0xa1, b'k', 1], "2 pairs", "only 3 bytes");
    let (path, expected, ..) =
        violation(&all(), &one("text", vec![0xdb, 255, 255, 255, 255, b'x']));
    assert_eq!((&*path, &*expected), ("text", "4294967295 bytes"));
}

#[test]
fn depth_counts_messages_and_containers_in_values_of_any_type() {
    let nested = |levels, inner: Vec<u8>| (0..levels).fold(inner, |inner, _| one("child", inner));
    assert!(all().check(&nested(5, vec![0x80]), 5).is_ok());
    let found = "a deeper level";
    let violation = all().check(&nested(6, vec![0x80]), 5).unwrap_err();
    assert_eq!(
        (&*violation.path, &*violation.found),
        ("child.child.child.child.child.child", found)
    );
    let free = |key: &str, levels| one(key, [vec![0x91; levels], vec![0x90]].concat());
    for (key, levels) in [("other", 9), ("list", 8), ("value", 8)] {
        assert!(all().check(&free(key, levels), 10).is_ok(), "{key}");
        assert!(all().check(&free(key, levels + 1), 10).is_err(), "{key}");
    }
}

/// A thousand levels are the maximum of `limits.depth`, and must fit the default stack of a thread.
/// Unoptimised code needs a larger stack.
#[test]
fn a_thousand_levels_fit_two_mebibytes() {
    let stack = if cfg!(debug_assertions) { 8 } else { 2 } << 20;
    let nested =
        |inner: fn(Vec<u8>) -> Vec<u8>, levels| (0..levels).fold(vec![0x80], |all, _| inner(all));
    let payloads = [
        nested(|inner| one("child", inner), 1000),
        nested(|inner| one("by_id", [vec![0x81, 1], inner].concat()), 1000),
        one("other", nested(|inner| [vec![0x91], inner].concat(), 999)),
        one("meta", nested(|inner| one("k", inner), 998)),
    ];
    let check = move || {
        for payload in payloads {
            assert!(all().check(&payload, 1000).is_ok());
            assert!(all().check(&payload, 999).is_err());
        }
    };
    let thread = std::thread::Builder::new().stack_size(stack);
    thread.spawn(check).unwrap().join().unwrap();
}

#[test]
fn required_fields_and_paths_are_not_nil() {
    let mut schema = person();
    assert_eq!(schema.require("fullName"), Ok(Presence::Explicit));
    assert_eq!(schema.require("phones.kind"), Ok(Presence::Explicit));
    let phone = |pairs: &[(Vec<u8>, Vec<u8>)]| (s("phones"), arr(&[map(pairs)]));
    let (name, number, kind) = (
        (s("full_name"), s("")),
        (s("number"), s("")),
        (s("kind"), i(0)),
    );
    accepted(
        &schema,
        &map(&[name.clone(), phone(&[number.clone(), kind.clone()])]),
    );
    let (required, none) = ("a value, because it is required", "none");
    refused(
        &schema,
        &map(&[(s("full_name"), NIL.into())]),
        "full_name",
        required,
        none,
        0,
    );
    refused(
        &schema,
        &map(std::slice::from_ref(&name)),
        "phones",
        required,
        none,
        0,
    );
    assert_eq!(
        violation(&schema, &map(&[name.clone(), phone(&[number])])).0,
        "phones[0].kind"
    );
    assert_eq!(
        violation(&schema, &map(&[name, phone(&[kind])])).0,
        "phones[0].number"
    );
    let mut all = all();
    assert_eq!(all.require("by_id.text"), Ok(Presence::Explicit));
    assert_eq!(
        violation(&all, &one("by_id", map(&[(i(2), map(&[]))]))).0,
        "by_id[2].text"
    );
    let free = all.require("meta.fields");
    assert!(
        matches!(free, Err(RequireError::NotAMessage { .. })),
        "{free:?}"
    );
}

#[test]
fn messages_with_hundreds_of_fields_are_checked_like_small_ones() {
    let fields: String = (1..=600)
        .map(|n| format!("optional int32 f{n} = {n};"))
        .collect();
    let proto = format!(
        "syntax = \"proto2\"; message Wide {{ {fields} oneof o {{ int32 a = 601; int32 b = 602; }} required int32 z = 603; }}"
    );
    let schema = schema(Encoding::Msgpack, &proto, "Wide");
    let mut pairs: Vec<_> = (1..=600).map(|n| (s(&format!("f{n}")), i(n))).collect();
    assert_eq!(violation(&schema, &map(&pairs)).0, "z");
    pairs.push((s("z"), i(1)));
    accepted(&schema, &map(&pairs));
    let also = |more: &[&str]| {
        let more = more.iter().map(|name| (s(name), i(1)));
        map(&pairs.iter().cloned().chain(more).collect::<Vec<_>>())
    };
    assert_eq!(violation(&schema, &also(&["f3"])).0, "f3");
    assert_eq!(violation(&schema, &also(&["f599"])).0, "f599");
    assert_eq!(violation(&schema, &also(&["a", "b"])).0, "b");
    accepted(&schema, &also(&["b", "unknown"]));
    let mut placed = vec![i(1); 603];
    assert_eq!(violation(&schema, &arr(&placed)).0, "b");
    placed[600] = NIL.into();
    accepted(&schema, &arr(&placed));
    assert_eq!(violation(&schema, &arr(&placed[..602])).0, "z");
}

#[derive(Serialize)]
enum Kind {
    #[serde(rename = "WORK")]
    Work,
}

#[derive(Serialize)]
struct Phone {
    number: String,
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
}

fn ada(phones: usize) -> Person {
    let phone = |n: usize| Phone {
        number: n.to_string(),
        kind: n.is_multiple_of(2).then_some(Kind::Work),
    };
    Person {
        id: 1 << 40,
        full_name: (phones > 0).then(|| "Ada".to_owned()),
        phones: (0..phones).map(phone).collect(),
        scores: (0..phones).map(|n| (format!("s{n}"), -1)).collect(),
        photo: vec![0, 127, 128, 255],
        admin: true,
        height: 1.7,
    }
}

#[test]
fn the_output_of_serde_passes() {
    let strict = with(Encoding::Msgpack, PERSON, "t.Person", STRICT);
    for phones in [0, 1, 40] {
        accepted(&strict, &rmp_serde::to_vec(&ada(phones)).unwrap());
        accepted(&strict, &rmp_serde::to_vec_named(&ada(phones)).unwrap());
    }
}

#[test]
fn an_independent_reader_agrees_which_mutated_payloads_are_well_formed() {
    let schema = person();
    let mut random = Random(0x5eed);
    let (mut passed, mut malformed) = (0, 0);
    for round in 0..60_000 {
        let person = ada(random.below(4));
        let payload = match round % 2 {
            0 => rmp_serde::to_vec(&person).unwrap(),
            _ => rmp_serde::to_vec_named(&person).unwrap(),
        };
        let payload = mutated(&payload, &mut random);
        let mut rest = &payload[..];
        let mut reader = rmp_serde::Deserializer::new(&mut rest);
        let read: Result<IgnoredAny, _> = serde::Deserialize::deserialize(&mut reader);
        drop(reader);
        let whole = read.is_ok() && rest.is_empty();
        let ours = schema.check(&payload, 100);
        // A well-formed payload may be invalid, but a valid payload is always well-formed.
        assert!(whole || ours.is_err(), "{payload:02x?}");
        // As the value of an unknown field, the payload passes exactly if it is well-formed.
        let unknown = [&one("other", vec![])[..], &payload].concat();
        assert_eq!(schema.check(&unknown, 100).is_ok(), whole, "{payload:02x?}");
        passed += usize::from(ours.is_ok());
        malformed += usize::from(!whole);
    }
    assert!(
        passed > 2_000 && malformed > 2_000,
        "{passed} passed, {malformed} malformed"
    );
}

#[test]
fn a_required_field_under_another_spelling_is_recognised() {
    let phone = one("phones", arr(&[map(&[(s("Number"), s("1"))])]));
    let violation = person().check(&phone, 9).unwrap_err();
    assert_eq!(violation.path, "phones[0].number");
    assert_eq!(violation.found, "none, but there is the key \"Number\"");
}
