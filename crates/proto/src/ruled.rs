//! The options that carry rules of buf.validate. These options are extensions, which
//! rust-protobuf's descriptors keep as unknown fields.

use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use protobuf::{Message, UnknownFields};

/// The field number of the extensions of MessageOptions, FieldOptions and OneofOptions that carry
/// the rules of buf.validate.
pub const RULES_EXTENSION: u32 = 1159;

/// The field number of the extension of FieldOptions that carries predefined rules.
pub const PREDEFINED_EXTENSION: u32 = 1160;

/// Returns whether a file has rules on messages, fields or oneofs, or defines predefined rules.
pub(super) fn defines_rules(file: &FileDescriptorProto) -> bool {
    file.extension.iter().any(is_predefined) || file.message_type.iter().any(has_rules_within)
}

/// Returns whether a message, one of its fields or one of its oneofs carries rules.
pub(super) fn carries_rules(message: &DescriptorProto) -> bool {
    let ruled = |fields: &UnknownFields| fields.get(RULES_EXTENSION).is_some();
    ruled(message.options.special_fields().unknown_fields())
        || message
            .field
            .iter()
            .any(|f| ruled(f.options.special_fields().unknown_fields()))
        || message
            .oneof_decl
            .iter()
            .any(|o| ruled(o.options.special_fields().unknown_fields()))
}

fn has_rules_within(message: &DescriptorProto) -> bool {
    carries_rules(message)
        || message.extension.iter().any(is_predefined)
        || message.nested_type.iter().any(has_rules_within)
}

fn is_predefined(extension: &FieldDescriptorProto) -> bool {
    let options = extension.options.special_fields().unknown_fields();
    options.get(PREDEFINED_EXTENSION).is_some()
}
