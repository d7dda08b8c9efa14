//! What `gateway check` accepts and rejects, and what it says.
//!
//! - `check`: Valid files pass, and each invalid file has its expected diagnostics.
//! - `defaults`: Defaults and bounds of routes.yaml are those of its JSON schema and of docs/routes.md.
//! - `json_schema`: `routes.schema.json` has the keys and words that the gateway reads.
//! - `mend`: The message about a broken setup is enough to mend it.
//! - `pages`: What the others share: the JSON schema, and the configurations that pages show.

mod check;
mod defaults;
mod json_schema;
mod mend;
mod pages;
