//! Mutated .proto files: what the built-in compiler and protoc make of them must be the same.
//!
//! `DIFFERENTIAL_FILES=n` says how many, `DIFFERENTIAL_SEED=n` which; the ordinary run is short.

mod judge;

use std::fs;

/// Texts that no descriptor can hold: protoc takes them, we don't.
const NOT_UTF_8: &[&str] = &["\\U0011", "\\ud800", "\\377"];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Texts that stand alone: they import what comes with the compilers at most.
fn seeds() -> Vec<String> {
    let mut seeds = Vec::new();
    for directory in ["tests/protos/valid", "tests/protos/invalid"] {
        let mut paths: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        paths.sort();
        for path in paths
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "proto"))
        {
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            // Valid files more often: most of what is made of others is refused at once.
            let times = if directory.ends_with("/valid") { 8 } else { 1 };
            let imports = text.matches("import").count();
            let alone = imports == text.matches("\"google/protobuf/").count();
            let taken_alike = !NOT_UTF_8.iter().any(|escape| text.contains(escape));
            if alone && taken_alike && !text.is_empty() && text.len() < 4000 {
                seeds.extend(std::iter::repeat_n(text, times));
            }
        }
    }
    seeds
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
];

fn mutated(seeds: &[String], random: &mut fastrand::Rng) -> String {
    let mut tokens = tokens(&seeds[random.usize(..seeds.len())]);
    for _ in 0..[1, 1, 2, 3][random.usize(..4)] {
        if tokens.is_empty() {
            break;
        }
        match random.u8(..10) {
            0 => drop(tokens.remove(random.usize(..tokens.len()))),
            1 => {
                let word = format!(" {} ", WORDS[random.usize(..WORDS.len())]);
                tokens.insert(random.usize(..tokens.len()), word);
            }
            2 | 3 => repeat_statement(&mut tokens, random),
            4 => drop_statement(&mut tokens, random),
            _ => replace_alike(&mut tokens, random),
        }
    }
    tokens.concat()
}

/// A word in place of another of the file, or a number in place of a number.
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

/// From one `;`, `{` or `}` to the next.
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
fn mutated_files_are_judged_alike() {
    let Some(python) = judge::python() else {
        return;
    };
    let seed = number("DIFFERENTIAL_SEED", 1);
    let mut random = fastrand::Rng::with_seed(seed);
    let seeds = seeds();
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for i in 0..number("DIFFERENTIAL_FILES", 1000) {
        let case = directory.path().join(format!("c{i}"));
        fs::create_dir(&case).unwrap();
        fs::write(case.join("m.proto"), mutated(&seeds, &mut random)).unwrap();
        cases.push(case);
    }
    let mut wrong = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for case in judge::judge(&python, cases) {
        if case.ours != case.theirs || !case.different.is_empty() {
            let text = fs::read_to_string(case.directory.join("m.proto")).unwrap();
            wrong.push(format!(
                "---- ours {} theirs {}\n{text}\n{}{}{}\n",
                case.ours,
                case.theirs,
                case.ours_said,
                case.theirs_said,
                case.different.join("\n")
            ));
        }
        if case.ours { taken += 1 } else { refused += 1 }
    }
    eprintln!(
        "{taken} taken, {refused} refused, {} judged differently",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 0 && refused > 0);
}
