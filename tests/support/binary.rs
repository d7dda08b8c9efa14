//! The binary under test.

/// Returns the path of the binary under test. This is the value of the environment variable
/// `GATEWAY` or, without this variable, the binary of this build.
pub fn binary() -> String {
    std::env::var("GATEWAY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_gateway").to_owned())
}
