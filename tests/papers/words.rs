//! Tests of the texts in the code: comments are wrapped, doc comments do not begin as fragments,
//! and the messages of the program have no uncommon words.

use std::fs;
use std::path::Path;

/// The files and directories that contain the code.
const ROOTS: [&str; 10] = [
    ".ci",
    "Cargo.toml",
    "benches",
    "build.rs",
    "crates",
    "demo",
    "examples",
    "fuzz",
    "src",
    "tests",
];

/// The ends of the names of Rust files.
const RUST: &[&str] = &[".rs"];

/// The ends of the names of files with comments, which include the scripts of .ci.
const COMMENTED: &[&str] = &[
    ".rs",
    ".toml",
    ".py",
    ".sh",
    ".c",
    ".h",
    ".js",
    ".ci/deny",
    ".ci/libzmq",
    ".ci/msrv",
    ".ci/run",
];

/// Generated code, which has the style of its generator.
const GENERATED: [&str; 1] = ["crates/schema/benches/upb/src/demo.u.pb.rs"];

/// Words that the program's messages must not have. Each has a more common synonym. In the order of
/// the list, the synonyms are "space", "after", "take effect", "takes effect", "reported",
/// "connected", "disconnected", "has no effect", "literally", "accepts", "is at" and "everybody
/// who".
const UNCOMMON: [&str; 12] = [
    "blank",
    "behind",
    "take hold",
    "takes hold",
    "told",
    "came",
    "went",
    "says nothing",
    "letter by letter",
    "lets it through",
    "stands at",
    "whoever",
];

/// The only common use of one of [`UNCOMMON`].
const BEHIND_A_PROXY: &str = "behind a proxy";

/// The maximum number of columns in a line of a comment, including the indentation.
const COLUMNS_MAX: usize = 100;

/// Words at the start of sentence fragments. A fragment makes sense only together with the name of
/// the item.
const FRAGMENTS: [&str; 12] = [
    "As", "How", "Of", "So", "What", "Whatever", "Where", "Whether", "Which", "Who", "Whoever",
    "Whose",
];

#[test]
fn no_line_of_a_comment_is_longer_than_100_columns() {
    let found = found(COMMENTED, |_, line| {
        let is_comment = ["//", "# "]
            .iter()
            .any(|mark| line.trim_start().starts_with(mark));
        is_comment && line.chars().count() > COLUMNS_MAX
    });
    assert!(
        found.is_empty(),
        "{} lines:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn no_doc_comment_begins_as_a_fragment() {
    let found = found(RUST, |before, line| {
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
fn a_fragment_is_found_only_at_the_start_of_a_doc_comment() {
    let text = "/// Whether it is.\n/// Of no concern.\n\n    //! How so.\n/// Returns it.\n";
    let fragment = |before: &str, line: &str| doc(before).is_none() && doc(line) == Some("How so.");
    assert_eq!(matching("a.rs", text, fragment), ["a.rs:4: //! How so."]);
    assert_eq!(doc("    /// As it is."), Some("As it is."));
    assert_eq!(doc("// As it is."), None);
}

/// The test checks all string literals outside of tests. These include log lines, diagnostics,
/// rejections, metrics and the texts of the command line.
#[test]
fn messages_have_no_uncommon_words() {
    let mut texts = 0;
    let mut found = Vec::new();
    for root in ["src", "crates"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        collect(&path, root, RUST, &mut |name, code| {
            let is_test = |part| ["tests", "tests.rs", "benches", "fuzz"].contains(&part);
            if name.split('/').any(is_test) {
                return;
            }
            for text in quoted(code) {
                texts += 1;
                let word = uncommon(&text);
                found.extend(word.map(|word| format!("{name}: {word:?} in {text:?}")));
            }
        });
    }
    assert!(texts > 3_000, "{texts}");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_uncommon_word_is_found_only_in_strings() {
    let code = "// \"it came\"\nlet c = '\"'; f(\"a \\\"blank\\\" l\\\n   ine\", r#\"\"went\" away\"#);\n\
                #[cfg(test)]\nmod tests { \"told\" }";
    assert_eq!(quoted(code), ["a \\\"blank\\\" line", "\"went\" away"]);
    assert_eq!(uncommon("a \"blank\" line"), Some("blank"));
    assert_eq!(uncommon("it takes hold"), Some("takes hold"));
    assert_eq!(uncommon("a client behind a proxy became inblank"), None);
}

/// Returns the first word of [`UNCOMMON`] that a message has, or `None` if it has none of them.
fn uncommon(text: &str) -> Option<&'static str> {
    let text = text.replace(BEHIND_A_PROXY, "");
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let has = |word: &&str| {
        text.match_indices(*word).any(|(at, word)| {
            !text[..at].ends_with(is_letter) && !text[at + word.len()..].starts_with(is_letter)
        })
    };
    UNCOMMON.into_iter().find(has)
}

/// Returns the string literals of a file, except in tests. Escapes are kept, but a backslash before
/// a line break is removed together with the line break.
fn quoted(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut texts = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, here) = rest.split_at(at);
        let end_of = |end: &str| {
            here[1..]
                .find(end)
                .map_or(here.len(), |at| 1 + at + end.len())
        };
        let length = if here.starts_with("//") {
            end_of("\n")
        } else if here.starts_with("'\"'") || here.starts_with("'\\") {
            end_of("'")
        } else if !here.starts_with('"') {
            1
        } else {
            let hashes = before.len() - before.trim_end_matches('#').len();
            let raw = before[..before.len() - hashes].ends_with('r');
            let length = match raw {
                true => end_of(&format!("\"{}", "#".repeat(hashes))),
                false => 1 + end_of_text(&here[1..]),
            };
            let text = &here[1..length - 1 - if raw { hashes } else { 0 }];
            let mut lines = text.split("\\\n").map(str::trim_start);
            let first = lines.next().unwrap_or_default().to_owned();
            texts.push(lines.fold(first, |text, line| text + line));
            length
        };
        rest = &here[length..];
    }
    texts
}

/// Returns the length of a string literal after its opening quote, including the closing quote.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    let end = text.find(|c| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |at| at + 1)
}

/// Returns the text of a line in a doc comment, or `None` if the line is not in a doc comment.
fn doc(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line.strip_prefix("///").or(line.strip_prefix("//!"))?;
    Some(text.trim_start())
}

/// Returns the lines for which `wrong` returns true, of all files whose names have one of these
/// endings. `wrong` receives the previous line and the line itself.
fn found(endings: &[&str], wrong: impl Fn(&str, &str) -> bool + Copy) -> Vec<String> {
    let mut found = Vec::new();
    let mut files = 0;
    for name in ROOTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        collect(&path, name, endings, &mut |name, text| {
            files += 1;
            found.extend(matching(name, text, wrong));
        });
    }
    assert!(files > 250, "{files} files");
    found
}

/// Returns the lines of a text for which a predicate holds. Each has the name of the file and the
/// number of the line.
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

/// Calls `each` with the name and the text of each file at or below `path`, except generated files.
/// Files whose names have none of these endings are ignored.
fn collect(path: &Path, name: &str, endings: &[&str], each: &mut impl FnMut(&str, &str)) {
    if GENERATED.contains(&name) {
        return;
    }
    if path.is_file() {
        if endings.iter().any(|ending| name.ends_with(ending)) {
            each(name, &fs::read_to_string(path).unwrap());
        }
        return;
    }
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let inner = entry.file_name().into_string().unwrap();
        if !["target", "node_modules"].contains(&inner.as_str()) {
            collect(&entry.path(), &format!("{name}/{inner}"), endings, each);
        }
    }
}
