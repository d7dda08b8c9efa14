//! Tests with the corpus `tests/protos`: protoc accepts and rejects the same files, reports errors
//! at the same lines, and produces the same descriptors. The constants list the exceptions.

use std::fs;
use std::path::Path;

use crate::judge;

/// The cases that protoc accepts and the built-in compiler rejects.
const STRICTER: &[&str] = &[
    // The strings of a descriptor must be UTF-8.
    "default_string_377",
    "escape_u_large",
    "lone_surrogate_name",
    // The file must be UTF-8 too, except for its comments.
    "not_utf8_bytes_default",
    // protoc silently drops the rest of the value.
    "aggregate_hash_comment",
    // protoc rejects these options if they are written without brackets.
    "option_map_entry_in_brackets",
    "option_uninterpreted_in_brackets",
];

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

#[test]
fn both_compilers_produce_equal_descriptors_of_valid_files() {
    let Some(python) = judge::python() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let all = directory.path().join("valid");
    copy(Path::new("tests/protos/valid"), &all);
    let judged = judge::judge(&python, vec![all]);
    assert!(judged[0].ours, "{}", judged[0].ours_report);
    assert!(judged[0].theirs, "{}", judged[0].theirs_report);
    assert_eq!(
        judged[0].different,
        [] as [&str; 0],
        "{}",
        judged[0].different.join("\n")
    );
}

#[test]
fn both_compilers_reject_the_invalid_files_at_the_same_lines() {
    let Some(python) = judge::python() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for entry in fs::read_dir("tests/protos/invalid").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "stderr") {
            continue;
        }
        let case = directory.path().join(path.file_stem().unwrap());
        fs::create_dir_all(&case).unwrap();
        let to = if path.is_dir() {
            case.clone()
        } else {
            case.join(path.file_name().unwrap())
        };
        copy(&path, &to);
        cases.push(case);
    }
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let mut wrong = Vec::new();
    let mut elsewhere = Vec::new();
    for case in judge::judge(&python, cases) {
        let name = case.directory.file_name().unwrap().to_str().unwrap();
        let stricter = STRICTER.contains(&name);
        if case.ours || case.theirs != stricter || case.theirs_report == judge::CRASHED {
            wrong.push(format!(
                "{name}: ours {} theirs {}\n{}{}",
                case.ours, case.theirs, case.ours_report, case.theirs_report
            ));
        } else if !stricter && !same_line(name, &case) {
            wrong.push(format!(
                "{name}: lines\n{}{}",
                case.ours_report, case.theirs_report
            ));
        }
        let theirs = their_places(&case);
        let mut ours = our_places(&case.ours_report).into_iter();
        if !theirs.is_empty() && !ours.any(|at| theirs.contains(&at)) {
            elsewhere.push(name.to_owned());
        }
    }
    // protoc often reports the start or the end of a statement, so the columns differ.
    eprintln!(
        "at other columns of the same lines: {}",
        elsewhere.join(" ")
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The position of an error: file, line, column.
type ErrorPosition = (String, usize, usize);

/// Conflicts for which protoc reports one side and the built-in compiler the other. A note of the
/// built-in compiler names the place that protoc reports.
const OTHER_SIDE: &[&str] = &[
    "extension_number_twice",
    "extension_range_reserved",
    "extension_ranges_overlap",
    "reserved_enum_number",
    "reserved_number",
    "reserved_overlap",
];

/// The cases for which the built-in compiler reports more errors than protoc, which stops earlier.
const MORE: &[&str] = &["broken_import", "number_range", "semicolons_forgotten"];

/// Returns true if the errors of the built-in compiler are at lines that protoc reports, except for
/// the cases in [`OTHER_SIDE`] and [`MORE`]. Also returns true if protoc reports no place.
fn same_line(name: &str, case: &judge::Judged) -> bool {
    let theirs = their_places(case);
    let ours = our_places(&case.ours_report);
    let line = |(file, line, _): &ErrorPosition| (file.clone(), *line);
    let lines: Vec<_> = theirs.iter().map(line).collect();
    let mut known = ours.iter().map(|at| lines.contains(&line(at)));
    match () {
        () if theirs.is_empty() => true,
        () if OTHER_SIDE.contains(&name) => theirs
            .iter()
            .all(|(file, line, _)| case.ours_report.contains(&format!(" at {file}:{line}:"))),
        () if MORE.contains(&name) => known.any(|known| known),
        () => known.all(|known| known),
    }
}

/// Returns the places of the errors in the rendered diagnostics, without the places of notes.
fn our_places(report: &str) -> Vec<ErrorPosition> {
    let arrows = report.lines().filter_map(|line| {
        let mut parts = line.trim_start().strip_prefix("--> ")?.rsplitn(3, ':');
        let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        Some((file.to_owned(), line.parse().ok()?, column.parse().ok()?))
    });
    arrows.collect()
}

fn their_places(case: &judge::Judged) -> Vec<ErrorPosition> {
    let places = case.theirs_report.lines().filter_map(|line| {
        let mut parts = line.splitn(4, ':');
        let (file, line, column) = (parts.next()?, parts.next()?, parts.next()?);
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let text = fs::read(case.directory.join(file)).ok()?;
        // protoc reports the first line, or a line after the last, if it knows no place.
        let lines = String::from_utf8_lossy(&text).lines().count();
        let placed = (line, column) != (1, 1) && line <= lines;
        placed.then(|| (file.to_owned(), line, column))
    });
    places.collect()
}
