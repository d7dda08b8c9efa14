//! The socket types that may talk to each other, and the type that the gateway announces once it
//! knows the type of the peer.
//!
//! A peer's socket checks the gateway's type, so one endpoint serves several kinds of peers by
//! waiting for their READY and answering with the type that fits (RFC 37, "Socket Type Property").

use crate::peer::{ClientKind, WorkerKind};
use crate::snapshot::Workers;

/// The kind of a peer, and the socket type that is announced to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketTypeMatch<K> {
    /// The kind of client or worker that the peer is served as.
    pub kind: K,
    /// The gateway's socket type for its READY.
    pub announced: &'static str,
}

/// The reason why a peer's socket type does not fit an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// A description of the peer, and of what to change.
    pub why: String,
    /// The outlook of the peer at this address.
    pub outlook: Outlook,
}

/// The prospects of a refused peer of being accepted at the same address later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// The gateway serves no such socket, whatever routes.yaml says.
    Never,
    /// An edit of routes.yaml may make the peer welcome.
    AfterAnEdit,
}

impl Misfit {
    fn new(socket_type: &str, why: String) -> Self {
        let outlook = match socket_type {
            "REQ" | "DEALER" | "ROUTER" | "REP" => Outlook::AfterAnEdit,
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
            let why = format!("a {name} socket at a frontend: clients are DEALER or REQ");
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
/// Fails with the reason why a socket of that type is not served at a pool that allows such
/// workers.
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
            let why = format!("a {name} socket at a pool: workers are DEALER or REP");
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
                "a {socket_type} socket at a pool that has `workers: {only}`: make it `auto`, or connect the other kind"
            ),
        )),
        None => Ok(met),
    }
}

/// The socket type that the gateway announces when it calls a client with CURVE: it is the CURVE
/// client then, and must announce its type before it knows that of the peer. The peer is a DEALER,
/// a ROUTER or a REQ.
pub(crate) const TO_CLIENTS: &str = "ROUTER";

/// The socket type that the gateway announces when it calls a worker with CURVE. The peer is a
/// DEALER or a REP.
pub(crate) const TO_WORKERS: &str = "DEALER";

/// Returns a socket type for display. A long one is replaced, since the peer chose it.
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
    fn each_kind_is_told_what_fits_it() {
        assert_eq!(client("REQ").map(|met| met.announced), Ok("ROUTER"));
        assert_eq!(client("DEALER").map(|met| met.kind), Ok(ClientKind::Dealer));
        let rep = worker("REP", Workers::Auto).unwrap();
        assert_eq!((rep.kind, rep.announced), (WorkerKind::Rep, "DEALER"));
        let dealer = worker("DEALER", Workers::Auto).unwrap();
        assert_eq!(
            (dealer.kind, dealer.announced),
            (WorkerKind::Dealer, "ROUTER")
        );
    }

    #[test]
    fn a_peer_is_told_what_to_change_and_whether_an_edit_can_help() {
        use Outlook::{AfterAnEdit, Never};

        let (auto, dealer, rep) = (Workers::Auto, Workers::Dealer, Workers::Rep);
        for (misfit, hint, outlook) in [
            (client("SUB").err(), "DEALER or REQ", Never),
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
