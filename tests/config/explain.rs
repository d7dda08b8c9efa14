//! Tests of `gateway check --explain`, which prints the rules of a message with the cost of each
//! rule.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::binary::binary;

const ROUTES: &str = "frontends: { clients: { bind: \"tcp://*:5559\" } }
pools: { people: { bind: \"tcp://*:5560\" } }
routes: { \"*\": { pool: people } }
";

/// Runs `gateway check --explain` for `message`, and returns its exit code, standard output and
/// standard error.
fn explain(proto: &str, message: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("routes.yaml"), ROUTES).unwrap();
    fs::write(directory.path().join("schemas/shop.proto"), proto).unwrap();
    let output = Command::new(binary())
        .args(["check", "--explain", message])
        .args(arguments)
        .current_dir(directory.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// Returns the first code block of docs/rules.md that is in this language and begins with `start`.
fn block(language: &str, start: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let page = fs::read_to_string(page).unwrap();
    let opening = format!("```{language}\n{start}");
    let at = page.find(&opening).unwrap() + language.len() + 4;
    let end = page[at..].find("```").unwrap();
    page[at..at + end].to_owned()
}

#[test]
fn the_table_on_the_page_is_the_printed_table() {
    let proto = block("proto", "syntax");
    let (code, stdout, stderr) = explain(&proto, "shop.Order", &[]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!(stdout, block("text", "shop.Order\n"));
}

const NESTED: &str = r#"
syntax = "proto3"; package shop;
import "buf/validate/validate.proto";
message Shop {
  map<string, Part> parts = 1 [(buf.validate.field).map = {min_pairs: 1, keys: {string: {min_len: 1}}}];
  repeated int32 prices = 2 [(buf.validate.field).cel = {
    id: "prices", message: "a price\ntwice", expression: "this.all(p, this.exists_one(q, p == q))"}];
  oneof one { option (buf.validate.oneof).required = true; int32 a = 3; int32 b = 4; }
}
message Part { string id = 1 [(buf.validate.field).string.uuid = true]; }
message Plain { string id = 1; }
"#;

#[test]
fn nested_messages_are_listed_and_a_quadratic_cost_is_shown() {
    let (code, stdout, stderr) = explain(NESTED, "shop.Shop", &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: the cost of a rule of shop.Shop.prices"));
    for part in [
        "shop.Shop\n  one ",
        "  parts           map.min_pairs    constant ",
        "  parts{} (key)   string.min_len   by length ",
        "n^2 steps (exceeds the limit if n is at least ",
        "  a price\\ntwice\n",
        "\n\nshop.Part\n  id  string.uuid  by length  must be a valid UUID\n",
        "limits.rules_cost is 1000000",
    ] {
        let squeezed = |text: &str| {
            text.split(' ')
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert!(
            squeezed(&stdout).contains(&squeezed(part)),
            "{part}: {stdout}"
        );
    }
    let (code, stdout, _) = explain(NESTED, "shop.Shop", &["--format", "json"]);
    let rules: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let prices = rules.as_array().unwrap().iter();
    let prices = prices
        .clone()
        .find(|rule| rule["rule"] == "prices")
        .unwrap();
    assert_eq!((code, &prices["field"]), (Some(0), &"prices".into()));
    assert_eq!(prices["cost"]["steps"].as_array().unwrap().len(), 3);
}

#[test]
fn messages_without_rules_missing_messages_and_invalid_rules_are_reported() {
    let (code, stdout, _) = explain(NESTED, "shop.Plain", &[]);
    assert_eq!((code, &*stdout), (Some(0), "shop.Plain has no rules\n"));
    let (code, stdout, stderr) = explain(NESTED, "shop.Shpo", &[]);
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert!(
        stderr.contains("there is no message") && stderr.contains("did you mean \"shop.Shop\"?"),
        "{stderr}"
    );
    let broken = NESTED.replace("this.all(p", "this.al(p");
    let (code, stdout, stderr) = explain(&broken, "shop.Shop", &[]);
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert!(stderr.contains("bad rules of shop.Shop.prices"), "{stderr}");
}
