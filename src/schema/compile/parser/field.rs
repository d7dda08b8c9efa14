//! Fields, in messages, oneofs and `extend`: their types, numbers, defaults.

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::super::parsed::{Edition, Entity, Written};
use super::super::{fault::Fault, float, index, lexer::integer, path};
use super::{Kind, Parse, Parser};

/// What a field is declared in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    Message,
    Oneof,
    Extend,
}

/// The path of what the field is declared in, and there the number of the list of messages: where the
/// message of a group or map goes.
type Nest = (Vec<i32>, i32);

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
        self.expect_sign(b'{')?;
        let place = (self.path.clone(), nests);
        loop {
            let which = extensions.len();
            let mut field = self.within(own, which, |p| p.field(Home::Extend, &place, nested))?;
            field.set_extendee(extendee.clone());
            self.locate(&[own, index(which), path::FIELD_EXTENDEE], range.clone());
            extensions.push(field);
            if self.take_sign(b'}') {
                return Ok(());
            }
        }
    }

    pub(super) fn field(
        &mut self,
        home: Home,
        nest: &Nest,
        nested: &mut Vec<DescriptorProto>,
    ) -> Parse<FieldDescriptorProto> {
        let mut field = FieldDescriptorProto::new();
        self.label(home, &mut field)?;
        if self.is("map") && self.ahead(1).kind == Kind::Sign(b'<') {
            return self.map_field(home, field, nested);
        }
        let type_token = self.token();
        let is_group = self.is("group");
        match scalar(self.word(type_token)).filter(|_| type_token.kind == Kind::Word) {
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
                let (name, range) = self.type_name("the type of a field")?;
                field.set_type_name(name);
                self.locate(&[path::FIELD_TYPE_NAME], range);
            }
        }
        self.name_and_number(&mut field)?;
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

    fn label(&mut self, home: Home, field: &mut FieldDescriptorProto) -> Parse<()> {
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
            let is_map = self.is("map") && self.ahead(1).kind == Kind::Sign(b'<');
            if edition == Edition::Proto2
                && home != Home::Oneof
                && !is_map
                && self.token().kind != Kind::End
            {
                let expected = "\"optional\", \"required\" or \"repeated\"";
                return self.unexpected(expected);
            }
            return Ok(());
        };
        self.locate(&[path::FIELD_LABEL], token.range());
        let fault =
            |text: &str, help: &str| Err(Fault::new(token.range(), text).help(help).boxed());
        if home == Home::Oneof {
            return fault(
                "a label on a field of a oneof",
                "leave it out: of a oneof, one field at most is there",
            );
        }
        if self.is("map") && self.ahead(1).kind == Kind::Sign(b'<') {
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
                    "leave \"required\" out; routes.yaml can ask for fields: require: [FIELD] beside the schema's name",
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
                    "write [features.field_presence = LEGACY_REQUIRED] behind the field's number",
                );
            }
            _ => {}
        }
        field.set_label(label);
        Ok(())
    }

    fn name_and_number(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let (name, token) = self.expect_word("the field's name")?;
        field.set_name(name.to_owned());
        self.locate(&[path::NAME], token.range());
        if !self.take_sign(b'=') {
            return self.unexpected("'=' and the field's number");
        }
        let token = self.token();
        let number = self.expect_integer("the field's number", i32::MAX as u64)? as i32;
        field.set_number(number);
        self.locate(&[path::FIELD_NUMBER], token.range());
        field.set_json_name(camel_case(name));
        Ok(())
    }

    fn store_options(&mut self, options: &[Written]) {
        for written in options {
            self.option_of(Entity::Field, written.clone());
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
        Err(Fault::new(token.range(), text).help(help).boxed())
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
            let fault = Fault::new(name_range, "a group's name starts with a small letter");
            return Err(fault
                .help("its name is a message's, too: start it with a capital")
                .boxed());
        }
        let mut message = DescriptorProto::new();
        message.set_name(name.clone());
        let own = std::mem::replace(&mut self.path, nest.0.clone());
        let from = self.token();
        self.path.extend([nest.1, index(nested.len())]);
        self.locate(&[path::NAME], name_range.clone());
        self.message_body(&mut message)?;
        self.locate(&[], self.since(from));
        self.path = own;
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

    fn map_field(
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
            let fault = Fault::new(from.range(), text);
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
                return Err(Fault::new(token.range(), "a group in a map")
                    .help("name a message")
                    .boxed());
            }
            match scalar(self.word(token)).filter(|_| token.kind == Kind::Word) {
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
        self.name_and_number(&mut field)?;
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
        field.set_type(Type::TYPE_MESSAGE);
        field.set_label(Label::LABEL_REPEATED);
        Ok(field)
    }

    /// What stands in brackets behind a field's number. `default` and `json_name` are no options.
    fn field_options(&mut self, field: &mut FieldDescriptorProto) -> Parse<Vec<Written>> {
        if !self.is_sign(b'[') {
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
            if !self.take_sign(b',') {
                break;
            }
        }
        if !self.take_sign(b']') {
            return self.unexpected("',' or ']'");
        }
        self.locate(&[path::FIELD_OPTIONS], self.since(from));
        Ok(options)
    }

    fn json_name(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let from = self.next();
        self.expect_sign(b'=')?;
        let value = self.expect_text("a quoted name")?;
        if self.located(path::FIELD_JSON_NAME) {
            return Err(Fault::new(from.range(), "json_name is set twice").boxed());
        }
        self.locate(&[path::FIELD_JSON_NAME], self.since(from));
        self.parsed
            .json_names
            .insert([&self.path[..], &[path::FIELD_JSON_NAME]].concat());
        field.set_json_name(value);
        Ok(())
    }

    /// Whether this part of what is being parsed has been met.
    fn located(&self, field: i32) -> bool {
        let own = [&self.path[..], &[field]].concat();
        let back = self.locations.iter().rev();
        back.take_while(|(at, _)| at.starts_with(&self.path))
            .any(|(at, _)| *at == own)
    }

    fn default(&mut self, field: &mut FieldDescriptorProto) -> Parse<()> {
        let from = self.next();
        if field.has_default_value() {
            return Err(Fault::new(from.range(), "the default is set twice").boxed());
        }
        self.expect_sign(b'=')?;
        let value = self.default_value(field)?;
        field.set_default_value(value);
        self.locate(&[path::FIELD_DEFAULT], self.since(from));
        Ok(())
    }

    /// As descriptors write it.
    fn default_value(&mut self, field: &FieldDescriptorProto) -> Parse<String> {
        let Some(kind) = field.type_.and_then(|kind| kind.enum_value().ok()) else {
            // Of an enum, as far as is known yet.
            return Ok(self.expect_word("the name of an enum value")?.0.to_owned());
        };
        Ok(match kind {
            Type::TYPE_INT32 | Type::TYPE_SINT32 | Type::TYPE_SFIXED32 => {
                self.default_integer(i32::MAX as u64, true)?
            }
            Type::TYPE_INT64 | Type::TYPE_SINT64 | Type::TYPE_SFIXED64 => {
                self.default_integer(i64::MAX as u64, true)?
            }
            Type::TYPE_UINT32 | Type::TYPE_FIXED32 => {
                self.default_integer(u32::MAX.into(), false)?
            }
            Type::TYPE_UINT64 | Type::TYPE_FIXED64 => self.default_integer(u64::MAX, false)?,
            Type::TYPE_FLOAT => float::of_f32(self.default_float()?),
            Type::TYPE_DOUBLE => float::of_f64(self.default_float()?),
            Type::TYPE_BOOL => match () {
                () if self.take("true") => "true".to_owned(),
                () if self.take("false") => "false".to_owned(),
                () => return self.unexpected("true or false"),
            },
            Type::TYPE_STRING => self.expect_text("a quoted text")?,
            Type::TYPE_BYTES => escaped(&self.expect_bytes("a quoted text")?),
            Type::TYPE_GROUP | Type::TYPE_MESSAGE => {
                let fault = Fault::new(self.token().range(), "a message can't have a default");
                return Err(fault.help("leave it out").boxed());
            }
            Type::TYPE_ENUM => self.expect_word("the name of an enum value")?.0.to_owned(),
        })
    }

    fn default_integer(&mut self, most: u64, signed: bool) -> Parse<String> {
        let token = self.token();
        let negative = self.take_sign(b'-');
        if negative && !signed {
            return Err(
                Fault::new(token.range(), "a negative default of an unsigned field").boxed(),
            );
        }
        let n = self.expect_integer("a whole number", most + u64::from(negative))?;
        Ok(if negative && n != 0 {
            format!("-{n}")
        } else if negative {
            "0".to_owned()
        } else {
            n.to_string()
        })
    }

    fn default_float(&mut self) -> Parse<f64> {
        let negative = self.take_sign(b'-');
        let value = self.number()?;
        Ok(if negative { -value } else { value })
    }

    /// The value of a number as a float. Only if it is decimal may it be over 64 bits.
    pub(super) fn large(&self, token: super::Token) -> Parse<f64> {
        let text = self.word(token);
        let decimal = token.kind == Kind::Float || text.len() == 1 || !text.starts_with('0');
        match decimal || integer(text).is_some() {
            true => Ok(float::parsed(text)),
            false => Err(Fault::new(token.range(), "the number is out of range")
                .label("expected at most 64 bits, or a decimal number")
                .boxed()),
        }
    }

    /// A float, an integer, `inf` or `nan`.
    fn number(&mut self) -> Parse<f64> {
        let token = self.token();
        match token.kind {
            Kind::Integer | Kind::Float => {
                self.next();
                self.large(token)
            }
            _ if self.take("inf") => Ok(f64::INFINITY),
            _ if self.take("nan") => Ok(f64::NAN),
            _ => self.unexpected("a number"),
        }
    }
}

pub(in super::super) fn scalar(word: &str) -> Option<Type> {
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

/// The name in JSON of a field that doesn't say one.
pub(in super::super) fn camel_case(name: &str) -> String {
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

/// Bytes as descriptors write a default of them: C's escapes.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &b in bytes {
        match b {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' => text.push_str("\\\""),
            b'\'' => text.push_str("\\'"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(b)),
            _ => text.push_str(&format!("\\{b:03o}")),
        }
    }
    text
}
