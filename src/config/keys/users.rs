//! Parses the file of PLAIN's users: one `NAME:HASH` a line, as `gateway keygen --user` prints it.
//! Empty lines and lines that begin with `#` are ignored.

use std::collections::HashMap;
use std::sync::Arc;

use crate::security::{Hashed, principal_fault};
use gateway_diagnostic::{Diagnostic, Place, SourceFile};

/// The note on each fault. A fault affects no other line.
const IGNORED_NOTE: &str = "this line is ignored, and all other lines are in force";

/// The users of a file.
#[derive(Debug, Default)]
pub(super) struct UsersText {
    pub(super) users: HashMap<Arc<str>, Hashed>,
    pub(super) faults: Vec<Diagnostic>,
}

/// Parses the text of a file. `file` is the copy for diagnostics, in which hashes are masked and
/// all other characters have the same places.
pub(super) fn parse_users(text: &str, file: &Arc<SourceFile>) -> UsersText {
    let mut read = UsersText::default();
    let mut first: HashMap<Arc<str>, Place> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = |from: &str, part: &str| {
            let characters = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let column = characters(from).saturating_add(1);
            file.place(number, column, characters(part))
        };
        match read_user(line, place) {
            Ok((name, hashed, at)) => match first.get(&name) {
                Some(before) => {
                    let fault = Diagnostic::error(format!("user {name} has two lines")).at(at);
                    let fault = fault.label("expected a different name").note(IGNORED_NOTE);
                    read.faults
                        .push(fault.note_at("the first is at", before.clone()));
                }
                None => {
                    first.insert(Arc::clone(&name), at);
                    read.users.insert(name, hashed);
                }
            },
            Err(fault) => read.faults.push(fault.note(IGNORED_NOTE)),
        }
    }
    read
}

/// Returns the user in a line: the name, the hash, and the place of the name. Fails with the error
/// of the line. `place` takes the start of the line and the part that follows, and returns the
/// place of that part.
fn read_user(
    line: &str,
    place: impl Fn(&str, &str) -> Place,
) -> Result<(Arc<str>, Hashed, Place), Box<Diagnostic>> {
    let Some((name, hash)) = line.split_once(':') else {
        let fault = Diagnostic::error("the line names no user").at(place("", line));
        let fault = fault.label("expected NAME:HASH");
        let fault = fault.help("`gateway keygen --user NAME` prints such a line");
        return Err(Box::new(fault));
    };
    if let Some(why) = principal_fault(name) {
        let fault = Diagnostic::error("this can't be the name of a user").at(place("", name));
        return Err(Box::new(fault.label(why)));
    }
    let hashed = Hashed::parse(hash).map_err(|why| {
        let at = place(&line[..=name.len()], hash);
        let fault = Diagnostic::error(why.to_string()).at(at);
        let fault = fault.label(why.expected());
        let help = "`gateway keygen --user NAME` reads the password and prints the whole line";
        Box::new(fault.help(help))
    })?;
    Ok((name.into(), hashed, place("", name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_line_is_reported_at_its_place_and_the_other_lines_are_read() {
        let hash = Hashed::of(b"secret").unwrap().text();
        let text = format!(
            "# The users.\n\nalice:{hash}\r\nbob\na b:{hash}\ncarol:secret\nalice:{hash}\ndora:{hash}\n"
        );
        let file = SourceFile::new("users", text.clone());
        let UsersText { users, faults } = parse_users(&text, &file);
        let mut names: Vec<_> = users.keys().map(|name| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, ["alice", "dora"]);
        let places = faults.iter().map(|fault| {
            let place = fault.place.as_ref().unwrap();
            (place.line, place.column, place.width)
        });
        let places: Vec<_> = places.collect();
        assert_eq!(places, [(4, 1, 3), (5, 1, 3), (6, 7, 6), (7, 1, 5)]);
    }
}
