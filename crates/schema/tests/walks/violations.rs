//! Tests of schemas that report all violations: the violations after which each walk continues,
//! their order, and their maximum number.

use crate::support::pb::{group, int, len, tag};
use crate::support::*;
use gateway_schema::{Encoding, Options, Schema, Violation};

const TREE: &str = r#"
syntax = "proto2"; package t;
import "google/protobuf/struct.proto";
enum Color { RED = 0; }
message Tree {
  optional int32 n = 1; optional string text = 2; repeated Tree trees = 3; map<string, Tree> by_name = 4;
  optional Color color = 5; optional Leaf leaf = 6; repeated fixed32 fixed = 7 [packed = true];
  optional group Extra = 8 { optional fixed32 x = 1; required int32 must = 2; }
  map<int32, int32> numbers = 9; optional google.protobuf.Struct meta = 12; oneof one { int32 left = 10; int32 right = 11; }
}
message Leaf { required int32 a = 1; required int32 b = 2; optional int32 c = 3; }
"#;

fn every(encoding: Encoding) -> Schema {
    let options = Options {
        all_violations: true,
        ..STRICT
    };
    with(encoding, TREE, "t.Tree", options)
}

/// Returns the path and offset of every violation, in order.
fn found(schema: &Schema, payload: &[u8]) -> Vec<(String, usize)> {
    let Violation {
        path,
        offset,
        others,
        ..
    } = schema.check(payload, 100).unwrap_err();
    let others = others.expect("all were asked for").into_iter();
    let others = others.map(|other| {
        assert_eq!(other.others, None);
        (other.path, other.offset)
    });
    std::iter::once((path, offset)).chain(others).collect()
}

#[track_caller]
fn finds(schema: &Schema, payload: &[u8], expected: &[(&str, usize)]) {
    let found = found(schema, payload);
    let found: Vec<_> = found.iter().map(|(path, at)| (&**path, *at)).collect();
    assert_eq!(found, expected);
}

#[test]
fn protobuf_continues_after_every_field() {
    let schema = every(Encoding::Protobuf);
    // The comments give the offset of each field in the payload.
    let wrong = len(1, "x"); // 3 bytes: a string for the int32
    let payload = [
        wrong.clone(),                                         // 0
        len(3, [wrong.clone(), int(1, 1)].concat()),           // 3: body at 5
        len(3, []),                                            // 10
        len(3, len(3, [wrong.clone(), int(2, 9)].concat())),   // 12: bodies at 14, 16
        int(77, 1),                                            // 21: unknown
        int(5, 9),                                             // 24: no such color
        len(6, int(3, 1)),                                     // 26: lacks a and b, body at 28
        len(4, [len(1, "k"), len(2, wrong.clone())].concat()), // 30: value's body at 37
        group(8, [int(1, 1), len(9, [])].concat()),            // 40: body at 41, lacks must
        int(1, 5),
    ]
    .concat();
    finds(
        &schema,
        &payload,
        &[
            ("n", 0),
            ("trees[0].n", 5),
            ("trees[2].trees[0].n", 16),
            ("trees[2].trees[0].text", 19),
            ("", 21),
            ("color", 25),
            ("leaf.a", 28),
            ("leaf.b", 28),
            ("by_name[\"k\"].n", 37),
            ("extra.x", 41),
            ("extra", 43),
            ("extra.must", 41),
        ],
    );
}

#[test]
fn protobuf_ends_at_unreadable_bytes() {
    let schema = every(Encoding::Protobuf);
    let wrong = len(1, "x");
    let broken = [wrong.clone(), vec![0x07]].concat(); // wire type 7
    finds(&schema, &broken, &[("n", 0), ("", 3)]);
    // Unreadable bytes in a length-prefixed message end only the walk of that message.
    let inner = [len(3, &broken), wrong.clone()].concat();
    finds(
        &schema,
        &inner,
        &[("trees[0].n", 2), ("trees[0]", 5), ("n", 6)],
    );
    let short = [wrong.clone(), tag(3, 2), vec![99]].concat();
    finds(&schema, &short, &[("n", 0), ("trees[0]", 5)]);
    let open = [wrong.clone(), tag(8, 3), wrong, int(2, 1)].concat();
    finds(&schema, &open, &[("n", 0), ("extra.x", 4), ("extra", 9)]);
}

