//! Every name that a set of files defines, and the resolution of names.
//!
//! A name is looked up from the innermost scope outward, in the files that the referring file sees:
//! itself, its imports, and their public imports. The only errors found here are names that are
//! defined twice or are too long.
//!
//! If a file is unchanged and no changed file needs it, its names are read only when a look-up
//! fails ([`Symbols::add_unread`]). The diagnostic of a failed look-up says which file defines the
//! name.

use std::cell::OnceCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::budget::{Budget, OutOfTime};
use crate::facts::Facts;
use crate::lazy::LazyDescriptor;
use crate::path::{self, index};
use crate::report::FAULTS_MAX;
use crate::top_names::prefix_hashes;

/// The maximum length of a full name in bytes, as in protoc.
pub(super) const NAME_LENGTH_MAX: usize = u16::MAX as usize;

/// The maximum total length of the full names in all files, in bytes: ten times the length in
/// googleapis. The size of the texts does not bound this length: a definition of a few bytes has a
/// long full name if it is nested in a message with a long name. Resolved type names need no bound
/// of their own: each is at most as long as the full name of its field or method plus the name as
/// written.
const NAMES_LENGTH_MAX: usize = 256 << 20;

/// The kind of definition that a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymbolKind {
    Package,
    Message,
    Field,
    Extension,
    Oneof,
    Enum,
    EnumValue,
    Service,
    Method,
}

impl SymbolKind {
    /// Returns whether this kind of definition is a scope. In a scope, a look-up continues with the
    /// rest of the name.
    fn is_scope(self) -> bool {
        matches!(
            self,
            SymbolKind::Package | SymbolKind::Message | SymbolKind::Enum | SymbolKind::Service
        )
    }

    /// Returns whether a definition of this kind can be the type of a field.
    pub(crate) fn is_type(self) -> bool {
        matches!(self, SymbolKind::Message | SymbolKind::Enum)
    }

    /// Returns the name of this kind with its article, as diagnostics show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SymbolKind::Package => "a package",
            SymbolKind::Message => "a message",
            SymbolKind::Field => "a field",
            SymbolKind::Extension => "an extension",
            SymbolKind::Oneof => "a oneof",
            SymbolKind::Enum => "an enum",
            SymbolKind::EnumValue => "an enum value",
            SymbolKind::Service => "a service",
            SymbolKind::Method => "a method",
        }
    }
}

/// A definition: its kind, its file, and its path in the file.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub kind: SymbolKind,
    /// The index of the file that defines the name. For a package, this is the first file that
    /// declares the package.
    pub file: usize,
    /// The path of the descriptor in its file.
    pub path: Box<[i32]>,
}

/// A name that is defined twice: the path of the second definition, and the first definition.
pub(super) struct Clash {
    pub name: String,
    pub path: Vec<i32>,
    pub first: Symbol,
}

/// A rejected name: the reason, and the path of the definition.
pub(super) struct Unfit {
    pub why: String,
    pub path: Vec<i32>,
}

/// All names that a set of files defines.
#[derive(Default)]
pub(super) struct Symbols {
    /// The total length in bytes of all names seen so far, including rejected ones.
    bytes: usize,
    by_name: HashMap<String, Symbol>,
    /// The package of each file, by the index of the file.
    packages: Vec<String>,
    /// The files whose names are not in `by_name`.
    unread: Vec<UnreadNames>,
    /// The index in `unread` of the file that defines a name at its top level, by the hash of the
    /// name.
    unread_tops: HashMap<u64, usize>,
}

/// A file whose names are read only when it may define a name that is looked up.
struct UnreadNames {
    /// The index of the file.
    at: usize,
    file: Arc<LazyDescriptor>,
    by_name: OnceCell<HashMap<String, Symbol>>,
}

impl UnreadNames {
    fn get(&self, full_name: &str) -> Option<&Symbol> {
        let by_name = self.by_name.get_or_init(|| {
            let mut symbols = Symbols::default();
            // The budget is unlimited, because an earlier compile has already added these names
            // within its time limit.
            let _ = symbols.add(self.at, &self.file, &Budget::unlimited());
            symbols.by_name
        });
        by_name.get(full_name)
    }
}

/// The names that a file sees.
pub(super) struct View {
    /// The indices of the files.
    files: HashSet<usize>,
    /// The indices of the files that are imported with `import option`. Only the extensions in
    /// these files are seen.
    option_files: HashSet<usize>,
    /// The packages of all these files, and the packages that contain them.
    packages: HashSet<String>,
}

impl View {
    pub(crate) fn sees(&self, file: usize) -> bool {
        self.files.contains(&file)
    }

