//! What a route's `schema` and `reply` say: an encoding, a message, options; names not yet looked up.

use super::section::{Section, Spanned, text};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::schema::{Encoding, Layout, UnknownFields};

const LATER: &[&str] = &["json", "all_violations"];

/// A schema by its message's name.
#[derive(Debug)]
pub struct SchemaSource {
    /// How payloads are encoded.
    pub encoding: Encoding,
    /// The message.
    pub message: Spanned<String>,
    /// What becomes of fields that it doesn't have.
    pub unknown_fields: UnknownFields,
    /// How MessagePack writes it.
    pub layout: Layout,
    /// Paths of fields that must be there.
    pub require: Vec<Spanned<String>>,
}

/// One schema or a list of them, any of which will do; empty for none.
pub fn schemas(
    section: &mut Section<'_>,
    key: &'static str,
    found: &mut Diagnostics,
) -> Vec<SchemaSource> {
    let instead = "leave the key out for opaque payloads";
    let schemas = section.some(key, instead, found, schema);
    schemas.unwrap_or_default()
}

fn schema(node: &Node, key: &str, found: &mut Diagnostics) -> Option<SchemaSource> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(SchemaSource {
            encoding: Encoding::Protobuf,
            message: text(node, key, found)?,
            unknown_fields: UnknownFields::Allow,
            layout: Layout::Any,
            require: Vec::new(),
        });
    }
    let mut section = Section::open(node, key, LATER, found);
    let protobuf = encoded(&mut section, Encoding::Protobuf, found);
    let msgpack = encoded(&mut section, Encoding::Msgpack, found);
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
    let require = section.list("require", found, text);
    if section.is_sound() && protobuf.is_none() && msgpack.is_none() && !section.has("json") {
        let fault = Diagnostic::error(format!("the {key} names no message"));
        let fault = fault.at(section.place().clone());
        found.push(fault.label("expected protobuf: pkg.Message or msgpack: pkg.Message"));
    }
    if let (Some(_), Some((second, _))) = (&protobuf, &msgpack) {
        let fault = Diagnostic::error(format!("the {key} has two encodings"));
        found.push(
            fault
                .at(second.clone())
                .label("expected protobuf or msgpack, not both")
                .help("write a list for any of several: [{ protobuf: … }, { msgpack: … }]"),
        );
    }
    section.close(found);
    if let (Some(layout), Some(_), None) = (&layout, &protobuf, &msgpack) {
        let fault = Diagnostic::error("\"layout\" has a meaning for msgpack only");
        found.push(fault.at(layout.place.clone()).label("remove it"));
    }
    let (encoding, message) = match (protobuf, msgpack) {
        (Some((_, message)), _) => (Encoding::Protobuf, message?),
        (None, Some((_, message))) => (Encoding::Msgpack, message?),
        (None, None) => return None,
    };
    Some(SchemaSource {
        encoding,
        message,
        unknown_fields: unknown_fields.map_or(UnknownFields::Allow, |it| it.value),
        layout: layout.map_or(Layout::Any, |it| it.value),
        require: require.unwrap_or_default(),
    })
}

/// Where the value of an encoding's key stands, and the message that it names.
fn encoded(
    section: &mut Section<'_>,
    encoding: Encoding,
    found: &mut Diagnostics,
) -> Option<(Place, Option<Spanned<String>>)> {
    let key = encoding.label();
    let node = section.node(key)?;
    Some((node.place.clone(), text(node, key, found)))
}
