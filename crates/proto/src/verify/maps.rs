//! Checks map fields: the types of their keys and values.

use std::collections::HashMap;

use protobuf::descriptor::DescriptorProto;
use protobuf::descriptor::field_descriptor_proto::Type;

use super::{Check, bare};
use crate::features::{Features, place};
use crate::path::{self, below};

impl<'a> Check<'a, '_, '_> {
    pub(super) fn maps(
        &mut self,
        message: &'a DescriptorProto,
        name: &str,
        features: Features,
        at: &[i32],
    ) {
        let types = message
            .field
            .iter()
            .enumerate()
            .map(|(i, field)| (field.type_name(), i));
        let types: HashMap<_, _> = types.collect();
        for entry in message
            .nested_type
            .iter()
            .filter(|nested| nested.options.map_entry())
        {
            let type_name = format!(".{name}.{}", entry.name());
            let field = types.get(&type_name[..]).copied().unwrap_or_default();
            let field = below(at, path::MESSAGE_FIELD, field);
            let place = below(&field, path::FIELD_TYPE_NAME, None);
            let [key, value] = &entry.field[..] else {
                continue;
            };
            if !is_key(key.type_()) {
                let text = "a map's key can't be of this type";
                self.report
                    .fault(text, &place, "expected a whole number, bool or string", "");
            }
            self.closed_enum(value, &place);
            let features = features.within(value.options.as_ref(), place::FIELD);
            self.open_enum(value, features, &place);
            let starts_at = self
                .enum_of(value.type_name())
                .and_then(|(e, _)| Some(e.value.first()?.number()));
            if starts_at.is_some_and(|number| number != 0) {
                let text = format!("the first value of {} is not 0", bare(value.type_name()));
                let help = "add a value 0 at the start of the enum";
                self.report
                    .fault(text, &place, "an enum in a map must start with 0", help);
            }
        }
    }
}

fn is_key(kind: Type) -> bool {
    !matches!(
        kind,
        Type::TYPE_FLOAT
            | Type::TYPE_DOUBLE
            | Type::TYPE_BYTES
            | Type::TYPE_ENUM
            | Type::TYPE_MESSAGE
            | Type::TYPE_GROUP
    )
}
