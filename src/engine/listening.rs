//! The addresses on which the gateway listens.

use std::fmt;

/// An address on which the gateway listens, as the system resolved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundAddress {
    /// `frontend`, `pool` or `admin`.
    pub role: &'static str,
    /// The key in routes.yaml; empty for admin.
    pub name: String,
    /// The address, with port 0 resolved.
    pub endpoint: String,
    /// The security that it demands of peers, in a word or two: `none`, `curve`. `None` for admin.
    pub security: Option<&'static str>,
}

impl BoundAddress {
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
