//! Who may talk to whom: what the gateway says that it is, once a peer has said what it is.
//!
//! A peer's socket checks ours, so one endpoint serves several kinds of peers by waiting for their READY
//! and answering with the type that fits (RFC 37, "Socket Type Property").

use crate::peer::{ClientKind, WorkerKind};
use crate::snapshot::Workers;

/// What a peer is here, and the socket type that it is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met<K> {
    /// How it is served.
    pub kind: K,
    /// The gateway's socket type for its READY.
    pub announced: &'static str,
}

/// A peer of a frontend, by its socket type; an error says what to change.
pub fn client(socket_type: &str) -> Result<Met<ClientKind>, String> {
    let kind = match socket_type {
        "REQ" => ClientKind::Req,
        "DEALER" | "ROUTER" => ClientKind::Dealer,
        "REP" => {
            return Err(
                "a REP socket at a frontend: that is a worker, and workers connect to a pool's address"
                    .to_owned(),
            );
        }
        other => {
            return Err(format!(
                "a {} socket at a frontend: clients are DEALER or REQ",
                name(other)
            ));
        }
    };
    Ok(Met {
        kind,
        announced: "ROUTER",
    })
}

/// A peer of a pool, by its socket type; an error says what to change.
pub fn worker(socket_type: &str, allowed: Workers) -> Result<Met<WorkerKind>, String> {
    let met = match socket_type {
        "DEALER" => Met {
            kind: WorkerKind::Dealer,
            announced: "ROUTER",
        },
        "REP" => Met {
            kind: WorkerKind::Rep,
            announced: "DEALER",
        },
        "REQ" => {
            return Err(
                "a REQ socket at a pool: that is a client, and clients connect to a frontend's address; workers are \
                 DEALER or REP"
                    .to_owned(),
            );
        }
        other => {
            return Err(format!(
                "a {} socket at a pool: workers are DEALER or REP",
                name(other)
            ));
        }
    };
    let misfit = match (allowed, met.kind) {
        (Workers::Dealer, WorkerKind::Rep) => Some("dealer"),
        (Workers::Rep, WorkerKind::Dealer) => Some("rep"),
        _ => None,
    };
    match misfit {
        Some(only) => Err(format!(
            "a {socket_type} socket at a pool that has `workers: {only}`: make it `auto`, or connect the other kind"
        )),
        None => Ok(met),
    }
}

/// A socket type for people: bounded, since it is the peer's word.
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
    fn what_makes_no_sense_is_told_what_to_change() {
        assert!(client("SUB").unwrap_err().contains("DEALER or REQ"));
        assert!(client("REP").unwrap_err().contains("that is a worker"));
        assert!(
            worker("REQ", Workers::Auto)
                .unwrap_err()
                .contains("that is a client")
        );
        assert!(
            worker("REQ", Workers::Auto)
                .unwrap_err()
                .contains("DEALER or REP")
        );
        assert!(
            worker("REP", Workers::Dealer)
                .unwrap_err()
                .contains("workers: dealer")
        );
        assert!(
            worker("DEALER", Workers::Rep)
                .unwrap_err()
                .contains("workers: rep")
        );
    }
}
