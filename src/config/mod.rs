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
mod plain;
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
mod yaml_text;

use std::net::SocketAddr;
use std::path::Path;

use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostics, escaped, shown};

pub use binds::Bind;
pub use inputs::{Inputs, Seen};
pub use json_schema::JSON_SCHEMA;
pub use loaded::Loaded;
pub use origin::Origin;
pub use yaml::FILE_MAX;

/// Reads and resolves `path` and the .proto files that it names. The error holds every fault found.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load()
}

/// Reads and resolves `path` for the generation that is to follow `running`. The error also holds the changes that
/// would break peers of `running`.
pub fn load_after(path: &Path, running: &Snapshot) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load_after(running)
}

/// Returns the address of `admin.bind` in the configuration at `path`, whatever else is wrong with the file. The error
/// says why there is none, or none that could be asked.
pub fn admin_address(path: &Path) -> Result<SocketAddr, String> {
    let name = escaped(&shown(path));
    let file = file::read_text(path).map_err(|fault| fault.message)?;
    let mut found = Diagnostics::new();
    let root = yaml::parse(&file, &mut found);
    let root = root.ok_or_else(|| format!("{name} can't be read: gateway check says why"))?;
    let source = source::read_file(&root, &mut found);
    let admin = source.admin.ok_or_else(|| {
        format!("{name} has no admin address, such as\nadmin: {{ bind: \"127.0.0.1:9559\" }}")
    })?;
    match admin.value.bind {
        bind if bind.port() == 0 => Err(format!(
            "{}: the system chooses the port of the admin address",
            admin.place
        )),
        bind => Ok(bind),
    }
}
