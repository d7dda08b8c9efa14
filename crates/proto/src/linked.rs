//! The linked files, in which later files, options and checks look up names.
//!
//! This module holds the data only. [`super::linker`] is the pass that fills it.

use std::collections::HashMap;
use std::sync::Arc;

use protobuf::descriptor::{DescriptorProto, EnumValueDescriptorProto, FileDescriptorProto};

use crate::budget::{Budget, OutOfTime};
use crate::compiler::Compiler;
use crate::facts::Facts;
use crate::features::{Features, place};
use crate::lazy::LazyDescriptor;
use crate::locations::Locations;
use crate::parsed::Edition;
use crate::places::Places;
use crate::symbols::{Clash, Lookup, Symbol, SymbolKind, Symbols, Unfit, enum_at, message_at};
use crate::well_known;
use gateway_diagnostic::{Diagnostic, SourceFile};

/// One file, linked.
#[derive(Debug)]
pub(super) struct LinkedFile {
    /// The descriptor, which is decoded when it is first read.
    pub file: Arc<LazyDescriptor>,
    pub facts: Arc<Facts>,
    /// The total length of the full names that the file defines, in bytes.
    pub names_bytes: usize,
    /// The locations of definitions and options. The descriptor itself contains no locations.
    pub locations: Locations,
    pub edition: Edition,
    /// The features in force in the file, unless an element within it overrides them.
    pub features: Features,
    pub source: Arc<SourceFile>,
}

impl LinkedFile {
    /// Returns the name by which other files import the file.
    pub(crate) fn name(&self) -> &str {
        &self.facts.name
    }

    /// Returns the names of all files that the file imports.
    pub(crate) fn imports(&self) -> impl Iterator<Item = &String> {
        self.facts.all_imports()
    }

    /// Returns the places in the file. They are incomplete once `budget` is spent.
    pub(crate) fn places(&self, budget: &Budget) -> Places<'_> {
        Places::of(&self.locations, &self.source, Compiler::Builtin, budget)
    }

    /// Returns the features in force in the message at `path`, or in the file if the path is empty.
    pub(crate) fn features(&self, path: &[i32]) -> Features {
        let mut features = self.features;
        for end in (2..=path.len()).step_by(2) {
            let message = message_at(&self.file, &path[..end]);
            features = features.within(message.and_then(|m| m.options.as_ref()), place::MESSAGE);
        }
        features
    }
}

/// All files that have been linked so far, with or without faults, and the names that they define.
#[derive(Default)]
pub(super) struct LinkedFiles {
    symbols: Symbols,
    files: Vec<Arc<LinkedFile>>,
    by_name: HashMap<String, usize>,
}

impl LinkedFiles {
    /// Returns the number of files, which is the index of the next file.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Adds the names that the file at an index defines. Returns the names that are defined twice.
    /// Also returns the first name that exceeds a limit. One limit applies to the length of a name,
    /// and another to the total length of the names in all files.
    pub(crate) fn add_names(
        &mut self,
        at: usize,
        file: &FileDescriptorProto,
        budget: &Budget,
    ) -> Result<(Vec<Clash>, Option<Unfit>), OutOfTime> {
        self.symbols.add(at, file, budget)
    }

    /// Adds the file at an index without its names, which are read only if the look-up of a name
    /// fails. Returns false, and adds nothing, if its names must be added at once.
    #[must_use]
    pub(crate) fn add_unread(&mut self, at: usize, linked: &LinkedFile) -> bool {
        let LinkedFile {
            file,
            facts,
            names_bytes,
            ..
        } = linked;
        self.symbols.add_unread(at, file, facts, *names_bytes)
    }

    /// Records that the file of this name has the index `at`.
    pub(crate) fn name(&mut self, name: &str, at: usize) {
        self.by_name.insert(name.to_owned(), at);
    }

