//! Measures how long the built-in compiler takes for a thousand files, for the same files after one
//! of them has changed, and for worst-case files.
//!
//! `cargo bench --bench compile` prints one line for each run. The worst-case files are nearly as
//! large as a file may be. An argument selects the worst-case files whose name contains it. If the
//! argument is a directory of .proto files, the runs are over a copy of these instead, with edits
//! of several of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiler, Texts};

/// The maximum size of a worst-case file, in bytes: the compiler's own limit for a file.
const LARGEST: usize = 8 << 20;

/// The texts and the cache that one compile leaves to the next.
#[derive(Default)]
struct Earlier {
    texts: Option<Texts>,
    cache: Cache,
}

/// Returns how long it takes to read and to compile the files, and the numbers of files and errors.
fn timed(directory: &Path, earlier: &mut Earlier) -> (String, usize, usize) {
    let start = Instant::now();
    let mut found = Diagnostics::new();
    let roots = [directory.to_path_buf()];
    let texts = Texts::read_after(earlier.texts.as_ref(), &roots, Compiler::Builtin);
    let read = start.elapsed();
    let made = texts.compile(&mut earlier.cache, &mut found);
    let files = made.map_or(0, |made| made.files().len());
    earlier.texts = Some(texts);
    let took = format!("{:.2?} ({read:.2?} to read)", start.elapsed());
    (took, files, found.errors())
}

fn thousand(directory: &Path) {
    for i in 0..1000 {
        let mut text = format!(
            "syntax = \"proto3\";\npackage p{i};\nimport \"google/protobuf/timestamp.proto\";\n"
        );
        let imports: BTreeSet<usize> = (1..=5)
            .map(|k| i - k * i / 6)
            .filter(|&import| import < i)
            .collect();
        for import in &imports {
            text += &format!("import \"f{import}.proto\";\n");
        }
        for m in 0..20 {
            text += &format!("// What message {m} is for.\nmessage M{m} {{\n");
            for f in 1..=12 {
                text +=
                    &format!("  // Field {f}.\n  string field_{f} = {f} [deprecated = true];\n");
            }
            text += "  google.protobuf.Timestamp at = 20;\n  map<string, int32> counts = 21;\n  M0 first = 22;\n";
            if let Some(import) = imports.last() {
                text += &format!("  p{import}.M1 other = 23;\n");
            }
            text += "}\n";
        }
        fs::write(directory.join(format!("f{i}.proto")), text).unwrap();
    }
}

/// Returns `head`, then `line(1)`, `line(2)` and so on up to [`LARGEST`] bytes, then `tail`.
fn filled(head: &str, line: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    for i in 1.. {
        let more = line(i);
        if text.len() + more.len() + tail.len() > LARGEST {
            break;
        }
        text += &more;
    }
    text + tail
}

