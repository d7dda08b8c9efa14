//! Generates messages and their fields.

use super::Generator;
use super::Style;
use super::facts::{
    Body, Element, EntryFacts, FieldFacts, FieldShape, Syntax, TypeFacts, TypeForm, ValueType,
};
use super::words::{KEYS, SCALARS};

/// The maximum depth of random nesting. The limit on nesting is tested by [`Generator::nest`].
const DEPTH_MAX: usize = 3;

/// The first number of the extension ranges of a message.
const FIRST_EXTENSION: i32 = 1000;

/// The first reserved number of a message.
const FIRST_RESERVED: i32 = 500;

impl Generator {
    /// Writes a message in a scope.
    pub(super) fn message(&mut self, scope: &str, depth: usize, is_exported: bool) {
        let name = self.free_name(scope, Style::Title);
        let (word, is_exported) = self.visibility(depth, is_exported);
        self.line(&format!("{word}message {name} {{"));
        self.message_body(scope, &name, depth, is_exported);
        self.line("}");
    }

    /// Writes the body of a message up to its closing brace.
    pub(super) fn message_body(
        &mut self,
        scope: &str,
        name: &str,
        depth: usize,
        is_exported: bool,
    ) {
        let full = join(scope, name);
        let mut body = Body {
            full: full.clone(),
            next: 1,
            depth,
            is_exported,
            ..Body::default()
        };
        let at = self.types.len();
        self.types.push(TypeFacts {
            full,
            file: self.at,
            is_exported,
            form: TypeForm::Message {
                fields: Vec::new(),
                free: Vec::new(),
                is_set: false,
            },
        });
        body.is_set = self.file.syntax != Syntax::Proto3 && self.chance(3);
        if body.is_set {
            self.line("option message_set_wire_format = true;");
        }
        self.option_statements(Element::Message);
        self.ranges(&mut body);
        for _ in 0..self.random.usize(..5) {
            self.member(&mut body);
        }
        self.types[at].form = TypeForm::Message {
            fields: body.fields,
            free: body.free,
            is_set: body.is_set,
        };
    }

    /// Writes one member of a message.
    fn member(&mut self, body: &mut Body) {
        let is_deep = body.depth >= DEPTH_MAX;
        match self.random.u8(..20) {
            0 | 1 if !is_deep => self.message(&body.full.clone(), body.depth + 1, body.is_exported),
            2 if !is_deep => self.enumeration(&body.full.clone(), body.depth + 1, body.is_exported),
            3 => self.extend(&body.full.clone(), body.depth),
            4 if !body.is_set || self.errs() => self.oneof(body),
            5 => self.line(";"),
            _ if body.is_set && !self.errs() => {}
            6 => self.map(body),
            7 if !is_deep && self.file.syntax.is_edition() && !self.errs() => {
                self.delimited(body);
            }
            7 if !is_deep && (self.file.syntax.is_proto2() || self.errs()) => {
                self.group(body, false);
            }
            _ => self.field(body, false),
        }
    }

    /// Writes reserved numbers and names, and extension ranges.
    fn ranges(&mut self, body: &mut Body) {
        if self.chance(20) || self.errs() {
            let first = FIRST_RESERVED + i32::from(self.random.u8(..100));
            let (first, last) = (i64::from(first), i64::from(first) + 7);
            let (a, b, c) = (
                self.integer(first),
                self.integer(last),
                self.integer(last + 3),
            );
            let max = self.one(&["", "", ", 536870911", ", 536870000 to 536870911"]);
            self.line(&format!("reserved {a} to {b}, {c}{max};"));
        }
        if self.chance(15) {
            let name = self.name(Style::Snake);
            self.take_name(&body.full, &name);
            let name = match self.file.syntax.is_edition() ^ self.errs() {
                true => name,
                false => format!("\"{name}\""),
            };
            self.line(&format!("reserved {name};"));
        }
        if body.is_set {
            let range = self.constant(&["extensions 4 to max;", "extensions 4 to 2147483646;"]);
            self.line(range);
            body.free.extend([4, 1000, 536_870_911, 1_000_000_000]);
        } else if (self.file.syntax != Syntax::Proto3 && self.chance(35)) || self.errs() {
            self.extension_ranges(body);
        }
    }

