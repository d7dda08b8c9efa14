//! What was counted: every message from a client, by what became of it.

use crate::reply::Reason;

/// What a client's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A worker's.
    Answered,
    /// The gateway's own.
    Rejected(Reason),
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

/// Counters since the start. At any moment
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
    /// Counts an answer by its fate.
    pub(super) fn count(&mut self, outcome: Outcome, fate: Fate) {
        match (fate, outcome) {
            (Fate::Delivered, Outcome::Answered) => self.answered += 1,
            (Fate::Delivered, Outcome::Rejected(reason)) => self.rejected[reason as usize] += 1,
            (Fate::Waiting, _) => self.unsettled += 1,
            (Fate::Slow, _) => self.client_slow += 1,
            (Fate::Gone, _) => self.client_gone += 1,
        }
    }

    /// An answer that was counted as waiting met its fate.
    pub(super) fn settled(&mut self, outcome: Outcome, fate: Fate) {
        debug_assert!(self.unsettled > 0, "a fate that was told twice");
        self.unsettled = self.unsettled.saturating_sub(1);
        self.count(outcome, fate);
    }

    /// How many messages have their fate.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + rejected + self.client_gone + self.client_slow
    }
}
