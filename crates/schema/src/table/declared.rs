//! The messages, enums and extensions that descriptors define, by name. The types of their fields
//! are not looked up yet.

use ::protobuf::descriptor::field_descriptor_proto::Type;
use ::protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use rustc_hash::FxHashMap;

use super::error::{FIELDS_MAX, TableError};
use gateway_proto::features::{Features, place};

/// The definition that a type name refers to, by its position in [`Declared`].
#[derive(Clone, Copy)]
pub(super) enum DeclaredType {
    Message(usize),
    Enum(usize),
}

/// The definition of a message, an enum or an extension. `features` are the features of editions
/// that apply inside a message or enum, or in the scope that defines an extension.
pub(super) struct Definition<'a, D> {
    pub(super) name: String,
    pub(super) descriptor: &'a D,
    pub(super) features: Features,
}

/// An extension. Its name has the form `[pkg.name]`, like the name of the field that it adds.
pub(super) type Extension<'a> = Definition<'a, FieldDescriptorProto>;

/// The definitions of a set of files, in the order in which the files define them.
#[derive(Default)]
pub(super) struct Declared<'a> {
    pub(super) messages: Vec<Definition<'a, DescriptorProto>>,
    pub(super) enums: Vec<Definition<'a, EnumDescriptorProto>>,
    types: FxHashMap<String, DeclaredType>,
    extensions: FxHashMap<&'a str, Vec<Extension<'a>>>,
}

impl<'a> Declared<'a> {
    /// Collects the definitions of `files`.
    ///
    /// # Errors
    ///
    /// Fails if a type is defined twice.
    pub(super) fn collect(
        files: impl IntoIterator<Item = &'a FileDescriptorProto>,
    ) -> Result<Self, TableError> {
        let mut declared = Self::default();
        for file in files {
            let features = Features::of_file(file);
            let package = file.package();
            for message in &file.message_type {
                declared.message(message, package, features)?;
            }
            for one in &file.enum_type {
                declared.enumeration(one, package, features)?;
            }
            declared.extend(&file.extension, package, features);
        }
        Ok(declared)
    }

    fn message(
        &mut self,
        descriptor: &'a DescriptorProto,
        scope: &str,
        outer: Features,
    ) -> Result<(), TableError> {
        let name = qualified(scope, descriptor.name());
        let features = outer.within(descriptor.options.as_ref(), place::MESSAGE);
        self.declare(&name, DeclaredType::Message(self.messages.len()))?;
        self.messages.push(Definition {
            name: name.clone(),
            descriptor,
            features,
        });
        for nested in &descriptor.nested_type {
            self.message(nested, &name, features)?;
        }
        for one in &descriptor.enum_type {
            self.enumeration(one, &name, features)?;
        }
        self.extend(&descriptor.extension, &name, features);
        Ok(())
    }

    fn enumeration(
        &mut self,
        descriptor: &'a EnumDescriptorProto,
        scope: &str,
        outer: Features,
    ) -> Result<(), TableError> {
        let name = qualified(scope, descriptor.name());
        let features = outer.within(descriptor.options.as_ref(), place::ENUM);
        self.declare(&name, DeclaredType::Enum(self.enums.len()))?;
        self.enums.push(Definition {
            name,
            descriptor,
            features,
        });
        Ok(())
    }

    fn extend(&mut self, extensions: &'a [FieldDescriptorProto], scope: &str, features: Features) {
        for descriptor in extensions {
            let extendee = unqualified(descriptor.extendee());
            self.extensions
                .entry(extendee)
                .or_default()
                .push(Definition {
                    name: format!("[{}]", qualified(scope, descriptor.name())),
                    descriptor,
                    features,
                });
        }
    }

    fn declare(&mut self, name: &str, ty: DeclaredType) -> Result<(), TableError> {
        match self.types.insert(name.to_owned(), ty) {
            None => Ok(()),
            Some(_) => Err(TableError::DefinedTwice {
                name: name.to_owned(),
            }),
        }
    }

    /// Returns the type with this full name, or `None` if no file defines this type.
    pub(super) fn named(&self, name: &str) -> Option<DeclaredType> {
        self.types.get(name).copied()
    }

    /// Returns each type for which `wanted` returns true. `wanted` receives the full name.
    pub(super) fn types(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = DeclaredType> {
        let types = self.types.iter();
        types
            .filter(move |(name, _)| wanted(name))
            .map(|(_, ty)| *ty)
    }

    /// Returns the extensions of a message.
    pub(super) fn extensions(&self, message: &str) -> &[Extension<'a>] {
        self.extensions.get(message).map_or(&[], Vec::as_slice)
    }

    /// Checks all messages, so that a table can be built of any of them.
    ///
    /// # Errors
    ///
    /// Fails if the type of a field is not defined, or a message has too many fields.
    pub(super) fn check(&self) -> Result<(), TableError> {
        for message in &self.messages {
            let mut fields = 0;
            for ty in self.types_of(message) {
                ty?;
                fields += 1;
            }
            if fields > FIELDS_MAX {
                return Err(TableError::TooManyFields {
                    message: message.name.clone(),
                });
            }
        }
        Ok(())
    }

    /// Returns the type of each field of a message, extensions included, or `None` for a scalar.
    ///
    /// # Errors
    ///
    /// An item is an error if the type of its field is not defined.
    pub(super) fn types_of(
        &self,
        message: &Definition<'a, DescriptorProto>,
    ) -> impl Iterator<Item = Result<Option<DeclaredType>, TableError>> {
        let own = message.descriptor.field.iter();
        let own = own.map(|field| (field.name(), field));
        let extensions = self.extensions(&message.name).iter();
        let extensions = extensions.map(|extension| (&*extension.name, extension.descriptor));
        let fields = own.chain(extensions);
        fields.map(|(name, field)| self.type_of(name, field))
    }

    /// Returns the type of a field, or `None` for a scalar. `field` is the name of the field in
    /// errors.
    ///
    /// # Errors
    ///
    /// Fails if the type is not defined.
    pub(super) fn type_of(
        &self,
        field: &str,
        descriptor: &FieldDescriptorProto,
    ) -> Result<Option<DeclaredType>, TableError> {
        let name = unqualified(descriptor.type_name());
        // Descriptors whose names are not resolved yet may have a type name without a type.
        let known = descriptor.type_.and_then(|kind| kind.enum_value().ok());
        let found = match (known, self.named(name)) {
            (Some(Type::TYPE_GROUP), Some(ty @ DeclaredType::Message(_))) => Some(ty),
            (Some(Type::TYPE_GROUP), _) => None,
            (Some(Type::TYPE_MESSAGE | Type::TYPE_ENUM) | None, ty) => ty,
            (Some(_), _) => return Ok(None),
        };
        let missing = || TableError::NotDefined {
            field: field.to_owned(),
            name: name.to_owned(),
        };
        found.map(Some).ok_or_else(missing)
    }
}

fn qualified(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// Returns a full name without its leading dot.
pub(super) fn unqualified(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}
