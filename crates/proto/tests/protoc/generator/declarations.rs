//! Generates enums, extensions, services, and definitions of options.

use super::facts::{
    CustomOption, ELEMENTS, Element, ExtensionFacts, FieldShape, Syntax, TypeFacts, TypeForm,
    ValueType,
};
use super::message::join;
use super::words::{EDITIONS, SCALARS};
use super::{Generator, Style};

impl Generator {
    /// Returns the visibility keyword before a definition, with a space after it, or an empty text.
    /// Also returns whether other files may use the definition.
    pub(super) fn visibility(&mut self, depth: usize, is_exported: bool) -> (&'static str, bool) {
        if self.file.syntax != Syntax::Edition2024 && !self.errs() {
            return ("", true);
        }
        match self.random.u8(..5) {
            0 => ("export ", is_exported),
            1 => ("local ", false),
            _ => ("", is_exported && depth == 0),
        }
    }

    /// Writes an enum in a scope.
    pub(super) fn enumeration(&mut self, scope: &str, depth: usize, is_exported: bool) {
        let name = self.free_name(scope, Style::Title);
        let (word, is_exported) = self.visibility(depth, is_exported);
        self.line(&format!("{word}enum {name} {{"));
        let mut is_closed = self.file.is_closed;
        if self.file.syntax.is_edition() && self.chance(15) {
            is_closed = self.random.bool();
            let value = if is_closed { "CLOSED" } else { "OPEN" };
            self.line(&format!("option features.enum_type = {value};"));
        } else {
            self.option_statements(Element::Enum);
        }
        let is_aliased = self.chance(10);
        if is_aliased {
            self.line("option allow_alias = true;");
        }
        if self.chance(15) {
            let name = self.name(Style::Upper);
            self.take_name(scope, &name);
            let name = match self.file.syntax.is_edition() ^ self.errs() {
                true => name,
                false => format!("\"{name}\""),
            };
            let numbers = self
                .one(&["reserved 100 to 200;", "reserved -9, 77 to max;", ""])
                .to_owned();
            self.line(&format!("reserved {name}; {numbers}"));
        }
        let mut number = match (is_closed && self.chance(20)) || self.errs() {
            true => i64::from(self.random.i8(-5..5)),
            false => 0,
        };
        let starts_at_zero = number == 0;
        let mut values = Vec::new();
        for at in 0..self.random.usize(1..5) {
            let value = self.free_name(scope, Style::Upper);
            let written = self.integer(number);
            let options = self.options(Element::Value);
            let options = self.bracketed(&options);
            self.line(&format!("{value} = {written}{options};"));
            values.push(value);
            if (is_aliased && at == 0) || (self.errs() && at > 0) {
                continue;
            }
            number = match self.random.u8(..20) {
                0 if (0..60).contains(&number) => -1 - number,
                1 => i64::from(i32::MAX),
                _ => number + 1,
            };
            if number > i64::from(i32::MAX) {
                break;
            }
        }
        self.line("}");
        let form = TypeForm::Enum {
            values,
            is_closed,
            starts_at_zero,
        };
        let full = join(scope, &name);
        self.types.push(TypeFacts {
            full,
            file: self.at,
            is_exported,
            form,
        });
    }

