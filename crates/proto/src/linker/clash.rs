//! The definitions that must be unique over all files: names, and extension numbers of a message.

use std::collections::HashMap;
use std::sync::Arc;

use protobuf::descriptor::field_descriptor_proto::Label;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::Linker;
use crate::linked::LinkedFile;
use crate::path::{self, index};
use crate::report::FaultReport;
use crate::symbols::{Clash, SymbolKind, message_at};
use crate::well_known;
use gateway_diagnostic::Diagnostic;

impl Linker {
    /// Reports each name of `file` that is defined twice, except for names within a message that is
    /// itself defined twice.
    pub(super) fn clashes(
        &self,
        at: usize,
        file: &FileDescriptorProto,
        clashes: &[Clash],
        report: &mut FaultReport,
    ) {
        let mut outer: Option<&[i32]> = None;
        for clash in clashes {
            if outer.is_some_and(|outer| clash.path.starts_with(outer)) {
                continue;
            }
            outer = is_message(&clash.path).then_some(&clash.path);
            report.push_with(|report| {
                let map = map_clash(at, file, clash, report);
                map.unwrap_or_else(|| self.clash(at, clash, report))
            });
        }
    }

    fn clash(&self, at: usize, clash: &Clash, report: &FaultReport) -> Diagnostic {
        let Clash { name, path, first } = clash;
        let short = name.rsplit('.').next().unwrap_or(name);
        let whole = [&path[..], &[path::NAME]].concat();
        let fault =
            Diagnostic::error(format!("{short:?} is defined twice")).at(report.place(&whole));
        let first_place = |other: &LinkedFile| {
            let named = [&first.path[..], &[path::NAME]].concat();
            other.places(report.budget()).at(&named)
        };
        let value = matches!(first.kind, SymbolKind::EnumValue);
        let fault = if first.file == at {
            fault.note(format!(
                "first defined as {} at {}",
                first.kind.name(),
                report.place(&[&first.path[..], &[path::NAME]].concat())
            ))
        } else {
            let other = self.files.file(first.file);
            let note = match well_known::has(other.name()) {
                true => format!("{} comes with the gateway", other.name()),
                false => format!(
                    "first defined as {} at {}",
                    first.kind.name(),
                    first_place(other)
                ),
            };
            fault.note(note)
        };
        let is_value = value && report.is_enum_value(path);
        if is_value {
            return fault.help(
                "enum values share the scope of their enum: begin their names with the enum's name",
            );
        }
        if first.file == at {
            return fault.help("rename one of them");
        }
        fault.help(
            "all files below the import paths are compiled together: rename one, or leave one out",
        )
    }

    /// Records the numbers of the extensions in a file. Reports each extension that has the number
    /// of an earlier extension of the same message, in this file or an earlier file.
    pub(super) fn extension_numbers(&mut self, at: usize, report: &mut FaultReport) {
        let facts = Arc::clone(&self.files.file(at).facts);
        let mut are_unique = true;
        for (extendee, numbers) in &facts.extensions {
            if !self.extensions.contains_key(extendee) {
                self.extensions.insert(extendee.clone(), HashMap::new());
            }
            let Some(known) = self.extensions.get_mut(extendee) else {
                continue;
            };
            for &number in numbers {
                are_unique &= !known.contains_key(&number);
                known.entry(number).or_insert(at);
            }
        }
        if !are_unique {
            self.used_numbers(at, report);
        }
    }

    /// Reports each extension in a file that has the number of an earlier extension of the same
    /// message.
    fn used_numbers(&self, at: usize, report: &mut FaultReport) {
        let linked = self.files.file(at);
        let mut firsts = HashMap::from([(at, HashMap::new())]);
        for Numbered { key, path } in numbered(&linked.file) {
            let (extendee, number) = key;
            let file = self.extensions.get(extendee).and_then(|of| of.get(&number));
            let Some(&file) = file else { continue };
            let other = self.files.file(file);
            let in_file = file == at;
            let first = firsts.entry(file).or_insert_with(|| {
                // If a file has several extensions with this number, the first one is kept.
                let all = numbered(&other.file).into_iter().rev();
                all.map(|it| (it.key, it.path)).collect()
            });
            let Some(first) = first.get(&key) else {
                if in_file {
                    firsts.entry(at).or_default().insert(key, path);
                }
                continue;
            };
            report.push_with(|report| {
                let number_path = [&path[..], &[path::FIELD_NUMBER]].concat();
                let first = match in_file {
                    true => report.place(first),
                    false => other.places(report.budget()).at(first),
                };
                let text = format!("extension number {number} of {extendee} is already used");
                // If the extensions are in different files, this is only a warning, as in protoc,
                // since each file alone is valid.
                let fault = if in_file {
                    Diagnostic::error(text)
                } else {
                    Diagnostic::warning(text)
                };
                fault
                    .at(report.place(&number_path))
                    .note(format!("this number belongs to the extension at {first}"))
                    .help("choose another number")
            });
        }
    }
}

