//! Tests with mutated .proto files, for which the built-in compiler and protoc must give the same
//! results.
//!
//! `DIFFERENTIAL_FILES=n` sets the number of mutated cases, and `DIFFERENTIAL_SEED=n` the seed. By
//! default, a run is short and always has the same seed. If `CI` is set, each run has a new seed,
//! which is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::judge;

/// A file that contains one of these texts is not mutated.
const NOT_ALIKE: &[&str] = &[
    // protoc accepts these texts, and the built-in compiler rejects them: see STRICTER in
    // verdicts.rs.
    "\\U0011",
    "\\ud800",
    "\\377",
    "map_entry",
    "uninterpreted_option",
    "#",
    // Options that name a field of another message in brackets, and options that are nested too
    // deep, crash protoc.
    "[O.i]",
    ".o.o.o.o",
];

/// The files of a case, by name.
type Seed = BTreeMap<String, String>;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Returns two lists of seeds. A seed of the first list is one file, which imports only files that
/// come with the compilers. A seed of the second list consists of several files.
fn seeds() -> (Vec<Seed>, Vec<Seed>) {
    let (mut single, mut several) = (Vec::new(), Vec::new());
    for directory in ["tests/protos/valid", "tests/protos/invalid"] {
        let mut paths: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        paths.sort();
        // Valid files are repeated, because most mutations of invalid files are rejected at once.
        let times = if directory.ends_with("/valid") { 20 } else { 1 };
        for path in paths {
            let mut seed = Seed::new();
            let whole = match path.is_dir() {
                true => add_all(&path, &mut seed),
                false => add_with_imports(Path::new(directory), &path, &mut seed),
            };
            if whole.is_some() && !seed.is_empty() {
                let seeds = if seed.len() == 1 {
                    &mut single
                } else {
                    &mut several
                };
                seeds.extend(std::iter::repeat_n(seed, times));
            }
        }
    }
    (single, several)
}

/// Adds the files of a directory to `seed`. Returns `None` if one of them cannot be used, or if
/// there is a subdirectory.
fn add_all(directory: &Path, seed: &mut Seed) -> Option<()> {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        seed.insert(path.file_name()?.to_str()?.to_owned(), text_of(&path)?);
    }
    Some(())
}

/// Adds a file and its imports below `root`. Returns `None` if one of them cannot be used.
fn add_with_imports(root: &Path, path: &Path, seed: &mut Seed) -> Option<()> {
    let name = path.strip_prefix(root).ok()?.to_str()?.to_owned();
    let text = text_of(path)?;
    if seed.insert(name, text.clone()).is_some() {
        return Some(());
    }
    for statement in text.split("import").skip(1) {
        let import = statement.split('"').nth(1)?;
        if !import.starts_with("google/protobuf/") {
            add_with_imports(root, &root.join(import), seed)?;
        }
    }
    Some(())
}

fn text_of(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let alike = !NOT_ALIKE.iter().any(|part| text.contains(part));
    let is_proto = path.extension().is_some_and(|e| e == "proto");
    (is_proto && alike && !text.is_empty() && text.len() < 4000).then_some(text)
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut token = String::from(c);
        let class = |c: char| (c.is_ascii_alphanumeric() || c == '_', c.is_whitespace());
        if c == '"' {
            for c in chars.by_ref() {
                token.push(c);
                if c == '"' || c == '\n' {
                    break;
                }
            }
        } else if class(c) != (false, false) {
            while let Some(&next) = chars.peek().filter(|next| class(**next) == class(c)) {
                token.push(next);
                chars.next();
            }
        }
        tokens.push(token);
    }
    tokens
}

/// The words that mutations insert.
const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "19000",
    "536870911",
    "536870912",
    "2147483647",
    "2147483648",
    "1.5",
    "inf",
    "nan",
    "\"x\"",
    "\"\"",
    "true",
    "false",
    "int32",
    "string",
    "bytes",
    "float",
    "M",
    "E",
    "A",
    "a",
    "b",
    ".",
    ";",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "=",
    ",",
    "-",
    "to",
    "max",
    "optional",
    "required",
    "repeated",
    "oneof",
    "map",
    "group",
    "message",
    "enum",
    "extend",
    "extensions",
    "reserved",
    "option",
    "import",
    "package",
    "service",
    "rpc",
    "returns",
    "stream",
    "default",
    "json_name",
    "packed",
    "deprecated",
    "features",
    "field_presence",
    "IMPLICIT",
    "LEGACY_REQUIRED",
    "DELIMITED",
    "CLOSED",
    "syntax",
    "edition",
    "\"2023\"",
    "\"2024\"",
    "\"proto2\"",
    "\"proto3\"",
    "export",
    "local",
    "0x10",
    "010",
    "lazy",
    "weak",
    "public",
    "default_symbol_visibility",
    "EXPORT_ALL",
    "EXPORT_TOP_LEVEL",
    "LOCAL_ALL",
    "STRICT",
    "enum_type",
    "OPEN",
    "EXPLICIT",
    "repeated_field_encoding",
    "PACKED",
    "EXPANDED",
    "utf8_validation",
    "VERIFY",
    "NONE",
    "message_encoding",
    "LENGTH_PREFIXED",
    "json_format",
    "ALLOW",
    "LEGACY_BEST_EFFORT",
    "enforce_naming_style",
    "STYLE_LEGACY",
    "STYLE2024",
    "infinity",
    "INF",
    "True",
    "f",
    ":",
    "/",
    "java_string_check_utf8",
    "verification",
    "UNVERIFIED",
    "declaration",
];

