//! Host names, addresses of hosts, and e-mail addresses.

use super::byte::{ByteSet, is_decimal};
use super::ip::{IpVersion, is_ip};

/// Longest name of a host in bytes, without the dot that may end it (RFC 1035, section 2.3.4).
const HOSTNAME_BYTES_MAX: usize = 253;

/// Longest label of a host's name in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A label's bytes (RFC 1123, section 2.1); neither the first nor the last may be a hyphen.
const LABEL: ByteSet = ByteSet::ALPHANUMERIC.and(b"-");

/// What may stand before the `@` of an e-mail address, by the HTML standard.
const LOCAL_PART: ByteSet = ByteSet::ALPHANUMERIC.and(b".!#$%&'*+/=?^_`{|}~-");

/// Whether a port must follow a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Required,
    Optional,
}

/// Returns whether `text` is a valid e-mail address as the [HTML standard] defines it, which is narrower than
/// RFC 5322 and neither knows comments nor quoted names.
///
/// [HTML standard]: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty() && LOCAL_PART.has_all(local.as_bytes()) && are_labels(domain)
}

/// Returns whether `text` is the name of a host: labels with dots between them, the last of which is not a
/// number. A dot may end it.
pub(crate) fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or(name);
    name.len() <= HOSTNAME_BYTES_MAX
        && !last.bytes().all(|byte| byte.is_ascii_digit())
        && are_labels(name)
}

/// Returns whether `text` is the name of a host or an IP address.
pub(crate) fn is_address(text: &str) -> bool {
    is_hostname(text) || is_ip(text, IpVersion::Any)
}

/// Returns whether `text` is a host and a port: a host's name, an IPv4 address or an IPv6 address in brackets,
/// a colon, and a decimal number up to 65535.
pub(crate) fn is_host_and_port(text: &str, port: Port) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        // A zone may have brackets and colons.
        let Some((address, after)) = rest.rsplit_once(']') else {
            return false;
        };
        let port_fits = match after.strip_prefix(':') {
            Some(number) => is_port(number),
            None => after.is_empty() && port == Port::Optional,
        };
        return port_fits && is_ip(address, IpVersion::V6);
    }
    let (host, port_fits) = match text.rsplit_once(':') {
        Some((host, number)) => (host, is_port(number)),
        None => (text, port == Port::Optional),
    };
    port_fits && (is_hostname(host) || is_ip(host, IpVersion::V4))
}

fn are_labels(name: &str) -> bool {
    name.split('.').all(|label| {
        let label = label.as_bytes();
        let (Some(first), Some(last)) = (label.first(), label.last()) else {
            return false;
        };
        label.len() <= LABEL_BYTES_MAX && *first != b'-' && *last != b'-' && LABEL.has_all(label)
    })
}

/// Returns whether `number` is a port in decimal, without zeros in front.
fn is_port(number: &str) -> bool {
    is_decimal(number) && number.parse::<u16>().is_ok()
}
