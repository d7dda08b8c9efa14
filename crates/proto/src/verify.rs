//! The checks of a linked file. They find the errors that protoc reports after it has resolved
//! names: invalid numbers, ranges and JSON names, and constructs that the file's syntax or edition
//! forbids.
//!
//! protoc has each of these checks, too. For the files of `tests/protos`, tests compare the errors
//! with the errors that protoc reports. The checks do not change the linked descriptors, and report
//! each error at its place.

mod declarations;
mod enums;
mod extensions;
mod features;
mod fields;
mod json_names;
mod maps;
mod messages;
mod ranges;
mod style;
mod support;
mod visibility;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use protobuf::descriptor::descriptor_proto::ExtensionRange;
use protobuf::descriptor::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use protobuf::well_known_types::empty::Empty;
use protobuf::{Message, UnknownValueRef};

use crate::budget::{Budget, OutOfTime};
use crate::features::{Features, place};
use crate::linked::LinkedFiles;
use crate::parsed::{Edition, Parsed};
use crate::path::{self, below, index};
use crate::report::FaultReport;
use crate::symbols::{SymbolKind, View, enum_at, full_name};

/// Checks the file with the index `at`. Its types and options must already be resolved.
pub(super) fn verify(
    files: &LinkedFiles,
    at: usize,
    parsed: &Parsed,
    options_view: &View,
    report: &mut FaultReport,
) -> Result<(), OutOfTime> {
    let linked = files.file(at);
    let mut check = Check {
        files,
        index: at,
        file: &linked.file,
        edition: linked.edition,
        parsed,
        options_view,
        ranges: HashMap::new(),
        enums: RefCell::default(),
        declarations: HashMap::new(),
        visibilities: HashMap::new(),
        budget: report.budget(),
        report,
    };
    check.file()
}

/// The check of one file.
struct Check<'a, 'b, 'c> {
    files: &'a LinkedFiles,
    index: usize,
    file: &'a FileDescriptorProto,
    edition: Edition,
    parsed: &'a Parsed,
    options_view: &'a View,
    /// The extension ranges of the extended messages, by the message's name and the range's start.
    ranges: HashMap<&'a str, BTreeMap<i32, &'a ExtensionRange>>,
    /// The features of the fields' enums, by the enum's address.
    enums: RefCell<HashMap<*const EnumDescriptorProto, Features>>,
    /// The declarations of extension ranges, by the address of the range and the declared number.
    declarations: HashMap<*const ExtensionRange, HashMap<i32, Empty>>,
    /// The default_symbol_visibility of each file whose types are used, by the index of the file.
    visibilities: HashMap<usize, Option<u64>>,
    budget: &'b Budget,
    report: &'c mut FaultReport<'b>,
}

impl<'a> Check<'a, '_, '_> {
    fn file(&mut self) -> Result<(), OutOfTime> {
        let file = self.file;
        let features = Features::of_file(file);
        self.imports();
        self.written_options()?;
        self.file_style(features);
        for (at, extension) in file.extension.iter().enumerate() {
            self.extension(extension, features, &[path::FILE_EXTENSION, index(at)])?;
        }
        for (at, message) in file.message_type.iter().enumerate() {
            self.message(
                message,
                file.package(),
                features,
                &[path::FILE_MESSAGE, index(at)],
            )?;
        }
        for (at, one) in file.enum_type.iter().enumerate() {
            self.enumeration(one, features, &[path::FILE_ENUM, index(at)]);
        }
        for (at, service) in file.service.iter().enumerate() {
            self.service_style(service, features, &[path::FILE_SERVICE, index(at)]);
        }
        if !file.service.is_empty() {
            self.lite_services();
        }
        self.visibility()
    }

    /// Checks that no file is imported twice, and that a file with the full runtime imports no file
    /// with the lite runtime.
    fn imports(&mut self) {
        let options = self
            .parsed
            .option_imports
            .iter()
            .map(|name| (path::FILE_OPTION_DEPENDENCY, name));
        let imports = self
            .file
            .dependency
            .iter()
            .map(|name| (path::FILE_DEPENDENCY, name));
        let mut seen = HashSet::new();
        let mut counts = HashMap::new();
        for (list, name) in imports.chain(options) {
            let which = counts.entry(list).or_insert(0usize);
            let at = below(&[], list, *which);
            *which += 1;
            if !seen.insert(name.as_str()) {
                self.report.fault(
                    format!("{name:?} is imported twice"),
                    &at,
                    "",
                    "leave one out",
                );
            }
        }
        if is_lite(self.file) {
            return;
        }
        for (i, name) in self.file.dependency.iter().enumerate() {
            let import = self.files.named(name);
            if import.is_some_and(|linked| is_lite(&linked.file)) {
                let text =
                    format!("{name:?} sets optimize_for = LITE_RUNTIME, and this file does not");
                let at = below(&[], path::FILE_DEPENDENCY, i);
                self.report
                    .fault(text, &at, "", "set it in both files, or in neither");
            }
        }
    }

