//! The error type of the interface for embedding programs.

use std::fmt;

use gateway_diagnostic::{Diagnostic, Diagnostics};

use crate::engine::EngineError;

/// The reason why a gateway could not be loaded or started, or ended with an error.
#[derive(Debug)]
pub enum Error {
    /// The configuration has errors, an address in it cannot be bound, or the admin listener cannot
    /// be served. Holds every error that was found, each with its place if it has one.
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
