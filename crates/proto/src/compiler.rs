//! The choice between the two front ends.

/// The front end that reads the .proto files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// The built-in compiler of this crate.
    #[default]
    Builtin,
    /// The `protoc` program on the PATH.
    Protoc,
}
