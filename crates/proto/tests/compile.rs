//! What is compiled, what is refused, and the very words for it.
//!
//! `tests/protos/invalid` has a file (or a directory of files) per fault, with the diagnostics
//! beside it in `NAME.stderr`; run with `BLESS=1` to write these anew, and read the difference.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiler, Descriptors, Texts, compile};
use gateway_schema::{Encoding, Layout, Options, Presence, Schema, Table, UnknownFields};

/// A directory with these files, as an import path.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Compiles, and gives the diagnostics as people read them, with paths below `root`.
fn outcome(roots: &[PathBuf], hide: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let made = compile(roots, Compiler::Builtin, &mut found);
    found.sort();
    assert_eq!(made.is_none(), found.has_errors(), "{found}");
    (made, said_below(hide, &found))
}

/// Compiles what is below `root`, taking over what a cache has.
fn outcome_with(cache: &mut Cache, root: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let texts = Texts::read(&[root.to_path_buf()], Compiler::Builtin);
    let made = texts.compile(cache, &mut found);
    found.sort();
    assert_eq!(made.is_none(), found.has_errors(), "{found}");
    (made, said_below(root, &found))
}

/// Returns diagnostics as people read them, with paths below `root`.
fn said_below(root: &Path, found: &Diagnostics) -> String {
    let hidden = format!("{}/", root.display());
    let text = found.render(false).replace(&hidden, "");
    text.replace(&root.display().to_string(), ".")
}

fn of_files(files: &[(&str, &str)]) -> (Option<Descriptors>, String) {
    let directory = root(files);
    outcome(&[directory.path().to_path_buf()], directory.path())
}

fn sorted(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_fault_is_said_in_these_words() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for path in sorted("tests/protos/invalid") {
        if path.extension().is_some_and(|e| e == "stderr") {
            continue;
        }
        cases += 1;
        let alone = tempfile::tempdir().unwrap();
        let root = if path.is_dir() {
            path.clone()
        } else {
            fs::copy(&path, alone.path().join(path.file_name().unwrap())).unwrap();
            alone.path().to_path_buf()
        };
        let (made, said) = outcome(std::slice::from_ref(&root), &root);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &said).unwrap();
        }
        if made.is_some() || said != fs::read_to_string(&expected).unwrap_or_default() {
            wrong.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 150, "{cases} cases");
}

#[test]
fn valid_files_compile_together() {
    let root = PathBuf::from("tests/protos/valid");
    let (made, said) = outcome(std::slice::from_ref(&root), &root);
    assert_eq!(said, "");
    let made = made.unwrap();
    assert!(made.sources().count() >= 150);

    let names: Vec<_> = made.files().iter().map(|file| file.name()).collect();
    for file in made.files() {
        let at = |name: &str| names.iter().position(|n| *n == name).unwrap();
        let own = at(file.name());
        assert!(
            file.dependency.iter().all(|import| at(import) < own),
            "{names:?}"
        );
    }
    let octal = made.message("valid.two.Everything").unwrap();
    let octal = octal.field.iter().find(|f| f.name() == "octal").unwrap();
    assert_eq!(octal.default_value(), "8");
    let place = made.place_of("valid.nested.Sibling.Inner").unwrap();
    assert_eq!(
        place.to_string(),
        "tests/protos/valid/nested/sibling.proto:3:27"
    );
    assert!(made.place_of("google.protobuf.Any").is_none());
    assert!(made.message("google.protobuf.Any").is_some());
    assert!(made.source("google/protobuf/any.proto").is_none());
}

#[test]
fn nothing_below_the_roots_is_nothing() {
    let (made, said) = of_files(&[("README", "no schema")]);
    assert_eq!(said, "");
    assert!(made.unwrap().files().is_empty());
}

#[test]
fn repeated_keys_of_an_option_aggregate_all_stay() {
    let (made, said) = of_files(&[
        (
            "r.proto",
            "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message R { repeated int32 n = 1; } extend google.protobuf.MessageOptions { R r = 50000; }",
        ),
        (
            "m.proto",
            "syntax = \"proto3\"; import \"r.proto\"; message M { option (r) = { n: 1 n: 2 n: 3 }; }",
        ),
    ]);
    assert_eq!(said, "");
    let made = made.unwrap();
    let options = &made.message("M").unwrap().options;
    let bytes = protobuf::Message::write_to_bytes(options.as_ref().unwrap()).unwrap();
    assert!(bytes.ends_with(&[3, 1, 2, 3]), "{bytes:?}");
}

