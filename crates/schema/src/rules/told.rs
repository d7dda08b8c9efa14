//! A broken rule, told as the walks tell their violations.

use prost_protovalidate::Violation as Broken;
use prost_protovalidate::types::field_path_element::Subscript;
use prost_protovalidate::types::{FieldPathElement, MessageConstraintsExt as _};
use prost_reflect::{Kind, MessageDescriptor};

use crate::violation::{Step, Violation, excerpt};

/// Longest sentence of a rule that is passed on, in characters: a rule of CEL's may put the payload in it.
const SENTENCE: usize = 500;

/// A payload that the rules can't be held against.
pub(super) fn unjudged(expected: impl Into<String>, found: impl Into<String>) -> Violation {
    Violation {
        expected: expected.into(),
        found: cut(&found.into()),
        ..Violation::default()
    }
}

/// The rule that a message of type `root` breaks; `place` tells the byte of a path.
pub(super) fn broken(
    root: &MessageDescriptor,
    broken: &Broken,
    place: impl Fn(&[Step]) -> usize,
) -> Violation {
    let told = broken.to_proto();
    let elements = told.field.map(|path| path.elements).unwrap_or_default();
    let message = match broken.message() {
        "" => sentence(root, &elements, broken.rule_id()),
        said => said.to_owned(),
    };
    let steps = steps(&elements);
    let mut path = path(&steps);
    if broken.for_key() == Some(true) {
        path.push_str(" (key)");
    }
    Violation {
        path,
        expected: cut(&message),
        offset: place(&steps),
        rule: Some(cut(broken.rule_id()).into()),
        ..Violation::default()
    }
}

fn steps(elements: &[FieldPathElement]) -> Vec<Step> {
    let step = |element: &FieldPathElement| Step {
        field: element.field_name().to_owned(),
        inside: element.subscript.as_ref().map(|subscript| match subscript {
            Subscript::Index(n) => format!("[{n}]"),
            Subscript::BoolKey(key) => format!("[{key}]"),
            Subscript::IntKey(key) => format!("[{key}]"),
            Subscript::UintKey(key) => format!("[{key}]"),
            Subscript::StringKey(key) => format!("[{}]", excerpt(key.as_bytes())),
        }),
    };
    elements.iter().map(step).collect()
}

fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step.field);
        path.push_str(step.inside.as_deref().unwrap_or_default());
    }
    path
}

/// What a rule without a sentence of its own in the violation says: that of a message's CEL rule, or
/// else its id.
fn sentence(root: &MessageDescriptor, elements: &[FieldPathElement], id: &str) -> String {
    let message = elements.iter().try_fold(root.clone(), |message, element| {
        let field = message.get_field_by_name(element.field_name())?;
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let value = entry.map_entry_value_field();
                value.kind().as_message().cloned()
            }
            Kind::Message(inner) => Some(inner),
            _ => None,
        }
    });
    let rules = message.and_then(|message| message.message_constraints().ok().flatten());
    let rules = rules.into_iter().flat_map(|rules| rules.cel);
    let own = rules.into_iter().find(|rule| rule.id() == id);
    match own {
        Some(rule) if !rule.message().is_empty() => rule.message().to_owned(),
        Some(rule) => format!("{} must hold", rule.expression()),
        None => "the value breaks a rule".to_owned(),
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SENTENCE).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
