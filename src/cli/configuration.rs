//! The path of the configuration, as people give it.

use std::path::{Path, PathBuf};

/// The path that stands for standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// How standard input is named in diagnostics, as by compilers.
pub(super) const STANDARD_INPUT_SHOWN: &str = "<stdin>";

/// The name of the configuration in a directory.
const FILE_NAME: &str = "routes.yaml";

/// Returns the file that `path` names: the path itself or, of a directory, the routes.yaml in it.
pub(super) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path.to_owned()
    }
}
