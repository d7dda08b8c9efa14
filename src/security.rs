//! The requirements of a frontend, a pool or a channel for its peers: addresses, keys and
//! passwords. Keys and passwords stand for principals, and the core knows only the principals.

mod network;
mod users;

use std::collections::HashMap;
use std::sync::Arc;

use gateway_zmtp::curve::{KeyPair, PublicKey};
use gateway_zmtp::session::{self, NullPeers, PlainPeers};

pub use network::Network;
pub use users::{Denied, Hashed, User, Users};

/// The word, in logs and in /status, for an address that requires nothing of its peers.
pub(crate) const NO_SECURITY: &str = "none";

/// The principal of peers that prove no identity, and of peers whose key has no name.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// The maximum length of a principal, in bytes: the maximum length of an identity (RFC 37,
/// "Identity").
const PRINCIPAL_MAX: usize = 255;

/// The conditions under which peers are admitted. Without `curve` and `plain`, peers need no proof
/// of their identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// The keys of the gateway and of its peers, or `None` if keys are not accepted.
    pub curve: Option<Curve>,
    /// The users and the hashes of their passwords, or `None` if passwords are not accepted.
    pub plain: Option<Arc<Users>>,
    /// The treatment of peers with neither a key nor a password, if `curve` or `plain` is set.
    pub null: NullPeers,
    /// The networks from which peers may connect. If the list is empty, peers may connect from
    /// everywhere. Peers on ipc addresses are on this machine and may always connect.
    pub from: Arc<[Network]>,
}

/// The keys of the gateway and of its peers.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The key pairs of the gateway. The first is the current pair. A HELLO for one of the later
    /// pairs is accepted, too.
    pub keys: Arc<[KeyPair]>,
    /// The keys that are admitted.
    pub peers: KnownPeers,
    /// The keys of the CURVE servers that the gateway connects to.
    pub servers: Servers,
}

/// The keys that are admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownPeers {
    /// Any key.
    Any,
    /// The listed keys, each with the principal that it stands for.
    Named(HashMap<PublicKey, Arc<str>>),
}

/// The keys of peers that are CURVE servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Servers {
    /// The gateway is the CURVE server on every connection that it makes.
    #[default]
    None,
    /// Every peer that the gateway connects to is a CURVE server with this key.
    One(PublicKey),
    /// The peers at these endpoints, such as `tcp://broker:5560`, have these keys. At all other
    /// endpoints, the gateway is the CURVE server.
    Each(Vec<(String, PublicKey)>),
}

impl Servers {
    /// Returns the key of the server at the endpoint for which `is_endpoint` returns true, or
    /// `None` if the gateway is the CURVE server there.
    fn key_of(&self, is_endpoint: impl Fn(&str) -> bool) -> Option<PublicKey> {
        match self {
            Self::None => None,
            Self::One(key) => Some(*key),
            Self::Each(keys) => {
                let own = keys.iter().find(|(endpoint, _)| is_endpoint(endpoint));
                own.map(|(_, key)| *key)
            }
        }
    }

    /// Returns whether this is the key of a server that the gateway connects to.
    fn contains(&self, key: &PublicKey) -> bool {
        match self {
            Self::None => false,
            Self::One(own) => own == key,
            Self::Each(keys) => keys.iter().any(|(_, own)| own == key),
        }
    }
}

/// Key pairs are compared by their public keys.
impl PartialEq for Curve {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            keys,
            peers,
            servers,
        } = self;
        let ours = keys.iter().map(KeyPair::public);
        ours.eq(other.keys.iter().map(KeyPair::public))
            && *peers == other.peers
            && *servers == other.servers
    }
}

impl Eq for Curve {}

/// The proof of a peer's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The peer's mechanism proves nothing.
    Nothing,
    /// The password of this user.
    Password(User),
    /// The key, which the peer has proved to own.
    Key(PublicKey),
}

/// The side that made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// The peer.
    Peer,
    /// The gateway.
    Gateway,
}

