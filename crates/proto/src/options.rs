//! Conversion of parsed options to options messages such as `FileOptions`. The descriptor.proto
//! that comes with the gateway defines these messages. An extension of such a message is an option,
//! too, in each file that can use the extension.
//!
//! The options of each element are first collected in a [`Tree`], which reveals options that are
//! set twice. The encoded tree is then merged into the options message. Features and extensions
//! become unknown fields, because rust-protobuf's options messages do not declare them.

mod aggregate;
mod owner;
mod refused;
mod scalar;
mod settable;
mod tree;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::budget::{Budget, OutOfTime};
use crate::features::{Features, place};
use crate::linked::{LinkedFile, LinkedFiles};
use crate::parsed::{Entity, Parsed, Part, Value, WrittenOption};
use crate::parser::Lines;
use crate::path::index;
use crate::report::FaultReport;
use crate::symbols::{Lookup, Sought, SymbolKind, View, field_at, full_name, message_at};
use gateway_diagnostic::{Diagnostic, did_you_mean};
use owner::apply;
pub(super) use owner::name_at;
use refused::{OptionError, OptionPart};
use settable::Settable;
pub(super) use tree::Tree;

/// The group of options to read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionGroup {
    /// The option `features`.
    Features,
    /// All other options.
    Others,
}

/// The input for reading the options of one file.
#[derive(Clone, Copy)]
pub(super) struct OptionsReading<'a> {
    /// The index of the file.
    pub at: usize,
    pub parsed: &'a Parsed,
    /// The names that types in the file may refer to.
    pub types: &'a View,
    /// The names that options in the file may refer to, including names in files that are imported
    /// by `import option`.
    pub options: &'a View,
}

impl OptionsReading<'_> {
    /// Reads the options of the group `wanted` into `file`. A copy of the file with resolved types
    /// must be in `files`. Errors are added to the report.
    pub(crate) fn read(
        &self,
        wanted: OptionGroup,
        files: &LinkedFiles,
        file: &mut FileDescriptorProto,
        report: &mut FaultReport,
    ) -> Result<(), OutOfTime> {
        let mut reader = OptionReader::of(files, self.options, self.at, report.budget());
        reader.types = self.types;
        let mut trees: HashMap<(Vec<i32>, Entity), Tree> = HashMap::new();
        let mut locations = Vec::new();
        let lines = Lines::of(&files.file(self.at).source.text);
        for written in self
            .parsed
            .options
            .iter()
            .filter(|written| self.reads(written, wanted))
        {
            report.budget().step()?;
            if report.is_full() {
                return Ok(());
            }
            let key = (written.owner.clone(), written.entity);
            let tree = trees.entry(key).or_default();
            let mut numbers = [&written.owner[..], &[written.entity.options_field()]].concat();
            match reader.option(written, tree, &mut numbers) {
                Ok(()) => {
                    let range = written.name_range.start..written.value_range.end;
                    locations.push(lines.location(numbers, range));
                }
                Err(OptionError::OutOfTime) => return Err(OutOfTime),
                Err(OptionError::Fault(fault, spot)) => push(report, written, *fault, spot),
            }
        }
        for ((owner, entity), tree) in trees {
            apply(file, &owner, entity, &tree.bytes());
        }
        file.source_code_info
            .mut_or_insert_default()
            .location
            .append(&mut locations);
        Ok(())
    }

    fn reads(&self, written: &WrittenOption, wanted: OptionGroup) -> bool {
        let is_features = written.name[0].name == "features" && !written.name[0].is_extension;
        // In proto2 and proto3, `features` is read with the other options, and `verify` rejects it.
        is_features == (wanted == OptionGroup::Features) || !self.parsed.edition.is_edition()
    }
}

fn push(report: &mut FaultReport, written: &WrittenOption, fault: Diagnostic, spot: OptionPart) {
    report.push_with(|report| match (&fault.place, spot) {
        // An error inside an aggregate already has a place.
        (Some(_), _) => fault,
        (None, OptionPart::Name) => fault.at(report.place_of(written.name_range.clone())),
        (None, OptionPart::Value) => fault.at(report.place_of(written.value_range.clone())),
    });
}

