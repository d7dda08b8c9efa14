//! The parts of a `security` that keep their values from the running configuration, because their
//! files cannot be used now.

use std::sync::Arc;

use crate::security::{KnownPeers, Security};
use gateway_zmtp::curve::PublicKey;

/// The parts of a `security` that could not be resolved.
#[derive(Default)]
pub(super) struct Unusable {
    pub(super) secret: bool,
    pub(super) peers: bool,
    pub(super) servers: bool,
    pub(super) users: bool,
    /// The public keys to which two names were given.
    pub(super) disputed: Vec<PublicKey>,
}

impl Unusable {
    /// Returns `next`, with each part that could not be resolved replaced by the same part of
    /// `running`.
    pub(super) fn replaced(self, mut next: Security, running: &Security) -> Security {
        if let (Some(curve), Some(before)) = (&mut next.curve, &running.curve) {
            if self.secret {
                curve.keys = Arc::clone(&before.keys);
            }
            if self.servers {
                curve.servers = before.servers.clone();
            }
            if self.peers {
                curve.peers = before.peers.clone();
            } else if let KnownPeers::Named(names) = &mut curve.peers {
                for key in self.disputed {
                    match &before.peers {
                        KnownPeers::Named(before) if before.contains_key(&key) => {
                            names.insert(key, Arc::clone(&before[&key]));
                        }
                        _ => drop(names.remove(&key)),
                    }
                }
            }
        }
        // If the users are equal, the users of `running` are kept, because that value remembers
        // which passwords have been verified.
        if let Some(before) = &running.plain
            && (self.users || next.plain.as_ref() == Some(before))
        {
            next.plain = Some(Arc::clone(before));
        }
        next
    }
}