/// Groups of words that the grammar allows at the same places.
const ALIKE: &[&[&str]] = &[
    &[
        "int32", "uint64", "sint32", "fixed64", "sfixed32", "bool", "string", "bytes", "float",
        "double",
    ],
    &["optional", "required", "repeated"],
    &["export", "local"],
    &["public", "option", "weak"],
    &["true", "false"],
    &["inf", "nan", "infinity", "1.5", "0x10", "010", "7", "0"],
    &[
        "1",
        "2",
        "3",
        "4",
        "5",
        "100",
        "19000",
        "536870911",
        "536870912",
        "max",
        "0",
    ],
    &["\"proto2\"", "\"proto3\""],
    &["\"2023\"", "\"2024\""],
    &["EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"],
    &["OPEN", "CLOSED"],
    &["PACKED", "EXPANDED"],
    &["VERIFY", "NONE"],
    &["DELIMITED", "LENGTH_PREFIXED"],
    &["ALLOW", "LEGACY_BEST_EFFORT"],
    &["STYLE_LEGACY", "STYLE2024"],
    &["EXPORT_ALL", "EXPORT_TOP_LEVEL", "LOCAL_ALL", "STRICT"],
    &[
        "FileOptions",
        "MessageOptions",
        "FieldOptions",
        "OneofOptions",
        "EnumOptions",
        "EnumValueOptions",
    ],
    &[
        "field_presence",
        "enum_type",
        "repeated_field_encoding",
        "utf8_validation",
        "message_encoding",
        "json_format",
        "enforce_naming_style",
        "default_symbol_visibility",
    ],
    &[
        "deprecated",
        "packed",
        "lazy",
        "weak",
        "json_name",
        "default",
        "jstype",
        "ctype",
    ],
];

/// Returns a random seed with one or two mutations of its files.
fn mutated(seeds: &[Seed], random: &mut fastrand::Rng) -> Seed {
    let mut seed = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..[1, 1, 2][random.usize(..3)] {
        let changed = random.usize(..seed.len());
        let text = seed.values_mut().nth(changed).unwrap();
        *text = changed_text(text, random);
    }
    seed
}

/// Returns a text with some random changes of its words and statements.
pub(crate) fn changed_text(text: &str, random: &mut fastrand::Rng) -> String {
    let mut tokens = tokens(text);
    for _ in 0..[1, 1, 2, 3][random.usize(..4)] {
        if tokens.is_empty() {
            break;
        }
        match random.u8(..18) {
            0 => drop(tokens.remove(random.usize(..tokens.len()))),
            1 => {
                let word = format!(" {} ", WORDS[random.usize(..WORDS.len())]);
                tokens.insert(random.usize(..tokens.len()), word);
            }
            2 | 3 => repeat_statement(&mut tokens, random),
            4 => drop_statement(&mut tokens, random),
            5..=10 => replace_in_group(&mut tokens, random),
            11..=14 => replace_name(&mut tokens, random),
            _ => replace_alike(&mut tokens, random),
        }
    }
    tokens.concat()
}

/// Replaces a random word that is in a group of [`ALIKE`] with a word of the same group.
fn replace_in_group(tokens: &mut [String], random: &mut fastrand::Rng) {
    let groups = |token: &str| -> Vec<&[&str]> {
        let all = ALIKE.iter().filter(|group| group.contains(&token));
        all.copied().collect()
    };
    let all: Vec<usize> = (0..tokens.len())
        .filter(|&i| !groups(&tokens[i]).is_empty())
        .collect();
    if all.is_empty() {
        return;
    }
    let to = all[random.usize(..all.len())];
    let groups = groups(&tokens[to]);
    let group = groups[random.usize(..groups.len())];
    tokens[to] = group[random.usize(..group.len())].to_owned();
}

