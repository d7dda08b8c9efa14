//! The outlet that the core calls: a message is appended to its peer's outbox, within bounds.

use crate::core::{Case, Outlet};
use crate::engine::native::connection::Connection;
use crate::engine::native::peers::limits::{PUBLISHER_ROOM, SUBSCRIPTION_ROOM, WORKER_ROOM};
use crate::engine::native::peers::{Peers, find};
use crate::ledger::{EngineCounters, Fate, RequestOutcome};
use crate::peer::PeerId;
use gateway_zmtp::message::Message;
use gateway_zmtp::subscription::SubscriptionChange;

impl Outlet<Message> for Peers {
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], body: Message) -> Result<(), Message> {
        let Some(connection) = find(&mut self.places, worker) else {
            return Err(body);
        };
        if !connection.has_room_for_request(WORKER_ROOM) {
            self.counters.full += 1;
            return Err(body);
        }
        connection.push_request(&mut self.buffers, head, body);
        if connection.enlist_to_write() {
            self.dirty.push(worker);
        }
        self.counters.messages_out += 1;
        Ok(())
    }

    fn to_client(
        &mut self,
        client: PeerId,
        head: &[&[u8]],
        body: Message,
        outcome: RequestOutcome,
    ) -> Fate {
        let found = find(&mut self.places, client).filter(|connection| !connection.is_mute());
        let Some(connection) = found else {
            return Fate::Gone;
        };
        let waiting = connection.held();
        if waiting > 0 || self.memory.is_short() {
            let size = size(head) + body.size();
            // If a client is not clogged, the system has accepted all earlier bytes for it. Its
            // answers then take memory only until they are written, in this turn. So
            // `limits.client_bytes` bounds them even while memory is short.
            let bytes_max = if connection.is_clogged() {
                self.outbox_max
            } else {
                self.client_bytes
            };
            let is_too_much = waiting > 0 && waiting + size > bytes_max;
            // While memory is short, a worker's answer must fit into the client's share even if no
            // other answer waits. A rejection is small, so it is sent.
            let is_answer = matches!(outcome, RequestOutcome::Answered(_));
            if is_too_much || is_answer && size > self.memory.client_max() {
                return Fate::Slow;
            }
        }
        connection.push_answer(&mut self.buffers, head, body, outcome);
        if connection.enlist_to_write() {
            self.dirty.push(client);
        }
        self.counters.messages_out += 1;
        Fate::Waiting
    }

    fn to_subscriber(&mut self, subscriber: PeerId, body: &Message) -> bool {
        let room = self.subscriber_room();
        let Some(connection) = find(&mut self.places, subscriber) else {
            return false;
        };
        if !connection.has_room_for_message(room) {
            self.counters.full += 1;
            return false;
        }
        connection.push_shared(&mut self.buffers, body);
        if connection.enlist_to_write() {
            self.dirty.push(subscriber);
        }
        self.counters.messages_out += 1;
        true
    }

    fn set_subscription(&mut self, publisher: PeerId, prefix: &[u8], wanted: bool) {
        let found = find(&mut self.places, publisher).filter(|connection| !connection.is_mute());
        let Some(connection) = found else {
            return;
        };
        let room = if connection.is_clogged() {
            PUBLISHER_ROOM.min(self.memory.client_max())
        } else {
            PUBLISHER_ROOM
        };
        let unread = connection.unwritten();
        if unread > room {
            let why = if room < PUBLISHER_ROOM {
                format!(
                    "it does not read while memory is short: {unread} bytes of subscriptions wait for it"
                )
            } else {
                let mebibytes = PUBLISHER_ROOM >> 20;
                format!("it does not read: {mebibytes} MiB of subscriptions wait for it")
            };
            return self.disconnect(publisher, why);
        }
        let change = if wanted {
            SubscriptionChange::Subscribe
        } else {
            SubscriptionChange::Cancel
        };
        connection.push_subscription(&mut self.buffers, change, prefix);
        if connection.enlist_to_write() {
            self.dirty.push(publisher);
        }
    }

    fn has_room_for_subscription(&mut self, publisher: PeerId) -> bool {
        let connection = find(&mut self.places, publisher);
        connection.is_some_and(|found| found.has_room_for_message(SUBSCRIPTION_ROOM))
    }

    fn disconnect(&mut self, peer: PeerId, why: String) {
        // Only the first reason counts if the core has several before the peer is disconnected.
        if self.dismissed.iter().all(|(other, _)| *other != peer) {
            self.dismissed.push((peer, why));
        }
        // The rest of the peer's input must have no effect.
        if peer == self.delivering {
            self.allowance = 0;
        }
    }

    fn release(&mut self, worker: PeerId) {
        self.released.push(worker);
    }

    fn settle(&mut self, body: Message) -> Message {
        self.buffers.settle(body)
    }

    fn judge(&mut self, case: Box<Case<Vec<Vec<u8>>>>) -> Result<(), Box<Case<Vec<Vec<u8>>>>> {
        self.judges.add(case)
    }

    #[inline]
    fn client_bytes_max(&self) -> u64 {
        self.memory.client_max()
    }

    fn pause(&mut self, peer: PeerId) {
        if let Some(connection) = find(&mut self.places, peer) {
            connection.hold_up(true);
            // The later messages of the peer wait, too.
            self.allowance = 0;
        }
    }

    fn resume(&mut self, peer: PeerId) {
        if let Some(connection) = find(&mut self.places, peer) {
            connection.hold_up(false);
            self.queue(peer);
        }
    }

    fn address(&self, peer: PeerId) -> Option<String> {
        self.look(peer).map(Connection::address)
    }

    fn spend(&mut self, messages: usize) {
        self.extra_work = self.extra_work.saturating_add(messages);
    }

    fn counters(&self) -> EngineCounters {
        EngineCounters {
            connections: Some(self.count() as u64),
            memory: Some(self.memory.gauges()),
            ..self.counters.clone()
        }
    }
}

/// Returns the total size of these frames, in bytes.
fn size(frames: &[&[u8]]) -> u64 {
    frames.iter().map(|frame| frame.len() as u64).sum()
}
