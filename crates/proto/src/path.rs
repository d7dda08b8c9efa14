//! The numbers of descriptor.proto's fields, by name, and functions that build paths of
//! SourceCodeInfo from these numbers.
//!
//! A path names a part of a file's descriptor: the number of a field, then an index if the field is
//! repeated, then the number of a field in that element, and so on.
//!
//! The descriptor model consists of the descriptor types of the `protobuf` crate. These types keep
//! a field that is unknown to them among their unknown fields.

/// `name` of every descriptor.
pub(super) const NAME: i32 = 1;
/// `FileDescriptorProto.package`.
pub(super) const FILE_PACKAGE: i32 = 2;
/// `FileDescriptorProto.dependency`.
pub(super) const FILE_DEPENDENCY: i32 = 3;
/// `FileDescriptorProto.message_type`.
pub(super) const FILE_MESSAGE: i32 = 4;
/// `FileDescriptorProto.enum_type`.
pub(super) const FILE_ENUM: i32 = 5;
/// `FileDescriptorProto.service`.
pub(super) const FILE_SERVICE: i32 = 6;
/// `FileDescriptorProto.extension`.
pub(super) const FILE_EXTENSION: i32 = 7;
/// `FileDescriptorProto.options`.
pub(super) const FILE_OPTIONS: i32 = 8;
/// `FileDescriptorProto.edition`, unknown to the descriptor model.
pub(super) const FILE_EDITION: u32 = 14;
/// `FileDescriptorProto.option_dependency`, unknown to the descriptor model.
pub(super) const FILE_OPTION_DEPENDENCY: i32 = 15;
/// `DescriptorProto.field`.
pub(super) const MESSAGE_FIELD: i32 = 2;
/// `DescriptorProto.nested_type`.
pub(super) const MESSAGE_MESSAGE: i32 = 3;
/// `DescriptorProto.enum_type`.
pub(super) const MESSAGE_ENUM: i32 = 4;
/// `DescriptorProto.extension_range`.
pub(super) const MESSAGE_EXTENSION_RANGE: i32 = 5;
/// `DescriptorProto.extension`.
pub(super) const MESSAGE_EXTENSION: i32 = 6;
/// `DescriptorProto.options`.
pub(super) const MESSAGE_OPTIONS: i32 = 7;
/// `DescriptorProto.oneof_decl`.
pub(super) const MESSAGE_ONEOF: i32 = 8;
/// `DescriptorProto.reserved_range`.
pub(super) const MESSAGE_RESERVED: i32 = 9;
/// `DescriptorProto.reserved_name`.
pub(super) const MESSAGE_RESERVED_NAME: i32 = 10;
/// `DescriptorProto.visibility`, unknown to the descriptor model.
pub(super) const MESSAGE_VISIBILITY: u32 = 11;
/// `FieldDescriptorProto.extendee`.
pub(super) const FIELD_EXTENDEE: i32 = 2;
/// `FieldDescriptorProto.number`.
pub(super) const FIELD_NUMBER: i32 = 3;
/// `FieldDescriptorProto.label`.
pub(super) const FIELD_LABEL: i32 = 4;
/// `FieldDescriptorProto.type`.
pub(super) const FIELD_TYPE: i32 = 5;
/// `FieldDescriptorProto.type_name`.
pub(super) const FIELD_TYPE_NAME: i32 = 6;
/// `FieldDescriptorProto.default_value`.
pub(super) const FIELD_DEFAULT: i32 = 7;
/// `FieldDescriptorProto.options`.
pub(super) const FIELD_OPTIONS: i32 = 8;
/// `FieldDescriptorProto.json_name`.
pub(super) const FIELD_JSON_NAME: i32 = 10;
/// `EnumDescriptorProto.value`.
pub(super) const ENUM_VALUE: i32 = 2;
/// `EnumDescriptorProto.reserved_range`.
pub(super) const ENUM_RESERVED: i32 = 4;
/// `EnumDescriptorProto.reserved_name`.
pub(super) const ENUM_RESERVED_NAME: i32 = 5;
/// `EnumDescriptorProto.visibility`, unknown to the descriptor model.
pub(super) const ENUM_VISIBILITY: u32 = 6;
/// `EnumValueDescriptorProto.number`.
pub(super) const VALUE_NUMBER: i32 = 2;
/// `ServiceDescriptorProto.method`.
pub(super) const SERVICE_METHOD: i32 = 2;
/// `MethodDescriptorProto.input_type`.
pub(super) const METHOD_INPUT: i32 = 2;
/// `MethodDescriptorProto.output_type`.
pub(super) const METHOD_OUTPUT: i32 = 3;
/// `FileOptions.java_string_check_utf8`.
pub(super) const OPTION_JAVA_CHECK: i32 = 27;
/// `FileOptions.cc_generic_services`.
pub(super) const OPTION_CC_SERVICES: i32 = 16;
/// `FileOptions.java_generic_services`.
pub(super) const OPTION_JAVA_SERVICES: i32 = 17;
/// `FieldOptions.packed`.
pub(super) const OPTION_PACKED: i32 = 2;
/// `FieldOptions.lazy`.
pub(super) const OPTION_LAZY: i32 = 5;
/// `EnumDescriptorProto.options`.
pub(super) const ENUM_OPTIONS: i32 = 3;
/// `EnumValueDescriptorProto.options`.
pub(super) const VALUE_OPTIONS: i32 = 3;
/// `OneofDescriptorProto.options`.
pub(super) const ONEOF_OPTIONS: i32 = 2;
/// `DescriptorProto.ExtensionRange.options`.
pub(super) const RANGE_OPTIONS: i32 = 3;
/// `ServiceDescriptorProto.options`.
pub(super) const SERVICE_OPTIONS: i32 = 3;
/// `MethodDescriptorProto.options`.
pub(super) const METHOD_OPTIONS: i32 = 4;
/// `MessageOptions.message_set_wire_format`.
pub(super) const OPTION_MESSAGE_SET: i32 = 1;
/// `MessageOptions.deprecated_legacy_json_field_conflicts`, unknown to the descriptor model.
pub(super) const OPTION_LEGACY_JSON_CONFLICTS: u32 = 11;
/// `FieldOptions.ctype`.
pub(super) const OPTION_CTYPE: i32 = 1;
/// `FieldOptions.jstype`.
pub(super) const OPTION_JSTYPE: i32 = 6;
/// `FieldOptions.unverified_lazy`, unknown to the descriptor model.
pub(super) const OPTION_UNVERIFIED_LAZY: i32 = 15;
/// `FieldOptions.targets`, unknown to the descriptor model.
pub(super) const OPTION_TARGETS: u32 = 19;
/// `FieldOptions.feature_support`, unknown to the descriptor model.
pub(super) const OPTION_FEATURE_SUPPORT: u32 = 22;
/// `EnumValueOptions.feature_support`, unknown to the descriptor model.
pub(super) const VALUE_FEATURE_SUPPORT: u32 = 4;
/// `EnumOptions.allow_alias`.
pub(super) const OPTION_ALLOW_ALIAS: i32 = 2;
/// `ExtensionRangeOptions.declaration`, unknown to the descriptor model.
pub(super) const RANGE_DECLARATION: u32 = 2;
/// `ExtensionRangeOptions.verification`, unknown to the descriptor model.
pub(super) const RANGE_VERIFICATION: u32 = 3;
/// `ExtensionRangeOptions.Declaration.number`.
pub(super) const DECLARATION_NUMBER: u32 = 1;
/// `ExtensionRangeOptions.Declaration.full_name`.
pub(super) const DECLARATION_FULL_NAME: u32 = 2;
/// `ExtensionRangeOptions.Declaration.type`.
pub(super) const DECLARATION_TYPE: u32 = 3;
/// `ExtensionRangeOptions.Declaration.reserved`.
pub(super) const DECLARATION_RESERVED: u32 = 5;
/// `ExtensionRangeOptions.Declaration.repeated`.
pub(super) const DECLARATION_REPEATED: u32 = 6;
/// `FieldOptions.FeatureSupport.edition_introduced`.
pub(super) const SUPPORT_INTRODUCED: u32 = 1;
/// `FieldOptions.FeatureSupport.edition_deprecated`.
pub(super) const SUPPORT_DEPRECATED: u32 = 2;
/// `FieldOptions.FeatureSupport.deprecation_warning`.
pub(super) const SUPPORT_WARNING: u32 = 3;
/// `FieldOptions.FeatureSupport.edition_removed`.
pub(super) const SUPPORT_REMOVED: u32 = 4;
/// `FieldOptions.FeatureSupport.removal_error`.
pub(super) const SUPPORT_REMOVAL_ERROR: u32 = 5;
/// `google.protobuf.Any.type_url`.
pub(super) const ANY_TYPE_URL: i32 = 1;
/// `google.protobuf.Any.value`.
pub(super) const ANY_VALUE: i32 = 2;

/// Returns an index as a component of a SourceCodeInfo path.
pub(super) fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

/// Returns the path of the field `field` in the descriptor at `at`. If `which` is given, the field
/// is repeated, and the path leads to its element with that index.
pub(super) fn below(at: &[i32], field: i32, which: impl Into<Option<usize>>) -> Vec<i32> {
    let which = which.into().map(index);
    at.iter().copied().chain([field]).chain(which).collect()
}
