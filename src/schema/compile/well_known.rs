//! The files that the gateway brings along: protobuf's own, unchanged, under protobuf's licence.

/// Name and text of each.
const FILES: &[(&str, &str)] = &[
    (
        "google/protobuf/any.proto",
        include_str!("well_known/google/protobuf/any.proto"),
    ),
    (
        "google/protobuf/api.proto",
        include_str!("well_known/google/protobuf/api.proto"),
    ),
    (
        "google/protobuf/compiler/plugin.proto",
        include_str!("well_known/google/protobuf/compiler/plugin.proto"),
    ),
    (
        "google/protobuf/cpp_features.proto",
        include_str!("well_known/google/protobuf/cpp_features.proto"),
    ),
    (
        DESCRIPTOR,
        include_str!("well_known/google/protobuf/descriptor.proto"),
    ),
    (
        "google/protobuf/duration.proto",
        include_str!("well_known/google/protobuf/duration.proto"),
    ),
    (
        "google/protobuf/empty.proto",
        include_str!("well_known/google/protobuf/empty.proto"),
    ),
    (
        "google/protobuf/field_mask.proto",
        include_str!("well_known/google/protobuf/field_mask.proto"),
    ),
    (
        "google/protobuf/go_features.proto",
        include_str!("well_known/google/protobuf/go_features.proto"),
    ),
    (
        "google/protobuf/java_features.proto",
        include_str!("well_known/google/protobuf/java_features.proto"),
    ),
    (
        "google/protobuf/source_context.proto",
        include_str!("well_known/google/protobuf/source_context.proto"),
    ),
    (
        "google/protobuf/struct.proto",
        include_str!("well_known/google/protobuf/struct.proto"),
    ),
    (
        "google/protobuf/timestamp.proto",
        include_str!("well_known/google/protobuf/timestamp.proto"),
    ),
    (
        "google/protobuf/type.proto",
        include_str!("well_known/google/protobuf/type.proto"),
    ),
    (
        "google/protobuf/wrappers.proto",
        include_str!("well_known/google/protobuf/wrappers.proto"),
    ),
];

/// The one that says what options there are: every file's options are read by it.
pub(super) const DESCRIPTOR: &str = "google/protobuf/descriptor.proto";

/// Their names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Whether one has this name.
pub(super) fn has(name: &str) -> bool {
    text(name).is_some()
}

/// The text of the one of this name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let at = FILES.binary_search_by_key(&name, |(name, _)| name).ok()?;
    Some(FILES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        assert!(names().all(has));
        assert!(names().is_sorted());
    }
}
