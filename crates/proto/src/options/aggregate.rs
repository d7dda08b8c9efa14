//! Aggregate values of options, `{ … }`: messages in the text format.

use std::collections::HashMap;

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::{Label, Type};

use super::refused::OptionError;
use super::settable::Settable;
use super::tree::{Tree, ValueNode};
use super::{MessageType, OptionReader, is_message, parent_name, scalar};
use crate::budget::OutOfTime;
use crate::features::{Presence, place};
use crate::parsed::{Entry, Value};
use crate::path;
use crate::symbols::{Lookup, SymbolKind, enum_at};
use gateway_diagnostic::Diagnostic;

/// The hosts that may precede the name of a type in an Any, as in protoc.
const ANY_HOSTS: &[&str] = &["type.googleapis.com", "type.googleprod.com"];

impl<'a> OptionReader<'a> {
    pub(super) fn aggregate(
        &self,
        entries: &[Entry],
        ty: &MessageType<'a>,
    ) -> Result<Tree, OptionError> {
        let mut tree = Tree::default();
        let mut oneofs: HashMap<i32, &str> = HashMap::new();
        for entry in entries {
            self.budget.step()?;
            if entry.bracketed && entry.name.contains('/') {
                self.any(entry, ty, &mut tree)?;
                continue;
            }
            let Some(field) = self.entry_field(entry, ty)? else {
                continue;
            };
            let is_list = matches!(entry.value, Value::List(_));
            if field.label() != Label::LABEL_REPEATED {
                if is_list {
                    return Err(self.misplaced(entry, format!("{:?} is not repeated", entry.name)));
                }
                if tree.count(field.number()) > 0 {
                    return Err(self.misplaced(entry, format!("{:?} is set twice", entry.name)));
                }
                if let Some(oneof) = field.oneof_index
                    && let Some(other) = oneofs.insert(oneof, field.field.name())
                {
                    let text = format!(
                        "{:?} is set together with {other:?} of the same oneof",
                        field.name()
                    );
                    return Err(self.misplaced(entry, text));
                }
            }
            match &entry.value {
                Value::List(values) => {
                    for (value, _) in values {
                        self.budget.step()?;
                        self.entry_value(entry, value, field, &mut tree)?;
                    }
                }
                value => self.entry_value(entry, value, field, &mut tree)?,
            }
        }
        let mut required = self.required.borrow_mut();
        let required = required.entry(ty.name).or_insert_with(|| {
            // In an edition, a feature makes fields required.
            let by_feature = |field: &FieldDescriptorProto| {
                let field = self.field(ty, field.name());
                field.is_some_and(|field| field.features.presence == Presence::Required)
            };
            let fields = ty.descriptor.field.iter();
            fields
                .filter(|field| field.label() == Label::LABEL_REQUIRED || by_feature(field))
                .collect()
        });
        if let Some(field) = required
            .iter()
            .find(|field| tree.count(field.number()) == 0)
        {
            return Err(OptionError::name(format!(
                "the required field {:?} of {} is not set",
                field.name(),
                ty.name
            )));
        }
        Ok(tree)
    }

