//! Tests of the compiler's bounds on time and memory.

use std::time::{Duration, Instant};

use crate::support::{compile_files, outcome, root};

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = format!("//{}", " ".repeat(8 << 20));
    let (_, report) = compile_files(&[("large.proto", &text)]);
    assert!(
        report.starts_with("error: large.proto is larger than 8 MiB"),
        "{report}"
    );
}

#[test]
fn files_with_more_than_a_million_definitions_are_refused() {
    // Each empty statement counts as one definition, and so does the `syntax` statement.
    let text = |statements: usize| format!("syntax = \"proto3\";{}", ";".repeat(statements - 1));
    let (half, most) = (text(500_000), text(500_001));
    let (compiled, report) = compile_files(&[("a.proto", &half), ("b.proto", &half)]);
    assert!(compiled.is_some(), "{report:.2000}");
    let (compiled, report) = compile_files(&[("a.proto", &half), ("b.proto", &most)]);
    assert!(compiled.is_none());
    let expected = "more than 1000000 definitions, options and other statements together\n";
    assert!(report.contains(expected), "{report:.2000}");
}

/// A statement may define many parts of a descriptor, each with a few bytes of text.
#[test]
fn each_element_of_a_list_in_a_statement_counts_as_a_definition() {
    let most = 1_000_000;
    for text in [
        format!("message M {{ reserved 1{}; }}", ",1".repeat(most)),
        format!("message M {{ reserved \"a\"{}; }}", ",\"a\"".repeat(most)),
        format!("message M {{ extensions 1{}; }}", ",1".repeat(most)),
        format!("message M {{ int32 a = 1 [b=1{}]; }}", ",b=1".repeat(most)),
        format!("option (o) = {{ {} }};", "a:1 ".repeat(most)),
        format!("option (o) = {{ a: [1{}] }};", ",1".repeat(most)),
    ] {
        let (compiled, report) =
            compile_files(&[("a.proto", &format!("syntax = \"proto2\";\n{text}"))]);
        assert!(compiled.is_none());
        let expected = "more than 1000000 definitions, options and other statements together\n";
        assert!(report.contains(expected), "{report:.2000}");
    }
}

#[test]
fn compiling_ends_after_many_faulty_files() {
    let names: Vec<_> = (0..150).map(|i| format!("f{i}.proto")).collect();
    let files: Vec<_> = names.iter().map(|n| (n.as_str(), "nonsense")).collect();
    let (_, report) = compile_files(&files);
    assert!(
        report.contains("100 files have errors; other files may be unchecked"),
        "{report}"
    );
    assert_eq!(report.matches("found \"nonsense\"").count(), 100);
}

/// The bound is ten seconds, because the machine may be busy. benches/compile.rs measures the exact
/// time.
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
    let (compiled, report) = outcome(&[directory.path().to_path_buf()], directory.path());
    assert_eq!(report, "");
    assert_eq!(compiled.unwrap().files().len(), 1100);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

/// The `syntax` statement of the files.
const SYNTAX: &str = "syntax = \"proto2\";";

/// The head of a file with two custom file options: a message `o` and a repeated number `n`.
const EXTENDED: &str = "import \"google/protobuf/descriptor.proto\"; message O { repeated O o = 2; map<string, int32> m = 3; }
        extend google.protobuf.FileOptions { optional O o = 50000; repeated int32 n = 50001; }";

/// Returns a file with `head`, then `line(i)` for every `i` from 1 to 59,999, then `tail`.
fn many(head: &str, line: &dyn Fn(usize) -> String, tail: &str) -> String {
    let lines: String = (1..60_000).map(line).collect();
    format!("{SYNTAX} {head}{lines}{tail}")
}

/// Returns files with many definitions.
fn slow_definitions() -> Vec<String> {
    vec![
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
        many("message M {", &|i| format!("optional int32 f{i}=1;"), "}"),
        many("", &|_| "message M{}".to_owned(), ""),
    ]
}

