//! Parses fields of messages, oneofs and `extend` blocks.

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::recover::Block;
use super::{Parse, Parser, TokenKind};
use crate::fault::TextFault;
use crate::names::{camel_case, scalar};
use crate::parsed::{Edition, Entity, WrittenOption};
use crate::path::{self, index};

/// The declaration that contains a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldContext {
    Message,
    Oneof,
    Extend,
}

/// The words that begin a statement of a message, for suggestions.
const MESSAGE_STATEMENT_WORDS: [&str; 26] = [
    "optional",
    "repeated",
    "required",
    "message",
    "enum",
    "oneof",
    "extend",
    "extensions",
    "reserved",
    "option",
    "map",
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
];

/// The list of messages to which a group adds its message. The first part is the path of the
/// message that contains the group, or empty at the top of a file. The second part is the field
/// number of the list in the containing descriptor.
type Nest = (Vec<i32>, i32);

/// Words of other languages, in lower case, for a value that may be absent.
const OPTIONAL_WORDS: [&str; 4] = ["maybe", "nullable", "option", "optional"];

/// Words of other languages, in lower case, for the type of one byte. In `.proto` files, a list of
/// bytes is a field of type `bytes`.
const BYTE_WORDS: [&str; 5] = ["byte", "octet", "u8", "uint8", "uint8_t"];

/// Returns the label and the type of a field that holds a list of `element`.
fn list_of(element: &str) -> String {
    if BYTE_WORDS.contains(&&*element.to_ascii_lowercase()) {
        "bytes".to_owned()
    } else {
        format!("repeated {}", in_proto_spelling(element))
    }
}

/// Returns a scalar type in lower case, such as `string` for `String`, and any other type
/// unchanged.
fn in_proto_spelling(ty: &str) -> String {
    let lower = ty.to_ascii_lowercase();
    match scalar(&lower) {
        Some(_) => lower,
        None => ty.to_owned(),
    }
}

