//! The bounds of a YAML file.

/// The maximum size of a file, in bytes. It suffices for a hundred thousand routes, which the
/// gateway loads in seconds.
pub const FILE_MAX: usize = 16 << 20;

/// The maximum number of values after all aliases are expanded, for a file of at most 1 MiB. A
/// larger file may have as many values as bytes. A file without aliases never exceeds the maximum.
pub(super) const VALUES_MAX: usize = 1 << 20;

/// The maximum size of all expanded values that contain variables, in bytes. It equals the maximum
/// size of a file.
pub(super) const EXPANDED_MAX: usize = FILE_MAX;

/// The maximum nesting of lists and maps. A valid routes.yaml needs at most half as many levels.
pub(super) const DEPTH_MAX: usize = 16;

/// The maximum size of all scalars after aliases are expanded, in bytes. The text of a file and its
/// expanded variables have at most [`FILE_MAX`] bytes each, so a file without aliases never exceeds
/// this sum.
pub(super) const WRITTEN_OUT_MAX: usize = 2 * FILE_MAX;
