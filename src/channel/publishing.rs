//! Publishes a message: sends it to the subscribers whose connections have room, and adds it to the
//! queues of the other subscribers and to the kept messages.

use std::rc::Rc;
use std::time::Duration;

use super::Channel;
use super::delivery::{Delivery, Publication};
use super::post::Post;
use super::prefix_index::SubscriberId;
use super::waiting::Added;
use crate::frame::Frames;
use crate::snapshot::Keep;

impl<M: Frames> Channel<M> {
    /// Sends a message to every subscriber with a matching prefix. The first frame begins with a
    /// type of `kind_length` bytes. `generation` is the generation of the configuration by which
    /// the message was checked.
    pub(crate) fn publish(
        &mut self,
        body: M,
        kind_length: usize,
        (now, generation): (Duration, u64),
        delivery: &mut impl Delivery<M>,
    ) -> Publication {
        self.published += 1;
        self.counters.published += 1;
        let mut result = Publication::default();
        let mut late = Vec::new();
        let (number, mut matched) = (self.published, 0);
        let (subscribers, counters) = (&mut self.subscribers, &mut self.counters);
        let first = body.get(0).unwrap_or_default();
        let lookups = self.prefixes.matching(first, |id| {
            let Some(Some(subscriber)) = subscribers.get_mut(id.0) else {
                return;
            };
            if subscriber.last == number {
                return;
            }
            subscriber.last = number;
            subscriber.matched += 1;
            matched += 1;
            if subscriber.is_free() && delivery.send(subscriber.peer, &body) {
                subscriber.sent += 1;
                counters.sent += 1;
            } else {
                late.push(id);
            }
        });
        counters.matched += matched as u64;
        result.work = matched + lookups;
        let keeps = self.settings.keep != Keep::None;
        if !late.is_empty() || keeps {
            let post = Rc::new(Post::new(delivery.settle(body), kind_length));
            let bytes_max = delivery.bytes_max().min(self.settings.subscriber_bytes);
            for id in late {
                self.wait(id, &post, (now, bytes_max), &mut result);
            }
            if keeps {
                let mut bytes = self.settings.keep_bytes;
                if delivery.bytes_max() < u64::MAX {
                    // While memory is short, kept messages may take only the memory that they
                    // already take, but always as much memory as the queue of one subscriber.
                    bytes = bytes.min(self.kept.bytes().max(delivery.bytes_max()));
                }
                let keep = self.settings.keep;
                self.kept.add(&post, (now, generation), keep, bytes);
                self.trim_later(now);
            }
        }
        result
    }

    /// Queues a message for a subscriber, whose queue may take at most `bytes_max` bytes.
    fn wait(
        &mut self,
        id: SubscriberId,
        post: &Rc<Post<M>>,
        (now, bytes_max): (Duration, u64),
        to: &mut Publication,
    ) {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return;
        };
        if subscriber.is_free() {
            subscriber.took = now;
        }
        let waiting = &mut subscriber.backlog.waiting;
        let before = waiting.len() as u64;
        let (slow, memory) = (self.settings.slow, &mut self.waiting_bytes);
        let dropped = match waiting.add(post, slow, bytes_max, memory) {
            Added::Dropped(dropped) => dropped,
            Added::Overflow => {
                to.overflowed.push(subscriber.peer);
                1
            }
        };
        self.waiting = self.waiting + waiting.len() as u64 - before;
        subscriber.dropped += dropped;
        self.counters.dropped += dropped;
        to.work += dropped as usize;
        if dropped > 0 {
            to.slow.push((subscriber.peer, dropped));
        }
    }
}
