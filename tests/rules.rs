//! `buf.validate` in every encoding: what rules forbid is refused, what they allow passes, and a bad rule is
//! a fault of its file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gateway::diagnostic::Diagnostics;
use gateway::schema::compile::{Compiler, Descriptors, compile};
use gateway::schema::{Encoding, Options, Ruler, Schema, Table, Violation};
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

const VALIDATE: &str = "vendor/prost-protovalidate-types/proto/buf/validate/validate.proto";
const DEPTH: u32 = 100;
const BYTES: u64 = 1 << 20;

/// Compiles this text, with validate.proto beside it.
fn descriptors(text: &str) -> (Descriptors, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let validate = Path::new(env!("CARGO_MANIFEST_DIR")).join(VALIDATE);
    fs::create_dir_all(dir.path().join("buf/validate")).unwrap();
    fs::copy(validate, dir.path().join("buf/validate/validate.proto")).unwrap();
    let text = match text.starts_with("syntax") || text.starts_with("edition") {
        true => text.to_owned(),
        false => format!(
            "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{text}"
        ),
    };
    fs::write(dir.path().join("t.proto"), &text).unwrap();
    let mut found = Diagnostics::new();
    let descriptors = compile(&[dir.path().to_owned()], Compiler::Builtin, &mut found);
    (
        descriptors.unwrap_or_else(|| panic!("{text}\n{found}")),
        dir,
    )
}

/// The schemas of `t.M` with its rules, and what writes its payloads.
struct Ruled {
    protobuf: Schema,
    msgpack: Schema,
    json: Schema,
    pool: DescriptorPool,
}

impl Ruled {
    fn new(text: &str) -> Self {
        let (descriptors, _dir) = descriptors(text);
        assert!(descriptors.has_rules("t.M"), "{text}");
        let mut found = Diagnostics::new();
        let ruler = Ruler::build(&descriptors, &["t.M"], &mut found);
        let ruler = Arc::new(ruler.unwrap_or_else(|| panic!("{text}\n{found}")));
        assert_eq!(found.render(false), "", "{text}");
        let table = Arc::new(Table::build(descriptors.files()).unwrap());
        let schema = |encoding| {
            let root = table.message("t.M").unwrap();
            let mut schema = Schema::new(encoding, Arc::clone(&table), root, Options::default());
            assert!(schema.enforce(&ruler, BYTES));
            schema
        };
        let mut set = protobuf::descriptor::FileDescriptorSet::new();
        set.file = descriptors.files().to_vec();
        let bytes = protobuf::Message::write_to_bytes(&set).unwrap();
        Self {
            protobuf: schema(Encoding::Protobuf),
            msgpack: schema(Encoding::Msgpack),
            json: schema(Encoding::Json),
            pool: DescriptorPool::decode(&*bytes).unwrap(),
        }
    }

    /// ProtoJSON's value in protobuf.
    fn protobuf(&self, value: &Value) -> Vec<u8> {
        let message = self.pool.get_message_by_name("t.M").unwrap();
        let message = DynamicMessage::deserialize(message, value);
        message
            .unwrap_or_else(|error| panic!("{value}: {error}"))
            .encode_to_vec()
    }

    /// What each encoding says of one value.
    fn check(&self, value: &Value) -> [(&'static str, Result<(), Violation>); 3] {
        let packed = rmp_serde::to_vec(value).unwrap();
        [
            (
                "protobuf",
                self.protobuf.check(&self.protobuf(value), DEPTH),
            ),
            ("msgpack", self.msgpack.check(&packed, DEPTH)),
            ("json", self.json.check(value.to_string().as_bytes(), DEPTH)),
        ]
    }

    #[track_caller]
    fn accepts(&self, value: &Value) {
        for (encoding, verdict) in self.check(value) {
            if let Err(violation) = verdict {
                panic!("{encoding}: {value}: {violation:?}");
            }
        }
    }

    /// That the value breaks this rule at this path.
    #[track_caller]
    fn refuses(&self, value: &Value, path: &str, rule: &str) -> Violation {
        let told = self.check(value);
        for (encoding, verdict) in &told {
            match verdict {
                Ok(()) => panic!("{encoding}: {value} passes"),
                Err(violation) => assert_eq!(
                    (&*violation.path, violation.rule.as_deref()),
                    (path, Some(rule)),
                    "{encoding}: {value}: {violation:?}"
                ),
            }
        }
        let [(_, first), (_, second), (_, third)] = told;
        assert_eq!(first, second);
        assert_eq!(first, third);
        first.unwrap_err()
    }
}

/// A rule on one field `f`: values that it allows, values that it forbids, and its id.
type Case = (&'static str, Vec<Value>, Vec<(Value, &'static str)>);

