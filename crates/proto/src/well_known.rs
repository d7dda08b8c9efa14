//! The files that are built into the gateway, unchanged and under their own licences: the
//! well-known files of protobuf, and protovalidate's validate.proto.

/// The name and text of each file.
const WELL_KNOWN_FILES: &[(&str, &str)] = &[
    (
        VALIDATE,
        include_str!("well_known/buf/validate/validate.proto"),
    ),
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

/// The file that defines the option messages, such as `FieldOptions`. The options in every `.proto`
/// file are fields of these messages.
pub(super) const DESCRIPTOR: &str = "google/protobuf/descriptor.proto";

/// The file that defines the rules of buf.validate. It changes with protovalidate's releases, so a
/// user's copy takes precedence.
pub(super) const VALIDATE: &str = "buf/validate/validate.proto";

/// The maximum length of the full name of a type in these files, in bytes.
const NAME_MAX: usize = 64;

/// Returns the names of the files, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    WELL_KNOWN_FILES.iter().map(|(name, _)| *name)
}

/// Returns whether one of these files has this name.
pub(super) fn has(name: &str) -> bool {
    text(name).is_some()
}

/// Returns the text of the file of this name.
pub(super) fn text(name: &str) -> Option<&'static str> {
    file(name).map(|(_, text)| text)
}

/// Returns the name and the text of the file of this name, or `None` if there is no such file.
pub(super) fn file(name: &str) -> Option<(&'static str, &'static str)> {
    let at = WELL_KNOWN_FILES
        .binary_search_by_key(&name, |(name, _)| name)
        .ok()?;
    Some(WELL_KNOWN_FILES[at])
}

/// Returns the file that defines a type, by the type's full name. Only top-level types of
/// `google.protobuf` and its subpackages are found.
pub(super) fn defining(full_name: &str) -> Option<&'static str> {
    // The look-up reads all texts, so names that cannot match are ruled out first.
    if !full_name.starts_with("google.protobuf.") || full_name.len() > NAME_MAX {
        return None;
    }
    let (package, name) = full_name.rsplit_once('.')?;
    let package = format!("package {package};");
    let starts = ["message", "enum"].map(|word| format!("{word} {name} {{"));
    let defines = |text: &str| {
        let is_definition = |line: &str| starts.iter().any(|start| line.starts_with(start));
        text.lines().any(|line| line == package) && text.lines().any(is_definition)
    };
    let file = WELL_KNOWN_FILES.iter().find(|(_, text)| defines(text));
    file.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_their_names() {
        for (name, file) in [
            (
                "google.protobuf.Timestamp",
                Some("google/protobuf/timestamp.proto"),
            ),
            (
                "google.protobuf.NullValue",
                Some("google/protobuf/struct.proto"),
            ),
            ("google.protobuf.Empty", Some("google/protobuf/empty.proto")),
            ("google.protobuf.Times", None),
            ("Timestamp", None),
            ("google.type.Date", None),
        ] {
            assert_eq!(defining(name), file, "{name}");
        }
    }

    #[test]
    fn each_well_known_file_is_found_by_its_name() {
        assert!(names().all(has));
        assert!(names().is_sorted());
    }
}
