//! The part of a turn that serves channels: the messages of publishers, and the subscriptions of
//! subscribers.

use std::sync::Arc;
use std::time::Duration;

use gateway_zmtp::subscription::SubscriptionChange;

use crate::core::Event;
use crate::engine::error::EngineError;
use crate::engine::libzmq::data::{BUDGET, Libzmq, SideReady, receive, receive_frame};
use crate::engine::role::Role;
use crate::peer::Headcount;

impl Libzmq {
    /// Reports the publishers and the subscribers of new channels to the core. All publishers of a
    /// channel count as one peer as long as their socket exists, and so do all subscribers. The
    /// reason is that libzmq does not report which subscriptions belonged to a connection that
    /// closes.
    pub(super) fn introduce_sides(&mut self, now: Duration) {
        let sides = self.links.sides.iter();
        let new = sides.filter(|(_, side)| side.peer.is_none());
        let new: Vec<Role> = new.map(|(role, _)| *role).collect();
        for role in new {
            let peer = self.links.number();
            let event = match role {
                Role::Publishers(channel) => Event::PublisherConnected {
                    peer,
                    channel,
                    headcount: Headcount::Unknown,
                    // libzmq reports neither the identity nor the address of a publisher.
                    identity: Vec::new(),
                },
                Role::Subscribers(channel) => Event::SubscriberConnected {
                    peer,
                    channel,
                    headcount: Headcount::Unknown,
                    name: Arc::default(),
                },
                Role::Frontend(_) | Role::Pool(_) => continue,
            };
            if let Some(side) = self.links.sides.get_mut(&role) {
                side.peer = Some(peer);
            }
            self.core.on(now, event, &mut self.links);
        }
    }

    pub(super) fn serve_side(
        &mut self,
        role: Role,
        ready: &SideReady,
        now: Duration,
    ) -> Result<(), EngineError> {
        if let Some(side) = self.links.sides.get_mut(&role).filter(|_| ready.monitor) {
            side.monitor.update();
        }
        if !ready.readable {
            return Ok(());
        }
        match role {
            Role::Publishers(_) => self.drain_publishers(role, now),
            Role::Subscribers(_) => self.drain_subscribers(role, now),
            Role::Frontend(_) | Role::Pool(_) => Ok(()),
        }
    }

    fn drain_publishers(&mut self, role: Role, now: Duration) -> Result<(), EngineError> {
        // One frame over the limit is kept, so that the core notices a message with too many
        // frames.
        let keep = self.snapshot.limits.frames + 1;
        self.links.allowance = BUDGET;
        while self.links.allowance > 0 {
            self.links.allowance -= 1;
            let side = self.links.sides.get(&role).filter(|side| !side.is_paused);
            let Some((side, peer)) = side.and_then(|side| Some((side, side.peer?))) else {
                break;
            };
            let Some(frames) = receive(&side.socket, keep)? else {
                break;
            };
            self.links.counters.messages_in += 1;
            self.core
                .on(now, Event::Message { peer, frames }, &mut self.links);
            self.report_events(now);
        }
        Ok(())
    }

    /// Takes the frames of subscribers one by one. libzmq treats each frame in the form of a
    /// subscription as a subscription, even within a message, and omits a subscription that changes
    /// nothing. The last frame of a message may therefore never arrive.
    fn drain_subscribers(&mut self, role: Role, now: Duration) -> Result<(), EngineError> {
        self.links.allowance = BUDGET;
        while self.links.allowance > 0 {
            self.links.allowance -= 1;
            let side = self.links.sides.get(&role);
            let Some((side, peer)) = side.and_then(|side| Some((side, side.peer?))) else {
                break;
            };
            let Some(frame) = receive_frame(&side.socket)? else {
                break;
            };
            let change = SubscriptionChange::of_frame(&frame);
            let event = match change.map(|(change, prefix)| (change, prefix.to_vec())) {
                Some((SubscriptionChange::Subscribe, prefix)) => Event::Subscribe { peer, prefix },
                Some((SubscriptionChange::Cancel, prefix)) => Event::Cancel { peer, prefix },
                None => {
                    self.links.counters.messages_in += 1;
                    let frames = vec![frame];
                    Event::Message { peer, frames }
                }
            };
            self.core.on(now, event, &mut self.links);
            self.report_events(now);
        }
        Ok(())
    }
}
