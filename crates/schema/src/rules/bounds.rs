//! How large rules may be: looked at before prost-protovalidate sees them.
//!
//! The interpreter and all that reads an expression recurse once for each level of it, on the data thread too;
//! compiling a text or a pattern takes time by its size. A `.proto` must choose neither.

use std::panic::catch_unwind;

use cel::Program;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use prost_protovalidate::types::{FieldConstraintsExt as _, MessageConstraintsExt as _};
use prost_reflect::{DescriptorPool, MessageDescriptor};

use super::cost::pattern_size;
use super::expressions;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_proto::Descriptors;

/// Bytes of one expression: it has at most half as many levels, of which the large stack holds many times
/// more. The longest of protovalidate's own is a tenth of it.
const MAX_BYTES: usize = 10_000;

/// Levels of one expression, each a frame or two of the interpreter's, on a thread of 2 MiB on top of a hundred
/// levels of messages. `a + b + c` takes one for each operator; `&&` and `||` are balanced.
const MAX_LEVELS: usize = 200;

/// Bytes of all expressions together: some ten thousand of them. Each is compiled three times, at a megabyte in
/// a second or two.
const MAX_ALL_BYTES: usize = 1 << 20;

/// Bytes of the programs that all patterns become together: a thousand with `\w`, or a dozen of the largest. Each is
/// compiled a few times, at a hundred megabytes in a second or two.
const MAX_PATTERNS: usize = 128 << 20;

/// Tells what is too large in the rules of these types, and in those that extend buf.validate's own.
pub(super) fn check(
    pool: &DescriptorPool,
    types: &[MessageDescriptor],
    of: &Descriptors,
    found: &mut Diagnostics,
) {
    let mut bounds = Bounds {
        found,
        bytes: 0,
        patterns: 0,
    };
    for message in types {
        let name = message.full_name();
        if let Ok(Some(rules)) = message.message_constraints() {
            let place = || of.place_of_rule(name, None);
            bounds.rule(&expressions::of_message(&rules), &[], name, place);
        }
        for field in message.fields() {
            if let Ok(Some(rules)) = field.field_constraints() {
                let what = format!("{name}.{}", field.name());
                let place = || of.place_of_rule(name, Some(field.name()));
                let (texts, patterns) = expressions::of_field(&rules);
                bounds.rule(&texts, &patterns, &what, place);
            }
        }
    }
    for (extension, texts) in expressions::predefined(pool) {
        let file = extension.parent_file();
        let place = || of.place_of_option(file.name(), extension.path());
        bounds.rule(&texts, &[], extension.full_name(), place);
    }
}

struct Bounds<'a> {
    found: &'a mut Diagnostics,
    /// Of all expressions so far.
    bytes: usize,
    /// Of all patterns' programs so far.
    patterns: usize,
}

impl Bounds<'_> {
    /// Once all together are too large, the rest is not looked at.
    fn spent(&self) -> bool {
        self.bytes > MAX_ALL_BYTES || self.patterns > MAX_PATTERNS
    }

    fn rule(
        &mut self,
        texts: &[String],
        patterns: &[String],
        what: &str,
        place: impl Fn() -> Option<Place>,
    ) {
        let mut faults = Vec::new();
        for text in texts {
            if !self.spent() {
                faults.extend(self.expression(text));
            }
        }
        for pattern in patterns {
            if !self.spent() {
                self.patterns += pattern_size(pattern);
            }
        }
        if self.spent() && !(texts.is_empty() && patterns.is_empty()) && !self.told() {
            faults.push(match self.bytes > MAX_ALL_BYTES {
                true => format!("all expressions up to here take more than {MAX_ALL_BYTES} bytes"),
                false => format!(
                    "all patterns up to here become programs of more than {MAX_PATTERNS} bytes"
                ),
            });
            self.bytes = usize::MAX;
        }
        for fault in faults {
            self.found.push(Diagnostic {
                place: place(),
                ..Diagnostic::error(format!("bad rules of {what}: {fault}"))
            });
        }
    }

    fn told(&self) -> bool {
        self.bytes == usize::MAX
    }

    /// What is wrong with one; nothing if it doesn't compile, which is told where that is tried.
    fn expression(&mut self, text: &str) -> Option<String> {
        let length = text.len();
        if length > MAX_BYTES {
            return Some(format!(
                "an expression of {length} bytes, and {MAX_BYTES} are the most"
            ));
        }
        self.bytes += length;
        let program = catch_unwind(|| Program::compile(text)).ok()?.ok()?;
        let mut open = vec![(program.expression(), 1)];
        while let Some((it, level)) = open.pop() {
            if level > MAX_LEVELS {
                return Some(format!(
                    "an expression of more than {MAX_LEVELS} levels within each other"
                ));
            }
            self.patterns += literal_pattern(&it.expr).map_or(0, pattern_size);
            open.extend(parts(&it.expr).into_iter().map(|part| (part, level + 1)));
        }
        None
    }
}

/// The pattern of a call of `matches`, if it is written out.
fn literal_pattern(expression: &Expr) -> Option<&str> {
    let Expr::Call(call) = expression else {
        return None;
    };
    match call.args.last().map(|it| &it.expr) {
        Some(Expr::Literal(LiteralValue::String(text))) if call.func_name == "matches" => {
            Some(text.inner())
        }
        _ => None,
    }
}

/// The expressions that one is made of.
fn parts(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => (call.target.as_deref().into_iter())
            .chain(&call.args)
            .collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => (map.entries.iter())
            .flat_map(|it| of_entry(&it.expr))
            .collect(),
        Expr::Struct(one) => (one.entries.iter())
            .flat_map(|it| of_entry(&it.expr))
            .collect(),
        Expr::Comprehension(it) => vec![
            &it.iter_range,
            &it.accu_init,
            &it.loop_cond,
            &it.loop_step,
            &it.result,
        ],
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}
