//! A value of a YAML file, with its place.

use serde_yaml::Value;

use crate::config::quoted::quoted;
use gateway_diagnostic::Place;

/// A value and its place.
#[derive(Clone, Debug)]
pub(in crate::config) struct Node {
    /// The place of the whole scalar, or of the first character of a list or map.
    pub place: Place,
    /// The kind of the value.
    pub kind: NodeKind,
}

/// The kind of a node.
#[derive(Clone, Debug)]
pub(in crate::config) enum NodeKind {
    /// A scalar, with its text and its typed value.
    Scalar(String, Value),
    /// A scalar with a variable that is malformed or has no usable value. The error has already
    /// been reported.
    Unknown,
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Describes the value for an error message, such as `"a list"`.
    pub(in crate::config) fn found(&self) -> String {
        match &self.kind {
            NodeKind::Scalar(_, Value::Null) => "nothing".to_owned(),
            NodeKind::Scalar(text, _) => quoted(text),
            NodeKind::Unknown => "unknown".to_owned(),
            NodeKind::List(_) => "a list".to_owned(),
            NodeKind::Map(_) => "a map".to_owned(),
        }
    }

    /// Returns whether the node is a map with this key.
    pub(in crate::config) fn has(&self, key: &str) -> bool {
        matches!(&self.kind, NodeKind::Map(pairs) if pairs.iter().any(|(name, _)| name.text() == key))
    }

    /// Returns whether the node is [`NodeKind::Unknown`]. Its error has already been reported, so
    /// callers report nothing more about the node.
    pub(in crate::config) fn is_unknown(&self) -> bool {
        matches!(self.kind, NodeKind::Unknown)
    }

    /// Returns the text of a scalar with its variables expanded, or an empty text for any other
    /// node.
    pub(in crate::config) fn text(&self) -> &str {
        match &self.kind {
            NodeKind::Scalar(text, _) => text,
            _ => "",
        }
    }
}
