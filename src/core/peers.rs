//! The connected peers, each a client or a worker.

use std::rc::Rc;

use super::token::Name;
use crate::peer::{ClientKind, PeerId, WorkerKind};
use crate::pool::Seat;
use crate::reply::ErrorEncoding;
use crate::snapshot::{FrontendId, Limits, PoolId};

#[derive(Debug)]
pub(super) enum Peer {
    Client(Client),
    Worker(Worker),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Worker {
    pub(super) peer: PeerId,
    pub(super) pool: PoolId,
    pub(super) seat: Seat,
    pub(super) kind: WorkerKind,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) frontend: FrontendId,
    pub(super) kind: ClientKind,
    pub(super) name: Rc<Name>,
    /// The frontend's `errors`, for as long as the configuration has that frontend.
    pub(super) errors: ErrorEncoding,
    admission: Admission,
    /// Requests that the client has open.
    open: u32,
    /// Bytes of these requests.
    open_bytes: u64,
    asked: u64,
}

/// Whether a client counts among those of `limits.clients`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    /// Served.
    Admitted,
    /// Over `limits.clients`: every request is rejected, until another client leaves.
    Surplus,
}

/// The number of admitted clients.
#[derive(Debug, Default)]
pub(super) struct Admitted(usize);

impl Client {
    /// Returns a client without requests, which [`Admitted::admit`] has yet to admit.
    pub(super) fn new(
        frontend: FrontendId,
        kind: ClientKind,
        name: Rc<Name>,
        errors: ErrorEncoding,
    ) -> Self {
        Self {
            frontend,
            kind,
            name,
            errors,
            admission: Admission::Surplus,
            open: 0,
            open_bytes: 0,
            asked: 0,
        }
    }

    /// Counts a message of the client. A REQ that asks again has given up its last request, or is another process
    /// under the same name; either would take the old answer for the new one.
    #[inline]
    pub(super) fn asks(&mut self) {
        self.asked += u64::from(self.kind == ClientKind::Req);
    }

    /// Returns how often a REQ has asked.
    #[inline]
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// Adds a request of so many bytes to the open ones.
    #[inline]
    pub(super) fn opened(&mut self, bytes: u64) {
        self.open += 1;
        self.open_bytes += bytes;
    }

    /// Takes a request of so many bytes out of the open ones.
    #[inline]
    pub(super) fn closed(&mut self, bytes: u64) {
        self.open -= 1;
        self.open_bytes -= bytes;
    }

    /// Returns whether the client has requests open.
    pub(super) fn is_owed(&self) -> bool {
        self.open > 0
    }

    /// Returns the sentence for a request of so many bytes that the client may not open, if it may not.
    pub(super) fn limit(&self, bytes: u64, limits: &Limits) -> Option<String> {
        if self.admission == Admission::Surplus {
            let most = limits.clients;
            Some(format!(
                "{most} clients are here already, the limit of limits.clients"
            ))
        } else if self.open >= limits.client_requests {
            let most = limits.client_requests;
            Some(format!(
                "this client has {most} requests open, the limit of limits.client_requests"
            ))
        } else if self.open_bytes.saturating_add(bytes) > limits.client_bytes {
            let most = limits.client_bytes;
            Some(format!(
                "this client's open requests would pass {most} bytes, the limit of limits.client_bytes"
            ))
        } else {
            None
        }
    }
}

impl Admitted {
    /// Admits a client if it is surplus and fewer than `clients_max` clients are admitted.
    #[inline]
    pub(super) fn admit(&mut self, client: &mut Client, clients_max: usize) {
        if client.admission == Admission::Surplus && self.0 < clients_max {
            client.admission = Admission::Admitted;
            self.0 += 1;
        }
    }

    /// Forgets a client that has left.
    pub(super) fn leave(&mut self, client: &Client) {
        self.0 -= usize::from(client.admission == Admission::Admitted);
    }
}
