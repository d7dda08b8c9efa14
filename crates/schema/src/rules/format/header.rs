//! Names and values of HTTP headers (RFC 7230, section 3.2).

use super::byte::ByteSet;

/// The strictness of a header's grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Only the characters that RFC 7230 allows.
    Strict,
    /// All characters except NUL, CR and LF. A CR or LF could make one header look like two.
    Loose,
}

/// The token characters of RFC 7230, and the comma, which validate.proto's pattern includes.
const NAME: ByteSet = ByteSet::ALPHANUMERIC.with(b"!#$%&'*+,-.^_|~`");

/// All bytes except the control characters other than the tab.
const VALUE: ByteSet = ByteSet::of(b"\x7f")
    .with_range(0x00, 0x08)
    .with_range(0x0a, 0x1f)
    .complement();

const LOOSE: ByteSet = ByteSet::of(b"\0\r\n").complement();

/// Returns whether `text` is the name of an HTTP header, or of a pseudo-header of HTTP/2 such as
/// `:path`.
pub(crate) fn is_http_header_name(text: &str, header: Header) -> bool {
    let text = text.as_bytes();
    let (name, allowed) = match header {
        Header::Strict => (text.strip_prefix(b":").unwrap_or(text), NAME),
        Header::Loose => (text, LOOSE),
    };
    !name.is_empty() && allowed.has_all(name)
}

/// Returns whether `text` is the value of an HTTP header. The value may be empty.
pub(crate) fn is_http_header_value(text: &str, header: Header) -> bool {
    let allowed = match header {
        Header::Strict => VALUE,
        Header::Loose => LOOSE,
    };
    allowed.has_all(text.as_bytes())
}
