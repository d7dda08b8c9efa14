//! Every name that a set of files defines, and what a name within them means.
//!
//! A name is looked for from the innermost scope outward, and only in the files that the asking one
//! sees: itself, its imports, and what those import publicly. Nothing here judges a file beyond
//! names that are defined twice.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::budget::{Budget, OutOfTime};
use crate::path::{self, index};
use crate::report::MAX_FAULTS;

/// The longest full name, as protoc has it.
pub(super) const MAX_NAME: usize = u16::MAX as usize;

/// The full names of all files together, in bytes: ten times googleapis'. What is within a long name has a
/// longer one, of a few bytes in the text; and the types that a file names aren't longer together
/// than what it defines and its text.
const MAX_NAMES: usize = 256 << 20;

/// What a name stands for.
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
    /// Whether names can be inside.
    fn is_scope(self) -> bool {
        matches!(
            self,
            SymbolKind::Package | SymbolKind::Message | SymbolKind::Enum | SymbolKind::Service
        )
    }

    /// Whether a field can be of it.
    pub fn is_type(self) -> bool {
        matches!(self, SymbolKind::Message | SymbolKind::Enum)
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
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

/// Where a name is defined.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub kind: SymbolKind,
    /// Index of the file; of a package, of the first.
    pub file: usize,
    /// Path of the descriptor in its file.
    pub path: Box<[i32]>,
}

/// Names that are defined twice: the path of the second, and the first.
pub(super) struct Clash {
    pub name: String,
    pub path: Vec<i32>,
    pub first: Symbol,
}

/// A name that isn't taken: what is wrong with it, and the path of what has it.
pub(super) struct Unfit {
    pub why: String,
    pub path: Vec<i32>,
}

/// All names.
#[derive(Default)]
pub(super) struct Symbols {
    /// Of all names together, as far as they were met.
    bytes: usize,
    by_name: HashMap<String, Symbol>,
    /// Of each file, the packages that its own package lies in, and itself.
    packages: Vec<String>,
}

/// What a file sees.
pub(super) struct View {
    /// Indices of files.
    files: HashSet<usize>,
    /// Packages and those that they lie in.
    packages: HashSet<String>,
}

impl View {
    pub fn sees(&self, file: usize) -> bool {
        self.files.contains(&file)
    }
}

/// What a look-up is to find.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    Anything,
    /// A message or an enum: whatever else has the name is passed over.
    Type,
}

/// What became of a look-up.
pub(super) enum Lookup<'a> {
    Found(String, &'a Symbol),
    /// The first part of the name is this inner scope, which lacks the rest.
    Shadowed(String),
    /// Defined in a file that isn't imported.
    NotImported(String, &'a Symbol),
    Missing,
}

impl Symbols {
    /// Whether the names of all files are longer than may be: those of the last one aren't all here.
    pub fn is_full(&self) -> bool {
        self.bytes > MAX_NAMES
    }

    /// Adds a file's names. Returns the clashes, and the first name that does not fit.
    pub fn add(
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

    /// What a file sees: `files` are indices of those that were added.
    pub fn view(&self, files: HashSet<usize>) -> View {
        let mut packages = HashSet::new();
        let own: HashSet<&str> = files
            .iter()
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
        View { files, packages }
    }

    /// By full name, seen or not.
    pub fn get(&self, full_name: &str) -> Option<&Symbol> {
        self.by_name.get(full_name)
    }

    /// The name as it is kept here.
    pub fn key(&self, full_name: &str) -> Option<&str> {
        self.by_name
            .get_key_value(full_name)
            .map(|(name, _)| name.as_str())
    }

    /// The full names of the types that a file sees, in no order.
    pub fn types<'s>(&'s self, view: &'s View) -> impl Iterator<Item = &'s str> {
        let seen = |symbol: &Symbol| symbol.kind.is_type() && view.sees(symbol.file);
        let seen = self.by_name.iter().filter(move |(_, it)| seen(it));
        seen.map(|(name, _)| name.as_str())
    }

    fn seen(&self, view: &View, name: &str) -> Option<&Symbol> {
        let symbol = self.by_name.get(name)?;
        let seen = match symbol.kind {
            SymbolKind::Package => view.packages.contains(name),
            _ => view.sees(symbol.file),
        };
        seen.then_some(symbol)
    }

    /// Returns what `name` means within the descriptor `within` (a full name).
    pub fn look_up(
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
                None => self.not_found(absolute, None),
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
                    None => match self.not_found(&whole, None) {
                        Lookup::Missing => Lookup::Shadowed(first),
                        other => other,
                    },
                });
            }
        }
        Ok(match self.seen(view, name) {
            Some(symbol) => Lookup::Found(name.to_owned(), symbol),
            None => self.not_found(name, Some(within)),
        })
    }

    fn not_found(&self, name: &str, within: Option<&str>) -> Lookup<'_> {
        let mut scope = within.unwrap_or_default();
        while let Some(dot) = scope.rfind('.') {
            scope = &scope[..dot];
            let full = format!("{scope}.{name}");
            if let Some(symbol) = self
                .by_name
                .get(&full)
                .filter(|s| s.kind.is_type() || s.kind == SymbolKind::Extension)
            {
                return Lookup::NotImported(full, symbol);
            }
        }
        match self.by_name.get(name) {
            Some(symbol) if symbol.kind != SymbolKind::Package => {
                Lookup::NotImported(name.to_owned(), symbol)
            }
            _ => Lookup::Missing,
        }
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
        if name.len() > MAX_NAME || self.symbols.is_full() {
            let why = match name.len() > MAX_NAME {
                true => format!("a full name of more than {MAX_NAME} bytes"),
                false => format!(
                    "the full names of all files are longer than {} MiB",
                    MAX_NAMES >> 20
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
                // More aren't told.
                if !both_packages && self.clashes.len() < MAX_FAULTS {
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
            // Values are siblings of their enum, as in C++.
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

/// Returns a name inside a package or message; either may be nameless.
pub(super) fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// The message at a symbol's path.
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

/// The field or extension at a symbol's path.
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

/// The enum at a symbol's path.
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