    fn extension_ranges(&mut self, body: &mut Body) {
        let first = FIRST_EXTENSION;
        let range = match self.random.u8(..4) {
            0 => format!("{first} to max"),
            1 => format!("{first}, {} to {}", first + 1, first + 99),
            2 => format!("{first} to {}, 536870911", first + 99),
            _ => format!("{} to {}", self.integer(i64::from(first)), first + 99),
        };
        let mut options = self.options(Element::Range);
        match self.random.u8(..8) {
            0 => options.push("verification = UNVERIFIED".to_owned()),
            1 if !range.contains(',') || self.errs() => self.declarations(&mut options, body),
            _ => body.free.extend([first, first + 7, first + 8, first + 50]),
        }
        let options = self.bracketed(&options);
        self.line(&format!("extensions {range}{options};"));
    }

    /// Declares extensions of a range.
    fn declarations(&mut self, options: &mut Vec<String>, body: &Body) {
        if self.chance(50) {
            options.push("verification = DECLARATION".to_owned());
        }
        for number in 0..self.random.i32(1..4) {
            let number = FIRST_EXTENSION + if self.errs() { 0 } else { number };
            let name = format!(".{}.declared{number}", body.full);
            let dot = if self.errs() { "" } else { "." };
            let ty = match self.chance(70) {
                true => self.one(SCALARS).to_owned(),
                false => format!("{dot}{}", body.full),
            };
            let more = self.one(&[
                "",
                "",
                "repeated: true",
                "reserved: true",
                "repeated: false",
            ]);
            let full = match self.chance(95) {
                true => format!("full_name: \"{name}\" type: \"{ty}\""),
                false => self
                    .one(&["", "full_name: \".x\"", "type: \"int32\""])
                    .to_owned(),
            };
            options.push(format!(
                "declaration = {{ number: {number} {full} {more} }}"
            ));
        }
    }

    fn number(&mut self, body: &mut Body) -> String {
        let number = body.next;
        body.next += 1 + if self.chance(10) {
            self.random.i32(0..40)
        } else {
            0
        };
        let number = match self.errs() {
            true => self.one_number(),
            false => i64::from(number),
        };
        self.integer(number)
    }

    fn one_number(&mut self) -> i64 {
        let numbers = [
            0,
            1,
            2,
            19_000,
            19_999,
            20_000,
            18_999,
            536_870_911,
            536_870_912,
            2_147_483_647,
            1000,
            1001,
            505,
            510,
            4_294_967_297,
            -1,
        ];
        numbers[self.random.usize(..numbers.len())]
    }

    /// Returns the label of a field with a space after it, and whether the field is repeated.
    fn label(&mut self, is_in_oneof: bool) -> (&'static str, bool) {
        if is_in_oneof && !self.errs() {
            return ("", false);
        }
        let is_any = self.errs();
        let labels: &[&'static str] = match self.file.syntax {
            _ if is_any => &["", "optional ", "required ", "repeated "],
            Syntax::Unnamed | Syntax::Proto2 => {
                &["optional ", "optional ", "required ", "repeated "]
            }
            Syntax::Proto3 => &["", "", "optional ", "repeated "],
            Syntax::Edition2023 | Syntax::Edition2024 => &["", "", "repeated "],
        };
        let label = labels[self.random.usize(..labels.len())];
        (label, label == "repeated ")
    }

