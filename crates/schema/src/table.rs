//! All messages and enums of a set of `.proto` files, in the flat form that the walks through
//! payloads read.
//!
//! A [`Table`] is built once (`build.rs`), shared by all schemas of its messages, and never
//! changes. Walks look up every field in the table, by number, by name or by position. A field
//! refers to its message or enum type by index. The table knows only two facts about encodings: the
//! tags and keys that identify fields, and the types that have a form of their own.

mod build;
mod declared;
mod error;
mod reach;
mod root;

use std::ops::Index;

pub(super) use error::FIELDS_MAX;
pub use error::TableError;
pub(super) use root::{ANY, Root};

use rustc_hash::FxHashMap;

use crate::needs::Needs;
use crate::prefix::KeyPrefixes;

/// The smallest field number that is looked up by binary search instead of in an array. The array
/// takes at most half a kilobyte and covers all numbers that people usually assign.
const DENSE_NUMBERS: u32 = 256;

/// The value that means "no such field" in the array of field numbers.
const NONE: u16 = u16::MAX;

/// All messages and enums of a set of `.proto` files, in the form that the checks read.
///
/// A table is built once and shared by all schemas of its messages.
#[derive(Debug, Default)]
pub struct Table {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    pub(super) by_name: FxHashMap<String, MessageId>,
}

/// A message type of a [`Table`], valid for that table alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(super) u32);

/// An enum of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnumId(pub u32);

impl Table {
    /// Returns the message of this fully qualified name, such as `pkg.Message`, or `None` if the
    /// table does not hold the message.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.by_name.get(full_name).copied()
    }

    /// Returns the fully qualified names of all messages that a schema can name, in no particular
    /// order.
    pub fn message_names(&self) -> impl Iterator<Item = &str> {
        let named = self.messages.iter().filter(|message| !message.map_entry);
        named.map(|message| &*message.name)
    }

    /// Returns the fully qualified name of a message.
    ///
    /// # Panics
    ///
    /// May panic if `id` belongs to another table.
    pub fn name(&self, id: MessageId) -> &str {
        &self[id].name
    }
}

impl Index<MessageId> for Table {
    type Output = Message;

    #[inline]
    fn index(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }
}

impl Index<EnumId> for Table {
    type Output = Enum;

    #[inline]
    fn index(&self, id: EnumId) -> &Enum {
        &self.enums[id.0 as usize]
    }
}

/// One message type. It is public only because an index operator must name its result.
#[derive(Debug)]
pub struct Message {
    pub(super) name: Box<str>,
    pub(super) form: Form,
    pub(super) map_entry: bool,
    /// Set if the message has `message_set_wire_format`: its items are encoded as groups that no
    /// field describes.
    pub(super) message_set: bool,
    /// The fields, ascending by number. A field's position here is its index.
    pub(super) fields: Box<[Field]>,
    /// The indices of the fields in declaration order, without extensions. MessagePack's array
    /// layout has the values in this order.
    pub(super) declared: Box<[u32]>,
    /// The fields in the order of `declared`, with their keys in JSON and MessagePack.
    pub(super) members: Box<[Member]>,
    /// The message's own proto2 `required` fields.
    pub(super) needs: Needs,
    /// For each protobuf tag of one byte, the kind of value that follows.
    pub(super) plain: Box<[Plain]>,
    /// The index of each field whose number is less than [`DENSE_NUMBERS`], by this number.
    dense: Box<[u16]>,
    /// The index of each field, by its name in the `.proto` file and by its name in JSON.
    names: FxHashMap<Box<str>, u32>,
}

