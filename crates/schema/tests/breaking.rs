//! Tests that edits of a .proto file are reported as breaking or accepted as safe, by kind of edit
//! and by encoding.

use std::fs;

use gateway_proto::{Compiler, compile};
use gateway_schema::breaking::{BreakingChange, Defined, between};
use gateway_schema::{
    Definitions, Encoding, Layout, Options, Schema, Table, TextKeys, UnknownFields,
};

const PROTOBUF: Encoding = Encoding::Protobuf;
const MSGPACK: Encoding = Encoding::Msgpack;
const JSON: Encoding = Encoding::Json;
const MAP: Options = options(UnknownFields::Allow, Layout::Map);
const ARRAY: Options = options(UnknownFields::Allow, Layout::Array);
const STRICT: Options = options(UnknownFields::Reject, Layout::Map);

const fn options(unknown_fields: UnknownFields, layout: Layout) -> Options {
    Options {
        unknown_fields,
        layout,
        text_keys: TextKeys::Reject,
        all_violations: false,
    }
}

/// Returns the schema and the definitions of `t.M` in a file with this text. A text without a
/// `syntax` statement becomes a proto3 file of the package `t`.
fn defined(text: &str, encoding: Encoding, options: Options) -> (Schema, Definitions) {
    let dir = tempfile::tempdir().unwrap();
    let text = match text.starts_with("syntax") {
        true => text.to_owned(),
        false => format!("syntax = \"proto3\"; package t;\n{text}"),
    };
    fs::write(dir.path().join("t.proto"), &text).unwrap();
    let mut found = gateway_diagnostic::Diagnostics::new();
    let descriptors = compile(&[dir.path().to_owned()], Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{text}\n{found}"));
    let definitions = descriptors.definitions(["t.M"]);
    let table = std::sync::Arc::new(Table::build(descriptors.files()).unwrap());
    let root = table.message("t.M").unwrap();
    (Schema::new(encoding, table, root, options), definitions)
}

fn breaks(encoding: Encoding, options: Options, old: &str, new: &str) -> Vec<BreakingChange> {
    let (old, new) = (
        defined(old, encoding, options),
        defined(new, encoding, options),
    );
    between(of(&old), of(&new))
}

fn of((schema, definitions): &(Schema, Definitions)) -> Defined<'_> {
    Defined {
        schema,
        definitions,
    }
}

/// Asserts that the edit causes exactly the expected breaks. Each expected text is the beginning
/// of a break, written as `PATH: SUBJECT WHAT`.
#[track_caller]
fn broken(encoding: Encoding, options: Options, old: &str, new: &str, expected: &[&str]) {
    let found = breaks(encoding, options, old, new);
    let found: Vec<_> = found
        .iter()
        .map(|change| format!("{}: {} {}", change.path, change.subject, change.what))
        .collect();
    let same =
        found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
    assert!(same, "{encoding:?} {options:?}\n{old}\n{new}\n{found:#?}");
}

#[track_caller]
fn safe(encoding: Encoding, options: Options, old: &str, new: &str) {
    broken(encoding, options, old, new, &[]);
}

/// Returns a file with an enum `E`, a message `Sub`, and a message `M` whose fields are `field`.
fn one(field: &str) -> String {
    format!("message M {{ {field} }} enum E {{ A = 0; B = 1; }} message Sub {{ int32 x = 1; }}")
}