    /// Returns whether the extensions in a file are seen.
    pub(crate) fn sees_extensions(&self, file: usize) -> bool {
        self.sees(file) || self.option_files.contains(&file)
    }
}

/// The kind of definition that a look-up is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    Anything,
    /// A message or an enum. The look-up of a name without dots skips other definitions in inner
    /// scopes. In the outermost scope, it finds a definition of any kind.
    Type,
}

/// The result of a look-up.
pub(super) enum Lookup<'a> {
    Found(String, &'a Symbol),
    /// The first part of the name refers to this scope, which does not define the rest of the name.
    Shadowed(String),
    /// The name is defined in a file that is not imported.
    NotImported(String, &'a Symbol),
    Missing,
}

impl Symbols {
    /// Returns whether the full names of all files exceed the limit. The names of the last file are
    /// then incomplete.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > NAMES_LENGTH_MAX
    }

    /// Adds a file's names. Returns the names that are defined twice. Also returns the first name
    /// that exceeds a limit. One limit applies to the length of a name, and another to the total
    /// length of the names in all files.
    pub(crate) fn add(
        &mut self,
        at: usize,
        file: &FileDescriptorProto,
        budget: &Budget,
    ) -> Result<(Vec<Clash>, Option<Unfit>), OutOfTime> {
        let mut adder = Adder {
            symbols: self,
            file: at,
            budget,
            clashes: Vec::new(),
            unfit: None,
        };
        let package = file.package();
        for (end, _) in package
            .match_indices('.')
            .chain((!package.is_empty()).then_some((package.len(), "")))
        {
            adder.add_as(
                package[..end].to_owned(),
                SymbolKind::Package,
                vec![path::FILE_PACKAGE],
            )?;
        }
        for (i, message) in file.message_type.iter().enumerate() {
            adder.message(message, package, &[path::FILE_MESSAGE, index(i)])?;
        }
        for (i, one) in file.enum_type.iter().enumerate() {
            adder.enumeration(one, package, &[path::FILE_ENUM, index(i)])?;
        }
        adder.extensions(&file.extension, package, &[], path::FILE_EXTENSION)?;
        for (i, service) in file.service.iter().enumerate() {
            let at = [path::FILE_SERVICE, index(i)];
            let name = full_name(package, service.name());
            for (i, method) in service.method.iter().enumerate() {
                let path = path::below(&at, path::SERVICE_METHOD, i);
                adder.add_as(full_name(&name, method.name()), SymbolKind::Method, path)?;
            }
            adder.add_as(name, SymbolKind::Service, at.to_vec())?;
        }
        let Adder { clashes, unfit, .. } = adder;
        self.packages.push(package.to_owned());
        Ok((clashes, unfit))
    }

    /// Adds a file without its names. `names_bytes` is the total length of these names in bytes. No
    /// other file may define a name that this file defines at its top level. Returns false, and
    /// adds nothing, if the names exceed the limit, or if one of them has the same hash as an
    /// unread name of another file. The caller must then call [`Self::add`].
    #[must_use]
    pub(crate) fn add_unread(
        &mut self,
        at: usize,
        file: &Arc<LazyDescriptor>,
        facts: &Facts,
        names_bytes: usize,
    ) -> bool {
        let mut definitions = facts.names.definitions();
        if self.bytes + names_bytes > NAMES_LENGTH_MAX
            || definitions.any(|hash| self.unread_tops.contains_key(&hash))
        {
            return false;
        }
        self.bytes += names_bytes;
        self.packages.push(facts.package.clone());
        let place = self.unread.len();
        let tops = facts.names.definitions().map(|hash| (hash, place));
        self.unread_tops.extend(tops);
        self.unread.push(UnreadNames {
            at,
            file: Arc::clone(file),
            by_name: OnceCell::new(),
        });
        true
    }

    /// Returns the total length in bytes of all names seen so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the view of a file. `files` are the indices of the files whose names are all
    /// visible. In the files with the indices `option_files`, only the extensions are visible.
    pub(crate) fn view(&self, files: HashSet<usize>, option_files: HashSet<usize>) -> View {
        let mut packages = HashSet::new();
        let own: HashSet<&str> = files
            .iter()
            .chain(&option_files)
            .filter_map(|&at| self.packages.get(at))
            .map(String::as_str)
            .collect();
        for package in own {
            let ends = package
                .match_indices('.')
                .map(|(at, _)| at)
                .chain([package.len()]);
            for end in ends {
                if !packages.contains(&package[..end]) {
                    packages.insert(package[..end].to_owned());
                }
            }
        }
        View {
            files,
            option_files,
            packages,
        }
    }

    /// Returns the symbol of a full name, even if no file sees it. Returns `None` for a name that
    /// is not defined or was not read.
    pub(crate) fn get(&self, full_name: &str) -> Option<&Symbol> {
        self.by_name.get(full_name)
    }

    /// Returns the stored copy of a full name, which lives as long as the symbols.
    pub(crate) fn key(&self, full_name: &str) -> Option<&str> {
        self.by_name
            .get_key_value(full_name)
            .map(|(name, _)| name.as_str())
    }

    /// Returns the full names of the types that a file sees, in no particular order.
    pub(crate) fn types<'s>(&'s self, view: &'s View) -> impl Iterator<Item = &'s str> {
        let seen = |symbol: &Symbol| symbol.kind.is_type() && view.sees(symbol.file);
        let seen = self.by_name.iter().filter(move |(_, it)| seen(it));
        seen.map(|(name, _)| name.as_str())
    }

    fn seen(&self, view: &View, name: &str) -> Option<&Symbol> {
        let symbol = self.by_name.get(name)?;
        let seen = match symbol.kind {
            SymbolKind::Package => view.packages.contains(name),
            SymbolKind::Extension => view.sees_extensions(symbol.file),
            _ => view.sees(symbol.file),
        };
        seen.then_some(symbol)
    }

    /// Resolves `name` as it is written within the descriptor with the full name `within`.
    pub(crate) fn look_up(
        &self,
        view: &View,
        name: &str,
        within: &str,
        sought: Sought,
        budget: &Budget,
    ) -> Result<Lookup<'_>, OutOfTime> {
        if let Some(absolute) = name.strip_prefix('.') {
            return Ok(match self.seen(view, absolute) {
                Some(symbol) => Lookup::Found(absolute.to_owned(), symbol),
                None => self.not_found(absolute, None, budget)?,
            });
        }
        let first_len = name.find('.').unwrap_or(name.len());
        let mut scope = within;
        while let Some(dot) = scope.rfind('.') {
            scope = &scope[..dot];
            budget.step()?;
            let first = format!("{scope}.{}", &name[..first_len]);
            let Some(symbol) = self.seen(view, &first) else {
                continue;
            };
            if first_len == name.len() {
                if sought == Sought::Anything || symbol.kind.is_type() {
                    return Ok(Lookup::Found(first, symbol));
                }
            } else if symbol.kind.is_scope() {
                let whole = format!("{scope}.{name}");
                return Ok(match self.seen(view, &whole) {
                    Some(symbol) => Lookup::Found(whole, symbol),
                    None => match self.not_found(&whole, None, budget)? {
                        Lookup::Missing => Lookup::Shadowed(first),
                        other => other,
                    },
                });
            }
        }
        Ok(match self.seen(view, name) {
            Some(symbol) => Lookup::Found(name.to_owned(), symbol),
            None => self.not_found(name, Some(within), budget)?,
        })
    }

    fn not_found(
        &self,
        name: &str,
        within: Option<&str>,
        budget: &Budget,
    ) -> Result<Lookup<'_>, OutOfTime> {
        let mut scope = within.unwrap_or_default();
        while let Some(dot) = scope.rfind('.') {
            scope = &scope[..dot];
            let full = format!("{scope}.{name}");
            if let Some(symbol) = self
                .defined(&full, budget)?
                .filter(|s| s.kind.is_type() || s.kind == SymbolKind::Extension)
            {
                return Ok(Lookup::NotImported(full, symbol));
            }
        }
        Ok(match self.defined(name, budget)? {
            Some(symbol) if symbol.kind != SymbolKind::Package => {
                Lookup::NotImported(name.to_owned(), symbol)
            }
            _ => Lookup::Missing,
        })
    }

    /// Returns the symbol of a full name, even if the file that defines the name is in `unread`.
    fn defined(&self, full_name: &str, budget: &Budget) -> Result<Option<&Symbol>, OutOfTime> {
        if let Some(symbol) = self.by_name.get(full_name) {
            return Ok(Some(symbol));
        }
        for hash in prefix_hashes(full_name) {
            budget.step()?;
            let unread = self.unread_tops.get(&hash);
            let unread = unread.and_then(|&place| self.unread.get(place));
            if let Some(symbol) = unread.and_then(|names| names.get(full_name)) {
                return Ok(Some(symbol));
            }
        }
        Ok(None)
    }
}

