//! The end: what was written has to arrive.

use std::time::{Duration, Instant};

use mio::Events;

use super::Native;
use super::peers::Peers;
use crate::peer::PeerId;
use gateway_zmtp::pool::CHUNK;

/// How long answers that wait may take to leave once nothing else is to be done.
pub(super) const FLUSH: Duration = Duration::from_secs(1);

/// How long peers may take to hang up. A connection that is closed while something unread lies in it is
/// reset, and what the peer has not read yet is lost with it; so it is read, and dropped, until the peer
/// has seen that nothing more comes.
const GOODBYE: Duration = Duration::from_millis(500);

impl Native {
    /// Closes every connection in the order in which nothing is lost.
    pub(super) fn say_goodbye(mut self, events: &mut Events) {
        self.listeners.there.clear();
        let mut left: Vec<_> = self.peers.all().map(|it| it.peer).collect();
        for peer in &left {
            if let Some(connection) = self.peers.get(*peer) {
                connection.stream.finish();
            }
        }
        let until = Instant::now() + GOODBYE;
        let mut scrap = vec![0; CHUNK];
        loop {
            left.retain(|peer| !self.has_hung_up(*peer, &mut scrap, until));
            let wait = until.saturating_duration_since(Instant::now());
            if left.is_empty() || wait.is_zero() || self.poll.poll(events, Some(wait)).is_err() {
                return;
            }
            left.extend(events.iter().filter_map(|it| Peers::of_token(it.token())));
            left.sort_unstable();
            left.dedup();
        }
    }

    /// Reads what a peer still says, a little at a time; true once it says no more.
    fn has_hung_up(&mut self, peer: PeerId, scrap: &mut [u8], until: Instant) -> bool {
        let Some(connection) = self.peers.get(peer) else {
            return true;
        };
        while Instant::now() < until {
            match connection.stream.read(scrap) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}
