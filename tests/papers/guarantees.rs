//! Tests that each promise in docs/guarantees.md names an existing test.

use std::fs;

const PAGE: &str = include_str!("../../docs/guarantees.md");

/// Returns the name and the file of the test in a row of the table.
#[track_caller]
fn test_in(row: &str) -> (&str, &str) {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
    let test = cells.last().and_then(|cell| cell.split_once(" in "));
    let (name, file) = test.unwrap_or_else(|| panic!("no test in {row}"));
    let trim = |text| str::trim_matches(text, [' ', '`']);
    (trim(name), trim(file))
}

/// Returns whether a Rust source text contains a test with this name.
fn is_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}()")) else {
        return false;
    };
    let lines = before.lines().rev().map(str::trim);
    let attributes = lines.skip_while(|line| line.is_empty());
    attributes
        .take_while(|line| line.starts_with("#["))
        .any(|line| line == "#[test]")
}

#[test]
fn each_promise_has_its_test() {
    let rows: Vec<_> = PAGE
        .lines()
        .filter(|line| line.starts_with("| ") && *line != "| promise | test |")
        .collect();
    assert!(!rows.is_empty());
    for row in rows {
        let (name, file) = test_in(row);
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(is_test(&text, name), "no test {name} in {file}");
    }
}
