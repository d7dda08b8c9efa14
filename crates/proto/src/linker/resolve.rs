//! The resolution of type names in a file, with suggestions for names that are not defined.

use std::cell::OnceCell;
use std::collections::HashMap;

use protobuf::descriptor::field_descriptor_proto::Type;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::budget::{Budget, OutOfTime};
use crate::linked::{LinkedFiles, not_imported};
use crate::names::{SCALAR_NAMES, scalar};
use crate::path::{self, index};
use crate::report::FaultReport;
use crate::symbols::{Lookup, Sought, SymbolKind, View, full_name};
use crate::well_known;
use gateway_diagnostic::{Diagnostic, did_you_mean, did_you_mean_qualified};

/// The maximum number of types that a misspelt name is compared with. If a file sees more types,
/// only scalar and well-known types are suggested. With this bound, the suggestions for the errors
/// of a file, at most twenty, take no noticeable time.
const TYPES_COMPARED_MAX: usize = 10_000;

/// Replaces the type names in `file` by full names, and reports the names that cannot be resolved.
pub(super) fn types(
    files: &LinkedFiles,
    view: &View,
    file: &mut FileDescriptorProto,
    report: &mut FaultReport,
) -> Result<(), OutOfTime> {
    let names = VisibleNames {
        files,
        view,
        budget: report.budget(),
        types: OnceCell::new(),
    };
    TypeResolver { names, report }.file(file)
}

struct TypeResolver<'a, 'b> {
    names: VisibleNames<'a>,
    report: &'a mut FaultReport<'b>,
}

/// The names that a file can use.
struct VisibleNames<'a> {
    files: &'a LinkedFiles,
    view: &'a View,
    budget: &'a Budget,
    /// The types that the file sees, computed at the first misspelt name, or `None` if there are
    /// too many.
    types: OnceCell<Option<Vec<&'a str>>>,
}

impl TypeResolver<'_, '_> {
    fn file(&mut self, file: &mut FileDescriptorProto) -> Result<(), OutOfTime> {
        let package = file.package().to_owned();
        for (i, message) in file.message_type.iter_mut().enumerate() {
            self.message(message, &package, &[path::FILE_MESSAGE, index(i)])?;
        }
        for (i, extension) in file.extension.iter_mut().enumerate() {
            self.field(extension, &package, &[path::FILE_EXTENSION, index(i)])?;
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
                        self.resolve(type_name, &scope, &place, WantedKind::RpcMessage)?
                    {
                        *type_name = name;
                    }
                }
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        message: &mut DescriptorProto,
        scope: &str,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        let name = full_name(scope, message.name());
        let is_map_entry = message.options.map_entry();
        for (i, field) in message.field.iter_mut().enumerate() {
            let own = match is_map_entry {
                // A map's key and value have the place of the map.
                true => at.to_vec(),
                false => path::below(at, path::MESSAGE_FIELD, i),
            };
            self.field(field, &name, &own)?;
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
            self.message(nested, &name, &own)?;
        }
        for (i, extension) in message.extension.iter_mut().enumerate() {
            let own = path::below(at, path::MESSAGE_EXTENSION, i);
            self.field(extension, &name, &own)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        field: &mut FieldDescriptorProto,
        scope: &str,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        let own = full_name(scope, field.name());
        if field.has_extendee() {
            let place = path::below(at, path::FIELD_EXTENDEE, None);
            let extendee = field.extendee();
            if let Some((name, _)) = self.resolve(extendee, &own, &place, WantedKind::Message)? {
                field.set_extendee(name);
            }
        }
        if !field.has_type_name() {
            return Ok(());
        }
        let place = path::below(at, path::FIELD_TYPE_NAME, None);
        let resolved = self.resolve(field.type_name(), &own, &place, WantedKind::Type)?;
        let Some((name, kind)) = resolved else {
            return Ok(());
        };
        field.set_type_name(name);
        match kind {
            SymbolKind::Enum => field.set_type(Type::TYPE_ENUM),
            _ if field.type_ == Some(Type::TYPE_GROUP.into()) => {}
            _ => field.set_type(Type::TYPE_MESSAGE),
        }
        Ok(())
    }

    /// Resolves the name of a type, written within the descriptor `scope`. Returns the full name of
    /// the type, with a leading dot, and its kind. Returns `None` after reporting an error.
    fn resolve(
        &mut self,
        name: &str,
        scope: &str,
        place: &[i32],
        wanted: WantedKind,
    ) -> Result<Option<(String, SymbolKind)>, OutOfTime> {
        let names = &self.names;
        let found = match wanted.refuses(name) {
            true => Lookup::Missing,
            false => names.look_up(name, scope, wanted.sought())?,
        };
        if let Lookup::Found(full, symbol) = &found
            && wanted.accepts(symbol.kind)
        {
            return Ok(Some((format!(".{full}"), symbol.kind)));
        }
        self.report.push_with(|report| {
            let fault = match &found {
                Lookup::Found(full, symbol) => {
                    let fault = Diagnostic::error(format!("{full} is {}", symbol.kind.name()));
                    fault.label(format!("expected {}", wanted.name()))
                }
                Lookup::Missing => names.missing(name, scope, wanted),
                _ => names.files.not_found(name, &found),
            };
            fault.at(report.place(place))
        });
        Ok(None)
    }
}

impl<'a> VisibleNames<'a> {
    fn look_up(&self, name: &str, scope: &str, sought: Sought) -> Result<Lookup<'a>, OutOfTime> {
        let symbols = self.files.symbols();
        symbols.look_up(self.view, name, scope, sought, self.budget)
    }

