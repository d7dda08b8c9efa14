//! Parsed files → descriptors: names resolved, options read, everything checked.
//!
//! Files come one by one, imports before importers. What a file's descriptor is depends on
//! its text and what it imports, on nothing else; the linker holds what all files define, so that no
//! name and no extension number is taken twice.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protobuf::descriptor::field_descriptor_proto::Type;
use protobuf::descriptor::{
    DescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::parsed::{Edition, Parsed};
use super::report::Report;
use super::symbols::{Clash, Kind, Lookup, Symbol, Symbols, Unfit, View, enum_at, message_at};
use super::{full_name, options, path, verify};
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::schema::table::features::{Features, place};

/// Files that are visible through public imports, of all files together: a chain of 20,000 would make
/// 200 million; googleapis makes one for each file.
const MAX_PUBLIC: usize = 5_000_000;

/// One file, linked.
#[derive(Debug)]
pub(super) struct Linked {
    pub file: FileDescriptorProto,
    pub edition: Edition,
    pub option_imports: Vec<String>,
    /// In force in the file, unless something within it says otherwise.
    pub features: Features,
    pub source: Arc<SourceFile>,
}

impl Linked {
    /// All names that the file imports.
    pub fn imports(&self) -> impl Iterator<Item = &String> {
        self.file.dependency.iter().chain(&self.option_imports)
    }

    /// The features in force in what lies at a path of messages.
    pub fn features(&self, path: &[i32]) -> Features {
        let mut features = self.features;
        for end in (2..=path.len()).step_by(2) {
            let message = message_at(&self.file, &path[..end]);
            features = features.within(message.and_then(|m| m.options.as_ref()), place::MESSAGE);
        }
        features
    }
}

/// All files so far.
#[derive(Default)]
pub(super) struct Linker {
    files: Vec<Arc<Linked>>,
    by_name: HashMap<String, usize>,
    /// Of each file: itself and what it imports publicly, through public imports too.
    public: Vec<Vec<usize>>,
    public_total: usize,
    symbols: Symbols,
    /// Who has an extension number of a message: file and path.
    extensions: HashMap<(String, i32), (usize, Vec<i32>)>,
}

impl Linker {
    /// Links a file whose imports were: what is wrong with it, which may be warnings only.
    pub fn link(&mut self, parsed: &Parsed, source: &Arc<SourceFile>) -> Vec<Diagnostic> {
        let at = self.files.len();
        let mut file = parsed.file.clone();
        let mut report = Report::of(&parsed.file, source);
        let named = self.add_names(at, &file, &mut report);
        let (view, options_view) = self.views(at, &file, &parsed.option_imports);
        if named {
            Resolver {
                symbols: &self.symbols,
                view: &view,
                files: &self.files,
                report: &mut report,
            }
            .file(&mut file);
        }
        self.register(at, &file);
        // Without its types, nothing more can be said of the file.
        let linked = |file| Linked {
            features: Features::of_file(&file),
            file,
            edition: parsed.edition,
            option_imports: parsed.option_imports.clone(),
            source: Arc::clone(source),
        };
        if report.has_faults() {
            self.files.push(Arc::new(linked(file)));
            return report.into_diagnostics();
        }
        self.files.push(Arc::new(linked(file.clone())));
        let views = options::Views {
            types: &view,
            options: &options_view,
        };
        // How an option's value is written may depend on the features of a message of the same file.
        if parsed.edition.is_edition() {
            options::read(
                self,
                at,
                parsed,
                views,
                options::Which::Features,
                &mut file,
                &mut report,
            );
            self.files[at] = Arc::new(linked(file.clone()));
        }
        options::read(
            self,
            at,
            parsed,
            views,
            options::Which::Others,
            &mut file,
            &mut report,
        );
        self.files[at] = Arc::new(linked(file));
        if report.has_faults() {
            return report.into_diagnostics();
        }
        // With the places of the options, too.
        let linked = Arc::clone(&self.files[at]);
        let mut report = Report::of(&linked.file, source);
        verify::verify(self, at, parsed, &options_view, &mut report);
        self.extension_numbers(at, &mut report);
        report.into_diagnostics()
    }

    /// Takes a file as it was linked before, with the same imports. It may clash with others
    /// nevertheless.
    pub fn adopt(&mut self, linked: &Arc<Linked>) -> Vec<Diagnostic> {
        let at = self.files.len();
        let source = Arc::clone(&linked.source);
        let mut report = Report::of(&linked.file, &source);
        self.add_names(at, &linked.file, &mut report);
        self.register(at, &linked.file);
        self.files.push(Arc::clone(linked));
        self.extension_numbers(at, &mut report);
        report.into_diagnostics()
    }

    /// False: not all of them could be.
    fn add_names(&mut self, at: usize, file: &FileDescriptorProto, report: &mut Report) -> bool {
        let (clashes, unfit) = self.symbols.add(at, file);
        for clash in clashes {
            report.push_with(|report| self.clash(at, &clash, report));
        }
        let fits = unfit.is_none();
        if let Some(Unfit { why, path }) = unfit {
            let place = [&path[..], &[path::NAME]].concat();
            report.fault(why, &place, "", "choose shorter names");
        }
        fits
    }

    /// Whether no more names are taken.
    pub fn is_full_of_names(&self) -> bool {
        self.symbols.is_full()
    }

    fn register(&mut self, at: usize, file: &FileDescriptorProto) {
        self.by_name.insert(file.name().to_owned(), at);
        let mut public = vec![at];
        let imports = file.public_dependency.iter();
        for import in imports.filter_map(|&i| file.dependency.get(i as usize)) {
            let import = self.by_name.get(import).and_then(|&at| self.public.get(at));
            public.extend(import.into_iter().flatten());
        }
        public.sort_unstable();
        public.dedup();
        self.public_total += public.len();
        self.public.push(public);
    }

    /// Whether the files import publicly more than any that people write.
    pub fn is_overgrown(&self) -> bool {
        self.public_total > MAX_PUBLIC
    }

    /// What types and what options of a file may name.
    fn views(
        &self,
        at: usize,
        file: &FileDescriptorProto,
        option_imports: &[String],
    ) -> (View, View) {
        let seen = |imports: &[String]| {
            let known = imports.iter().filter_map(|name| self.by_name.get(name));
            known
                .flat_map(|&at| self.public[at].iter().copied())
                .collect::<Vec<_>>()
        };
        let mut files: HashSet<usize> = seen(&file.dependency).into_iter().collect();
        files.insert(at);
        let mut with_options = files.clone();
        with_options.extend(seen(option_imports));
        (self.symbols.view(files), self.symbols.view(with_options))
    }

    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    pub fn file(&self, at: usize) -> &Linked {
        &self.files[at]
    }

    /// The message, field or enum of a full name (a leading dot is dropped).
    pub fn get(&self, name: &str) -> Option<(&Symbol, &Linked)> {
        let symbol = self.symbols.get(name.trim_start_matches('.'))?;
        Some((symbol, &**self.files.get(symbol.file)?))
    }

    /// The file of this name.
    pub fn named(&self, name: &str) -> Option<&Linked> {
        self.by_name.get(name).map(|&at| &*self.files[at])
    }

    /// All files so far, linked or found wanting.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Linked>> {
        self.files.iter()
    }

    /// All files; the one by which options are read if a file imports it.
    pub fn imported(&self) -> impl Iterator<Item = &Arc<Linked>> {
        let descriptor = super::well_known::DESCRIPTOR;
        let is_imported = self
            .files
            .iter()
            .any(|linked| linked.imports().any(|name| name == descriptor));
        self.files
            .iter()
            .filter(move |linked| is_imported || linked.file.name() != descriptor)
    }

    /// The message of a full name (a leading dot is dropped).
    pub fn message(&self, name: &str) -> Option<&DescriptorProto> {
        let (symbol, linked) = self.get(name)?;
        message_at(&linked.file, &symbol.path).filter(|_| symbol.kind == Kind::Message)
    }

    /// The value of this name of an enum.
    pub fn value(&self, enum_name: &str, value: &str) -> Option<&EnumValueDescriptorProto> {
        let bare = enum_name.trim_start_matches('.');
        // Values are named beside their enum.
        let scope = bare.rfind('.').map_or("", |dot| &bare[..=dot]);
        let (symbol, linked) = self.get(&format!("{scope}{value}"))?;
        let own = self.symbols.get(bare)?;
        let [of_enum @ .., _, which] = &symbol.path[..] else {
            return None;
        };
        let same =
            symbol.kind == Kind::EnumValue && own.file == symbol.file && own.path[..] == *of_enum;
        enum_at(&linked.file, of_enum)
            .filter(|_| same)?
            .value
            .get(*which as usize)
    }

    fn clash(&self, at: usize, clash: &Clash, report: &Report) -> Diagnostic {
        let Clash { name, path, first } = clash;
        let short = name.rsplit('.').next().unwrap_or(name);
        let whole = [&path[..], &[path::NAME]].concat();
        let fault =
            Diagnostic::error(format!("{short:?} is defined twice")).at(report.place(&whole));
        let first_place = |file: &FileDescriptorProto, source: &Arc<SourceFile>| {
            let named = [&first.path[..], &[path::NAME]].concat();
            super::places::Places::of(file, source, super::Compiler::Builtin).at(&named)
        };
        let value = matches!(first.kind, Kind::EnumValue);
        let fault = if first.file == at {
            fault.note(format!(
                "first as {} at {}",
                first.kind.name(),
                report.place(&[&first.path[..], &[path::NAME]].concat())
            ))
        } else {
            let other = &self.files[first.file];
            let note = match super::well_known::has(other.file.name()) {
                true => format!("{} comes with the gateway", other.file.name()),
                false => format!(
                    "first as {} at {}",
                    first.kind.name(),
                    first_place(&other.file, &other.source)
                ),
            };
            fault.note(note)
        };
        let is_value = value && report.is_enum_value(path);
        if is_value {
            return fault.help("values of an enum are named in what the enum is in, beside it: put the enum's name before them");
        }
        if first.file == at {
            return fault.help("rename one of them");
        }
        fault.help(
            "all files below the import paths are compiled together: rename one, or leave one out",
        )
    }

    /// No number of a message may be extended twice, in all files.
    fn extension_numbers(&mut self, at: usize, report: &mut Report) {
        let linked = Arc::clone(&self.files[at]);
        let mut all = Vec::new();
        for (i, extension) in linked.file.extension.iter().enumerate() {
            all.push((extension, path::below(&[], path::FILE_EXTENSION, i)));
        }
        for (i, message) in linked.file.message_type.iter().enumerate() {
            extensions_below(message, &[path::FILE_MESSAGE, super::index(i)], &mut all);
        }
        for (extension, own) in all {
            let key = (extension.extendee().to_owned(), extension.number());
            let Some((file, first)) = self.extensions.get(&key) else {
                self.extensions.insert(key, (at, own));
                continue;
            };
            let other = &self.files[*file];
            let in_file = *file == at;
            report.push_with(|report| {
                let number = [&own[..], &[path::FIELD_NUMBER]].concat();
                let first = match in_file {
                    true => report.place(first),
                    false => super::places::Places::of(
                        &other.file,
                        &other.source,
                        super::Compiler::Builtin,
                    )
                    .at(first),
                };
                let text = format!(
                    "extension number {} of {} is already used",
                    key.1,
                    key.0.trim_start_matches('.')
                );
                // As protoc has it: who uses either file alone is right.
                let fault = if in_file {
                    Diagnostic::error(text)
                } else {
                    Diagnostic::warning(text)
                };
                fault
                    .at(report.place(&number))
                    .note(format!("by the extension at {first}"))
                    .help("choose another number")
            });
        }
    }
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

/// Resolves the types that a file names.
struct Resolver<'a, 'b> {
    symbols: &'a Symbols,
    view: &'a View,
    files: &'a [Arc<Linked>],
    report: &'a mut Report<'b>,
}

impl Resolver<'_, '_> {
    fn file(&mut self, file: &mut FileDescriptorProto) {
        let package = file.package().to_owned();
        for (i, message) in file.message_type.iter_mut().enumerate() {
            self.message(message, &package, &[path::FILE_MESSAGE, super::index(i)]);
        }
        for (i, extension) in file.extension.iter_mut().enumerate() {
            self.field(
                extension,
                &package,
                &[path::FILE_EXTENSION, super::index(i)],
            );
        }
        for (i, service) in file.service.iter_mut().enumerate() {
            let name = full_name(&package, service.name());
            for (k, method) in service.method.iter_mut().enumerate() {
                let at = [
                    path::FILE_SERVICE,
                    super::index(i),
                    path::SERVICE_METHOD,
                    super::index(k),
                ];
                let scope = full_name(&name, method.name());
                for (field, type_name) in [
                    (
                        path::METHOD_INPUT,
                        method.input_type.get_or_insert_default(),
                    ),
                    (
                        path::METHOD_OUTPUT,
                        method.output_type.get_or_insert_default(),
                    ),
                ] {
                    let place = path::below(&at, field, None);
                    if let Some((name, _)) =
                        self.resolve(type_name, &scope, &place, Wanted::Message)
                    {
                        *type_name = name;
                    }
                }
            }
        }
    }

    fn message(&mut self, message: &mut DescriptorProto, scope: &str, at: &[i32]) {
        let name = full_name(scope, message.name());
        let is_map_entry = message.options.map_entry();
        for (i, field) in message.field.iter_mut().enumerate() {
            let own = match is_map_entry {
                // A map's key and value stand where the map does.
                true => at.to_vec(),
                false => path::below(at, path::MESSAGE_FIELD, i),
            };
            self.field(field, &name, &own);
        }
        let types = message
            .field
            .iter()
            .enumerate()
            .map(|(i, field)| (field.type_name(), i));
        let types: HashMap<_, _> = types.collect();
        for (i, nested) in message.nested_type.iter_mut().enumerate() {
            let mut own = path::below(at, path::MESSAGE_MESSAGE, i);
            if nested.options.map_entry() {
                let type_name = format!(".{name}.{}", nested.name());
                let map = types.get(&type_name[..]).copied().unwrap_or_default();
                own = [
                    &path::below(at, path::MESSAGE_FIELD, map)[..],
                    &[path::FIELD_TYPE_NAME],
                ]
                .concat();
            }
            self.message(nested, &name, &own);
        }
        for (i, extension) in message.extension.iter_mut().enumerate() {
            let own = path::below(at, path::MESSAGE_EXTENSION, i);
            self.field(extension, &name, &own);
        }
    }

    fn field(&mut self, field: &mut FieldDescriptorProto, scope: &str, at: &[i32]) {
        let own = full_name(scope, field.name());
        if field.has_extendee() {
            let place = path::below(at, path::FIELD_EXTENDEE, None);
            if let Some((name, _)) = self.resolve(field.extendee(), &own, &place, Wanted::Message) {
                field.set_extendee(name);
            }
        }
        if !field.has_type_name() {
            return;
        }
        let place = path::below(at, path::FIELD_TYPE_NAME, None);
        let Some((name, kind)) = self.resolve(field.type_name(), &own, &place, Wanted::Type) else {
            return;
        };
        field.set_type_name(name);
        match kind {
            Kind::Enum => field.set_type(Type::TYPE_ENUM),
            _ if field.type_ == Some(Type::TYPE_GROUP.into()) => {}
            _ => field.set_type(Type::TYPE_MESSAGE),
        }
    }

    /// The full name, with a leading dot, of a type that is named within a descriptor.
    fn resolve(
        &mut self,
        name: &str,
        within: &str,
        place: &[i32],
        wanted: Wanted,
    ) -> Option<(String, Kind)> {
        let found = self
            .symbols
            .look_up(self.view, name, within, wanted == Wanted::Type);
        let files = self.files;
        let fault = match found {
            Lookup::Found(full, symbol) if wanted.takes(symbol.kind) => {
                return Some((format!(".{full}"), symbol.kind));
            }
            Lookup::Found(full, symbol) => {
                let fault = Diagnostic::error(format!("{full} is {}", symbol.kind.name()));
                fault.label(format!("expected {}", wanted.name()))
            }
            other => not_found(name, &other, files),
        };
        self.report
            .push_with(|report| fault.at(report.place(place)));
        None
    }
}

/// In words, without a place.
pub(super) fn not_found(name: &str, found: &Lookup, files: &[Arc<Linked>]) -> Diagnostic {
    match found {
        Lookup::NotImported(full, symbol) => {
            // The file that is being linked isn't among them yet.
            let file = files.get(symbol.file).map_or("", |linked| linked.file.name());
            Diagnostic::error(format!("{full} is not imported"))
                .note(format!("{file} defines it"))
                .help(format!("add import {file:?};"))
        }
        Lookup::Shadowed(scope) => Diagnostic::error(format!("{name:?} is not defined"))
            .note(format!("the innermost scope that has the first part of the name is {scope}, which lacks the rest"))
            .help(format!("write .{name} if its full name is meant")),
        Lookup::Found(..) | Lookup::Missing => {
            Diagnostic::error(format!("{name:?} is not defined"))
        }
    }
}

impl Linker {
    /// As [`not_found`].
    pub fn not_found(&self, name: &str, found: &Lookup) -> Diagnostic {
        not_found(name, found, &self.files)
    }
}

/// What a name must stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Message,
    Type,
}

impl Wanted {
    fn takes(self, kind: Kind) -> bool {
        kind == Kind::Message || (self == Wanted::Type && kind == Kind::Enum)
    }

    fn name(self) -> &'static str {
        match self {
            Wanted::Message => "a message",
            Wanted::Type => "a message or an enum",
        }
    }
}
