//! Tests over random edits of a directory, after each of which a compile that reuses what the last
//! one left must give the same results as one that reuses nothing. They run without protoc.
//!
//! `EDITS=n` sets the number of edits, and `EDITS_SEED=n` the seed.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiled, Compiler, Texts};
use protobuf::descriptor::FileDescriptorProto;

use crate::generator;
use crate::mutations::changed_text;

/// Everything that a compile says.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The hash of the texts.
    hash: u64,
    is_whole: bool,
    said: String,
    /// The descriptors in their order. Bytes would not be comparable, since the order of unknown
    /// fields varies.
    files: Vec<FileDescriptorProto>,
    /// The messages with their places.
    messages: Vec<String>,
}

impl Outcome {
    fn assert_equals(&self, fresh: &Self, what: &str) {
        assert_eq!(self.said, fresh.said, "{what}");
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
    let (is_whole, made) = match texts.compile_each(cache, &mut found) {
        Compiled::Whole(made) => (true, Some(made)),
        Compiled::Part(made, _) => (false, Some(made)),
        Compiled::Nothing => (false, None),
    };
    found.sort();
    let files = made.iter().flat_map(|made| made.files());
    let messages = made.iter().flat_map(|made| {
        let names = made.message_names().into_iter();
        names.map(|name| {
            format!(
                "{name} at {:?}",
                made.place_of(name).map(|at| at.to_string())
            )
        })
    });
    Outcome {
        hash: hasher.finish(),
        is_whole,
        said: found.render(false),
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

/// Makes the directory hold these files and no others, without a write to files that are the same.
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

/// Edits a random file, or adds some.
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
            // An edit that leaves size and time as they were.
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
    let roots = [root.to_path_buf()];
    let (mut cache, mut texts) = (Cache::default(), None);
    let (mut whole, mut faulty) = (0, 0);
    for step in 0..number("EDITS", 60) {
        if random.bool() {
            restore(root, &corpus);
        }
        for _ in 0..random.u8(0..3) {
            edit(root, step, &mut random);
        }
        let next = Texts::read_after(texts.as_ref(), &roots, Compiler::Builtin);
        let reused = outcome(&next, &mut cache);
        texts = Some(next);
        let fresh = Texts::read(&roots, Compiler::Builtin);
        let fresh = outcome(&fresh, &mut Cache::default());
        reused.assert_equals(&fresh, &format!("EDITS_SEED={seed}, edit {step}"));
        if fresh.is_whole {
            whole += 1
        } else {
            faulty += 1
        }
    }
    assert!(whole > 5 && faulty > 5, "{whole} whole, {faulty} faulty");
}
