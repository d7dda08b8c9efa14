//! The socket types that fit each other, and the type that the gateway announces once it knows the
//! type of the peer.
//!
//! A peer's socket checks the gateway's type. To serve several kinds of peers, an endpoint waits
//! for the READY of each peer and answers with the type that fits (RFC 37, "Socket Type Property").

use crate::peer::{ClientKind, WorkerKind};
use crate::snapshot::Workers;

/// The kind of a peer, and the socket type that is announced to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketTypeMatch<K> {
    /// The kind of client or worker that the peer is served as.
    pub kind: K,
    /// The socket type that the gateway announces in its READY.
    pub announced: &'static str,
}

/// The reason why a peer's socket type does not fit an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// A description of the peer, and the remedy.
    pub why: String,
    /// The condition under which the peer may be accepted at this address later.
    pub outlook: Outlook,
}

/// The condition under which a refused peer may be accepted at the same address later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The gateway never serves this socket type, whatever routes.yaml contains.
    Never,
    /// The gateway may accept the peer after an edit of routes.yaml.
    AfterAnEdit,
}

impl Misfit {
    fn new(socket_type: &str, why: String) -> Self {
        let outlook = match socket_type {
            "REQ" | "DEALER" | "ROUTER" | "REP" | "PUB" | "XPUB" | "SUB" | "XSUB" => {
                Outlook::AfterAnEdit
            }
            _ => Outlook::Never,
        };
        Self { why, outlook }
    }
}

/// Returns the kind of client that a peer of a frontend is served as, given its socket type, and
/// the socket type to announce to it.
///
/// # Errors
///
/// Fails with the reason why a socket of that type is not served at a frontend.
pub fn client(socket_type: &str) -> Result<SocketTypeMatch<ClientKind>, Misfit> {
    let kind = match socket_type {
        "REQ" => ClientKind::Req,
        "DEALER" | "ROUTER" => ClientKind::Dealer,
        "REP" => {
            let why = "a REP socket at a frontend: that is a worker, and workers connect to a pool's address";
            return Err(Misfit::new(socket_type, why.to_owned()));
        }
        other => {
            let name = name(other);
            let why = match of_channel(other) {
                Some(what) => format!("a {name} socket at a frontend: {what}"),
                None => format!("a {name} socket at a frontend: clients are DEALER or REQ"),
            };
            return Err(Misfit::new(other, why));
        }
    };
    Ok(SocketTypeMatch {
        kind,
        announced: "ROUTER",
    })
}

/// Returns the kind of worker that a peer of a pool is served as, given its socket type, and the
/// socket type to announce to it.
///
/// # Errors
///
/// Fails with the reason why a socket of that type is not served at a pool that accepts the kinds
/// of workers in `allowed`.
pub fn worker(socket_type: &str, allowed: Workers) -> Result<SocketTypeMatch<WorkerKind>, Misfit> {
    let met = match socket_type {
        "DEALER" => SocketTypeMatch {
            kind: WorkerKind::Dealer,
            announced: "ROUTER",
        },
        "REP" => SocketTypeMatch {
            kind: WorkerKind::Rep,
            announced: "DEALER",
        },
        "REQ" => {
            let why = "a REQ socket at a pool: that is a client, and clients connect to a frontend's address; workers \
                       are DEALER or REP";
            return Err(Misfit::new(socket_type, why.to_owned()));
        }
        other => {
            let name = name(other);
            let why = match of_channel(other) {
                Some(what) => format!("a {name} socket at a pool: {what}"),
                None => format!("a {name} socket at a pool: workers are DEALER or REP"),
            };
            return Err(Misfit::new(other, why));
        }
    };
    let misfit = match (allowed, met.kind) {
        (Workers::Dealer, WorkerKind::Rep) => Some("dealer"),
        (Workers::Rep, WorkerKind::Dealer) => Some("rep"),
        _ => None,
    };
    match misfit {
        Some(only) => Err(Misfit::new(
            socket_type,
            format!(
                "a {socket_type} socket at a pool that has `workers: {only}`: set `workers: auto`, or connect the other kind of worker"
            ),
        )),
        None => Ok(met),
    }
}

/// Returns the socket type to announce to a peer at an address for publishers, given its socket
/// type.
///
/// # Errors
///
/// Fails with the reason why a socket of that type is no publisher.
pub fn publisher(socket_type: &str) -> Result<&'static str, Misfit> {
    match socket_type {
        "PUB" | "XPUB" => Ok(TO_PUBLISHERS),
        other => Err(misfit_on_channel(
            other,
            "publishers",
            "publishers are PUB or XPUB",
        )),
    }
}

/// Returns the socket type to announce to a peer at an address for subscribers, given its socket
/// type.
///
/// # Errors
///
/// Fails with the reason why a socket of that type is no subscriber.
pub fn subscriber(socket_type: &str) -> Result<&'static str, Misfit> {
    match socket_type {
        "SUB" | "XSUB" => Ok(TO_SUBSCRIBERS),
        other => Err(misfit_on_channel(
            other,
            "subscribers",
            "subscribers are SUB or XSUB",
        )),
    }
}

