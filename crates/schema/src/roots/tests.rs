//! Tests that only the needed files are decoded for a table, and that the table equals the table of
//! all files.

use std::fs;
use std::path::Path;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, CompiledFile, Compiler, Descriptors, Texts};

use crate::options::Encoding;
use crate::rules::RuleSet;
use crate::table::{Root, Table};

const ENCODINGS: [Encoding; 3] = [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json];

/// Compiles the files in a directory twice. Returns the second result, in which no descriptor of
/// the user's files is decoded.
fn compiled_again(directory: &Path) -> Descriptors {
    let mut cache = Cache::default();
    let mut compile = || {
        let mut found = Diagnostics::new();
        let texts = Texts::read(&[directory.to_owned()], Compiler::Builtin);
        let made = texts.compile(&mut cache, &mut found);
        made.unwrap_or_else(|| panic!("{found}"))
    };
    compile();
    compile()
}

fn of_files(files: &[(&str, String)]) -> Descriptors {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    compiled_again(directory.path())
}

/// Returns the names of the decoded files of the user, sorted.
fn decoded(descriptors: &Descriptors) -> Vec<&str> {
    let files = descriptors.compiled_files().iter();
    let own = files.filter(|file| descriptors.source(file.name()).is_some());
    let decoded = own.filter(|file| file.is_decoded());
    let mut names: Vec<_> = decoded.map(CompiledFile::name).collect();
    names.sort_unstable();
    names
}

fn file(name: &'static str, imports: &[&str], text: &str) -> (&'static str, String) {
    let imports = imports.iter().map(|name| format!("import \"{name}\";"));
    let imports: String = imports.collect();
    (name, format!("edition = \"2023\"; {imports} {text}"))
}

/// Returns the names and texts of files. The message `Root` needs the files `a` to `d`. It needs
/// `c` and `d` only because `c` extends the message `B`.
fn chained() -> Vec<(&'static str, String)> {
    vec![
        file("a.proto", &["b.proto"], "message Root { B b = 1; }"),
        file(
            "b.proto",
            &[],
            "message B { extensions 100 to 200; message In {} }",
        ),
        file(
            "c.proto",
            &["b.proto", "d.proto"],
            "message Own { extend B { d.D.In c = 100; } }",
        ),
        file("d.proto", &[], "package d; message D { message In {} }"),
        file(
            "e.proto",
            &["b.proto"],
            "message E { extensions 1; B.In b = 2; }",
        ),
        file(
            "f.proto",
            &["a.proto", "e.proto"],
            "extend E { Root root = 1; }",
        ),
        file(
            "g.proto",
            &["google/protobuf/any.proto"],
            "message Holder { google.protobuf.Any any = 1; }",
        ),
    ]
}

#[test]
fn only_the_files_that_roots_reach_are_decoded() {
    for (root, expected) in [
        ("Missing", vec![]),
        ("B.Missing", vec!["b.proto"]),
        ("Root", vec!["a.proto", "b.proto", "c.proto", "d.proto"]),
        (
            "E",
            vec![
                "a.proto", "b.proto", "c.proto", "d.proto", "e.proto", "f.proto",
            ],
        ),
        ("d.D.In", vec!["d.proto"]),
        ("Holder", vec!["g.proto"]),
    ] {
        let descriptors = of_files(&chained());
        assert_eq!(decoded(&descriptors), [""; 0]);
        assert_eq!(descriptors.message_count(), 9);
        assert!(!descriptors.has_rules(root));
        Table::for_roots(&descriptors, [(Encoding::Protobuf, root)]).unwrap();
        descriptors.definitions([root]);
        assert_eq!(decoded(&descriptors), expected, "{root}");
    }
    // In JSON, the `Any` of `Holder` may contain any message, so all files are decoded.
    let descriptors = of_files(&chained());
    Table::for_roots(&descriptors, [(Encoding::Json, "Holder")]).unwrap();
    assert_eq!(decoded(&descriptors).len(), 7);
}

