//! The texts in rules that are compiled: expressions and patterns.

use prost_protovalidate::types::{FieldRules, MessageRules, PredefinedRules, field_rules};
use prost_reflect::{DescriptorPool, ExtensionDescriptor};

/// The expressions of a message's rules.
pub(super) fn of_message(rules: &MessageRules) -> Vec<String> {
    let cel = rules.cel.iter().map(|rule| rule.expression().to_owned());
    rules.cel_expression.iter().cloned().chain(cel).collect()
}

/// Every expression of a field's rules, those of its elements included, and every pattern.
pub(super) fn of_field(rules: &FieldRules) -> (Vec<String>, Vec<String>) {
    let (mut all, mut patterns) = (Vec::new(), Vec::new());
    let mut open = vec![rules];
    while let Some(rules) = open.pop() {
        all.extend(rules.cel_expression.iter().cloned());
        all.extend(rules.cel.iter().map(|rule| rule.expression().to_owned()));
        match &rules.r#type {
            Some(field_rules::Type::Repeated(repeated)) => open.extend(repeated.items.as_deref()),
            Some(field_rules::Type::Map(map)) => {
                open.extend(map.keys.as_deref());
                open.extend(map.values.as_deref());
            }
            Some(field_rules::Type::String(string)) => patterns.extend(string.pattern.clone()),
            Some(field_rules::Type::Bytes(bytes)) => patterns.extend(bytes.pattern.clone()),
            _ => {}
        }
    }
    (all, patterns)
}

/// The rules that extend buf.validate's own, and their expressions.
pub(super) fn predefined(pool: &DescriptorPool) -> Vec<(ExtensionDescriptor, Vec<String>)> {
    let Some(option) = pool.get_extension_by_name("buf.validate.predefined") else {
        return Vec::new();
    };
    let rules = pool.all_extensions().filter_map(|extension| {
        let options = extension.options();
        let rules = options.get_extension(&option);
        let rules = rules.as_message()?.transcode_to::<PredefinedRules>().ok()?;
        let cel = rules.cel.iter().map(|rule| rule.expression().to_owned());
        Some((extension, cel.collect()))
    });
    rules.collect()
}
