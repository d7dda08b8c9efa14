//! Options as written → options messages, by the descriptor.proto that comes with the gateway and by the
//! extensions that a file sees.
//!
//! Each owner's options are a [`Tree`] first, in which what is set twice is seen; its bytes then make
//! the options message, what the descriptor model doesn't know (features, extensions) as unknown
//! fields.

mod aggregate;
mod owner;
mod scalar;
mod tree;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::linker::{Linked, Linker};
use super::parsed::{Entity, Parsed, Part, Value, Written};
use super::parser::Lines;
use super::report::Report;
use super::symbols::{Kind, Lookup, View, field_at, message_at};
use super::{deadline, full_name, path};
use crate::features::{Features, place};
use gateway_diagnostic::Diagnostic;
use owner::apply;
pub(super) use owner::name_at;
pub(super) use tree::Tree;

/// What keeps an option from being read, without its place: the place is the value's (`true`) or the
/// name's.
type Refused = (Box<Diagnostic>, bool);

/// Which options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Features,
    Others,
}

/// What a file sees, and what its options see: what is imported for them, too.
#[derive(Clone, Copy)]
pub(super) struct Views<'a> {
    pub types: &'a View,
    pub options: &'a View,
}

/// Reads options of the file at `at`, which `linker` has with its types resolved, into `file`.
pub(super) fn read(
    linker: &Linker,
    at: usize,
    parsed: &Parsed,
    views: Views,
    which: Which,
    file: &mut FileDescriptorProto,
    report: &mut Report,
) {
    let mut reader = Reader::of(linker, views.options, at);
    reader.types = views.types;
    let mut trees: HashMap<(Vec<i32>, Entity), Tree> = HashMap::new();
    let mut locations = Vec::new();
    let lines = Lines::of(&linker.file(at).source.text);
    let wanted = |written: &&Written| {
        let is_features = written.name[0].name == "features" && !written.name[0].is_extension;
        // Elsewhere they are refused, once they are read.
        is_features == (which == Which::Features) || !parsed.edition.is_edition()
    };
    for written in parsed.options.iter().filter(wanted) {
        deadline::step();
        if report.is_full() {
            return;
        }
        let key = (written.owner.clone(), written.entity);
        let tree = trees.entry(key).or_default();
        let mut numbers = [&written.owner[..], &[written.entity.options_field()]].concat();
        match reader.option(written, tree, &mut numbers) {
            Ok(()) => locations
                .push(lines.location(numbers, written.name_range.start..written.value_range.end)),
            Err((fault, at_value)) => report.push_with(|report| {
                let range = if at_value {
                    &written.value_range
                } else {
                    &written.name_range
                };
                match fault.place {
                    // Within an aggregate.
                    Some(_) => *fault,
                    None => fault.at(report.place_of(range.clone())),
                }
            }),
        }
    }
    for ((owner, entity), tree) in trees {
        apply(file, &owner, entity, &tree.bytes());
    }
    file.source_code_info
        .mut_or_insert_default()
        .location
        .append(&mut locations);
}

/// Shows every field that an option names, in its name and in its value.
pub(super) fn visit<'a>(
    reader: &Reader<'a>,
    written: &Written,
    see: &mut dyn FnMut(&'a FieldDescriptorProto),
) {
    let scope = reader.scope(written);
    let mut ty = reader.message(&format!("google.protobuf.{}", written.entity.options()));
    for part in &written.name {
        let Some(field) = ty
            .as_ref()
            .and_then(|ty| reader.part(part, ty, &scope).ok())
        else {
            return;
        };
        see(field.field);
        ty = reader.message(field.type_name());
    }
    if let (Value::Aggregate(entries), Some(ty)) = (&written.value, ty) {
        reader.visit_entries(entries, &ty, see);
    }
}

/// Finds options and their fields.
pub(super) struct Reader<'a> {
    linker: &'a Linker,
    view: &'a View,
    /// Without what is imported for options only.
    types: &'a View,
    file: usize,
    /// The numbers of closed enums; none of an open one.
    closed: RefCell<HashMap<*const EnumDescriptorProto, Option<HashSet<i32>>>>,
    /// The reserved names of messages that were set.
    reserved: RefCell<HashMap<&'a str, HashSet<&'a str>>>,
    /// The required fields of messages that were set.
    required: RefCell<HashMap<&'a str, Vec<&'a FieldDescriptorProto>>>,
    /// The features of fields that were set, by the fields' addresses: reading them takes time in proportion to
    /// the options of what they are in.
    features: RefCell<HashMap<*const FieldDescriptorProto, Features>>,
}

/// A field that can be set, and the features in force in it.
#[derive(Clone, Copy)]
struct Settable<'a> {
    field: &'a FieldDescriptorProto,
    features: Features,
}

