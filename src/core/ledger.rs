//! What was counted: every message from a client, by what became of it.

use crate::metrics::RouteCounters;
use crate::reply::Reason;
use crate::snapshot::RouteId;

/// What a client's answer is, and whose counter it moves. To an engine it is only something to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A worker's.
    Answered(RouteId),
    /// The gateway's own.
    Rejected(RouteId, Reason),
}

impl Outcome {
    /// The route of the message that it answers.
    pub fn route(self) -> RouteId {
        match self {
            Self::Answered(route) | Self::Rejected(route, _) => route,
        }
    }
}

/// What became of an answer at delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// On its way to the client.
    Delivered,
    /// Kept until the client reads; its fate will be told.
    Waiting,
    /// The client doesn't read, and more is kept for it than may be.
    Slow,
    /// The client is gone.
    Gone,
}

/// Counters since the start, over all routes. At any moment
/// `received = answered + rejected + client_gone + client_slow + in flight`, where in flight are the
/// open requests and the answers whose fate is open ([`Ledger::unsettled`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Complete messages from clients.
    pub received: u64,
    /// Workers' answers delivered.
    pub answered: u64,
    /// The gateway's own answers delivered, by [`Reason`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Answers whose client was gone.
    pub client_gone: u64,
    /// Answers that the client would not take.
    pub client_slow: u64,
    /// Answers that wait for their client to read.
    pub unsettled: u64,
    /// Workers' answers to requests that had ended: dropped.
    pub late: u64,
    /// Workers' messages that name no request of theirs: dropped.
    pub unsolicited: u64,
}

impl Ledger {
    /// Adds what a route counted.
    pub(super) fn add(&mut self, route: &RouteCounters) {
        self.received += route.received;
        self.answered += route.answered;
        for (sum, n) in self.rejected.iter_mut().zip(route.rejected) {
            *sum += n;
        }
        self.client_gone += route.client_gone;
        self.client_slow += route.client_slow;
        self.unsettled += route.unsettled;
    }

    /// How many messages have their fate.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + rejected + self.client_gone + self.client_slow
    }
}
