//! The elements on which options are set: their names by path, and the fields that hold their
//! options.

use protobuf::descriptor::{
    DescriptorProto, EnumOptions, EnumValueOptions, ExtensionRangeOptions, FieldOptions,
    FileDescriptorProto, FileOptions, MessageOptions, MethodOptions, OneofOptions, ServiceOptions,
};
use protobuf::{Message, MessageField};

use crate::parsed::Entity;
use crate::path;
use crate::symbols::full_name;

/// Returns the full name of the descriptor at a path. For an extension range, returns the full name
/// of its message. Returns `None` for the empty path, and if there is no descriptor at the path.
pub(crate) fn name_at(file: &FileDescriptorProto, at: &[i32]) -> Option<String> {
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

/// Adds encoded options to the options of the element at `at`.
pub(super) fn apply(file: &mut FileDescriptorProto, at: &[i32], entity: Entity, bytes: &[u8]) {
    let Some((&which, before)) = at.split_last() else {
        return merge::<FileOptions>(&mut file.options, bytes);
    };
    let Some((&list, outer)) = before.split_last() else {
        return;
    };
    let which = which as usize;
    match entity {
        Entity::File => merge::<FileOptions>(&mut file.options, bytes),
        Entity::Service | Entity::Method => merge_service(file, at, entity, bytes),
        Entity::EnumValue => merge_enum_value(file, outer, which, bytes),
        _ if outer.is_empty() => merge_top_level(file, which, entity, bytes),
        _ => {
            if let Some(message) = message_mut(file, outer) {
                merge_in_message(message, list, which, entity, bytes);
            }
        }
    }
}

/// Adds encoded options to the options that are already set, such as `map_entry` or features.
fn merge<M: Message>(options: &mut MessageField<M>, bytes: &[u8]) {
    let _ = options.mut_or_insert_default().merge_from_bytes(bytes);
}

/// Adds the options of a service or method.
fn merge_service(file: &mut FileDescriptorProto, at: &[i32], entity: Entity, bytes: &[u8]) {
    let [_, service, method @ ..] = at else {
        return;
    };
    let Some(service) = file.service.get_mut(*service as usize) else {
        return;
    };
    if entity == Entity::Service {
        return merge::<ServiceOptions>(&mut service.options, bytes);
    }
    let method = method.last().map(|&which| which as usize);
    if let Some(method) = method.and_then(|which| service.method.get_mut(which)) {
        merge::<MethodOptions>(&mut method.options, bytes);
    }
}

/// Adds the options of a value of the enum at `at`.
fn merge_enum_value(file: &mut FileDescriptorProto, at: &[i32], which: usize, bytes: &[u8]) {
    let enum_at = at.last().map_or(0, |&i| i as usize);
    let outer = &at[..at.len().saturating_sub(2)];
    let one = match message_mut(file, outer) {
        Some(message) => message.enum_type.get_mut(enum_at),
        None => file.enum_type.get_mut(enum_at),
    };
    if let Some(value) = one.and_then(|one| one.value.get_mut(which)) {
        merge::<EnumValueOptions>(&mut value.options, bytes);
    }
}

/// Adds the options of a message, enum or extension at the top of a file.
fn merge_top_level(file: &mut FileDescriptorProto, which: usize, entity: Entity, bytes: &[u8]) {
    match entity {
        Entity::Message => {
            let message = file.message_type.get_mut(which);
            message.map(|element| merge::<MessageOptions>(&mut element.options, bytes))
        }
        Entity::Enum => {
            let one = file.enum_type.get_mut(which);
            one.map(|element| merge::<EnumOptions>(&mut element.options, bytes))
        }
        _ => {
            let extension = file.extension.get_mut(which);
            extension.map(|element| merge::<FieldOptions>(&mut element.options, bytes))
        }
    };
}

/// Adds the options of an element of a message. The element has the index `which` in the message's
/// repeated field `list`.
fn merge_in_message(
    message: &mut DescriptorProto,
    list: i32,
    which: usize,
    entity: Entity,
    bytes: &[u8],
) {
    match entity {
        Entity::Message => {
            let nested = message.nested_type.get_mut(which);
            nested.map(|element| merge::<MessageOptions>(&mut element.options, bytes))
        }
        Entity::Enum => {
            let one = message.enum_type.get_mut(which);
            one.map(|element| merge::<EnumOptions>(&mut element.options, bytes))
        }
        Entity::Oneof => {
            let oneof = message.oneof_decl.get_mut(which);
            oneof.map(|element| merge::<OneofOptions>(&mut element.options, bytes))
        }
        Entity::ExtensionRange => {
            let range = message.extension_range.get_mut(which);
            range.map(|element| merge::<ExtensionRangeOptions>(&mut element.options, bytes))
        }
        _ => {
            let field = match list {
                path::MESSAGE_EXTENSION => message.extension.get_mut(which),
                _ => message.field.get_mut(which),
            };
            field.map(|element| merge::<FieldOptions>(&mut element.options, bytes))
        }
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