impl std::ops::Deref for Settable<'_> {
    type Target = FieldDescriptorProto;

    fn deref(&self) -> &FieldDescriptorProto {
        self.field
    }
}

/// A message type: its full name, without a leading dot.
#[derive(Clone)]
struct Type_<'a> {
    name: &'a str,
    descriptor: &'a DescriptorProto,
}

impl<'a> Reader<'a> {
    /// For the options of the file at `file`.
    pub fn of(linker: &'a Linker, view: &'a View, file: usize) -> Self {
        Self {
            linker,
            view,
            types: view,
            file,
            closed: RefCell::default(),
            reserved: RefCell::default(),
            required: RefCell::default(),
            features: RefCell::default(),
        }
    }

    fn option(
        &self,
        written: &Written,
        tree: &mut Tree,
        numbers: &mut Vec<i32>,
    ) -> Result<(), Refused> {
        let scope = self.scope(written);
        let options = format!("google.protobuf.{}", written.entity.options());
        let mut ty = self
            .message(&options)
            .ok_or_else(|| refuse(format!("{options} is not defined")))?;
        let mut tree = tree;
        let (last, before) = written
            .name
            .split_last()
            .ok_or_else(|| refuse("an option without a name"))?;
        let first = &written.name[0];
        let own = || {
            self.part(first, &ty, &scope)
                .is_ok_and(|f| !f.has_extendee())
        };
        if first.name.ends_with("uninterpreted_option") && own() {
            return Err(
                refuse("uninterpreted_option can't be set").into_help("it is the compiler's own")
            );
        }
        for (i, part) in before.iter().enumerate() {
            let field = self.part(part, &ty, &scope)?;
            numbers.push(field.number());
            let name = || shown(&written.name[..=i]);
            if !is_message(&field) {
                return Err(refuse(format!(
                    "option {:?} is no message: nothing can be set within it",
                    name()
                )));
            }
            if field.label() == Label::LABEL_REPEATED {
                let text = format!(
                    "option {:?} is a repeated message: nothing can be set within it",
                    name()
                );
                return Err(
                    refuse(text).into_help(format!("write {} = {{ … }}, once for each", name()))
                );
            }
            ty = self
                .message(field.type_name())
                .ok_or_else(|| refuse("its type is not defined"))?;
            let taken = || {
                refuse(format!(
                    "option {:?} shares its number with another",
                    name()
                ))
            };
            tree = tree.within(&field).ok_or_else(taken)?;
        }
        let field = self.part(last, &ty, &scope)?;
        numbers.push(field.number());
        let name = shown(&written.name);
        if field.label() == Label::LABEL_REPEATED {
            let earlier = tree.count(field.number());
            numbers.push(super::index(earlier));
        } else if tree.count(field.number()) > 0 {
            return Err(refuse(format!("option {name:?} is set twice")));
        }
        let is_map_entry = ty.name == "google.protobuf.MessageOptions"
            && field.field.name() == "map_entry"
            && !field.has_extendee();
        if is_map_entry {
            return Err(refuse("map_entry is set")
                .into_label("only the compiler sets this option")
                .into_help(
                    "leave it out; a field map<KEY, VALUE> makes such a message by itself",
                ));
        }
        match (&written.value, is_message(&field)) {
            (Value::Aggregate(entries), true) => {
                let ty = self
                    .message(field.type_name())
                    .ok_or_else(|| refuse("its type is not defined"))?;
                let value = self.aggregate(entries, &ty)?;
                tree.push_message(&field, value);
                Ok(())
            }
            (_, true) => Err(
                refuse(format!("option {name:?} is a message")).into_help(format!(
                    "write {name} = {{ FIELD: VALUE … }}, or {name}.FIELD = VALUE"
                )),
            ),
            (value, false) => {
                let node = self.scalar(value, &field).map_err(|text| {
                    (
                        Box::new(Diagnostic::error(format!("option {name:?} expects {text}"))),
                        true,
                    )
                })?;
                tree.push_scalar(&field, node);
                Ok(())
            }
        }
    }