    /// Returns the index of the file of this name.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Adds a file, which gets the index [`Self::len`].
    pub(crate) fn push(&mut self, file: Arc<LinkedFile>) {
        self.files.push(file);
    }

    /// Replaces the file at an index by a more complete version of itself.
    pub(crate) fn replace(&mut self, at: usize, file: LinkedFile) {
        self.files[at] = Arc::new(file);
    }

    /// Returns the file at an index.
    pub(crate) fn file(&self, at: usize) -> &Arc<LinkedFile> {
        &self.files[at]
    }

    /// Returns all names that the files define.
    pub(crate) fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Returns the symbol of a full name, and the file that defines it. A leading dot is ignored.
    pub(crate) fn get(&self, name: &str) -> Option<(&Symbol, &LinkedFile)> {
        let symbol = self.symbols.get(name.trim_start_matches('.'))?;
        Some((symbol, &**self.files.get(symbol.file)?))
    }

    /// Returns the file of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&LinkedFile> {
        self.by_name.get(name).map(|&at| &*self.files[at])
    }

    /// Returns all files so far, with or without faults.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<LinkedFile>> {
        self.files.iter()
    }

    /// Returns all files, and drops the tables of names. descriptor.proto, which defines the
    /// options, is only included if another file imports it.
    pub(crate) fn into_imported(self) -> impl Iterator<Item = Arc<LinkedFile>> {
        let descriptor = well_known::DESCRIPTOR;
        let is_imported = self
            .files
            .iter()
            .any(|linked| linked.imports().any(|name| name == descriptor));
        self.files
            .into_iter()
            .filter(move |linked| is_imported || linked.name() != descriptor)
    }

    /// Returns the message of a full name. A leading dot is ignored.
    pub(crate) fn message(&self, name: &str) -> Option<&DescriptorProto> {
        let (symbol, linked) = self.get(name)?;
        if symbol.kind != SymbolKind::Message {
            return None;
        }
        message_at(&linked.file, &symbol.path)
    }

    /// Returns the value with the name `value` of the enum `enum_name`, if there is one. The name
    /// of the enum may have a leading dot.
    pub(crate) fn value(&self, enum_name: &str, value: &str) -> Option<&EnumValueDescriptorProto> {
        let bare = enum_name.trim_start_matches('.');
        // The scope of an enum's values is the scope that contains the enum.
        let scope = bare.rfind('.').map_or("", |dot| &bare[..=dot]);
        let (symbol, linked) = self.get(&format!("{scope}{value}"))?;
        let own = self.symbols.get(bare)?;
        let [of_enum @ .., _, which] = &symbol.path[..] else {
            return None;
        };
        let is_own = symbol.kind == SymbolKind::EnumValue
            && own.file == symbol.file
            && own.path[..] == *of_enum;
        if !is_own {
            return None;
        }
        enum_at(&linked.file, of_enum)?.value.get(*which as usize)
    }

    /// Returns the diagnostic for a name that a look-up did not find. The diagnostic has no place.
    pub(crate) fn not_found(&self, name: &str, found: &Lookup) -> Diagnostic {
        match found {
            Lookup::NotImported(full, symbol) => {
                // `files` does not yet contain the file that is being linked.
                let file = self.files.get(symbol.file);
                not_imported(full, file.map_or("", |linked| linked.name()))
            }
            Lookup::Shadowed(scope) => Diagnostic::error(format!("{name:?} is not defined"))
                .note(format!("the first part of the name refers to {scope}, which does not define the rest of the name"))
                .help(format!("write .{name} if that is the full name")),
            Lookup::Found(..) | Lookup::Missing => {
                Diagnostic::error(format!("{name:?} is not defined"))
            }
        }
    }
}

/// Returns the diagnostic for a full name that is defined in `file`, a file that is not imported.
pub(super) fn not_imported(full: &str, file: &str) -> Diagnostic {
    Diagnostic::error(format!("{full} is not imported"))
        .note(format!("{file} defines it"))
        .help(format!("add import {file:?};"))
}