impl Parser<'_> {
    pub(super) fn extend(
        &mut self,
        own: i32,
        extensions: &mut Vec<FieldDescriptorProto>,
        nests: i32,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<()> {
        self.next();
        let (extendee, range) = self.type_name("the name of a message")?;
        let open = self.open()?;
        let place = (self.path.clone(), nests);
        let block = Block {
            open,
            what: &format!("extend {extendee}"),
            own: &[],
        };
        let mut extension = |p: &mut Self| {
            let which = extensions.len();
            let mut field = p.element(own, which, |p| {
                p.field(FieldContext::Extend, &place, nested)
            })?;
            field.set_extendee(extendee.clone());
            p.locate(&[own, index(which), path::FIELD_EXTENDEE], range.clone());
            extensions.push(field);
            Ok(())
        };
        // An `extend` block must have at least one field.
        self.recovered(&mut extension)?;
        self.statements(&block, extension)
    }

    pub(super) fn field(
        &mut self,
        context: FieldContext,
        nest: &Nest,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<FieldDescriptorProto> {
        let mut field = FieldDescriptorProto::new();
        if let Some(fault) = self.type_of_another_language() {
            return Err(fault);
        }
        self.label(context, &mut field)?;
        if self.is("map") && self.ahead(1).kind == TokenKind::Punct(b'<') {
            return self.map_field(context, field, nested);
        }
        let type_token = self.token();
        let is_group = self.is("group");
        match scalar(self.word(type_token)).filter(|_| type_token.kind == TokenKind::Word) {
            Some(kind) => {
                self.next();
                field.set_type(kind);
                self.locate(&[path::FIELD_TYPE], type_token.range());
            }
            None if is_group => {
                self.next();
                self.group_is_known(type_token)?;
                field.set_type(Type::TYPE_GROUP);
            }
            None => {
                self.no_path_below_map()?;
                let (name, range) = self.type_name("the type of a field")?;
                field.set_type_name(name);
                self.locate(&[path::FIELD_TYPE_NAME], range);
            }
        }
        let misspelt = |p: &Self, fault| p.misspelt(fault, type_token, &MESSAGE_STATEMENT_WORDS);
        self.field_name(&mut field)
            .map_err(|fault| misspelt(self, fault))?;
        self.field_number(&mut field)?;
        let name = self
            .locations
            .iter()
            .rposition(|(at, _)| at.ends_with(&[path::NAME]));
        let options = self.field_options(&mut field)?;
        self.store_options(&options);
        if is_group {
            let range = name.map_or(0..0, |at| self.locations[at].1.clone());
            self.group(&mut field, range, nest, nested)?;
        } else {
            self.expect_end()?;
        }
        Ok(field)
    }

    /// Refuses a type name that begins with `map.`, because protoc reads only `map` and not the
    /// rest of the name.
    fn no_path_below_map(&self) -> Parse<()> {
        if !self.is("map") || self.ahead(1).kind != TokenKind::Punct(b'.') {
            return Ok(());
        }
        let text = "the name of a field's type can't begin with \"map.\"";
        let fault = TextFault::new(self.token().range(), text);
        Err(fault
            .help("write its full name, with a leading dot")
            .boxed())
    }

    /// Returns the error for a list, a map or an optional value in the syntax of another language,
    /// such as `list<string> names = 1;`, `byte[] photo = 1;` or `Optional<string> name = 1;`. The
    /// help text shows the field in the syntax of `.proto` files. Returns `None` if no such type
    /// comes next.
    fn type_of_another_language(&mut self) -> Option<Box<TextFault>> {
        let has_label = matches!(
            self.word(self.token()),
            "optional" | "required" | "repeated"
        ) && self.ahead(1).kind == TokenKind::Word;
        let first = usize::from(has_label);
        let ty = self.ahead(first);
        let punct = |ahead: usize, punct: u8| self.ahead(ahead).kind == TokenKind::Punct(punct);
        let name_from = |ahead: usize| match self.ahead(ahead).kind {
            TokenKind::Word => self.word(self.ahead(ahead)),
            _ => "names",
        };
        if ty.kind != TokenKind::Word || (self.word(ty) == "map" && punct(first + 1, b'<')) {
            return None;
        }
        let (written, name, last) = if punct(first + 1, b'[') && punct(first + 2, b']') {
            let written = list_of(self.word(ty));
            (written, name_from(first + 3), first + 2)
        } else if punct(first + 1, b'<') && punct(first + 3, b'>') {
            let element = self.word(self.ahead(first + 2));
            let written = if OPTIONAL_WORDS.contains(&&*self.word(ty).to_ascii_lowercase()) {
                format!("optional {}", in_proto_spelling(element))
            } else {
                list_of(element)
            };
            (written, name_from(first + 4), first + 3)
        } else if punct(first + 1, b'<') && punct(first + 3, b',') && punct(first + 5, b'>') {
            let (key, value) = (self.ahead(first + 2), self.ahead(first + 4));
            let written = format!("map<{}, {}>", self.word(key), self.word(value));
            (written, name_from(first + 6), first + 5)
        } else {
            return None;
        };
        let range = ty.range().start..self.ahead(last).range().end;
        let number = (last + 1..last + 4).find(|&at| self.ahead(at).kind == TokenKind::Integer);
        let number = number.map_or("1", |at| self.word(self.ahead(at)));
        let found = self.text.get(range.clone()).unwrap_or_default();
        let found: String = found.chars().take(40).collect();
        let fault = TextFault::new(range, format!("{found:?} is not a type of .proto files"));
        Some(
            fault
                .label("expected the type of a field")
                .help(format!("write {written} {name} = {number};"))
                .boxed(),
        )
    }

    fn label(&mut self, context: FieldContext, field: &mut FieldDescriptorProto) -> Parse<()> {
        let token = self.token();
        let edition = self.parsed.edition;
        let label = match () {
            () if self.take("optional") => Some(Label::LABEL_OPTIONAL),
            () if self.take("repeated") => Some(Label::LABEL_REPEATED),
            () if self.take("required") => Some(Label::LABEL_REQUIRED),
            () => None,
        };
        let Some(label) = label else {
            field.set_label(Label::LABEL_OPTIONAL);
            let is_map = self.is("map") && self.ahead(1).kind == TokenKind::Punct(b'<');
            if edition == Edition::Proto2
                && context != FieldContext::Oneof
                && !is_map
                && self.token().kind != TokenKind::End
            {
                return self.unlabelled();
            }
            return Ok(());
        };
        self.locate(&[path::FIELD_LABEL], token.range());
        let fault =
            |text: &str, help: &str| Err(TextFault::new(token.range(), text).help(help).boxed());
        if context == FieldContext::Oneof {
            return fault(
                "a label on a field of a oneof",
                "leave it out: at most one field of a oneof is set",
            );
        }
        if self.is("map") && self.ahead(1).kind == TokenKind::Punct(b'<') {
            return fault(
                "a label on a map field",
                "leave it out: a map holds any number of entries",
            );
        }
        match (label, edition) {
            (Label::LABEL_OPTIONAL, Edition::Proto3) => field.set_proto3_optional(true),
            (Label::LABEL_REQUIRED, Edition::Proto3) => {
                return fault(
                    "proto3 has no required fields",
                    "leave \"required\" out; routes.yaml can require fields: require: [FIELD] in the schema of a route",
                );
            }
            (Label::LABEL_OPTIONAL, edition) if edition.is_edition() => {
                return fault(
                    "editions have no label \"optional\"",
                    "leave it out: fields have presence unless features.field_presence says otherwise",
                );
            }
            (Label::LABEL_REQUIRED, edition) if edition.is_edition() => {
                return fault(
                    "editions have no label \"required\"",
                    "write [features.field_presence = LEGACY_REQUIRED] after the field's number",
                );
            }
            _ => {}
        }
        field.set_label(label);
        Ok(())
    }

    /// Reads the field's name and the `=` after it.
    pub(super) fn field_name(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let (name, token) = self.expect_word("the field's name")?;
        field.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        if !self.take_punct(b'=') {
            return self.unexpected("'=' and the field's number");
        }
        field.set_json_name(camel_case(name));
        Ok(())
    }

    pub(super) fn field_number(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let token = self.token();
        let number = self.expect_integer("the field's number", i32::MAX as u64)? as i32;
        field.set_number(number);
        self.locate(&[path::FIELD_NUMBER], token.range());
        Ok(())
    }

    pub(super) fn store_options(&mut self, options: &[WrittenOption]) {
        for written in options {
            self.add_option(Entity::Field, written.clone());
        }
    }

    /// Reports a field without a label in a proto2 file, in which every field needs a label. A file
    /// without a syntax is proto2, usually by mistake. In such a file, only the first field without
    /// a label is reported.
    fn unlabelled(&mut self) -> Parse<()> {
        let says_syntax = self.parsed.file.has_syntax();
        if self.unlabelled && !says_syntax {
            return Ok(());
        }
        self.unlabelled = true;
        let unexpected = self.unexpected_word(
            "\"optional\", \"required\" or \"repeated\"",
            &MESSAGE_STATEMENT_WORDS,
        );
        let help = "a file without a syntax is proto2: is syntax = \"proto3\"; missing at its top?";
        match says_syntax {
            true => unexpected,
            false => unexpected.map_err(|fault| fault.or_help(help).boxed()),
        }
    }

    fn group_is_known(&self, token: super::Token) -> Parse<()> {
        let help = match self.parsed.edition {
            Edition::Proto2 => return Ok(()),
            Edition::Proto3 => "define a message and a field of its type",
            _ => {
                "define a message and a field of its type, with [features.message_encoding = DELIMITED]"
            }
        };
        let text = format!("{} has no groups", self.parsed.edition.name());
        Err(TextFault::new(token.range(), text).help(help).boxed())
    }

    fn group(
        &mut self,
        field: &mut FieldDescriptorProto,
        name_range: std::ops::Range<usize>,
        nest: &Nest,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<()> {
        let name = field.name().to_owned();
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            let fault = TextFault::new(name_range, "a group's name starts with a small letter");
            return Err(fault
                .help("a group's name is also the name of its message: start it with a capital letter")
                .boxed());
        }
        let mut message = DescriptorProto::new();
        message.set_name(name.clone());
        let own = std::mem::replace(&mut self.path, nest.0.clone());
        let from = self.token();
        self.path.extend([nest.1, index(nested.len())]);
        self.locate(&[path::NAME], name_range.clone());
        let body = self.message_body(&mut message);
        self.locate(&[], self.since(from));
        self.path = own;
        body?;
        self.locate(&[path::FIELD_TYPE_NAME], name_range);
        nested.push(message);
        let lower = name.to_ascii_lowercase();
        if field.json_name() == camel_case(&name) {
            field.set_json_name(camel_case(&lower));
        }
        field.set_name(lower);
        field.set_type_name(name);
        Ok(())
    }

    /// Reads the options in brackets after a field's number, and returns them. `default` and
    /// `json_name` are written like options, but are fields of the descriptor and are set in
    /// `field`.
    pub(super) fn field_options(
        &mut self,
        field: &mut FieldDescriptorProto,
    ) -> Parse<Vec<WrittenOption>> {
        if !self.is_punct(b'[') {
            return Ok(Vec::new());
        }
        let mut options = Vec::new();
        let from = self.next();
        loop {
            if self.is("default") {
                self.default(field)?;
            } else if self.is("json_name") {
                self.json_name(field)?;
            } else {
                options.push(self.option_assignment()?);
            }
            if !self.take_punct(b',') {
                break;
            }
        }
        if !self.take_punct(b']') {
            return self.unexpected("',' or ']'");
        }
        self.locate(&[path::FIELD_OPTIONS], self.since(from));
        Ok(options)
    }

    fn json_name(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let from = self.next();
        self.expect_punct(b'=')?;
        let value = self.expect_text("a quoted name")?;
        if self.located(path::FIELD_JSON_NAME) {
            return Err(TextFault::new(from.range(), "json_name is set twice").boxed());
        }
        self.locate(&[path::FIELD_JSON_NAME], self.since(from));
        self.parsed
            .json_names
            .insert([&self.path[..], &[path::FIELD_JSON_NAME]].concat());
        field.set_json_name(value);
        Ok(())
    }

    /// Returns whether a location of `field` of the current element has been recorded.
    fn located(&self, field: i32) -> bool {
        let own = [&self.path[..], &[field]].concat();
        let back = self.locations.iter().rev();
        back.take_while(|(at, _)| at.starts_with(&self.path))
            .any(|(at, _)| *at == own)
    }
}
