//! The violation of a token that the grammar does not allow at its position.

use crate::violation::Fault;

/// Returns the violation that names the token at `at`, where the grammar requires `expected`.
#[cold]
pub(super) fn unexpected(bytes: &[u8], at: usize, expected: &str) -> Box<Fault> {
    let rest = &bytes[at.min(bytes.len())..];
    let before = bytes[..at.min(bytes.len())].trim_ascii_end();
    let found = match rest.first() {
        None => "the end".to_owned(),
        // A trailing comma is allowed in similar notations, so the violation mentions the comma.
        Some(b'}' | b']') if before.ends_with(b",") => {
            format!("{:?} right after a comma", char::from(rest[0]))
        }
        Some(0x21..=0x7e) => format!("{:?}", char::from(rest[0])),
        Some(byte) => format!("the byte {byte:#04x}"),
    };
    Fault::new(at, expected, found)
}
