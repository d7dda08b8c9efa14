//! Configuration: files → [`Snapshot`], or every fault of all of them.
//!
//! `routes.yaml` → `yaml` (values with places) → `source` (what it says) → `resolve`: names are looked
//! up, schemas compiled, and what comes out refers to nothing by name. `inputs` holds the files in between.

mod admin;
mod binds;
mod breaking;
mod file;
mod inputs;
mod json_schema;
mod limits;
mod loaded;
mod near;
mod needs;
mod origin;
mod protos;
mod resolve;
mod schema;
mod section;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

use std::path::Path;

use crate::snapshot::Snapshot;
use gateway_diagnostic::Diagnostics;

pub use binds::Bind;
pub use inputs::{Inputs, Seen};
pub use json_schema::JSON_SCHEMA;
pub use loaded::Loaded;
pub use origin::Origin;

/// Reads and resolves `path` and the .proto files that it names. The error holds every fault found.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load()
}

/// Reads and resolves `path` for the generation that is to follow `running`. The error also holds the changes that
/// would break peers of `running`.
pub fn load_after(path: &Path, running: &Snapshot) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load_after(running)
}
