//! The memory that peers hold and may hold, under `limits.memory`.

use std::time::Duration;

use crate::engine::native::memory::Load;
use crate::engine::native::peers::Peers;
use crate::engine::native::peers::limits::SUBSCRIBER_ROOM;

impl Peers {
    /// Returns the number of queued bytes above which a subscriber receives no further message
    /// until its queue is shorter.
    pub(super) fn subscriber_room(&self) -> u64 {
        SUBSCRIBER_ROOM.min(self.memory.client_max())
    }

    /// Reports the memory in use to `self.memory`: the memory of the peers, and the `core` bytes of
    /// the core. Then updates the number of bytes of answers that a client may leave unread. If
    /// this number has grown enough, resumes reading from paused clients.
    pub(in crate::engine::native) fn weigh(&mut self, core: u64, now: Duration) {
        let load = Load {
            held: self.account + core,
            partial_bytes: self.partial_bytes,
            peers: self.count(),
        };
        self.memory.weigh(load, now);
        self.outbox_max = self.client_bytes.min(self.memory.client_max());
        self.outbox_low = self.outbox_low.min(self.outbox_max);
        let has_grown = self.outbox_max > self.outbox_low
            && (!self.memory.is_short() || self.outbox_max / 2 >= self.outbox_low);
        if has_grown {
            self.outbox_low = self.outbox_max;
            self.read_paused();
        }
    }

    /// Examines each paused connection again, and resumes reading from it unless there is still a
    /// reason for the pause.
    fn read_paused(&mut self) {
        if self.counters.paused == Some(0) {
            return;
        }
        let paused = self.all().filter(|connection| connection.is_paused());
        let paused: Vec<_> = paused.map(|connection| connection.peer()).collect();
        for peer in paused {
            self.queue(peer);
        }
    }

    /// Returns the time at which [`Self::weigh`] must be called even if no event happens, or `None`
    /// if the call can wait for the next event.
    pub(in crate::engine::native) fn weigh_due(&self) -> Option<Duration> {
        self.memory.due()
    }

    /// Returns whether more than half of the memory is taken, so that peers are read in small
    /// portions.
    pub(in crate::engine::native) fn is_short_of_memory(&self) -> bool {
        self.memory.is_short()
    }

    /// Returns whether there is no memory for another connection.
    pub(in crate::engine::native) fn is_out_of_memory(&self) -> bool {
        self.memory.is_full()
    }

    /// Returns the maximum number of bytes that all incomplete messages may take together.
    pub(in crate::engine::native) fn partial_max(&self) -> u64 {
        self.memory.partial_max()
    }
}