#[test]
fn edits_that_break_no_protobuf_client() {
    let base = "message M { int32 a = 1; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }";
    let same_to_protobuf = [
        base,
        // A comment, and other white space.
        "// Said.\nmessage M {\n\n int32 a = 1; /* and more */ string b = 2; Sub sub = 3; }\nmessage Sub { int32 x = 1; }",
        // Other names.
        "message M { int32 first = 1; string second = 2; Sub third = 3; } message Sub { int32 y = 1; }",
        "message M { int32 a = 1; string b = 2; Other sub = 3; } message Other { int32 x = 1; }",
        "message M { int32 a = 1 [json_name = \"z\"]; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }",
        // Another order.
        "message Sub { int32 x = 1; } message M { Sub sub = 3; string b = 2; int32 a = 1; }",
        // An additional field.
        "message M { int32 a = 1; string b = 2; Sub sub = 3; optional int32 c = 4; } message Sub { int32 x = 1; M m = 2; }",
        "message M { int32 a = 1; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; } message Sub2 {} enum E { E_A = 0; }",
        // Explicit presence.
        "message M { optional int32 a = 1; optional string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }",
        // A field that moves into a oneof whose other fields are new.
        "message M { oneof o { int32 a = 1; int32 c = 4; } string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }",
        // Fields are removed, and their numbers are reserved.
        "message M { reserved 1; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }",
        "message M { reserved 1 to 2, 9; Sub sub = 3; } message Sub { int32 x = 1; }",
        // Additional reserved numbers and names.
        "message M { reserved 7, 8; reserved \"z\"; int32 a = 1; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }",
    ];
    for new in same_to_protobuf {
        safe(PROTOBUF, Options::default(), base, new);
    }
    // With `unknown_fields: reject`, a removed field is rejected even if its number is reserved.
    let removed =
        "message M { reserved 1; string b = 2; Sub sub = 3; } message Sub { int32 x = 1; }";
    broken(
        PROTOBUF,
        STRICT,
        base,
        removed,
        &["a: t.M.a was removed, and payloads with the field are rejected"],
    );
}

/// The fields of a message before and after an edit, and the beginning of the first break:
/// `PATH: SUBJECT WHAT`.
const BREAKS_BY_NUMBER: &[(&str, &str, &str)] = &[
    (
        "int32 a = 1; int32 b = 2;",
        "int32 a = 1;",
        "b: t.M.b was removed, and its number 2 is not reserved",
    ),
    (
        "int32 a = 1; int32 b = 2;",
        "int32 a = 1; reserved 3;",
        "b: t.M.b was removed",
    ),
    (
        "int32 a = 1;",
        "int32 a = 2;",
        "a: t.M.a changed its number from 1 to 2",
    ),
    (
        "int32 a = 1;",
        "repeated int32 a = 1;",
        "a: t.M.a changed its type from int32 to repeated int32",
    ),
    (
        "repeated int32 a = 1;",
        "int32 a = 1;",
        "a: t.M.a changed its type from repeated int32 to int32",
    ),
    (
        "Sub a = 1;",
        "repeated Sub a = 1;",
        "a: t.M.a changed its type",
    ),
    (
        "Sub a = 1;",
        "bytes a = 1;",
        "a: t.M.a changed its type from t.Sub to bytes",
    ),
    (
        "bytes a = 1;",
        "Sub a = 1;",
        "a: t.M.a changed its type from bytes to t.Sub",
    ),
    (
        "string a = 1;",
        "int32 n = 1;",
        "a: t.M.a changed its type from string to int32 and its name to n",
    ),
    (
        "map<string, int32> a = 1;",
        "map<string, string> a = 1;",
        "a: t.M.a changed its type from map<string, int32> to map<string, string>",
    ),
    (
        "map<string, int32> a = 1;",
        "map<int32, int32> a = 1;",
        "a: t.M.a changed its type",
    ),
    (
        "repeated Sub a = 1;",
        "map<int32, int32> a = 1;",
        "a: t.M.a changed its type",
    ),
    (
        "int32 a = 1; int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        "b: t.M.b is now in one oneof with a",
    ),
    (
        "optional int32 a = 1; optional int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        "b: t.M.b is now in one oneof",
    ),
    (
        "oneof o { int32 a = 1; int32 c = 3; } oneof p { int32 b = 2; int32 d = 4; }",
        "oneof o { int32 a = 1; int32 b = 2; } oneof p { int32 c = 3; int32 d = 4; }",
        "b: t.M.b is now in one oneof with a",
    ),
    (
        "reserved 2;",
        "int32 b = 2;",
        "b: t.M.b took the number 2, which was reserved",
    ),
    (
        "reserved 2 to 5, 9 to max;",
        "int32 b = 100;",
        "b: t.M.b took the number 100",
    ),
];

