//! Tests that the features of an edition determine the payloads that a schema accepts.

use std::fs;
use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::{Encoding, Layout, Options, Presence, Schema, Table, TextKeys, UnknownFields};

#[test]
fn features_of_editions_determine_the_encoding() {
    let text = "edition = \"2023\"; package e; option features.field_presence = IMPLICIT;
        option features.enum_type = CLOSED;
        enum Closed { C = 1; } enum Open { option features.enum_type = OPEN; O = 0; }
        message M {
            string checked = 1; string raw = 2 [features.utf8_validation = NONE];
            M prefixed = 3; M group = 4 [features.message_encoding = DELIMITED];
            repeated int32 numbers = 5; repeated int32 loose = 6 [features.repeated_field_encoding = EXPANDED];
            map<string, string> raws = 7 [features.utf8_validation = NONE];
            Required required = 8;
        }
        message Required { int32 must = 1 [features.field_presence = LEGACY_REQUIRED]; int32 may = 2; }";
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("e.proto"), text).unwrap();
    let mut found = Diagnostics::new();
    let made = compile(
        &[directory.path().to_path_buf()],
        Compiler::Builtin,
        &mut found,
    );
    assert_eq!(found.render(false), "");
    let table = Arc::new(Table::build(made.unwrap().files()).unwrap());
    let options = Options {
        unknown_fields: UnknownFields::Allow,
        layout: Layout::Any,
        text_keys: TextKeys::Reject,
        all_violations: false,
    };
    let schema = Schema::new(
        Encoding::Protobuf,
        Arc::clone(&table),
        table.message("e.M").unwrap(),
        options,
    );
    for (payload, right) in [
        (&b"\x0a\x01a"[..], true),
        (b"\x0a\x01\xff", false),
        (b"\x12\x01\xff", true),
        (b"\x1a\x00", true),
        (b"\x1b\x1c", false),
        (b"\x22\x00", false),
        (b"\x23\x24", true),
        (b"\x2a\x01\x01\x28\x01", true),
        (b"\x32\x01\x01\x30\x01", true),
        (b"\x3a\x06\x0a\x01\xff\x12\x01\xff", true),
        (b"\x42\x00", false),
        (b"\x42\x02\x08\x00", true),
    ] {
        assert_eq!(schema.check(payload, 9).is_ok(), right, "{payload:x?}");
    }
    let mut schema = Schema::new(
        Encoding::Protobuf,
        Arc::clone(&table),
        table.message("e.Required").unwrap(),
        options,
    );
    assert_eq!(schema.require("may"), Ok(Presence::Implicit));
}

#[test]
fn the_last_field_of_the_largest_message_is_checked() {
    let fields: String = (1..=65_535)
        .map(|number| {
            format!(
                "bool f{number} = {};\n",
                if number < 19_000 {
                    number
                } else {
                    number + 1000
                }
            )
        })
        .collect();
    let text = format!("syntax = \"proto3\"; package l; message L {{ {fields} }}");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("l.proto"), text).unwrap();
    let mut found = Diagnostics::new();
    let roots = [directory.path().to_path_buf()];
    let made = compile(&roots, Compiler::Builtin, &mut found).unwrap_or_else(|| panic!("{found}"));
    let table = Arc::new(Table::build(made.files()).unwrap());
    let root = table.message("l.L").unwrap();
    let schema = Schema::new(Encoding::Json, table, root, Options::default());
    assert!(schema.check(b"{\"f65535\": true}", 9).is_ok());
    assert!(schema.check(b"{\"f65535\": 1}", 9).is_err());
}