    /// Checks that a file with the lite runtime asks for no generic services. The lite runtime does
    /// not support them.
    fn lite_services(&mut self) {
        let options = &self.file.options;
        let generic = [
            (options.cc_generic_services(), path::OPTION_CC_SERVICES),
            (options.java_generic_services(), path::OPTION_JAVA_SERVICES),
        ];
        for (_, number) in generic.into_iter().filter(|(asked, _)| *asked) {
            if is_lite(self.file) {
                let text = "a file with optimize_for = LITE_RUNTIME has no generic services";
                let at = [path::FILE_OPTIONS, number];
                self.report.fault(text, &at, "", "leave the option out");
            }
        }
    }

    fn message(
        &mut self,
        message: &'a DescriptorProto,
        scope: &str,
        outer: Features,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        self.budget.step()?;
        let features = outer.within(message.options.as_ref(), place::MESSAGE);
        let name = full_name(scope, message.name());
        self.field_numbers(message, at);
        self.reserved_field_names(message, at);
        self.message_ranges(message, at);
        self.message_options(message, at);
        self.oneofs(message, at);
        self.json_names(message, features, at);
        self.maps(message, &name, features, at);
        self.message_style(message, features, at);
        for (i, field) in message.field.iter().enumerate() {
            let oneof = field
                .oneof_index
                .and_then(|at| message.oneof_decl.get(at as usize));
            let features = match oneof {
                Some(oneof) => features.within(oneof.options.as_ref(), place::ONEOF),
                None => features,
            };
            let at = below(at, path::MESSAGE_FIELD, i);
            self.field(field, features, &at)?;
            self.entry_type(field, &name, &at);
        }
        for (i, extension) in message.extension.iter().enumerate() {
            self.extension(extension, features, &below(at, path::MESSAGE_EXTENSION, i))?;
        }
        for (i, e) in message.enum_type.iter().enumerate() {
            self.enumeration(e, features, &below(at, path::MESSAGE_ENUM, i));
        }
        for (i, nested) in message.nested_type.iter().enumerate() {
            if !nested.options.map_entry() {
                self.message(
                    nested,
                    &name,
                    features,
                    &below(at, path::MESSAGE_MESSAGE, i),
                )?;
            }
        }
        Ok(())
    }

    /// Returns the enum that a field's type name refers to, and the enum's features. Returns `None`
    /// if the name does not refer to an enum.
    fn enum_of(&self, type_name: &str) -> Option<(&'a EnumDescriptorProto, Features)> {
        let (symbol, linked) = self.files.get(type_name)?;
        let one =
            enum_at(&linked.file, &symbol.path).filter(|_| symbol.kind == SymbolKind::Enum)?;
        // The features are cached by the enum's address, because computing them takes time in
        // proportion to the options of the enum.
        let features = *self.enums.borrow_mut().entry(one).or_insert_with(|| {
            let outer = linked.features(&symbol.path[..symbol.path.len() - 2]);
            outer.within(one.options.as_ref(), place::ENUM)
        });
        Some((one, features))
    }

    fn is_proto3(&self) -> bool {
        self.edition == Edition::Proto3
    }
}

fn is_lite(file: &FileDescriptorProto) -> bool {
    use protobuf::descriptor::file_options::OptimizeMode;
    file.options.optimize_for() == OptimizeMode::LITE_RUNTIME
}

/// Returns the value of a bool option that is an unknown field of `options`, or false if the option
/// is not set.
fn unknown_flag<M: Message>(options: Option<&M>, number: u32) -> bool {
    let value = options.and_then(|options| options.special_fields().unknown_fields().get(number));
    matches!(value, Some(UnknownValueRef::Varint(1)))
}

fn bare(name: &str) -> &str {
    name.trim_start_matches('.')
}
