//! Extension ranges that declare which extensions they are for.

use protobuf::UnknownValueRef;
use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::descriptor_proto::ExtensionRange;
use protobuf::descriptor::field_descriptor_proto::Label;
use protobuf::well_known_types::empty::Empty;

use super::super::options::name_at;
use super::super::path::{self, below};
use super::Check;
use super::features::messages;

/// Fields of ExtensionRangeOptions that the descriptor model doesn't know.
const DECLARATION: u32 = 2;
const VERIFICATION: u32 = 3;

impl Check<'_, '_, '_> {
    /// The extension must be as its range declares it, if it declares any.
    pub(super) fn declared(&mut self, extension: &FieldDescriptorProto, range: &ExtensionRange, at: &[i32]) {
        let Some(options) = range.options.as_ref() else { return };
        let unknown = options.special_fields.unknown_fields();
        let declarations = messages(unknown, DECLARATION);
        let verified = matches!(unknown.get(VERIFICATION), Some(UnknownValueRef::Varint(0)));
        if declarations.is_empty() && !verified {
            return;
        }
        let number = extension.number();
        let place = below(at, path::FIELD_NUMBER, None);
        let of_number = |d: &&Empty| matches!(d.special_fields.unknown_fields().get(1), Some(UnknownValueRef::Varint(n)) if n == number as u64);
        let Some(declaration) = declarations.iter().find(of_number) else {
            let text = format!("extension number {number} is not declared");
            let help = "add a declaration of it to the extension range";
            return self.report.fault(text, &place, "its range says which extensions there are", help);
        };
        let unknown = declaration.special_fields.unknown_fields();
        let text_of = |field: u32| match unknown.get(field) {
            Some(UnknownValueRef::LengthDelimited(text)) => Some(String::from_utf8_lossy(text).into_owned()),
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
            self.report.fault(text, &below(at, path::NAME, None), &format!("this is {own_name}"), "");
        }
        let own_type = match extension.type_name() {
            "" => scalar_name(extension),
            name => name.to_owned(),
        };
        if let Some(declared) = text_of(3).filter(|declared| *declared != own_type) {
            let text = format!("extension number {number} is declared with the type {declared}");
            self.report.fault(text, &below(at, path::FIELD_TYPE, None), &format!("this is {own_type}"), "");
        }
        if flag(6) != (extension.label() == Label::LABEL_REPEATED) {
            let word = if flag(6) { "repeated" } else { "not repeated" };
            let text = format!("extension number {number} is declared as {word}");
            self.report.fault(text, at, "", "");
        }
    }
}

/// As .proto files write it.
fn scalar_name(field: &FieldDescriptorProto) -> String {
    format!("{:?}", field.type_()).trim_start_matches("TYPE_").to_ascii_lowercase()
}
