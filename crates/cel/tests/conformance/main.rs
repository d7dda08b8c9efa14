//! Runs the conformance cases of the CEL specification.
//!
//! The cases are read from the directory that the variable `CEL_SPEC` names. It must hold `proto`
//! and `testdata`, which are `proto` and `tests/simple/testdata` of github.com/google/cel-spec. If
//! the variable is not set, no case runs. The project's own cases are in `tests/language`.
//!
//! - `case`: One case: its declarations, values and expected result.
//! - `same`: The comparison of a result with the expected result.
//! - `scope`: The cases that are left out, with the reason.

mod case;
mod same;
mod scope;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use prost_reflect::{DescriptorPool, DynamicMessage};

use case::{fields, run, text};
use scope::LEFT_OUT;
use support::Reflected;

/// The outcome of the cases.
#[derive(Default)]
struct Outcome {
    passed: usize,
    failures: Vec<String>,
    /// For each entry of [`LEFT_OUT`], the number of cases that match the entry.
    left_out: [usize; LEFT_OUT.len()],
}

#[test]
fn every_case_in_scope_has_the_result_of_the_specification() {
    let Some(folder) = std::env::var_os("CEL_SPEC") else {
        eprintln!("CEL_SPEC is not set: no case of the specification is run");
        return;
    };
    let folder = Path::new(&folder);
    let schema = Arc::new(Reflected::new(pool(&folder.join("proto"))));
    let mut outcome = Outcome::default();
    for entry in fs::read_dir(folder.join("testdata")).unwrap() {
        run_file(&schema, &entry.unwrap().path(), &mut outcome);
    }
    let left_out: usize = outcome.left_out.iter().sum();
    println!(
        "{} cases passed, {left_out} are out of scope",
        outcome.passed
    );
    assert!(
        outcome.failures.is_empty(),
        "{}",
        outcome.failures.join("\n")
    );
    assert!(outcome.passed >= 2_000, "the cases are not all there");
    for ((place, _), cases) in LEFT_OUT.iter().zip(outcome.left_out) {
        assert!(cases > 0, "no case begins with {place}");
    }
}

fn run_file(schema: &Arc<Reflected>, path: &Path, outcome: &mut Outcome) {
    let file = path.file_stem().unwrap().to_str().unwrap();
    let descriptor = schema
        .pool
        .get_message_by_name("cel.expr.conformance.test.SimpleTestFile");
    let source = fs::read_to_string(path).unwrap();
    let parsed = DynamicMessage::parse_text_format(descriptor.unwrap(), &source);
    let parsed = parsed.unwrap_or_else(|error| panic!("{file}: {error:?}"));
    for section in fields(&parsed, "section") {
        for test in fields(&section, "test") {
            let place = format!("{file}/{}/{}", text(&section, "name"), text(&test, "name"));
            let entry = LEFT_OUT
                .iter()
                .position(|(part, _)| place.starts_with(part));
            if let Some(entry) = entry {
                outcome.left_out[entry] += 1;
                continue;
            }
            match run(schema, &test) {
                Ok(()) => outcome.passed += 1,
                Err(reason) => {
                    let expr = text(&test, "expr");
                    outcome
                        .failures
                        .push(format!("{place}: `{expr}`: {reason}"));
                }
            }
        }
    }
}

fn pool(folder: &Path) -> DescriptorPool {
    let files = [
        "cel/expr/conformance/test/simple.proto",
        "cel/expr/conformance/proto2/test_all_types.proto",
        "cel/expr/conformance/proto2/test_all_types_extensions.proto",
        "cel/expr/conformance/proto3/test_all_types.proto",
    ];
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    compiler.include_imports(true);
    compiler
        .open_files(files.map(|file| folder.join(file)))
        .unwrap();
    // The cases' expressions name types that these files might not import.
    compiler
        .open_files([
            "google/protobuf/field_mask.proto",
            "google/protobuf/empty.proto",
        ])
        .unwrap();
    compiler.descriptor_pool()
}
