//! A generator of unusual but grammatical `.proto` files: keywords as names, every option on every
//! element, features, `feature_support`, visibility, lite files, ranges, and nesting around the
//! limit.
//!
//! Most cases are valid, because later definitions rely on facts about earlier ones. In the other
//! cases, one of many decisions is wrong ([`Generator::errs`]).
//!
//! - `facts`: The facts about the generated definitions.
//! - `words`: The words in the files.
//! - `values`: Literals, and values of options.
//! - `options`: Options of every element.
//! - `message`: Messages and their fields.
//! - `declarations`: Enums, extensions, services, and definitions of options.

mod declarations;
mod facts;
mod message;
mod options;
mod values;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use facts::{
    CustomOption, Element, EntryFacts, ExtensionFacts, FieldFacts, FileFacts, Syntax, TypeFacts,
    TypeForm, ValueType,
};
use message::join;
use words::{KEYWORDS, NAMES, SNAKES, TITLES, UPPERS, WELL_KNOWN};

/// The style of a name in edition 2024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Title,
    Snake,
    Upper,
}

/// A generator with the facts about the files that it has written.
struct Generator {
    random: fastrand::Rng,
    /// The number of wrong decisions that are still to be made.
    errors_due: u32,
    files: Vec<FileFacts>,
    types: Vec<TypeFacts>,
    custom: Vec<CustomOption>,
    extensions: Vec<ExtensionFacts>,
    entries: Vec<EntryFacts>,
    /// The full names of the extensions of `FeatureSet`, each with its file.
    features: Vec<(String, usize)>,
    /// The names of each scope, in lower case and without underscores.
    names: HashMap<String, BTreeSet<String>>,
    /// The file that is being written.
    file: FileFacts,
    /// The index of that file.
    at: usize,
    /// The text of that file so far.
    text: String,
}

/// Returns the texts of a random set of files by name.
pub fn files(random: &mut fastrand::Rng) -> BTreeMap<String, String> {
    let mut generator = Generator::new(random.fork());
    let mut texts = BTreeMap::new();
    for at in 0..generator.random.usize(1..4) {
        let name = format!("f{at}.proto");
        let text = generator.next_file(&name);
        texts.insert(name, text);
    }
    texts
}

impl Generator {
    fn new(mut random: fastrand::Rng) -> Self {
        let errors_due = u32::from(random.u8(..100) < 35);
        let mut generator = Self {
            random,
            errors_due,
            files: Vec::new(),
            types: Vec::new(),
            custom: Vec::new(),
            extensions: Vec::new(),
            entries: Vec::new(),
            features: Vec::new(),
            names: HashMap::new(),
            file: no_file(),
            at: 0,
            text: String::new(),
        };
        generator.add_well_known();
        generator
    }

    /// Adds the facts about files that come with the compilers.
    fn add_well_known(&mut self) {
        for (full, name) in WELL_KNOWN {
            let at = match self.files.iter().position(|file| file.name == *name) {
                Some(at) => at,
                None => {
                    self.files.push(FileFacts {
                        name: (*name).to_owned(),
                        ..no_file()
                    });
                    self.files.len() - 1
                }
            };
            let field = |name: &str, ty| FieldFacts {
                name: name.to_owned(),
                group: None,
                ty: ValueType::Scalar(ty),
                is_repeated: false,
            };
            let form = match *full {
                "google.protobuf.NullValue" => TypeForm::Enum {
                    values: vec!["NULL_VALUE".to_owned()],
                    is_closed: false,
                    starts_at_zero: true,
                },
                ty => TypeForm::Message {
                    fields: match ty {
                        "google.protobuf.Timestamp" => {
                            vec![field("seconds", "int64"), field("nanos", "int32")]
                        }
                        "google.protobuf.BoolValue" => vec![field("value", "bool")],
                        "google.protobuf.Any" => {
                            vec![field("type_url", "string"), field("value", "bytes")]
                        }
                        _ => Vec::new(),
                    },
                    free: Vec::new(),
                    is_set: false,
                },
            };
            let full = (*full).to_owned();
            self.types.push(TypeFacts {
                full,
                file: at,
                is_exported: true,
                form,
            });
        }
    }