/// An extension, with its path in the file's descriptor.
struct Numbered<'a> {
    /// The full name of the extended message, without a leading dot, and the extension's number.
    key: (&'a str, i32),
    path: Vec<i32>,
}

/// Returns all extensions of a file.
fn numbered(file: &FileDescriptorProto) -> Vec<Numbered<'_>> {
    let mut all = Vec::new();
    for (i, extension) in file.extension.iter().enumerate() {
        all.push((extension, path::below(&[], path::FILE_EXTENSION, i)));
    }
    for (i, message) in file.message_type.iter().enumerate() {
        extensions_below(message, &[path::FILE_MESSAGE, index(i)], &mut all);
    }
    let numbered = all.into_iter().map(|(extension, path)| Numbered {
        key: (
            extension.extendee().trim_start_matches('.'),
            extension.number(),
        ),
        path,
    });
    numbered.collect()
}

fn extensions_below<'a>(
    message: &'a DescriptorProto,
    at: &[i32],
    all: &mut Vec<(&'a FieldDescriptorProto, Vec<i32>)>,
) {
    for (i, extension) in message.extension.iter().enumerate() {
        all.push((extension, path::below(at, path::MESSAGE_EXTENSION, i)));
    }
    for (i, nested) in message.nested_type.iter().enumerate() {
        extensions_below(nested, &path::below(at, path::MESSAGE_MESSAGE, i), all);
    }
}

/// Returns whether a path leads to a message.
fn is_message(path: &[i32]) -> bool {
    match path {
        [list, _] => *list == path::FILE_MESSAGE,
        [.., list, _] => *list == path::MESSAGE_MESSAGE,
        _ => false,
    }
}

/// Returns the error for two map fields of a message that generate the same name for their entries.
/// The user never wrote that name, so the error names the fields. Returns `None` for any other
/// clash.
fn map_clash(
    at: usize,
    file: &FileDescriptorProto,
    clash: &Clash,
    report: &FaultReport,
) -> Option<Diagnostic> {
    let (first, _) = map_of(file, &clash.first.path).filter(|_| clash.first.file == at)?;
    let (second, path) = map_of(file, &clash.path)?;
    let entry = clash.name.rsplit('.').next().unwrap_or_default();
    let fault = Diagnostic::error(format!(
        "fields {first} and {second} make the same map entry {entry}"
    ));
    let place = report.place(&[&path[..], &[path::NAME]].concat());
    Some(fault.at(place).help("rename one of them"))
}

/// Returns the name and the path of the map field whose entry message is at `path`. Returns `None`
/// if there is no map entry at `path`.
fn map_of<'f>(file: &'f FileDescriptorProto, path: &[i32]) -> Option<(&'f str, Vec<i32>)> {
    let entry =
        message_at(file, path).filter(|message| is_message(path) && message.options.map_entry())?;
    let (outer, [_, which]) = path.split_at_checked(path.len() - 2)? else {
        return None;
    };
    let message = message_at(file, outer)?;
    let alike =
        |message: &&DescriptorProto| message.name() == entry.name() && message.options.map_entry();
    let before = message.nested_type.iter().take(*which as usize);
    let before = before.filter(alike).count();
    let last = |field: &FieldDescriptorProto| {
        field.type_name().rsplit('.').next() == Some(entry.name())
            && field.label() == Label::LABEL_REPEATED
    };
    let fields = message.field.iter().enumerate();
    let (i, field) = fields.filter(|(_, field)| last(field)).nth(before)?;
    Some((field.name(), path::below(outer, path::MESSAGE_FIELD, i)))
}
