//! Checks `export` and `local`. Since edition 2024, these keywords decide whether other files may
//! use a message or enum.

use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use protobuf::well_known_types::empty::Empty;
use protobuf::{Message as _, UnknownValueRef};

use super::Check;
use crate::budget::OutOfTime;
use crate::features::feature::{DEFAULT_SYMBOL_VISIBILITY, EXPORT_ALL, EXPORT_TOP_LEVEL, STRICT};
use crate::features::place;
use crate::linked::LinkedFile;
use crate::parsed::{Edition, Visibility};
use crate::path::{self, below, index};
use crate::symbols::{Symbol, enum_at, message_at};

impl<'a> Check<'a, '_, '_> {
    /// Checks that the file uses no local type of another file. If the file sets
    /// `default_symbol_visibility` to STRICT, also checks that it exports no nested type.
    pub(super) fn visibility(&mut self) -> Result<(), OutOfTime> {
        self.strict();
        let file = self.file;
        for (i, extension) in file.extension.iter().enumerate() {
            self.used_by_field(extension, &[path::FILE_EXTENSION, index(i)])?;
        }
        for (i, message) in file.message_type.iter().enumerate() {
            self.used_by_message(message, &[path::FILE_MESSAGE, index(i)])?;
        }
        for (i, service) in file.service.iter().enumerate() {
            for (k, method) in service.method.iter().enumerate() {
                let at = [path::FILE_SERVICE, index(i), path::SERVICE_METHOD, index(k)];
                self.used(method.input_type(), &below(&at, path::METHOD_INPUT, None))?;
                self.used(method.output_type(), &below(&at, path::METHOD_OUTPUT, None))?;
            }
        }
        Ok(())
    }

    fn used_by_message(&mut self, message: &DescriptorProto, at: &[i32]) -> Result<(), OutOfTime> {
        for (i, field) in message.field.iter().enumerate() {
            self.used_by_field(field, &below(at, path::MESSAGE_FIELD, i))?;
            // The types of a map are the types of its entry's fields.
            if let Some(entry) = self
                .files
                .message(field.type_name())
                .filter(|m| m.options.map_entry())
            {
                let place = below(
                    &below(at, path::MESSAGE_FIELD, i),
                    path::FIELD_TYPE_NAME,
                    None,
                );
                for part in &entry.field {
                    self.used(part.type_name(), &place)?;
                }
            }
        }
        for (i, extension) in message.extension.iter().enumerate() {
            self.used_by_field(extension, &below(at, path::MESSAGE_EXTENSION, i))?;
        }
        for (i, nested) in message.nested_type.iter().enumerate() {
            if !nested.options.map_entry() {
                self.used_by_message(nested, &below(at, path::MESSAGE_MESSAGE, i))?;
            }
        }
        Ok(())
    }

    fn used_by_field(&mut self, field: &FieldDescriptorProto, at: &[i32]) -> Result<(), OutOfTime> {
        self.used(field.type_name(), &below(at, path::FIELD_TYPE_NAME, None))?;
        self.used(field.extendee(), &below(at, path::FIELD_EXTENDEE, None))
    }

    fn used(&mut self, name: &str, place: &[i32]) -> Result<(), OutOfTime> {
        self.budget.step()?;
        let Some((symbol, linked)) = self.files.get(name) else {
            return Ok(());
        };
        if linked.file.name() == self.file.name() || !self.is_local(linked, symbol) {
            return Ok(());
        }
        let text = format!("{} is local to {:?}", super::bare(name), linked.file.name());
        let help = "write export before its definition, or use another type";
        self.report.fault(text, place, "", help);
        Ok(())
    }

    fn is_local(&mut self, linked: &LinkedFile, symbol: &Symbol) -> bool {
        if linked.edition < Edition::Edition2024 {
            return false;
        }
        if let Some(declared) = declared_visibility(&linked.file, &symbol.path) {
            return declared == Visibility::Local as u64;
        }
        // The default visibility is cached, because finding it takes time in proportion to the
        // options of the file.
        let default = self.visibilities.entry(symbol.file);
        match default.or_insert_with(|| default_visibility(&linked.file)) {
            Some(EXPORT_ALL) => false,
            Some(EXPORT_TOP_LEVEL) | None => symbol.path.len() > 2,
            Some(_) => true,
        }
    }

    /// Checks a file that sets `default_symbol_visibility` to STRICT. It must not export nested
    /// types, with one exception. An enum may be exported from a local message at the top level
    /// that has no fields and reserves all numbers, because such a message only serves as a scope.
    fn strict(&mut self) {
        if default_visibility(self.file) != Some(STRICT) {
            return;
        }
        for (at, visibility) in &self.parsed.visibility {
            if *visibility != Visibility::Export || at.len() == 2 {
                continue;
            }
            let is_enum = at[at.len() - 2] == path::MESSAGE_ENUM;
            let outer = message_at(self.file, &at[..at.len() - 2]);
            let outer_at = &at[..at.len() - 2];
            let hidden = outer_at.len() == 2
                && declared_visibility(self.file, outer_at) != Some(Visibility::Export as u64);
            let scope_only = outer.is_some_and(|m| {
                let reserved = m
                    .reserved_range
                    .iter()
                    .any(|r| r.start() == 1 && r.end() == crate::parser::FIELD_NUMBER_MAX + 1);
                hidden && m.field.is_empty() && reserved
            });
            if !(is_enum && scope_only) {
                let text = "a nested type is exported from a file whose default_symbol_visibility is STRICT";
                self.report.fault(
                    text,
                    &below(at, path::NAME, None),
                    "",
                    "move it to the top level, or leave export out",
                );
            }
        }
    }
}

/// Returns the visibility that a type itself declares, or `None` if it declares no visibility.
fn declared_visibility(file: &FileDescriptorProto, at: &[i32]) -> Option<u64> {
    // `FileDescriptorProto.message_type` and `DescriptorProto.enum_type` have the same number.
    let is_enum = match at {
        [list, _] => *list == path::FILE_ENUM,
        _ => matches!(at, [.., path::MESSAGE_ENUM, _]),
    };
    let (unknown, number) = match is_enum {
        true => (&enum_at(file, at)?.special_fields, path::ENUM_VISIBILITY),
        false => (
            &message_at(file, at)?.special_fields,
            path::MESSAGE_VISIBILITY,
        ),
    };
    match unknown.unknown_fields().get(number)? {
        UnknownValueRef::Varint(visibility) => Some(visibility),
        _ => None,
    }
}

/// Returns the file's `default_symbol_visibility`, if the file sets it.
fn default_visibility(file: &FileDescriptorProto) -> Option<u64> {
    let options = file.options.as_ref()?;
    let mut visibility = None;
    for (number, value) in options.special_fields.unknown_fields() {
        let UnknownValueRef::LengthDelimited(set) = value else {
            continue;
        };
        if number != place::FILE {
            continue;
        }
        let set = Empty::parse_from_bytes(set).ok()?;
        if let Some(UnknownValueRef::Varint(n)) = set
            .special_fields
            .unknown_fields()
            .get(DEFAULT_SYMBOL_VISIBILITY)
        {
            visibility = Some(n);
        }
    }
    visibility
}