    /// Calls `see` with the field of each entry of an aggregate, at any depth, and with whether the
    /// field is within a group. `in_group` says whether the aggregate itself is within a group.
    /// Entries without a known field are skipped.
    pub(super) fn visit_entries(
        &self,
        entries: &[Entry],
        ty: &MessageType<'a>,
        in_group: bool,
        see: &mut dyn FnMut(&'a FieldDescriptorProto, bool),
    ) -> Result<(), OutOfTime> {
        for entry in entries {
            self.budget.step()?;
            let Ok(Some(field)) = self.entry_field(entry, ty) else {
                continue;
            };
            see(field.field, in_group);
            let Some(ty) = self.message(field.type_name()) else {
                continue;
            };
            let values: Vec<&Value> = match &entry.value {
                Value::List(values) => values.iter().map(|(value, _)| value).collect(),
                value => vec![value],
            };
            for value in values {
                if let Value::Aggregate(entries) = value {
                    self.visit_entries(entries, &ty, in_group || field.is_group(), see)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the field that an entry names, or `None` if the name is reserved for a field that
    /// was removed.
    fn entry_field(
        &self,
        entry: &Entry,
        ty: &MessageType<'a>,
    ) -> Result<Option<Settable<'a>>, OptionError> {
        if entry.bracketed {
            return self.entry_extension(entry, ty).map(Some);
        }
        let name = &entry.name;
        let named = self.field(ty, name).or_else(|| {
            // In the text format, a group field has the name of its message. A delimited field also
            // has the name of its message if the message is nested in the type of the aggregate and
            // the two names differ only in case.
            let lower = self.field(ty, &name.to_ascii_lowercase())?;
            let same_scope = || lower.type_name() == format!(".{}.{name}", ty.name);
            (lower.is_group() && same_scope()).then_some(lower)
        });
        if named.is_none() {
            let mut reserved = self.reserved.borrow_mut();
            let reserved = reserved.entry(ty.name).or_insert_with(|| {
                let names = ty.descriptor.reserved_name.iter();
                names.map(String::as_str).collect()
            });
            if reserved.contains(name.as_str()) {
                return Ok(None);
            }
        }
        named.map(Some).ok_or_else(|| {
            let refused = self.misplaced(entry, format!("{} has no field {name:?}", ty.name));
            match self.near_field(name, ty) {
                Some(near) => refused.help(format!("did you mean {near:?}?")),
                None => refused,
            }
        })
    }

    fn entry_extension(
        &self,
        entry: &Entry,
        ty: &MessageType<'a>,
    ) -> Result<Settable<'a>, OptionError> {
        let scope = format!("{}.x", ty.name);
        match self.look_up(&entry.name, &scope)? {
            Lookup::Found(_, symbol) if symbol.kind == SymbolKind::Extension => {
                let extension = self.settable(self.files.file(symbol.file), &symbol.path);
                let extension =
                    extension.filter(|f| f.extendee().trim_start_matches('.') == ty.name);
                extension.ok_or_else(|| {
                    self.misplaced(entry, format!("{} does not extend {}", entry.name, ty.name))
                })
            }
            // The full name of a field is accepted, too.
            Lookup::Found(name, symbol)
                if symbol.kind == SymbolKind::Field && parent_name(&name) == Some(ty.name) =>
            {
                let field = self.settable(self.files.file(symbol.file), &symbol.path);
                field.ok_or_else(|| self.misplaced(entry, format!("{name} is not defined")))
            }
            // In a MessageSet, the name of a message refers to the extension that is declared
            // inside this message and has this message as its type.
            Lookup::Found(name, symbol)
                if symbol.kind == SymbolKind::Message
                    && ty.descriptor.options.message_set_wire_format() =>
            {
                let of_set = |f: &FieldDescriptorProto| {
                    f.extendee().trim_start_matches('.') == ty.name
                        && f.type_name().trim_start_matches('.') == name
                };
                let at = self
                    .message(&name)
                    .and_then(|m| m.descriptor.extension.iter().position(of_set));
                let linked = self.files.file(symbol.file);
                let path = at.map(|at| path::below(&symbol.path, path::MESSAGE_EXTENSION, at));
                let extension = path.and_then(|path| self.settable(linked, &path));
                extension.ok_or_else(|| {
                    self.misplaced(entry, format!("{} is not an extension", entry.name))
                })
            }
            Lookup::Found(name, symbol) => {
                let text = format!("{name} is {}", symbol.kind.name());
                Err(self.misplaced(entry, text).label("expected an extension"))
            }
            other => {
                let fault = self.not_found(&entry.name, &other);
                Err(OptionError::value(
                    fault.label(format!("in the value: {}", entry.name)),
                ))
            }
        }
    }

    fn entry_value(
        &self,
        entry: &Entry,
        value: &Value,
        field: Settable<'a>,
        tree: &mut Tree,
    ) -> Result<(), OptionError> {
        if is_message(&field) {
            let Value::Aggregate(entries) = value else {
                return Err(self.misplaced(
                    entry,
                    format!("{:?} expects a message: {{ … }}", entry.name),
                ));
            };
            let value = self.aggregate(entries, &self.type_of(&field)?)?;
            tree.push_message(&field, value);
            return Ok(());
        }
        let node = self
            .lax_scalar(value, &field)
            .map_err(|text| self.misplaced(entry, format!("{:?} expects {text}", entry.name)))?;
        // As in protoc, a zero in a field without presence is not encoded. If the zero were
        // encoded, the bytes in an Any would differ from the bytes that protoc writes.
        let implicit = field.features.presence == Presence::Implicit
            && field.label() != Label::LABEL_REPEATED
            && field.oneof_index.is_none()
            && !field.has_extendee();
        if !(implicit && node.is_zero()) {
            tree.push_scalar(&field, node);
        }
        Ok(())
    }

    /// Reads a scalar within an aggregate. Aggregates are in the text format, which allows more
    /// spellings than an option whose value is a scalar. The error names the values that are
    /// expected.
    fn lax_scalar(&self, value: &Value, field: &FieldDescriptorProto) -> Result<ValueNode, String> {
        Ok(match (field.type_(), value) {
            (Type::TYPE_BOOL, Value::Word(word)) => match word.as_str() {
                "true" | "True" | "t" => ValueNode::Varint(1),
                "false" | "False" | "f" => ValueNode::Varint(0),
                _ => return Err("true or false".to_owned()),
            },
            (Type::TYPE_BOOL, Value::Integer(n @ (0 | 1), _)) => ValueNode::Varint(*n),
            (Type::TYPE_ENUM, Value::Integer(..) | Value::Negative(..)) => {
                let node = scalar::integer(value, Type::TYPE_INT32)?;
                self.enum_number(&node, field)?;
                node
            }
            (Type::TYPE_FLOAT, value) => ValueNode::Fixed32(
                (scalar::float(value, true).ok_or("a decimal number")? as f32).to_bits(),
            ),
            (Type::TYPE_DOUBLE, value) => ValueNode::Fixed64(
                scalar::float(value, true)
                    .ok_or("a decimal number")?
                    .to_bits(),
            ),
            (Type::TYPE_STRING, Value::Text(bytes)) if std::str::from_utf8(bytes).is_err() => {
                return Err("UTF-8".to_owned());
            }
            _ => self.scalar(value, field)?,
        })
    }

    /// Checks that the number is one of the enum's values if the enum is closed. An open enum
    /// accepts any number. The error names the values that are expected.
    fn enum_number(&self, node: &ValueNode, field: &FieldDescriptorProto) -> Result<(), String> {
        let name = field.type_name().trim_start_matches('.');
        let (Some((symbol, linked)), ValueNode::Varint(n)) = (self.files.get(name), node) else {
            return Ok(());
        };
        let Some(one) = enum_at(&linked.file, &symbol.path) else {
            return Ok(());
        };
        let mut closed = self.closed.borrow_mut();
        let numbers = closed.entry(one).or_insert_with(|| {
            let outer = linked.features(&symbol.path[..symbol.path.len() - 2]);
            let features = outer.within(one.options.as_ref(), place::ENUM);
            let numbers = one.value.iter().map(|value| value.number());
            features.closed_enum.then(|| numbers.collect())
        });
        match numbers {
            Some(numbers) if !numbers.contains(&(*n as i64 as i32)) => {
                Err(format!("a value of {name}"))
            }
            _ => Ok(()),
        }
    }

    /// Reads `[host/pkg.Message] { … }` as a google.protobuf.Any.
    fn any(&self, entry: &Entry, ty: &MessageType<'a>, tree: &mut Tree) -> Result<(), OptionError> {
        let (host, name) = entry.name.rsplit_once('/').unwrap_or_default();
        if !ANY_HOSTS.contains(&host) {
            let text = format!("{host:?} can't precede the name of a type");
            let expected = format!("expected {}/{name}", ANY_HOSTS[0]);
            return Err(self.misplaced(entry, text).label(expected));
        }
        // A type from a file that is imported by `import option` can't be the type of an Any.
        let symbol = self.files.symbols().get(name);
        let seen = symbol.is_some_and(|symbol| self.types.sees(symbol.file));
        let message = self.message(name).filter(|_| seen);
        let (Some(message), Value::Aggregate(entries)) = (message, &entry.value) else {
            let text = format!("{name:?} is not a message that this file can use");
            return Err(self
                .misplaced(entry, text)
                .label("expected a message of this file or of an import, by its full name"));
        };
        if ty.name != "google.protobuf.Any" {
            return Err(self.misplaced(entry, format!("{} is not a google.protobuf.Any", ty.name)));
        }
        if tree.count(path::ANY_TYPE_URL) > 0 || tree.count(path::ANY_VALUE) > 0 {
            return Err(self.misplaced(entry, "an Any holds one message".to_owned()));
        }
        let value = self.aggregate(entries, &message)?.bytes();
        tree.push(
            path::ANY_TYPE_URL,
            ValueNode::Bytes(entry.name.clone().into_bytes()),
        );
        tree.push(path::ANY_VALUE, ValueNode::Bytes(value));
        Ok(())
    }

    /// Returns an error within the aggregate, at the place of the entry's name.
    fn misplaced(&self, entry: &Entry, text: String) -> OptionError {
        let source = &self.files.file(self.file).source;
        OptionError::value(Diagnostic::error(text).at(source.place_of_bytes(entry.range.clone())))
    }
}
