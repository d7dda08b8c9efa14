//! The words that occur in CEL rules. A rule can name a type only if the words contain each part of
//! the type's full name.

use std::collections::HashSet;

use ::protobuf::Message as _;
use ::protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use gateway_proto::Descriptors;

use super::expression::extensions::all_extensions;
use super::expression::text::RuleText;
use super::kind::RuleKind;
use super::option::rules_in;
use super::{field, message};

/// Every word of the expressions in a set of files: names and parts of names, keywords, and words
/// in quoted texts.
#[derive(Debug, Default)]
pub(crate) struct RuleWords(HashSet<String>);

impl RuleWords {
    /// Reads the rules of all messages and the predefined rules. An option whose rules are
    /// malformed is skipped, because these rules are never compiled.
    pub(crate) fn of(descriptors: &Descriptors) -> Self {
        let mut words = Self::default();
        let files = descriptors.compiled_files().iter();
        for file in files.filter(|file| file.has_rules()) {
            for message in &file.descriptor().message_type {
                words.message(message);
            }
        }
        for extension in all_extensions(descriptors).values() {
            words.texts(extension.rules());
        }
        words
    }

    /// Returns whether there are no words. If there are none, no expression reads a field or names
    /// a type.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether an expression may contain the full name of a type. If the result is false,
    /// no expression contains the name.
    pub(crate) fn may_name(&self, full_name: &str) -> bool {
        full_name.split('.').all(|part| self.0.contains(part))
    }

    /// Returns whether an expression may contain the full name of a type in a package. If the
    /// result is false, no expression contains such a name.
    pub(crate) fn may_name_in(&self, package: &str) -> bool {
        !self.is_empty() && (package.is_empty() || self.may_name(package))
    }

    /// Reads the rules of a message and of the messages nested in it. Nesting is bounded by the
    /// compiler.
    fn message(&mut self, descriptor: &DescriptorProto) {
        if let Some(rules) = rules_in(descriptor.options.special_fields().unknown_fields()) {
            self.texts(message::expressions(&rules));
        }
        for field in &descriptor.field {
            self.texts(of_field(field));
        }
        for nested in &descriptor.nested_type {
            self.message(nested);
        }
    }

    fn texts(&mut self, texts: Result<Vec<RuleText>, String>) {
        for text in texts.into_iter().flatten() {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let words = text.expression.split(|c| !is_part(c));
            let words = words.filter(|word| !word.is_empty());
            self.0.extend(words.map(str::to_owned));
        }
    }
}

/// Returns the rules of a field and of its elements.
fn of_field(descriptor: &FieldDescriptorProto) -> Result<Vec<RuleText>, String> {
    let Some(rules) = rules_in(descriptor.options.special_fields().unknown_fields()) else {
        return Ok(Vec::new());
    };
    let option = field::read(&rules)?;
    let mut texts = option.expressions;
    if let Some((RuleKind::Repeated | RuleKind::Map, rules)) = &option.rules {
        for inner in field::elements(rules)?.iter().flatten() {
            texts.extend(field::read_element(inner)?.expressions);
        }
    }
    Ok(texts)
}