impl Message {
    /// Creates a message type. `fields` holds the declared fields in declaration order, followed by
    /// the extensions, which have names in brackets.
    pub(super) fn new(name: &str, form: Form, mut fields: Vec<Field>) -> Self {
        let declared = (fields.iter())
            .filter(|field| !field.name.starts_with('['))
            .map(|field| field.number)
            .collect::<Vec<_>>();
        fields.sort_by_key(|field| field.number);
        let index_of = |number: u32| fields.partition_point(|field| field.number < number) as u32;
        let declared: Box<[u32]> = declared.into_iter().map(index_of).collect();
        for (place, &index) in (0..).zip(&declared) {
            if let Some(field) = fields.get_mut(index as usize) {
                field.place = place;
            }
        }

        let numbers = fields.iter().map(|field| field.number);
        let small = numbers.filter(|number| *number < DENSE_NUMBERS).max();
        let mut dense = vec![NONE; small.map_or(0, |number| number as usize + 1)];
        let mut needs = Needs::default();
        let mut names = FxHashMap::default();
        for (index, field) in (0u32..).zip(&fields) {
            if let Some(slot) = dense.get_mut(field.number as usize) {
                *slot = index as u16;
            }
            if field.required {
                needs.require(index);
            }
            names.insert(field.name.clone(), index);
        }
        // A name as written in the file takes precedence over another field's JSON name.
        for (index, field) in (0u32..).zip(&mut fields) {
            if *names.entry(field.json_name.clone()).or_insert(index) != index {
                field.json_name = field.name.clone();
            }
        }
        Self {
            name: name.into(),
            form,
            map_entry: false,
            message_set: false,
            plain: plain(&fields),
            members: (declared.iter())
                .map(|&index| Member::of(index, &fields[index as usize]))
                .collect(),
            fields: fields.into(),
            declared,
            needs,
            dense: dense.into(),
            names,
        }
    }

    /// Returns the index of the field of this number, or `None` if no field has the number.
    #[inline]
    pub(super) fn by_number(&self, number: u32) -> Option<u32> {
        match self.dense.get(number as usize) {
            Some(&NONE) => None,
            Some(&index) => Some(u32::from(index)),
            None if number < DENSE_NUMBERS => None,
            None => {
                let found = (self.fields).binary_search_by_key(&number, |field| field.number);
                found.ok().map(|index| index as u32)
            }
        }
    }

    /// Returns the index of the field with this name in the `.proto` file or in JSON.
    #[inline]
    pub(super) fn by_name(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Returns the index of the field at position `place` of [`Self::declared`], if this is the
    /// name of the field in the `.proto` file or in JSON.
    #[inline]
    pub(super) fn declared_as(&self, place: usize, name: &[u8]) -> Option<u32> {
        let index = *self.declared.get(place)?;
        let field = &self.fields[index as usize];
        let same = field.name.as_bytes() == name || field.json_name.as_bytes() == name;
        same.then_some(index)
    }

    /// Returns the position after field `index`, in declaration order.
    #[inline]
    pub(super) fn place_after(&self, index: u32) -> usize {
        self.fields[index as usize].place as usize + 1
    }

    /// Returns the names of all fields in the `.proto` file.
    pub(super) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| &*field.name)
    }
}

/// The kind of value that follows a one-byte protobuf tag, if the fast path of the protobuf walk
/// can check the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// The fast path cannot check the value, so the general path reads the field.
    No,
    Varint,
    /// A varint. The fast path cannot check the varint if unknown fields are rejected, because
    /// numbers that a closed enum does not define are then rejected, too.
    Enum,
    Eight,
    Four,
    Bytes,
    Text,
    /// A packed run of varints.
    Run,
    /// A message, which the walk reads field by field.
    Message,
}

/// Returns the kinds of values that follow one-byte tags, indexed by tag.
fn plain(fields: &[Field]) -> Box<[Plain]> {
    let mut plain = Vec::new();
    for field in fields.iter().filter(|field| field.number < 16) {
        let tag = |wire: u8| (field.number as usize) << 3 | usize::from(wire);
        plain.resize(tag(7) + 1, Plain::No);
        plain[tag(field.wire)] = match (field.kind, field.wire) {
            (FieldKind::String { utf8: true }, _) => Plain::Text,
            (FieldKind::String { utf8: false } | FieldKind::Bytes, _) => Plain::Bytes,
            (FieldKind::Enum(_), _) => Plain::Enum,
            (FieldKind::Message(_), _) => Plain::Message,
            (FieldKind::Group(_), _) => Plain::No,
            (_, wire::I64) => Plain::Eight,
            (_, wire::I32) => Plain::Four,
            _ => Plain::Varint,
        };
        if field.packable && plain[tag(field.wire)] == Plain::Varint {
            plain[tag(wire::LEN)] = Plain::Run;
        }
    }
    plain.into()
}

