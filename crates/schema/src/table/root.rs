//! The messages and enums that a table is built for.

/// The message that can contain a message of any type. Its JSON form includes the type's name.
pub(crate) const ANY: &str = "google.protobuf.Any";

/// A message or an enum for which a table is built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'a> {
    /// The fully qualified name.
    pub name: &'a str,
    /// Set if the message in each `google.protobuf.Any` of a payload is looked up by its name.
    pub opens_any: bool,
}
