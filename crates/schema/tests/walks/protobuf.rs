//! Tests of the protobuf walk: each requirement with valid and invalid payloads, and an independent
//! parser's verdicts.

use crate::support::pb::*;
use crate::support::*;
use gateway_schema::{Encoding, MessageId, Options, Presence, RequireError, Schema, Table};
use prost_reflect::DynamicMessage;

fn all() -> Schema {
    schema(Encoding::Protobuf, KINDS, "t.All")
}

const LEGACY: &str = r#"
syntax = "proto2";
package t;
enum Closed { A = 0; B = 5; }
message Point { required int32 x = 1; required int32 y = 2; optional string label = 3; }
message Line {
  repeated Point points = 1; optional Point start = 2; map<string, Point> named = 3;
  optional group Part = 4 { required string name = 1; optional Part inner = 2; }
  optional Closed closed = 5; repeated Closed many = 6; extensions 100 to 200;
}
extend Line { optional int32 width = 100; }
"#;

fn line() -> Schema {
    schema(Encoding::Protobuf, LEGACY, "t.Line")
}

#[test]
fn every_scalar_accepts_its_wire_type_alone() {
    let (schema, strict) = (all(), with(Encoding::Protobuf, KINDS, "t.All", STRICT));
    // The number of each field, and its wire type.
    let right: [(u32, u32); 16] = [
        (1, 1),
        (2, 5),
        (3, 0),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (8, 0),
        (9, 5),
        (10, 1),
        (11, 5),
        (12, 1),
        (13, 0),
        (14, 2),
        (15, 2),
        (16, 0),
    ];
    for (number, wire) in right {
        for other in [0, 1, 2, 5] {
            let value: &[u8] = match other {
                0 => &[0],
                1 => &[0; 8],
                2 => &[1, b'a'],
                _ => &[0; 4],
            };
            let payload = [tag(number, other), value.to_vec()].concat();
            assert_eq!(
                schema.check(&payload, 0).is_ok(),
                other == wire,
                "{number} {other}"
            );
            assert_eq!(
                strict.check(&payload, 0).is_ok(),
                other == wire,
                "{number} {other}"
            );
        }
        assert!(schema.check(&group(number, []), 9).is_err());
    }
}

#[test]
fn a_wrong_wire_type_is_reported_with_the_right_one() {
    let schema = all();
    refused(
        &schema,
        &len(3, "x"),
        "i32",
        "int32 (a varint)",
        "a length-delimited value",
        0,
    );
    refused(
        &schema,
        &int(14, 7),
        "text",
        "string (a length-delimited value)",
        "a varint",
        0,
    );
    refused(
        &schema,
        &int(17, 7),
        "child",
        "t.All (a length-delimited value)",
        "a varint",
        0,
    );
    refused(
        &schema,
        &int(20, 7),
        "doubles[0]",
        "double (a 64-bit value, or packed)",
        "a varint",
        0,
    );
    refused(
        &schema,
        &int(16, 1)[..2],
        "color",
        "a varint of at most 10 bytes",
        "only 0 bytes",
        2,
    );
}

