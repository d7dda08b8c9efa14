//! Tests of the comments of the tree: they are wrapped, and doc comments begin as sentences.

use std::fs;
use std::path::Path;

/// The files and directories that contain the Rust code.
const ROOTS: [&str; 8] = [
    "benches", "build.rs", "crates", "demo", "examples", "fuzz", "src", "tests",
];

/// Generated code, which has the style of its generator.
const GENERATED: [&str; 1] = ["crates/schema/benches/upb/src/demo.u.pb.rs"];

/// The maximum length of a line of comment, with its indentation, in columns.
const COLUMNS_MAX: usize = 100;

/// Words that begin a sentence fragment, which makes sense only together with the name of its item.
const FRAGMENTS: [&str; 12] = [
    "As", "How", "Of", "So", "What", "Whatever", "Where", "Whether", "Which", "Who", "Whoever",
    "Whose",
];

#[test]
fn no_line_of_comment_is_longer_than_100_columns() {
    let found =
        found(|_, line| line.trim_start().starts_with("//") && line.chars().count() > COLUMNS_MAX);
    assert!(
        found.is_empty(),
        "{} lines:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn no_doc_comment_begins_as_a_fragment() {
    let found = found(|before, line| {
        let words = doc(line).filter(|_| doc(before).is_none());
        let first = words.and_then(|words| words.split([' ', ',']).next());
        first.is_some_and(|first| FRAGMENTS.contains(&first))
    });
    assert!(
        found.is_empty(),
        "{} comments:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn a_fragment_and_a_long_line_are_found() {
    let text = "/// Whether it is.\n/// Of no concern.\n\n    //! How so.\n/// Returns it.\n";
    let fragment = |before: &str, line: &str| doc(before).is_none() && doc(line) == Some("How so.");
    assert_eq!(matching("a.rs", text, fragment), ["a.rs:4: //! How so."]);
    assert_eq!(doc("    /// As it is."), Some("As it is."));
    assert_eq!(doc("// As it is."), None);
}

/// Returns the text of a line if it is part of a doc comment.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or(line.strip_prefix("//!"))?;
    Some(text.trim_start())
}

/// Returns the lines of the tree for which a predicate holds. The predicate receives the previous
/// line and the line.
fn found(wrong: impl Fn(&str, &str) -> bool + Copy) -> Vec<String> {
    let mut found = Vec::new();
    let mut files = 0;
    for name in ROOTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        collect(&path, name, &mut |name, text| {
            files += 1;
            found.extend(matching(name, text, wrong));
        });
    }
    assert!(files > 250, "{files} files");
    found
}

/// Returns the lines of a text for which a predicate holds, with the file and the line's number.
fn matching(name: &str, text: &str, wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut before = "";
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if wrong(before, line) {
            found.push(format!("{name}:{number}: {}", line.trim()));
        }
        before = line;
    }
    found
}

/// Calls a function with the name and the text of each Rust file at or below a path, without
/// generated code.
fn collect(path: &Path, name: &str, each: &mut impl FnMut(&str, &str)) {
    if GENERATED.contains(&name) {
        return;
    }
    if path.is_file() {
        if name.ends_with(".rs") {
            each(name, &fs::read_to_string(path).unwrap());
        }
        return;
    }
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let inner = entry.file_name().into_string().unwrap();
        if !["target", "node_modules"].contains(&inner.as_str()) {
            collect(&entry.path(), &format!("{name}/{inner}"), each);
        }
    }
}
