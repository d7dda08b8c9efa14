//! The messages that a table is built for.

/// A message or an enum for which a table is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    /// The fully qualified name.
    pub name: &'a str,
    /// The message in a `google.protobuf.Any` is looked up by its name, wherever a payload of this
    /// message has such an `Any`.
    pub opens_any: bool,
}
