//! The end of the engine, at which everything that was written has to arrive.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::engine::native::peers::Peers;
use gateway_zmtp::pool::CHUNK;

/// The time for peers to disconnect. Closing a connection with unread input would reset it, and the
/// peer would lose bytes that it has not read yet. The input is therefore read and dropped until
/// the peer has seen the end of the stream.
const GOODBYE: Duration = Duration::from_millis(500);

/// Ends the output of every connection, and reads and drops input until all peers have
/// disconnected, or for [`GOODBYE`] at most.
pub(super) fn say_goodbye(peers: &mut Peers, poll: &mut Poll, events: &mut Events) {
    let mut left: Vec<_> = peers.all().map(|connection| connection.peer()).collect();
    for connection in peers.all() {
        connection.finish();
    }
    let until = Instant::now() + GOODBYE;
    let mut scrap = vec![0; CHUNK];
    loop {
        left.retain(|peer| {
            let connection = peers.get(*peer);
            connection.is_some_and(|there| !there.read_to_end(&mut scrap, until))
        });
        let wait = until.saturating_duration_since(Instant::now());
        if left.is_empty() || wait.is_zero() || poll.poll(events, Some(wait)).is_err() {
            return;
        }
        left.extend(events.iter().filter_map(|it| Peers::of_token(it.token())));
        left.sort_unstable();
        left.dedup();
    }
}
