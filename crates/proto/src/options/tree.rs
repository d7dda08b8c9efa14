//! The fields of a message by number, before they are encoded.

use std::collections::{BTreeMap, BTreeSet};

use protobuf::descriptor::field_descriptor_proto::Label;

use super::settable::Settable;

/// A message whose fields are being set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    fields: BTreeMap<i32, Vec<ValueNode>>,
    /// The fields whose values are encoded in packed form.
    packed: BTreeSet<i32>,
}

/// One value of a field.
#[derive(Clone, Debug)]
pub(super) enum ValueNode {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Message(Tree),
    Group(Tree),
}

impl ValueNode {
    /// Returns whether the value is the default of its type: zero, false or empty.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            ValueNode::Varint(n) | ValueNode::Fixed64(n) => *n == 0,
            ValueNode::Fixed32(n) => *n == 0,
            ValueNode::Bytes(bytes) => bytes.is_empty(),
            ValueNode::Message(_) | ValueNode::Group(_) => false,
        }
    }
}

impl Tree {
    /// Returns the number of values of a field.
    pub(crate) fn count(&self, number: i32) -> usize {
        self.fields.get(&number).map_or(0, Vec::len)
    }

    /// Adds a value of the field with this number.
    pub(super) fn push(&mut self, number: i32, node: ValueNode) {
        self.fields.entry(number).or_default().push(node);
    }

    /// Adds a value of a field that is not a message.
    pub(super) fn push_scalar(&mut self, field: &Settable, node: ValueNode) {
        let packed = field.options.as_ref().and_then(|options| options.packed);
        if field.label() == Label::LABEL_REPEATED
            && packed.unwrap_or(field.features.packed)
            && !matches!(node, ValueNode::Bytes(_))
        {
            self.packed.insert(field.number());
        }
        self.push(field.number(), node);
    }

    /// Adds a value of a message field.
    pub(super) fn push_message(&mut self, field: &Settable, value: Tree) {
        let node = match field.is_group() {
            true => ValueNode::Group(value),
            false => ValueNode::Message(value),
        };
        self.push(field.number(), node);
    }

    /// Returns the value of a singular message field. If the field has no value, sets it to an
    /// empty message. Returns `None` if the field's number already has a value of another type.
    pub(super) fn message(&mut self, field: &Settable) -> Option<&mut Tree> {
        if self.count(field.number()) == 0 {
            self.push_message(field, Tree::default());
        }
        match self.fields.get_mut(&field.number())?.first_mut()? {
            ValueNode::Message(tree) | ValueNode::Group(tree) => Some(tree),
            _ => None,
        }
    }

    /// Returns the encoded message.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        for (&number, values) in &self.fields {
            let tag = |bytes: &mut Vec<u8>, wire: u64| varint(bytes, (number as u64) << 3 | wire);
            if self.packed.contains(&number) {
                let mut run = Vec::new();
                for value in values {
                    match value {
                        ValueNode::Varint(n) => varint(&mut run, *n),
                        ValueNode::Fixed64(n) => run.extend(n.to_le_bytes()),
                        ValueNode::Fixed32(n) => run.extend(n.to_le_bytes()),
                        ValueNode::Bytes(_) | ValueNode::Message(_) | ValueNode::Group(_) => {}
                    }
                }
                tag(bytes, 2);
                varint(bytes, run.len() as u64);
                bytes.extend(run);
                continue;
            }
            for value in values {
                match value {
                    ValueNode::Varint(n) => {
                        tag(bytes, 0);
                        varint(bytes, *n);
                    }
                    ValueNode::Fixed64(n) => {
                        tag(bytes, 1);
                        bytes.extend(n.to_le_bytes());
                    }
                    ValueNode::Bytes(value) => {
                        tag(bytes, 2);
                        varint(bytes, value.len() as u64);
                        bytes.extend(value);
                    }
                    ValueNode::Message(tree) => {
                        let value = tree.bytes();
                        tag(bytes, 2);
                        varint(bytes, value.len() as u64);
                        bytes.extend(value);
                    }
                    ValueNode::Group(tree) => {
                        tag(bytes, 3);
                        tree.write(bytes);
                        tag(bytes, 4);
                    }
                    ValueNode::Fixed32(n) => {
                        tag(bytes, 5);
                        bytes.extend(n.to_le_bytes());
                    }
                }
            }
        }
    }
}

fn varint(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}