#[test]
fn standard_rules_of_every_type() {
    let cases: Vec<Case> = vec![
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
    ];
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
fn bytes_and_well_known_types() {
    let ruled = Ruled::new(
        "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
         import \"google/protobuf/duration.proto\"; import \"google/protobuf/struct.proto\";
         message M {
           bytes b = 1 [(buf.validate.field).bytes.max_len = 2];
           google.protobuf.Timestamp at = 2 [(buf.validate.field).timestamp.lt = {seconds: 1000}];
           google.protobuf.Int32Value n = 3 [(buf.validate.field).int32.gt = 5];
           google.protobuf.Duration d = 4 [(buf.validate.field).duration.gte = {seconds: 2}];
           google.protobuf.BytesValue w = 5 [(buf.validate.field).bytes.len = 3];
           google.protobuf.Value v = 6 [(buf.validate.field).cel = {
             id: \"v\", message: \"v\", expression: \"this.string_value != 'no'\"}];
         }",
    );
    // What each form of MessagePack's means is what the rules see.
    let check = |payload: &[u8]| {
        let verdict = ruled.msgpack.check(payload, DEPTH);
        verdict.map_err(|v| {
            (
                v.path.clone(),
                v.rule
                    .as_deref()
                    .map_or_else(|| v.to_string(), str::to_owned),
            )
        })
    };
    let refused = |path: &str, rule: &str| Err((path.to_owned(), rule.to_owned()));
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
    // And in JSON.
    let check = |payload: &str| {
        let verdict = ruled.json.check(payload.as_bytes(), DEPTH);
        verdict.map_err(|v| {
            (
                v.path.clone(),
                v.rule
                    .as_deref()
                    .map_or_else(|| v.to_string(), str::to_owned),
            )
        })
    };
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
        assert_eq!(check(payload), expected, "{payload}");
    }
    let check = |payload: &[u8]| {
        let verdict = ruled.msgpack.check(payload, DEPTH);
        verdict.map_err(|v| {
            (
                v.path.clone(),
                v.rule
                    .as_deref()
                    .map_or_else(|| v.to_string(), str::to_owned),
            )
        })
    };
    // The array layout: values in declaration order.
    assert_eq!(check(b"\x93\xc4\x01a\xc0\x06"), Ok(()));
    assert_eq!(check(b"\x93\xc4\x01a\xc0\x05"), refused("n", "int32.gt"));
}

#[test]
fn what_lies_below_has_its_path() {
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
    // A message's rule says its sentence, wherever the message is.
    let three = json!([{"zip": "12345"}, {"zip": "12345"}, {"zip": "12345"}]);
    let told = ruled.refuses(&with("lines", three), "", "m.lines");
    assert_eq!(told.to_string(), "two lines at most (rule m.lines)");
    let told = ruled.refuses(
        &with("lines", json!([{"zip": "00000"}])),
        "lines[0]",
        "line",
    );
    assert_eq!(told.to_string(), "lines[0]: no zip of zeros (rule line)");
    // Maps with keys that are no strings, which JSON can't write.
    let texts = b"\x0a\x07\x0a\x0512345\x30\x01\x2a\x04\x08\x00\x12\x00";
    let told = ruled.protobuf.check(texts, DEPTH).unwrap_err();
    assert_eq!(
        (&*told.path, told.rule.as_deref()),
        ("texts[0] (key)", Some("int32.gt"))
    );
    let told = ruled
        .msgpack
        .check(b"\x82\xa1a\x01\xa5texts\x81\x07\xa0", DEPTH)
        .unwrap_err();
    assert_eq!(
        (&*told.path, told.rule.as_deref()),
        ("texts[7]", Some("string.min_len"))
    );
}

#[test]
fn the_walk_goes_first() {
    let ruled =
        Ruled::new("message M { int32 f = 1 [(buf.validate.field).int32.gt = 5]; string s = 2; }");
    let told = ruled
        .protobuf
        .check(b"\x08\x01\x10\x01", DEPTH)
        .unwrap_err();
    assert_eq!((told.rule, &*told.path), (None, "s"));
    let told = ruled
        .msgpack
        .check(b"\x82\xa1f\x01\xa1s\x01", DEPTH)
        .unwrap_err();
    assert_eq!((told.rule, &*told.path), (None, "s"));
}

#[test]
fn rules_of_ones_own_and_predefined_ones() {
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
    let told = ruled.refuses(&json!({"f": 3, "g": 1}), "f", "int32.even");
    assert_eq!(told.to_string(), "f: must be even (rule int32.even)");
    ruled.refuses(&json!({"f": 4, "g": 0}), "g", "int32.gt");
}

/// Faults and warnings of rules, with the line and column in the text.
#[track_caller]
fn bad(text: &str, expected: &[(&str, (u32, u32))]) {
    let text =
        format!("syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{text}");
    let (descriptors, _dir) = descriptors(&text);
    let mut found = Diagnostics::new();
    let ruler = Ruler::build(&descriptors, &["t.M"], &mut found);
    found.sort();
    assert_eq!(ruler.is_none(), found.has_errors());
    let told: Vec<_> = found
        .iter()
        .map(|it| {
            let place = it.place.as_ref().map(|place| (place.line, place.column));
            (it.message.clone(), place.unwrap_or_default())
        })
        .collect();
    let same = told.len() == expected.len()
        && told
            .iter()
            .zip(expected)
            .all(|(t, e)| t.0.contains(e.0) && t.1 == e.1);
    assert!(same, "{told:#?}");
}

#[test]
fn a_bad_rule_is_a_fault_at_its_place() {
    bad(
        "message M {\n  int32 a = 1;\n  string f = 2 [\n    deprecated = true,\n    (buf.validate.field).int32.gt = 3\n  ];\n}",
        &[("bad rules of t.M.f", (6, 5))],
    );
    bad(
        "message M {\n  int32 f = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"this >\"}];\n}",
        &[(
            "bad rules of t.M.f: failed to compile CEL rule `this >`",
            (3, 16),
        )],
    );
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \")\"};\n  int32 f = 1;\n}",
        &[("bad rules of t.M: failed to compile CEL rule `)`", (3, 10))],
    );
    bad(
        "message M {\n  string f = 1 [(buf.validate.field).string.pattern = \"(\"];\n}",
        &[("bad rules of t.M.f", (3, 17))],
    );
    bad(
        "message M {\n  option (buf.validate.message).oneof = {fields: [\"g\"]};\n  int32 f = 1;\n}",
        &[("bad rules of t.M: field g not found", (3, 10))],
    );
    // Below, and in several places at once.
    bad(
        "message M { repeated N n = 1; }\nmessage N {\n  int32 a = 1 [(buf.validate.field).cel = {id: \"x\", expression: \"(\"}];\n  repeated int32 b = 2 [(buf.validate.field).repeated.items.string.len = 1];\n}",
        &[
            ("bad rules of t.N.a", (4, 16)),
            ("bad rules of t.N.b", (5, 25)),
        ],
    );
    // CEL knows no types before it runs.
    bad(
        "message M {\n  option (buf.validate.message).cel = {id: \"x\", expression: \"this.nme != ''\"};\n  string name = 1;\n}",
        &[("the rules of t.M can't be applied to an empty one", (3, 10))],
    );
}

#[test]
fn nothing_in_a_payload_makes_rules_hang_or_fall() {
    let ruled = Ruled::new(
        "message M { repeated int32 n = 1; M m = 2; string s = 3;
           option (buf.validate.message).cel = {id: \"gather\", message: \"m\", expression: \"this.n.filter(i, i >= 0).size() == this.n.size()\"};
           option (buf.validate.message).cel = {id: \"divide\", message: \"m\", expression: \"this.s != 'x' || 1 / this.n.size() > 0\"}; }",
    );
    ruled.accepts(&json!({"n": [1, 2, 3]}));
    ruled.refuses(&json!({"n": [1, -2, 3]}), "", "gather");
    // So many that the gathering would take minutes.
    let many = json!({"n": vec![1; 100_000]});
    let started = std::time::Instant::now();
    for (encoding, verdict) in ruled.check(&many) {
        let told = verdict.expect_err(encoding);
        assert!(
            told.to_string().contains("loop over them"),
            "{encoding}: {told}"
        );
    }
    // The largest that is judged.
    let most = json!({"n": vec![1; 2_000]});
    ruled.accepts(&most);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    // A rule that can't be applied refuses.
    for (encoding, verdict) in ruled.check(&json!({"s": "x"})) {
        let told = verdict.expect_err(encoding);
        assert!(told.to_string().contains("divide"), "{encoding}: {told}");
    }
    // As deep as anything goes, on a thread's usual stack, and one level deeper.
    let deep = |levels: usize| (0..levels).fold(json!({"n": [1]}), |inner, _| json!({"m": inner}));
    let checked = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let wire = |levels: usize| {
                (0..levels).fold(b"\x0a\x01\x01".to_vec(), |inner, _| {
                    let mut outer = vec![0x12];
                    let mut n = inner.len();
                    while n >= 0x80 {
                        outer.push(n as u8 | 0x80);
                        n >>= 7;
                    }
                    outer.push(n as u8);
                    [outer, inner].concat()
                })
            };
            let packed = |levels: usize| rmp_serde::to_vec(&deep(levels)).unwrap();
            assert_eq!(ruled.protobuf.check(&wire(99), 1000), Ok(()));
            assert_eq!(ruled.msgpack.check(&packed(99), 1000), Ok(()));
            let json = |levels: usize| {
                format!(
                    "{}{{\"n\":[1]}}{}",
                    "{\"m\":".repeat(levels),
                    "}".repeat(levels)
                )
            };
            assert_eq!(ruled.json.check(json(99).as_bytes(), 1000), Ok(()));
            for levels in [102, 900] {
                let told = ruled.protobuf.check(&wire(levels), 1000).unwrap_err();
                assert!(told.to_string().contains("100 levels"), "{told}");
                let told = ruled.json.check(json(levels).as_bytes(), 1000).unwrap_err();
                assert!(told.to_string().contains("100 levels"), "{told}");
                let told = ruled.msgpack.check(&packed(levels), 1000).unwrap_err();
                assert!(told.to_string().contains("100 levels"), "{told}");
            }
            // Larger than rules are held against.
            let large = [b"\x1a\x80\x80\x80\x01".to_vec(), vec![b'a'; 2 << 20]].concat();
            let told = ruled.protobuf.check(&large, 1000).unwrap_err();
            assert!(told.to_string().contains("at most 1048576 bytes"), "{told}");
        });
    checked.unwrap().join().unwrap();
}

#[test]
fn types_that_lead_into_each_other_without_end_overflow_nothing() {
    let chain = |n: usize| {
        let mut text = String::from("message M { M0 m = 1; }\n");
        for i in 0..n {
            let next = (i + 1) % n;
            text.push_str(&format!("message M{i} {{ M{next} m = 1; int32 v = 2 [(buf.validate.field).int32.gt = 0]; }}\n"));
        }
        text
    };
    let build = |n: usize| {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("schemas/buf/validate")).unwrap();
        fs::copy(
            VALIDATE,
            dir.path().join("schemas/buf/validate/validate.proto"),
        )
        .unwrap();
        let text = format!(
            "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";\n{}",
            chain(n)
        );
        fs::write(dir.path().join("schemas/t.proto"), text).unwrap();
        let yaml = "frontends: { c: { bind: \"tcp://*:5559\" } }\npools: { p: { bind: \"tcp://*:5560\" } }\nroutes: { X: { schema: t.M, pool: p } }\n";
        fs::write(dir.path().join("routes.yaml"), yaml).unwrap();
        gateway::config::load(&dir.path().join("routes.yaml"))
    };
    assert!(build(3_500).is_ok());
    let found = build(4_500).unwrap_err();
    assert!(
        found
            .render(false)
            .contains("more than 4000 message types below t.M"),
        "{found}"
    );
}

#[test]
fn all_violations_are_told_where_they_are_asked_for() {
    let text = "message M { repeated int32 n = 1 [(buf.validate.field).repeated.items.int32.gt = 0]; int32 f = 2 [(buf.validate.field).int32.gt = 0]; }";
    let (descriptors, _dir) = descriptors(text);
    let ruler = Arc::new(Ruler::build(&descriptors, &["t.M"], &mut Diagnostics::new()).unwrap());
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    let root = table.message("t.M").unwrap();
    let mut schema = Schema::new(Encoding::Json, table, root, options);
    assert!(schema.enforce(&ruler, BYTES));
    let told = schema.check(br#"{"n": [1, 0, -1]}"#, DEPTH).unwrap_err();
    let others: Vec<_> = told.others.iter().flatten().map(|it| &*it.path).collect();
    assert_eq!((&*told.path, &*others), ("n[1]", &["n[2]", "f"][..]));
    let many = format!("{{\"n\": {:?}}}", vec![0; 1000]);
    let told = schema.check(many.as_bytes(), DEPTH).unwrap_err();
    assert_eq!(told.others.unwrap().len(), 15);
}
