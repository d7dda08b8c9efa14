//! The record of a rejected request, for the log and for `GET /rejections`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::reply::{Reason, Rejection};
use crate::snapshot::{ChannelId, FrontendId, Names, RouteId};

/// The number of rejections that are kept: enough to find the clients and the causes, and few
/// enough for one HTTP response.
pub(crate) const KEPT_MAX: usize = 100;

/// The maximum size of a record's message, and of its field path, in bytes. The content of a
/// payload can make both long.
const TEXT_MAX: usize = 1_024;

/// A rejected request. Text that a peer chose may hold any characters and must be escaped when it
/// is shown.
#[derive(Debug)]
pub(crate) struct Rejected {
    /// The time of the rejection, since the engine started.
    pub at: Duration,
    /// The route that the request's type matched, or [`RouteId::NONE`].
    pub route: RouteId,
    /// The sender, or `None` if it had disconnected.
    pub client: Option<Arc<SenderInfo>>,
    /// The rejection that was sent, cut to a bounded size and without its list of violations.
    pub rejection: Rejection,
}

/// The sender of a message, in the form that the log and `GET /rejections` show.
#[derive(Debug)]
pub(crate) struct SenderInfo {
    /// The frontend or the channel to which the sender is connected.
    pub entry: EntryPoint,
    /// The identity in printable form.
    pub identity: String,
    /// The address, or `None` if the engine does not know it.
    pub address: Option<String>,
}

/// The place where a message enters the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryPoint {
    /// A frontend, for a client.
    Frontend(FrontendId),
    /// A channel, for a publisher.
    Channel(ChannelId),
}

impl EntryPoint {
    /// Returns the name of the frontend, or `None` for a channel.
    pub(crate) fn frontend(self, names: &Names) -> Option<&str> {
        match self {
            Self::Frontend(id) => Some(names.of_frontend(id)),
            Self::Channel(_) => None,
        }
    }

    /// Returns the name of the channel, or `None` for a frontend.
    pub(crate) fn channel(self, names: &Names) -> Option<&str> {
        match self {
            Self::Frontend(_) => None,
            Self::Channel(id) => Some(names.of_channel(id)),
        }
    }
}

/// The severity of a log line about a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectionSeverity {
    /// The level at which every rejection is logged, for debugging.
    Debug,
    /// The client caused the rejection, or the gateway is shutting down.
    Info,
    /// The workers or the schema caused the rejection, which an operator should examine.
    Warn,
}

impl RejectionSeverity {
    /// Returns the severity at which the first rejections for a reason are logged. The log only
    /// counts further rejections that follow within a short time.
    pub(crate) fn of(reason: Reason) -> Self {
        match reason {
            Reason::RuleFailed
            | Reason::QueueFull
            | Reason::NoWorker
            | Reason::WorkerLost
            | Reason::Timeout
            | Reason::BadReply => Self::Warn,
            Reason::Malformed
            | Reason::UnknownType
            | Reason::SchemaViolation
            | Reason::TooLarge
            | Reason::NotAllowed
            | Reason::RateLimited
            | Reason::ClientLimit
            | Reason::ShuttingDown => Self::Info,
        }
    }
}

impl Rejected {
    /// Returns the record of a rejection, with long texts cut.
    pub(crate) fn new(
        at: Duration,
        route: RouteId,
        client: Option<Arc<SenderInfo>>,
        mut rejection: Rejection,
    ) -> Self {
        cut(&mut rejection.message);
        cut(&mut rejection.field);
        rejection.violations = Vec::new();
        Self {
            at,
            route,
            client,
            rejection,
        }
    }

    /// Writes the record to the log, with the same fields at every severity.
    pub(crate) fn log(&self, severity: RejectionSeverity, names: &Names) {
        let rejection = &self.rejection;
        let client = self.client.as_deref();
        let non_empty = |text| Some(text).filter(|text: &&str| !text.is_empty());
        macro_rules! at_level {
            ($level:ident) => {
                $level!(
                    reason = rejection.reason.label(),
                    route = non_empty(names.of_route(self.route)),
                    type = non_empty(&rejection.kind),
                    frontend = client.and_then(|client| client.entry.frontend(names)),
                    channel = client.and_then(|client| client.entry.channel(names)),
                    client = client.and_then(|client| non_empty(&client.identity)),
                    peer = client.and_then(|client| client.address.as_deref()),
                    field = non_empty(&rejection.field),
                    offset = rejection.offset,
                    generation = rejection.generation,
                    why = rejection.message,
                    "rejected"
                )
            };
        }
        match severity {
            RejectionSeverity::Debug => at_level!(debug),
            RejectionSeverity::Info => at_level!(info),
            RejectionSeverity::Warn => at_level!(warn),
        }
    }
}

/// Cuts a text that is longer than [`TEXT_MAX`] bytes at a character boundary, and adds an
/// ellipsis.
fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('…');
        text.shrink_to_fit();
    }
}

/// The last rejections, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<Arc<Rejected>>);

impl Recent {
    /// Adds a rejection, and drops the oldest if there are already [`KEPT_MAX`].
    pub(crate) fn push(&mut self, rejected: Arc<Rejected>) {
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(rejected);
    }

    /// Returns the rejections, newest first.
    pub(crate) fn newest_first(&self) -> Vec<Arc<Rejected>> {
        self.0.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(n: usize, message: &str) -> Arc<Rejected> {
        let rejection = Rejection {
            offset: Some(n as u64),
            ..Rejection::new(Reason::Malformed, message)
        };
        Arc::new(Rejected::new(
            Duration::ZERO,
            RouteId::NONE,
            None,
            rejection,
        ))
    }

    #[test]
    fn the_last_rejections_are_kept_newest_first() {
        let mut recent = Recent::default();
        for n in 0..250 {
            recent.push(rejected(n, "no"));
        }
        let kept = recent.newest_first();
        let offsets = kept.iter().filter_map(|rejected| rejected.rejection.offset);
        let offsets: Vec<_> = offsets.collect();
        assert!(offsets.into_iter().eq((150..250).rev()));
    }

    #[test]
    fn a_record_is_bounded() {
        let kept = rejected(0, &"é".repeat(100_000));
        let message = &kept.rejection.message;
        assert!(message.len() <= TEXT_MAX + '…'.len_utf8());
        assert!(message.ends_with("é…") && message.capacity() < 2 * TEXT_MAX);
        assert_eq!(rejected(0, "short").rejection.message, "short");
    }
}