/// Replaces a name with another name of the file in the same case style. Most often, both are names
/// of the same kind: of types, fields or enum values.
fn replace_name(tokens: &mut [String], random: &mut fastrand::Rng) {
    let class = |token: &str| {
        let mut bytes = token.bytes().take(2);
        let upper = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_uppercase() || b == b'_');
        (upper(bytes.next()), upper(bytes.next()))
    };
    let is_name = |token: &str| {
        token.starts_with(|c: char| c.is_ascii_alphabetic())
            && !WORDS.contains(&token)
            && !ALIKE.iter().any(|group| group.contains(&token))
    };
    let all: Vec<usize> = (0..tokens.len()).filter(|&i| is_name(&tokens[i])).collect();
    if all.is_empty() {
        return;
    }
    let to = all[random.usize(..all.len())];
    let alike = all
        .iter()
        .filter(|&&i| class(&tokens[i]) == class(&tokens[to]));
    let alike: Vec<usize> = alike.copied().collect();
    tokens[to] = tokens[alike[random.usize(..alike.len())]].clone();
}

/// Replaces a word with another word, or a number with another number, taken from the file or from
/// [`WORDS`].
fn replace_alike(tokens: &mut [String], random: &mut fastrand::Rng) {
    let starts = |t: &String, is: fn(char) -> bool| t.starts_with(is);
    let is_number = |c: char| c.is_ascii_digit();
    let is_word = |c: char| c.is_ascii_alphabetic();
    let is = if random.bool() { is_number } else { is_word };
    let all: Vec<usize> = (0..tokens.len())
        .filter(|&i| starts(&tokens[i], is))
        .collect();
    if all.is_empty() {
        return;
    }
    let to = all[random.usize(..all.len())];
    tokens[to] = match random.bool() {
        true => tokens[all[random.usize(..all.len())]].clone(),
        false => {
            let alike: Vec<_> = WORDS.iter().filter(|word| word.starts_with(is)).collect();
            (*alike[random.usize(..alike.len())]).to_owned()
        }
    };
}

/// Returns the token range of a random statement: the tokens after a `;`, `{` or `}`, up to and
/// including the next such token. The range is empty if there are fewer than two such tokens.
fn statement(tokens: &[String], random: &mut fastrand::Rng) -> std::ops::Range<usize> {
    let ends: Vec<usize> = (0..tokens.len())
        .filter(|&i| matches!(&tokens[i][..], ";" | "{" | "}"))
        .collect();
    if ends.len() < 2 {
        return 0..0;
    }
    let at = random.usize(..ends.len() - 1);
    ends[at] + 1..ends[at + 1] + 1
}

fn repeat_statement(tokens: &mut Vec<String>, random: &mut fastrand::Rng) {
    let copied: Vec<String> = tokens[statement(tokens, random)].to_vec();
    let at = statement(tokens, random).end;
    tokens.splice(at..at, copied);
}

fn drop_statement(tokens: &mut Vec<String>, random: &mut fastrand::Rng) {
    let dropped = statement(tokens, random);
    tokens.drain(dropped);
}

#[test]
fn both_compilers_agree_on_mutated_files() {
    let Some(python) = judge::python() else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let in_ci = std::env::var_os("CI").is_some();
    let usual = if in_ci { now.as_secs() } else { 1 };
    let seed = number("DIFFERENTIAL_SEED", usual);
    eprintln!("DIFFERENTIAL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (single, several) = seeds();
    assert!(single.len() > 300 && several.len() > 50);
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for i in 0..number("DIFFERENTIAL_FILES", 1000) {
        let case = directory.path().join(format!("c{i}"));
        fs::create_dir(&case).unwrap();
        let seeds = if i % 3 == 0 { &several } else { &single };
        for (name, text) in mutated(seeds, &mut random) {
            let path = case.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        cases.push(case);
    }
    let mut wrong = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for case in judge::judge(&python, cases) {
        if case.theirs_report == judge::CRASHED {
            eprintln!("protoc crashed at\n{}", judge::texts(&case.directory));
            continue;
        }
        if case.ours != case.theirs || !case.different.is_empty() {
            wrong.push(case.shown());
        }
        if case.ours {
            accepted += 1
        } else {
            refused += 1
        }
    }
    eprintln!(
        "{accepted} accepted, {refused} refused, {} judged differently",
        wrong.len()
    );
    let what = format!("DIFFERENTIAL_SEED={seed}");
    assert!(wrong.is_empty(), "{what}\n{}", wrong.join("\n"));
    assert!(accepted > 0 && refused > 0);
}
