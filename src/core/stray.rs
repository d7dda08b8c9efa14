//! Guesses about messages that arrived at the wrong place or in the wrong form. A guess names the
//! likely nature of a message, so that an operator knows what to change.

use std::fmt;

use crate::frame::Frames;

/// The likely nature of a worker's message that answers no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stray {
    /// A message with only empty frames.
    Empty,
    /// A farewell from a worker that the gateway cannot release, such as a REP.
    Farewell,
    /// A message that a worker of another pattern sends without a request.
    Pattern(Pattern),
    /// A client's request: the peer holds no request, and the first frame is a route's type.
    Request,
    /// A client's request, or an answer without the identity: the peer holds a request, and the
    /// first frame is a route's type.
    RequestOrNameless,
    /// An answer after an empty frame.
    Delimited,
    /// An answer without identity and type.
    PayloadAlone,
    /// An answer without the identity.
    Nameless,
    /// A message that begins with a token that this gateway never issued, under `identity: token`.
    UnknownToken,
    /// A message that does not begin with the identity of a client that waits for this worker,
    /// under `identity: client`.
    UnknownClient,
}

/// A pattern whose workers register themselves or send heartbeats as messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// `MDPW01` or `MDPW02`, of RFC 7 and 18.
    Majordomo,
    /// `READY`, as workers of the ZeroMQ guide's load balancer send it.
    LoadBalancer,
    /// A byte 1 or 2, as workers of the guide's Paranoid Pirate send it.
    ParanoidPirate,
}

/// The form in which a pool's answers name their request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// A token. `fits` is true if the first frame of this message has the form of a token.
    Token { fits: bool },
    /// A client's bare identity.
    Identity,
}

impl Pattern {
    /// Returns the pattern whose workers send a message with these frames without a request, if
    /// there is such a pattern. Every command of a Majordomo worker counts, even an answer.
    pub(super) fn of<M: Frames>(frames: &M) -> Option<Self> {
        let skip = usize::from(frames.get(0).is_some_and(<[u8]>::is_empty));
        let count = frames.len().saturating_sub(skip);
        match (frames.get(skip)?, count) {
            ([b'M', b'D', b'P', b'W', b'0', ..], _) => Some(Self::Majordomo),
            (b"READY", 1) => Some(Self::LoadBalancer),
            ([1 | 2], 1) => Some(Self::ParanoidPirate),
            _ => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Majordomo => "a command of a Majordomo worker (MDPW)",
            Self::LoadBalancer => "READY of a load-balancing worker",
            Self::ParanoidPirate => "READY or a heartbeat of a Paranoid Pirate worker",
        })
    }
}