// Nesting and size.

#[test]
fn deep_nesting_is_refused_at_its_place() {
    let aggregate = format!(
        "syntax = \"proto3\";\noption (x) = {};",
        "{ a ".repeat(20_000)
    );
    let messages = "message M { ".repeat(5_000) + &"}".repeat(5_000);
    let lists = format!("option (x) = {}{};", "[".repeat(20_000), "]".repeat(20_000));
    for text in [aggregate, messages, lists] {
        let (made, said) = of_files(&[("deep.proto", &text)]);
        assert!(made.is_none());
        assert!(
            said.starts_with("error: brackets nest more than 100 deep\n --> deep.proto:"),
            "{said}"
        );
    }
}

/// What ends a token too early, or never, must end it alike for who counts brackets and for who recurses.
#[test]
fn brackets_behind_what_is_no_token_are_counted() {
    let deep = "a { ".repeat(500_000);
    for before in [
        "#",
        "# '",
        "\"",
        "'\\q",
        "'\\q' ",
        "\"\\",
        "'\n",
        "'\\\n",
        "/* /*",
        "/* /* */",
        "/*/",
        "/",
        "//\0",
        "/*\0",
        "\0",
        "'\0",
        "\u{e9}",
        "'\\\u{e9}'",
        "1a",
        "0x",
        "1e",
        "1.2.3",
        "09",
        "\r",
        "//\r",
        "'\r",
        "\u{b}'",
        "$'",
    ] {
        for (start, end) in [
            ("option (x) = { ", ""),
            ("option (x) = { ", "\n"),
            // The parser goes on behind a fault.
            ("", "; option (x) = { "),
            ("", "\n; option (x) = { "),
        ] {
            let text = format!("syntax = \"proto3\";\n{start}{before}{end}{deep}");
            let (made, said) = of_files(&[("deep.proto", &text)]);
            // All of it may be a comment.
            assert!(made.is_some() || !said.contains("failed"), "{before:?}");
        }
    }
}

/// The deepest that passes the outline's bound, in every shape that a compiler recurses on.
#[test]
fn the_deepest_nesting_let_through_overflows_no_stack() {
    let start = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message A { A a = 1; repeated A l = 2; }\nextend google.protobuf.MessageOptions { A x = 50000; }\n";
    for (open, close) in [("a {", "}"), ("a <", ">"), ("l: [{", "}]")] {
        let depth = 97 / (open.matches(['{', '[', '<']).count());
        let text = format!(
            "{start}message M {{ option (x) = {{ {} {} }}; }}",
            open.repeat(depth),
            close.repeat(depth)
        );
        let (_, said) = of_files(&[("deep.proto", &text)]);
        assert!(
            !said.contains("brackets nest") && !said.contains("failed"),
            "{said}"
        );
    }
}

#[test]
fn a_long_chain_of_imports_overflows_no_stack() {
    let texts: Vec<_> = (0..3000)
        .map(|i| {
            (
                format!("f{i:05}.proto"),
                format!("import \"f{:05}.proto\";", i + 1),
            )
        })
        .chain([("f03000.proto".to_owned(), String::new())])
        .collect();
    let files: Vec<_> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let (made, said) = of_files(&files);
    assert_eq!(said, "");
    assert_eq!(made.unwrap().files().len(), 3001);
}

#[test]
fn a_file_too_large_is_refused() {
    let text = format!("//{}", " ".repeat(8 << 20));
    let (_, said) = of_files(&[("large.proto", &text)]);
    assert!(
        said.starts_with("error: large.proto is larger than 8 MiB"),
        "{said}"
    );
}

#[test]
fn many_faulty_files_end_the_run() {
    let names: Vec<_> = (0..150).map(|i| format!("f{i}.proto")).collect();
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), "nonsense")).collect();
    let (_, said) = of_files(&files);
    assert!(
        said.contains("100 files have faults; not all others were checked"),
        "{said}"
    );
    assert_eq!(said.matches("found \"nonsense\"").count(), 100);
}

// Which files, under which names.

const STAMP: &str = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message Stamp { google.protobuf.Timestamp at = 1; }";
const TIMESTAMP: &str = "syntax = \"proto3\"; package google.protobuf; message Timestamp { int64 seconds = 1; int32 nanos = 2; }";

