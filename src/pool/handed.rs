//! The form in which a worker is handed a request.

use crate::peer::WorkerKind;
use crate::snapshot::{IdentityMode, PoolSettings, WorkerFrames};

/// The form in which a worker is handed a request, and in which it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// With a token; then type, headers and payload.
    Token,
    /// With the client's bare identity; then type, headers and payload.
    Bare,
    /// With a token or the bare identity; then what a plain worker gets.
    Plain(NameForm, WorkerFrames),
}

/// The form in which a request is named to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameForm {
    /// By a token: identity and number.
    Token,
    /// By the client's bare identity.
    Bare,
}

impl Handed {
    /// Returns the form for workers of this kind under these settings.
    pub(super) fn to(kind: WorkerKind, settings: &PoolSettings) -> Self {
        let name = match (kind, settings.identity) {
            (WorkerKind::Dealer, IdentityMode::Client) => NameForm::Bare,
            (WorkerKind::Dealer, IdentityMode::Token) | (WorkerKind::Rep, _) => NameForm::Token,
        };
        match (settings.frames, name) {
            (WorkerFrames::Typed, NameForm::Token) => Self::Token,
            (WorkerFrames::Typed, NameForm::Bare) => Self::Bare,
            (frames, name) => Self::Plain(name, frames),
        }
    }
}
