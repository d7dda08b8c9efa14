//! Field numbers of descriptor.proto: SourceCodeInfo's paths are made of them.

pub(super) const NAME: i32 = 1;
pub(super) const FILE_PACKAGE: i32 = 2;
pub(super) const FILE_DEPENDENCY: i32 = 3;
pub(super) const FILE_MESSAGE: i32 = 4;
pub(super) const FILE_ENUM: i32 = 5;
pub(super) const FILE_SERVICE: i32 = 6;
pub(super) const FILE_EXTENSION: i32 = 7;
pub(super) const FILE_OPTIONS: i32 = 8;
/// Unknown to the descriptor model.
pub(super) const FILE_EDITION: u32 = 14;
/// Unknown to the descriptor model.
pub(super) const FILE_OPTION_DEPENDENCY: i32 = 15;
pub(super) const MESSAGE_FIELD: i32 = 2;
pub(super) const MESSAGE_MESSAGE: i32 = 3;
pub(super) const MESSAGE_ENUM: i32 = 4;
pub(super) const MESSAGE_EXTENSION_RANGE: i32 = 5;
pub(super) const MESSAGE_EXTENSION: i32 = 6;
pub(super) const MESSAGE_OPTIONS: i32 = 7;
pub(super) const MESSAGE_ONEOF: i32 = 8;
pub(super) const MESSAGE_RESERVED: i32 = 9;
pub(super) const MESSAGE_RESERVED_NAME: i32 = 10;
/// Unknown to the descriptor model.
pub(super) const MESSAGE_VISIBILITY: u32 = 11;
pub(super) const FIELD_EXTENDEE: i32 = 2;
pub(super) const FIELD_NUMBER: i32 = 3;
pub(super) const FIELD_LABEL: i32 = 4;
pub(super) const FIELD_TYPE: i32 = 5;
pub(super) const FIELD_TYPE_NAME: i32 = 6;
pub(super) const FIELD_DEFAULT: i32 = 7;
pub(super) const FIELD_OPTIONS: i32 = 8;
pub(super) const FIELD_JSON_NAME: i32 = 10;
pub(super) const ENUM_VALUE: i32 = 2;
pub(super) const ENUM_RESERVED: i32 = 4;
pub(super) const ENUM_RESERVED_NAME: i32 = 5;
/// Unknown to the descriptor model.
pub(super) const ENUM_VISIBILITY: u32 = 6;
pub(super) const VALUE_NUMBER: i32 = 2;
pub(super) const SERVICE_METHOD: i32 = 2;
pub(super) const METHOD_INPUT: i32 = 2;
pub(super) const METHOD_OUTPUT: i32 = 3;
pub(super) const OPTION_JAVA_CHECK: i32 = 27;
pub(super) const OPTION_PACKED: i32 = 2;
pub(super) const OPTION_LAZY: i32 = 5;

/// Returns an index as SourceCodeInfo writes it.
pub(super) fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// The path of a descriptor's part: `field` of `at`, and which of them if it is repeated.
pub(super) fn below(at: &[i32], field: i32, which: impl Into<Option<usize>>) -> Vec<i32> {
    let which = which.into().map(index);
    at.iter().copied().chain([field]).chain(which).collect()
}