    /// Writes a field of a scalar or a defined type.
    pub(super) fn field(&mut self, body: &mut Body, is_in_oneof: bool) {
        let (label, is_repeated) = self.label(is_in_oneof);
        let is_closed_bad = self.file.syntax == Syntax::Proto3
            || (self.file.is_implicit && !is_repeated && !is_in_oneof);
        let ty = self.field_type(is_closed_bad);
        let shape = FieldShape {
            ty,
            is_repeated,
            is_map: false,
            is_group: false,
            is_extension: false,
            is_in_oneof,
        };
        let name = self.free_name(&body.full, Style::Snake);
        let number = self.number(body);
        // A field whose type is the message of a map's entries is an error.
        let entry = if self.errs() { self.map_entry() } else { None };
        let type_text = entry.unwrap_or_else(|| self.type_text(ty));
        let options = self.field_options(shape);
        let options = self.bracketed(&options);
        self.line(&format!("{label}{type_text} {name} = {number}{options};"));
        body.fields.push(FieldFacts {
            name,
            group: None,
            ty,
            is_repeated,
        });
    }

    /// Returns a type that the file may use.
    pub(super) fn field_type(&mut self, must_be_open: bool) -> ValueType {
        let any = self.errs();
        if self.chance(55) && !any {
            return ValueType::Scalar(self.constant(SCALARS));
        }
        let fits = |(at, ty): (usize, &TypeFacts)| {
            let is_near =
                ty.file == self.at || (self.file.sees.contains(&ty.file) && ty.is_exported);
            let is_open = match &ty.form {
                TypeForm::Message { .. } => true,
                TypeForm::Enum {
                    is_closed,
                    starts_at_zero,
                    ..
                } => !is_closed && *starts_at_zero,
            };
            (any || (is_near && (is_open || !must_be_open))).then_some(at)
        };
        let all: Vec<usize> = self.types.iter().enumerate().filter_map(fits).collect();
        match all.is_empty() {
            true => ValueType::Scalar(self.constant(SCALARS)),
            false => ValueType::Defined(all[self.random.usize(..all.len())]),
        }
    }

    /// Returns the text of a type.
    pub(super) fn type_text(&mut self, ty: ValueType) -> String {
        match ty {
            ValueType::Scalar(ty) => ty.to_owned(),
            ValueType::Defined(at) => {
                let full = self.types[at].full.clone();
                self.reference(&full)
            }
        }
    }

    fn map(&mut self, body: &mut Body) {
        let key = if self.errs() {
            self.constant(SCALARS)
        } else {
            self.constant(KEYS)
        };
        let ty = self.field_type(true);
        let name = self.free_name(&body.full, Style::Snake);
        self.take_name(&body.full, &format!("{name}entry"));
        let number = self.number(body);
        let type_text = self.type_text(ty);
        let shape = FieldShape {
            ty: ValueType::Scalar("map"),
            is_repeated: true,
            is_map: true,
            is_group: false,
            is_extension: false,
            is_in_oneof: false,
        };
        let mut options = self.field_options(shape);
        // `field_options` takes the type `map` of this shape for a type that can be packed.
        if !self.errs() {
            options.retain(|option| {
                !option.starts_with("packed") && !option.contains("repeated_field")
            });
        }
        let options = self.bracketed(&options);
        let label = if self.errs() { "repeated " } else { "" };
        self.line(&format!(
            "{label}map<{key}, {type_text}> {name} = {number}{options};"
        ));
        self.entries.push(EntryFacts {
            full: join(&body.full, &entry_name(&name)),
            file: self.at,
        });
    }

    /// Returns a reference to the message of a map's entries, if the file sees one.
    pub(super) fn map_entry(&mut self) -> Option<String> {
        let seen = self
            .entries
            .iter()
            .filter(|entry| self.file.sees.contains(&entry.file));
        let seen: Vec<_> = seen.map(|entry| entry.full.clone()).collect();
        if seen.is_empty() {
            return None;
        }
        let full = &seen[self.random.usize(..seen.len())];
        Some(self.reference(full))
    }

