//! Helpers that return the JSON schema and the configurations in pages.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The directory of the repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the JSON schema of routes.yaml.
pub fn schema() -> Value {
    serde_json::from_str(gateway::config::JSON_SCHEMA).unwrap()
}

/// Returns the path and the text of README.md and of every page in `docs`.
pub fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// Returns the ```yaml blocks of a page that have `frontends`, and so are whole configurations.
pub fn configurations_in(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() == "```yaml" {
            let block = lines.by_ref().take_while(|line| line.trim_end() != "```");
            blocks.push(block.map(|line| format!("{line}\n")).collect());
        }
    }
    let is_whole = |block: &String| block.lines().any(|line| line.starts_with("frontends:"));
    blocks.retain(is_whole);
    blocks
}