/// The second is no such file at all, and not even looked at.
#[test]
fn a_copy_of_a_well_known_file_under_its_own_name_does_no_harm() {
    let unreadable =
        "syntax = \"proto2\"; message F { extensions 1000 [declaration = { number: 1000 }]; }";
    for copy in [TIMESTAMP, unreadable] {
        let (made, said) = of_files(&[
            ("stamp.proto", STAMP),
            ("google/protobuf/timestamp.proto", copy),
        ]);
        assert_eq!(said, "");
        let made = made.unwrap();
        assert!(made.source("google/protobuf/timestamp.proto").is_none());
        assert!(made.message("google.protobuf.Timestamp").is_some());
    }
}

#[test]
fn a_copy_of_a_well_known_file_under_another_name_does_no_harm() {
    let (made, said) = of_files(&[
        ("stamp.proto", STAMP),
        ("third_party/google/protobuf/timestamp.proto", TIMESTAMP),
    ]);
    assert_eq!(said, "");
    assert_eq!(made.unwrap().files().len(), 2);
}

#[test]
fn of_one_name_in_two_roots_the_first_wins_with_a_warning() {
    let both = root(&[
        ("one/a.proto", "message One {}"),
        ("two/a.proto", "message Two {}"),
    ]);
    let (made, said) = outcome(
        &[both.path().join("one"), both.path().join("two")],
        both.path(),
    );
    let made = made.unwrap();
    assert!(made.message("One").is_some() && made.message("Two").is_none());
    assert_eq!(
        said,
        "warning: two/a.proto is hidden by one/a.proto
  = note: both are imported as \"a.proto\"; the import path that comes first wins
  = help: rename or remove one of them
"
    );
}

#[test]
fn a_root_within_a_root_names_its_own_files() {
    let nested = root(&[
        (
            "app.proto",
            "import \"lib.proto\"; message App { optional Lib lib = 1; }",
        ),
        ("vendor/lib.proto", "message Lib {}"),
    ]);
    let roots = [
        nested.path().to_path_buf(),
        nested.path().join("vendor"),
        nested.path().to_path_buf(),
    ];
    let (made, said) = outcome(&roots, nested.path());
    assert_eq!(said, "");
    let names: Vec<_> = made
        .unwrap()
        .files()
        .iter()
        .map(|f| f.name().to_owned())
        .collect();
    assert_eq!(names, ["lib.proto", "app.proto"]);
}

#[test]
fn a_file_of_a_root_within_a_root_may_be_imported_by_its_long_name() {
    let nested = root(&[
        (
            "app.proto",
            "import \"vendor/lib.proto\"; message App { optional Lib lib = 1; }",
        ),
        ("vendor/lib.proto", "message Lib {}"),
    ]);
    let (made, said) = outcome(
        &[nested.path().to_path_buf(), nested.path().join("vendor")],
        nested.path(),
    );
    assert_eq!(said, "");
    assert!(made.unwrap().source("lib.proto").is_none());
}

#[cfg(unix)]
mod links {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_loop_of_directories_ends() {
        let looped = root(&[("a/a.proto", "message A {}")]);
        symlink(looped.path(), looped.path().join("a/up")).unwrap();
        // Each once more would be two to the power of the links that a path may follow.
        symlink("../a", looped.path().join("a/self")).unwrap();
        symlink("../a", looped.path().join("a/same")).unwrap();
        let (made, said) = outcome(&[looped.path().to_path_buf()], looped.path());
        assert_eq!(said, "");
        assert_eq!(made.unwrap().files().len(), 1);
    }

    #[test]
    fn an_import_through_a_link_to_a_directory_is_found() {
        let linked = root(&[
            ("real/a.proto", "message A {}"),
            (
                "b.proto",
                "import \"zlink/a.proto\"; message B { optional A a = 1; }",
            ),
        ]);
        symlink("real", linked.path().join("zlink")).unwrap();
        let (made, said) = outcome(&[linked.path().to_path_buf()], linked.path());
        assert_eq!(said, "");
        assert_eq!(made.unwrap().files().len(), 2);
    }