#[test]
fn varints_have_at_most_ten_bytes_and_are_truncated_to_their_type() {
    let schema = all();
    for number in [3, 5, 7, 13, 16] {
        accepted(&schema, &int(number, u64::MAX));
    }
    let padded = [
        tag(3, 0),
        vec![0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    ]
    .concat();
    accepted(&schema, &padded);
    // The bits beyond the 64th are dropped, as in a message with rules.
    let wide = [&[0xff; 9][..], b"\x7f"].concat();
    accepted(&schema, &[tag(3, 0), wide.clone()].concat());
    accepted(&schema, &len(18, wide));
    let eleven = [tag(3, 0), vec![0x80; 10], vec![0]].concat();
    let expected = "a varint of at most 10 bytes";
    refused(&schema, &eleven, "i32", expected, "a longer varint", 1);
    let run = [vec![1; 9], vec![0x80; 10], vec![0]].concat();
    refused(
        &schema,
        &len(18, run),
        "numbers[9]",
        expected,
        "a longer varint",
        12,
    );
}

#[test]
fn tags_have_a_number_a_known_wire_type_and_32_bits() {
    let schema = all();
    refused(&schema, &[0], "", "a field's tag", "field number 0", 0);
    refused(
        &schema,
        &[1 << 3 | 6],
        "",
        "a field's tag",
        "wire type 6",
        0,
    );
    refused(
        &schema,
        &[1 << 3 | 7],
        "",
        "a field's tag",
        "wire type 7",
        0,
    );
    let wide = [varint(1 << 32 | 8), vec![0]].concat();
    refused(
        &schema,
        &wide,
        "",
        "a field's tag",
        "a tag of more than 32 bits",
        0,
    );
    let long = [0x98, 0x80, 0x80, 0x80, 0x80, 0, 0];
    refused(
        &schema,
        &long,
        "",
        "a field's tag",
        "a tag of more than 32 bits",
        0,
    );
    accepted(&schema, &[0x98, 0x80, 0x80, 0, 0]);
    accepted(&schema, &int(536_870_911, 1));
    refused(
        &schema,
        &len(536_870_911, []),
        "far",
        "int32 (a varint)",
        "a length-delimited value",
        0,
    );
}

#[test]
fn truncation_is_found_at_every_byte() {
    let schema = all();
    let whole = [
        int(3, 300),
        [tag(1, 1), vec![0; 8]].concat(),
        [tag(2, 5), vec![0; 4]].concat(),
        len(14, "text"),
        len(17, len(22, len(14, "deep"))),
        len(18, [1, 0x80, 1]),
        len(19, [0; 8]),
        len(24, [len(1, "key"), int(2, 300)].concat()),
        group(999, group(998, int(1, 1))),
    ];
    let payload = whole.concat();
    accepted(&schema, &payload);
    let mut ends = vec![0];
    for part in &whole {
        ends.push(ends[ends.len() - 1] + part.len());
    }
    for cut in 0..payload.len() {
        assert_eq!(
            schema.check(&payload[..cut], 9).is_ok(),
            ends.contains(&cut),
            "{cut}"
        );
    }
}

#[test]
fn truncation_of_a_nested_message_is_found_though_the_payload_continues() {
    let schema = all();
    let more = int(3, 1);
    let child = [len(17, [tag(14, 2), vec![9, b'x']].concat()), more.clone()].concat();
    refused(&schema, &child, "child.text", "9 bytes", "only 1", 5);
    let packed = [len(19, [0; 7]), more.clone()].concat();
    refused(&schema, &packed, "fixeds[1]", "4 bytes", "only 3", 7);
    let packed = [len(20, [0; 9]), more.clone()].concat();
    refused(&schema, &packed, "doubles[1]", "8 bytes", "only 1", 11);
    let varints = [len(18, [1, 2, 0x80]), more.clone()].concat();
    refused(
        &schema,
        &varints,
        "numbers[2]",
        "a varint of at most 10 bytes",
        "only 1 byte",
        5,
    );
    let entry = [len(1, "k"), tag(2, 0)].concat();
    let map = [len(24, &entry), more].concat();
    refused(
        &schema,
        &map,
        "tags[\"k\"]",
        "a varint of at most 10 bytes",
        "only 0 bytes",
        7,
    );
    refused(
        &schema,
        &[tag(17, 2), varint(u64::MAX)].concat(),
        "child",
        "a length of at most 5 bytes",
        "a longer varint",
        2,
    );
}

#[test]
fn packed_and_unpacked_elements_are_accepted_and_counted() {
    let schema = all();
    let mixed = [int(18, 1), len(18, [2, 3]), int(18, 4)].concat();
    accepted(&schema, &mixed);
    accepted(&schema, &len(18, []));
    accepted(&schema, &[tag(19, 5), vec![0; 4], len(19, [0; 8])].concat());
    let bad = [mixed, len(18, [5, 6, 0x80])].concat();
    assert_eq!(violation(&schema, &bad).0, "numbers[6]");
    refused(
        &schema,
        &[int(18, 1), tag(18, 5), vec![0; 4]].concat(),
        "numbers[1]",
        "int32 (a varint, or packed)",
        "a 32-bit value",
        3,
    );
    // The bytes after the violation do not matter.
    let wrong = [tag(18, 5), vec![0; 4]].concat();
    let amid = [int(18, 1), wrong, len(18, [2, 3])].concat();
    assert_eq!(violation(&schema, &amid).0, "numbers[1]");
    let long: Vec<u8> = [vec![1; 16], vec![0x80, 1], vec![1; 9]].concat();
    accepted(&schema, &len(18, long));
}

#[test]
fn strings_are_utf8_in_proto3_and_unchecked_in_proto2() {
    let schema = all();
    accepted(
        &schema,
        &len(14, "zażółć 🦀 and a longer tail of plain text"),
    );
    for (text, at) in [
        (&b"ab\xff"[..], 4),
        (b"\xc0\x80", 2),
        (b"\xed\xa0\x80", 2),
        (b"a\xe2\x82", 3),
    ] {
        refused(
            &schema,
            &len(14, text),
            "text",
            "a string in UTF-8",
            "bytes that are not UTF-8",
            at,
        );
    }
    accepted(&schema, &len(15, b"\xff"));
    let bad = [len(21, "ok"), len(21, b"\xff")].concat();
    assert_eq!(violation(&schema, &bad).0, "names[1]");
    let key = len(24, len(1, b"\xff"));
    refused(
        &schema,
        &key,
        "tags",
        "a string in UTF-8",
        "bytes that are not UTF-8",
        5,
    );
    accepted(
        &line(),
        &len(1, [int(1, 1), int(2, 1), len(3, b"\xff")].concat()),
    );
}

#[test]
fn map_entries_may_lack_key_or_value_and_paths_have_the_key() {
    let schema = all();
    for entry in [
        vec![],
        len(1, "k"),
        int(2, 3),
        [int(2, 3), len(1, "k")].concat(),
        int(9, 9),
    ] {
        accepted(&schema, &len(24, entry));
    }
    let wrong = |number, key: Vec<u8>| {
        violation(&schema, &len(number, [key, tag(2, 5), vec![0; 4]].concat())).0
    };
    assert_eq!(wrong(24, len(1, "a\"b")), r#"tags["a\"b"]"#);
    assert_eq!(wrong(24, vec![]), r#"tags[""]"#);
    assert_eq!(wrong(25, int(1, -7i64 as u64)), "by_id[-7]");
    assert_eq!(wrong(25, vec![]), "by_id[0]");
    assert_eq!(wrong(26, int(1, 1)), "by_flag[true]");
    assert_eq!(wrong(26, vec![]), "by_flag[false]");
    assert_eq!(wrong(36, int(1, 3)), "by_sint[-2]");
    assert_eq!(
        wrong(37, [tag(1, 5), vec![1, 1, 0, 0]].concat()),
        "by_fixed[257]"
    );
    assert_eq!(
        wrong(38, [tag(1, 1), vec![255; 8]].concat()),
        "by_sfixed[-1]"
    );
    assert_eq!(wrong(41, int(1, u64::MAX)), "by_u64[18446744073709551615]");
    let nested = len(25, [int(1, 3), len(2, int(14, 1))].concat());
    refused(
        &schema,
        &nested,
        "by_id[3].text",
        "string (a length-delimited value)",
        "a varint",
        7,
    );
    refused(
        &schema,
        &len(24, int(1, 1)),
        "tags",
        "string (a length-delimited value)",
        "a varint",
        3,
    );
}

#[test]
fn groups_nest_properly_known_and_unknown() {
    let (schema, line) = (all(), line());
    accepted(
        &schema,
        &group(999, [group(3, []), int(999, 1), len(5, "xx")].concat()),
    );
    refused(&schema, &tag(3, 4), "", "a field", "the end of group 3", 0);
    refused(
        &schema,
        &tag(999, 4),
        "",
        "a field",
        "the end of group 999",
        0,
    );
    let crossed = [tag(999, 3), tag(998, 4)].concat();
    refused(
        &schema,
        &crossed,
        "",
        "a field or the end of group 999",
        "the end of group 998",
        2,
    );
    refused(
        &schema,
        &tag(999, 3),
        "",
        "the end of group 999",
        "the end of the enclosing message",
        2,
    );
    let part = |body: Vec<u8>| group(4, [len(1, "n"), body].concat());
    accepted(&line, &part(part_inner()));
    refused(
        &line,
        &group(4, []),
        "part.name",
        "a value, because it is required",
        "none",
        1,
    );
    refused(
        &line,
        &[tag(4, 3), tag(5, 4)].concat(),
        "part",
        "a field or the end of group 4",
        "the end of group 5",
        1,
    );
    refused(
        &line,
        &[tag(4, 3), len(1, "n")].concat(),
        "part",
        "the end of group 4",
        "the end of the enclosing message",
        4,
    );
    let expected = "t.Line.Part (the start of a group)";
    refused(
        &line,
        &len(4, []),
        "part",
        expected,
        "a length-delimited value",
        0,
    );
}

fn part_inner() -> Vec<u8> {
    len(2, len(1, "inner"))
}

#[test]
fn messages_and_groups_count_as_depth() {
    let schema = all();
    let mut nested = vec![];
    let mut groups = vec![];
    for _ in 0..100 {
        nested = len(17, nested);
        groups = group(999, groups);
    }
    for payload in [&nested, &groups, &len(22, &nested)] {
        let depth = if payload.len() == len(22, &nested).len() {
            101
        } else {
            100
        };
        assert!(schema.check(payload, depth).is_ok());
        let violation = schema.check(payload, depth - 1).unwrap_err();
        assert_eq!(violation.expected, "nesting within the depth limit");
    }
    // The offset of the violation is the offset of the length of the message that is too deep,
    // however the tag and the length are encoded.
    let chain = r#"syntax = "proto3"; package t; message Chain { Chain next = 1; }"#;
    let chain = self::schema(Encoding::Protobuf, chain, "t.Chain");
    for (payload, at) in [(&b"\x0a\0"[..], 1), (b"\x0a\x80\0", 1), (b"\x8a\0\0", 2)] {
        assert_eq!(chain.check(payload, 0).unwrap_err().offset, at);
        accepted(&chain, payload);
    }
    // The maximum depth fits the default stack of a thread, which is 2 MiB.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let deep = (0..1000).fold(vec![], |inner, _| len(1, inner));
    let checked = thread.spawn(move || chain.check(&deep, 1000)).unwrap();
    assert_eq!(checked.join().unwrap(), Ok(()));
    assert!(schema.check(&len(17, &groups), 100).is_err());
    let mut deep = vec![];
    for _ in 0..1000 {
        deep = len(17, deep);
    }
    assert!(schema.check(&deep, 1000).is_ok());
    let violation = schema.check(&len(17, deep), 1000).unwrap_err();
    assert_eq!(violation.path.split('.').count(), 1001);
}

#[test]
fn proto2_required_is_checked_for_each_occurrence() {
    let schema = line();
    let point = [int(1, 1), int(2, 1)].concat();
    accepted(&schema, &[]);
    accepted(&schema, &[len(1, &point), len(2, &point)].concat());
    let (required, none) = ("a value, because it is required", "none");
    let bad = [len(1, &point), len(1, int(1, 1))].concat();
    refused(&schema, &bad, "points[1].y", required, none, 8);
    // Each occurrence is judged by itself, although a parser would merge the two messages.
    let halves = [len(2, int(1, 1)), len(2, int(2, 1))].concat();
    refused(&schema, &halves, "start.y", required, none, 2);
    let entry = |value: Vec<u8>| len(3, [len(1, "k"), value].concat());
    accepted(&schema, &entry(len(2, &point)));
    refused(
        &schema,
        &entry(len(2, int(2, 0))),
        "named[\"k\"].x",
        required,
        none,
        7,
    );
    refused(&schema, &entry(vec![]), "named[\"k\"]", required, none, 2);
}

#[test]
fn all_of_hundreds_of_required_fields_are_required() {
    let fields: String = (1..=700)
        .map(|n| format!("required int32 f{n} = {n};"))
        .collect();
    let proto = format!("syntax = \"proto2\"; message Wide {{ {fields} }}");
    let schema = schema(Encoding::Protobuf, &proto, "Wide");
    let whole: Vec<_> = (1..=700).map(|n| int(n, 1)).collect();
    accepted(&schema, &whole.concat());
    for missing in [1, 64, 65, 256, 257, 512, 513, 700] {
        let mut some = whole.clone();
        some.remove(missing - 1);
        assert_eq!(violation(&schema, &some.concat()).0, format!("f{missing}"));
    }
}

#[test]
fn the_option_unknown_fields_decides_whether_unknown_fields_pass() {
    let strict = with(Encoding::Protobuf, KINDS, "t.All", STRICT);
    accepted(&all(), &int(999, 1));
    refused(
        &strict,
        &int(999, 1),
        "",
        "a field of t.All",
        "field number 999",
        0,
    );
    refused(
        &strict,
        &len(17, int(999, 1)),
        "child",
        "a field of t.All",
        "field number 999",
        3,
    );
    let legacy = with(Encoding::Protobuf, LEGACY, "t.Line", STRICT);
    accepted(&legacy, &[int(5, 5), len(6, [0, 5]), int(100, 1)].concat());
    refused(
        &legacy,
        &int(5, 1),
        "closed",
        "a value of enum t.Closed",
        "the number 1",
        1,
    );
    refused(
        &legacy,
        &len(6, [0, 5, 7]),
        "many[2]",
        "a value of enum t.Closed",
        "the number 7",
        4,
    );
    accepted(&line(), &[int(5, 1), len(6, [9])].concat());
    accepted(&strict, &int(16, 77));
    let expected = "int32 (a varint)";
    refused(
        &line(),
        &len(100, "x"),
        "[t.width]",
        expected,
        "a length-delimited value",
        0,
    );
}

#[test]
fn required_paths_hold_for_each_parent() {
    let mut schema = all();
    assert_eq!(schema.require("child.text"), Ok(Presence::Implicit));
    assert_eq!(schema.require("far"), Ok(Presence::Explicit));
    assert_eq!(schema.require("byId.leftSide"), Ok(Presence::Explicit));
    assert_eq!(schema.require("children.child"), Ok(Presence::Explicit));
    let far = int(536_870_911, 0);
    let child = len(17, len(14, ""));
    let entry = |value: Vec<u8>| len(25, value);
    let good_entry = entry(len(2, len(27, "")));
    let children = len(22, len(17, []));
    let good = [&far[..], &child, &good_entry, &children].concat();
    accepted(&schema, &good);
    let path = |payload: Vec<u8>| violation(&schema, &payload).0;
    assert_eq!(path(vec![]), "child");
    assert_eq!(
        path([&far[..], &len(17, []), &good_entry, &children].concat()),
        "child.text"
    );
    assert_eq!(
        path([&good[..], &children, &len(22, [])].concat()),
        "children[2].child"
    );
    assert_eq!(path([&good[..], &entry(int(1, 7))].concat()), "by_id[7]");
    assert_eq!(
        path([&good[..], &entry([int(1, 7), len(2, [])].concat())].concat()),
        "by_id[7].left_side"
    );
    assert_eq!(path([&child[..], &good_entry, &children].concat()), "far");

    let unknown = schema.require("child.txt").unwrap_err();
    let RequireError::UnknownField {
        segment,
        message,
        fields,
    } = unknown
    else {
        panic!("{unknown}");
    };
    assert_eq!((&*segment, &*message), ("txt", "t.All"));
    assert!(fields.contains(&"text".to_owned()));
    let scalar = schema.require("text.x").unwrap_err();
    assert_eq!(
        scalar.to_string(),
        "field \"text\" is of type string, which has no fields"
    );
    assert!(schema.require("").is_err());
    let long = vec!["child"; 101].join(".");
    assert_eq!(schema.require(&long), Err(RequireError::TooLong));
    accepted(&schema, &good);
}

#[test]
fn a_violation_reads_as_a_sentence() {
    let violation = all().check(&len(17, int(14, 1)), 9).unwrap_err();
    let sentence =
        "child.text: expected string (a length-delimited value), found a varint at byte 3";
    assert_eq!(violation.to_string(), sentence);
}

#[test]
fn editions_features_are_resolved() {
    let mut files = compile(
        r#"syntax = "proto2"; package t; enum E { A = 0; }
        message Inner { optional string s = 1; }
        message M { optional string a = 1; optional string b = 2; optional Inner c = 3;
            optional E e = 4; optional int32 r = 5; map<string, Inner> m = 6; }"#,
    )
    .0;
    let file = &mut files[0];
    file.set_syntax("editions".to_owned());
    let set = |features: &[u8], unknown: &mut protobuf::UnknownFields, place| {
        unknown.add_length_delimited(place, features.to_vec());
    };
    // The file has delimited messages and closed enums. Field b has no UTF-8 check, and field r is
    // legacy required.
    let options = file.options.mut_or_insert_default();
    set(
        &[5 << 3, 2, 2 << 3, 2],
        options.special_fields.mut_unknown_fields(),
        50,
    );
    let message = &mut file.message_type[1];
    let mut field = |at: usize, features: &[u8]| {
        let options = message.field[at].options.mut_or_insert_default();
        set(features, options.special_fields.mut_unknown_fields(), 21);
    };
    field(1, &[4 << 3, 3]);
    field(4, &[1 << 3, 3]);
    let table = std::sync::Arc::new(Table::build(&files).unwrap());
    let id: MessageId = table.message("t.M").unwrap();
    let schema = Schema::new(Encoding::Protobuf, table, id, STRICT);
    let r = int(5, 0);
    let check = |payload: Vec<u8>| {
        schema
            .check(&[payload, r.clone()].concat(), 9)
            .map_err(|v| v.path)
    };
    assert_eq!(schema.check(&[], 9).unwrap_err().path, "r");
    assert_eq!(check(len(1, b"\xff")), Err("a".to_owned()));
    assert_eq!(check(len(2, b"\xff")), Ok(()));
    assert_eq!(check(len(3, [])), Err("c".to_owned()));
    assert_eq!(check(group(3, [])), Ok(()));
    assert_eq!(check(int(4, 1)), Err("e".to_owned()));
    // Map entries and their values are length-prefixed, although the file has delimited messages.
    let entry = |value: Vec<u8>| len(6, [len(1, "k"), value].concat());
    assert_eq!(check(entry(len(2, []))), Ok(()));
    assert_eq!(check(entry(group(2, []))), Err("m[\"k\"]".to_owned()));
}

#[test]
fn unresolved_and_duplicate_types_are_errors() {
    let mut files = compile(r#"syntax = "proto3"; message A { B b = 1; } message B {}"#).0;
    let twice = [files[0].clone(), files[0].clone()];
    assert_eq!(
        Table::build(&twice).unwrap_err().to_string(),
        "type \"A\" is defined twice"
    );
    files[0].message_type.pop();
    let missing = "field \"b\" has the type \"B\", which is not defined";
    assert_eq!(Table::build(&files).unwrap_err().to_string(), missing);
}

/// Returns a payload of one to eight random fields out of many kinds.
fn seed(random: &mut Random) -> Vec<u8> {
    let parts = [
        int(3, random.next()),
        len(14, "some text, zażółć"),
        len(15, [1, 2, 255]),
        int(16, 1),
        len(
            17,
            [len(14, "child"), len(21, "n"), len(22, int(5, 3))].concat(),
        ),
        len(18, [varint(300), varint(1), varint(u64::MAX)].concat()),
        len(19, [7; 12]),
        len(20, [1; 16]),
        [tag(20, 1), vec![3; 8]].concat(),
        len(23, [0, 1, 9]),
        len(24, [len(1, "key"), int(2, 9)].concat()),
        len(25, [int(1, 4), len(2, len(14, "v"))].concat()),
        len(26, [int(1, 1), len(2, "yes")].concat()),
        len(27, "left"),
        int(28, 4),
        len(30, [int(1, 1_700_000_000), int(2, 5)].concat()),
        len(31, len(1, [len(1, "k"), len(2, len(3, "v"))].concat())),
        len(34, int(1, 5)),
        group(999, [group(998, len(1, "x")), int(4, 4)].concat()),
        int(536_870_911, 3),
        [tag(9, 5), vec![1; 4], tag(10, 1), vec![2; 8]].concat(),
        len(18, []),
        int(18, 4),
    ];
    let picked = (0..1 + random.below(8)).map(|_| parts[random.below(parts.len())].clone());
    picked.collect::<Vec<_>>().concat()
}

/// Returns whether the verdicts of the walk and of prost-reflect may differ. `ours` is the error
/// message of the walk, and `theirs` is the error message of prost-reflect. An error message is
/// `None` if the payload is accepted. These differences are permitted:
///
/// - A known field with a wrong wire type is rejected here by policy; prost-reflect agrees for most
///   kinds.
/// - Bits of a varint beyond the 64th are ignored here, as by protobuf's C++, and rejected by
///   prost.
/// - The end of a group with the number of a known map or message is rejected here, and read by
///   prost-reflect as if it had the wire type of the field.
/// - A tag padded to more than 5 bytes is rejected here, as by C++, and accepted by prost.
fn may_differ(ours: Option<&str>, theirs: Option<&str>) -> bool {
    match (ours, theirs) {
        (Some(ours), None) => {
            let policy = [
                "(a",
                "(the start",
                "found the end of group",
                "more than 32 bits",
            ];
            policy.iter().any(|part| ours.contains(part))
        }
        (None, Some(theirs)) => theirs.contains("invalid varint"),
        _ => true,
    }
}

#[test]
fn mutated_payloads_have_the_verdict_of_an_independent_parser() {
    let (files, pool) = compile(KINDS);
    let table = std::sync::Arc::new(Table::build(&files).unwrap());
    let id = table.message("t.All").unwrap();
    let schema = Schema::new(Encoding::Protobuf, table, id, Options::default());
    let descriptor = pool.get_message_by_name("t.All").unwrap();
    let mut random = Random(0x5eed);
    let (mut valid, mut differing) = (0, 0);
    for _ in 0..60_000 {
        let payload = seed(&mut random);
        accepted(&schema, &payload);
        let payload = mutated(&payload, &mut random);
        let ours = schema.check(&payload, 99).err().map(|v| v.to_string());
        let theirs = DynamicMessage::decode(descriptor.clone(), &*payload)
            .err()
            .map(|e| e.to_string());
        valid += usize::from(ours.is_none());
        if ours.is_some() != theirs.is_some() {
            differing += 1;
            let (ours, theirs) = (ours.as_deref(), theirs.as_deref());
            assert!(
                may_differ(ours, theirs),
                "{payload:02x?}\n{ours:?}\n{theirs:?}"
            );
        }
    }
    assert!((5_000..55_000).contains(&valid), "{valid} valid");
    assert!(differing < 600, "{differing} differ");
}

/// Returns a field with a value of this many zero bytes.
fn long(number: u32, bytes: usize) -> Vec<u8> {
    len(number, vec![0; bytes])
}

#[test]
fn large_bytes_and_strings_are_not_costly() {
    const FILES: &str = r#"
syntax = "proto3";
package t;
message Image {
  bytes pixels = 1; string text = 2; Image part = 3; repeated int32 list = 4;
}
"#;
    let schema = schema(Encoding::Protobuf, FILES, "t.Image");
    let costly = |payload: &[u8]| schema.costly_bytes(payload);
    const SIZE: usize = 100_000;
    let pixels = long(1, SIZE);
    assert!(costly(&pixels) < 10);
    assert!((SIZE / 16..SIZE / 15).contains(&costly(&long(2, SIZE))));
    assert!(costly(&len(3, len(3, &pixels))) < 20);
    for payload in [
        // The values of a list are read one by one, and unknown fields are not looked into.
        long(4, SIZE),
        long(5, SIZE),
        // A malformed payload: the last field ends too early.
        [&pixels[..], b"\x0a\x05"].concat(),
        // Groups may have many fields.
        [tag(6, 3), pixels.clone(), tag(6, 4)].concat(),
        // Small fields come first.
        [b"\x0a\x00".repeat(64), pixels.clone()].concat(),
        (0..5).fold(pixels.clone(), |inner, _| len(3, inner)),
    ] {
        assert!(costly(&payload) >= SIZE, "{}", costly(&payload));
        assert!(costly(&payload) <= payload.len());
    }
    let json = with(Encoding::Json, FILES, "t.Image", Options::default());
    assert_eq!(json.costly_bytes(&pixels), pixels.len());
}
