//! Generates literals, and values of options.

use super::Generator;
use super::facts::{ExtensionFacts, TypeForm, ValueType};
use super::words::{SCALARS, STRINGS};

/// The maximum depth of a message as the value of an option.
const VALUE_DEPTH_MAX: usize = 4;

impl Generator {
    /// Returns an integer in a random base: decimal, hexadecimal or octal.
    pub(super) fn integer(&mut self, number: i64) -> String {
        let sign = if number < 0 { "-" } else { "" };
        let size = number.unsigned_abs();
        match self.random.u8(..12) {
            0 => format!("{sign}0x{size:x}"),
            1 => format!("{sign}0X{size:X}"),
            2 => format!("{sign}0{size:o}"),
            _ => format!("{sign}{size}"),
        }
    }

    /// Returns a literal of a string, possibly of several parts.
    pub(super) fn string(&mut self) -> String {
        let mut text = self.one(STRINGS).to_owned();
        while self.chance(20) {
            let next = self.one(STRINGS);
            text.push_str(if self.chance(50) { " " } else { "" });
            text.push_str(next);
        }
        text
    }

    fn float(&mut self) -> String {
        let floats = [
            "0",
            "1",
            "-1",
            "1.5",
            "-.5",
            "1.",
            "1e5",
            "1E-5",
            "2.5e+3",
            "inf",
            "nan",
            "-inf",
            "-nan",
            "1e400",
            "0x10",
            "017",
            "1e-50",
            "340282346638528859811704183484516925440",
            "16777217",
            "0.1",
            "18446744073709551616",
            "-0",
            "-0.0",
        ];
        self.one(&floats).to_owned()
    }

    fn integer_between(&mut self, low: i128, high: i128) -> String {
        let mut number = match self.random.u8(..6) {
            0 => low,
            1 => high,
            _ => i128::from(self.random.i16(-300..300)).clamp(low, high),
        };
        if self.errs() {
            number = if self.random.bool() {
                high + 1
            } else {
                low - 1
            };
        }
        match i64::try_from(number) {
            Ok(number) => self.integer(number),
            Err(_) => number.to_string(),
        }
    }

    /// Returns a value of a scalar type.
    pub(super) fn scalar(&mut self, ty: &str) -> String {
        let ty = if self.errs() { self.one(SCALARS) } else { ty };
        match ty {
            "bool" => self.one(&["true", "false"]).to_owned(),
            "string" | "bytes" => self.string(),
            "float" | "double" => self.float(),
            "uint32" | "fixed32" => self.integer_between(0, i128::from(u32::MAX)),
            "uint64" | "fixed64" => self.integer_between(0, i128::from(u64::MAX)),
            "int64" | "sint64" | "sfixed64" => {
                self.integer_between(i128::from(i64::MIN), i128::from(i64::MAX))
            }
            _ => self.integer_between(i128::from(i32::MIN), i128::from(i32::MAX)),
        }
    }

    /// Returns a value of the type `ty`. `depth` is the number of enclosing messages.
    pub(super) fn value(&mut self, ty: ValueType, depth: usize) -> String {
        let at = match ty {
            ValueType::Scalar(ty) => return self.scalar(ty),
            ValueType::Defined(at) => at,
        };
        match self.types[at].form.clone() {
            TypeForm::Enum { values, .. } => match values.is_empty() || self.errs() {
                true => "NOT_A_VALUE".to_owned(),
                false => values[self.random.usize(..values.len())].clone(),
            },
            TypeForm::Message { .. } => self.aggregate(at, depth),
        }
    }

    /// Returns a message in text format.
    fn aggregate(&mut self, at: usize, depth: usize) -> String {
        let full = self.types[at].full.clone();
        if full == "google.protobuf.Any" && self.chance(40) {
            let ty = self.any_message();
            let inner = self.aggregate(ty, depth + 1);
            return format!(
                "{{ [type.googleapis.com/{}]: {inner} }}",
                self.types[ty].full
            );
        }
        let TypeForm::Message { fields, .. } = self.types[at].form.clone() else {
            return "{}".to_owned();
        };
        let mut parts = Vec::new();
        for _ in 0..self.random.usize(..3).min(fields.len()) {
            let field = fields[self.random.usize(..fields.len())].clone();
            if parts.iter().any(|(name, _)| *name == field.name) && !self.errs() {
                continue;
            }
            let name = match field.group {
                Some(group) if self.chance(50) => group,
                _ => field.name.clone(),
            };
            if let Some(text) = self.entry(&name, field.ty, field.is_repeated, depth) {
                parts.push((field.name, text));
            }
        }
        let mut parts: Vec<_> = parts.into_iter().map(|(_, text)| text).collect();
        parts.extend(self.extension_entry(at, depth));
        // protoc takes angle brackets within an aggregate only.
        match depth > 0 && self.chance(15) {
            true => format!("< {} >", parts.join(" ")),
            false => format!("{{ {} }}", parts.join(" ")),
        }
    }

    /// Returns an entry of an aggregate, or `None` if its message would nest too deeply.
    fn entry(
        &mut self,
        name: &str,
        ty: ValueType,
        is_repeated: bool,
        depth: usize,
    ) -> Option<String> {
        let is_message = self.is_message(ty);
        if is_message && depth >= VALUE_DEPTH_MAX {
            return None;
        }
        let mut value = self.value(ty, depth + 1);
        if is_repeated && self.chance(50) {
            let second = self.value(ty, depth + 1);
            value = format!("[{value}, {second}]");
        }
        let colon = if is_message && self.chance(50) {
            ""
        } else {
            ":"
        };
        let end = self.one(&["", "", ",", ";"]);
        Some(format!("{name}{colon} {value}{end}"))
    }

    /// Returns an entry that sets an extension of a message, if the file sees one.
    fn extension_entry(&mut self, extendee: usize, depth: usize) -> Option<String> {
        let is_wrong = self.errs();
        if !self.chance(30) && !is_wrong {
            return None;
        }
        let fits = |extension: &&ExtensionFacts| {
            let is_seen = self.file.sees_options.contains(&extension.file);
            is_wrong || (is_seen && extension.extendee == extendee)
        };
        let all: Vec<_> = self.extensions.iter().filter(fits).cloned().collect();
        if all.is_empty() {
            return None;
        }
        let extension = &all[self.random.usize(..all.len())];
        let name = format!("[{}]", extension.full);
        self.entry(&name, extension.ty, extension.is_repeated, depth)
    }

    /// Returns the index of a message that the file sees, or of any message if the file sees none.
    fn any_message(&mut self) -> usize {
        let messages = |(at, ty): (usize, &super::facts::TypeFacts)| {
            matches!(ty.form, TypeForm::Message { .. }).then_some(at)
        };
        let all: Vec<usize> = self.types.iter().enumerate().filter_map(messages).collect();
        let seen = |&at: &usize| self.file.sees.contains(&self.types[at].file);
        let seen: Vec<usize> = all.iter().copied().filter(seen).collect();
        let choices = if seen.is_empty() { all } else { seen };
        choices[self.random.usize(..choices.len())]
    }
}