#[test]
fn fields_are_compared_by_number_in_protobuf() {
    for (old, new, expected) in BREAKS_BY_NUMBER {
        let found = breaks(PROTOBUF, Options::default(), &one(old), &one(new));
        let first = found
            .first()
            .map(|change| format!("{}: {} {}", change.path, change.subject, change.what));
        let first = first.unwrap_or_else(|| panic!("{old} → {new}: nothing"));
        assert!(first.starts_with(expected), "{old} → {new}: {first}");
    }
}

#[test]
fn swapped_field_numbers_are_breaks_though_every_payload_decodes() {
    broken(
        PROTOBUF,
        Options::default(),
        &one("string a = 1; string b = 2;"),
        &one("string b = 1; string a = 2;"),
        &[
            "a: t.M.a changed its number from 1 to 2; number 1 is now b",
            "b: t.M.b changed its number from 2 to 1; number 2 is now a",
        ],
    );
}

#[test]
fn edits_of_oneofs_lists_maps_and_reserved_numbers_that_break_nothing() {
    let safe_ones = [
        (
            "oneof o { int32 a = 1; int32 b = 2; }",
            "int32 a = 1; int32 b = 2;",
        ),
        (
            "oneof o { int32 a = 1; int32 b = 2; }",
            "oneof p { int32 b = 2; int32 a = 1; int32 c = 3; }",
        ),
        (
            "oneof o { int32 a = 1; int32 b = 2; }",
            "oneof o { int32 a = 1; } oneof p { int32 b = 2; }",
        ),
        (
            "repeated int32 a = 1;",
            "repeated int32 a = 1 [packed = false];",
        ),
        ("map<int32, string> a = 1;", "map<int64, bytes> a = 1;"),
        (
            "map<int32, int32> a = 1;",
            "repeated Pair a = 1; message Pair { int32 k = 1; int32 v = 2; }",
        ),
        ("reserved 2 to 5, 9;", "int32 b = 6;"),
    ];
    for (old, new) in safe_ones {
        safe(PROTOBUF, Options::default(), &one(old), &one(new));
    }
}

const SCALARS: [&str; 17] = [
    "bool", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
    "sfixed32", "sfixed64", "float", "double", "string", "bytes", "E", "Sub",
];

/// Tests the change from every type to every other type.
#[test]
fn only_the_listed_changes_of_types_are_safe_in_each_encoding() {
    let wider = |encoding, from: &str| -> &[&str] {
        match (encoding, from) {
            (PROTOBUF, "bool") => &["int32", "int64", "uint32", "uint64"],
            (PROTOBUF, "int32" | "uint32" | "E") if from == "uint32" => &["int64", "uint64"],
            (PROTOBUF, "int32") => &["int64"],
            (PROTOBUF, "E") => &["int32", "int64"],
            (PROTOBUF, "sint32") => &["sint64"],
            (PROTOBUF, "string") => &["bytes"],
            (PROTOBUF, _) => &[],
            // MessagePack and JSON do not distinguish integer types of the same range.
            (_, "int32" | "sint32" | "sfixed32") => &[
                "int32", "sint32", "sfixed32", "int64", "sint64", "sfixed64", "double",
            ],
            (_, "uint32" | "fixed32") => &[
                "uint32", "fixed32", "int64", "sint64", "sfixed64", "uint64", "fixed64", "double",
            ],
            (_, "int64" | "sint64" | "sfixed64") => &["int64", "sint64", "sfixed64"],
            (_, "uint64" | "fixed64") => &["uint64", "fixed64"],
            (_, "float") => &["double"],
            (_, _) => &[],
        }
    };
    for encoding in [PROTOBUF, MSGPACK, JSON] {
        for label in ["", "repeated "] {
            let schemas = SCALARS.map(|kind| {
                let field = format!("{label}{kind} a = 1;");
                (kind, defined(&one(&field), encoding, MAP))
            });
            for (from, old) in &schemas {
                for (to, new) in &schemas {
                    let good = from == to || wider(encoding, from).contains(to);
                    let found = between(of(old), of(new));
                    let what = format!("{encoding:?} {label}{from} → {to}");
                    assert_eq!(found.is_empty(), good, "{what}: {found:?}");
                }
            }
        }
    }
}