    /// Returns the text of the next file, which may import the earlier files.
    fn next_file(&mut self, name: &str) -> String {
        self.at = self.files.len();
        self.text.clear();
        self.start_file(name);
        self.imports();
        self.file_options();
        let package = self.file.package.clone();
        if self.defines_options() {
            for _ in 0..self.random.usize(..6) {
                self.custom_option(&package);
            }
            if self.chance(10) {
                self.custom_features(&package);
            }
        }
        for _ in 0..self.random.usize(1..6) {
            match self.random.u8(..20) {
                0..=9 => self.message(&package, 0, true),
                10..=12 => self.enumeration(&package, 0, true),
                13..=15 => self.extend(&package, 0),
                16 | 17 => self.service(&package),
                18 if self.chance(20) => self.nest(&package),
                _ => self.line(";"),
            }
            if self.defines_options() && self.chance(30) {
                self.custom_option(&package);
            }
            // Unlike above, the feature may be a feature that this file has defined.
            if self.file.syntax.is_edition()
                && self.chance(5)
                && let Some(feature) = self.custom_feature()
            {
                self.line(&format!("option {feature};"));
            }
        }
        self.line("");
        let empty = self.file.package.clone();
        if self.text.contains("Empty)") {
            self.line("message Empty {}");
            self.take_name(&empty, "Empty");
        }
        self.files.push(self.file.clone());
        let text = std::mem::take(&mut self.text);
        self.garnished(&text)
    }

    fn defines_options(&self) -> bool {
        self.file.sees.contains(&DESCRIPTOR_AT)
    }

    /// Writes the syntax and the package.
    fn start_file(&mut self, name: &str) {
        let (syntax, statement) = match self.random.u8(..10) {
            0 => (Syntax::Unnamed, ""),
            1 | 2 => (Syntax::Proto2, "syntax = \"proto2\";"),
            3 | 4 => (Syntax::Proto3, "syntax = \"proto3\";"),
            5 | 6 => (Syntax::Edition2023, "edition = \"2023\";"),
            _ => (Syntax::Edition2024, "edition = \"2024\";"),
        };
        self.line(statement);
        let is_styled = syntax == Syntax::Edition2024 && self.chance(40);
        self.file = FileFacts {
            name: name.to_owned(),
            syntax,
            is_styled,
            is_implicit: syntax == Syntax::Proto3,
            is_closed: syntax.is_proto2(),
            is_lite: self.chance(8),
            sees: BTreeSet::from([self.at]),
            sees_options: BTreeSet::from([self.at]),
            public: BTreeSet::from([self.at]),
            ..no_file()
        };
        let mut package = String::new();
        for _ in 0..self.random.usize(..4) {
            let part = match is_styled {
                true => self.one(SNAKES),
                false => self.one(&[KEYWORDS, NAMES].concat()),
            };
            let part = part.to_owned();
            self.take_name(&package, &part);
            package = join(&package, &part);
        }
        let of_other = self
            .files
            .iter()
            .rev()
            .find(|file| file.name.starts_with('f'));
        if let Some(other) = of_other
            && self.random.u8(..10) < 3
        {
            package = other.package.clone();
        }
        if !package.is_empty() {
            self.line(&format!("package {package};"));
        }
        self.file.package = package;
    }

    fn imports(&mut self) {
        for at in 0..self.at {
            let other = self.files[at].clone();
            let is_own = other.name.starts_with('f');
            let wanted = if is_own { 75 } else { 12 };
            let fits = !other.is_lite || self.file.is_lite || self.errs();
            if !self.chance(wanted) || !fits {
                continue;
            }
            self.import(at, &other);
        }
        if self.chance(35) {
            let is_2024 = self.file.syntax == Syntax::Edition2024;
            let word = if is_2024 && self.chance(30) {
                "option "
            } else {
                ""
            };
            self.line(&format!(
                "import {word}\"google/protobuf/descriptor.proto\";"
            ));
            if word.is_empty() {
                self.file.sees.insert(DESCRIPTOR_AT);
            }
        }
    }

    fn import(&mut self, at: usize, other: &FileFacts) {
        let is_2024 = self.file.syntax == Syntax::Edition2024;
        let word = match self.random.u8(..10) {
            0 | 1 => "public ",
            2 if !is_2024 || self.errs() => "weak ",
            3 | 4 if is_2024 || self.errs() => "option ",
            _ => "",
        };
        self.line(&format!("import {word}\"{}\";", other.name));
        let mut seen = other.public.clone();
        seen.insert(at);
        self.file.sees_options.extend(&seen);
        if word != "option " {
            self.file.sees.extend(&seen);
        }
        if word == "public " {
            self.file.public.extend(&seen);
        }
    }

