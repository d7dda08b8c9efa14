//! The texts of the errors that concern whole files: imports, nesting, a failure of the compiler.
//!
//! Other modules find the errors.

use crate::fault::TextFault;
use crate::outline::NESTING_MAX;
use crate::sources::{ProtoSource, ProtoSources};
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Place, did_you_mean, escaped};

/// Returns the error of a file in which brackets nest deeper than [`NESTING_MAX`]. Returns `None`
/// if no brackets nest that deep.
pub(super) fn too_deep(source: &ProtoSource) -> Option<Diagnostic> {
    let range = source.outline.too_deep.clone()?;
    let fault = TextFault::new(range, format!("brackets nest more than {NESTING_MAX} deep"));
    let fault = fault
        .label("one too many")
        .help("reduce the nesting: messages may nest 31 deep");
    Some(fault.within(&source.file))
}

/// Returns the error of a file at which the compiler panicked. `reason` is the message of the
/// panic.
pub(super) fn failed(source: &ProtoSource, reason: &str) -> Diagnostic {
    Diagnostic::error(format!(
        "the built-in compiler failed at this file: {reason}"
    ))
    .at(source.file.place(1, 1, 1))
    .help(
        "please report this with the file; to try protoc instead, write proto: { compiler: protoc } in routes.yaml",
    )
}

/// Returns the error for a file that the file `name` imports, but that does not exist.
pub(super) fn missing(
    import: &str,
    name: &str,
    source: &ProtoSource,
    sources: &ProtoSources,
) -> Diagnostic {
    let fault = Diagnostic::error(format!("{import:?} is not found"))
        .at(import_place(source, import))
        .label("no file of this name below the import paths");
    let roots: Vec<_> = sources.roots().map(|root| escaped(&root)).collect();
    let fault = fault.note(format!("import paths: {}", roots.join(", ")));
    let ending = format!("/{import}");
    // The file itself is no suggestion, because a file that imports itself is an error, too.
    let others = || sources.iter().filter(|(other, _)| *other != name);
    if let Some((name, other)) = others().find(|(other, _)| other.ends_with(&ending)) {
        let below = escaped(&other.file.path);
        let path = below.strip_suffix(&ending).unwrap_or(&below);
        return fault.help(format!(
            "import {name:?}, or add {path} to proto.import_paths"
        ));
    }
    let mut names: Vec<&str> = well_known::names().collect();
    names.extend(others().map(|(other, _)| other));
    let help = match did_you_mean(import, names) {
        Some(name) => format!("did you mean {name:?}?"),
        None => "put the file below an import path, or add its directory to proto.import_paths"
            .to_owned(),
    };
    fault.help(help)
}

/// Returns the place of the import of the file `import`, or the start of the file if the import is
/// not found.
pub(super) fn import_place(source: &ProtoSource, import: &str) -> Place {
    let written = source.outline.imports.iter().find(|i| i.name == import);
    let range = written.map_or(0..0, |i| i.range.clone());
    source.file.place_of_bytes(range)
}
