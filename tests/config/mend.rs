//! Tests of broken setups, each with the message that must be enough to mend it.
//!
//! `tests/config/mend/NAME` has `broken`, the directory with the mistake; `message`, the output of
//! `gateway check`; and `mended`, the directory after the advice of the message was followed.
//! `BLESS=1` regenerates the messages: review them as a reader would who knows neither the gateway
//! nor the mistake.

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
        let said = String::from_utf8(broken.stderr).unwrap();
        assert_eq!(
            (broken.status.code(), &broken.stdout[..]),
            (Some(1), &b""[..]),
            "{name}"
        );
        if std::env::var_os("BLESS").is_some() {
            fs::write(setup.join("message"), &said).unwrap();
        }
        assert_eq!(
            said,
            fs::read_to_string(setup.join("message")).unwrap(),
            "{name}"
        );
        let mended = check(&setup.join("mended"));
        let left = String::from_utf8(mended.stderr).unwrap();
        assert_eq!((mended.status.code(), &*left), (Some(0), ""), "{name}");
    }
}

/// Adds the text of every file below a directory, by its path: `below` and the path relative to the
/// directory.
fn texts(directory: &Path, below: &str, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => texts(&path, &format!("{name}/"), all),
            false => drop(all.insert(name, fs::read_to_string(&path).unwrap())),
        }
    }
}

/// The first place in a message is a line to change or next to one, or the message contains the
/// first line to add to the file.
#[test]
fn the_message_names_the_line_to_change() {
    for setup in setups() {
        let (mut broken, mut mended) = (BTreeMap::new(), BTreeMap::new());
        texts(&setup.join("broken"), "", &mut broken);
        texts(&setup.join("mended"), "", &mut mended);
        let message = String::from_utf8(check(&setup.join("broken")).stderr).unwrap();
        let mut places = message
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--> "));
        let place = places.next().unwrap();
        let mut parts = place.rsplitn(3, ':').skip(1);
        let line: usize = parts.next().unwrap().parse().unwrap();
        let file = parts.next().unwrap();
        let (broken, mended) = (&broken[file], &mended[file]);
        let same = broken
            .lines()
            .zip(mended.lines())
            .take_while(|(a, b)| a == b)
            .count();
        let tail = broken.lines().rev().zip(mended.lines().rev());
        let tail = tail.take_while(|(a, b)| a == b).count();
        // Lines count from 1: the range has the changed lines, and one more on either side.
        let changed = same..=broken.lines().count().saturating_sub(tail) + 1;
        let added = mended.lines().skip(same);
        let added = added.take(mended.lines().count().saturating_sub(same + tail));
        let mut added = added.map(str::trim).filter(|line| !line.is_empty());
        let says_it = added.next().is_some_and(|line| message.contains(line));
        assert!(
            changed.contains(&line) || says_it,
            "{}: {place}",
            setup.display()
        );
    }
}
