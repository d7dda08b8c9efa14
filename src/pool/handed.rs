//! The form in which a worker receives a request.

use crate::peer::WorkerKind;
use crate::snapshot::{IdentityMode, PoolSettings, WorkerFrames};

/// The form in which a worker receives a request, and in which it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestForm {
    /// A token, then type, headers and payload.
    Token,
    /// The client's bare identity, then type, headers and payload.
    Bare,
    /// A token or the bare identity, then the frames that the pool's key `frames` selects for plain
    /// workers.
    Plain(NameForm, WorkerFrames),
}

/// The form of the frame that identifies a request to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameForm {
    /// A token, which contains the client's identity and the number of the request.
    Token,
    /// The client's bare identity.
    Bare,
}

impl RequestForm {
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
