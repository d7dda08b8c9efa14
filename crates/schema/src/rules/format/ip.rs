//! IP addresses and prefixes (RFC 3986 section 3.2.2, RFC 4291 section 2, RFC 4632).

use std::net::IpAddr;

use super::byte::is_decimal;

/// The versions of IP addresses that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpVersion {
    Any,
    V4,
    V6,
}

impl IpVersion {
    /// Returns the version for a number that CEL's functions take: 4, 6, or 0 for both. Returns
    /// `None` for any other number.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Any),
            4 => Some(Self::V4),
            6 => Some(Self::V6),
            _ => None,
        }
    }
}

/// The values of the bits after a prefix that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostBits {
    Any,
    Zero,
}

/// Returns whether `text` is an IP address of this version.
///
/// An IPv6 address may end with a zone: `%` and a text that is not empty (RFC 4007, section 11).
/// The text must not contain a NUL, which would end the name of the zone in system calls.
pub(crate) fn is_ip(text: &str, version: IpVersion) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => {
            let has_zone = !zone.is_empty() && !zone.contains('\0');
            has_zone && matches!(parse(address, version), Some(IpAddr::V6(_)))
        }
        None => parse(text, version).is_some(),
    }
}

/// Returns whether `text` is an IP address of this version, `/`, and the length of the prefix in
/// bits. The bits after the prefix must have a value that `host` accepts.
pub(crate) fn is_ip_prefix(text: &str, version: IpVersion, host: HostBits) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    if !is_decimal(length) {
        return false;
    }
    let (Some(address), Ok(length)) = (parse(address, version), length.parse::<u8>()) else {
        return false;
    };
    let (bits, width): (u128, u32) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let Some(free) = width.checked_sub(u32::from(length)) else {
        return false;
    };
    host == HostBits::Any || bits.trailing_zeros().min(width) >= free
}

fn parse(text: &str, version: IpVersion) -> Option<IpAddr> {
    match version {
        IpVersion::Any => text.parse().ok(),
        IpVersion::V4 => text.parse().map(IpAddr::V4).ok(),
        IpVersion::V6 => text.parse().map(IpAddr::V6).ok(),
    }
}