#[test]
fn msgpack_continues_after_every_value() {
    let schema = every(Encoding::Msgpack);
    let value = serde_json::json!({
        "n": "x",
        "trees": [{"n": "x", "text": 5}, {}, {"trees": [null]}],
        "nobody": [1, {"a": null}],
        "color": "BLUE",
        "leaf": {"c": 1},
        "by_name": {"k": {"n": true}, "l": 5},
        "fixed": [1, -1, "x"],
        "left": 1,
        "right": 2,
    });
    let payload = rmp_serde::to_vec(&value).unwrap();
    let found = found(&schema, &payload);
    let paths: Vec<_> = found.iter().map(|(path, _)| &**path).collect();
    // serde_json sorts a map by its keys.
    assert_eq!(
        paths,
        [
            "by_name[\"k\"].n",
            "by_name[\"l\"]",
            "color",
            "fixed[1]",
            "fixed[2]",
            "leaf.a",
            "leaf.b",
            "n",
            "",
            "right",
            "trees[0].n",
            "trees[0].text",
            "trees[2].trees[0]",
        ]
    );
    assert!(found.is_sorted_by_key(|(_, offset)| *offset));
    // The message has a duplicate key. The map has a duplicate key and a key of a wrong type.
    let twice = b"\x83\xa1n\xa1x\xa1n\x01\xa7numbers\x84\x01\x02\x01\xa1x\xa1a\x01\x03\xa1x";
    finds(
        &schema,
        twice,
        &[
            ("n", 3),
            ("n", 5),
            ("numbers[1]", 19),
            ("numbers", 22),
            ("numbers[3]", 26),
        ],
    );
    let struct_of_two = b"\x82\xa4meta\x82\xa1a\x01\xa1a\x02\xa1n\xa1x";
    finds(&schema, struct_of_two, &[("meta[\"a\"]", 10), ("n", 15)]);
    // The map has so many entries that its keys are compared by fingerprints. One key is not an
    // integer, and one key is a duplicate.
    let mut many = b"\x81\xa7numbers\x8c\xa1x\0".to_vec();
    (1..=10).chain([10]).for_each(|key| many.extend([key, 0]));
    finds(&schema, &many, &[("numbers", 10), ("numbers[10]", 33)]);
    let places = b"\x93\xa1x\x05\x91\x91\xc3";
    finds(&schema, places, &[("n", 1), ("text", 3), ("trees[0].n", 6)]);
    // The walk ends at bytes that it cannot read.
    finds(
        &schema,
        b"\x82\xa1n\xa1x\xa4text\xc1",
        &[("n", 3), ("text", 10)],
    );
    finds(&schema, b"\x81\xa1n\xa1x\x01", &[("n", 3)]);
}