/// The name of a worst-case file, and its text.
type Worst = (&'static str, String);

/// The `syntax` statement of most worst-case files.
const P2: &str = "syntax = \"proto2\";";

/// The head of a file with two custom file options: a message `o` and a repeated number `n`.
const OPTIONS: &str = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message O { optional int32 a = 1; repeated O o = 2; map<string, int32> m = 3; } extend google.protobuf.FileOptions { optional O o = 50000; repeated int32 n = 50001; }";

/// Returns worst-case files with many enum values.
fn worst_enums() -> Vec<Worst> {
    vec![
        (
            "values of an enum",
            filled(&format!("{P2} enum E {{"), |i| format!("V{i}={i};"), "}"),
        ),
        (
            "values with options",
            filled(
                &format!("{P2} enum E {{"),
                |i| format!("V{i}={i}[deprecated=true];"),
                "}",
            ),
        ),
        (
            "aliases of one number",
            filled(
                &format!("{P2} enum E {{ option allow_alias = true;"),
                |i| format!("V{i}=1;"),
                "}",
            ),
        ),
    ]
}

/// Returns worst-case files with many fields.
fn worst_fields() -> Vec<Worst> {
    vec![
        (
            "fields of a message",
            filled(
                &format!("{P2} message M {{"),
                |i| format!("optional int32 f{i}={i};"),
                "}",
            ),
        ),
        (
            "map fields",
            filled(
                &format!("{P2} message M {{"),
                |i| format!("map<int32,M> f{i}={i};"),
                "}",
            ),
        ),
        (
            "oneof fields",
            filled(
                "syntax=\"proto3\"; message M {",
                |i| format!("optional M f{i}={i};"),
                "}",
            ),
        ),
        (
            "fields with defaults of an enum",
            filled(
                &format!("{P2} enum E {{ A=0; }} message M {{"),
                |i| format!("optional E f{i}={i}[default=A];"),
                "}",
            ),
        ),
    ]
}

/// Returns worst-case files with many messages, ranges, extensions, methods or empty statements.
fn worst_messages() -> Vec<Worst> {
    vec![
        ("messages", filled(P2, |i| format!("message M{i}{{}}"), "")),
        (
            "messages of one field",
            filled(P2, |i| format!("message M{i}{{optional M{i} a=1;}}"), ""),
        ),
        ("empty statements", filled(P2, |_| ";".to_owned(), "")),
        (
            "reserved ranges",
            filled(
                &format!("{P2} message M {{ reserved 1"),
                |i| format!(",{}", i * 2 + 1),
                "; }",
            ),
        ),
        (
            "extension ranges and extensions",
            filled(
                &format!("{P2} message M {{ extensions 1 to max; }} extend M {{"),
                |i| format!("optional int32 e{i}={};", i + 20_000),
                "}",
            ),
        ),
        (
            "methods",
            filled(
                &format!("{P2} message M {{}} service S {{"),
                |i| format!("rpc R{i}(M)returns(M);"),
                "}",
            ),
        ),
        (
            "deep messages",
            (0..LARGEST / 400)
                .map(|i| {
                    format!(
                        "message M{i} {{ {} {} }}",
                        "message N {".repeat(20),
                        "}".repeat(20)
                    )
                })
                .collect(),
        ),
    ]
}

/// Returns worst-case files with many options.
fn worst_options() -> Vec<Worst> {
    vec![
        (
            "options of a file",
            filled(OPTIONS, |i| format!("option (n)={i};"), ""),
        ),
        (
            "fields of an option",
            filled(
                &format!("{OPTIONS} option (o) = {{"),
                |_| "o{a:1}".to_owned(),
                "};",
            ),
        ),
        (
            "entries of an option's map",
            filled(
                &format!("{OPTIONS} option (o) = {{"),
                |i| format!("m{{key:\"{i}\"}}"),
                "};",
            ),
        ),
        (
            "unknown options",
            filled(P2, |i| format!("option (no{i})=1;"), ""),
        ),
    ]
}

/// Returns worst-case files with many errors or comments, or with long names or strings.
fn worst_faults() -> Vec<Worst> {
    vec![
        (
            "unknown types",
            filled(
                &format!("{P2} message M {{"),
                |i| format!("optional No{i} f{i}={i};"),
                "}",
            ),
        ),
        ("names twice", filled(P2, |_| "message M{}".to_owned(), "")),
        (
            "numbers twice",
            filled(
                &format!("{P2} message M {{"),
                |i| format!("optional int32 f{i}=1;"),
                "}",
            ),
        ),
        (
            "a comment",
            filled(&format!("{P2} /*"), |_| "*/ /*".to_owned(), "*/"),
        ),
        (
            "a text",
            filled(
                &format!("{P2} option java_package = "),
                |_| "\"a\" ".to_owned(),
                ";",
            ),
        ),
        (
            "a long name",
            filled(&format!("{P2} message "), |_| "a".to_owned(), "{}"),
        ),
        (
            "a package of many parts",
            filled(&format!("{P2} package a"), |_| ".a".to_owned(), ";"),
        ),
        (
            "a type name of many parts",
            filled(
                &format!("{P2} message M {{ optional a"),
                |_| ".a".to_owned(),
                " f = 1; }",
            ),
        ),
    ]
}

/// Copies the .proto files of a directory.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else if path.extension().is_some_and(|e| e == "proto") {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// Measures the first compile of the files of a directory, and compiles after edits of a few.
fn edits(from: &Path) {
    let directory = tempfile::tempdir().unwrap();
    copy(from, directory.path());
    let mut earlier = Earlier::default();
    let (took, files, errors) = timed(directory.path(), &mut earlier);
    println!("{:40} {took:>30}  {files} files, {errors} errors", "all");
    let outlines = earlier
        .texts
        .as_ref()
        .map_or_else(Vec::new, Texts::outlines);
    for at in [outlines.len() / 3, outlines.len() / 2, outlines.len() - 1] {
        let name = &outlines[at].name;
        let path = directory.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}message NewInThisEdit {{}}\n")).unwrap();
        let (took, files, errors) = timed(directory.path(), &mut earlier);
        println!("{name:40} {took:>30}  {files} files, {errors} errors");
        fs::write(&path, text).unwrap();
        timed(directory.path(), &mut earlier);
    }
}

fn main() {
    let only = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if let Some(directory) = only.as_deref().map(Path::new).filter(|path| path.is_dir()) {
        return edits(directory);
    }
    let directory = tempfile::tempdir().unwrap();
    thousand(directory.path());
    let mut earlier = Earlier::default();
    let (took, files, errors) = timed(directory.path(), &mut earlier);
    println!(
        "{:40} {took:>30}  {files} files, {errors} errors",
        "1000 files"
    );
    for changed in [999, 500, 0] {
        let path = directory.path().join(format!("f{changed}.proto"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}message New {{}}\n")).unwrap();
        let (took, files, errors) = timed(directory.path(), &mut earlier);
        println!(
            "{:40} {took:>30}  {files} files, {errors} errors",
            format!("1000 files, f{changed} changed")
        );
    }
    let worst = [
        worst_enums(),
        worst_fields(),
        worst_messages(),
        worst_options(),
        worst_faults(),
    ];
    for (name, text) in worst.into_iter().flatten() {
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("worst.proto"), &text).unwrap();
        let (took, files, errors) = timed(directory.path(), &mut Earlier::default());
        println!("{name:40} {took:>30}  {files} files, {errors} errors");
    }
}
