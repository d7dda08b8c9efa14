//! Tests of the reuse of linked files, and of the time limit.

use super::*;
use crate::stack::on_a_large_stack;

/// Compiles files within a time limit. Returns the number of descriptors, and the rendered
/// diagnostics.
fn compiled(files: &[(&str, &str)], limit: Duration) -> (usize, String) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut found = Diagnostics::new();
    let sources = ProtoSources::read(&[directory.path().to_path_buf()], None, &mut found);
    let made = on_a_large_stack(&mut found, |found| {
        compile_within(limit, &sources, &mut Cache::default(), found)
    });
    (made.unwrap().len(), found.render(false))
}

#[test]
fn the_time_limit_is_reported_once_with_the_file_at_which_it_was_reached() {
    let (count, report) = compiled(&[("a.proto", ""), ("b.proto", "")], Duration::ZERO);
    assert_eq!(count, 0);
    assert_eq!(
        report
            .matches("error: compiling takes longer than 0 s")
            .count(),
        1
    );
    assert!(report.contains("the time ran out at a.proto"), "{report}");
}

/// Checks a thousand files. Each file imports the file with half its number. After an edit, the
/// only decoded files are the changed file, its importers, and all imports of these files.
#[test]
fn a_change_recompiles_only_the_files_that_depend_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let write = |n: usize, more: &str| {
        let import = match n {
            1 => String::new(),
            n => format!(
                "import \"f{}.proto\"; message M{n} {{ M{} m = 1; }}",
                n / 2,
                n / 2
            ),
        };
        let own = if n == 1 { "message M1 {}" } else { "" };
        let text = format!("syntax = \"proto3\"; {import} {own} {more}");
        std::fs::write(directory.path().join(format!("f{n}.proto")), text).unwrap();
    };
    (1..=1000).for_each(|n| write(n, ""));
    let mut cache = Cache::default();
    // The files 500 and 501 import file 250, and file 1000 imports file 500. The imports of file
    // 1000, direct and indirect, are 500, 250, 125, 62, 31, 15, 7, 3 and 1.
    for (changed, more, expected, decoded) in [
        (1000, "", 1000, 1000),
        (1000, "", 0, 0),
        (1000, "message New {}", 1, 10),
        (250, "message New250 {}", 4, 11),
        // The first edit makes an error, and the second removes it. The files that were linked
        // before the error are still in the cache.
        (501, "nonsense", 1, 0),
        (501, "", 1, 9),
    ] {
        write(changed, more);
        let mut found = Diagnostics::new();
        let sources = ProtoSources::read(&[directory.path().to_path_buf()], None, &mut found);
        let mut run = Run::new(&sources, cache, TIME_LIMIT);
        let known = run.known.len();
        run.parse();
        run.find_missing_imports();
        let is_parsed = |unit: &&FileStage| matches!(unit, FileStage::Parsed(_));
        let parsed = run.units.values().filter(is_parsed).count();
        let order = run.order();
        let (files, next) = run.link(&order);
        let faulty = run.faults.faulty.len();
        assert_eq!(parsed + faulty, expected, "{changed} {more}");
        assert_eq!(files.len(), 1000 - faulty);
        let is_decoded = |file: &&CompiledFile| file.is_decoded();
        let count = files.iter().filter(is_decoded).count();
        assert_eq!(count, decoded, "{changed} {more}");
        // descriptor.proto counts too, though no file imports it.
        assert_eq!(known, if expected == 1000 { 0 } else { 1001 - expected });
        cache = next;
    }
}

/// Checks that an unchanged file is decoded only if the changed file may define one of its names.
#[test]
fn a_change_decodes_only_files_that_may_define_the_same_name() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write(
        "a.proto",
        "package p.q; message A { enum In { X = 0; } } enum E { V = 0; }",
    );
    write("b.proto", "package p; message B { message In {} }");
    write("c.proto", "package p.q.r; service S {}");
    let mut cache = Cache::default();
    for (text, decoded, errors) in [
        ("", vec!["a.proto", "b.proto", "c.proto", "d.proto"], 0),
        ("package p.q; message New {}", vec!["d.proto"], 0),
        // The other definitions of `In` are within messages, and files may share the package
        // `p.q.r`.
        (
            "package p.q.r.s; message In { enum A { V = 0; } }",
            vec!["d.proto"],
            0,
        ),
        ("package p.q; message A {}", vec!["a.proto"], 1),
        ("package p.q; service V {}", vec!["a.proto"], 1),
        ("package p.B; message Other {}", vec!["b.proto"], 1),
        ("package p.B.In; message Other {}", vec!["b.proto"], 2),
        ("package p.q; enum Q { r = 0; }", vec!["c.proto"], 1),
        (
            "package p; enum Q { q = 0; }",
            vec!["a.proto", "c.proto"],
            1,
        ),
    ] {
        write("d.proto", &format!("syntax = \"proto2\"; {text}"));
        let mut found = Diagnostics::new();
        let sources = ProtoSources::read(&[directory.path().to_path_buf()], None, &mut found);
        let files = compile(&sources, &mut cache, &mut found);
        let files = files.iter().filter(|file| file.is_decoded());
        let mut names: Vec<_> = files.map(CompiledFile::name).collect();
        names.sort_unstable();
        assert_eq!(names, decoded, "{text}\n{found}");
        assert_eq!(found.errors(), errors, "{text}\n{found}");
    }
}

/// Each of these files links without errors if there is no time limit. Each keeps a different part
/// of the linker busy.
#[test]
fn linking_a_single_file_ends_at_the_limit() {
    let many = |line: &str| line.repeat(1000);
    let lists = "message O { repeated int32 n = 1; repeated O o = 2; }
        extend google.protobuf.FileOptions { repeated int32 n = 50000; optional O o = 50001; }";
    for text in [
        format!(
            "enum E {{ option allow_alias = true; {} }}",
            numbered("V# = 0;")
        ),
        format!("message M {{ {} }}", numbered("optional M f# = @;")),
        format!("{lists} {}", many("option (n) = 1;")),
        format!("{lists} option (o) = {{ {} }};", many("n: 1 ")),
        format!("{lists} option (o) = {{ n: [{} 1] }};", many("1,")),
        format!("{lists} option (o) = {{ {} }};", many("o {} ")),
    ] {
        let text = format!("import \"google/protobuf/descriptor.proto\"; {text}");
        let link = |budget: &Budget| {
            let mut linker = Linker::default();
            let descriptor = well_known::text(well_known::DESCRIPTOR).unwrap();
            for (name, text) in [(well_known::DESCRIPTOR, descriptor), ("a.proto", &text)] {
                let parsed = parse(name, text, &Budget::unlimited()).unwrap();
                let source = SourceFile::new(name, text);
                let faults = match name {
                    "a.proto" => linker.link(&parsed, &source, budget)?,
                    _ => linker.link(&parsed, &source, &Budget::unlimited())?,
                };
                assert!(faults.is_empty(), "{faults:?}");
            }
            Ok(())
        };
        assert_eq!(link(&Budget::until(Instant::now() + TIME_LIMIT)), Ok(()));
        let over = Budget::until(Instant::now());
        assert_eq!(link(&over), Err(OutOfTime), "{text:.200}");
    }
}

/// Returns a thousand copies of the line, with `#` and `@` replaced by numbers.
fn numbered(line: &str) -> String {
    let with_numbers = |n: usize| {
        line.replace('#', &n.to_string())
            .replace('@', &(n + 1).to_string())
    };
    (0..1000).map(with_numbers).collect()
}
