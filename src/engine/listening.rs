//! The addresses on which the gateway listens.

use std::fmt;

/// The role of an address for the publishers of a channel.
pub(crate) const PUBLISHERS: &str = "publisher side of channel";

/// The role of an address for the subscribers of a channel.
pub(crate) const SUBSCRIBERS: &str = "subscriber side of channel";

/// An address on which the gateway listens, as the system resolved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAddress {
    /// `frontend`, `pool`, `publisher side of channel`, `subscriber side of channel` or `admin`.
    pub role: &'static str,
    /// The name, which is the key of the entry in routes.yaml. Empty for admin.
    pub name: String,
    /// The address, with port 0 resolved.
    pub endpoint: String,
    /// The security that the address requires of peers, in a word or two, such as `none` or
    /// `curve`. `None` for admin.
    pub security: Option<&'static str>,
}

impl BoundAddress {
    /// Returns whether this is an address of the frontend or pool `name`. If `name` is
    /// `NAME.publishers` or `NAME.subscribers`, returns whether this is an address of that side of
    /// the channel `NAME`.
    pub(crate) fn is_of(&self, name: &str) -> bool {
        let side = match self.role {
            PUBLISHERS => ".publishers",
            SUBSCRIBERS => ".subscribers",
            _ => "",
        };
        name.strip_suffix(side) == Some(&self.name)
    }

    /// Returns the address in a form that a peer on this machine can connect to.
    pub(crate) fn local_endpoint(&self) -> String {
        self.endpoint.replace("0.0.0.0", "127.0.0.1")
    }
}

/// Writes the listener's role and name, such as `frontend clients`.
impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, .. } = self;
        match name.is_empty() {
            true => f.write_str(role),
            false => write!(f, "{role} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_of_a_channel_has_a_name_of_its_own() {
        let at = |role| BoundAddress {
            role,
            name: "ticks".into(),
            endpoint: String::new(),
            security: None,
        };
        for (role, name) in [
            ("frontend", "ticks"),
            (PUBLISHERS, "ticks.publishers"),
            (SUBSCRIBERS, "ticks.subscribers"),
        ] {
            let found: Vec<_> = ["ticks", "ticks.publishers", "ticks.subscribers", "tick"]
                .into_iter()
                .filter(|wanted| at(role).is_of(wanted))
                .collect();
            assert_eq!(found, [name]);
        }
    }
}
