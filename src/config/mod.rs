//! Turns the configuration files into a [`Snapshot`], or into the errors of all files.
//!
//! `routes.yaml` → `yaml` (values with places) → `source` (the sections) → `resolve`, which looks
//! up names and compiles schemas, so that the result refers to nothing by name. `inputs` keeps the
//! files and their sections between reading and resolving.

mod admin;
mod binds;
mod breaking;
mod channels;
mod environment;
mod explain;
mod file;
mod frontend_type;
mod inputs;
mod json_schema;
mod keys;
mod limits;
mod loaded;
mod log;
mod near;
mod needs;
mod origin;
mod principals;
mod protos;
mod quoted;
mod resolve;
mod schema;
mod section;
mod security;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
mod variables;
mod yaml;
mod yaml_text;

use std::net::SocketAddr;
use std::path::Path;

use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostics, escaped, shown};

pub use binds::Bind;
pub use environment::Environment;
pub use explain::Explanation;
pub use inputs::{FilesIdentity, Inputs};
pub use json_schema::JSON_SCHEMA;
pub use loaded::Loaded;
pub use origin::Origin;
pub use yaml::FILE_MAX;

/// Reads and resolves `path` and the .proto files that it names. On failure, returns all errors in
/// these files.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load()
}

/// Reads and resolves `path` for the generation that follows `running`. Changes that would break
/// peers of `running` are warnings, or errors if the file says `breaking: reject`.
pub fn load_after(path: &Path, running: &Snapshot) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load_after(running)
}

/// Returns the address of `admin.bind` in the configuration at `path`, even if other sections have
/// errors. Fails with a message if there is no valid address, or if the system chooses the port.
pub(crate) fn admin_address(path: &Path) -> Result<SocketAddr, String> {
    let name = escaped(&shown(path));
    let file = file::read_text(path).map_err(|fault| fault.message)?;
    let mut found = Diagnostics::new();
    let root = yaml::parse(&file, &Environment::of_process(), &mut found);
    let root =
        root.ok_or_else(|| format!("{name} can't be read: run `gateway check` to see why"))?;
    let source = source::read_file(&root, &mut found);
    let admin = source.admin.ok_or_else(|| match root.has("admin") {
        true => format!("the admin address of {name} is wrong: run `gateway check` to see why"),
        false => {
            format!("{name} has no admin address, such as\nadmin: {{ bind: \"127.0.0.1:9559\" }}")
        }
    })?;
    match admin.value.bind {
        bind if bind.port() == 0 => Err(format!(
            "{}: the system chooses the port of the admin address",
            admin.place
        )),
        bind => Ok(bind),
    }
}