    /// The field that one part of an option's name means.
    fn part(&self, part: &Part, ty: &Type_<'a>, scope: &str) -> Result<Settable<'a>, Refused> {
        if !part.is_extension {
            return self.field(ty, &part.name).ok_or_else(|| {
                let fault = refuse(format!("there is no option {:?}", part.name));
                let fields = ty.descriptor.field.iter();
                let names = fields.map(|f| f.name()).inspect(|_| deadline::step());
                match gateway_diagnostic::did_you_mean(&part.name, names) {
                    Some(name) => fault.into_help(format!("did you mean {name:?}?")),
                    None => {
                        fault.into_help("options of your own are named in brackets: (my.option)")
                    }
                }
            });
        }
        match self
            .linker
            .symbols()
            .look_up(self.view, &part.name, scope, false)
        {
            Lookup::Found(full, symbol) if symbol.kind == Kind::Extension => {
                let extension = self.settable(self.linker.file(symbol.file), &symbol.path);
                let extends = |f: &Settable| f.extendee().trim_start_matches('.') == ty.name;
                extension.filter(extends).ok_or_else(|| {
                    let of = extension
                        .as_ref()
                        .map_or("", |f| f.field.extendee())
                        .trim_start_matches('.');
                    refuse(format!("{full} is no option here"))
                        .into_label(format!("extends {of}, expected {}", ty.name))
                })
            }
            // A field of the options themselves, by its full name.
            Lookup::Found(full, symbol)
                if symbol.kind == Kind::Field && within(&full) == Some(ty.name) =>
            {
                let field = self.settable(self.linker.file(symbol.file), &symbol.path);
                field.ok_or_else(|| refuse(format!("{full} is not defined")))
            }
            Lookup::Found(full, symbol) => Err(refuse(format!("{full} is {}", symbol.kind.name()))
                .into_label("expected an extension")),
            other => Err((Box::new(self.linker.not_found(&part.name, &other)), false)),
        }
    }

    /// The field at a symbol's path.
    fn settable(&self, linked: &'a Linked, path: &[i32]) -> Option<Settable<'a>> {
        let field = field_at(&linked.file, path)?;
        let features = *self.features.borrow_mut().entry(field).or_insert_with(|| {
            let outer = linked.features(&path[..path.len() - 2]);
            let mut features = outer.within(field.options.as_ref(), place::FIELD);
            // A map's entries and what is in them never are.
            features.delimited &= !self.is_of_map(linked, field, path);
            features
        });
        Some(Settable { field, features })
    }

    /// Whether a field is a map, or within an entry of one.
    fn is_of_map(&self, linked: &Linked, field: &FieldDescriptorProto, path: &[i32]) -> bool {
        let entry = message_at(&linked.file, &path[..path.len() - 2]);
        let is_entry = |message: Option<&DescriptorProto>| {
            message.is_some_and(|message| message.options.map_entry())
        };
        !field.has_extendee()
            && (is_entry(entry) || is_entry(self.linker.message(field.type_name())))
    }

    /// A message by its full name.
    fn message(&self, name: &str) -> Option<Type_<'a>> {
        let (symbol, linked) = self.linker.get(name)?;
        let descriptor = super::symbols::message_at(&linked.file, &symbol.path)
            .filter(|_| symbol.kind == Kind::Message)?;
        // The name must live as long as the linker, not as long as the question.
        let name = self.linker.symbols().key(name.trim_start_matches('.'))?;
        Some(Type_ { name, descriptor })
    }

    /// A field of a message by its name.
    fn field(&self, ty: &Type_<'a>, name: &str) -> Option<Settable<'a>> {
        let (symbol, linked) = self.linker.get(&format!("{}.{name}", ty.name))?;
        self.settable(linked, &symbol.path)
            .filter(|_| symbol.kind == Kind::Field)
    }

    /// The full name of what an option is set on: names in the option are looked for from there.
    fn scope(&self, written: &Written) -> String {
        let file = &self.linker.file(self.file).file;
        let scope = full_name(file.package(), "x");
        match written.entity {
            Entity::File => scope,
            _ => name_at(file, &written.owner).unwrap_or(scope),
        }
    }
}

/// The full name of what a full name is in.
fn within(name: &str) -> Option<&str> {
    Some(name.rsplit_once('.')?.0)
}

fn is_message(field: &FieldDescriptorProto) -> bool {
    matches!(field.type_(), Type::TYPE_MESSAGE | Type::TYPE_GROUP)
}

/// An option's name as people write it.
fn shown(name: &[Part]) -> String {
    let parts = name.iter().map(|part| match part.is_extension {
        true => format!("({})", part.name),
        false => part.name.clone(),
    });
    parts.collect::<Vec<_>>().join(".")
}

fn refuse(message: impl Into<String>) -> Refused {
    (Box::new(Diagnostic::error(message)), false)
}

trait Words {
    fn into_help(self, help: impl Into<String>) -> Self;
    fn into_label(self, label: impl Into<String>) -> Self;
}

impl Words for Refused {
    fn into_help(self, help: impl Into<String>) -> Self {
        (Box::new(self.0.help(help)), self.1)
    }

    fn into_label(self, label: impl Into<String>) -> Self {
        (Box::new(self.0.label(label)), self.1)
    }
}