/// The form in which JSON writes a message. MessagePack has such forms, too, but writes Duration,
/// FieldMask and Any field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The fields of the message.
    Fields,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    Any,
    /// A wrapper such as `google.protobuf.Int32Value`: the bare value of its only field.
    Wrapper,
}

/// One field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(super) number: u32,
    pub(super) kind: FieldKind,
    pub(super) cardinality: Cardinality,
    /// The wire type of one element.
    pub(super) wire: u8,
    /// The field may also be encoded as a packed run of elements.
    pub(super) packable: bool,
    pub(super) required: bool,
    /// The field has no presence: a writer omits the default value.
    pub(super) implicit: bool,
    /// The position in [`Message::declared`]. Extensions have a position after all declared fields.
    pub(super) place: u32,
    /// The index of the field's oneof within the message. A proto3 `optional` field has none.
    pub(super) oneof: Option<u32>,
    /// The name in the `.proto` file, or `[pkg.name]` for an extension.
    pub(super) name: Box<str>,
    pub(super) json_name: Box<str>,
}

/// A field with its keys in JSON and MessagePack.
#[derive(Debug)]
pub(super) struct Member {
    /// The field's index.
    pub index: u32,
    pub value: MemberValue,
    /// The name in quotes, and the colon.
    pub json: KeyPrefixes,
    /// The name as a MessagePack string.
    pub msgpack: KeyPrefixes,
}

/// The kind of a member's value, if the fast path of the JSON or MessagePack walk can check the
/// value.
#[derive(Clone, Copy, Debug)]
pub(super) enum MemberValue {
    One(FieldKind),
    List(FieldKind),
    /// A map, or a member of a oneof. Another member of the oneof may be present already.
    Other,
}

impl Member {
    fn of(index: u32, field: &Field) -> Self {
        let value = match (field.oneof, field.cardinality) {
            (None, Cardinality::Singular) => MemberValue::One(field.kind),
            (None, Cardinality::Repeated) => MemberValue::List(field.kind),
            _ => MemberValue::Other,
        };
        let (name, json_name) = (&*field.name, &*field.json_name);
        // A key prefix in JSON contains no escapes, but a JSON name may be any text. If the JSON
        // name needs escapes, its prefix is replaced by the prefix of the proto name, which
        // consists of letters, digits and underscores.
        let escaped = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        let written = match json_name.bytes().any(escaped) {
            true => name,
            false => json_name,
        };
        Self {
            index,
            value,
            json: KeyPrefixes::new(json_key(written), json_key(name)),
            msgpack: KeyPrefixes::new(msgpack_key(name), msgpack_key(json_name)),
        }
    }
}

fn json_key(name: &str) -> Vec<u8> {
    format!("\"{name}\":").into_bytes()
}

fn msgpack_key(name: &str) -> Vec<u8> {
    let head = match name.len() {
        size @ 0..0x20 => vec![0xa0 | size as u8],
        size @ 0x20..0x100 => vec![0xd9, size as u8],
        // This prefix encodes the length of the name in four bytes. For names of up to 65,535
        // bytes, writers encode the length in two bytes. Such a key does not match the prefix, and
        // the general path reads the key.
        size => [&[0xdb][..], &(size as u32).to_be_bytes()].concat(),
    };
    [&head, name.as_bytes()].concat()
}