/// Calls `see` with every field to which the name and the value of an option refer, and with
/// whether the field is within a group. Ends early, without an error, at a part of the name that is
/// not found.
pub(super) fn visit<'a>(
    reader: &OptionReader<'a>,
    written: &WrittenOption,
    see: &mut dyn FnMut(&'a FieldDescriptorProto, bool),
) -> Result<(), OutOfTime> {
    let scope = reader.scope(written);
    let mut ty = reader.message(&format!("google.protobuf.{}", written.entity.options()));
    let mut in_group = false;
    for part in &written.name {
        let Some(field) = ty
            .as_ref()
            .and_then(|ty| reader.part(part, ty, &scope).ok())
        else {
            return Ok(());
        };
        see(field.field, in_group);
        in_group |= field.is_group();
        ty = reader.message(field.type_name());
    }
    if let (Value::Aggregate(entries), Some(ty)) = (&written.value, ty) {
        reader.visit_entries(entries, &ty, in_group, see)?;
    }
    Ok(())
}

/// A reader of the options of one file. It finds their fields and encodes their values.
pub(super) struct OptionReader<'a> {
    budget: &'a Budget,
    files: &'a LinkedFiles,
    view: &'a View,
    /// The view without the files that are imported by `import option`.
    types: &'a View,
    file: usize,
    /// The numbers of each closed enum, or `None` for an open enum, by the enum's address.
    closed: RefCell<HashMap<*const EnumDescriptorProto, Option<HashSet<i32>>>>,
    /// The reserved names of message types, by full name, computed when first needed.
    reserved: RefCell<HashMap<&'a str, HashSet<&'a str>>>,
    /// The required fields of message types, by full name, computed when first needed.
    required: RefCell<HashMap<&'a str, Vec<&'a FieldDescriptorProto>>>,
    /// The features of fields, by the fields' addresses. The features are kept, because computing
    /// them takes time in proportion to the options of the enclosing elements.
    features: RefCell<HashMap<*const FieldDescriptorProto, Features>>,
}

/// A message type, with its full name without a leading dot.
#[derive(Clone)]
struct MessageType<'a> {
    name: &'a str,
    descriptor: &'a DescriptorProto,
}

impl<'a> OptionReader<'a> {
    /// Returns a reader of the options of the file with the index `file`.
    pub(crate) fn of(
        files: &'a LinkedFiles,
        view: &'a View,
        file: usize,
        budget: &'a Budget,
    ) -> Self {
        Self {
            budget,
            files,
            view,
            types: view,
            file,
            closed: RefCell::default(),
            reserved: RefCell::default(),
            required: RefCell::default(),
            features: RefCell::default(),
        }
    }

    /// Reads one option into the tree of the element that it is set on. Extends `numbers`, the path
    /// of the element's options, to the path of this option.
    fn option(
        &self,
        written: &WrittenOption,
        tree: &mut Tree,
        numbers: &mut Vec<i32>,
    ) -> Result<(), OptionError> {
        let scope = self.scope(written);
        let options = format!("google.protobuf.{}", written.entity.options());
        let ty = self
            .message(&options)
            .ok_or_else(|| OptionError::name(format!("{options} is not defined")))?;
        let (last, before) = written
            .name
            .split_last()
            .ok_or_else(|| OptionError::name("an option without a name"))?;
        let first = &written.name[0];
        let is_own = |field: Settable| !field.has_extendee();
        if first.name.ends_with("uninterpreted_option")
            && self.part(first, &ty, &scope).is_ok_and(is_own)
        {
            let refused = OptionError::name("uninterpreted_option can't be set");
            return Err(refused.help("it is reserved for the compiler"));
        }
        self.refuse_own_feature(written, &scope)?;
        let (ty, tree) = self.enter(before, ty, &scope, tree, numbers)?;
        let field = self.part(last, &ty, &scope)?;
        numbers.push(field.number());
        if field.label() == Label::LABEL_REPEATED {
            numbers.push(index(tree.count(field.number())));
        } else if tree.count(field.number()) > 0 {
            let name = shown(&written.name);
            return Err(OptionError::name(format!("option {name:?} is set twice")));
        }
        let is_map_entry = ty.name == "google.protobuf.MessageOptions"
            && field.field.name() == "map_entry"
            && !field.has_extendee();
        if is_map_entry {
            return Err(OptionError::name("map_entry is set")
                .label("only the compiler sets this option")
                .help("leave it out: the compiler makes the entry message of a map<KEY, VALUE>"));
        }
        self.set(written, field, tree)
    }

    /// Refuses an option that names a feature that this file defines. As in protoc, such a feature
    /// may be set within an aggregate.
    fn refuse_own_feature(&self, written: &WrittenOption, scope: &str) -> Result<(), OptionError> {
        let [first, rest @ ..] = &written.name[..] else {
            return Ok(());
        };
        if first.is_extension || first.name != "features" {
            return Ok(());
        }
        for part in rest.iter().filter(|part| part.is_extension) {
            if let Lookup::Found(name, symbol) = self.look_up(&part.name, scope)?
                && symbol.file == self.file
            {
                let text = format!("feature {name} is set in the file that defines it");
                return Err(
                    OptionError::name(text).help("define it in a file that this one imports")
                );
            }
        }
        Ok(())
    }

