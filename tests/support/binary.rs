//! The binary under test.

/// Returns the binary that the variable `GATEWAY` names, or that of this build.
pub fn binary() -> String {
    std::env::var("GATEWAY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_gateway").to_owned())
}
