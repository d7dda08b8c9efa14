//! Bounds on the log lines that peers can cause. Such lines are written at a bounded rate. Each
//! line contains the number of lines that were left out before it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::engine::role::Role;
use gateway_zmtp::curve::PublicKey;

/// The minimum time between two lines of one kind. With this time, the log stays current, and the
/// lines do not fill a disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time for which the log does not repeat a mistake of one peer. The peer may connect again
/// each second.
const MISTAKE_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum number of peers whose mistakes are logged within [`MISTAKE_INTERVAL`], for each
/// cause at each frontend, pool or side of a channel. A person can still read this number of lines.
const MISTAKES_MAX: usize = 32;

/// The bound on the log lines of one kind.
#[derive(Debug, Default)]
pub(super) struct LineLimiter {
    last: Option<Duration>,
    left_out: u64,
}

impl LineLimiter {
    /// Returns the number of lines left out since the last line, or `None` if no line may be
    /// written now.
    pub(super) fn allow(&mut self, now: Duration) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The causes for which a connection is refused. Lines of one cause do not suppress lines of
/// another cause. Otherwise, lines about peers of other protocols, which may recur each second,
/// would suppress lines about mistakes that an operator has to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// The peer speaks another protocol.
    OtherProtocol,
    /// The peer speaks ZMTP, but its data is malformed.
    Fault,
    /// The peer names a security mechanism that its frontend, pool or channel does not accept.
    Mechanism,
    /// The peer uses a server key that is not the gateway's.
    ServerKey,
    /// The peer's key is unknown, or the peer does not prove to have it.
    Key,
    /// The peer's user name is unknown, or its password is wrong.
    Password,
    /// The peer's IP address is not allowed at its frontend, pool or channel.
    Address,
    /// The gateway failed at a costly step of the connection, such as a key agreement.
    Lost,
    /// The peer's CURVE handshake, or an encrypted frame, is not authentic.
    Curve,
    /// The peer's socket type does not fit the address.
    Misfit,
    /// The peer refuses the gateway.
    Refused,
    /// The peer does not complete its handshake or its message in time.
    Slow,
    /// The peer exceeds a limit of its channel, or leaves too much unread.
    Dismissed,
    /// There are too many clients already.
    Full,
    /// The peer waits for the gateway's READY or HELLO, and the gateway waits for the peer's. The
    /// peer is not refused for this, only logged.
    Waits,
}

impl Cause {
    /// Returns whether the cause is a mistake in the set-up of a single peer. Lines about such a
    /// cause are bounded for each peer, because several peers may make the same mistake.
    fn is_mistake(self) -> bool {
        match self {
            Self::Mechanism | Self::ServerKey | Self::Key | Self::Password | Self::Address => true,
            Self::OtherProtocol
            | Self::Fault
            | Self::Curve
            | Self::Misfit
            | Self::Refused
            | Self::Slow
            | Self::Dismissed
            | Self::Full
            | Self::Lost
            | Self::Waits => false,
        }
    }
}

/// The peer that makes a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Culprit {
    /// The IP address, or `None` for a peer without one.
    pub(super) address: Option<IpAddr>,
    /// The key that the peer has proved to own, if any.
    pub(super) key: Option<PublicKey>,
}

/// The peers that have made mistakes of one cause at one frontend, pool or side of a channel, each
/// with the time of the last log line about the peer's mistake.
#[derive(Debug, Default)]
struct Mistakes {
    logged: HashMap<Culprit, Duration>,
    left_out: u64,
}

impl Mistakes {
    /// Returns the number of lines left out since the last line, or `None` if no line may be
    /// written now.
    fn allow(&mut self, culprit: Culprit, now: Duration) -> Option<u64> {
        self.logged
            .retain(|_, logged| now < *logged + MISTAKE_INTERVAL);
        if self.logged.len() >= MISTAKES_MAX || self.logged.contains_key(&culprit) {
            self.left_out += 1;
            return None;
        }
        self.logged.insert(culprit, now);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// The bounds on all kinds of log lines.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// The bounds by role and cause: at most one for each cause and each role that ever existed.
    refused: HashMap<(Role, Cause), LineLimiter>,
    mistakes: HashMap<(Role, Cause), Mistakes>,
    accept: LineLimiter,
}

impl Quiet {
    /// Returns the number of lines left out since the last line about a connection of this role
    /// that was refused for `cause`. Returns `None` if no such line may be written now.
    pub(super) fn allow_refused(
        &mut self,
        role: Role,
        cause: Cause,
        culprit: Culprit,
        now: Duration,
    ) -> Option<u64> {
        if cause.is_mistake() {
            let mistakes = self.mistakes.entry((role, cause)).or_default();
            return mistakes.allow(culprit, now);
        }
        self.refused.entry((role, cause)).or_default().allow(now)
    }

    /// Returns the bound on lines about connections that cannot be accepted.
    pub(super) fn accept(&mut self) -> &mut LineLimiter {
        &mut self.accept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{FrontendId, PoolId};

    #[test]
    fn lines_left_out_are_counted() {
        let mut lines = LineLimiter::default();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(lines.allow(at(0)), Some(0));
        assert_eq!(lines.allow(at(1)), None);
        assert_eq!(lines.allow(at(999)), None);
        assert_eq!(lines.allow(at(1000)), Some(2));
        assert_eq!(lines.allow(at(2000)), Some(0));
    }

    /// A program connects each second to check whether the port is open.
    #[test]
    fn a_recurring_cause_hides_no_other_cause_and_no_other_role() {
        const HERE: Role = Role::Frontend(FrontendId(0));
        const THERE: Role = Role::Pool(PoolId(0));
        const NOBODY: Culprit = Culprit {
            address: None,
            key: None,
        };
        let mut quiet = Quiet::default();
        for second in 0..100 {
            let at = Duration::from_secs(second);
            let probe = quiet.allow_refused(HERE, Cause::OtherProtocol, NOBODY, at);
            assert_eq!(probe, Some(0));
            if second % 10 == 3 {
                let at = at + Duration::from_millis(500);
                for (place, cause) in [(HERE, Cause::Misfit), (THERE, Cause::OtherProtocol)] {
                    let others = quiet.allow_refused(place, cause, NOBODY, at);
                    assert_eq!(others, Some(0), "{place:?} {cause:?} {at:?}");
                }
            }
        }
    }

    /// Each peer makes one mistake, and connects again every second for five minutes.
    #[test]
    fn a_mistake_is_logged_once_a_minute_for_each_peer_and_a_flood_is_bounded() {
        const HERE: Role = Role::Frontend(FrontendId(0));
        let culprit = |n: u8| Culprit {
            address: Some(IpAddr::from([10, 0, 0, n])),
            key: None,
        };
        for (peers, lines) in [(1, 5), (3, 15), (200, 5 * MISTAKES_MAX)] {
            let mut quiet = Quiet::default();
            let (mut logged, mut left_out) = (0, 0);
            for second in 0..300 {
                let at = Duration::from_secs(second);
                for n in 0..peers {
                    let line = quiet.allow_refused(HERE, Cause::Key, culprit(n), at);
                    logged += usize::from(line.is_some());
                    left_out += line.unwrap_or(0) as usize;
                }
            }
            assert_eq!(logged, lines, "{peers}");
            assert!(logged + left_out <= 300 * usize::from(peers));
        }
    }
}
