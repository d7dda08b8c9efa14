//! Tests that the files that ARCHITECTURE.md, CONTRIBUTING.md and docs/internals name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The endings by which a text between backticks is recognised as the name of a file or a folder.
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

/// Returns whether a text between backticks names a file or a folder, rather than a file extension
/// or code.
fn is_file(name: &&str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let kind = name.starts_with('.') && !name.contains('/');
    !kind && name.chars().all(plain) && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Adds every name by which a page may refer to a file or a folder below `folder`: each suffix of
/// its path.
fn collect(folder: &Path, prefix: &str, tree: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Pages may name the directories of git and of build output, but nothing inside them.
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