/// Returns the reason why a socket is not served at the addresses of this side of a channel. `fits`
/// names the socket types that are served there.
fn misfit_on_channel(socket_type: &str, side: &str, fits: &str) -> Misfit {
    let name = name(socket_type);
    let what = match socket_type {
        "DEALER" | "REQ" => {
            "clients connect to a frontend's address and workers to a pool's, and a client of a frontend may publish, \
             too"
        }
        "ROUTER" | "REP" => "clients connect to a frontend's address and workers to a pool's",
        other => of_channel(other).unwrap_or(fits),
    };
    let why = format!("a {name} socket at an address of a channel's `{side}`: {what}");
    Misfit::new(socket_type, why)
}

/// Returns the remedy for a publisher or a subscriber at a wrong address, or `None` for a socket
/// that is neither.
fn of_channel(socket_type: &str) -> Option<&'static str> {
    match socket_type {
        "PUB" | "XPUB" => Some(
            "that is a publisher, and publishers connect to the addresses of a channel's `publishers`",
        ),
        "SUB" | "XSUB" => Some(
            "that is a subscriber, and subscribers connect to the addresses of a channel's `subscribers`",
        ),
        _ => None,
    }
}

/// The socket type that the gateway announces to publishers.
pub(crate) const TO_PUBLISHERS: &str = "XSUB";

/// The socket type that the gateway announces to subscribers.
pub(crate) const TO_SUBSCRIBERS: &str = "XPUB";

/// The socket type that the gateway announces when it connects to a client with CURVE. The gateway
/// is then the CURVE client, and must announce its type before it knows the peer's type. The peer
/// is a DEALER, a ROUTER or a REQ.
pub(crate) const TO_CLIENTS: &str = "ROUTER";

/// The socket type that the gateway announces when it connects to a worker with CURVE. The peer is
/// a DEALER or a REP.
pub(crate) const TO_WORKERS: &str = "DEALER";

/// Returns a socket type for display. Replaces an empty socket type, and one of more than 16 bytes,
/// by an adjective, because the peer chose the text.
fn name(socket_type: &str) -> &str {
    match socket_type {
        "" => "nameless",
        known if known.len() <= 16 => known,
        _ => "strange",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_announces_a_socket_type_that_fits_the_peer() {
        assert_eq!(client("REQ").map(|met| met.announced), Ok("ROUTER"));
        assert_eq!(client("DEALER").map(|met| met.kind), Ok(ClientKind::Dealer));
        for (met, announced) in [
            (publisher("PUB"), "XSUB"),
            (publisher("XPUB"), "XSUB"),
            (subscriber("SUB"), "XPUB"),
            (subscriber("XSUB"), "XPUB"),
        ] {
            assert_eq!(met, Ok(announced));
        }
        let rep = worker("REP", Workers::Auto).unwrap();
        assert_eq!((rep.kind, rep.announced), (WorkerKind::Rep, "DEALER"));
        let dealer = worker("DEALER", Workers::Auto).unwrap();
        assert_eq!(
            (dealer.kind, dealer.announced),
            (WorkerKind::Dealer, "ROUTER")
        );
    }

    #[test]
    fn a_misfit_has_a_remedy_and_shows_whether_an_edit_can_help() {
        use Outlook::{AfterAnEdit, Never};

        let (auto, dealer, rep) = (Workers::Auto, Workers::Dealer, Workers::Rep);
        for (misfit, hint, outlook) in [
            (client("PULL").err(), "DEALER or REQ", Never),
            (client("SUB").err(), "channel's `subscribers`", AfterAnEdit),
            (client("PUB").err(), "channel's `publishers`", AfterAnEdit),
            (
                worker("XSUB", auto).err(),
                "channel's `subscribers`",
                AfterAnEdit,
            ),
            (
                worker("XPUB", auto).err(),
                "channel's `publishers`",
                AfterAnEdit,
            ),
            (
                publisher("SUB").err(),
                "channel's `subscribers`",
                AfterAnEdit,
            ),
            (publisher("DEALER").err(), "may publish", AfterAnEdit),
            (
                publisher("ROUTER").err(),
                "workers to a pool's",
                AfterAnEdit,
            ),
            (publisher("PUSH").err(), "PUB or XPUB", Never),
            (
                subscriber("XPUB").err(),
                "channel's `publishers`",
                AfterAnEdit,
            ),
            (subscriber("REQ").err(), "a frontend's address", AfterAnEdit),
            (subscriber("REP").err(), "workers to a pool's", AfterAnEdit),
            (subscriber("PULL").err(), "SUB or XSUB", Never),
            (client("").err(), "DEALER or REQ", Never),
            (client("REP").err(), "that is a worker", AfterAnEdit),
            (worker("PUSH", auto).err(), "DEALER or REP", Never),
            (worker("REQ", auto).err(), "that is a client", AfterAnEdit),
            (worker("REQ", auto).err(), "DEALER or REP", AfterAnEdit),
            (worker("ROUTER", auto).err(), "DEALER or REP", AfterAnEdit),
            (worker("REP", dealer).err(), "workers: dealer", AfterAnEdit),
            (worker("DEALER", rep).err(), "workers: rep", AfterAnEdit),
        ] {
            let misfit = misfit.unwrap();
            assert!(misfit.why.contains(hint), "{misfit:?}");
            assert_eq!(misfit.outlook, outlook, "{misfit:?}");
        }
    }
}
