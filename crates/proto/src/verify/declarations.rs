//! Checks extension ranges that declare their extensions.

use std::collections::{HashMap, HashSet};

use protobuf::UnknownValueRef;
use protobuf::descriptor::descriptor_proto::ExtensionRange;
use protobuf::descriptor::field_descriptor_proto::Label;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use protobuf::well_known_types::empty::Empty;

use super::Check;
use super::features::messages;
use crate::names::scalar;
use crate::options::name_at;
use crate::path::{self, below};

impl Check<'_, '_, '_> {
    /// Checks the declarations of a message's extension ranges. Each declared number must be within
    /// its range and must occur once in the range. No name may occur twice in the message.
    pub(super) fn declarations(&mut self, message: &DescriptorProto, at: &[i32]) {
        let mut names = HashSet::new();
        for (i, range) in message.extension_range.iter().enumerate() {
            let Some(options) = range.options.as_ref() else {
                continue;
            };
            let unknown = options.special_fields.unknown_fields();
            let declarations = messages(unknown, path::RANGE_DECLARATION);
            let unverified = matches!(
                unknown.get(path::RANGE_VERIFICATION),
                Some(UnknownValueRef::Varint(1))
            );
            let own = below(at, path::MESSAGE_EXTENSION_RANGE, i);
            if unverified && !declarations.is_empty() {
                let text = "a range that is UNVERIFIED declares extensions";
                let help = "leave out the declarations, or verification = UNVERIFIED";
                self.report.fault(text, &own, "", help);
            }
            let mut numbers = HashSet::new();
            for declaration in declarations {
                if let Some(text) = misdeclared(&declaration, range, &mut numbers, &mut names) {
                    self.report.fault(
                        text,
                        &own,
                        "",
                        "declare each extension once, by .full.name and type",
                    );
                }
            }
        }
    }

    /// Checks that an extension is declared in its range and matches the declaration. A range
    /// without declarations allows any extension, unless it has `verification = DECLARATION`.
    pub(super) fn declared(
        &mut self,
        extension: &FieldDescriptorProto,
        range: &ExtensionRange,
        at: &[i32],
    ) {
        let Some(options) = range.options.as_ref() else {
            return;
        };
        let unknown = options.special_fields.unknown_fields();
        let declarations = self
            .declarations
            .entry(std::ptr::from_ref(range))
            .or_insert_with(|| by_number(messages(unknown, path::RANGE_DECLARATION)));
        let verified = matches!(
            unknown.get(path::RANGE_VERIFICATION),
            Some(UnknownValueRef::Varint(0))
        );
        if declarations.is_empty() && !verified {
            return;
        }
        let number = extension.number();
        let place = below(at, path::FIELD_NUMBER, None);
        let Some(declaration) = declarations.get(&number).map(Declaration::of) else {
            let text = format!("extension number {number} is not declared");
            let help = "declare the extension in the options of the extension range";
            return self.report.fault(
                text,
                &place,
                "this extension range allows only declared extensions",
                help,
            );
        };
        if declaration.is_reserved {
            let text = format!("extension number {number} is reserved by its range");
            return self.report.fault(text, &place, "", "choose another number");
        }
        self.as_declared(extension, &declaration, at);
    }

    /// Checks an extension against its declaration: the name, the type, and whether it is repeated.
    fn as_declared(
        &mut self,
        extension: &FieldDescriptorProto,
        declaration: &Declaration,
        at: &[i32],
    ) {
        let number = extension.number();
        let own_name = format!(".{}", name_at(self.file, at).unwrap_or_default());
        if let Some(name) = declaration
            .full_name
            .as_ref()
            .filter(|name| **name != own_name)
        {
            let text = format!("extension number {number} is declared as {name}");
            self.report.fault(
                text,
                &below(at, path::NAME, None),
                &format!("this is {own_name}"),
                "",
            );
        }
        let own_type = match extension.type_name() {
            "" => scalar_name(extension),
            name => name.to_owned(),
        };
        if let Some(declared) = declaration
            .type_name
            .as_ref()
            .filter(|name| **name != own_type)
        {
            let text = format!("extension number {number} is declared with the type {declared}");
            self.report.fault(
                text,
                &below(at, path::FIELD_TYPE, None),
                &format!("this is {own_type}"),
                "",
            );
        }
        if declaration.is_repeated != (extension.label() == Label::LABEL_REPEATED) {
            let word = match declaration.is_repeated {
                true => "repeated",
                false => "not repeated",
            };
            let text = format!("extension number {number} is declared as {word}");
            self.report.fault(text, at, "", "");
        }
    }
}

