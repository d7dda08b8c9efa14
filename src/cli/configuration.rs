//! The path of the configuration, as it is written on the command line.

use std::path::{Path, PathBuf};

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// The name of standard input in diagnostics. Compilers use the same name.
pub(super) const STANDARD_INPUT_SHOWN: &str = "<stdin>";

/// The name of the configuration in a directory.
const FILE_NAME: &str = "routes.yaml";

/// Returns the file that `path` names: the path itself or, for a directory, the routes.yaml in it.
pub(super) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path.to_owned()
    }
}
