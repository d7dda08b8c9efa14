//! The one error of the facade.

use std::fmt;

use gateway_diagnostic::{Diagnostic, Diagnostics};

use crate::engine::EngineError;

/// Why a gateway could not be loaded or started, or did not end well.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong, or an address in it can't be listened on. Holds every error that
    /// was found, each with its place.
    Configuration(Diagnostics),
    /// The system refused something else that the gateway needs.
    Engine(EngineError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(diagnostics) => diagnostics.fmt(f),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Configuration(_) => None,
            Self::Engine(error) => Some(error),
        }
    }
}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Configuration(diagnostics)
    }
}

impl From<Box<Diagnostic>> for Error {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(*diagnostic);
        Self::Configuration(diagnostics)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
