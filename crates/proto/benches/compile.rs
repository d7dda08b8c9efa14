//! Measures the time of the built-in compiler for a thousand files, for the same files after a
//! change of one file, and for worst-case files.
//!
//! `cargo bench --bench compile` prints one line for each run. The worst-case files are nearly as
//! large as a file may be. An argument selects the worst-case files whose names contain the
//! argument. If the argument is a directory of .proto files, the bench instead compiles a copy of
//! these files, and compiles it again after edits of three files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiler, Texts};

/// The maximum size of a worst-case file, in bytes: the compiler's limit on a file.
const FILE_BYTES_MAX: usize = 8 << 20;

/// The texts and the cache of a compile, which the next compile reuses.
#[derive(Default)]
struct Earlier {
    texts: Option<Texts>,
    cache: Cache,
}

/// Reads and compiles the files of a directory. Returns the time as text, and the numbers of files
/// and of errors.
fn timed(directory: &Path, earlier: &mut Earlier) -> (String, usize, usize) {
    let start = Instant::now();
    let mut found = Diagnostics::new();
    let roots = [directory.to_path_buf()];
    let texts = Texts::read_after(earlier.texts.as_ref(), &roots, Compiler::Builtin);
    let read = start.elapsed();
    let compiled = texts.compile(&mut earlier.cache, &mut found);
    let files = compiled.map_or(0, |compiled| compiled.files().len());
    earlier.texts = Some(texts);
    let time = format!("{:.2?} ({read:.2?} to read)", start.elapsed());
    (time, files, found.errors())
}

