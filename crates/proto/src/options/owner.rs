//! What an option is set on, by its path: what it is called, and where its options go.

use protobuf::descriptor::{
    DescriptorProto, EnumOptions, EnumValueOptions, ExtensionRangeOptions, FieldOptions,
    FileDescriptorProto, FileOptions, MessageOptions, MethodOptions, OneofOptions, ServiceOptions,
};

use super::super::parsed::Entity;
use super::super::path;
use super::super::symbols::full_name;

/// The full name of the descriptor at a path; of the message, for a range.
pub(in super::super) fn name_at(file: &FileDescriptorProto, at: &[i32]) -> Option<String> {
    let mut name = file.package().to_owned();
    let (list, which) = (*at.first()?, *at.get(1)? as usize);
    let rest = &at[2..];
    match list {
        path::FILE_ENUM => {
            let one = file.enum_type.get(which)?;
            let own = match rest {
                [_, value] => one.value.get(*value as usize)?.name(),
                _ => one.name(),
            };
            return Some(full_name(&name, own));
        }
        path::FILE_EXTENSION => return Some(full_name(&name, file.extension.get(which)?.name())),
        path::FILE_SERVICE => {
            let service = file.service.get(which)?;
            name = full_name(&name, service.name());
            return Some(match rest {
                [_, method] => full_name(&name, service.method.get(*method as usize)?.name()),
                _ => name,
            });
        }
        _ => {}
    }
    let mut message = file.message_type.get(which)?;
    name = full_name(&name, message.name());
    let mut steps = rest.chunks_exact(2);
    while let Some(&[list, which]) = steps.next() {
        let which = which as usize;
        let own = match list {
            path::MESSAGE_MESSAGE => {
                message = message.nested_type.get(which)?;
                name = full_name(&name, message.name());
                continue;
            }
            path::MESSAGE_FIELD => message.field.get(which)?.name(),
            path::MESSAGE_EXTENSION => message.extension.get(which)?.name(),
            path::MESSAGE_ONEOF => message.oneof_decl.get(which)?.name(),
            path::MESSAGE_ENUM => {
                let one = message.enum_type.get(which)?;
                match steps.next() {
                    Some(&[_, value]) => one.value.get(value as usize)?.name(),
                    _ => one.name(),
                }
            }
            _ => return Some(name),
        };
        return Some(full_name(&name, own));
    }
    Some(name)
}

/// Puts options, as bytes, where they belong.
pub(super) fn apply(file: &mut FileDescriptorProto, at: &[i32], entity: Entity, bytes: &[u8]) {
    /// What is set already (`map_entry`) stays.
    fn merge<M: protobuf::Message>(options: &mut protobuf::MessageField<M>, bytes: &[u8]) {
        let _ = options.mut_or_insert_default().merge_from_bytes(bytes);
    }
    let Some((which, before)) = at
        .split_last()
        .map(|(which, rest)| (*which as usize, &rest[..rest.len() - 1]))
    else {
        return merge::<FileOptions>(&mut file.options, bytes);
    };
    if let Entity::Service | Entity::Method = entity {
        let service = at.get(1).and_then(|&i| file.service.get_mut(i as usize));
        let Some(service) = service else { return };
        if entity == Entity::Service {
            return merge::<ServiceOptions>(&mut service.options, bytes);
        }
        let method = service.method.get_mut(which);
        return method
            .map(|m| merge::<MethodOptions>(&mut m.options, bytes))
            .unwrap_or_default();
    }
    let list = at[at.len() - 2];
    if entity == Entity::EnumValue {
        let enum_at = before.last().map_or(0, |&i| i as usize);
        let within = before.len().saturating_sub(2);
        let one = match message_mut(file, &before[..within]) {
            Some(message) => message.enum_type.get_mut(enum_at),
            None => file.enum_type.get_mut(enum_at),
        };
        let value = one.and_then(|e| e.value.get_mut(which));
        return value
            .map(|v| merge::<EnumValueOptions>(&mut v.options, bytes))
            .unwrap_or_default();
    }
    if before.is_empty() {
        match entity {
            Entity::Message => file
                .message_type
                .get_mut(which)
                .map(|m| merge::<MessageOptions>(&mut m.options, bytes)),
            Entity::Enum => file
                .enum_type
                .get_mut(which)
                .map(|e| merge::<EnumOptions>(&mut e.options, bytes)),
            _ => file
                .extension
                .get_mut(which)
                .map(|f| merge::<FieldOptions>(&mut f.options, bytes)),
        };
        return;
    }
    let Some(message) = message_mut(file, before) else {
        return;
    };
    match entity {
        Entity::Message => message
            .nested_type
            .get_mut(which)
            .map(|m| merge::<MessageOptions>(&mut m.options, bytes)),
        Entity::Enum => message
            .enum_type
            .get_mut(which)
            .map(|e| merge::<EnumOptions>(&mut e.options, bytes)),
        Entity::Oneof => message
            .oneof_decl
            .get_mut(which)
            .map(|o| merge::<OneofOptions>(&mut o.options, bytes)),
        Entity::ExtensionRange => message
            .extension_range
            .get_mut(which)
            .map(|r| merge::<ExtensionRangeOptions>(&mut r.options, bytes)),
        _ if list == path::MESSAGE_EXTENSION => message
            .extension
            .get_mut(which)
            .map(|f| merge::<FieldOptions>(&mut f.options, bytes)),
        _ => message
            .field
            .get_mut(which)
            .map(|f| merge::<FieldOptions>(&mut f.options, bytes)),
    };
}

fn message_mut<'a>(
    file: &'a mut FileDescriptorProto,
    at: &[i32],
) -> Option<&'a mut DescriptorProto> {
    let mut message = file.message_type.get_mut(*at.get(1)? as usize)?;
    for step in at[2..].chunks_exact(2) {
        message = message.nested_type.get_mut(step[1] as usize)?;
    }
    Some(message)
}