    /// Returns a name of a group that is free in the scope.
    pub(super) fn group_name(&mut self, scope: &str) -> String {
        let mut name = self.free_name(scope, Style::Title);
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) && !self.errs() {
            name = format!("G{name}");
            self.take_name(scope, &name);
        }
        name
    }

    /// Writes a delimited field and its message. In an edition, this is the form of a group.
    fn delimited(&mut self, body: &mut Body) {
        let (label, is_repeated) = self.label(false);
        let name = self.group_name(&body.full);
        let (word, is_exported) = self.visibility(body.depth + 1, body.is_exported);
        self.line(&format!("{word}message {name} {{"));
        let at = self.types.len();
        self.message_body(&body.full.clone(), &name, body.depth + 1, is_exported);
        self.line("}");
        let ty = ValueType::Defined(at);
        let shape = FieldShape {
            ty,
            is_repeated,
            is_map: false,
            is_group: true,
            is_extension: false,
            is_in_oneof: false,
        };
        let mut options = self.field_options(shape);
        options.retain(|option| {
            !option.contains("message_encoding") && !option.starts_with("features =")
        });
        options.push("features.message_encoding = DELIMITED".to_owned());
        let options = self.bracketed(&options);
        let number = self.number(body);
        let type_text = self.type_text(ty);
        let field = name.to_lowercase();
        self.line(&format!("{label}{type_text} {field} = {number}{options};"));
        body.fields.push(FieldFacts {
            name: field,
            group: Some(name),
            ty,
            is_repeated,
        });
    }

    /// Writes a group.
    pub(super) fn group(&mut self, body: &mut Body, is_in_oneof: bool) {
        let (label, is_repeated) = self.label(is_in_oneof);
        let name = self.group_name(&body.full);
        let number = self.number(body);
        let shape = FieldShape {
            ty: ValueType::Scalar("group"),
            is_repeated,
            is_map: false,
            is_group: true,
            is_extension: false,
            is_in_oneof,
        };
        let mut options = self.field_options(shape);
        options.retain(|option| !option.starts_with("default") && !option.starts_with("packed"));
        let options = self.bracketed(&options);
        self.line(&format!("{label}group {name} = {number}{options} {{"));
        let at = self.types.len();
        self.message_body(&body.full.clone(), &name, body.depth + 1, body.is_exported);
        self.line("}");
        body.fields.push(FieldFacts {
            name: name.to_lowercase(),
            group: Some(name),
            ty: ValueType::Defined(at),
            is_repeated,
        });
    }

    fn oneof(&mut self, body: &mut Body) {
        let name = self.free_name(&body.full, Style::Snake);
        self.line(&format!("oneof {name} {{"));
        self.option_statements(Element::Oneof);
        let fields = self.random.usize(1..4);
        for _ in 0..if self.errs() { 0 } else { fields } {
            let is_group =
                self.file.syntax.is_proto2() && self.chance(10) && body.depth < DEPTH_MAX;
            match is_group {
                true => self.group(body, true),
                false => self.field(body, true),
            }
        }
        self.line("}");
    }

    /// Writes nested messages, with a depth around the limit on nesting.
    pub(super) fn nest(&mut self, package: &str) {
        let depth = self.random.usize(28..34);
        let mut scope = package.to_owned();
        for _ in 0..depth {
            self.line("message D {");
            scope = join(&scope, "D");
        }
        let inner = match self.file.syntax.is_proto2() {
            true => [
                "optional group G = 1 {}",
                "enum E { X = 0; }",
                "map<int32, int32> m = 1;",
                "",
                "extensions 4;",
            ],
            false => [
                "map<int32, D> m = 1;",
                "enum E { X = 0; }",
                "map<int32, int32> m = 1;",
                "",
                "oneof o { int32 i = 1; }",
            ],
        };
        let inner = inner[self.random.usize(..inner.len())];
        self.line(inner);
        self.line(&"}".repeat(depth));
        self.take_name(package, "D");
    }
}

/// Returns the name of the message of a map's entries.
fn entry_name(field: &str) -> String {
    let mut name = String::new();
    let mut is_first = true;
    for c in field.chars() {
        match (c, is_first) {
            ('_', _) => is_first = true,
            (c, true) => {
                name.push(c.to_ascii_uppercase());
                is_first = false;
            }
            (c, false) => name.push(c),
        }
    }
    format!("{name}Entry")
}

/// Returns the full name of a definition in a scope.
pub(super) fn join(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}
