//! Tests of tables that are built for the root messages of schemas. Such a table holds only the
//! messages that the roots need. With such a table, verdicts are the same as with a table of all
//! messages.

use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors};
use gateway_schema::{Encoding, Options, Schema, Table, TableError};
use serde_json::json;

use crate::support::pb::{group, int, len};
use crate::support::{Random, STRICT, mutated};

/// `t.Root` reaches all messages of the file, except the messages after "Out of reach".
/// `t.Root` reaches no `Any`, but `t.Holder` does.
const FILE: &str = r#"
syntax = "proto2"; package t;
import "google/protobuf/any.proto";
enum Color { RED = 1; }
message Root {
  optional Leaf leaf = 1;
  map<string, Valued> by_name = 2;
  optional group Inside = 3 { repeated Grouped grouped = 1; }
  optional Color color = 4;
  optional Sets sets = 5;
  extensions 100 to 200;
}
message Leaf { required int32 n = 1; repeated Root roots = 2; }
message Valued { optional string s = 1; required bool set = 2; }
message Grouped { optional bytes b = 1; }
message Sets { option message_set_wire_format = true; extensions 4 to max; }
message Item { extend Sets { optional Item item = 1000; } optional string text = 1; }
message Extended { repeated Far far = 1; optional sint64 s = 2; }
message Far { optional fixed32 f = 1; }
extend Root { optional Extended extra = 100; repeated int32 numbers = 101; }
// Out of reach:
enum Unused { U = 1; }
message Apart { optional Beyond beyond = 1; extensions 1000; }
message Beyond { optional Unused unused = 1; }
extend Apart { optional Root root = 1000; }
message Holder { optional google.protobuf.Any any = 1; optional Leaf leaf = 2; }
"#;

fn descriptors(text: &str) -> Descriptors {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("t.proto"), text).unwrap();
    let roots = [directory.path().to_owned()];
    let mut found = Diagnostics::new();
    let made = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
    made.unwrap_or_else(|| panic!("{text}\n{found}"))
}

fn held(table: &Table) -> Vec<&str> {
    let mut names: Vec<_> = table.message_names().collect();
    names.sort_unstable();
    names
}

#[test]
fn a_table_holds_the_messages_that_its_roots_reach() {
    let descriptors = descriptors(FILE);
    let of_root = [
        "t.Extended",
        "t.Far",
        "t.Grouped",
        "t.Item",
        "t.Leaf",
        "t.Root",
        "t.Root.Inside",
        "t.Sets",
        "t.Valued",
    ];
    for encoding in [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json] {
        let table = Table::for_roots(&descriptors, [(encoding, "t.Root")]).unwrap();
        assert_eq!(held(&table), of_root);
        assert!(table.message("t.Root").is_some());
        assert!(table.message("t.Apart").is_none());
        let table = Table::for_roots(&descriptors, [(encoding, "t.Far")]).unwrap();
        assert_eq!(held(&table), ["t.Far"]);
        let table = Table::for_roots(&descriptors, [(encoding, "t.Missing")]).unwrap();
        assert!(held(&table).is_empty());
    }
}

#[test]
fn a_table_holds_all_messages_if_an_any_in_json_may_name_any_of_them() {
    let descriptors = descriptors(FILE);
    let mut all = descriptors.message_names();
    all.sort_unstable();
    assert!(all.contains(&"t.Beyond") && !all.contains(&"t.Root.ByNameEntry"));
    let of = |roots: &[_]| Table::for_roots(&descriptors, roots.iter().copied()).unwrap();
    let table = of(&[(Encoding::Protobuf, "t.Root"), (Encoding::Json, "t.Holder")]);
    assert_eq!(held(&table), all);
    for encoding in [Encoding::Protobuf, Encoding::Msgpack] {
        // The root in JSON reaches no `Any`. In the other encodings, the content of an `Any` is
        // not checked.
        let table = of(&[(Encoding::Json, "t.Root"), (encoding, "t.Holder")]);
        assert!(table.message("google.protobuf.Any").is_some());
        assert!(table.message("t.Beyond").is_none());
    }
}

