//! What the names of types in a file mean; of those that mean nothing, what may have been meant.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use protobuf::descriptor::field_descriptor_proto::Type;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::super::parser::{SCALARS, scalar};
use super::super::report::Report;
use super::super::symbols::{Kind, Lookup, Symbols, View};
use super::super::{full_name, index, path, well_known};
use super::Linked;
use gateway_diagnostic::{Diagnostic, did_you_mean, did_you_mean_qualified};

/// Types that a misspelt name is held against: more than the files of one gateway have, and few enough that twenty
/// faults of each file take no time.
const TYPES_MAX: usize = 10_000;

/// Makes full names of all that `file` names types by.
pub(super) fn types(
    symbols: &Symbols,
    view: &View,
    files: &[Arc<Linked>],
    file: &mut FileDescriptorProto,
    report: &mut Report,
) {
    let names = Names {
        symbols,
        view,
        files,
        types: OnceCell::new(),
    };
    Resolver { names, report }.file(file);
}

struct Resolver<'a, 'b> {
    names: Names<'a>,
    report: &'a mut Report<'b>,
}

/// What a file may name.
struct Names<'a> {
    symbols: &'a Symbols,
    view: &'a View,
    files: &'a [Arc<Linked>],
    /// The types that the file sees, once a name was misspelt; none if they are too many.
    types: OnceCell<Option<Vec<&'a str>>>,
}

impl Resolver<'_, '_> {
    fn file(&mut self, file: &mut FileDescriptorProto) {
        let package = file.package().to_owned();
        for (i, message) in file.message_type.iter_mut().enumerate() {
            self.message(message, &package, &[path::FILE_MESSAGE, index(i)]);
        }
        for (i, extension) in file.extension.iter_mut().enumerate() {
            self.field(extension, &package, &[path::FILE_EXTENSION, index(i)]);
        }
        for (i, service) in file.service.iter_mut().enumerate() {
            let name = full_name(&package, service.name());
            for (k, method) in service.method.iter_mut().enumerate() {
                let at = [path::FILE_SERVICE, index(i), path::SERVICE_METHOD, index(k)];
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
                        self.resolve(type_name, &scope, &place, Wanted::RpcMessage)
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
        let names = &self.names;
        let found = names
            .symbols
            .look_up(names.view, name, within, wanted == Wanted::Type);
        if let Lookup::Found(full, symbol) = &found {
            if wanted.takes(symbol.kind) {
                return Some((format!(".{full}"), symbol.kind));
            }
        }
        self.report.push_with(|report| {
            let fault = match &found {
                Lookup::Found(full, symbol) => {
                    let fault = Diagnostic::error(format!("{full} is {}", symbol.kind.name()));
                    fault.label(format!("expected {}", wanted.name()))
                }
                Lookup::Missing => names.missing(name, within, wanted),
                _ => not_found(name, &found, names.files),
            };
            fault.at(report.place(place))
        });
        None
    }
}

impl Names<'_> {
    /// Of a name that stands for nothing at all.
    fn missing(&self, name: &str, within: &str, wanted: Wanted) -> Diagnostic {
        if wanted != Wanted::Type && scalar(name).is_some() {
            let fault = Diagnostic::error(format!("{name} is no message"));
            return match wanted {
                Wanted::RpcMessage => fault
                    .label("an rpc takes a message and gives one")
                    .help("define a message with a field of this type"),
                _ => fault.label("expected a message"),
            };
        }
        let bare = name.trim_start_matches('.');
        if let Some(file) = well_known::defining(bare) {
            return not_imported(bare, file);
        }
        let fault = Diagnostic::error(format!("{name:?} is not defined"));
        if let Some(near) = self.near(name, within, wanted) {
            return fault.help(format!("did you mean {near:?}?"));
        }
        // A well-known type without its package.
        let whole = format!("google.protobuf.{bare}");
        match well_known::defining(&whole) {
            Some(file) => fault.help(format!("did you mean {whole:?}? It needs import {file:?};")),
            None => fault,
        }
    }

    /// The type that may have been meant, as it is written here.
    fn near(&self, name: &str, within: &str, wanted: Wanted) -> Option<String> {
        if let Some(near) = did_you_mean(name, SCALARS).filter(|_| wanted == Wanted::Type) {
            return Some(near.to_owned());
        }
        let types = self.types.get_or_init(|| {
            let types: Vec<_> = self.symbols.types(self.view).take(TYPES_MAX + 1).collect();
            (types.len() <= TYPES_MAX).then_some(types)
        });
        let bare = name.trim_start_matches('.');
        let full = did_you_mean_qualified(bare, types.as_ref()?)?;
        let means_it = |written: &str| {
            let found = self.symbols.look_up(self.view, written, within, true);
            matches!(found, Lookup::Found(found, symbol) if found == full && wanted.takes(symbol.kind))
        };
        // By its last parts if the name was written so, and by as few of them as tell it.
        let dots = full.match_indices('.').map(|(at, _)| &full[at + 1..]);
        let dotted = name.contains('.');
        let mut written = dots
            .rev()
            .filter(|it| !dotted || it.contains('.'))
            .chain([full]);
        let short = written.find(|it| means_it(it)).map(str::to_owned);
        short.or_else(|| Some(format!(".{full}")).filter(|it| means_it(it)))
    }
}

/// In words, without a place.
pub(super) fn not_found(name: &str, found: &Lookup, files: &[Arc<Linked>]) -> Diagnostic {
    match found {
        Lookup::NotImported(full, symbol) => {
            // The file that is being linked isn't among them yet.
            let file = files.get(symbol.file).map_or("", |linked| linked.file.name());
            not_imported(full, file)
        }
        Lookup::Shadowed(scope) => Diagnostic::error(format!("{name:?} is not defined"))
            .note(format!("the innermost scope that has the first part of the name is {scope}, which lacks the rest"))
            .help(format!("write .{name} if its full name is meant")),
        Lookup::Found(..) | Lookup::Missing => {
            Diagnostic::error(format!("{name:?} is not defined"))
        }
    }
}

fn not_imported(full: &str, file: &str) -> Diagnostic {
    Diagnostic::error(format!("{full} is not imported"))
        .note(format!("{file} defines it"))
        .help(format!("add import {file:?};"))
}

/// What a name must stand for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To be extended.
    Message,
    /// What an rpc takes or gives.
    RpcMessage,
    /// Of a field.
    Type,
}

impl Wanted {
    fn takes(self, kind: Kind) -> bool {
        kind == Kind::Message || (self == Wanted::Type && kind == Kind::Enum)
    }

    fn name(self) -> &'static str {
        match self {
            Wanted::Message | Wanted::RpcMessage => "a message",
            Wanted::Type => "a message or an enum",
        }
    }
}
