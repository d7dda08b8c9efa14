//! Mutated .proto files: what the built-in compiler and protoc make of them must be the same.
//!
//! `DIFFERENTIAL_FILES=n` says how many, `DIFFERENTIAL_SEED=n` which; the ordinary run is short.

mod judge;

use std::fs;

/// Differences that are meant, by what protoc says or by what we do.
const MEANT: &[&str] = &[];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Texts that stand alone: they import what comes with the compilers at most.
fn seeds() -> Vec<String> {
    let mut seeds = Vec::new();
    for directory in ["tests/protos/valid", "tests/protos/invalid"] {
        let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "proto")) {
            let Ok(text) = fs::read_to_string(path) else { continue };
            let imports = text.matches("import").count();
            let alone = imports == text.matches("\"google/protobuf/").count();
            if alone && !text.is_empty() && text.len() < 4000 {
                seeds.push(text);
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
    "0", "1", "2", "-1", "19000", "536870911", "536870912", "2147483647", "2147483648", "1.5", "inf", "nan", "\"x\"", "\"\"",
    "true", "false", "int32", "string", "bytes", "float", "M", "E", "A", "a", "b", ".", ";", "{", "}", "[", "]", "(", ")", "<", ">",
    "=", ",", "-", "to", "max", "optional", "required", "repeated", "oneof", "map", "group", "message", "enum", "extend",
    "extensions", "reserved", "option", "import", "package", "service", "rpc", "returns", "stream", "default", "json_name",
    "packed", "deprecated", "features", "field_presence", "IMPLICIT", "LEGACY_REQUIRED", "DELIMITED", "CLOSED", "syntax",
    "edition", "\"2023\"", "\"2024\"", "\"proto2\"", "\"proto3\"", "export", "local", "0x10", "010", "lazy", "weak", "public",
];

fn mutated(seeds: &[String], random: &mut fastrand::Rng) -> String {
    let mut tokens = tokens(&seeds[random.usize(..seeds.len())]);
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..tokens.len());
        match random.u8(..6) {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, tokens[random.usize(..tokens.len())].clone()),
            2 => tokens[at] = format!(" {} ", WORDS[random.usize(..WORDS.len())]),
            3 => tokens.insert(at, format!(" {} ", WORDS[random.usize(..WORDS.len())])),
            4 => {
                let other = random.usize(..tokens.len());
                tokens.swap(at, other);
            }
            _ => {
                // A word or number of the file in place of another of it.
                let is_word = |t: &String| t.starts_with(|c: char| c.is_ascii_alphanumeric());
                let words: Vec<usize> = (0..tokens.len()).filter(|&i| is_word(&tokens[i])).collect();
                if words.is_empty() {
                    continue;
                }
                let (from, to) = (words[random.usize(..words.len())], words[random.usize(..words.len())]);
                tokens[to] = tokens[from].clone();
            }
        }
        if tokens.is_empty() {
            break;
        }
    }
    tokens.concat()
}

#[test]
fn mutated_files_are_judged_alike() {
    let Some(python) = judge::python() else { return };
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
        let said = [&case.ours_said, &case.theirs_said];
        let meant = MEANT.iter().any(|text| said.iter().any(|said| said.contains(text)));
        if (case.ours != case.theirs || !case.different.is_empty()) && !meant {
            let text = fs::read_to_string(case.directory.join("m.proto")).unwrap();
            wrong.push(format!(
                "---- ours {} theirs {}\n{text}\n{}{}{}\n",
                case.ours, case.theirs, case.ours_said, case.theirs_said, case.different.join("\n")
            ));
        }
        if case.ours { taken += 1 } else { refused += 1 }
    }
    eprintln!("{taken} taken, {refused} refused, {} judged differently", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 0 && refused > 0);
}