/// Returns a few payloads of `t.Root` and `t.Holder` in an encoding.
fn payloads(encoding: Encoding) -> Vec<Vec<u8>> {
    let item = [int(2, 1000), len(3, len(1, "text"))].concat();
    let protobuf = [
        [
            len(1, [int(1, 7), len(2, int(4, 1))].concat()),
            len(
                2,
                [len(1, "a"), len(2, [len(1, "v"), int(2, 1)].concat())].concat(),
            ),
            group(3, len(1, len(1, [0, 255]))),
            len(5, group(1, item)),
            len(100, [len(1, [0x0d, 1, 0, 0, 0]), int(2, 3)].concat()),
            len(101, [1, 2, 3]),
        ]
        .concat(),
        [
            len(
                1,
                [len(1, "type.googleapis.com/t.Beyond"), len(2, int(1, 1))].concat(),
            ),
            len(2, int(1, 7)),
        ]
        .concat(),
    ];
    let values = [
        json!({
            "leaf": {"n": 7, "roots": [{"color": "RED"}]},
            "by_name": {"a": {"s": "v", "set": true}},
            "inside": {"grouped": [{"b": "AAE="}]},
            "[t.extra]": {"far": [{"f": 1}], "s": -2},
            "[t.numbers]": [1, 2, 3],
        }),
        json!({
            "any": {"@type": "type.googleapis.com/t.Beyond", "unused": "U"},
            "leaf": {"n": 7},
        }),
        json!({ "any": {"@type": "type.googleapis.com/t.Apart", "beyond": {"unused": "V"}} }),
        json!({ "any": {"@type": "type.googleapis.com/t.Missing"} }),
    ];
    match encoding {
        Encoding::Protobuf => protobuf.into(),
        Encoding::Json => values
            .iter()
            .map(|value| value.to_string().into())
            .collect(),
        Encoding::Msgpack => {
            let packed = values.iter().map(|value| rmp_serde::to_vec(value).unwrap());
            packed.collect()
        }
    }
}

#[test]
fn verdicts_are_the_same_as_with_a_table_of_all_messages() {
    let descriptors = descriptors(FILE);
    let whole = Arc::new(Table::build(descriptors.files()).unwrap());
    let mut random = Random(1);
    let (mut accepted, mut rejected) = (0, 0);
    for encoding in [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json] {
        for root in ["t.Root", "t.Holder", "t.Leaf"] {
            let table = Arc::new(Table::for_roots(&descriptors, [(encoding, root)]).unwrap());
            for options in [
                Options::default(),
                Options {
                    all_violations: true,
                    ..STRICT
                },
            ] {
                let schema = |table: &Arc<Table>| {
                    let id = table.message(root).unwrap();
                    Schema::new(encoding, Arc::clone(table), id, options)
                };
                let (of_all, of_root) = (schema(&whole), schema(&table));
                for payload in payloads(encoding) {
                    for n in 0..500 {
                        let payload = match n {
                            0 => payload.clone(),
                            _ => mutated(&payload, &mut random),
                        };
                        let verdict = of_all.check(&payload, 100);
                        match verdict {
                            Ok(()) => accepted += 1,
                            Err(_) => rejected += 1,
                        }
                        assert_eq!(of_root.check(&payload, 100), verdict, "{payload:02x?}");
                    }
                }
            }
        }
    }
    assert!(accepted > 500 && rejected > 500, "{accepted} {rejected}");
}

#[test]
fn an_error_in_an_unreached_message_is_the_same_as_in_a_table_of_all_messages() {
    let numbers = (1..19_000).chain(20_000..66_536);
    let fields: String = numbers
        .map(|n| format!("optional int32 f{n} = {n};"))
        .collect();
    let text = format!(
        "syntax = \"proto2\"; package t; message Large {{ {fields} extensions 70000; }}
         extend Large {{ optional int32 more = 70000; }} message Small {{}}"
    );
    let descriptors = descriptors(&text);
    let error = TableError::TooManyFields {
        message: "t.Large".to_owned(),
    };
    let table = Table::for_roots(&descriptors, [(Encoding::Json, "t.Small")]);
    assert_eq!(table.unwrap_err(), error);
    assert_eq!(Table::build(descriptors.files()).unwrap_err(), error);
}