    /// Returns the diagnostic for a name that refers to nothing at all.
    fn missing(&self, name: &str, scope: &str, wanted: WantedKind) -> Diagnostic {
        if wanted.refuses(name) {
            let word = name.split('.').next().unwrap_or_default();
            let fault = Diagnostic::error(format!("{word} is not a message"));
            return match wanted {
                WantedKind::RpcMessage => fault
                    .label("an rpc takes a message and returns one")
                    .help("define a message with a field of this type"),
                _ => fault.label("expected a message"),
            };
        }
        let bare = name.trim_start_matches('.');
        if let Some(file) = well_known::defining(bare) {
            return not_imported(bare, file);
        }
        let fault = Diagnostic::error(format!("{name:?} is not defined"));
        if let Some(whole) = other_word(bare)
            && let Some(file) = well_known::defining(whole)
        {
            return fault.help(format!("did you mean {whole:?}? It needs import {file:?};"));
        }
        if let Some(near) = self.near(name, scope, wanted) {
            return fault.help(format!("did you mean {near:?}?"));
        }
        // The name may be the name of a well-known type without the package.
        let whole = format!("google.protobuf.{bare}");
        match well_known::defining(&whole) {
            Some(file) => fault.help(format!("did you mean {whole:?}? It needs import {file:?};")),
            None => fault,
        }
    }

    /// Returns the name of a type that `name` may be a misspelling of, in the form that resolves
    /// within the descriptor `scope`. Returns `None` if no name is near.
    fn near(&self, name: &str, scope: &str, wanted: WantedKind) -> Option<String> {
        if let Some(near) = did_you_mean(name, SCALAR_NAMES).filter(|_| wanted == WantedKind::Type)
        {
            return Some(near.to_owned());
        }
        let types = self.types.get_or_init(|| {
            let types = self.files.symbols().types(self.view);
            let types: Vec<_> = types.take(TYPES_COMPARED_MAX + 1).collect();
            (types.len() <= TYPES_COMPARED_MAX).then_some(types)
        });
        let bare = name.trim_start_matches('.');
        let full = did_you_mean_qualified(bare, types.as_ref()?)?;
        let resolves = |written: &str| {
            let found = self.look_up(written, scope, Sought::Type);
            matches!(found, Ok(Lookup::Found(found, symbol)) if found == full && wanted.accepts(symbol.kind))
        };
        // The suggestion is the shortest suffix of the full name that identifies the type. If the
        // written name has dots, the suggestion also has at least one dot.
        let dots = full.match_indices('.').map(|(at, _)| &full[at + 1..]);
        let dotted = name.contains('.');
        let mut written = dots
            .rev()
            .filter(|suffix| !dotted || suffix.contains('.'))
            .chain([full]);
        let short = written.find(|suffix| resolves(suffix)).map(str::to_owned);
        short.or_else(|| Some(format!(".{full}")).filter(|absolute| resolves(absolute)))
    }
}

/// Returns the well-known type for a word of another language, such as `datetime`.
fn other_word(name: &str) -> Option<&'static str> {
    Some(match name {
        "any" => "google.protobuf.Any",
        "date" | "datetime" | "DateTime" | "instant" | "time" | "timestamp" => {
            "google.protobuf.Timestamp"
        }
        "duration" | "timedelta" | "timespan" | "TimeSpan" => "google.protobuf.Duration",
        "dict" | "json" | "object" => "google.protobuf.Struct",
        "empty" | "null" | "void" => "google.protobuf.Empty",
        _ => return None,
    })
}

/// The kind of definition that a name must refer to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WantedKind {
    /// A message to extend.
    Message,
    /// The request or response message of an rpc.
    RpcMessage,
    /// The type of a field.
    Type,
}

impl WantedKind {
    fn sought(self) -> Sought {
        match self {
            WantedKind::Type => Sought::Type,
            WantedKind::Message | WantedKind::RpcMessage => Sought::Anything,
        }
    }

    /// Returns whether a name begins with a built-in type, such as `int32`, where only a message is
    /// allowed. With a leading dot, the same name would refer to a message.
    fn refuses(self, name: &str) -> bool {
        let word = name.split('.').next().unwrap_or_default();
        self != WantedKind::Type && (scalar(word).is_some() || word == "group")
    }

    fn accepts(self, kind: SymbolKind) -> bool {
        kind == SymbolKind::Message || (self == WantedKind::Type && kind == SymbolKind::Enum)
    }

    fn name(self) -> &'static str {
        match self {
            WantedKind::Message | WantedKind::RpcMessage => "a message",
            WantedKind::Type => "a message or an enum",
        }
    }
}
