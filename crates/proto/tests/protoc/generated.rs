//! Tests with generated .proto files, for which the built-in compiler and protoc must give the same
//! results.
//!
//! `GENERATED_CASES=n` sets the number of cases on which the compilers must agree, and
//! `GENERATED_SEED=n` the seed. By default, a run is short and always has the same seed.
//! `tests/generated.sh` makes a long run.

use std::fs;
use std::path::Path;

use crate::mutations::changed_text;
use crate::{generator, judge};

/// The number of cases that one process of protoc judges.
const BATCH_CASES: u64 = 500;

/// The number of differences after which a run ends.
const DIFFERENCES_MAX: usize = 10;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Texts in the diagnostics of intended differences. A definition in the package `google` clashes
/// with descriptor.proto, which protoc knows only if a file imports it.
const INTENDED: &[&str] = &["google/protobuf/descriptor.proto comes with the gateway"];

/// The numbers of cases by verdict.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    /// protoc crashed, so its verdict is unknown, or the difference is intended.
    unjudged: u64,
}

#[test]
fn both_compilers_agree_on_generated_files() {
    let Some(python) = judge::python() else {
        return;
    };
    let seed = number("GENERATED_SEED", 1);
    let wanted = number("GENERATED_CASES", 1000);
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    let mut batch = 0;
    while tally.accepted + tally.refused < wanted && wrong.len() < DIFFERENCES_MAX {
        judge_batch(&python, seed + batch, &mut tally, &mut wrong);
        batch += 1;
        eprintln!(
            "{batch} batches from seed {seed}: {tally:?}, {} differ",
            wrong.len()
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // If this assertion fails, the generator no longer covers both verdicts.
    let judged = tally.accepted + tally.refused;
    assert!(
        tally.accepted > judged / 3 && tally.refused > judged / 5,
        "{tally:?}"
    );
    assert!(tally.unjudged < judged / 50, "{tally:?}");
}

/// Judges the cases of one seed.
fn judge_batch(python: &Path, seed: u64, tally: &mut Tally, wrong: &mut Vec<String>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for case in 0..BATCH_CASES {
        let case = directory.path().join(format!("c{case}"));
        fs::create_dir(&case).unwrap();
        let mut files = generator::files(&mut random);
        if random.u8(..100) < 15 {
            let changed = random.usize(..files.len());
            let text = files.values_mut().nth(changed).unwrap();
            *text = changed_text(text, &mut random);
        }
        for (name, text) in files {
            fs::write(case.join(name), text).unwrap();
        }
        cases.push(case);
    }
    for case in judge::judge(python, cases) {
        let is_intended = INTENDED.iter().any(|text| case.ours_report.contains(text));
        if case.theirs_report == judge::CRASHED || is_intended {
            tally.unjudged += 1;
        } else if case.ours != case.theirs || !case.different.is_empty() {
            wrong.push(format!("seed {seed}\n{}", case.shown()));
        } else if case.ours {
            tally.accepted += 1;
        } else {
            tally.refused += 1;
        }
    }
}
