//! Tests of nesting and of long chains of imports: too deep nesting is rejected, and everything
//! else is compiled without a stack overflow.

use crate::support::compile_files;

#[test]
fn deep_nesting_is_refused_at_its_place() {
    let aggregate = format!(
        "syntax = \"proto3\";\noption (x) = {};",
        "{ a ".repeat(20_000)
    );
    let messages = "message M { ".repeat(5_000) + &"}".repeat(5_000);
    let lists = format!("option (x) = {}{};", "[".repeat(20_000), "]".repeat(20_000));
    for text in [aggregate, messages, lists] {
        let (compiled, report) = compile_files(&[("deep.proto", &text)]);
        assert!(compiled.is_none());
        assert!(
            report.starts_with("error: brackets nest more than 100 deep\n --> deep.proto:"),
            "{report}"
        );
    }
}

/// The code that counts brackets and the code that recurses must agree on the end of a malformed
/// token.
#[test]
fn brackets_after_an_invalid_token_are_counted() {
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
            // The parser continues after an error.
            ("", "; option (x) = { "),
            ("", "\n; option (x) = { "),
        ] {
            let text = format!("syntax = \"proto3\";\n{start}{before}{end}{deep}");
            let (compiled, report) = compile_files(&[("deep.proto", &text)]);
            // The brackets may be part of a comment, and then the file compiles.
            assert!(
                compiled.is_some() || !report.contains("failed"),
                "{before:?}"
            );
        }
    }
}

/// The texts have the deepest nesting of brackets that is not rejected, in every form for which the
/// compiler recurses.
#[test]
fn the_deepest_accepted_nesting_overflows_no_stack() {
    let start = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message A { A a = 1; repeated A l = 2; }\nextend google.protobuf.MessageOptions { A x = 50000; }\n";
    for (open, close) in [("a {", "}"), ("a <", ">"), ("l: [{", "}]")] {
        let depth = 97 / (open.matches(['{', '[', '<']).count());
        let text = format!(
            "{start}message M {{ option (x) = {{ {} {} }}; }}",
            open.repeat(depth),
            close.repeat(depth)
        );
        let (_, report) = compile_files(&[("deep.proto", &text)]);
        assert!(
            !report.contains("brackets nest") && !report.contains("failed"),
            "{report}"
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
    let (compiled, report) = compile_files(&files);
    assert_eq!(report, "");
    assert_eq!(compiled.unwrap().files().len(), 3001);
}
