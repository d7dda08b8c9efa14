//! Tests of the configurations that `gateway check` accepts and rejects, and of its diagnostics.
//!
//! - `binary`: The binary under test.
//! - `check`: Valid files pass, and each invalid file has its expected diagnostics.
//! - `defaults`: Defaults and bounds of routes.yaml are those of its JSON schema, and of
//!   docs/routes.md and docs/schemas.md.
//! - `explain`: The rules of a message are listed with the cost of each.
//! - `json_schema`: `routes.schema.json` has the keys and words that the gateway reads.
//! - `mend`: The message about a broken setup is enough to mend it.
//! - `security`: Valid key files pass, and an error in one is reported with its place and with all
//!   other errors.
//! - `pages`: Helpers that return the JSON schema and the configurations in pages.
//! - `rules`: Each mistake in rules that docs/rules.md lists is explained at its place.

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
