//! The fields of a message by number, before they are encoded.

use std::collections::{BTreeMap, BTreeSet};

use protobuf::descriptor::field_descriptor_proto::{Label, Type};

use super::settable::Settable;

/// A message whose fields are being set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    fields: BTreeMap<i32, Vec<Node>>,
    /// The fields whose values are encoded as one packed run.
    packed: BTreeSet<i32>,
}

/// One value of a field.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Varint(u64),
    Fixed32(u32),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Message(Tree),
    Group(Tree),
}

impl Node {
    /// Returns whether the value is the one that a reader assumes for an absent field.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Node::Varint(n) | Node::Fixed64(n) => *n == 0,
            Node::Fixed32(n) => *n == 0,
            Node::Bytes(bytes) => bytes.is_empty(),
            Node::Message(_) | Node::Group(_) => false,
        }
    }
}

impl Tree {
    /// Returns the number of values of a field.
    pub(crate) fn count(&self, number: i32) -> usize {
        self.fields.get(&number).map_or(0, Vec::len)
    }

    /// Adds a value.
    pub(super) fn push(&mut self, number: i32, node: Node) {
        self.fields.entry(number).or_default().push(node);
    }

    /// Adds a value of a field that is not a message.
    pub(super) fn push_scalar(&mut self, field: &Settable, node: Node) {
        let packed = field.options.as_ref().and_then(|options| options.packed);
        if field.label() == Label::LABEL_REPEATED
            && packed.unwrap_or(field.features.packed)
            && !matches!(node, Node::Bytes(_))
        {
            self.packed.insert(field.number());
        }
        self.push(field.number(), node);
    }

    /// Adds a value of a message field.
    pub(super) fn push_message(&mut self, field: &Settable, value: Tree) {
        let node = match field.type_() {
            Type::TYPE_GROUP => Node::Group(value),
            _ if field.features.delimited => Node::Group(value),
            _ => Node::Message(value),
        };
        self.push(field.number(), node);
    }

    /// Returns the value of a singular message field, which is created empty if there is none, or
    /// `None` if the number holds a value of another type.
    pub(super) fn within(&mut self, field: &Settable) -> Option<&mut Tree> {
        if self.count(field.number()) == 0 {
            self.push_message(field, Tree::default());
        }
        match self.fields.get_mut(&field.number())?.first_mut()? {
            Node::Message(tree) | Node::Group(tree) => Some(tree),
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
                        Node::Varint(n) => varint(&mut run, *n),
                        Node::Fixed64(n) => run.extend(n.to_le_bytes()),
                        Node::Fixed32(n) => run.extend(n.to_le_bytes()),
                        Node::Bytes(_) | Node::Message(_) | Node::Group(_) => {}
                    }
                }
                tag(bytes, 2);
                varint(bytes, run.len() as u64);
                bytes.extend(run);
                continue;
            }
            for value in values {
                match value {
                    Node::Varint(n) => {
                        tag(bytes, 0);
                        varint(bytes, *n);
                    }
                    Node::Fixed64(n) => {
                        tag(bytes, 1);
                        bytes.extend(n.to_le_bytes());
                    }
                    Node::Bytes(value) => {
                        tag(bytes, 2);
                        varint(bytes, value.len() as u64);
                        bytes.extend(value);
                    }
                    Node::Message(tree) => {
                        let value = tree.bytes();
                        tag(bytes, 2);
                        varint(bytes, value.len() as u64);
                        bytes.extend(value);
                    }
                    Node::Group(tree) => {
                        tag(bytes, 3);
                        tree.write(bytes);
                        tag(bytes, 4);
                    }
                    Node::Fixed32(n) => {
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