impl Security {
    /// Returns the principal of a peer, or `None` if the peer is not admitted.
    pub fn principal(&self, proof: &Proof, initiator: Initiator) -> Option<Arc<str>> {
        match proof {
            Proof::Nothing => {
                let admitted = !self.wants_proof() || self.null == NullPeers::Admitted;
                admitted.then(|| ANONYMOUS.into())
            }
            Proof::Password(user) => self.plain.as_ref()?.principal(user),
            Proof::Key(key) => {
                let curve = self.curve.as_ref()?;
                match &curve.peers {
                    _ if initiator == Initiator::Gateway && curve.servers.contains(key) => {
                        Some(ANONYMOUS.into())
                    }
                    KnownPeers::Any => Some(ANONYMOUS.into()),
                    KnownPeers::Named(names) => names.get(key).cloned(),
                }
            }
        }
    }

    /// Returns whether peers must prove their identity by a key or a password.
    fn wants_proof(&self) -> bool {
        self.curve.is_some() || self.plain.is_some()
    }

    /// Returns whether a peer may connect from `address`, which is `None` for a peer on this
    /// machine that has no address.
    pub fn admits(&self, address: Option<std::net::IpAddr>) -> bool {
        match address {
            Some(address) if !self.from.is_empty() => {
                self.from.iter().any(|network| network.contains(address))
            }
            _ => true,
        }
    }

    /// Returns the security of the session on an accepted connection.
    pub(crate) fn of_listener(&self) -> session::SessionSecurity {
        match (&self.curve, &self.plain) {
            (None, None) => session::SessionSecurity::None,
            (None, Some(_)) => session::SessionSecurity::Plain { null: self.null },
            (Some(curve), plain) => session::SessionSecurity::Server {
                keys: Arc::clone(&curve.keys),
                plain: match plain {
                    Some(_) => PlainPeers::Admitted,
                    None => PlainPeers::Refused,
                },
                null: self.null,
            },
        }
    }

    /// Returns the security of the session on a connection that the gateway makes. `is_endpoint`
    /// returns true for the endpoint of the connection, and `socket_type` is the gateway's socket
    /// type there. If the session accepts keys, it accepts no passwords.
    pub(crate) fn of_caller(
        &self,
        is_endpoint: impl Fn(&str) -> bool,
        socket_type: &'static str,
    ) -> session::SessionSecurity {
        let Some(curve) = &self.curve else {
            return match self.plain {
                None => session::SessionSecurity::None,
                Some(_) => session::SessionSecurity::Plain {
                    null: NullPeers::Refused,
                },
            };
        };
        match (curve.servers.key_of(is_endpoint), curve.keys.first()) {
            (Some(server), Some(keys)) => session::SessionSecurity::Client {
                keys: keys.clone(),
                server,
                socket_type,
            },
            _ => session::SessionSecurity::Server {
                keys: Arc::clone(&curve.keys),
                plain: PlainPeers::Refused,
                null: NullPeers::Refused,
            },
        }
    }

    /// Returns the public key by which peers know the gateway, or `None` without CURVE.
    pub fn key(&self) -> Option<PublicKey> {
        let curve = self.curve.as_ref()?;
        curve.keys.first().map(KeyPair::public)
    }

    /// Returns the name of these conditions in logs and in /status.
    pub fn name(&self) -> &'static str {
        match (&self.curve, &self.plain, self.null) {
            (None, None, _) => "from",
            (Some(_), None, NullPeers::Refused) => "curve",
            (Some(_), None, NullPeers::Admitted) => "curve, anonymous",
            (None, Some(_), NullPeers::Refused) => "plain",
            (None, Some(_), NullPeers::Admitted) => "plain, anonymous",
            (Some(_), Some(_), NullPeers::Refused) => "curve, plain",
            (Some(_), Some(_), NullPeers::Admitted) => "curve, plain, anonymous",
        }
    }
}

