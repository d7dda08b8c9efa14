//! URIs and URI references (RFC 3986), with zones in IPv6 addresses (RFC 6874).
//!
//! No part contains the delimiter that ends it, so a text is split at the first occurrence of each
//! delimiter. Then the bytes of each part are checked.

use super::byte::ByteSet;
use super::ip::{IpVersion, is_ip};

const SCHEME: ByteSet = ByteSet::ALPHANUMERIC.with(b"+-.");
const UNRESERVED: ByteSet = ByteSet::ALPHANUMERIC.with(b"-._~");
const REG_NAME: ByteSet = UNRESERVED.with(b"!$&'()*+,;=");
const USER_INFO: ByteSet = REG_NAME.with(b":");
/// The bytes of a path: the bytes of the RFC's `pchar`, and the slash.
const PATH: ByteSet = USER_INFO.with(b"@/");
/// The bytes of a query, and of a fragment.
const QUERY: ByteSet = PATH.with(b"?");

/// Returns whether `text` is a URI, with a scheme and perhaps a fragment.
pub(crate) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme = scheme.as_bytes();
    let begins = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    begins && SCHEME.has_all(scheme) && is_after_scheme(rest)
}

/// Returns whether `text` is a URI, or a reference relative to a URI: `//host/path`, `/path`,
/// `path`, `?query`, `#fragment`, or nothing.
pub(crate) fn is_uri_ref(text: &str) -> bool {
    let end = text.find([':', '/', '?', '#']);
    // A colon in the first segment ends a scheme.
    match end {
        Some(at) if text.as_bytes()[at] == b':' => is_uri(text),
        _ => is_after_scheme(text),
    }
}

/// Returns whether `text` is the RFC's `hier-part [ "?" query ] [ "#" fragment ]`.
fn is_after_scheme(text: &str) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (hierarchy, query) = text.split_once('?').unwrap_or((text, ""));
    let path = match hierarchy.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_authority(authority) {
                return false;
            }
            path
        }
        None => hierarchy,
    };
    is_escaped(path, PATH) && is_escaped(query, QUERY) && is_escaped(fragment, QUERY)
}

fn is_authority(text: &str) -> bool {
    let (user, rest) = text.split_once('@').unwrap_or(("", text));
    let (host_fits, port) = match rest.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((literal, port)) => (is_ip_literal(literal), port),
            None => return false,
        },
        None => {
            let (name, port) = rest.split_at(rest.find(':').unwrap_or(rest.len()));
            (is_escaped_utf8(name, REG_NAME), port)
        }
    };
    // The port may be empty, and may be any number.
    let port_fits = match port.strip_prefix(':') {
        Some(number) => number.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    is_escaped(user, USER_INFO) && host_fits && port_fits
}

/// Returns whether `text` is an IP literal of a host, without its brackets.
fn is_ip_literal(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix(['v', 'V']) {
        return is_ip_future(rest);
    }
    match text.split_once("%25") {
        Some((address, zone)) => {
            !zone.is_empty() && is_escaped_utf8(zone, UNRESERVED) && is_ipv6(address)
        }
        None => is_ipv6(text),
    }
}

fn is_ipv6(text: &str) -> bool {
    !text.contains('%') && is_ip(text, IpVersion::V6)
}

/// Returns whether `text` is the RFC's `1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_ip_future(text: &str) -> bool {
    let Some((version, address)) = text.split_once('.') else {
        return false;
    };
    let is_hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex && !address.is_empty() && USER_INFO.has_all(address.as_bytes())
}

/// Returns whether `text` consists of bytes of this set and of escapes (a `%` and two hexadecimal
/// digits).
fn is_escaped(text: &str, plain: ByteSet) -> bool {
    let mut octets = Octets(text.as_bytes());
    octets.all(|octet| match octet {
        Octet::Plain(byte) => plain.has(byte),
        Octet::Escaped(_) => true,
        Octet::Bad => false,
    })
}

/// Returns whether `text` consists of bytes of this set and of escapes, and decodes to UTF-8. A
/// host must decode to UTF-8 (RFC 3986, section 3.2.2).
fn is_escaped_utf8(text: &str, plain: ByteSet) -> bool {
    let mut character = Character::default();
    let mut octets = Octets(text.as_bytes());
    let fits = octets.all(|octet| match octet {
        Octet::Plain(byte) => plain.has(byte) && character.push(byte),
        Octet::Escaped(byte) => character.push(byte),
        Octet::Bad => false,
    });
    fits && character.is_complete()
}

/// A byte of a URI's text, or the byte that an escape stands for.
enum Octet {
    Plain(u8),
    Escaped(u8),
    /// A `%` without two hexadecimal digits.
    Bad,
}

struct Octets<'a>(&'a [u8]);

impl Iterator for Octets<'_> {
    type Item = Octet;

    fn next(&mut self) -> Option<Octet> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        if first != b'%' {
            return Some(Octet::Plain(first));
        }
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Some(Octet::Bad);
        };
        self.0 = &rest[2..];
        Some(Octet::Escaped((high << 4 | low) as u8))
    }
}

/// The bytes of a UTF-8 character that were read so far.
#[derive(Default)]
struct Character {
    bytes: [u8; 4],
    length: usize,
}

impl Character {
    /// Adds a byte. Returns false if the bytes cannot begin a UTF-8 character.
    fn push(&mut self, byte: u8) -> bool {
        // Four bytes are always either a complete or an invalid character, so at most three bytes
        // were kept before.
        self.bytes[self.length] = byte;
        self.length += 1;
        match std::str::from_utf8(&self.bytes[..self.length]) {
            Ok(_) => self.length = 0,
            Err(error) => return error.error_len().is_none(),
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.length == 0
    }
}
