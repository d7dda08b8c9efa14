//! Tests of the configurations that `gateway check` accepts and rejects, and of its diagnostics.
//!
//! - `binary`: The binary under test.
//! - `check`: Valid files pass, and each invalid file has its expected diagnostics.
//! - `defaults`: The gateway, the JSON schema of routes.yaml and the pages about routes.yaml have
//!   the same defaults and bounds.
//! - `explain`: The rules of a message are listed with the cost of each rule.
//! - `json_schema`: `routes.schema.json` has the keys and words that the gateway reads.
//! - `mend`: The message about a broken setup is enough to mend the setup.
//! - `security`: Valid key files pass, and an error in a key file is reported with its position and
//!   with all other errors.
//! - `pages`: Helpers that return the JSON schema and the configurations in pages.
//! - `rules`: Each mistake in rules that docs/rules.md lists is explained at its position.

#[path = "../support/binary.rs"]
mod binary;
mod check;
mod defaults;
mod explain;
mod json_schema;
mod mend;
mod pages;
mod rules;
mod security;