/// Writes a thousand files that import each other.
fn write_thousand(directory: &Path) {
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

/// Returns `head`, then `line(1)`, `line(2)` and so on, then `tail`, with [`FILE_BYTES_MAX`] bytes
/// at most.
fn filled(head: &str, line: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    for i in 1.. {
        let more = line(i);
        if text.len() + more.len() + tail.len() > FILE_BYTES_MAX {
            break;
        }
        text += &more;
    }
    text + tail
}

/// The name of a worst-case file, and its text.
type WorstCase = (&'static str, String);

/// The `syntax` statement of most worst-case files.
const SYNTAX: &str = "syntax = \"proto2\";";

/// The head of a file with two custom file options: a message `o` and a repeated number `n`.
const OPTIONS: &str = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message O { optional int32 a = 1; repeated O o = 2; map<string, int32> m = 3; } extend google.protobuf.FileOptions { optional O o = 50000; repeated int32 n = 50001; }";

/// Returns worst-case files with many enum values.
fn worst_enums() -> Vec<WorstCase> {
    vec![
        (
            "values of an enum",
            filled(
                &format!("{SYNTAX} enum E {{"),
                |i| format!("V{i}={i};"),
                "}",
            ),
        ),
        (
            "values with options",
            filled(
                &format!("{SYNTAX} enum E {{"),
                |i| format!("V{i}={i}[deprecated=true];"),
                "}",
            ),
        ),
        (
            "aliases of one number",
            filled(
                &format!("{SYNTAX} enum E {{ option allow_alias = true;"),
                |i| format!("V{i}=1;"),
                "}",
            ),
        ),
    ]
}

/// Returns worst-case files with many fields.
fn worst_fields() -> Vec<WorstCase> {
    vec![
        (
            "fields of a message",
            filled(
                &format!("{SYNTAX} message M {{"),
                |i| format!("optional int32 f{i}={i};"),
                "}",
            ),
        ),
        (
            "map fields",
            filled(
                &format!("{SYNTAX} message M {{"),
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
                &format!("{SYNTAX} enum E {{ A=0; }} message M {{"),
                |i| format!("optional E f{i}={i}[default=A];"),
                "}",
            ),
        ),
    ]
}

/// Returns worst-case files with many messages, ranges, extensions, methods or empty statements.
fn worst_messages() -> Vec<WorstCase> {
    vec![
        (
            "messages",
            filled(SYNTAX, |i| format!("message M{i}{{}}"), ""),
        ),
        (
            "messages of one field",
            filled(
                SYNTAX,
                |i| format!("message M{i}{{optional M{i} a=1;}}"),
                "",
            ),
        ),
        ("empty statements", filled(SYNTAX, |_| ";".to_owned(), "")),
        (
            "reserved ranges",
            filled(
                &format!("{SYNTAX} message M {{ reserved 1"),
                |i| format!(",{}", i * 2 + 1),
                "; }",
            ),
        ),
        (
            "extension ranges and extensions",
            filled(
                &format!("{SYNTAX} message M {{ extensions 1 to max; }} extend M {{"),
                |i| format!("optional int32 e{i}={};", i + 20_000),
                "}",
            ),
        ),
        (
            "methods",
            filled(
                &format!("{SYNTAX} message M {{}} service S {{"),
                |i| format!("rpc R{i}(M)returns(M);"),
                "}",
            ),
        ),
        (
            "deep messages",
            (0..FILE_BYTES_MAX / 400)
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
fn worst_options() -> Vec<WorstCase> {
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
            filled(SYNTAX, |i| format!("option (no{i})=1;"), ""),
        ),
    ]
}

/// Returns worst-case files with many errors or comments, or with long names or strings.
fn worst_faults() -> Vec<WorstCase> {
    vec![
        (
            "unknown types",
            filled(
                &format!("{SYNTAX} message M {{"),
                |i| format!("optional No{i} f{i}={i};"),
                "}",
            ),
        ),
        (
            "names twice",
            filled(SYNTAX, |_| "message M{}".to_owned(), ""),
        ),
        (
            "numbers twice",
            filled(
                &format!("{SYNTAX} message M {{"),
                |i| format!("optional int32 f{i}=1;"),
                "}",
            ),
        ),
        (
            "a comment",
            filled(&format!("{SYNTAX} /*"), |_| "*/ /*".to_owned(), "*/"),
        ),
        (
            "a text",
            filled(
                &format!("{SYNTAX} option java_package = "),
                |_| "\"a\" ".to_owned(),
                ";",
            ),
        ),
        (
            "a long name",
            filled(&format!("{SYNTAX} message "), |_| "a".to_owned(), "{}"),
        ),
        (
            "a package of many parts",
            filled(&format!("{SYNTAX} package a"), |_| ".a".to_owned(), ";"),
        ),
        (
            "a type name of many parts",
            filled(
                &format!("{SYNTAX} message M {{ optional a"),
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

/// Measures a first compile of the files of a directory, and a compile after each edit of one of
/// three files.
fn edits(from: &Path) {
    let directory = tempfile::tempdir().unwrap();
    copy(from, directory.path());
    let mut earlier = Earlier::default();
    let (time, files, errors) = timed(directory.path(), &mut earlier);
    println!("{:40} {time:>30}  {files} files, {errors} errors", "all");
    let outlines = earlier
        .texts
        .as_ref()
        .map_or_else(Vec::new, Texts::outlines);
    for at in [outlines.len() / 3, outlines.len() / 2, outlines.len() - 1] {
        let name = &outlines[at].name;
        let path = directory.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}message NewInThisEdit {{}}\n")).unwrap();
        let (time, files, errors) = timed(directory.path(), &mut earlier);
        println!("{name:40} {time:>30}  {files} files, {errors} errors");
        fs::write(&path, text).unwrap();
        timed(directory.path(), &mut earlier);
    }
}

fn main() {
    let argument = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if let Some(directory) = argument
        .as_deref()
        .map(Path::new)
        .filter(|path| path.is_dir())
    {
        return edits(directory);
    }
    let directory = tempfile::tempdir().unwrap();
    write_thousand(directory.path());
    let mut earlier = Earlier::default();
    let (time, files, errors) = timed(directory.path(), &mut earlier);
    println!(
        "{:40} {time:>30}  {files} files, {errors} errors",
        "1000 files"
    );
    for changed in [999, 500, 0] {
        let path = directory.path().join(format!("f{changed}.proto"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}message New {{}}\n")).unwrap();
        let (time, files, errors) = timed(directory.path(), &mut earlier);
        println!(
            "{:40} {time:>30}  {files} files, {errors} errors",
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
        if argument
            .as_ref()
            .is_some_and(|part| !name.contains(part.as_str()))
        {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("worst.proto"), &text).unwrap();
        let (time, files, errors) = timed(directory.path(), &mut Earlier::default());
        println!("{name:40} {time:>30}  {files} files, {errors} errors");
    }
}
