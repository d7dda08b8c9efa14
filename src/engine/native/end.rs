//! The end: what was written has to arrive.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::engine::native::peers::Peers;
use gateway_zmtp::pool::CHUNK;

/// How long peers may take to hang up. A connection that is closed while something unread lies in
/// it is reset, and what the peer has not read yet is lost with it. So it is read, and what it says
/// dropped, until the peer has seen that nothing more comes.
const GOODBYE: Duration = Duration::from_millis(500);

/// Closes every connection in the order in which nothing is lost.
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