/// `ExtensionRangeOptions.Declaration`, for which rust-protobuf has no type.
struct Declaration {
    number: i32,
    full_name: Option<String>,
    type_name: Option<String>,
    is_reserved: bool,
    is_repeated: bool,
}

impl Declaration {
    /// Reads the fields of a declaration.
    fn of(message: &Empty) -> Self {
        let unknown = message.special_fields.unknown_fields();
        let text = |field: u32| match unknown.get(field) {
            Some(UnknownValueRef::LengthDelimited(text)) => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        };
        let is_set = |field: u32| matches!(unknown.get(field), Some(UnknownValueRef::Varint(1)));
        Self {
            number: match unknown.get(path::DECLARATION_NUMBER) {
                Some(UnknownValueRef::Varint(number)) => number as i32,
                _ => 0,
            },
            full_name: text(path::DECLARATION_FULL_NAME),
            type_name: text(path::DECLARATION_TYPE),
            is_reserved: is_set(path::DECLARATION_RESERVED),
            is_repeated: is_set(path::DECLARATION_REPEATED),
        }
    }
}

/// Returns the declarations of a range by their numbers.
fn by_number(all: Vec<Empty>) -> HashMap<i32, Empty> {
    all.into_iter()
        .map(|declaration| (Declaration::of(&declaration).number, declaration))
        .collect()
}

/// Returns the error in a declaration itself, such as a number outside of its range, or `None` if
/// the declaration has no error. Records the declared number and name in `numbers` and `names`, to
/// find later declarations of the same number or name.
fn misdeclared(
    declaration: &Empty,
    range: &ExtensionRange,
    numbers: &mut HashSet<i32>,
    names: &mut HashSet<String>,
) -> Option<String> {
    let declaration = Declaration::of(declaration);
    let number = declaration.number;
    if !(range.start()..range.end()).contains(&number) {
        return Some(format!(
            "extension number {number} is declared outside of its range"
        ));
    }
    if !numbers.insert(number) {
        return Some(format!("extension number {number} is declared twice"));
    }
    let (name, type_name) = match (declaration.full_name, declaration.type_name) {
        (Some(name), Some(type_name)) => (name, type_name),
        (None, None) if declaration.is_reserved => return None,
        _ => {
            return Some(format!(
                "the declaration of number {number} lacks full_name or type"
            ));
        }
    };
    let is_name = |name: &str| {
        let is_part = |part: &str| {
            part.starts_with(|c: char| !c.is_ascii_digit())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        name.strip_prefix('.')
            .is_some_and(|name| name.split('.').all(is_part))
    };
    if !is_name(&name) {
        return Some(format!(
            "the declared name {name:?} is not a full name with a leading dot"
        ));
    }
    if !is_name(&type_name) && scalar(&type_name).is_none() {
        return Some(format!(
            "the declared type {type_name:?} is neither a scalar nor a full name with a leading dot"
        ));
    }
    (!names.insert(name.clone())).then(|| format!("extension {name} is declared twice"))
}

/// Returns the name of a field's scalar type, as it is written in .proto files.
fn scalar_name(field: &FieldDescriptorProto) -> String {
    format!("{:?}", field.type_())
        .trim_start_matches("TYPE_")
        .to_ascii_lowercase()
}