    fn file_options(&mut self) {
        let syntax = self.file.syntax;
        let mut options = self.options(Element::File);
        if self.file.is_lite {
            options.retain(|option| !option.starts_with("optimize_for"));
            options.push("optimize_for = LITE_RUNTIME".to_owned());
        }
        if syntax == Syntax::Edition2024 && !self.file.is_styled && !self.errs() {
            options.retain(|option| {
                !option.contains("naming_style") && !option.starts_with("features =")
            });
            options.push("features.enforce_naming_style = STYLE_LEGACY".to_owned());
        }
        if syntax.is_edition() && self.chance(10) {
            options.extend(self.custom_feature());
        }
        for option in options {
            self.file.is_implicit |= option.contains("IMPLICIT");
            self.file.is_closed |= option.contains("CLOSED");
            self.line(&format!("option {option};"));
        }
    }

    /// Returns whether the current decision is to be wrong. This is true at most once for each set
    /// of files, and only if the set may contain an error.
    fn errs(&mut self) -> bool {
        let errs = self.errors_due > 0 && self.random.u16(..250) == 0;
        self.errors_due -= u32::from(errs);
        errs
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.random.u8(..100) < percent
    }

    fn one<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.random.usize(..choices.len())]
    }

    /// Returns one of these constant words at random.
    fn constant(&mut self, choices: &'static [&'static str]) -> &'static str {
        self.one(choices)
    }

    /// Returns a name of the style, or of any style if the file follows no style.
    fn name(&mut self, style: Style) -> String {
        let styled: &[&str] = match style {
            Style::Title => TITLES,
            Style::Snake => SNAKES,
            Style::Upper => UPPERS,
        };
        let names = match self.random.u8(..10) {
            _ if self.file.is_styled && !self.errs() => styled,
            0..=3 => KEYWORDS,
            4..=6 => NAMES,
            _ => styled,
        };
        self.one(names).to_owned()
    }

    /// Returns a name that is free in the scope.
    fn free_name(&mut self, scope: &str, style: Style) -> String {
        for _ in 0..20 {
            let name = self.name(style);
            if self.take_name(scope, &name) || self.errs() {
                return name;
            }
        }
        let number = self.random.u32(..);
        match style {
            Style::Title => format!("Name{number}"),
            Style::Snake => format!("name{number}"),
            Style::Upper => format!("NAME{number}"),
        }
    }

    /// Records a name of a scope, and returns whether the name was free.
    fn take_name(&mut self, scope: &str, name: &str) -> bool {
        let plain = name.to_lowercase().replace('_', "");
        self.names
            .entry(scope.to_owned())
            .or_default()
            .insert(plain)
    }

    /// Returns a reference to a full name, with or without a leading dot, or without the file's own
    /// package.
    fn reference(&mut self, full: &str) -> String {
        if self.errs() {
            return format!("{full}x");
        }
        match self.random.u8(..10) {
            0..=6 => format!(".{full}"),
            7 => full.to_owned(),
            _ => {
                let own = format!("{}.", self.file.package);
                full.strip_prefix(&own).unwrap_or(full).to_owned()
            }
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Returns a text in which comments and other whitespace replace some of the blanks.
    fn garnished(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let (mut quote, mut escaped) = (None, false);
        for c in text.chars() {
            match quote {
                Some(open) => {
                    if c == open && !escaped {
                        quote = None;
                    }
                    escaped = c == '\\' && !escaped;
                    out.push(c);
                }
                None if matches!(c, '"' | '\'') => {
                    quote = Some(c);
                    out.push(c);
                }
                None if matches!(c, ' ' | '\n') && self.chance(2) => {
                    let blank = self.one(&[
                        "\t",
                        "/**/",
                        "\r\n",
                        " // \" '\n",
                        "/* { ; \n */",
                        "\x0b\x0c",
                        "  ",
                    ]);
                    out.push_str(blank);
                }
                None => out.push(c),
            }
        }
        out
    }
}

/// The index that stands for descriptor.proto among the files that a file sees.
const DESCRIPTOR_AT: usize = usize::MAX;

fn no_file() -> FileFacts {
    FileFacts {
        name: String::new(),
        package: String::new(),
        syntax: Syntax::Proto3,
        is_styled: false,
        is_implicit: false,
        is_closed: false,
        is_lite: false,
        sees: BTreeSet::new(),
        sees_options: BTreeSet::new(),
        public: BTreeSet::new(),
    }
}
