//! `gateway init`, which writes a first configuration in a directory that has none.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::output;
use gateway_diagnostic::escaped;

/// The files, each with its path in the directory and its text. The configuration is written last,
/// so that the .proto file that it uses exists before it.
const FILES: [(&str, &str); 2] = [
    ("schemas/person.proto", include_str!("init/person.proto")),
    ("routes.yaml", include_str!("init/routes.yaml")),
];

/// Writes a working configuration to `directory`, which is created if it does not exist. Changes
/// nothing if one of the files exists.
pub(super) fn init(directory: &Path) -> ExitCode {
    let files = FILES.map(|(name, text)| (directory.join(name), text));
    let taken = files
        .iter()
        .find(|(path, _)| path.symlink_metadata().is_ok());
    if let Some((path, _)) = taken {
        return failed(&format!("{} already exists", escaped(path)));
    }
    let mut outcome = String::new();
    for (path, text) in &files {
        if let Err(error) = write(path, text) {
            return failed(&format!("can't write {}: {error}", escaped(path)));
        }
        outcome += &format!("wrote {}\n", escaped(path));
    }
    let check = format!("gateway check {}", escaped(directory));
    output::print(&format!("{outcome}next: {check}\n"), ExitCode::SUCCESS)
}

/// Writes a new file, and creates its parent directories.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

fn failed(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {text}");
    ExitCode::FAILURE
}
