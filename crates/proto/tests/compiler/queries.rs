//! Tests of look-ups in compiled files, and of compiles that reuse the cache of an earlier compile.

use std::fs;

use gateway_proto::{Cache, Descriptors};

use crate::support::{compile_files, outcome, outcome_with, root};

#[test]
fn rules_are_found_below_a_message_and_cycles_end() {
    let rules =
        "syntax = \"proto2\"; package buf.validate; import \"google/protobuf/descriptor.proto\";
        message FieldRules { optional bool required = 1; }
        extend google.protobuf.FieldOptions { optional FieldRules field = 1159; }
        extend google.protobuf.OneofOptions { optional FieldRules oneof = 1159; }
        extend google.protobuf.MessageOptions { optional FieldRules message = 1159; }";
    let user = "syntax = \"proto3\"; package demo; import \"buf/validate/validate.proto\";
        message Plain { Plain again = 1; Other other = 2; } message Other { repeated Plain plain = 1; }
        message Field { string a = 1 [(buf.validate.field).required = true]; }
        message Whole { option (buf.validate.message).required = true; }
        message One { oneof o { option (buf.validate.oneof).required = true; int32 a = 1; } }
        message Below { One one = 1; Below below = 2; }
        message ByMap { map<string, Below> by = 1; }";
    let (compiled, report) =
        compile_files(&[("buf/validate/validate.proto", rules), ("user.proto", user)]);
    assert_eq!(report, "");
    let compiled = compiled.unwrap();
    for (name, expected) in [
        ("Plain", false),
        ("Other", false),
        ("Field", true),
        ("Whole", true),
        ("One", true),
        ("Below", true),
        ("ByMap", true),
        ("Nowhere", false),
    ] {
        assert_eq!(
            compiled.has_rules(&format!("demo.{name}")),
            expected,
            "{name}"
        );
    }
}

/// Returns a directory with twenty files. Each file except the first publicly imports an earlier
/// file. The result of `change` for a file's index is appended to the file.
fn chain(change: impl Fn(usize) -> &'static str) -> tempfile::TempDir {
    let texts: Vec<_> = (0..20)
        .map(|i| {
            let mut text = format!("syntax = \"proto3\"; package p{i};\n");
            if i > 0 {
                text += &format!(
                    "import public \"f{}.proto\"; message M {{ p{}.M m = 1; }}\n",
                    i / 2,
                    i / 2
                );
            } else {
                text += "message M { int32 a = 1; }\n";
            }
            (format!("f{i}.proto"), text + change(i))
        })
        .collect();
    let files: Vec<_> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    root(&files)
}

#[test]
fn a_second_compile_gives_the_same_result() {
    let one = chain(|_| "");
    let changes: [fn(usize) -> &'static str; 6] = [
        |_| "",
        |i| if i == 3 { "message New {}" } else { "" },
        |i| {
            if i == 0 {
                "message M2 { M m = 1; }"
            } else {
                ""
            }
        },
        |i| if i == 7 { "message M { }" } else { "" },
        |i| if i == 12 { "nonsense" } else { "" },
        |_| "",
    ];
    let mut cache = Cache::default();
    for change in changes {
        let fresh = chain(change);
        for i in 0..20 {
            let name = format!("f{i}.proto");
            fs::copy(fresh.path().join(&name), one.path().join(&name)).unwrap();
        }
        let files = |compiled: Option<Descriptors>| -> Option<Vec<_>> {
            compiled.map(|compiled| compiled.files().cloned().collect())
        };
        let (first, first_report) = outcome(&[fresh.path().to_path_buf()], fresh.path());
        let first = files(first);
        // The first compile follows the change, and the second compiles the same files again.
        for _ in 0..2 {
            let (second, second_report) = outcome_with(&mut cache, one.path());
            assert_eq!(first_report, second_report);
            assert_eq!(first, files(second));
        }
    }
}