    #[test]
    fn a_config_map_is_its_visible_links() {
        let map = root(&[
            ("..2026_01/a.proto", "message A {}"),
            (".hidden.proto", "nonsense"),
        ]);
        symlink("..2026_01", map.path().join("..data")).unwrap();
        symlink("..data/a.proto", map.path().join("a.proto")).unwrap();
        let (made, said) = outcome(&[map.path().to_path_buf()], map.path());
        assert_eq!(said, "");
        assert_eq!(made.unwrap().files().len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let broken = root(&[]);
        symlink("nowhere", broken.path().join("a.proto")).unwrap();
        symlink("/dev/zero", broken.path().join("endless.proto")).unwrap();
        let (_, said) = outcome(&[broken.path().to_path_buf()], broken.path());
        assert!(
            said.contains("error: can't read a.proto: No such file"),
            "{said}"
        );
        assert!(
            said.contains("error: can't read endless.proto: not a file"),
            "{said}"
        );
    }
}

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
    let (made, said) = of_files(&[("buf/validate/validate.proto", rules), ("user.proto", user)]);
    assert_eq!(said, "");
    let made = made.unwrap();
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
        assert_eq!(made.has_rules(&format!("demo.{name}")), expected, "{name}");
    }
}

// Editions.

/// What the table makes of a file's features, by what the walk then decides.
#[test]
fn features_of_editions_decide_on_the_wire() {
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
    let (made, said) = of_files(&[("e.proto", text)]);
    assert_eq!(said, "");
    let table = Arc::new(Table::build(made.unwrap().files()).unwrap());
    let options = Options {
        unknown_fields: UnknownFields::Allow,
        layout: Layout::Any,
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

// What the last compile made is taken over, which never shows.

/// Twenty files, each importing some of those before it.
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
fn a_second_compile_is_as_a_first_one() {
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
        let files = |made: Option<Descriptors>| made.map(|made| made.files().to_vec());
        let (first, first_said) = outcome(&[fresh.path().to_path_buf()], fresh.path());
        let first = files(first);
        // After the change, and where nothing has changed.
        for _ in 0..2 {
            let (second, second_said) = outcome_with(&mut cache, one.path());
            assert_eq!(first_said, second_said);
            assert_eq!(first, files(second));
        }
    }
}

/// Seconds where nothing is the matter: benches/compile.rs is for milliseconds.
#[test]
fn a_thousand_files_compile_in_seconds() {
    let texts: Vec<_> = (0..1000)
        .map(|n| {
            let fields: String = (1..=20)
                .map(|i| format!("  string field_{i} = {i} [deprecated = true];\n"))
                .collect();
            let text = format!(
                "syntax = \"proto3\";\npackage p{n};\nimport \"f{}.proto\";\nmessage M {{\n{fields}  p{}.M m = 21;\n}}\n",
                n / 10 + 1000,
                n / 10 + 1000
            );
            (format!("f{n}.proto"), text)
        })
        .chain((1000..1100).map(|n| {
            let text = format!("syntax = \"proto3\";\npackage p{n};\nmessage M {{}}\n");
            (format!("f{n}.proto"), text)
        }))
        .collect();
    let files: Vec<_> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let directory = root(&files);
    let start = Instant::now();
    let (made, said) = outcome(&[directory.path().to_path_buf()], directory.path());
    assert_eq!(said, "");
    assert_eq!(made.unwrap().files().len(), 1100);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

// No file takes for ever, or more memory than there is.

#[test]
fn files_that_are_made_to_be_slow_are_not() {
    let many = |head: &str, line: &dyn Fn(usize) -> String, tail: &str| {
        let lines: String = (1..60_000).map(line).collect();
        format!("syntax = \"proto2\"; {head}{lines}{tail}")
    };
    let syntax = "syntax = \"proto2\";";
    let extended = "import \"google/protobuf/descriptor.proto\"; message O { repeated O o = 2; map<string, int32> m = 3; }
        extend google.protobuf.FileOptions { optional O o = 50000; repeated int32 n = 50001; }";
    for text in [
        many("enum E {", &|i| format!("V{i}={i}[deprecated=true];"), "}"),
        many(
            "enum E { A=0; } message M {",
            &|i| format!("map<int32,E> f{i}={};", i + 20_000),
            "}",
        ),
        many(
            "message M { extensions 1 to max; } extend M {",
            &|i| format!("optional int32 e{i}={};", i + 20_000),
            "}",
        ),
        many(extended, &|i| format!("option (n)={i};"), ""),
        many(extended, &|i| format!("option (no{i})=1;"), ""),
        many(
            &format!("{extended} option (o) = {{"),
            &|i| format!("m{{key:\"{i}\"}}o{{}}"),
            "};",
        ),
        many("message M {", &|i| format!("optional int32 f{i}=1;"), "}"),
        many("", &|_| "message M{}".to_owned(), ""),
        // What is within a long name has a longer one.
        format!("{syntax} package {};", vec!["a"; 200_000].join(".")),
        many(
            &format!("message {} {{ enum E {{", "a".repeat(60_000)),
            &|i| format!("V{i}={i};"),
            "}}",
        ),
        many(
            &format!("message {} {{ message A {{}}", "a".repeat(60_000)),
            &|i| format!("optional A a{i}={};", i + 20_000),
            "}",
        ),
        many(
            &format!("message {} {{ enum E {{ V=0;", "a".repeat(60_000)),
            &|_| "V=0;".to_owned(),
            "}}",
        ),
        // Options for each of many ranges.
        many(
            "message M { extensions 1000000",
            &|i| format!(",{}", i + 2_000_000),
            &format!(
                " [verification = UNVERIFIED, (x) = \"{}\"]; }}",
                "a".repeat(300_000)
            ),
        ),
        format!(
            "{syntax} {} option (o){}.a = 1;",
            extended,
            ".o".repeat(20_000)
        ),
        many("", &|i| format!("import \"no{i}.proto\";"), ""),
        many(
            "",
            &|i| format!("import \"{}{i}.proto\";", "no".repeat(40)),
            "",
        ),
        many(
            &format!("{extended} message R {{ reserved \"x0\""),
            &|i| format!(",\"x{i}\""),
            &format!(
                "; }} extend google.protobuf.FileOptions {{ optional R r = 50002; }} option (r) = {{ {} }};",
                (1..60_000).map(|i| format!("x{i}:1 ")).collect::<String>()
            ),
        ),
        many(
            &format!("{extended} enum C {{ Z=0;"),
            &|i| format!("Z{i}={i};"),
            &format!(
                "}} extend google.protobuf.FileOptions {{ repeated Holder h = 50002; }} message Holder {{ repeated C c = 1; }} option (h) = {{ c: [{} 0] }};",
                (1..60_000).map(|i| format!("{i},")).collect::<String>()
            ),
        ),
    ] {
        let start = Instant::now();
        let _ = of_files(&[("slow.proto", &text)]);
        // A second or two; what is quadratic takes minutes.
        let shown: String = text.chars().take(80).collect();
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{shown}: {:?}",
            start.elapsed()
        );
    }
}

/// What would need more memory or faults than a file is worth, in the words that say so.
#[test]
fn files_that_are_made_to_be_large_are_refused() {
    let long = "a".repeat(60_000);
    let values: String = (1..60_000).map(|i| format!("V{i}={i};")).collect();
    let ranges: String = (0..30_000).map(|i| format!("{},", i * 2 + 1)).collect();
    let imports: String = (0..1000)
        .map(|i| format!("import \"no{i}.proto\";\n"))
        .collect();
    let parts = ".o".repeat(101);
    for (text, expected) in [
        (
            format!("message {long} {{ enum E {{ {values} }} }}"),
            "error: the full names of all files are longer than 256 MiB\n",
        ),
        (
            format!("message {long} {{ message {long} {{}} }}"),
            "error: a full name of more than 65535 bytes\n",
        ),
        (
            format!("message M {{ extensions {ranges} 60001 [(x) = \"{long}\"]; }}"),
            "error: too long options for so many ranges\n",
        ),
        (
            format!("option (o){parts} = 1;"),
            "error: an option's name of more than 101 parts\n",
        ),
        (imports, "error: 980 more imports are not found\n"),
    ] {
        let (made, said) = of_files(&[("large.proto", &format!("syntax = \"proto2\"; {text}"))]);
        assert!(made.is_none() && said.contains(expected), "{said:.2000}");
        assert!(said.matches("error: ").count() <= 21, "{said:.2000}");
    }
    let json = format!(
        "syntax = \"proto3\"; message M {{ int32 a = 1 [json_name = \"{}\"]; }}",
        "a".repeat(65_536)
    );
    let (_, said) = of_files(&[("large.proto", &json)]);
    assert!(
        said.contains("error: a json_name of more than 65535 bytes\n"),
        "{said:.2000}"
    );
}

#[test]
fn public_imports_that_grow_without_end_are_refused() {
    let texts: Vec<_> = (0..3500)
        .map(|i| {
            (
                format!("f{i:05}.proto"),
                format!("import public \"f{:05}.proto\";", i + 1),
            )
        })
        .chain([("f03500.proto".to_owned(), String::new())])
        .collect();
    let files: Vec<_> = texts
        .iter()
        .map(|(n, t)| (n.as_str(), t.as_str()))
        .collect();
    let (made, said) = of_files(&files);
    assert!(made.is_none());
    assert!(
        said.contains("import each other publicly in too long chains"),
        "{said}"
    );
}
