//! Identifiers: UUIDs, ULIDs and the names of protobuf definitions.

use super::byte::ByteSet;

const HEX: ByteSet = ByteSet::of(b"")
    .with_range(b'0', b'9')
    .with_range(b'A', b'F')
    .with_range(b'a', b'f');

/// The number of digits in each part of a UUID (RFC 9562, section 4).
const UUID_PARTS: [usize; 5] = [8, 4, 4, 4, 12];

/// The number of digits of a trimmed UUID, which has no hyphens.
const TUUID_DIGITS: usize = 32;

/// Crockford's base 32 in either case: digits and letters without I, L, O and U.
const BASE32: ByteSet = ByteSet::of(b"JKMNjkmn")
    .with_range(b'0', b'9')
    .with_range(b'A', b'H')
    .with_range(b'P', b'T')
    .with_range(b'V', b'Z')
    .with_range(b'a', b'h')
    .with_range(b'p', b't')
    .with_range(b'v', b'z');

/// The number of digits of a ULID. A digit stands for 5 bits.
const ULID_DIGITS: usize = 26;

/// Returns whether `text` is a UUID in either case, of any version and variant.
pub(crate) fn is_uuid(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|&byte| byte == b'-');
    let fits = |digits| {
        parts
            .next()
            .is_some_and(|part| part.len() == digits && HEX.has_all(part))
    };
    UUID_PARTS.into_iter().all(fits) && parts.next().is_none()
}

/// Returns whether `text` is a UUID without its hyphens.
pub(crate) fn is_tuuid(text: &str) -> bool {
    text.len() == TUUID_DIGITS && HEX.has_all(text.as_bytes())
}

/// Returns whether `text` is a [ULID] in either case. A ULID has 128 bits, so the first of its
/// digits is at most 7.
///
/// [ULID]: https://github.com/ulid/spec
pub(crate) fn is_ulid(text: &str) -> bool {
    let digits = text.as_bytes();
    digits.len() == ULID_DIGITS && digits[0] <= b'7' && BASE32.has_all(digits)
}

/// Returns whether `text` is the full name of a message, field or other definition, such as
/// `pkg.Message`.
pub(crate) fn is_protobuf_fqn(text: &str) -> bool {
    const REST: ByteSet = ByteSet::ALPHANUMERIC.with(b"_");
    text.split('.').all(|name| {
        let name = name.as_bytes();
        (name.first()).is_some_and(|first| !first.is_ascii_digit() && REST.has_all(name))
    })
}

/// Returns whether `text` is the full name of a definition with a leading dot, such as
/// `.pkg.Message`.
pub(crate) fn is_protobuf_dot_fqn(text: &str) -> bool {
    text.strip_prefix('.').is_some_and(is_protobuf_fqn)
}