#[test]
fn the_files_that_rules_need_are_decoded() {
    let mut files = chained();
    files.extend([
        file(
            "m.proto",
            &["buf/validate/validate.proto", "google/protobuf/any.proto"],
            "package m; message M { Small small = 1 [(buf.validate.field).cel_expression =
             \"this.n < 3 || x.Named{} == x.Named{}\"]; } message Small { int32 n = 1; }",
        ),
        file(
            "n.proto",
            &["o.proto"],
            "package x; message Named { o.O o = 1; }",
        ),
        file("o.proto", &[], "package o; message O {}"),
        file("p.proto", &[], "package y; message Named {}"),
    ]);
    let descriptors = of_files(&files);
    assert!(descriptors.has_rules("m.M"));
    let table = Table::for_roots(&descriptors, [(Encoding::Protobuf, "m.M")]).unwrap();
    assert!(table.message("x.Named").is_some() && table.message("o.O").is_some());
    assert!(table.message("y.Named").is_none());
    // Files without a package are decoded, because any single word in a rule may name one of their
    // types.
    let of_rules = ["m.proto", "n.proto", "o.proto"];
    let without_package = [
        "a.proto", "b.proto", "c.proto", "e.proto", "f.proto", "g.proto",
    ];
    let mut expected = [&of_rules[..], &without_package].concat();
    expected.sort_unstable();
    assert_eq!(decoded(&descriptors), expected);
    let mut found = Diagnostics::new();
    let rule_set = RuleSet::build(&descriptors, &table.into(), &["m.M"], &mut found);
    assert!(rule_set.is_some(), "{found}");
    assert_eq!(decoded(&descriptors), expected);
}

/// Returns the names and texts of random files. File `n` defines a message `M<n>` in the package
/// `p<n % 3>`. The message refers to types of earlier files, and the file extends earlier messages.
fn random_files(count: usize, random: &mut fastrand::Rng) -> Vec<(String, String)> {
    let name = |n: usize| format!("p{}.M{n}", n % 3);
    let files = (0..count).map(|n| {
        let mut imports: Vec<_> = (0..random.usize(..3)).map(|_| random.usize(..=n)).collect();
        imports.retain(|import| *import < n);
        imports.sort_unstable();
        imports.dedup();
        let mut text = String::from("edition = \"2023\";");
        for import in &imports {
            text += &format!("import \"f{import}.proto\";");
        }
        let has_any = random.u8(..8) == 0;
        if has_any {
            text += "import \"google/protobuf/any.proto\";";
        }
        let mut extensions = String::new();
        text += &format!("package p{}; message M{n} {{ extensions 100 to 999;", n % 3);
        text += "enum E { A = 0; } message In { E e = 1; }";
        for (at, &import) in (1..).zip(&imports) {
            match random.u8(..4) {
                0 => text += &format!("{} f{at} = {at};", name(import)),
                1 => text += &format!("repeated {}.In f{at} = {at};", name(import)),
                2 => text += &format!("{}.E f{at} = {at};", name(import)),
                _ => {
                    let number = 100 + n;
                    let kind = match random.u8(..3) {
                        0 => "int32".to_owned(),
                        1 => format!("M{n}"),
                        _ => format!("M{n}.In"),
                    };
                    extensions +=
                        &format!("extend {} {{ {kind} x{n}_{at} = {number}; }}", name(import));
                }
            }
        }
        if has_any {
            text += "google.protobuf.Any any = 9;";
        }
        (format!("f{n}.proto"), format!("{text} }} {extensions}"))
    });
    files.collect()
}

#[test]
fn the_table_of_the_decoded_files_equals_the_table_of_all_files() {
    const FILES: usize = 12;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut partly, mut extended) = (0, 0);
    for _ in 0..20 {
        let files = random_files(FILES, &mut random);
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        for n in 0..FILES {
            let descriptors = compiled_again(directory.path());
            let (encoding, name) = (ENCODINGS[n % 3], format!("p{}.M{n}", n % 3));
            let table = Table::for_roots(&descriptors, [(encoding, name.as_str())]).unwrap();
            partly += usize::from(decoded(&descriptors).len() < FILES);
            let root = Root {
                name: &name,
                opens_any: encoding == Encoding::Json,
            };
            let whole = Table::build_reached(descriptors.files(), &[root], |_| false).unwrap();
            assert_eq!(
                format!("{table:?}"),
                format!("{whole:?}"),
                "{name} of {files:?}"
            );
            extended += usize::from(format!("{table:?}").contains("[p"));
        }
    }
    assert!(partly > 100 && extended > 30, "{partly} {extended}");
}
