//! Networks that peers may connect from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A network: the addresses that begin with the same bits, such as `10.0.0.0/8`. A single address
/// is a network, too, which contains only this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Returns whether an address is in the network. An IPv4 address that is mapped into IPv6 is
    /// treated as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let (network, address) = (u32::from(network), u32::from(address));
                begins_alike(network.into(), address.into(), 128 - 32 + self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                begins_alike(network.into(), address.into(), self.bits)
            }
            _ => false,
        }
    }
}

/// Returns whether the first `bits` bits of two numbers are the same.
fn begins_alike(one: u128, other: u128, bits: u32) -> bool {
    (one ^ other).leading_zeros() >= bits
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected an address or a network, such as 10.0.0.0/8 or ::1".to_owned();
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        if address != address.to_canonical() {
            let canonical = address.to_canonical();
            return Err(format!("write this address as IPv4: {canonical}"));
        }
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => bits_max,
            Some(bits) => {
                let bits = bits.parse().ok().filter(|bits| *bits <= bits_max);
                bits.ok_or_else(|| format!("expected 0 to {bits_max} bits after the /"))?
            }
        };
        let network = Self { address, bits };
        let first = network.first();
        if first == address {
            Ok(network)
        } else {
            Err(format!(
                "{address} is not the first address of a network of {bits} bits: write {first}/{bits} for the network, or {address} for a single address"
            ))
        }
    }
}

impl Network {
    /// Returns the first address of the network.
    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let rest = u32::MAX.checked_shr(self.bits).unwrap_or(0);
                IpAddr::V4((u32::from(address) & !rest).into())
            }
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(self.bits).unwrap_or(0);
                IpAddr::V6((u128::from(address) & !rest).into())
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_with_the_same_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::1", "::1", "::2"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(
                parsed.contains(inside.parse().unwrap()),
                "{network} {inside}"
            );
            assert!(
                !parsed.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
        }
    }

    #[test]
    fn an_invalid_or_ambiguous_network_is_refused() {
        for (text, why) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("10.0.0.0/33", "0 to 32"),
            ("::/129", "0 to 128"),
            ("::1/64", "::/64"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("example.org", "expected"),
            ("10.0.0", "expected"),
            ("", "expected"),
        ] {
            let fault = text.parse::<Network>().unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }
}