/// The number of elements that a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    Singular,
    Repeated,
    /// A map. The kind of the field is the entry message, with field 1 for the key and field 2 for
    /// the value.
    Map,
}

/// The type of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    /// A string. `utf8` is false where protobuf parsers do not check for UTF-8, as in proto2.
    String {
        utf8: bool,
    },
    Bytes,
    Enum(EnumId),
    Message(MessageId),
    /// A message between START_GROUP and END_GROUP.
    Group(MessageId),
}

/// The wire types of protobuf's tags.
pub(super) mod wire {
    pub(crate) const VARINT: u8 = 0;
    pub(crate) const I64: u8 = 1;
    pub(crate) const LEN: u8 = 2;
    pub(crate) const START_GROUP: u8 = 3;
    pub(crate) const END_GROUP: u8 = 4;
    pub(crate) const I32: u8 = 5;

    /// Returns the name of a wire type, for a violation.
    pub(crate) fn label(wire: u8) -> &'static str {
        match wire {
            VARINT => "a varint",
            I64 => "a 64-bit value",
            LEN => "a length-delimited value",
            START_GROUP => "the start of a group",
            END_GROUP => "the end of a group",
            _ => "a 32-bit value",
        }
    }
}

impl FieldKind {
    /// Returns the wire type of one element.
    pub(crate) fn wire(self) -> u8 {
        match self {
            FieldKind::Double | FieldKind::Fixed64 | FieldKind::Sfixed64 => wire::I64,
            FieldKind::Float | FieldKind::Fixed32 | FieldKind::Sfixed32 => wire::I32,
            FieldKind::String { .. } | FieldKind::Bytes | FieldKind::Message(_) => wire::LEN,
            FieldKind::Group(_) => wire::START_GROUP,
            _ => wire::VARINT,
        }
    }

    /// Returns the message type if the kind is a message.
    pub(crate) fn message(self) -> Option<MessageId> {
        match self {
            FieldKind::Message(id) | FieldKind::Group(id) => Some(id),
            _ => None,
        }
    }

    /// Returns the type as it is written in a `.proto` file.
    pub(crate) fn label(self, table: &Table) -> &str {
        match self {
            FieldKind::Enum(id) => &table[id].name,
            FieldKind::Message(id) | FieldKind::Group(id) => &table[id].name,
            scalar => scalar.scalar_label(),
        }
    }

    /// Returns the type as it is written in a `.proto` file. For enums and messages, returns "an
    /// enum" or "a message" instead of the name.
    pub(crate) fn scalar_label(self) -> &'static str {
        match self {
            FieldKind::Double => "double",
            FieldKind::Float => "float",
            FieldKind::Int32 => "int32",
            FieldKind::Int64 => "int64",
            FieldKind::Uint32 => "uint32",
            FieldKind::Uint64 => "uint64",
            FieldKind::Sint32 => "sint32",
            FieldKind::Sint64 => "sint64",
            FieldKind::Fixed32 => "fixed32",
            FieldKind::Fixed64 => "fixed64",
            FieldKind::Sfixed32 => "sfixed32",
            FieldKind::Sfixed64 => "sfixed64",
            FieldKind::Bool => "bool",
            FieldKind::String { .. } => "string",
            FieldKind::Bytes => "bytes",
            FieldKind::Enum(_) => "an enum",
            FieldKind::Message(_) | FieldKind::Group(_) => "a message",
        }
    }
}

/// One enum type.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(super) name: Box<str>,
    /// The enum accepts only the numbers of its values. An open enum accepts any number.
    pub(super) closed: bool,
    /// The numbers, ascending.
    pub(super) numbers: Box<[i32]>,
    pub(super) names: FxHashMap<Box<str>, i32>,
    /// The enum is `google.protobuf.NullValue`, which JSON writes as null.
    pub(super) null: bool,
}

impl Enum {
    /// Returns whether a value of the enum has this number.
    pub(super) fn knows(&self, number: i32) -> bool {
        self.numbers.binary_search(&number).is_ok()
    }
}
