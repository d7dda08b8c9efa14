//! The workers that can take a request, in the order in which they are chosen: the least busy
//! first. Workers of equal load come in the order in which they got this load. A worker that has
//! had its turn moves to the end, even if its load stays the same.
//!
//! Each load has a lane, which is a linked list of seats. Adding, removing and finding the first
//! worker therefore take a few steps, however many workers there are. These operations happen with
//! every message.

/// The value that means "no seat" or "no load".
const NONE: u32 = u32::MAX;

/// The position of a worker among the free workers of the same load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FreePosition {
    /// The worker keeps its position.
    Kept,
    /// The worker moves to the end.
    Last,
}

/// The free workers, by load.
#[derive(Debug, Default)]
pub(super) struct Free {
    seats: Vec<Links>,
    /// The seats of workers that have disconnected.
    empty: Vec<usize>,
    lanes: Vec<Lane>,
    /// A load below which no lane has a worker.
    lowest: usize,
}

/// A worker's links in its lane.
#[derive(Debug)]
struct Links {
    /// The load of the worker, which decides its lane, or [`NONE`] if the worker is not free.
    load: u32,
    /// The seat of the previous worker in the lane, or [`NONE`].
    before: u32,
    /// The seat of the next worker in the lane, or [`NONE`].
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    first: u32,
    last: u32,
}

impl Free {
    /// Adds a worker, which is not free yet. Returns its seat.
    pub(super) fn add(&mut self) -> usize {
        let links = Links {
            load: NONE,
            before: NONE,
            after: NONE,
        };
        match self.empty.pop() {
            Some(at) => {
                self.seats[at] = links;
                at
            }
            None => {
                self.seats.push(links);
                self.seats.len() - 1
            }
        }
    }

    /// Removes a worker that has disconnected.
    pub(super) fn leave(&mut self, seat: usize) {
        self.unlink(seat);
        self.empty.push(seat);
    }

    /// Returns whether this worker is free.
    pub(super) fn has(&self, seat: usize) -> bool {
        self.seats[seat].load != NONE
    }

    /// Sets the load of a worker. `load` is `None` if the worker is not free. `position` matters
    /// only if the load stays the same, because a new load always puts the worker last.
    pub(super) fn set(&mut self, seat: usize, load: Option<usize>, position: FreePosition) {
        let load = load.map_or(NONE, |load| load as u32);
        if self.seats[seat].load == load && position == FreePosition::Kept {
            return;
        }
        self.unlink(seat);
        if load != NONE {
            self.link(seat, load);
        }
    }

    /// Returns the seat of the worker that is chosen next, or `None` if no worker is free.
    pub(super) fn first(&mut self) -> Option<usize> {
        while let Some(lane) = self.lanes.get(self.lowest) {
            if lane.first != NONE {
                return Some(lane.first as usize);
            }
            self.lowest += 1;
        }
        None
    }

    /// Returns the seats of all free workers, in the order in which they are chosen.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let lanes = self.lanes.get(self.lowest..).unwrap_or_default();
        lanes.iter().flat_map(move |lane| {
            let linked = |seat: u32| (seat != NONE).then_some(seat as usize);
            std::iter::successors(linked(lane.first), move |seat| {
                linked(self.seats[*seat].after)
            })
        })
    }

    fn link(&mut self, seat: usize, load: u32) {
        let index = load as usize;
        if self.lanes.len() <= index {
            let empty = Lane {
                first: NONE,
                last: NONE,
            };
            self.lanes.resize(index + 1, empty);
        }
        let lane = &mut self.lanes[index];
        let before = std::mem::replace(&mut lane.last, seat as u32);
        match self.seats.get_mut(before as usize) {
            Some(before) => before.after = seat as u32,
            None => lane.first = seat as u32,
        }
        self.seats[seat] = Links {
            load,
            before,
            after: NONE,
        };
        self.lowest = self.lowest.min(index);
    }

    fn unlink(&mut self, seat: usize) {
        let links = &mut self.seats[seat];
        if links.load == NONE {
            return;
        }
        let Links {
            load,
            before,
            after,
        } = *links;
        links.load = NONE;
        let lane = &mut self.lanes[load as usize];
        match self.seats.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => lane.first = after,
        }
        match self.seats.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => lane.last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_seats_agree_with_a_sorted_list() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut free = Free::default();
        // The model has (load, step in which the worker got this load, seat), in the order in which
        // the workers are chosen.
        let mut model: Vec<(usize, u64, usize)> = Vec::new();
        let seats: Vec<usize> = (0..8).map(|_| free.add()).collect();
        for step in 0..20_000 {
            let seat = seats[random.usize(..seats.len())];
            let load = random.bool().then(|| random.usize(..4));
            let position = if random.u8(..4) == 0 {
                FreePosition::Last
            } else {
                FreePosition::Kept
            };
            let before = model.iter().position(|entry| entry.2 == seat);
            let is_unchanged =
                before.map(|at| model[at].0) == load && position == FreePosition::Kept;
            if !is_unchanged {
                model.retain(|entry| entry.2 != seat);
                model.extend(load.map(|load| (load, step, seat)));
                model.sort_unstable();
            }
            free.set(seat, load, position);
            assert_eq!(free.has(seat), load.is_some());
            assert_eq!(free.first(), model.first().map(|entry| entry.2));
            assert!(
                free.iter().eq(model.iter().map(|entry| entry.2)),
                "step {step}"
            );
        }
    }

    #[test]
    fn the_seat_of_a_former_worker_is_reused() {
        let mut free = Free::default();
        let seat = free.add();
        free.set(seat, Some(3), FreePosition::Kept);
        free.leave(seat);
        assert_eq!(free.first(), None);
        assert_eq!(free.add(), seat);
        assert!(!free.has(seat));
    }
}