    /// Writes an extension of a message that has free extension numbers. Writes nothing if the file
    /// sees no such message, or if it must not define extensions.
    pub(super) fn extend(&mut self, scope: &str, depth: usize) {
        let fits = |(at, ty): (usize, &TypeFacts)| {
            let is_near =
                ty.file == self.at || (self.file.sees.contains(&ty.file) && ty.is_exported);
            let TypeForm::Message { free, .. } = &ty.form else {
                return None;
            };
            (is_near && !free.is_empty()).then_some(at)
        };
        let all: Vec<usize> = self.types.iter().enumerate().filter_map(fits).collect();
        let is_allowed = self.file.syntax != Syntax::Proto3 || self.errs();
        if all.is_empty() || !is_allowed {
            return;
        }
        let at = all[self.random.usize(..all.len())];
        let TypeForm::Message { free, is_set, .. } = &mut self.types[at].form else {
            return;
        };
        let (number, is_set) = (free.pop(), *is_set);
        let full = self.types[at].full.clone();
        let extendee = self.reference(&full);
        self.line(&format!("extend {extendee} {{"));
        let number = i64::from(number.unwrap_or_default()) + i64::from(self.errs());
        let labels: &[&str] = match self.file.syntax.is_edition() ^ self.errs() {
            true => &["", "repeated "],
            false => &["optional ", "optional ", "repeated "],
        };
        let mut label = self.one(labels).to_owned();
        let mut ty = self.field_type(false);
        if is_set && !self.errs() {
            label.truncate(if label == "repeated " { 0 } else { label.len() });
            let messages = (0..self.types.len()).map(ValueType::Defined);
            ty = messages
                .clone()
                .find(|ty| self.is_message(*ty))
                .unwrap_or(ty);
        }
        let shape = FieldShape {
            ty,
            is_repeated: label == "repeated ",
            is_map: false,
            is_group: false,
            is_extension: true,
            is_in_oneof: false,
        };
        let name = self.free_name(scope, Style::Snake);
        let number = self.integer(number);
        if self.file.syntax.is_proto2() && self.chance(8) && depth < 3 {
            let name = format!("Ext{}", self.random.u16(..));
            self.take_name(scope, &name);
            self.line(&format!("{label}group {name} = {number} {{"));
            let ty = ValueType::Defined(self.types.len());
            self.message_body(scope, &name, depth + 1, true);
            self.line("} }");
            self.add_extension(join(scope, &name.to_lowercase()), at, shape, ty);
            return;
        }
        let type_text = self.type_text(ty);
        let options = self.field_options(shape);
        let options = self.bracketed(&options);
        self.line(&format!(
            "{label}{type_text} {name} = {number}{options}; }}"
        ));
        self.add_extension(join(scope, &name), at, shape, ty);
    }

    fn add_extension(&mut self, full: String, extendee: usize, shape: FieldShape, ty: ValueType) {
        self.extensions.push(ExtensionFacts {
            full,
            file: self.at,
            extendee,
            ty,
            is_repeated: shape.is_repeated,
        });
    }

    /// Writes the definition of an option in a scope.
    pub(super) fn custom_option(&mut self, scope: &str) {
        let (element, message, _) = ELEMENTS[self.random.usize(..ELEMENTS.len())];
        let is_repeated = self.chance(25);
        let label = match (
            is_repeated,
            self.file.syntax.is_edition(),
            self.random.bool(),
        ) {
            (true, ..) => "repeated ",
            (false, true, _) => "",
            (false, false, true) if self.file.syntax == Syntax::Proto3 => "",
            (false, false, _) => "optional ",
        };
        let number = 50_000 + self.custom.len() as i64;
        let number = if self.errs() { 995 } else { number };
        let number = self.integer(number);
        let options = self.options_of_option(element);
        let start = format!("extend google.protobuf.{message} {{ {label}");
        let is_group = self.chance(15) && self.file.syntax != Syntax::Proto3;
        let (name, ty) = match is_group {
            true => self.group_option(scope, &start, &number, options),
            false => {
                let ty = match self.chance(50) {
                    true => self.field_type(false),
                    false => ValueType::Scalar(self.constant(SCALARS)),
                };
                let name = self.free_name(scope, Style::Snake);
                let type_text = self.type_text(ty);
                let options = self.bracketed(&options);
                self.line(&format!(
                    "{start}{type_text} {name} = {number}{options}; }}"
                ));
                (name, ty)
            }
        };
        self.custom.push(CustomOption {
            full: join(scope, &name),
            file: self.at,
            element,
            ty,
            is_repeated,
        });
    }

    /// Writes the definition of an option that is a group, or a delimited message in an edition.
    /// Returns the option's name and type.
    fn group_option(
        &mut self,
        scope: &str,
        start: &str,
        number: &str,
        mut options: Vec<String>,
    ) -> (String, ValueType) {
        let name = self.group_name(scope);
        let ty = ValueType::Defined(self.types.len());
        let field = name.to_lowercase();
        if self.file.syntax.is_proto2() {
            let options = self.bracketed(&options);
            self.line(&format!("{start}group {name} = {number}{options} {{"));
            self.message_body(scope, &name, 1, true);
            self.line("} }");
            return (field, ty);
        }
        let (word, is_exported) = self.visibility(0, true);
        self.line(&format!("{word}message {name} {{"));
        self.message_body(scope, &name, 0, is_exported);
        self.line("}");
        options.push("features.message_encoding = DELIMITED".to_owned());
        let (type_text, options) = (self.type_text(ty), self.bracketed(&options));
        self.line(&format!(
            "{start}{type_text} {field} = {number}{options}; }}"
        ));
        (field, ty)
    }