#[test]
fn required_fields_groups_and_strings_of_proto2_are_compared() {
    let proto2 = |fields: &str| format!("syntax = \"proto2\"; package t; message M {{ {fields} }}");
    let proto3 = |fields: &str| format!("syntax = \"proto3\"; package t; message M {{ {fields} }}");
    let of = |old: String, new: String, expected: &[&str]| {
        broken(PROTOBUF, Options::default(), &old, &new, expected);
    };
    let a = |label: &str| proto2(&format!("{label} int32 a = 1;"));
    of(a("optional"), a("required"), &["a: t.M.a became required"]);
    of(a("required"), a("optional"), &[]);
    of(proto2(""), a("required"), &["a: t.M.a is new and required"]);
    of(proto2(""), a("optional"), &[]);
    let text = "optional string s = 1;";
    of(proto2(text), proto3(text), &["s: t.M.s must now be UTF-8"]);
    of(proto3(text), proto2(text), &[]);
    let group = "optional group G = 1 { optional int32 x = 1; }";
    let message = "optional G g = 1; message G { optional int32 x = 1; }";
    of(
        proto2(group),
        proto2(message),
        &["g: t.M.g changed its type from group t.M.G to t.M.G"],
    );
    let named = |old: String, new: String| breaks(MSGPACK, MAP, &old, &new);
    assert_eq!(named(proto2(group), proto2(message)), []);
    assert_eq!(named(proto2(text), proto3(text)), []);
    assert_eq!(named(proto2(""), a("required")).len(), 1);
}

