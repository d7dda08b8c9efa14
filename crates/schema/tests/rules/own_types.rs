//! Tests of messages that have the name of a well-known type but other fields. A user's file of any
//! name may define such a message, because it may be in the package `google.protobuf`.

use super::*;

/// The names of well-known types with a form of their own, each with a rule that applies to the
/// well-known type. Timestamp, Duration and FieldMask are missing, because validate.proto imports
/// their files.
const TYPES: [(&str, &str); 6] = [
    ("Any", "any.in = \"a.b/c\""),
    ("Struct", "ignore = IGNORE_UNSPECIFIED"),
    ("Value", "ignore = IGNORE_UNSPECIFIED"),
    ("ListValue", "ignore = IGNORE_UNSPECIFIED"),
    ("Int32Value", "int32.gt = 3"),
    ("StringValue", "string.min_len = 2"),
];

/// The fields of the message that has such a name.
const FIELDS: [&str; 7] = [
    "",
    "string s = 7;",
    "google.protobuf.Own own = 1;",
    "repeated google.protobuf.Own own = 1;",
    "map<string, string> own = 1;",
    "repeated int64 seconds = 1; repeated string nanos = 2;",
    "bytes type_url = 1; string value = 2; int32 more = 3;",
];

/// Returns the schemas of `t.M`, whose field has a well-known type with these fields, or `None` if
/// its rules cannot be loaded.
fn schemas(name: &str, fields: &str, rule: &str) -> Option<[Schema; 3]> {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let validate = Path::new(env!("CARGO_MANIFEST_DIR")).join(VALIDATE);
    write(
        "buf/validate/validate.proto",
        &fs::read_to_string(validate).unwrap(),
    );
    let own = format!(
        "syntax = \"proto3\"; package google.protobuf;
         message Own {{ {name} inner = 1; }} message {name} {{ {fields} }}"
    );
    write("own.proto", &own);
    let root = format!(
        "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\"; import \"own.proto\";
         message M {{ google.protobuf.{name} f = 1 [(buf.validate.field).{rule}];
             repeated google.protobuf.{name} many = 2;
             option (buf.validate.message).cel = {{id: \"c\", message: \"c\",
                 expression: \"!has(this.f) || this.many.all(m, m == this.f)\"}}; }}"
    );
    write("t.proto", &root);
    let mut found = Diagnostics::new();
    let descriptors = compile(&[dir.path().to_owned()], Compiler::Builtin, &mut found)?;
    let schema = |encoding| {
        let table = Arc::new(Table::for_roots(&descriptors, [(encoding, "t.M")]).unwrap());
        let rules = RuleSet::build(&descriptors, &table, &["t.M"], &mut Diagnostics::new())?;
        let root = table.message("t.M").unwrap();
        let mut schema = Schema::new(encoding, table, root, Options::default());
        assert!(schema.enforce(&Arc::new(rules), LIMITS));
        Some(schema)
    };
    Some([
        schema(Encoding::Protobuf)?,
        schema(Encoding::Msgpack)?,
        schema(Encoding::Json)?,
    ])
}

#[test]
fn no_payload_of_an_own_well_known_type_causes_a_panic() {
    let inner = [
        json!({}),
        json!(null),
        json!([]),
        json!(5),
        json!("1970-01-01T00:00:05Z"),
        json!("5s"),
        json!({"s": "a"}),
        json!({"own": {"inner": {}}}),
        json!({"own": [{"inner": {}}]}),
        json!({"own": {"a": "b"}}),
        json!({"seconds": [1], "nanos": ["a"]}),
        json!({"type_url": "YQ==", "value": "a", "more": 1}),
        json!({"@type": "type.googleapis.com/t.M"}),
        json!({"@type": "type.googleapis.com/google.protobuf.Any", "value": {}}),
    ];
    let wire: [&[u8]; 8] = [
        b"",
        b"\x08\x01",
        b"\x0a\x00",
        b"\x0a\x01a",
        b"\x0a\x02\x0a\x00",
        b"\x0a\x00\x12\x01a\x18\x01",
        b"\x3a\x01a",
        b"\x08\x01\x10\x01\x30\x01",
    ];
    for (name, rule) in TYPES {
        let mut loaded = 0;
        let rules = [rule, "required = true"];
        let cases = FIELDS
            .iter()
            .flat_map(|fields| rules.map(|rule| (fields, rule)));
        for (fields, rule) in cases {
            let Some([protobuf, msgpack, json]) = schemas(name, fields, rule) else {
                continue;
            };
            loaded += 1;
            for value in &inner {
                let value = json!({"f": value, "many": [value, value]});
                let packed = rmp_serde::to_vec(&value).unwrap();
                let _ = msgpack.check(&packed, DEPTH);
                let _ = json.check(value.to_string().as_bytes(), DEPTH);
            }
            for body in wire {
                let length = body.len() as u8;
                let payload = [&[0x0a, length][..], body, &[0x12, length], body].concat();
                let _ = protobuf.check(&payload, DEPTH);
            }
        }
        assert!(loaded >= FIELDS.len(), "{name}: {loaded} loaded");
    }
}