impl Stray {
    /// Returns the likely nature of a worker's message that answers no request. `holds` is whether
    /// the worker holds a request, and `is_type` is whether a frame is the exact type of a route.
    pub(super) fn of<M: Frames>(
        frames: &M,
        naming: Naming,
        holds: bool,
        is_type: impl Fn(&[u8]) -> bool,
    ) -> Self {
        if (0..frames.len()).all(|n| frames.get(n).is_some_and(<[u8]>::is_empty)) {
            return Self::Empty;
        }
        if let Some(pattern) = Pattern::of(frames) {
            return Self::Pattern(pattern);
        }
        let skip = usize::from(frames.get(0).is_some_and(<[u8]>::is_empty));
        let first = frames.get(skip).unwrap_or_default();
        let count = frames.len() - skip;
        match naming {
            _ if count > 1 && is_type(first) && holds => Self::RequestOrNameless,
            _ if count > 1 && is_type(first) => Self::Request,
            _ if skip == 1 => Self::Delimited,
            Naming::Token { fits: true } => Self::UnknownToken,
            _ if count == 1 => Self::PayloadAlone,
            Naming::Token { fits: false } => Self::Nameless,
            Naming::Identity => Self::UnknownClient,
        }
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Farewell => {
                "it is BYE, with which only a DEALER worker of engine native can leave: engine libzmq can't distinguish \
                 workers, and a REP worker can disconnect once it has answered"
            }
            Self::Pattern(pattern) => {
                return write!(
                    f,
                    "it is {pattern}: a pool's workers receive requests without registering, and ZMTP has its own \
                     heartbeats, so send nothing but answers"
                );
            }
            Self::Request => {
                "its first frame is a route's type, as in a client's request: clients connect to a frontend, and this is \
                 a pool's address"
            }
            Self::RequestOrNameless => {
                "its first frame is a route's type: it is an answer without the identity, which is frame 0 of the request \
                 and must come first, or a client's request, which belongs to a frontend's address"
            }
            Self::Delimited => {
                "it begins with an empty frame: a DEALER worker answers with the identity first, which is frame 0 of the \
                 request"
            }
            Self::PayloadAlone => {
                "it is one frame, a payload alone: a DEALER worker answers with the identity first, which is frame 0 of \
                 the request"
            }
            Self::Nameless => {
                "the identity is missing: a DEALER worker answers with frame 0 of the request first, unchanged"
            }
            Self::UnknownToken => {
                "this gateway has not issued the identity in its first frame: the message answers a gateway that ran \
                 before, or the identity was altered"
            }
            Self::UnknownClient => {
                "its first frame is not the identity of a client that waits for this worker: a DEALER worker answers with \
                 frame 0 of the request first, unchanged"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_TOKEN: Naming = Naming::Token { fits: false };

    fn frames(frames: &[&str]) -> Vec<Vec<u8>> {
        frames
            .iter()
            .map(|frame| frame.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn messages_that_answer_no_request_are_distinguished() {
        for (sent, naming, holds, expected) in [
            (&[""][..], NO_TOKEN, false, Stray::Empty),
            (&["", ""], NO_TOKEN, true, Stray::Empty),
            (
                &["READY"],
                NO_TOKEN,
                false,
                Stray::Pattern(Pattern::LoadBalancer),
            ),
            (
                &["", "READY"],
                NO_TOKEN,
                false,
                Stray::Pattern(Pattern::LoadBalancer),
            ),
            (&["READY", "x"], NO_TOKEN, true, Stray::Nameless),
            (
                &["\u{1}"],
                NO_TOKEN,
                false,
                Stray::Pattern(Pattern::ParanoidPirate),
            ),
            (
                &["\u{2}"],
                Naming::Identity,
                true,
                Stray::Pattern(Pattern::ParanoidPirate),
            ),
            (&["\u{3}"], NO_TOKEN, true, Stray::PayloadAlone),
            (
                &["", "MDPW01", "\u{1}", "echo"],
                NO_TOKEN,
                false,
                Stray::Pattern(Pattern::Majordomo),
            ),
            (&["TYPE", "x"], NO_TOKEN, false, Stray::Request),
            (&["", "TYPE", "x"], Naming::Identity, false, Stray::Request),
            (&["TYPE", "x"], NO_TOKEN, true, Stray::RequestOrNameless),
            (&["TYPE"], NO_TOKEN, false, Stray::PayloadAlone),
            (&["", "c#1", "REPLY", "x"], NO_TOKEN, true, Stray::Delimited),
            (&["REPLY", "x"], NO_TOKEN, true, Stray::Nameless),
            (
                &["REPLY", "x"],
                Naming::Identity,
                true,
                Stray::UnknownClient,
            ),
            (
                &["c#7", "REPLY", "x"],
                Naming::Token { fits: true },
                true,
                Stray::UnknownToken,
            ),
            (
                &["c#7"],
                Naming::Token { fits: true },
                true,
                Stray::UnknownToken,
            ),
        ] {
            let is_type = |frame: &[u8]| frame == b"TYPE";
            let stray = Stray::of(&frames(sent), naming, holds, is_type);
            assert_eq!(stray, expected, "{sent:?} {naming:?} {holds}");
        }
    }
}
