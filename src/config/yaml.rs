//! Parses YAML text into [`Node`]s, which are values with their places in the file.
//!
//! The events of saphyr-parser give the structure and the places; serde_yaml gives the type of an
//! unquoted scalar. Errors of the YAML itself are reported here. Parsing stops at the first syntax
//! error, because nothing after it can be trusted. Duplicate keys, tags and undefined variables are
//! all reported, and parsing continues after them.

mod bounds;
mod document;
mod expansion;
mod node;
mod raw;

use std::sync::Arc;

use super::environment::Environment;
use super::yaml_text::{conflicts, unprintable};
use document::raw_nodes;
use expansion::Values;
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};

pub use bounds::FILE_MAX;
pub(super) use node::{Node, NodeKind};

/// Parses the text of a file, of at most [`FILE_MAX`] bytes. The values of variables come from
/// `environment`. Returns `None` if the text cannot be parsed; the errors are then in `found`.
pub(super) fn parse(
    file: &Arc<SourceFile>,
    environment: &Environment,
    found: &mut Diagnostics,
) -> Option<Node> {
    let errors_before = found.errors();
    conflicts(file).for_each(|fault| found.push(fault));
    if found.errors() > errors_before {
        return None;
    }
    if let Some(fault) = unprintable(file) {
        found.push(fault);
        return None;
    }
    let outcome = raw_nodes(file, environment, found).and_then(|root| {
        let root = root.ok_or_else(|| Box::new(empty(file)))?;
        Values::new(file).node(&root)
    });
    outcome.map_err(|fault| found.push(*fault)).ok()
}

fn empty(file: &Arc<SourceFile>) -> Diagnostic {
    Diagnostic::error("the file is empty")
        .at(file.place(1, 1, 1))
        .label("expected frontends, pools and routes")
        .help("`gateway --help` shows the shortest file that works")
}

#[cfg(test)]
mod tests;
