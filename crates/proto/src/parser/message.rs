//! Parses messages: their bodies, oneofs, reserved and extension ranges.

use protobuf::descriptor::descriptor_proto::{ExtensionRange, ReservedRange};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, OneofDescriptorProto};

use super::recover::Block;
use super::{FIELD_NUMBER_MAX, MESSAGE_DEPTH_MAX, Parse, Parser, TokenKind};
use crate::fault::TextFault;
use crate::parsed::{Edition, Entity, Visibility};
use crate::path::{self, index};

/// The maximum number of fields of a message. Descriptors and generated code count the fields in 16
/// bits.
const FIELDS_MAX: usize = 65_535;

/// The maximum number of bytes of copied options, as a multiple of the size of the file. An
/// `extensions` statement sets options once for all of its ranges, but in the descriptor, each
/// range has a copy of the options.
const COPY_FACTOR_MAX: usize = 8;

/// The number of bytes of options that may be copied in addition to [`COPY_FACTOR_MAX`], so that
/// small files may copy options, too.
const COPY_ALLOWANCE: usize = 64 << 10;

/// A placeholder for the end of a range that is written with `to max`, until it is known whether
/// the message is a MessageSet. The end of a range in a file is never negative.
const PENDING_END: i32 = -1;

/// Sets the exclusive end of the ranges that are written with `to max`.
fn end_ranges(message: &mut DescriptorProto, max_end: i32) {
    for range in &mut message.extension_range {
        if range.end() == PENDING_END {
            range.set_end(max_end);
        }
    }
    for range in &mut message.reserved_range {
        if range.end() == PENDING_END {
            range.set_end(max_end);
        }
    }
}

