//! The reasons why an engine could not start, reload or continue.

use std::fmt;
use std::io;

/// The reason why the gateway could not start, reload or continue.
#[derive(Debug)]
pub struct EngineError {
    text: String,
    binds: Vec<BindFault>,
}

/// An address that cannot be bound.
#[derive(Debug)]
pub struct BindFault {
    /// `frontend`, `pool`, `publisher side of channel` or `subscriber side of channel`.
    pub role: &'static str,
    /// The key of the frontend, pool or channel in routes.yaml.
    pub name: String,
    /// The address as written in routes.yaml.
    pub endpoint: String,
    /// The reason.
    pub error: io::Error,
}

impl EngineError {
    /// Returns an error whose text is `what: why`.
    pub(crate) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        let text = format!("{what}: {why}");
        let binds = Vec::new();
        Self { text, binds }
    }

    /// Returns the addresses that cannot be bound. The list is empty if the error has another
    /// reason.
    pub fn binds(&self) -> &[BindFault] {
        &self.binds
    }
}

impl From<Vec<BindFault>> for EngineError {
    fn from(binds: Vec<BindFault>) -> Self {
        let texts = binds.iter().map(|fault| {
            let BindFault {
                role,
                name,
                endpoint,
                error,
            } = fault;
            format!("{role} {name}: can't listen on {endpoint}: {error}")
        });
        let text = texts.collect::<Vec<_>>().join("; ");
        Self { text, binds }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for EngineError {}
