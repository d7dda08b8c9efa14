//! Tests that ARCHITECTURE.md, CONTRIBUTING.md and docs/internals name only files that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A text between backticks with one of these endings is the name of a file or a folder.
const ENDINGS: [&str; 8] = [".rs", ".sh", ".py", ".md", ".proto", ".json", ".yaml", "/"];

#[test]
fn every_file_that_the_pages_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tree = BTreeSet::new();
    collect(root, "", &mut tree);
    let mut pages = vec![root.join("ARCHITECTURE.md"), root.join("CONTRIBUTING.md")];
    for entry in fs::read_dir(root.join("docs/internals")).unwrap() {
        pages.push(entry.unwrap().path());
    }
    let (mut named, mut missing) = (0, Vec::new());
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter(is_file) {
            named += 1;
            if !tree.contains(name) {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(named > 150, "{named}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Returns whether a text between backticks is the name of a file or a folder. File extensions and
/// code are not.
fn is_file(name: &&str) -> bool {
    let in_names = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let is_extension = name.starts_with('.') && !name.contains('/');
    !is_extension
        && name.chars().all(in_names)
        && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Adds every name that a page may use for a file or a folder below `folder`. These are the path
/// and each end of the path.
fn collect(folder: &Path, prefix: &str, tree: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Pages may name these directories, but no files inside them.
        if [".git", "target", "node_modules"].contains(&name.as_str()) {
            tree.insert(format!("{name}/"));
            continue;
        }
        let path = format!("{prefix}/{name}");
        let directory = entry.path().is_dir();
        let ending = if directory { "/" } else { "" };
        for (at, _) in path.match_indices('/') {
            tree.insert(format!("{}{ending}", &path[at + 1..]));
        }
        if directory {
            collect(&entry.path(), &path, tree);
        }
    }
}