    /// Follows the parts of an option's name before the last one. Each part names a message field
    /// of the message that the previous part names. Appends the fields' numbers to `numbers`, and
    /// returns the type and the tree of the innermost message.
    fn enter<'t>(
        &self,
        parts: &[Part],
        mut ty: MessageType<'a>,
        scope: &str,
        mut tree: &'t mut Tree,
        numbers: &mut Vec<i32>,
    ) -> Result<(MessageType<'a>, &'t mut Tree), OptionError> {
        for (i, part) in parts.iter().enumerate() {
            let field = self.part(part, &ty, scope)?;
            numbers.push(field.number());
            let name = || shown(&parts[..=i]);
            if !is_message(&field) {
                return Err(OptionError::name(format!(
                    "option {:?} is not a message: nothing can be set within it",
                    name()
                )));
            }
            if field.label() == Label::LABEL_REPEATED {
                let text = format!(
                    "option {:?} is a repeated message: nothing can be set within it",
                    name()
                );
                let help = format!("write {} = {{ … }}, once for each element", name());
                return Err(OptionError::name(text).help(help));
            }
            ty = self.type_of(&field)?;
            let taken = || {
                OptionError::name(format!(
                    "option {:?} shares its number with another option",
                    name()
                ))
            };
            tree = tree.message(&field).ok_or_else(taken)?;
        }
        Ok((ty, tree))
    }

    /// Adds an option's value to the tree of the message that has `field`.
    fn set(
        &self,
        written: &WrittenOption,
        field: Settable<'a>,
        tree: &mut Tree,
    ) -> Result<(), OptionError> {
        let name = || shown(&written.name);
        match (&written.value, is_message(&field)) {
            (Value::Aggregate(entries), true) => {
                let value = self.aggregate(entries, &self.type_of(&field)?)?;
                tree.push_message(&field, value);
                Ok(())
            }
            (_, true) => {
                let name = name();
                let refused = OptionError::name(format!("option {name:?} is a message"));
                Err(refused.help(format!(
                    "write {name} = {{ FIELD: VALUE … }}, or {name}.FIELD = VALUE"
                )))
            }
            (value, false) => {
                let node = self.scalar(value, &field).map_err(|text| {
                    let text = format!("option {:?} expects {text}", name());
                    OptionError::value(Diagnostic::error(text))
                })?;
                // protoc never packs these values, even if the field is packed.
                tree.push(field.number(), node);
                Ok(())
            }
        }
    }

    /// Returns the field that one part of an option's name refers to.
    fn part(
        &self,
        part: &Part,
        ty: &MessageType<'a>,
        scope: &str,
    ) -> Result<Settable<'a>, OptionError> {
        if !part.is_extension {
            return self.field(ty, &part.name).ok_or_else(|| {
                let refused = OptionError::name(format!("there is no option {:?}", part.name));
                match self.near_field(&part.name, ty) {
                    Some(name) => refused.help(format!("did you mean {name:?}?")),
                    None => {
                        refused.help("the name of a custom option needs parentheses: (my.option)")
                    }
                }
            });
        }
        match self.look_up(&part.name, scope)? {
            Lookup::Found(full, symbol) if symbol.kind == SymbolKind::Extension => {
                let extension = self.settable(self.files.file(symbol.file), &symbol.path);
                let extends = |f: &Settable| f.extendee().trim_start_matches('.') == ty.name;
                extension.filter(extends).ok_or_else(|| {
                    let extendee = extension
                        .as_ref()
                        .map_or("", |f| f.field.extendee())
                        .trim_start_matches('.');
                    OptionError::name(format!("{full} is not an option of this element"))
                        .label(format!("extends {extendee}, expected {}", ty.name))
                })
            }
            // The full name may also refer to a field of the options message itself.
            Lookup::Found(full, symbol)
                if symbol.kind == SymbolKind::Field && parent_name(&full) == Some(ty.name) =>
            {
                let field = self.settable(self.files.file(symbol.file), &symbol.path);
                field.ok_or_else(|| OptionError::name(format!("{full} is not defined")))
            }
            Lookup::Found(full, symbol) => {
                let refused = OptionError::name(format!("{full} is {}", symbol.kind.name()));
                Err(refused.label("expected an extension"))
            }
            other => {
                let mut fault = self.not_found(&part.name, &other);
                let is_rule = part
                    .name
                    .trim_start_matches('.')
                    .starts_with("buf.validate.");
                if is_rule && fault.help.is_none() {
                    fault = fault.help("add import \"buf/validate/validate.proto\";");
                }
                Err(OptionError::Fault(Box::new(fault), OptionPart::Name))
            }
        }
    }

    /// Returns the definition that a name in an option refers to.
    fn look_up(&self, name: &str, scope: &str) -> Result<Lookup<'a>, OutOfTime> {
        let symbols = self.files.symbols();
        symbols.look_up(self.view, name, scope, Sought::Anything, self.budget)
    }

    /// Returns the error for a name that was not found.
    fn not_found(&self, name: &str, found: &Lookup) -> Diagnostic {
        match found {
            Lookup::NotImported(full, symbol)
                if symbol.kind == SymbolKind::Extension
                    && self.view.sees_extensions(symbol.file) =>
            {
                Diagnostic::error(format!("{name:?} is not defined"))
                    .note(
                        "import option makes extensions visible, but not the messages they are in",
                    )
                    .help(format!("write the full name, {full}"))
            }
            found => self.files.not_found(name, found),
        }
    }

    /// Returns the name of a field that `name` may be a misspelling of, or `None` if no name is
    /// near.
    fn near_field(&self, name: &str, ty: &MessageType<'a>) -> Option<&'a str> {
        let fields = ty.descriptor.field.iter();
        let names = fields.map(|field| field.name());
        did_you_mean(name, names.take_while(|_| self.budget.step().is_ok()))
    }

    /// Returns the type of a message field.
    fn type_of(&self, field: &FieldDescriptorProto) -> Result<MessageType<'a>, OptionError> {
        let ty = self.message(field.type_name());
        ty.ok_or_else(|| OptionError::name("the type of the option is not defined"))
    }

    /// Returns the field at a symbol's path.
    fn settable(&self, linked: &'a LinkedFile, path: &[i32]) -> Option<Settable<'a>> {
        let field = field_at(&linked.file, path)?;
        let features = *self.features.borrow_mut().entry(field).or_insert_with(|| {
            let outer = linked.features(&path[..path.len() - 2]);
            let mut features = outer.within(field.options.as_ref(), place::FIELD);
            // The entries of a map, and the fields in them, are never delimited.
            features.delimited &= !self.is_of_map(linked, field, path);
            features
        });
        Some(Settable { field, features })
    }

    /// Returns whether a field is a map, or a field of a map's entry.
    fn is_of_map(&self, linked: &LinkedFile, field: &FieldDescriptorProto, path: &[i32]) -> bool {
        let entry = message_at(&linked.file, &path[..path.len() - 2]);
        let is_entry = |message: Option<&DescriptorProto>| {
            message.is_some_and(|message| message.options.map_entry())
        };
        !field.has_extendee()
            && (is_entry(entry) || is_entry(self.files.message(field.type_name())))
    }

    /// Returns a message by its full name.
    fn message(&self, name: &str) -> Option<MessageType<'a>> {
        let (symbol, linked) = self.files.get(name)?;
        let descriptor = message_at(&linked.file, &symbol.path)
            .filter(|_| symbol.kind == SymbolKind::Message)?;
        // The name must live as long as the files, not as long as the argument.
        let name = self.files.symbols().key(name.trim_start_matches('.'))?;
        Some(MessageType { name, descriptor })
    }

    /// Returns a field of a message by its name.
    fn field(&self, ty: &MessageType<'a>, name: &str) -> Option<Settable<'a>> {
        let (symbol, linked) = self.files.get(&format!("{}.{name}", ty.name))?;
        self.settable(linked, &symbol.path)
            .filter(|_| symbol.kind == SymbolKind::Field)
    }

    /// Returns the full name of the element that an option is set on. For the file itself, returns
    /// a placeholder in the file's package. Names in the option are resolved as if they were
    /// written in the element with this full name.
    fn scope(&self, written: &WrittenOption) -> String {
        let file = &self.files.file(self.file).file;
        let scope = full_name(file.package(), "x");
        match written.entity {
            Entity::File => scope,
            _ => name_at(file, &written.owner).unwrap_or(scope),
        }
    }
}

/// Returns a full name without its last part, or `None` if it has one part only.
fn parent_name(name: &str) -> Option<&str> {
    Some(name.rsplit_once('.')?.0)
}

fn is_message(field: &FieldDescriptorProto) -> bool {
    matches!(field.type_(), Type::TYPE_MESSAGE | Type::TYPE_GROUP)
}

/// Returns an option's name as it is written in `.proto` files.
fn shown(name: &[Part]) -> String {
    let parts = name.iter().map(|part| match part.is_extension {
        true => format!("({})", part.name),
        false => part.name.clone(),
    });
    parts.collect::<Vec<_>>().join(".")
}