#[test]
fn json_continues_after_every_value() {
    let schema = every(Encoding::Json);
    let payload = br#"{"n":"x","trees":[{"n":"x","text":5},{},{"trees":[null]}],"nobody":[1,{"a":null}],"color":"BLUE","leaf":{"c":1},"by_name":{"k":{"n":true},"l":5},"fixed":[1,-1,"x"],"left":1,"right":2,"n":3}"#;
    let at = |text: &str| std::str::from_utf8(payload).unwrap().find(text).unwrap();
    finds(
        &schema,
        payload,
        &[
            ("n", 5),
            ("trees[0].n", 23),
            ("trees[0].text", 34),
            ("trees[2].trees[0]", at("null]")),
            ("", at("\"nobody")),
            ("color", at("\"BLUE")),
            ("leaf.a", at("{\"c")),
            ("leaf.b", at("{\"c")),
            ("by_name[\"k\"].n", at("true}")),
            ("by_name[\"l\"]", at("5},\"fixed")),
            ("fixed[1]", at("-1")),
            ("fixed[2]", at("\"x\"],\"left")),
            ("right", at("\"right")),
            ("n", at("\"n\":3")),
        ],
    );
    let keys = br#"{"numbers":{"1":"x","1.0":2,"a":3,"b":"c","2":{}}}"#;
    finds(
        &schema,
        keys,
        &[
            ("numbers[1]", 16),
            ("numbers[1]", 20),
            ("numbers", 28),
            ("numbers", 34),
            ("numbers[2]", 46),
        ],
    );
    let struct_of_two = br#"{"meta":{"a":1,"a":2},"n":"x"}"#;
    finds(&schema, struct_of_two, &[("meta[\"a\"]", 15), ("n", 26)]);
    // The walk ends at bytes that it cannot read.
    finds(
        &schema,
        br#"{"n":"x","trees":[{"n":tru}],"text":5}"#,
        &[("n", 5), ("trees[0].n", 23)],
    );
    finds(&schema, br#"{"n":"x" "text":5}"#, &[("n", 5), ("", 9)]);
}

#[test]
fn json_continues_after_an_object_that_is_no_well_known_type() {
    let options = Options {
        all_violations: true,
        ..STRICT
    };
    let proto = r#"
        syntax = "proto3"; package t;
        import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto";
        message M { google.protobuf.Any any = 1; google.protobuf.Timestamp at = 2; int32 n = 3; }
    "#;
    let schema = with(Encoding::Json, proto, "t.M", options);
    let payload = br#"{"any":{"n":5},"at":{},"n":"x"}"#;
    finds(&schema, payload, &[("any", 7), ("at", 20), ("n", 27)]);
}

#[test]
fn at_most_sixteen_violations_are_reported() {
    let trees = |bad: usize| {
        (0..bad)
            .map(|_| len(3, len(1, "x")))
            .collect::<Vec<_>>()
            .concat()
    };
    let list = |bad: usize| format!("{{\"trees\":[{}]}}", vec!["{\"n\":\"x\"}"; bad].join(","));
    let packed = |bad: usize| {
        rmp_serde::to_vec(&serde_json::json!({"trees": vec![serde_json::json!({"n": "x"}); bad]}))
            .unwrap()
    };
    for bad in [1, 15, 16, 17, 100] {
        let reported = bad.min(16);
        let protobuf = found(&every(Encoding::Protobuf), &trees(bad));
        let json = found(&every(Encoding::Json), list(bad).as_bytes());
        let msgpack = found(&every(Encoding::Msgpack), &packed(bad));
        for found in [protobuf, json, msgpack] {
            assert_eq!(found.len(), reported);
            let paths = found.iter().map(|(path, _)| path.clone());
            assert!(
                paths.eq((0..reported).map(|n| format!("trees[{n}].n"))),
                "{found:?}"
            );
        }
    }
}

/// Asserts that the violation that is reported without `all_violations` is the first violation that
/// is reported with the option, and that the verdict is the same.
#[test]
fn the_first_violation_is_the_same_with_and_without_the_others() {
    let seeds = [
        [len(3, [len(3, int(1, 1)), len(2, "x")].concat()), group(8, int(2, 1)), len(6, [int(1, 1), int(2, 2)].concat())].concat(),
        rmp_serde::to_vec(&serde_json::json!({"trees": [{"n": 1, "text": "x"}], "leaf": {"a": 1, "b": 2}, "numbers": {}})).unwrap(),
        br#"{"trees":[{"n":1,"text":"x"}],"leaf":{"a":1,"b":2},"numbers":{"1":2}}"#.to_vec(),
    ];
    let mut random = Random(3);
    for (encoding, seed) in [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json]
        .into_iter()
        .zip(seeds)
    {
        let (all, one) = (every(encoding), with(encoding, TREE, "t.Tree", STRICT));
        accepted(&all, &seed);
        let mut several = 0;
        for _ in 0..20_000 {
            let payload = mutated(&seed, &mut random);
            match (all.check(&payload, 100), one.check(&payload, 100)) {
                (Ok(()), Ok(())) => {}
                (Err(mut all), Err(one)) => {
                    let others = all.others.take().unwrap();
                    several += usize::from(!others.is_empty());
                    assert!(others.len() < 16);
                    assert_eq!(all, one);
                }
                differ => panic!("{payload:02x?}: {differ:?}"),
            }
        }
        assert!(several > 100, "{several}");
    }
}