/// Returns files with long names or with many names.
fn slow_names() -> Vec<String> {
    vec![
        // The full name of a nested definition includes the long name of the enclosing definition.
        format!("{SYNTAX} package {};", vec!["a"; 200_000].join(".")),
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
        many("", &|i| format!("import \"no{i}.proto\";"), ""),
        many(
            "",
            &|i| format!("import \"{}{i}.proto\";", "no".repeat(40)),
            "",
        ),
    ]
}

/// Returns files with many options.
fn slow_options() -> Vec<String> {
    vec![
        many(EXTENDED, &|i| format!("option (n)={i};"), ""),
        many(EXTENDED, &|i| format!("option (no{i})=1;"), ""),
        many(
            &format!("{EXTENDED} option (o) = {{"),
            &|i| format!("m{{key:\"{i}\"}}o{{}}"),
            "};",
        ),
        // The same options apply to each of many ranges.
        many(
            "message M { extensions 1000000",
            &|i| format!(",{}", i + 2_000_000),
            &format!(
                " [verification = UNVERIFIED, (x) = \"{}\"]; }}",
                "a".repeat(300_000)
            ),
        ),
        format!(
            "{SYNTAX} {} option (o){}.a = 1;",
            EXTENDED,
            ".o".repeat(20_000)
        ),
        many(
            &format!("{EXTENDED} message R {{ reserved \"x0\""),
            &|i| format!(",\"x{i}\""),
            &format!(
                "; }} extend google.protobuf.FileOptions {{ optional R r = 50002; }} option (r) = {{ {} }};",
                (1..60_000).map(|i| format!("x{i}:1 ")).collect::<String>()
            ),
        ),
        many(
            &format!("{EXTENDED} enum C {{ Z=0;"),
            &|i| format!("Z{i}={i};"),
            &format!(
                "}} extend google.protobuf.FileOptions {{ repeated Holder h = 50002; }} message Holder {{ repeated C c = 1; }} option (h) = {{ c: [{} 0] }};",
                (1..60_000).map(|i| format!("{i},")).collect::<String>()
            ),
        ),
    ]
}

#[test]
fn definitions_crafted_to_be_slow_compile_in_time() {
    compile_in_time(&slow_definitions());
}

#[test]
fn names_crafted_to_be_slow_compile_in_time() {
    compile_in_time(&slow_names());
}

#[test]
fn options_crafted_to_be_slow_compile_in_time() {
    compile_in_time(&slow_options());
}

/// Asserts that each file compiles within 30 seconds. Quadratic time would take minutes.
#[track_caller]
fn compile_in_time(texts: &[String]) {
    for text in texts {
        let start = Instant::now();
        let _ = compile_files(&[("slow.proto", text)]);
        let shown: String = text.chars().take(80).collect();
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{shown}: {:?}",
            start.elapsed()
        );
    }
}

/// Each of these files would need unreasonable memory, or has too many errors.
#[test]
fn files_that_need_unreasonable_memory_are_refused() {
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
            "error: the options are too long for so many ranges\n",
        ),
        (
            format!("option (o){parts} = 1;"),
            "error: an option's name of more than 101 parts\n",
        ),
        (imports, "error: 980 more imports are not found\n"),
    ] {
        let (compiled, report) =
            compile_files(&[("large.proto", &format!("syntax = \"proto2\"; {text}"))]);
        assert!(
            compiled.is_none() && report.contains(expected),
            "{report:.2000}"
        );
        assert!(report.matches("error: ").count() <= 21, "{report:.2000}");
    }
    let json = format!(
        "syntax = \"proto3\"; message M {{ int32 a = 1 [json_name = \"{}\"]; }}",
        "a".repeat(65_536)
    );
    let (_, report) = compile_files(&[("large.proto", &json)]);
    assert!(
        report.contains("error: a json_name of more than 65535 bytes\n"),
        "{report:.2000}"
    );
}

#[test]
fn public_imports_that_multiply_are_refused() {
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
    let (compiled, report) = compile_files(&files);
    assert!(compiled.is_none());
    assert!(
        report.contains("the chains of public imports are too long"),
        "{report}"
    );
}
