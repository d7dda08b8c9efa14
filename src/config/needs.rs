//! Adds a note to each error in a .proto file. The note names the routes that need the file.
//!
//! A file that does not compile has no descriptors, so this module uses the texts. A route needs
//! each file that seems to define one of its messages, and the imports of such a file, direct and
//! indirect.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::source::Source;
use gateway_diagnostic::Diagnostics;
use gateway_proto::{Outlined, Texts, words};

/// The maximum number of routes that a note names. A longer list would not help.
const NAMED_MAX: usize = 8;

/// Adds a note to each error in a .proto file. The note names the routes that need the file.
pub(super) fn name_routes(source: &Source, texts: &Texts, of_protos: &mut Diagnostics) {
    if of_protos.is_empty() {
        return;
    }
    let files = texts.outlines();
    let by_name: HashMap<&str, usize> = files
        .iter()
        .enumerate()
        .map(|(n, f)| (&*f.name, n))
        .collect();
    let mut defining: HashMap<&str, Vec<usize>> = HashMap::new();
    for (n, file) in files.iter().enumerate() {
        for message in messages(&file.source.text) {
            defining.entry(message).or_default().push(n);
        }
    }
    let mut users: HashMap<&Path, BTreeSet<usize>> = HashMap::new();
    for (number, route) in source.routes.iter().enumerate() {
        let names = route.schema.iter().chain(&route.reply);
        let names = names.filter_map(|schema| schema.message.value.rsplit('.').next());
        let start = names
            .filter_map(|name| defining.get(name))
            .flatten()
            .copied();
        for n in reached(start.collect(), &files, &by_name) {
            users
                .entry(&files[n].source.path)
                .or_default()
                .insert(number);
        }
    }
    for fault in of_protos.iter_mut() {
        let place = fault.place.as_ref();
        if let Some(routes) = place.and_then(|place| users.get(place.file.path.as_path())) {
            let names: Vec<_> = routes
                .iter()
                .map(|n| source.routes[*n].name.as_str())
                .collect();
            fault.notes.push(needed_by(&names).into());
        }
    }
}

/// Returns the indices of the given files and of their imports, direct and indirect.
fn reached(
    mut open: Vec<usize>,
    files: &[Outlined],
    by_name: &HashMap<&str, usize>,
) -> HashSet<usize> {
    let mut seen = HashSet::new();
    while let Some(n) = open.pop() {
        if seen.insert(n) {
            let imports = files[n].imports.iter();
            open.extend(imports.filter_map(|name| by_name.get(name.as_str())));
        }
    }
    seen
}

/// Returns the names that follow the word `message` in a text that may not parse.
fn messages(text: &str) -> impl Iterator<Item = &str> {
    let mut before = "";
    words(text).filter(move |word| {
        let named = before == "message";
        before = word;
        named
    })
}

fn needed_by(routes: &[&str]) -> String {
    let (shown, more) = routes.split_at(routes.len().min(NAMED_MAX));
    let names = shown.join(", ");
    match (routes.len(), more.len()) {
        (1, _) => format!("needed by route {names}"),
        (_, 0) => format!("needed by routes {names}"),
        (_, more) => format!("needed by routes {names} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_in_broken_text() {
        let text = "message A{ message\n B {int32 id = }} // no message\nC messageD message /* E {";
        assert_eq!(messages(text).collect::<Vec<_>>(), ["A", "B", "E"]);
    }

    #[test]
    fn a_note_names_a_few_routes() {
        assert_eq!(needed_by(&["A"]), "needed by route A");
        assert_eq!(needed_by(&["A", "B"]), "needed by routes A, B");
        let many = needed_by(&["A"; 10]);
        assert_eq!(many, "needed by routes A, A, A, A, A, A, A, A and 2 more");
    }
}
