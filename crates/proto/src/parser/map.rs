//! Map fields, and the messages that hold their entries.

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::super::fault::TextFault;
use super::super::parsed::Entity;
use super::super::path::{self, index};
use super::field::{Home, scalar};
use super::{Parse, Parser, TokenKind};

impl Parser<'_> {
    pub(super) fn map_field(
        &mut self,
        home: Home,
        mut field: FieldDescriptorProto,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<FieldDescriptorProto> {
        let from = self.token();
        if home != Home::Message {
            let text = match home {
                Home::Oneof => "a map in a oneof",
                _ => "a map as an extension",
            };
            let fault = TextFault::new(from.range(), text);
            return Err(fault
                .help("put the map into a message, and use that")
                .boxed());
        }
        self.next();
        self.expect_sign(b'<')?;
        let mut entry = DescriptorProto::new();
        let options = entry.options.mut_or_insert_default();
        options.set_map_entry(true);
        for (number, name) in [(1, "key"), (2, "value")] {
            let mut part = FieldDescriptorProto::new();
            part.set_name(name.to_owned());
            part.set_number(number);
            part.set_label(Label::LABEL_OPTIONAL);
            part.set_json_name(name.to_owned());
            let token = self.token();
            if self.is("group") {
                return Err(TextFault::new(token.range(), "a group in a map")
                    .help("name a message")
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
            self.expect_sign(if number == 1 { b',' } else { b'>' })?;
        }
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
        // What the map's features say holds for its keys and values.
        let own = self.path.clone();
        for written in options
            .iter()
            .filter(|o| !o.name[0].is_extension && o.name[0].name == "features")
        {
            for part in [0, 1] {
                self.path.truncate(own.len() - 2);
                self.path.extend([
                    path::MESSAGE_MESSAGE,
                    index(nested.len()),
                    path::MESSAGE_FIELD,
                    part,
                ]);
                self.option_of(Entity::Field, written.clone());
            }
        }
        self.path = own;
        nested.push(entry);
        field.set_type_name(name);
        Ok(field)
    }
}

/// The name of the message that holds a map field's entries.
fn entry_name(field: &str) -> String {
    let mut name = String::with_capacity(field.len() + 5);
    let mut upper = true;
    for c in field.chars() {
        if c != '_' {
            name.push(if upper { c.to_ascii_uppercase() } else { c });
        }
        upper = c == '_';
    }
    name + "Entry"
}