    /// Returns options of the field that defines an option of an element.
    fn options_of_option(&mut self, element: Element) -> Vec<String> {
        let mut options = Vec::new();
        if self.chance(20) {
            let right = ELEMENTS
                .iter()
                .find(|row| row.0 == element)
                .map_or("", |row| row.2);
            let target = match self.chance(85) {
                true => right,
                false => ELEMENTS[self.random.usize(..ELEMENTS.len())].2,
            };
            options.push(format!("targets = {target}"));
        }
        if self.chance(10) {
            let value = self.one(&["RETENTION_RUNTIME", "RETENTION_SOURCE"]);
            options.push(format!("retention = {value}"));
        }
        if self.chance(10) {
            let support = self.support();
            options.push(format!("feature_support = {support}"));
        }
        options
    }

    /// Writes a message of features and the extension of `FeatureSet` that holds it.
    pub(super) fn custom_features(&mut self, scope: &str) {
        let name = self.free_name(scope, Style::Title);
        self.line(&format!("message {name} {{"));
        let label = if self.file.syntax.is_edition() {
            ""
        } else {
            "optional "
        };
        for number in 1..=self.random.u8(1..4) {
            let ty = self
                .one(&["bool", "bool", "int32", "string", "Kind"])
                .to_owned();
            let mut options = vec!["retention = RETENTION_RUNTIME".to_owned()];
            for _ in 0..self.random.u8(1..3) {
                options.push(format!(
                    "targets = {}",
                    ELEMENTS[self.random.usize(..ELEMENTS.len())].2
                ));
            }
            let support = self.support();
            options.push(format!("feature_support = {support}"));
            let value = if ty == "Kind" { "ONE" } else { "true" };
            let edition = self.one(&EDITIONS[..2]);
            options.push(format!(
                "edition_defaults = {{ edition: {edition}, value: \"{value}\" }}"
            ));
            if self.chance(20) {
                options.remove(self.random.usize(..options.len()));
            }
            let options = self.bracketed(&options);
            self.line(&format!("{label}{ty} f{number} = {number}{options};"));
        }
        self.line("enum Kind { KIND_UNKNOWN = 0; ONE = 1; TWO = 2; } }");
        let number = self
            .one(&["9995", "9996", "9999", "10000", "9990", "1000", "2000"])
            .to_owned();
        let own = self.free_name(scope, Style::Snake);
        let full = join(scope, &name);
        self.line(&format!(
            "extend google.protobuf.FeatureSet {{ {label}.{full} {own} = {number}; }}"
        ));
        self.features.push((join(scope, &own), self.at));
    }

    /// Returns an option that sets a custom feature, or `None` if the file sees no custom feature.
    pub(super) fn custom_feature(&mut self) -> Option<String> {
        let seen = self
            .features
            .iter()
            .filter(|(_, file)| self.file.sees_options.contains(file));
        let seen: Vec<_> = seen.map(|(name, _)| name.clone()).collect();
        if seen.is_empty() {
            return None;
        }
        let name = &seen[self.random.usize(..seen.len())];
        let value = self.one(&["true", "ONE", "1", "\"x\"", "false"]);
        let field = self.random.u8(1..4);
        Some(format!("features.(.{name}).f{field} = {value}"))
    }

    /// Writes a service.
    pub(super) fn service(&mut self, scope: &str) {
        let name = self.free_name(scope, Style::Title);
        let full = join(scope, &name);
        self.line(&format!("service {name} {{"));
        self.option_statements(Element::Service);
        for _ in 0..self.random.usize(..3) {
            let name = self.free_name(&full, Style::Title);
            let (first, second) = (self.method_type(), self.method_type());
            let (from, to) = (self.one(&["", "stream "]), self.one(&["", "stream "]));
            let options = self.options(Element::Method);
            let start = format!("rpc {name}({from}{first}) returns ({to}{second})");
            match options.is_empty() && self.chance(80) {
                true => self.line(&format!("{start};")),
                false => {
                    self.line(&format!("{start} {{"));
                    for option in options {
                        self.line(&format!("option {option};"));
                    }
                    self.line("}");
                }
            }
        }
        self.line("}");
    }

    /// Returns a reference to a message that the file sees. If none is found, returns a reference
    /// to the message `Empty`, which the file then defines.
    fn method_type(&mut self) -> String {
        if self.chance(4)
            && let Some(entry) = self.map_entry()
        {
            return entry;
        }
        for _ in 0..10 {
            let ty = self.field_type(false);
            if self.is_message(ty) || self.errs() {
                return self.type_text(ty);
            }
        }
        let name = self.file.package.clone();
        self.reference(&join(&name, "Empty"))
    }
}
