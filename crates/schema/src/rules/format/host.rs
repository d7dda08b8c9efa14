//! Host names, addresses of hosts, and e-mail addresses.

use super::byte::{ByteSet, is_decimal};
use super::ip::{IpVersion, is_ip};

/// Maximum length of a hostname in bytes, without a trailing dot (RFC 1035, section 2.3.4).
const HOSTNAME_BYTES_MAX: usize = 253;

/// Maximum length of a label of a hostname in bytes (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// The bytes of a label (RFC 1123, section 2.1). A label neither begins nor ends with a hyphen.
const LABEL: ByteSet = ByteSet::ALPHANUMERIC.with(b"-");

/// The bytes that may stand before the `@` of an e-mail address, by the HTML standard.
const LOCAL_PART: ByteSet = ByteSet::ALPHANUMERIC.with(b".!#$%&'*+/=?^_`{|}~-");

/// The requirement for a port after a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Required,
    Optional,
}

/// Returns whether `text` is a valid e-mail address as the [HTML standard] defines it. The
/// definition is narrower than the one in RFC 5322: it has neither comments nor quoted names.
///
/// [HTML standard]: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    !local.is_empty() && LOCAL_PART.has_all(local.as_bytes()) && are_labels(domain)
}

/// Returns whether `text` is a hostname: labels separated by dots. The last label must not be a
/// number. A trailing dot is allowed.
pub(crate) fn is_hostname(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or(name);
    name.len() <= HOSTNAME_BYTES_MAX
        && !last.bytes().all(|byte| byte.is_ascii_digit())
        && are_labels(name)
}

/// Returns whether `text` is a hostname or an IP address.
pub(crate) fn is_address(text: &str) -> bool {
    is_hostname(text) || is_ip(text, IpVersion::Any)
}

/// Returns whether `text` is a host and a port: a hostname, an IPv4 address or an IPv6 address in
/// brackets, followed by a colon and a decimal number up to 65535. If `port` is optional, the colon
/// and the number may be missing.
pub(crate) fn is_host_and_port(text: &str, port: Port) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        // The zone of the address may contain brackets and colons, so the last bracket counts.
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

/// Returns whether `number` is a port in decimal, without leading zeros.
fn is_port(number: &str) -> bool {
    is_decimal(number) && number.parse::<u16>().is_ok()
}