struct Adder<'a> {
    symbols: &'a mut Symbols,
    budget: &'a Budget,
    file: usize,
    clashes: Vec<Clash>,
    unfit: Option<Unfit>,
}

impl Adder<'_> {
    fn add_as(&mut self, name: String, kind: SymbolKind, path: Vec<i32>) -> Result<(), OutOfTime> {
        self.budget.step()?;
        self.symbols.bytes += name.len();
        if name.len() > NAME_LENGTH_MAX || self.symbols.is_full() {
            let why = match name.len() > NAME_LENGTH_MAX {
                true => format!("a full name of more than {NAME_LENGTH_MAX} bytes"),
                false => format!(
                    "the full names of all files are longer than {} MiB",
                    NAMES_LENGTH_MAX >> 20
                ),
            };
            self.unfit.get_or_insert(Unfit { why, path });
            return Ok(());
        }
        match self.symbols.by_name.entry(name) {
            Entry::Vacant(vacant) => {
                vacant.insert(Symbol {
                    kind,
                    file: self.file,
                    path: path.into(),
                });
            }
            Entry::Occupied(first) => {
                let both_packages =
                    kind == SymbolKind::Package && first.get().kind == SymbolKind::Package;
                // Clashes beyond `FAULTS_MAX` are not reported.
                if !both_packages && self.clashes.len() < FAULTS_MAX {
                    let (name, first) = (first.key().clone(), first.get().clone());
                    self.clashes.push(Clash { name, path, first });
                }
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        message: &DescriptorProto,
        scope: &str,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        let name = full_name(scope, message.name());
        self.add_as(name.clone(), SymbolKind::Message, at.to_vec())?;
        for (i, field) in message.field.iter().enumerate() {
            self.add_as(
                full_name(&name, field.name()),
                SymbolKind::Field,
                path::below(at, path::MESSAGE_FIELD, i),
            )?;
        }
        for (i, oneof) in message.oneof_decl.iter().enumerate() {
            self.add_as(
                full_name(&name, oneof.name()),
                SymbolKind::Oneof,
                path::below(at, path::MESSAGE_ONEOF, i),
            )?;
        }
        for (i, nested) in message.nested_type.iter().enumerate() {
            self.message(nested, &name, &path::below(at, path::MESSAGE_MESSAGE, i))?;
        }
        for (i, one) in message.enum_type.iter().enumerate() {
            self.enumeration(one, &name, &path::below(at, path::MESSAGE_ENUM, i))?;
        }
        self.extensions(&message.extension, &name, at, path::MESSAGE_EXTENSION)
    }

    fn enumeration(
        &mut self,
        one: &EnumDescriptorProto,
        scope: &str,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        self.add_as(full_name(scope, one.name()), SymbolKind::Enum, at.to_vec())?;
        for (i, value) in one.value.iter().enumerate() {
            // The scope of an enum's values is the scope that contains the enum, as in C++.
            let path = path::below(at, path::ENUM_VALUE, i);
            self.add_as(full_name(scope, value.name()), SymbolKind::EnumValue, path)?;
        }
        Ok(())
    }

    fn extensions(
        &mut self,
        all: &[FieldDescriptorProto],
        scope: &str,
        at: &[i32],
        field: i32,
    ) -> Result<(), OutOfTime> {
        for (i, extension) in all.iter().enumerate() {
            let path = path::below(at, field, i);
            self.add_as(
                full_name(scope, extension.name()),
                SymbolKind::Extension,
                path,
            )?;
        }
        Ok(())
    }
}

/// Returns the full name of `name` in a package, message or service `scope`, which may be empty.
pub(super) fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// Returns the message at a symbol's path, or the innermost message that contains the symbol.
pub(super) fn message_at<'a>(
    file: &'a FileDescriptorProto,
    path: &[i32],
) -> Option<&'a DescriptorProto> {
    let mut message = file.message_type.get(*path.get(1)? as usize)?;
    for step in path[2..].chunks(2) {
        if step[0] != path::MESSAGE_MESSAGE {
            break;
        }
        message = message.nested_type.get(*step.get(1)? as usize)?;
    }
    Some(message)
}

/// Returns the field or extension at a symbol's path.
pub(super) fn field_at<'a>(
    file: &'a FileDescriptorProto,
    path: &[i32],
) -> Option<&'a FieldDescriptorProto> {
    let [.., list, at] = path else { return None };
    if path.len() == 2 {
        return file.extension.get(*at as usize);
    }
    let message = message_at(file, &path[..path.len() - 2])?;
    match *list {
        path::MESSAGE_EXTENSION => message.extension.get(*at as usize),
        _ => message.field.get(*at as usize),
    }
}

/// Returns the enum at a symbol's path.
pub(super) fn enum_at<'a>(
    file: &'a FileDescriptorProto,
    path: &[i32],
) -> Option<&'a EnumDescriptorProto> {
    let at = *path.last()? as usize;
    if path.len() == 2 {
        return file.enum_type.get(at);
    }
    message_at(file, &path[..path.len() - 2])?.enum_type.get(at)
}
