//! Reads the text of routes.yaml.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::yaml::FILE_MAX;
use gateway_diagnostic::{Diagnostic, SourceFile, escaped, shown};
use gateway_proto::open_file;

/// The remedy for a file that does not exist at startup.
pub(super) const NOT_FOUND_HELP: &str = "run the gateway where routes.yaml is, \
     name the file with gateway -c FILE, or create one with gateway init";

/// The remedy for a file that existed at startup and is missing now.
pub(super) const REMOVED_HELP: &str = "put the file back: it existed when the gateway started, and its last content applies until it is back";

/// Reads the text of a configuration file. Fails with the error of a file that cannot be read, has
/// more than [`FILE_MAX`] bytes, or is not UTF-8.
pub(super) fn read_text(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let shown = shown(path);
    let mut bytes = Vec::new();
    // One byte more than the limit is read, to detect a file that is too large, such as a disk
    // image.
    let bound = FILE_MAX as u64 + 1;
    let outcome = open_file(path).and_then(|file| file.take(bound).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        let help = match error.kind() {
            io::ErrorKind::InvalidInput => {
                let fault = Diagnostic::error(format!("{} is not a file", escaped(&shown)));
                let help = "name a file, not a pipe or a device: the gateway reads the file again when it changes";
                return Err(Box::new(fault.help(help)));
            }
            io::ErrorKind::NotFound => NOT_FOUND_HELP,
            io::ErrorKind::IsADirectory => {
                "name a file in the directory: gateway -c DIRECTORY/routes.yaml"
            }
            io::ErrorKind::PermissionDenied => "let the gateway's user read the file",
            _ => "name a file that can be read: gateway -c FILE",
        };
        let fault = Diagnostic::error(format!("can't read {}: {error}", escaped(&shown)));
        return Err(Box::new(fault.help(help)));
    }
    if bytes.len() > FILE_MAX {
        return Err(too_large(&shown));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(source_file(shown, &text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let file = SourceFile::new(shown, String::from_utf8_lossy(error.as_bytes()));
            let fault = Diagnostic::error("the file is not UTF-8 text");
            let fault = fault.at(file.place_of_bytes(good..good + '\u{fffd}'.len_utf8()));
            Err(Box::new(
                fault
                    .label("this byte is not UTF-8")
                    .help("save the file as UTF-8"),
            ))
        }
    }
}

/// Returns the error of a configuration of more than [`FILE_MAX`] bytes.
pub(super) fn too_large(shown: &Path) -> Box<Diagnostic> {
    let mib = FILE_MAX >> 20;
    let fault = Diagnostic::error(format!("{} is larger than {mib} MiB", escaped(shown)));
    let help = "no configuration needs this size: is it the right file?";
    Box::new(fault.help(help))
}

/// Returns the text as a source file, without the byte order mark that some editors write.
pub(super) fn source_file(shown: PathBuf, text: &str) -> Arc<SourceFile> {
    SourceFile::new(shown, text.strip_prefix('\u{feff}').unwrap_or(text))
}
