//! Parsed files → descriptors: names resolved, options read, everything checked.
//!
//! Files come one by one, imports before importers. What a file's descriptor is depends on
//! its text and what it imports, on nothing else; the linker holds what all files define, so that no
//! name and no extension number is taken twice.

mod clash;
mod resolve;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protobuf::descriptor::{DescriptorProto, EnumValueDescriptorProto, FileDescriptorProto};

use super::parsed::{Edition, Parsed};
use super::report::Report;
use super::symbols::{Kind, Lookup, Symbol, Symbols, Unfit, View, enum_at, message_at};
use super::{options, path, verify};
use crate::features::{Features, place};
use gateway_diagnostic::{Diagnostic, SourceFile};

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
            resolve::types(&self.symbols, &view, &self.files, &mut file, &mut report);
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
        self.clashes(at, file, &clashes, report);
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

    /// What to say of a name that stands for nothing.
    pub fn not_found(&self, name: &str, found: &Lookup) -> Diagnostic {
        resolve::not_found(name, found, &self.files)
    }
}
