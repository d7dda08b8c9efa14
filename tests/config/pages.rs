//! The JSON schema, and the configurations that pages show.

use serde_json::Value;

/// The directory of the repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Returns the JSON schema of routes.yaml.
pub fn schema() -> Value {
    serde_json::from_str(gateway::config::JSON_SCHEMA).unwrap()
}

/// Returns each ```yaml block of a page that is a whole configuration.
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
