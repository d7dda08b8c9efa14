//! Tests that `gateway check` explains each mistake in the list of docs/rules.md at its position.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::binary::binary;

const ROUTES: &str = "frontends: { clients: { bind: \"tcp://*:5559\" } }
pools: { shop: { bind: \"tcp://*:5560\" } }
routes: { ORDER: { schema: shop.Order, pool: shop } }
";

struct Mistake {
    /// The first cell of the mistake's row in the table on the page.
    row: &'static str,
    /// The fields of a message that has the mistake.
    fields: &'static str,
    /// The expected parts of the output.
    expected: &'static [&'static str],
    /// The start of the text that the carets mark.
    marked: &'static str,
}

const MISTAKES: [Mistake; 10] = [
    Mistake {
        row: "a field that is not there",
        fields: r#"option (buf.validate.message).cel_expression = "this.begin <= 5"; int64 begins = 1;"#,
        expected: &[
            "error: bad rules of shop.Order: shop.Order has no field `begin`",
            "help: did you mean `begins`?",
        ],
        marked: "begin",
    },
    Mistake {
        row: "types that don't fit, such as a string and a number",
        fields: r#"option (buf.validate.message).cel_expression = "this.count > '5'"; int64 count = 1;"#,
        expected: &[
            "error: bad rules of shop.Order: `>` does not take int and string",
            "help: convert the number with string()",
        ],
        marked: "this.count > '5'",
    },
    Mistake {
        row: "a function or a variable that is not known",
        fields: r#"string name = 1 [(buf.validate.field).cel_expression = "this.startWith('a')"];"#,
        expected: &[
            "error: bad rules of shop.Order.name: ",
            "startWith",
            "did you mean `startsWith`?",
        ],
        marked: "startWith",
    },
    Mistake {
        row: "a function or a variable that is not known",
        fields: r#"string name = 1 [(buf.validate.field).cel_expression = "thiss != 'a'"];"#,
        expected: &[
            "error: bad rules of shop.Order.name: unknown variable `thiss`",
            "did you mean `this`?",
        ],
        marked: "thiss",
    },
    Mistake {
        row: "a pattern that does not compile",
        fields: r#"string name = 1 [(buf.validate.field).cel_expression = "this.matches('a(b')"];"#,
        expected: &["error: bad rules of shop.Order.name: ", "unclosed group"],
        marked: "'a(b'",
    },
    Mistake {
        row: "an expression that is neither a bool nor a string",
        fields: r#"int32 count = 1 [(buf.validate.field).cel_expression = "this + 1"];"#,
        expected: &["error: bad rules of shop.Order.count: the rule is a value of type int"],
        marked: "this + 1",
    },
    Mistake {
        row: "an expression without a value for any payload, such as a division by zero",
        fields: r#"int32 count = 1 [(buf.validate.field).cel_expression = "this % 0 == 0"];"#,
        expected: &[
            "error: bad rules of shop.Order.count: this fails for every payload: division by zero",
        ],
        marked: "this % 0",
    },
    Mistake {
        row: "an expression without a value for any payload, such as a division by zero",
        fields: r#"repeated string names = 1 [(buf.validate.field).cel_expression = "this.size() == 0 || this[-1] != ''"];"#,
        expected: &[
            "warning: a part of a rule of shop.Order.names fails whenever it is evaluated: the index is out of range",
        ],
        marked: "this[-1]",
    },
    Mistake {
        row: "rules of a type that the field does not have",
        fields: r#"int32 count = 1 [(buf.validate.field).string.min_len = 3];"#,
        expected: &[
            "error: bad rules of shop.Order.count: string rules on a value of type int32, which takes int32 rules",
        ],
        marked: "(buf.validate.field).string.min_len",
    },
    Mistake {
        row: "a loop over a list within a loop over it",
        fields: r#"repeated int32 n = 1 [(buf.validate.field).cel_expression = "this.all(a, this.exists_one(b, a == b))"];"#,
        expected: &[
            "warning: the cost of a rule of shop.Order.n grows with the number of elements to the power of 2",
        ],
        marked: "this.exists_one",
    },
];

/// Runs `gateway check` for a message with these fields, and returns its exit code and standard
/// error.
fn check(fields: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let proto = format!(
        "syntax = \"proto3\"; package shop; import \"buf/validate/validate.proto\";\nmessage Order {{\n  {fields}\n}}\n"
    );
    fs::create_dir(directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("routes.yaml"), ROUTES).unwrap();
    fs::write(directory.path().join("schemas/shop.proto"), proto).unwrap();
    let output = Command::new(binary())
        .arg("check")
        .current_dir(directory.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let Output { status, stderr, .. } = output;
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Returns the first cell of each row in the table of mistakes.
fn rows() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let page = fs::read_to_string(page).unwrap();
    let lines = page.lines();
    let table = lines.skip_while(|line| *line != "| mistake | what is reported |");
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').nth(1).unwrap().trim().to_owned())
        .collect()
}

#[test]
fn every_mistake_on_the_page_is_explained_at_its_position() {
    let mut listed: Vec<&str> = MISTAKES.iter().map(|mistake| mistake.row).collect();
    listed.dedup();
    assert_eq!(rows(), listed);
    for mistake in &MISTAKES {
        let (code, output) = check(mistake.fields);
        let is_warning = mistake.expected[0].starts_with("warning");
        assert_eq!(code, Some(i32::from(!is_warning)), "{output}");
        for part in mistake.expected {
            assert!(output.contains(part), "{part}: {output}");
        }
        let lines: Vec<&str> = output.lines().collect();
        let carets = lines.iter().position(|line| line.contains('^')).unwrap();
        let column = lines[carets].find('^').unwrap();
        assert!(
            lines[carets - 1][column..].starts_with(mistake.marked),
            "{output}"
        );
    }
}
