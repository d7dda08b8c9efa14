//! Generates options: the options of descriptor.proto, features, and the options that generated
//! files define.

use super::Generator;
use super::facts::{CustomOption, ELEMENTS, Element, FieldShape, Syntax, TypeForm, ValueType};
use super::words::EDITIONS;

/// The form of an option's value.
#[derive(Clone, Copy)]
enum Form {
    Bool,
    Text,
    Words(&'static [&'static str]),
    /// The message `FeatureSupport`.
    Support,
}

/// The options of descriptor.proto by element, except options that depend on a field's type.
const OPTIONS: &[(Element, &str, Form)] = &[
    (Element::File, "java_package", Form::Text),
    (Element::File, "java_outer_classname", Form::Text),
    (Element::File, "java_multiple_files", Form::Bool),
    (Element::File, "java_generate_equals_and_hash", Form::Bool),
    (Element::File, "java_string_check_utf8", Form::Bool),
    (
        Element::File,
        "optimize_for",
        Form::Words(&["SPEED", "CODE_SIZE"]),
    ),
    (Element::File, "go_package", Form::Text),
    (Element::File, "cc_generic_services", Form::Bool),
    (Element::File, "java_generic_services", Form::Bool),
    (Element::File, "py_generic_services", Form::Bool),
    (Element::File, "deprecated", Form::Bool),
    (Element::File, "cc_enable_arenas", Form::Bool),
    (Element::File, "objc_class_prefix", Form::Text),
    (Element::File, "csharp_namespace", Form::Text),
    (Element::File, "swift_prefix", Form::Text),
    (Element::File, "php_class_prefix", Form::Text),
    (Element::File, "php_namespace", Form::Text),
    (Element::File, "php_metadata_namespace", Form::Text),
    (Element::File, "ruby_package", Form::Text),
    (
        Element::Message,
        "no_standard_descriptor_accessor",
        Form::Bool,
    ),
    (Element::Message, "deprecated", Form::Bool),
    (
        Element::Message,
        "deprecated_legacy_json_field_conflicts",
        Form::Bool,
    ),
    (Element::Field, "deprecated", Form::Bool),
    (Element::Field, "weak", Form::Bool),
    (Element::Field, "debug_redact", Form::Bool),
    (
        Element::Field,
        "retention",
        Form::Words(&["RETENTION_UNKNOWN", "RETENTION_RUNTIME", "RETENTION_SOURCE"]),
    ),
    (
        Element::Field,
        "targets",
        Form::Words(&[
            "TARGET_TYPE_FILE",
            "TARGET_TYPE_FIELD",
            "TARGET_TYPE_UNKNOWN",
        ]),
    ),
    (Element::Field, "feature_support", Form::Support),
    (Element::Enum, "deprecated", Form::Bool),
    (
        Element::Enum,
        "deprecated_legacy_json_field_conflicts",
        Form::Bool,
    ),
    (Element::Value, "deprecated", Form::Bool),
    (Element::Value, "debug_redact", Form::Bool),
    (Element::Value, "feature_support", Form::Support),
    (Element::Service, "deprecated", Form::Bool),
    (Element::Method, "deprecated", Form::Bool),
    (
        Element::Method,
        "idempotency_level",
        Form::Words(&["IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT"]),
    ),
];

