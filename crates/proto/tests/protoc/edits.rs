//! Tests with random edits of a directory. After each edit, a compile that reuses the texts and the
//! cache of the last compile must give the same results as a fresh compile. The tests run without
//! protoc.
//!
//! One test edits the files of the corpus and of the generator. The other test edits small files
//! that share a few names. Many of its edits thus make a file define, use or extend a definition of
//! another file.
//!
//! `EDITS=n` sets the number of edits, and `EDITS_SEED=n` the seed.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiled, Compiler, Texts};
use protobuf::descriptor::FileDescriptorProto;

use crate::generator;
use crate::mutations::changed_text;

/// The results of a compile.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The hash of the texts.
    hash: u64,
    is_whole: bool,
    report: String,
    /// The descriptors in their order. Bytes would not be comparable, since the order of unknown
    /// fields varies.
    files: Vec<FileDescriptorProto>,
    /// The messages with their places.
    messages: Vec<String>,
}

impl Outcome {
    fn assert_equals(&self, fresh: &Self, what: &str) {
        assert_eq!(self.report, fresh.report, "{what}");
        assert_eq!(self.messages, fresh.messages, "{what}");
        for (own, other) in self.files.iter().zip(&fresh.files) {
            assert!(own == other, "{what}: {} and {}", own.name(), other.name());
        }
        assert!(self == fresh, "{what}");
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn outcome(texts: &Texts, cache: &mut Cache) -> Outcome {
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    let mut found = Diagnostics::new();
    let (is_whole, compiled) = match texts.compile_each(cache, &mut found) {
        Compiled::Whole(compiled) => (true, Some(compiled)),
        Compiled::Part(compiled, _) => (false, Some(compiled)),
        Compiled::Nothing => (false, None),
    };
    found.sort();
    let files = compiled.iter().flat_map(|compiled| compiled.files());
    let messages = compiled.iter().flat_map(|compiled| {
        let names = compiled.message_names().into_iter();
        names.map(|name| {
            format!(
                "{name} at {:?}",
                compiled.place_of(name).map(|at| at.to_string())
            )
        })
    });
    Outcome {
        hash: hasher.finish(),
        is_whole,
        report: found.render(false),
        files: files.cloned().collect(),
        messages: messages.collect(),
    }
}

/// Adds the files below a directory to `all`, by their paths below `root`.
fn add_files(root: &Path, directory: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(root, &path, all);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            all.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
}

fn write(root: &Path, name: &str, text: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes the directory hold exactly these files. Files that have the right text already are not
/// written.
fn restore(root: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let mut present = BTreeMap::new();
    add_files(root, root, &mut present);
    for name in present.keys().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(root.join(name)).unwrap();
    }
    for (name, text) in files {
        if present.get(name) != Some(text) {
            write(root, name, text);
        }
    }
}

/// Edits a random file, or adds files.
fn edit(root: &Path, step: u64, random: &mut fastrand::Rng) {
    let mut present = BTreeMap::new();
    add_files(root, root, &mut present);
    let at = random.usize(..present.len());
    let (name, bytes) = present.into_iter().nth(at).unwrap();
    let path = root.join(&name);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match random.u8(..10) {
        0 => fs::remove_file(path).unwrap(),
        1 => fs::rename(path, root.join(format!("moved{step}.proto"))).unwrap(),
        2 => {
            for (name, text) in generator::files(random) {
                write(root, &name, text.as_bytes());
            }
        }
        3 => {
            // This edit changes neither the size nor the modification time.
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, text.replacen("int32", "int64", 1)).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(modified).unwrap();
        }
        4..=6 => write(
            root,
            &name,
            format!("{text}\nmessage Added{step} {{}}\n").as_bytes(),
        ),
        _ => write(root, &name, changed_text(&text, random).as_bytes()),
    }
}

/// The compiles of one directory after each of its edits. As in the gateway, each compile reuses
/// the texts and the cache of the last compile.
struct Follower {
    roots: [PathBuf; 1],
    /// The texts of the last compile.
    texts: Option<Texts>,
    cache: Cache,
}

impl Follower {
    fn new(root: &Path) -> Self {
        Self {
            roots: [root.to_path_buf()],
            texts: None,
            cache: Cache::default(),
        }
    }