#[test]
fn enums_are_compared_by_number_in_protobuf() {
    let with = |values: &str| {
        format!("message M {{ E e = 1; repeated E more = 2; }} enum E {{ {values} }}")
    };
    let cases = [
        (
            "A = 0; B = 1;",
            "A = 0;",
            &["e: t.E.B was removed, and its number 1 is not reserved"][..],
        ),
        ("A = 0; B = 1;", "A = 0; reserved 1;", &[]),
        ("A = 0; B = 1;", "A = 0; reserved 1 to max;", &[]),
        ("A = 0; B = 1;", "A = 0; C = 1;", &[]),
        ("A = 0; B = 1;", "A = 0; B = 1; C = 2;", &[]),
        (
            "A = 0; B = 1;",
            "A = 0; B = 2;",
            &["e: t.E.B changed its number from 1 to 2"],
        ),
        (
            "A = 0; B = 1; C = 2;",
            "A = 0; B = 2; C = 1;",
            &[
                "e: t.E.B changed its number from 1 to 2",
                "e: t.E.C changed its number from 2 to 1",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        broken(
            PROTOBUF,
            Options::default(),
            &with(old),
            &with(new),
            expected,
        );
    }
    let proto2 = |values: &str| {
        format!(
            "syntax = \"proto2\"; package t; message M {{ optional E e = 1; }} enum E {{ {values} }}"
        )
    };
    let closed = proto2("A = 0; B = 1;");
    let open = "message M { optional E e = 1; } enum E { A = 0; B = 1; }";
    broken(PROTOBUF, MAP, open, &closed, &["e: t.E became closed"]);
    safe(PROTOBUF, MAP, &closed, open);
    // A number that a closed enum does not list is an unknown field.
    let without = proto2("A = 0; reserved 1;");
    safe(PROTOBUF, MAP, &closed, &without);
    broken(
        PROTOBUF,
        STRICT,
        &closed,
        &without,
        &["e: t.E.B was removed, and payloads with the value are rejected"],
    );
}

#[test]
fn enums_are_compared_by_name_in_msgpack_and_json() {
    let with = |values: &str| format!("message M {{ E e = 1; }} enum E {{ {values} }}");
    let cases = [
        (
            "A = 0; B = 1;",
            "A = 0; reserved 1; reserved \"B\";",
            &["e: t.E.B was removed, and payloads with its name are rejected"][..],
        ),
        ("A = 0; B = 1;", "A = 0; C = 1;", &["e: t.E.B was renamed"]),
        (
            "A = 0; B = 1;",
            "A = 0; B = 2;",
            &["e: t.E.B changed its number from 1 to 2"],
        ),
        (
            "A = 0; B = 1;",
            "option allow_alias = true; A = 0; C = 1; B = 1;",
            &[],
        ),
        ("A = 0; B = 1;", "A = 0; D = 3; B = 1;", &[]),
    ];
    for (old, new, expected) in cases {
        broken(
            MSGPACK,
            Options::default(),
            &with(old),
            &with(new),
            expected,
        );
    }
}

/// The fields of a message before and after an edit, and the beginning of each break.
const BREAKS_BY_NAME: &[(&str, &str, &[&str])] = &[
    (
        "int32 a = 1; string mail_to = 2;",
        "int32 a = 1;",
        &["mail_to: t.M.mail_to was removed, and its name is not reserved"],
    ),
    (
        "int32 a = 1; string mail_to = 2;",
        "int32 a = 1; reserved 2;",
        &["mail_to: t.M.mail_to was removed"],
    ),
    (
        "int32 a = 1; string mail_to = 2;",
        "int32 a = 1; reserved \"mail_to\";",
        &[],
    ),
    (
        "int32 a = 1;",
        "int32 b = 1;",
        &["a: t.M.a was renamed to b"],
    ),
    // The field is still read under its old name, which is now its JSON name.
    ("int32 a = 1;", "int32 b = 1 [json_name = \"a\"];", &[]),
    (
        "string mail_to = 2;",
        "string mail_to = 2 [json_name = \"to\"];",
        &["mail_to: t.M.mail_to is no longer read under its JSON name mailTo"],
    ),
    // Numbers and order do not matter.
    (
        "int32 a = 1; string b = 2;",
        "string b = 7; int32 a = 2;",
        &[],
    ),
    ("int32 a = 1;", "int32 a = 1; string b = 2;", &[]),
    (
        "int32 a = 1;",
        "repeated int32 a = 1;",
        &["a: t.M.a changed its type from int32 to repeated int32"],
    ),
    (
        "map<string, Sub> a = 1;",
        "repeated Sub a = 1;",
        &["a: t.M.a changed its type"],
    ),
    (
        "int32 a = 1; int32 b = 2;",
        "oneof o { int32 a = 1; int32 b = 2; }",
        &["b: t.M.b is now in one oneof with a"],
    ),
    (
        "reserved \"b\";",
        "int32 b = 2;",
        &["b: t.M.b took a name that was reserved"],
    ),
    ("reserved 2;", "int32 b = 2;", &[]),
];

#[test]
fn fields_are_compared_by_name_in_msgpack_and_json() {
    for (old, new, expected) in BREAKS_BY_NAME {
        broken(MSGPACK, MAP, &one(old), &one(new), expected);
        broken(JSON, Options::default(), &one(old), &one(new), expected);
    }
    let (old, new) = (one("int32 a = 1;"), one("reserved \"a\";"));
    broken(
        MSGPACK,
        STRICT,
        &old,
        &new,
        &["a: t.M.a was removed, and payloads with the field are rejected"],
    );
    let known = "import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp at = 1; }";
    let own =
        "message M { Timestamp at = 1; } message Timestamp { int64 seconds = 1; int32 nanos = 2; }";
    broken(
        MSGPACK,
        MAP,
        known,
        own,
        &["at: google.protobuf.Timestamp became t.Timestamp"],
    );
    safe(PROTOBUF, MAP, known, own);
}

#[test]
fn fields_are_compared_by_order_in_msgpack_arrays() {
    let cases = [
        (
            "int32 a = 1; string b = 2;",
            "int32 a = 1; string b = 2; bool c = 3;",
            &[][..],
        ),
        (
            "int32 a = 1; string b = 2;",
            "int32 x = 1; string y = 2;",
            &[],
        ),
        (
            "int32 a = 1; string b = 2;",
            "int32 a = 9; string b = 8;",
            &[],
        ),
        (
            "int32 a = 1; int32 b = 2;",
            "int32 b = 2; int32 a = 1;",
            &["a: t.M.a is no longer value 1 of the array layout; that value is now b"],
        ),
        (
            "int32 a = 1; int32 b = 2;",
            "int32 a = 1; int32 c = 3; int32 b = 2;",
            &["b: t.M.b is no longer value 2 of the array layout; that value is now c"],
        ),
        (
            "int32 a = 1; int32 b = 2;",
            "int32 a = 1; reserved 2; reserved \"b\";",
            &["b: t.M.b was value 2 of the array layout, which is now shorter"],
        ),
        (
            "int32 a = 1; int32 b = 2;",
            "int32 a = 1; string b = 2;",
            &["b: t.M.b changed its type from int32 to string"],
        ),
    ];
    for (old, new, expected) in cases {
        broken(MSGPACK, ARRAY, &one(old), &one(new), expected);
    }
    // If the schema allows maps and arrays, the names and the order of fields both matter. Each
    // break is reported once.
    let both = |old, new, expected: &[&str]| {
        broken(MSGPACK, Options::default(), &one(old), &one(new), expected);
    };
    both(
        "int32 a = 1; string b = 2;",
        "string b = 2; int32 a = 1;",
        &["a: t.M.a is no longer value 1"],
    );
    both(
        "int32 a = 1;",
        "int32 x = 1;",
        &["a: t.M.a was renamed to x"],
    );
    both("int32 a = 1;", "int32 a = 1; int32 b = 2;", &[]);
}

#[test]
fn nested_changes_are_reported_with_their_path_and_their_places_in_both_files() {
    let old = "message M { repeated Line lines = 1; map<string, Line> named = 2; M again = 3; }\n\
               message Line { Zip zip = 1; }\nmessage Zip {\n  string code = 1;\n}";
    let new = "message M { repeated Line lines = 1; map<string, Line> named = 2; M again = 3; }\n\
               message Line { Zip zip = 1; }\n\n\nmessage Zip {\n  int32 code = 1;\n}";
    for encoding in [PROTOBUF, MSGPACK] {
        let found = breaks(encoding, MAP, old, new);
        let [one] = &*found else { panic!("{found:?}") };
        assert_eq!(one.subject, "t.Zip.code");
        assert!(one.path.ends_with("[].zip.code"), "{}", one.path);
        let place = |place: &Option<gateway_diagnostic::Place>| {
            let place = place.as_ref().unwrap();
            (place.line, place.column, place.width)
        };
        // The line numbers include the line that `defined` adds before the text.
        assert_eq!(place(&one.before), (5, 10, 4));
        assert_eq!(place(&one.after), (7, 9, 4));
    }
    // A removed field is shown at the message from which it was removed.
    let found = breaks(PROTOBUF, MAP, old, &new.replace("int32 code = 1;", ""));
    assert_eq!(found[0].after.as_ref().unwrap().line, 6);
}

#[test]
fn a_break_in_a_long_circle_of_types_is_reported_once() {
    let mut long = String::from("message M { M0 m = 1; }\n");
    for n in 0..3000 {
        long.push_str(&format!(
            "message M{n} {{ M{} m = 1; int32 v = 2; }}\n",
            (n + 1) % 3000
        ));
    }
    let new = long.replace(
        "message M2999 { M0 m = 1; int32 v = 2; }",
        "message M2999 { M0 m = 1; string v = 2; }",
    );
    let found = breaks(PROTOBUF, MAP, &long, &new);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].subject, "t.M2999.v");
}
