//! A field that an option can set.

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::Type;

use crate::features::Features;

/// A field that an option can set, and the features in force for it.
#[derive(Clone, Copy)]
pub(super) struct Settable<'a> {
    pub(super) field: &'a FieldDescriptorProto,
    pub(super) features: Features,
}

impl Settable<'_> {
    /// Returns whether a message field is encoded as a group.
    pub(super) fn is_group(&self) -> bool {
        self.type_() == Type::TYPE_GROUP || self.features.delimited
    }
}

impl std::ops::Deref for Settable<'_> {
    type Target = FieldDescriptorProto;

    fn deref(&self) -> &FieldDescriptorProto {
        self.field
    }
}
