//! The values of `schema` and `reply` of a route: an encoding, the name of a message, and options.
//! Names are looked up later.

use super::section::{Section, Spanned, text};
use super::yaml::{Node, NodeKind};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, did_you_mean};
use gateway_schema::{Encoding, Layout, TextKeys, UnknownFields};

/// The encodings. The label of an encoding is the key whose value names the message.
pub(super) const ENCODINGS: [Encoding; 3] = [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json];

/// A schema as written. The name of its message has not been looked up.
#[derive(Debug)]
pub(super) struct SchemaSource {
    /// The encoding of payloads.
    pub encoding: Encoding,
    /// The full name of the message.
    pub message: Spanned<String>,
    /// The treatment of fields that the message does not have.
    pub unknown_fields: UnknownFields,
    /// The layouts of MessagePack that are accepted.
    pub layout: Layout,
    /// The treatment of MessagePack map keys that are the text of a number or a bool.
    pub text_keys: TextKeys,
    /// True if rejections list all violations instead of only the first.
    pub all_violations: bool,
    /// The paths of required fields.
    pub require: Vec<Spanned<String>>,
}

/// Reads one schema or a list of schemas. A payload must match at least one of them. Returns an
/// empty list if `key` is absent.
pub(super) fn schemas(
    section: &mut Section<'_>,
    key: &'static str,
    found: &mut Diagnostics,
) -> Vec<SchemaSource> {
    let instead = "leave the key out for opaque payloads";
    let schemas = section.some(key, instead, found, schema);
    schemas.unwrap_or_default()
}

fn schema(node: &Node, key: &str, found: &mut Diagnostics) -> Option<SchemaSource> {
    if !matches!(node.kind, NodeKind::Map(_)) {
        return Some(SchemaSource {
            encoding: Encoding::Protobuf,
            message: text(node, key, found)?,
            unknown_fields: UnknownFields::Allow,
            layout: Layout::Any,
            text_keys: TextKeys::Reject,
            all_violations: false,
            require: Vec::new(),
        });
    }
    let mut section = Section::open(node, key, &[], found);
    if message_and_encoding(&mut section, key, found) {
        section.node("unknown_fields");
        return None;
    }
    let named = ENCODINGS.map(|encoding| Some((encoding, encoded(&mut section, encoding, found)?)));
    let mut named: Vec<_> = named.into_iter().flatten().collect();
    named.sort_by_key(|(_, (place, _))| (place.line, place.column));
    let unknown_fields = section.word(
        "unknown_fields",
        &[
            ("allow", UnknownFields::Allow),
            ("reject", UnknownFields::Reject),
        ],
        found,
    );
    let layouts = [
        ("map", Layout::Map),
        ("array", Layout::Array),
        ("any", Layout::Any),
    ];
    let layout = section.word("layout", &layouts, found);
    let words = [("reject", TextKeys::Reject), ("allow", TextKeys::Allow)];
    let text_keys = section.word("text_keys", &words, found);
    let all_violations = section.word("all_violations", &[("true", true), ("false", false)], found);
    let require = section.list("require", found, text);
    if section.is_sound() && named.is_empty() {
        let fault = Diagnostic::error(format!("the {key} names no message"));
        let fault = fault.at(section.place().clone());
        let expected = "expected protobuf: pkg.Message, msgpack: pkg.Message or json: pkg.Message";
        section.lacks(&["protobuf", "msgpack", "json"], fault.label(expected));
    }
    if let Some(fault) = several_encodings(key, &named) {
        found.push(fault);
    }
    let msgpack_keys = ["layout", "text_keys"].map(|key| (key, section.key_place(key).cloned()));
    section.close(found);
    let (encoding, (_, message)) = named.into_iter().next()?;
    for (key, place) in msgpack_keys {
        if let Some(place) = place.filter(|_| encoding != Encoding::Msgpack) {
            let fault = Diagnostic::error(format!("\"{key}\" is for msgpack only"));
            found.push(fault.at(place).label("remove it"));
        }
    }
    let message = message?;
    Some(SchemaSource {
        encoding,
        message,
        unknown_fields: unknown_fields.map_or(UnknownFields::Allow, |spanned| spanned.value),
        layout: layout.map_or(Layout::Any, |spanned| spanned.value),
        text_keys: text_keys.map_or(TextKeys::Reject, |spanned| spanned.value),
        all_violations: all_violations.is_some_and(|spanned| spanned.value),
        require: require.unwrap_or_default(),
    })
}

/// The encodings that a schema names, each with the place and the value of its message.
type NamedEncodings = [(Encoding, (Place, Option<Spanned<String>>))];

/// Returns the error of a schema that names more than one encoding, or `None` for any other schema.
fn several_encodings(key: &str, named: &NamedEncodings) -> Option<Diagnostic> {
    let [_, (_, (second, _)), ..] = named else {
        return None;
    };
    let labels: Vec<_> = named.iter().map(|(encoding, _)| encoding.label()).collect();
    let list: Vec<_> = labels
        .iter()
        .map(|label| format!("{{ {label}: … }}"))
        .collect();
    let (count, not) = match named.len() {
        2 => ("two", "both"),
        _ => ("three", "all"),
    };
    let fault = Diagnostic::error(format!("the {key} has {count} encodings"));
    let list = list.join(", ");
    Some(
        fault
            .at(second.clone())
            .label(format!("expected {}, not {not}", words(&labels)))
            .help(format!(
                "to accept several encodings, write a list: [{list}]"
            )),
    )
}

/// Reports a schema with the key `encoding`, such as `{ message: demo.Person, encoding: json }`.
/// Returns whether `section` is such a schema.
fn message_and_encoding(section: &mut Section<'_>, key: &str, found: &mut Diagnostics) -> bool {
    let Some((encoding_key, encoding)) = section.report("encoding") else {
        return false;
    };
    let names = ["message", "type", "name", "schema"];
    let message = names.into_iter().find_map(|name| section.report(name));
    let message = message.map(|(_, message)| message.text());
    let what = format!("the {key} has no key \"encoding\"");
    found.push(encoding_fault(&what, encoding_key, encoding, message));
    true
}

/// Returns the error of a key `encoding`. An encoding must be written as the key of its message,
/// not as a value.
pub(super) fn encoding_fault(
    what: &str,
    key: &Node,
    encoding: &Node,
    message: Option<&str>,
) -> Diagnostic {
    let labels = || ENCODINGS.map(Encoding::label);
    let written = encoding.text();
    let known = labels().into_iter().find(|label| *label == written);
    let encoding = known.or_else(|| did_you_mean(written, labels()));
    let encoding = encoding.unwrap_or("json");
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or("demo.Person");
    Diagnostic::error(what)
        .at(key.place.clone())
        .label("write the encoding as the key of the message")
        .help(format!("write schema: {{ {encoding}: {message} }}"))
}

/// Returns words as `a, b or c`, for a sentence.
fn words(all: &[&str]) -> String {
    match all {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        all => all.concat(),
    }
}

/// Returns the place and the text of the value of an encoding's key, or `None` if the key is
/// absent. The text, which names the message, is `None` if the value is not a name.
fn encoded(
    section: &mut Section<'_>,
    encoding: Encoding,
    found: &mut Diagnostics,
) -> Option<(Place, Option<Spanned<String>>)> {
    let key = encoding.label();
    let node = section.node(key)?;
    Some((node.place.clone(), text(node, key, found)))
}