/// Returns the reason why a principal is invalid, or `None` if it is valid. The forbidden
/// characters have a meaning in tokens, lists and patterns.
pub(crate) fn principal_fault(name: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'#' | b'*' | b',');
    if name == ANONYMOUS {
        return Some(format!(
            "{ANONYMOUS} is the name of peers without a key or a password"
        ));
    }
    if name.is_empty() || name.len() > PRINCIPAL_MAX || !name.bytes().all(plain) {
        return Some(format!(
            "a principal has 1 to {PRINCIPAL_MAX} printable ASCII characters, and no #, *, comma or space"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    fn security(peers: KnownPeers, servers: Servers, null: NullPeers) -> Security {
        Security {
            curve: Some(Curve {
                keys: Arc::from([KeyPair::generate().unwrap()]),
                peers,
                servers,
            }),
            plain: None,
            null,
            from: Arc::default(),
        }
    }

    fn proof(key: Option<PublicKey>) -> Proof {
        key.map_or(Proof::Nothing, Proof::Key)
    }

    #[test]
    fn only_known_keys_are_admitted() {
        let known = KnownPeers::Named([(key(1), "alice".into())].into());
        let security = security(known, Servers::One(key(2)), NullPeers::Refused);
        let principal =
            |key: Option<PublicKey>, initiator| security.principal(&proof(key), initiator);
        assert_eq!(
            principal(Some(key(1)), Initiator::Peer),
            Some("alice".into())
        );
        assert_eq!(
            principal(Some(key(2)), Initiator::Gateway),
            Some(ANONYMOUS.into())
        );
        // The key of a server does not admit a peer that connects.
        assert_eq!(principal(Some(key(2)), Initiator::Peer), None);
        assert_eq!(principal(Some(key(3)), Initiator::Gateway), None);
        assert_eq!(principal(None, Initiator::Peer), None);
    }

    /// The test measures only the look-up of a key. All other steps of the handshake are the same
    /// for a known and an unknown key, and the connection of an unknown key ends after a fixed
    /// pause. The test compares medians, which may differ by a factor of ten because of the load of
    /// the machine.
    #[test]
    fn an_unknown_key_takes_as_long_as_a_known_key() {
        let bytes = |n: u32| {
            let mut bytes = [7; 32];
            bytes[28..].copy_from_slice(&n.to_be_bytes());
            PublicKey::from_bytes(bytes)
        };
        let known = (0..10_000).map(|n| (bytes(n), "alice".into())).collect();
        let known = KnownPeers::Named(known);
        let security = security(known, Servers::None, NullPeers::Refused);
        let median = |first: u32, admitted: bool| {
            let mut times = [(); 21].map(|()| {
                let begin = std::time::Instant::now();
                for n in first..first + 1_000 {
                    let principal = security.principal(&Proof::Key(bytes(n)), Initiator::Peer);
                    assert_eq!(principal.is_some(), admitted);
                }
                begin.elapsed()
            });
            times.sort_unstable();
            times[times.len() / 2]
        };
        let (known, unknown) = (median(5_000, true), median(50_000, false));
        assert!(
            known < 10 * unknown && unknown < 10 * known,
            "{known:?} {unknown:?}"
        );
    }

    #[test]
    fn a_peer_that_needs_no_key_is_anonymous() {
        let security = security(KnownPeers::Any, Servers::None, NullPeers::Admitted);
        assert_eq!(
            security.principal(&Proof::Nothing, Initiator::Peer),
            Some(ANONYMOUS.into())
        );
        let any = security.principal(&proof(Some(key(1))), Initiator::Peer);
        assert_eq!(any, Some(ANONYMOUS.into()));
    }

    #[test]
    fn principals_fit_into_tokens_and_lists() {
        for good in ["a", "sensor-1.berlin@example", &"x".repeat(255)] {
            assert_eq!(principal_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "a#1",
            "a*",
            "a,b",
            "a b",
            "é",
            "anonymous",
            &"x".repeat(256),
        ] {
            assert!(principal_fault(bad).is_some(), "{bad}");
        }
    }
}
