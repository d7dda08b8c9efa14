//! Names that the parser, the linker and the checks share: the names of scalar types and of map
//! entry messages, and the default JSON names of fields.

use protobuf::descriptor::field_descriptor_proto::Type;

/// The names of the scalar types.
pub(crate) const SCALAR_NAMES: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// Returns the scalar type with the name `word`, or `None` if there is no such type.
pub(crate) fn scalar(word: &str) -> Option<Type> {
    Some(match word {
        "double" => Type::TYPE_DOUBLE,
        "float" => Type::TYPE_FLOAT,
        "int32" => Type::TYPE_INT32,
        "int64" => Type::TYPE_INT64,
        "uint32" => Type::TYPE_UINT32,
        "uint64" => Type::TYPE_UINT64,
        "sint32" => Type::TYPE_SINT32,
        "sint64" => Type::TYPE_SINT64,
        "fixed32" => Type::TYPE_FIXED32,
        "fixed64" => Type::TYPE_FIXED64,
        "sfixed32" => Type::TYPE_SFIXED32,
        "sfixed64" => Type::TYPE_SFIXED64,
        "bool" => Type::TYPE_BOOL,
        "string" => Type::TYPE_STRING,
        "bytes" => Type::TYPE_BYTES,
        _ => return None,
    })
}

/// Returns the JSON name of a field without a `json_name`, as protoc derives it.
pub(crate) fn camel_case(name: &str) -> String {
    let mut json = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        if c != '_' {
            json.push(if upper { c.to_ascii_uppercase() } else { c });
        }
        upper = c == '_';
    }
    json
}

/// The suffix of the name of each message that holds a map's entries.
pub(crate) const ENTRY_SUFFIX: &str = "Entry";

/// Returns the name of the message that holds a map field's entries.
pub(crate) fn entry_name(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + ENTRY_SUFFIX.len());
    let mut upper = true;
    for c in field.chars() {
        if c != '_' {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
        }
        upper = c == '_';
    }
    name + ENTRY_SUFFIX
}
