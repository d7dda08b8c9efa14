//! Parses enums.

use protobuf::descriptor::enum_descriptor_proto::EnumReservedRange;
use protobuf::descriptor::{EnumDescriptorProto, EnumValueDescriptorProto};

use super::recover::Block;
use super::{Parse, Parser, TokenKind};
use crate::parsed::{Entity, Visibility};
use crate::path;

impl Parser<'_> {
    pub(super) fn enumeration(
        &mut self,
        visibility: Option<Visibility>,
    ) -> Parse<EnumDescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the enum's name")?;
        let mut made = EnumDescriptorProto::new();
        made.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        if let Some(visibility) = visibility {
            self.parsed.visibility.push((self.path.clone(), visibility));
            let unknown = made.special_fields.mut_unknown_fields();
            unknown.add_varint(path::ENUM_VISIBILITY, visibility as u64);
        }
        let open = self.open()?;
        let block = Block {
            open,
            what: &format!("enum {name}"),
            own: &["reserved"],
        };
        self.statements(&block, |p| {
            if p.take_punct(b';') {
                return Ok(());
            }
            if p.is("option") {
                let written = p.option_statement()?;
                p.add_option(Entity::Enum, written);
                return Ok(());
            }
            if p.is("reserved") {
                return p.enum_reserved(&mut made);
            }
            let which = made.value.len();
            let value = p.element(path::ENUM_VALUE, which, Self::enum_value)?;
            made.value.push(value);
            Ok(())
        })?;
        Ok(made)
    }

    fn enum_value(&mut self) -> Parse<EnumValueDescriptorProto> {
        let (name, token) = self.expect_word("the name of an enum value")?;
        let mut value = EnumValueDescriptorProto::new();
        value.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        if !self.take_punct(b'=') {
            return self.unexpected("'=' and the value's number");
        }
        let token = self.token();
        value.set_number(self.expect_signed("the value's number")?);
        self.locate(&[path::VALUE_NUMBER], self.since(token));
        if self.is_punct(b'[') {
            for written in self.bracketed_options()? {
                self.add_option(Entity::EnumValue, written);
            }
        }
        self.expect_end()?;
        Ok(value)
    }

    fn enum_reserved(&mut self, made: &mut EnumDescriptorProto) -> Parse<()> {
        self.next();
        if !(self.token().kind == TokenKind::Integer || self.is_punct(b'-')) {
            return self.reserved_names(path::ENUM_RESERVED_NAME, &mut made.reserved_name);
        }
        loop {
            let which = made.reserved_range.len();
            let range = self.element(path::ENUM_RESERVED, which, |p| {
                let mut range = EnumReservedRange::new();
                range.set_start(p.expect_signed("a number")?);
                range.set_end(match () {
                    () if !p.take("to") => range.start(),
                    () if p.take("max") => i32::MAX,
                    () => p.expect_signed("a number or \"max\"")?,
                });
                Ok(range)
            })?;
            made.reserved_range.push(range);
            if !self.take_punct(b',') {
                return self.expect_end();
            }
        }
    }
}
