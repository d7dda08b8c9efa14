//! Parses map fields, and makes the messages that hold their entries.

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::field::FieldContext;
use super::{MESSAGE_DEPTH_MAX, Parse, Parser, TokenKind};
use crate::fault::TextFault;
use crate::names::{entry_name, scalar};
use crate::parsed::{Entity, WrittenOption};
use crate::path::{self, index};

/// The fields of a map's entry: number, name, and the character after the type in `map<KEY,
/// VALUE>`.
const ENTRY_FIELDS: [(i32, &str, u8); 2] = [(1, "key", b','), (2, "value", b'>')];

impl Parser<'_> {
    /// Parses a map field after its label, and adds the message of its entries to `nested`.
    pub(super) fn map_field(
        &mut self,
        context: FieldContext,
        mut field: FieldDescriptorProto,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<FieldDescriptorProto> {
        let from = self.token();
        let misplaced = match context {
            FieldContext::Message => None,
            FieldContext::Oneof => Some("a map in a oneof"),
            FieldContext::Extend => Some("a map as an extension"),
        };
        if let Some(text) = misplaced {
            let fault = TextFault::new(from.range(), text);
            return Err(fault
                .help("put the map into a message, and use that message")
                .boxed());
        }
        if self.depth + 1 >= MESSAGE_DEPTH_MAX {
            let deepest = MESSAGE_DEPTH_MAX - 1;
            let text = format!("messages nest more than {deepest} deep, a map's entry included");
            return Err(TextFault::new(from.range(), text).boxed());
        }
        let mut entry = self.map_type()?;
        self.locate(&[path::FIELD_TYPE_NAME], self.since(from));
        field.set_type(Type::TYPE_MESSAGE);
        field.set_label(Label::LABEL_REPEATED);
        self.field_name(&mut field)?;
        self.field_number(&mut field)?;
        let options = self.field_options(&mut field)?;
        self.store_options(&options);
        self.expect_end()?;
        let name = entry_name(field.name());
        entry.set_name(name.clone());
        self.store_entry_features(&options, nested.len());
        nested.push(entry);
        field.set_type_name(name);
        Ok(field)
    }

    /// Parses `map<KEY, VALUE>`. Returns the message of the entries, which has no name yet.
    fn map_type(&mut self) -> Parse<DescriptorProto> {
        self.next();
        self.expect_punct(b'<')?;
        let mut entry = DescriptorProto::new();
        let options = entry.options.mut_or_insert_default();
        options.set_map_entry(true);
        for (number, name, end) in ENTRY_FIELDS {
            let mut part = FieldDescriptorProto::new();
            part.set_name(name.to_owned());
            part.set_number(number);
            part.set_label(Label::LABEL_OPTIONAL);
            part.set_json_name(name.to_owned());
            let token = self.token();
            if self.is("group") {
                return Err(TextFault::new(token.range(), "a group in a map")
                    .help("use a message type instead")
                    .boxed());
            }
            match scalar(self.word(token)).filter(|_| token.kind == TokenKind::Word) {
                Some(kind) => {
                    self.next();
                    part.set_type(kind);
                }
                None => part.set_type_name(self.type_name("a type")?.0),
            }
            entry.field.push(part);
            self.expect_punct(end)?;
        }
        Ok(entry)
    }

    /// Copies the features of a map field to the key and value fields of its entry. `entry` is the
    /// index of the entry among the nested messages.
    fn store_entry_features(&mut self, options: &[WrittenOption], entry: usize) {
        let own = self.path.clone();
        let features = |written: &&WrittenOption| {
            !written.name[0].is_extension && written.name[0].name == "features"
        };
        for written in options.iter().filter(features) {
            for part in 0..ENTRY_FIELDS.len() {
                self.path.truncate(own.len() - 2);
                self.path.extend([
                    path::MESSAGE_MESSAGE,
                    index(entry),
                    path::MESSAGE_FIELD,
                    index(part),
                ]);
                self.add_option(Entity::Field, written.clone());
            }
        }
        self.path = own;
    }
}