impl Parser<'_> {
    pub(super) fn message(&mut self, visibility: Option<Visibility>) -> Parse<DescriptorProto> {
        self.next();
        let (name, token) = self.expect_word("the message's name")?;
        let mut message = DescriptorProto::new();
        message.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        if let Some(visibility) = visibility {
            self.parsed.visibility.push((self.path.clone(), visibility));
            let unknown = message.special_fields.mut_unknown_fields();
            unknown.add_varint(path::MESSAGE_VISIBILITY, visibility as u64);
        }
        self.message_body(&mut message)?;
        Ok(message)
    }

    /// Parses a message's body, from `{` to `}`.
    pub(super) fn message_body(&mut self, message: &mut DescriptorProto) -> Parse<()> {
        let open = self.open()?;
        self.depth += 1;
        if self.depth >= MESSAGE_DEPTH_MAX {
            let text = format!("messages nest more than {} deep", MESSAGE_DEPTH_MAX - 1);
            return Err(TextFault::new(open.range(), text).boxed());
        }
        let options = self.parsed.options.len();
        let what = format!("message {}", message.name());
        let block = Block {
            open,
            what: &what,
            own: &[
                "message",
                "enum",
                "oneof",
                "extend",
                "reserved",
                "extensions",
            ],
        };
        self.statements(&block, |p| p.message_statement(message))?;
        self.depth -= 1;
        let own = self.parsed.options[options..].iter();
        let set = |written: &super::WrittenOption| {
            written.owner == self.path
                && written.name.len() == 1
                && written.name[0].name == "message_set_wire_format"
                && matches!(&written.value, crate::parsed::Value::Word(word) if word == "true")
        };
        let mut max_end = FIELD_NUMBER_MAX + 1;
        if own.clone().any(set) {
            // This option is set before the other options are read, because the type of one of them
            // may be this message.
            let options = message.options.mut_or_insert_default();
            options.set_message_set_wire_format(true);
            max_end = i32::MAX;
        }
        end_ranges(message, max_end);
        self.add_synthetic_oneofs(message);
        Ok(())
    }

    fn message_statement(&mut self, message: &mut DescriptorProto) -> Parse<()> {
        if self.take_punct(b';') {
            return Ok(());
        }
        let visibility = self.visibility()?;
        if self.is("message") {
            let which = message.nested_type.len();
            let nested = self.element(path::MESSAGE_MESSAGE, which, |p| p.message(visibility))?;
            message.nested_type.push(nested);
        } else if self.is("enum") {
            let which = message.enum_type.len();
            let made = self.element(path::MESSAGE_ENUM, which, |p| p.enumeration(visibility))?;
            message.enum_type.push(made);
        } else if self.is("extensions") {
            self.extension_ranges(message)?;
        } else if self.is("reserved") {
            self.reserved(message)?;
        } else if self.is("extend") {
            let DescriptorProto {
                extension,
                nested_type,
                ..
            } = message;
            self.extend(
                path::MESSAGE_EXTENSION,
                extension,
                path::MESSAGE_MESSAGE,
                nested_type,
            )?;
        } else if self.is("option") {
            let written = self.option_statement()?;
            self.add_option(Entity::Message, written);
        } else if self.is("oneof") {
            self.oneof(message)?;
        } else {
            let which = message.field.len();
            let nested = &mut message.nested_type;
            let place = (self.path.clone(), path::MESSAGE_MESSAGE);
            let field = self.element(path::MESSAGE_FIELD, which, |p| {
                p.field(super::field::FieldContext::Message, &place, nested)
            })?;
            self.push_field(message, field)?;
        }
        Ok(())
    }

    fn push_field(&self, message: &mut DescriptorProto, field: FieldDescriptorProto) -> Parse<()> {
        message.field.push(field);
        // The error is reported once, at the first field beyond the limit.
        if message.field.len() != FIELDS_MAX + 1 {
            return Ok(());
        }
        let last = self.tokens[self.at.saturating_sub(1)].range();
        let text = format!("a message of more than {FIELDS_MAX} fields");
        Err(TextFault::new(last, text).help("split it").boxed())
    }

    fn oneof(&mut self, message: &mut DescriptorProto) -> Parse<()> {
        let from = self.token();
        self.next();
        let which = message.oneof_decl.len();
        let (name, token) = self.expect_word("the oneof's name")?;
        let oneof_path = path::below(&self.path, path::MESSAGE_ONEOF, which);
        self.locations
            .push(([&oneof_path[..], &[path::NAME]].concat(), token.range()));
        let open = self.open()?;
        let place = (self.path.clone(), path::MESSAGE_MESSAGE);
        let block = Block {
            open,
            what: &format!("oneof {name}"),
            own: &[],
        };
        self.statements(&block, |p| {
            if p.is("option") {
                let written = p.option_statement()?;
                let owner = std::mem::replace(&mut p.path, oneof_path.clone());
                p.add_option(Entity::Oneof, written);
                p.path = owner;
                return Ok(());
            }
            if p.is_punct(b';') {
                let semicolon = p.next();
                let fault = TextFault::new(semicolon.range(), "an empty statement in a oneof");
                return Err(fault.help("leave the semicolon out").boxed());
            }
            let at = message.field.len();
            let nested = &mut message.nested_type;
            let mut field = p.element(path::MESSAGE_FIELD, at, |p| {
                p.field(super::field::FieldContext::Oneof, &place, nested)
            })?;
            field.set_oneof_index(index(which));
            p.push_field(message, field)
        })?;
        self.locations.push((oneof_path, self.since(from)));
        let mut oneof = OneofDescriptorProto::new();
        oneof.set_name(name.to_owned());
        message.oneof_decl.push(oneof);
        Ok(())
    }

    /// Adds a synthetic oneof for each proto3 `optional` field. The field is the only member of
    /// this oneof.
    fn add_synthetic_oneofs(&mut self, message: &mut DescriptorProto) {
        if self.parsed.edition != Edition::Proto3
            || !message
                .field
                .iter()
                .any(FieldDescriptorProto::proto3_optional)
        {
            return;
        }
        let fields = message.field.iter().map(|f| f.name().to_owned());
        let oneofs = message.oneof_decl.iter().map(|o| o.name().to_owned());
        let mut names: std::collections::HashSet<String> = fields.chain(oneofs).collect();
        for field in message.field.iter_mut().filter(|f| f.proto3_optional()) {
            let own = field.name();
            let mut name = if own.starts_with('_') {
                own.to_owned()
            } else {
                format!("_{own}")
            };
            while !names.insert(name.clone()) {
                name.insert(0, 'X');
            }
            field.set_oneof_index(index(message.oneof_decl.len()));
            let mut oneof = OneofDescriptorProto::new();
            oneof.set_name(name);
            message.oneof_decl.push(oneof);
        }
    }

    fn extension_ranges(&mut self, message: &mut DescriptorProto) -> Parse<()> {
        self.next();
        let first = message.extension_range.len();
        loop {
            let which = message.extension_range.len();
            let (start, end) = self.element(path::MESSAGE_EXTENSION_RANGE, which, |p| {
                p.range(PENDING_END)
            })?;
            let mut range = ExtensionRange::new();
            range.set_start(start);
            range.set_end(end);
            message.extension_range.push(range);
            if !self.take_punct(b',') {
                break;
            }
        }
        if self.is_punct(b'[') {
            let from = self.token();
            let written = self.bracketed_options()?;
            // The options apply to each of the ranges.
            let range = self.since(from);
            self.copied += range.len() * (message.extension_range.len() - first - 1);
            if self.copied > self.text.len() * COPY_FACTOR_MAX + COPY_ALLOWANCE {
                let text = "the options are too long for so many ranges";
                let fault = TextFault::new(range, text);
                return Err(fault
                    .help("set the options on fewer ranges, or write one range in place of many")
                    .boxed());
            }
            for which in first..message.extension_range.len() {
                for written in &written {
                    self.path
                        .extend([path::MESSAGE_EXTENSION_RANGE, index(which)]);
                    self.add_option(Entity::ExtensionRange, written.clone());
                    self.path.truncate(self.path.len() - 2);
                }
            }
        }
        self.expect_end()
    }

    /// Reads `LOW`, `LOW to HIGH` or `LOW to max`. Returns the start and the exclusive end, which
    /// is `max_end` for `max`.
    fn range(&mut self, max_end: i32) -> Parse<(i32, i32)> {
        let max = i32::MAX as u64 - 1;
        let start = self.expect_integer("a number", max)? as i32;
        if !self.take("to") {
            return Ok((start, start + 1));
        }
        if self.take("max") {
            return Ok((start, max_end));
        }
        let end = self.expect_integer("a number or \"max\"", max)? as i32;
        Ok((start, end + 1))
    }

    fn reserved(&mut self, message: &mut DescriptorProto) -> Parse<()> {
        self.next();
        if self.token().kind != TokenKind::Integer {
            return self.reserved_names(path::MESSAGE_RESERVED_NAME, &mut message.reserved_name);
        }
        loop {
            let which = message.reserved_range.len();
            let (start, end) =
                self.element(path::MESSAGE_RESERVED, which, |p| p.range(PENDING_END))?;
            let mut range = ReservedRange::new();
            range.set_start(start);
            range.set_end(end);
            message.reserved_range.push(range);
            if !self.take_punct(b',') {
                return self.expect_end();
            }
        }
    }

    /// Reads reserved names. They have quotes in proto2 and proto3, and no quotes in editions.
    pub(super) fn reserved_names(&mut self, field: i32, names: &mut Vec<String>) -> Parse<()> {
        let words = self.parsed.edition.is_edition();
        loop {
            let from = self.token();
            let name = match (words, from.kind) {
                (true, TokenKind::Text) => {
                    let fault = TextFault::new(from.range(), "a reserved name in quotes");
                    return Err(fault
                        .help("editions write reserved names without quotes")
                        .boxed());
                }
                (false, TokenKind::Word) => {
                    let fault = TextFault::new(from.range(), "a reserved name without quotes");
                    return Err(fault.help("put quotes around reserved names").boxed());
                }
                (true, _) => self.expect_word("a number or a name")?.0.to_owned(),
                (false, _) => self.expect_text("a number or a quoted name")?,
            };
            self.locate(&[field, index(names.len())], self.since(from));
            names.push(name);
            if !self.take_punct(b',') {
                return self.expect_end();
            }
        }
    }
}
