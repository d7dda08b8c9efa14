//! The conformance cases that are skipped, with the reasons.

const OPTIONAL: &str =
    "optional values are an option of the language that protovalidate does not have";
const ENUMS: &str =
    "enums are integers, as in protovalidate; separate enum types are an option of the language";
const EXTENSION: &str = "belongs to an extension library that protovalidate does not have";

/// Prefixes of `file/section/case`, with the reason why the cases that match are skipped.
pub const LEFT_OUT: [(&str, &str); 10] = [
    ("bindings_ext/", EXTENSION),
    (
        "block_ext/",
        "cel.block is written by optimizers, not by people",
    ),
    ("encoders_ext/", EXTENSION),
    ("enums/strong_proto2/", ENUMS),
    ("enums/strong_proto3/", ENUMS),
    ("math_ext/", EXTENSION),
    ("network_ext/", EXTENSION),
    ("optionals/", OPTIONAL),
    (
        "type_deduction/flexible_type_parameter_assignment/optional_",
        OPTIONAL,
    ),
    (
        "type_deduction/legacy_nullable_types/null_assignable_to_abstract_parameter_candidate",
        OPTIONAL,
    ),
];
