//! Extension ranges that declare which extensions they are for.

use std::collections::{HashMap, HashSet};

use protobuf::UnknownValueRef;
use protobuf::descriptor::descriptor_proto::ExtensionRange;
use protobuf::descriptor::field_descriptor_proto::Label;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use protobuf::well_known_types::empty::Empty;

use super::super::options::name_at;
use super::super::parser::scalar;
use super::super::path::{self, below};
use super::Check;
use super::features::messages;

/// Fields of ExtensionRangeOptions that the descriptor model doesn't know.
const DECLARATION: u32 = 2;
const VERIFICATION: u32 = 3;

impl Check<'_, '_, '_> {
    /// What the ranges of a message declare: no number and no name twice, each within its range.
    pub(super) fn declarations(&mut self, message: &DescriptorProto, at: &[i32]) {
        let mut names = HashSet::new();
        for (i, range) in message.extension_range.iter().enumerate() {
            let Some(options) = range.options.as_ref() else {
                continue;
            };
            let unknown = options.special_fields.unknown_fields();
            let declarations = messages(unknown, DECLARATION);
            let unverified = matches!(unknown.get(VERIFICATION), Some(UnknownValueRef::Varint(1)));
            let own = below(at, path::MESSAGE_EXTENSION_RANGE, i);
            if unverified && !declarations.is_empty() {
                let text = "a range that is UNVERIFIED declares extensions";
                self.report.fault(text, &own, "", "leave out one of them");
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

    /// The extension must be as its range declares it, if it declares any.
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
            .or_insert_with(|| by_number(messages(unknown, DECLARATION)));
        let verified = matches!(unknown.get(VERIFICATION), Some(UnknownValueRef::Varint(0)));
        if declarations.is_empty() && !verified {
            return;
        }
        let number = extension.number();
        let place = below(at, path::FIELD_NUMBER, None);
        let Some(declaration) = declarations.get(&number).cloned() else {
            let text = format!("extension number {number} is not declared");
            let help = "add a declaration of it to the extension range";
            return self.report.fault(
                text,
                &place,
                "its range says which extensions there are",
                help,
            );
        };
        let unknown = declaration.special_fields.unknown_fields();
        let text_of = |field: u32| match unknown.get(field) {
            Some(UnknownValueRef::LengthDelimited(text)) => {
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        };
        let flag = |field: u32| matches!(unknown.get(field), Some(UnknownValueRef::Varint(1)));
        if flag(5) {
            let text = format!("extension number {number} is reserved by its range");
            return self.report.fault(text, &place, "", "choose another number");
        }
        let own_name = format!(".{}", name_at(self.file, at).unwrap_or_default());
        if let Some(name) = text_of(2).filter(|name| *name != own_name) {
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
        if let Some(declared) = text_of(3).filter(|declared| *declared != own_type) {
            let text = format!("extension number {number} is declared with the type {declared}");
            self.report.fault(
                text,
                &below(at, path::FIELD_TYPE, None),
                &format!("this is {own_type}"),
                "",
            );
        }
        if flag(6) != (extension.label() == Label::LABEL_REPEATED) {
            let word = if flag(6) { "repeated" } else { "not repeated" };
            let text = format!("extension number {number} is declared as {word}");
            self.report.fault(text, at, "", "");
        }
    }
}

/// The declarations of a range.
fn by_number(all: Vec<Empty>) -> HashMap<i32, Empty> {
    let number = |declaration: &Empty| match declaration.special_fields.unknown_fields().get(1) {
        Some(UnknownValueRef::Varint(number)) => number as i32,
        _ => 0,
    };
    all.into_iter()
        .map(|declaration| (number(&declaration), declaration))
        .collect()
}

/// What is wrong with a declaration by itself.
fn misdeclared(
    declaration: &Empty,
    range: &ExtensionRange,
    numbers: &mut HashSet<i32>,
    names: &mut HashSet<String>,
) -> Option<String> {
    let unknown = declaration.special_fields.unknown_fields();
    let text_of = |field: u32| match unknown.get(field) {
        Some(UnknownValueRef::LengthDelimited(text)) => {
            Some(String::from_utf8_lossy(text).into_owned())
        }
        _ => None,
    };
    let number = match unknown.get(1) {
        Some(UnknownValueRef::Varint(number)) => number as i32,
        _ => 0,
    };
    if !(range.start()..range.end()).contains(&number) {
        return Some(format!(
            "extension number {number} is declared outside of its range"
        ));
    }
    if !numbers.insert(number) {
        return Some(format!("extension number {number} is declared twice"));
    }
    let reserved = matches!(unknown.get(5), Some(UnknownValueRef::Varint(1)));
    let (name, type_name) = match (text_of(2), text_of(3)) {
        (Some(name), Some(type_name)) => (name, type_name),
        (None, None) if reserved => return None,
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
            "the declared name {name:?} is no full name with a leading dot"
        ));
    }
    if !is_name(&type_name) && scalar(&type_name).is_none() {
        return Some(format!(
            "the declared type {type_name:?} is neither a scalar nor a full name with a leading dot"
        ));
    }
    (!names.insert(name.clone())).then(|| format!("extension {name} is declared twice"))
}

/// As .proto files write it.
fn scalar_name(field: &FieldDescriptorProto) -> String {
    format!("{:?}", field.type_())
        .trim_start_matches("TYPE_")
        .to_ascii_lowercase()
}
