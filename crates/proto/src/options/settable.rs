//! A field that an option can set.

use protobuf::descriptor::FieldDescriptorProto;

use crate::features::Features;

/// A field that an option can set, and the features in force for it.
#[derive(Clone, Copy)]
pub(super) struct Settable<'a> {
    pub(super) field: &'a FieldDescriptorProto,
    pub(super) features: Features,
}

impl std::ops::Deref for Settable<'_> {
    type Target = FieldDescriptorProto;

    fn deref(&self) -> &FieldDescriptorProto {
        self.field
    }
}
