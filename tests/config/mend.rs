//! Tests of broken setups. The message of `gateway check` about a setup must be enough to mend it.
//!
//! `tests/config/mend/NAME` has the directory `broken` with the mistake, the file `message` with
//! the output of `gateway check`, and the directory `mended`, in which the advice of the message
//! has been followed. Run the tests with `BLESS=1` to regenerate the messages. Review each message
//! like a reader who knows neither the gateway nor the mistake.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::binary::binary;

fn setups() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/mend");
    let mut all: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    all
}

fn check(directory: &Path) -> Output {
    Command::new(binary())
        .arg("check")
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn each_broken_setup_has_its_message_and_passes_once_corrected() {
    let setups = setups();
    assert!(setups.len() >= 20, "{}", setups.len());
    for setup in setups {
        let name = setup.display();
        let broken = check(&setup.join("broken"));
        let message = String::from_utf8(broken.stderr).unwrap();
        assert_eq!(
            (broken.status.code(), &broken.stdout[..]),
            (Some(1), &b""[..]),
            "{name}"
        );
        if std::env::var_os("BLESS").is_some() {
            fs::write(setup.join("message"), &message).unwrap();
        }
        assert_eq!(
            message,
            fs::read_to_string(setup.join("message")).unwrap(),
            "{name}"
        );
        let mended = check(&setup.join("mended"));
        let stderr = String::from_utf8(mended.stderr).unwrap();
        assert_eq!((mended.status.code(), &*stderr), (Some(0), ""), "{name}");
    }
}

/// Adds to `all` the text of every file below a directory. The key of a text is `prefix` followed
/// by the path relative to the directory.
fn texts(directory: &Path, prefix: &str, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => texts(&path, &format!("{name}/"), all),
            false => drop(all.insert(name, fs::read_to_string(&path).unwrap())),
        }
    }
}

/// The first position in a message is in a changed line or in the line before or after it, or the
/// message contains the first line that was added.
#[test]
fn the_message_has_the_position_of_the_change_or_the_added_line() {
    for setup in setups() {
        let (mut broken, mut mended) = (BTreeMap::new(), BTreeMap::new());
        texts(&setup.join("broken"), "", &mut broken);
        texts(&setup.join("mended"), "", &mut mended);
        let message = String::from_utf8(check(&setup.join("broken")).stderr).unwrap();
        let mut positions = message
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--> "));
        let position = positions.next().unwrap();
        let mut parts = position.rsplitn(3, ':').skip(1);
        let line: usize = parts.next().unwrap().parse().unwrap();
        let file = parts.next().unwrap();
        let (broken, mended) = (&broken[file], &mended[file]);
        let head = broken
            .lines()
            .zip(mended.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let tail = broken.lines().rev().zip(mended.lines().rev());
        let tail = tail.take_while(|(a, b)| a == b).count();
        // The number of the first line is 1, so the range has the changed lines, the line before
        // them and the line after them.
        let changed = head..=broken.lines().count().saturating_sub(tail) + 1;
        let added = mended.lines().skip(head);
        let added = added.take(mended.lines().count().saturating_sub(head + tail));
        let mut added = added.map(str::trim).filter(|line| !line.is_empty());
        let has_added = added.next().is_some_and(|line| message.contains(line));
        assert!(
            changed.contains(&line) || has_added,
            "{}: {position}",
            setup.display()
        );
    }
}