    /// Compiles the files with the results of the last compile, and asserts that a fresh compile
    /// has the same outcome. Returns the outcome.
    fn assert_equals_fresh(&mut self, context: &str) -> Outcome {
        let next = Texts::read_after(self.texts.as_ref(), &self.roots, Compiler::Builtin);
        let reused = outcome(&next, &mut self.cache);
        self.texts = Some(next);
        let fresh = Texts::read(&self.roots, Compiler::Builtin);
        let fresh = outcome(&fresh, &mut Cache::default());
        reused.assert_equals(&fresh, context);
        fresh
    }
}

#[test]
fn compiles_after_edits_equal_fresh_compiles() {
    let seed = number("EDITS_SEED", 1);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut corpus = BTreeMap::new();
    let valid = Path::new("tests/protos/valid");
    add_files(valid, valid, &mut corpus);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    restore(root, &corpus);
    let mut follower = Follower::new(root);
    let (mut whole, mut faulty) = (0, 0);
    for step in 0..number("EDITS", 60) {
        if random.bool() {
            restore(root, &corpus);
        }
        for _ in 0..random.u8(0..3) {
            edit(root, step, &mut random);
        }
        let fresh = follower.assert_equals_fresh(&format!("EDITS_SEED={seed}, edit {step}"));
        if fresh.is_whole {
            whole += 1
        } else {
            faulty += 1
        }
    }
    assert!(whole > 5 && faulty > 5, "{whole} whole, {faulty} faulty");
}

/// The package of each small file. An edit rarely moves a file to another of these packages. A
/// definition may have the full name of a package.
const PACKAGES: [&str; 7] = ["", "a", "a.b", "a.b", "a.c", "a.b.M", "google.protobuf"];
/// The names that some definitions share.
const SHARED_NAMES: [&str; 8] = ["M", "N", "b", "c", "x", "a", "Any", "Duration"];

/// Returns the small file of this number. It imports files of lower numbers, and defines a message
/// that other files may use and extend.
fn small_text(at: usize, random: &mut fastrand::Rng) -> String {
    let pick = |random: &mut fastrand::Rng, all: &[&'static str]| all[random.usize(..all.len())];
    let mut text = pick(random, &["syntax = \"proto2\";", "edition = \"2023\";"]).to_owned();
    let package = match random.u8(..16) {
        0 => pick(random, &PACKAGES),
        _ => PACKAGES[at],
    };
    if !package.is_empty() {
        text += &format!("package {package};");
    }
    let mut imports: Vec<_> = (0..at).filter(|_| random.u8(..3) == 0).collect();
    for import in &imports {
        let public = pick(random, &["", "", "public "]);
        text += &format!("import {public}\"f{import}.proto\";");
    }
    if random.u8(..6) == 0 {
        let name = pick(random, &["any", "descriptor", "duration"]);
        text += &format!("import \"google/protobuf/{name}.proto\";");
    }
    text += &format!("message Base{at} {{ extensions 100 to 199; message In {{}} }}");
    imports.push(at);
    for n in 0..random.usize(..3) {
        let own = match random.u8(..16) {
            0 => pick(random, &SHARED_NAMES).to_owned(),
            1..=6 if package == "google.protobuf" => pick(random, &SHARED_NAMES).to_owned(),
            _ => format!("Own{at}{n}"),
        };
        let used = match random.u8(..16) {
            0 => random.usize(..PACKAGES.len()),
            _ => imports[random.usize(..imports.len())],
        };
        let used = format!("{}.Base{used}", PACKAGES[used]);
        let used = used.trim_start_matches('.');
        let number = random.u8(100..110);
        text += &match random.u8(..6) {
            0 => format!("message {own} {{ oneof o {{ {used}.In n = 1; }} }}"),
            1 => format!("message {own} {{ message M {{}} enum E {{ V = 0; }} }}"),
            2 => format!("enum {own} {{ {own}0 = 0; {own}1 = 1; }}"),
            3 => format!("service {own} {{ rpc R({used}) returns ({used}); }}"),
            4 => format!("extend {used} {{ repeated int32 {own} = {number}; }}"),
            _ => format!("message {own} {{ extend {used} {{ repeated int32 e = {number}; }} }}"),
        };
    }
    text
}

#[test]
fn compiles_after_edits_that_clash_equal_fresh_compiles() {
    let seed = number("EDITS_SEED", 1);
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mut follower = Follower::new(root);
    let mut whole = 0;
    let mut seen = BTreeMap::from(
        [
            "is defined twice",
            "is not imported",
            "is already used",
            "comes with the gateway",
        ]
        .map(|part| (part, 0)),
    );
    for step in 0..number("EDITS", 60) * 20 {
        let at = random.usize(..PACKAGES.len());
        let name = format!("f{at}.proto");
        match random.u8(..24) {
            0 => {
                let _ = fs::remove_file(root.join(name));
            }
            _ => write(root, &name, small_text(at, &mut random).as_bytes()),
        }
        let fresh = follower.assert_equals_fresh(&format!("EDITS_SEED={seed}, edit {step}"));
        whole += usize::from(fresh.is_whole && fresh.files.len() > 4);
        for (part, count) in &mut seen {
            *count += usize::from(fresh.report.contains(part));
        }
    }
    assert!(
        whole > 100 && seen.values().all(|count| *count > 10),
        "{whole} whole, {seen:?}"
    );
}
