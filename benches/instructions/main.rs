//! `cargo bench --bench instructions`: the number of instructions that a message takes in the parts
//! of the gateway that every message passes, on fixed inputs. Unlike a time, this number is the
//! same on all machines of a kind, so CI can compare it with the committed number. The bench fails
//! if a count exceeds the committed number by more than 5 % and by more than 16 instructions. A
//! count that is lower by as much is reported, so that it can be committed before the gain is lost.
//! `tests/instructions.sh bless` writes all numbers again.
//!
//! Some counts have no committed number, but must be alike: see [`admission`].
//!
//! valgrind's callgrind counts the instructions of a run with few rounds and of one with many. The
//! cost of a round follows from the difference, which does not include the set-up.

mod admission;
mod cases;
mod inputs;
mod whole;

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

/// The numbers of rounds of the two runs. Their difference is so large that differences between two
/// set-ups, whose hash maps are seeded at random, do not matter.
const ROUNDS_FEW: u64 = 1_000;
const ROUNDS_MANY: u64 = 21_000;

/// The fraction by which a count may exceed the committed number.
const TOLERANCE: f64 = 0.05;

/// The number of instructions by which a count may always differ from the committed number. The
/// compiler lays out the same code differently if the sources are in a directory with another name.
/// This has changed the counts of short cases by up to 16.
const SLACK: f64 = 16.0;

const BASELINE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/baseline.txt"
);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, case, rounds] = &arguments[..]
        && role == "--run"
    {
        let rounds = rounds.parse().expect("a number");
        if !admission::run(case, rounds) {
            cases::run(case, rounds);
        }
        return ExitCode::SUCCESS;
    }
    let bless = arguments.iter().any(|argument| argument == "bless");
    let committed = std::fs::read_to_string(BASELINE).unwrap_or_default();
    let committed: BTreeMap<&str, f64> = committed
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(name, count)| (name, count.parse().expect("a number")))
        .collect();
    let mut failed = false;
    let mut text = String::new();
    for name in cases::NAMES {
        let count = instructions(name);
        text += &format!("{name}: {count:.0}\n");
        let before = committed.get(name).copied();
        let ratio = before.map_or(1.0, |before| count / before);
        let (fails, verdict) = match before {
            None => (true, "  not in the baseline"),
            Some(before) => verdict(before, count),
        };
        failed |= fails;
        println!("{name:<40} {count:>8.0} instructions  {ratio:>5.2}{verdict}");
    }
    for group in admission::GROUPS {
        failed |= !are_alike(group);
    }
    if bless {
        std::fs::write(BASELINE, text).expect("the baseline can be written");
        return ExitCode::SUCCESS;
    }
    match failed {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    }
}

/// Compares a count with the committed number. Returns whether the bench fails, and the text to
/// print.
fn verdict(before: f64, count: f64) -> (bool, &'static str) {
    let allowed = (before * TOLERANCE).max(SLACK);
    if count > before + allowed {
        (true, "  WORSE")
    } else if count < before - allowed {
        (false, "  better: run `tests/instructions.sh bless`")
    } else {
        (false, "")
    }
}

/// Prints the counts of a group of cases, and returns whether they are alike.
fn are_alike(group: &[&str]) -> bool {
    let counts: Vec<f64> = group.iter().map(|name| instructions(name)).collect();
    let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
    let mut alike = true;
    for (name, count) in group.iter().zip(&counts) {
        let ratio = count / least;
        let verdict = if ratio > 1.0 + admission::SPREAD_MAX {
            alike = false;
            "  NOT ALIKE"
        } else {
            ""
        };
        println!("{name:<40} {count:>8.0} instructions  {ratio:>7.4}{verdict}");
    }
    alike
}

/// Returns the instructions of one round of a case.
fn instructions(name: &str) -> f64 {
    (collected(name, ROUNDS_MANY) - collected(name, ROUNDS_FEW)) as f64
        / (ROUNDS_MANY - ROUNDS_FEW) as f64
}

/// Runs this program under callgrind, and returns the number of instructions that were counted.
fn collected(case: &str, rounds: u64) -> u64 {
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", case, &rounds.to_string()])
        .output()
        .expect("valgrind can be run");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("no count in {text}"))
}
