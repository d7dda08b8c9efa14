//! Tests of the peak memory of a compile, of the memory that its cache keeps, and of the peak
//! memory of a compile after an edit of one file. The files have comments, names and imports as in
//! a large public collection.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiler, Texts};

/// An allocator that counts bytes.
struct Counting;

/// The bytes in use, their maximum so far, and the total of all allocations.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ALL: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every call to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        ALL.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of files.
const FILES: usize = 400;

/// The number of files in a family.
const FAMILY: usize = 10;

/// Writes the files in families of [`FAMILY`]. Each file except the first of a family imports the
/// previous file.
fn write_files(directory: &Path) {
    for n in 0..FILES {
        let mut text = String::from("syntax = \"proto3\";\npackage large;\n");
        let imports = n % FAMILY > 0;
        if imports {
            writeln!(text, "import \"f{}.proto\";", n - 1).unwrap();
        }
        for m in 0..10 {
            writeln!(text, "// The resource {m} of service {n}, as its page describes it at length.\nmessage Resource{n}x{m} {{").unwrap();
            for field in 1..9 {
                writeln!(text, "  // The name of a part, as in `projects/*/locations/*/parts/*`. Required by callers.\n  string part_name_{field} = {field};").unwrap();
            }
            if imports {
                writeln!(text, "  Resource{}x{m} other = 9;", n - 1).unwrap();
            }
            text.push_str("}\n");
        }
        fs::write(directory.join(format!("f{n}.proto")), text).unwrap();
    }
}

/// The cost of one compile, in bytes.
#[derive(Debug)]
struct Cost {
    /// The maximum of the bytes in use, beyond the bytes in use before the compile.
    peak: usize,
    /// The total size of all allocations of the compile.
    all: usize,
    /// The total size of the .proto files.
    texts: usize,
}

fn compile(directory: &Path, cache: &mut Cache) -> Cost {
    let (before, all) = (LIVE.load(Relaxed), ALL.load(Relaxed));
    PEAK.store(before, Relaxed);
    let mut found = Diagnostics::new();
    let texts = Texts::read(&[directory.to_owned()], Compiler::Builtin);
    let compiled = texts.compile(cache, &mut found).unwrap();
    let texts = compiled
        .sources()
        .map(|(_, source)| source.text.len())
        .sum();
    drop(compiled);
    Cost {
        peak: PEAK.load(Relaxed) - before,
        all: ALL.load(Relaxed) - all,
        texts,
    }
}

#[test]
fn the_memory_of_a_compile_is_bounded_by_the_size_of_the_texts() {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path());
    let mut cache = Cache::default();
    let start = LIVE.load(Relaxed);
    let first = compile(directory.path(), &mut cache);
    let held = LIVE.load(Relaxed) - start;
    assert!(first.texts > 3 << 20, "{first:?}");
    assert!(first.peak < 10 * first.texts, "{first:?}");
    // In addition to the texts, the cache keeps less than twice the size of the texts.
    assert!(held < 3 * first.texts, "{held} bytes held, {first:?}");
    let file = directory.path().join("f199.proto");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + "message Added {}\n").unwrap();
    let edit = compile(directory.path(), &mut cache);
    assert!(edit.peak < 10 * edit.texts, "{edit:?}");
    assert!(edit.all < first.all / 2, "{edit:?} after {first:?}");
    for n in 0..4 {
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}// {n}\n")).unwrap();
        compile(directory.path(), &mut cache);
    }
    let held_after = LIVE.load(Relaxed) - start;
    assert!(held_after < held + held / 10, "{held_after} after {held}");
    println!("{first:?}, {edit:?}, {held} held");
}
