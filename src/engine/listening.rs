//! The addresses that the gateway listens on.

use std::fmt;

/// An address that the gateway listens on, as the system resolved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// `frontend`, `pool` or `admin`.
    pub role: &'static str,
    /// Its key in routes.yaml; empty for admin.
    pub name: String,
    /// The address, port 0 resolved.
    pub endpoint: String,
}

impl Listening {
    /// Returns the address in a form that a peer on this machine can connect to.
    pub fn local_endpoint(&self) -> String {
        self.endpoint.replace("0.0.0.0", "127.0.0.1")
    }
}

/// `frontend clients`.
impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, name, .. } = self;
        match name.is_empty() {
            true => f.write_str(role),
            false => write!(f, "{role} {name}"),
        }
    }
}
