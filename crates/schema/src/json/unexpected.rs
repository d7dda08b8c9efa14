//! The fault of a token that the grammar does not allow where it stands.

use crate::violation::Fault;

/// Returns the fault that names what the payload holds at `at`, where the grammar asks for `expected`.
#[cold]
pub(super) fn unexpected(bytes: &[u8], at: usize, expected: &str) -> Box<Fault> {
    let rest = &bytes[at.min(bytes.len())..];
    let found = match rest.first() {
        None => "the end".to_owned(),
        Some(0x21..=0x7e) => format!("{:?}", char::from(rest[0])),
        Some(byte) => format!("the byte {byte:#04x}"),
    };
    Fault::new(at, expected, found)
}