/// A feature of descriptor.proto: its name, its values, and the elements on which it may be set.
type Feature = (&'static str, &'static [&'static str], &'static [Element]);

const FEATURES: &[Feature] = &[
    (
        "enum_type",
        &["OPEN", "OPEN", "CLOSED"],
        &[Element::Enum, Element::File],
    ),
    (
        "json_format",
        &["ALLOW", "LEGACY_BEST_EFFORT"],
        &[Element::Message, Element::Enum, Element::File],
    ),
    (
        "field_presence",
        &["EXPLICIT", "IMPLICIT"],
        &[Element::File],
    ),
    (
        "repeated_field_encoding",
        &["PACKED", "EXPANDED"],
        &[Element::File],
    ),
    ("utf8_validation", &["VERIFY", "NONE"], &[Element::File]),
    (
        "message_encoding",
        &["LENGTH_PREFIXED", "DELIMITED"],
        &[Element::File],
    ),
    (
        "enforce_naming_style",
        &["STYLE_LEGACY"],
        &[
            Element::File,
            Element::Range,
            Element::Message,
            Element::Field,
            Element::Oneof,
            Element::Enum,
            Element::Value,
            Element::Service,
            Element::Method,
        ],
    ),
    (
        "default_symbol_visibility",
        &["EXPORT_ALL", "EXPORT_TOP_LEVEL", "LOCAL_ALL"],
        &[Element::File],
    ),
];

impl Generator {
    /// Returns options of an element, as `name = value`.
    pub(super) fn options(&mut self, element: Element) -> Vec<String> {
        let mut options = Vec::new();
        while self.chance(if element == Element::File { 50 } else { 15 }) {
            let from = if self.errs() {
                ELEMENTS[self.random.usize(..ELEMENTS.len())].0
            } else {
                element
            };
            let of_place: Vec<_> = OPTIONS.iter().filter(|option| option.0 == from).collect();
            if !of_place.is_empty() {
                let (_, name, form) = of_place[self.random.usize(..of_place.len())];
                self.add_builtin(&mut options, name, *form);
            }
        }
        if self.file.syntax.is_edition() && (self.chance(15) || self.errs()) {
            self.add_feature(&mut options, element);
        }
        while self.chance(20) {
            self.add_custom(&mut options, element);
        }
        if self.errs() && !options.is_empty() {
            options.push(options[0].clone());
        }
        options
    }

    fn add_builtin(&mut self, options: &mut Vec<String>, name: &str, form: Form) {
        // A file of edition 2024 must not set this option.
        let is_refused = name == "java_multiple_files" && self.file.syntax == Syntax::Edition2024;
        let is_set = options
            .iter()
            .any(|option| option.starts_with(&format!("{name} ")));
        if (is_set && name != "targets") || is_refused {
            return;
        }
        let form = if self.errs() {
            Form::Words(&["SPEED", "1", "\"a\"", "{}"])
        } else {
            form
        };
        let value = match form {
            Form::Bool => self.one(&["true", "false"]).to_owned(),
            Form::Text => self.string(),
            Form::Words(words) => self.one(words).to_owned(),
            Form::Support => self.support(),
        };
        options.push(format!("{name} = {value}"));
    }

    /// Returns a value of `feature_support`.
    pub(super) fn support(&mut self) -> String {
        let mut parts = Vec::new();
        let introduced = self.one(&EDITIONS[..5]);
        if self.chance(80) {
            parts.push(format!("edition_introduced: {introduced}"));
        }
        for (name, text) in [
            ("edition_deprecated", "deprecation_warning"),
            ("edition_removed", "removal_error"),
        ] {
            if self.chance(50) {
                let edition = match self.chance(85) {
                    true => self.one(&EDITIONS[3..9]),
                    false => self.one(EDITIONS),
                };
                parts.push(format!("{name}: {edition}"));
                if self.chance(90) {
                    parts.push(format!("{text}: \"x\""));
                }
            } else if self.chance(5) {
                parts.push(format!("{text}: \"x\""));
            }
        }
        format!("{{ {} }}", parts.join(self.one(&[" ", ", ", "; "])))
    }

    fn add_feature(&mut self, options: &mut Vec<String>, element: Element) {
        let is_2024 = self.file.syntax == Syntax::Edition2024;
        let any = self.errs();
        let of_place = |(name, _, places): &&Feature| {
            let is_new = matches!(*name, "enforce_naming_style" | "default_symbol_visibility");
            any || (places.contains(&element) && (is_2024 || !is_new))
        };
        let features: Vec<_> = FEATURES.iter().filter(of_place).collect();
        if features.is_empty() {
            return;
        }
        let (name, values, _) = features[self.random.usize(..features.len())];
        if options
            .iter()
            .any(|option| option.contains(name) || option.starts_with("features ="))
        {
            return;
        }
        let value = self.one(values);
        let has_others = options.iter().any(|option| option.starts_with("features"));
        options.push(match self.chance(25) && !has_others {
            true => format!("features = {{ {name}: {value} }}"),
            false => format!("features.{name} = {value}"),
        });
    }

    /// Adds a random feature that fits a field, in a file of an edition.
    fn add_field_features(&mut self, options: &mut Vec<String>, shape: FieldShape) {
        let FieldShape {
            ty,
            is_repeated,
            is_map,
            ..
        } = shape;
        let is_message = self.is_message(ty);
        let is_text = matches!(ty, ValueType::Scalar("string" | "bytes"));
        let any = self.errs();
        let mut features = Vec::new();
        if any || !(is_repeated || shape.is_extension || shape.is_in_oneof) {
            let values: &[&str] = match is_message {
                true => &["EXPLICIT", "LEGACY_REQUIRED"],
                false => &["EXPLICIT", "EXPLICIT", "IMPLICIT", "LEGACY_REQUIRED"],
            };
            features.push(("field_presence", self.one(values)));
        }
        if any || (is_repeated && !is_message && !is_text) {
            let value = self.one(&["PACKED", "EXPANDED"]);
            features.push(("repeated_field_encoding", value));
        }
        if any || ty == ValueType::Scalar("string") {
            features.push(("utf8_validation", self.one(&["VERIFY", "NONE"])));
        }
        if any || (is_message && !is_map) {
            let value = self.one(&["DELIMITED", "LENGTH_PREFIXED"]);
            features.push(("message_encoding", value));
        }
        if !features.is_empty() {
            let (name, value) = features[self.random.usize(..features.len())];
            options.push(format!("features.{name} = {value}"));
        }
    }

    /// Returns options of a field, which depend on its type.
    pub(super) fn field_options(&mut self, shape: FieldShape) -> Vec<String> {
        let mut options = self.options(Element::Field);
        let is_message = self.is_message(shape.ty);
        let any = self.errs();
        let ty = match shape.ty {
            ValueType::Scalar(ty) => ty,
            ValueType::Defined(_) if is_message => "message",
            ValueType::Defined(_) => "enum",
        };
        if !self.chance(25) && !any {
            return options;
        }
        let is_text = matches!(ty, "string" | "bytes");
        let is_plain = !shape.is_map && !shape.is_group;
        if (any || (is_plain && is_text && self.file.syntax != Syntax::Edition2024))
            && self.chance(40)
        {
            options.push(format!(
                "ctype = {}",
                self.one(&["STRING", "CORD", "STRING_PIECE"])
            ));
        }
        let is_packable = shape.is_repeated && !is_message && !is_text;
        if (any || (is_packable && !self.file.syntax.is_edition())) && self.chance(50) {
            options.push(format!("packed = {}", self.one(&["true", "false"])));
        }
        if (any || matches!(ty, "int64" | "uint64" | "sint64" | "fixed64" | "sfixed64"))
            && self.chance(50)
        {
            let value = self.one(&["JS_NORMAL", "JS_STRING", "JS_NUMBER"]);
            options.push(format!("jstype = {value}"));
        }
        if (any || (is_message && is_plain)) && self.chance(50) {
            let name = self.one(&["lazy", "unverified_lazy"]);
            options.push(format!("{name} = {}", self.one(&["true", "false"])));
        }
        if self.file.syntax.is_edition() && self.chance(50) {
            self.add_field_features(&mut options, shape);
        }
        if (any || !shape.is_extension) && self.chance(25) {
            options.push(format!("json_name = {}", self.json_name()));
        }
        if (any || self.may_have_default(shape)) && self.chance(60) {
            let value = self.default_of(shape.ty);
            options.push(format!("default = {value}"));
        }
        self.random.shuffle(&mut options);
        options
    }

    fn json_name(&mut self) -> String {
        let name = self.one(&["x", "Y", "a-b", "é", "fooBar", "1", "", "$", "q w", "@type"]);
        let number = self.random.u16(..);
        match self.chance(85) {
            true => format!("\"{name}{number}\""),
            false => format!("\"{name}\" \"Z\""),
        }
    }

    fn may_have_default(&self, shape: FieldShape) -> bool {
        let can = match self.file.syntax {
            Syntax::Proto3 => false,
            _ => !self.file.is_implicit || shape.is_extension || shape.is_in_oneof,
        };
        can && !shape.is_repeated && !self.is_message(shape.ty)
    }

    fn default_of(&mut self, ty: ValueType) -> String {
        self.value(ty, 0)
    }

    /// Returns whether a type is a message.
    pub(super) fn is_message(&self, ty: ValueType) -> bool {
        match ty {
            ValueType::Scalar(_) => false,
            ValueType::Defined(at) => matches!(self.types[at].form, TypeForm::Message { .. }),
        }
    }

    fn add_custom(&mut self, options: &mut Vec<String>, element: Element) {
        let is_wrong = self.errs();
        let takes_own = self.chance(30);
        let fits = |option: &&CustomOption| {
            let is_seen = self.file.sees_options.contains(&option.file);
            let is_taken = takes_own || option.file != self.at;
            is_wrong || (is_seen && option.element == element && is_taken)
        };
        let custom: Vec<_> = self.custom.iter().filter(fits).cloned().collect();
        if custom.is_empty() {
            return;
        }
        let option = custom[self.random.usize(..custom.len())].clone();
        let name = self.reference(&option.full);
        let start = format!("({name})");
        if !option.is_repeated && options.iter().any(|other| other.contains(&option.full)) {
            return;
        }
        let text = self.assigned(start, option.ty, option.is_repeated);
        options.push(text);
    }

    /// Returns an assignment to an option, or to a field within it.
    fn assigned(&mut self, mut name: String, mut ty: ValueType, is_repeated: bool) -> String {
        for _ in 0..2 {
            let ValueType::Defined(at) = ty else { break };
            let TypeForm::Message { fields, .. } = self.types[at].form.clone() else {
                break;
            };
            if is_repeated || fields.is_empty() || self.chance(50) {
                break;
            }
            let field = &fields[self.random.usize(..fields.len())];
            name = format!("{name}.{}", field.name);
            ty = field.ty;
            if field.is_repeated {
                break;
            }
        }
        format!("{name} = {}", self.value(ty, 0))
    }

    /// Returns these options in brackets, or an empty text if there are no options.
    pub(super) fn bracketed(&self, options: &[String]) -> String {
        match options.is_empty() {
            true => String::new(),
            false => format!(" [{}]", options.join(", ")),
        }
    }

    /// Writes options as statements.
    pub(super) fn option_statements(&mut self, element: Element) {
        for option in self.options(element) {
            self.line(&format!("option {option};"));
        }
    }
}
