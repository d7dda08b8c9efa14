//! The requests that a worker holds. Each has a place, by which it is removed without a look-up.

/// A request's place among the requests that its worker holds. The place is valid until the request
/// is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldAt(u32);

impl HeldAt {
    /// The place of a request that no worker holds.
    pub(super) const NOWHERE: Self = Self(u32::MAX);
}

/// The numbers of the requests that a worker holds, by place.
#[derive(Debug, Default)]
pub(super) struct Held {
    places: Vec<Option<u64>>,
    /// The places without a request.
    empty: Vec<u32>,
}

impl Held {
    /// Returns the number of requests.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// Returns whether the worker holds no request.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a request, and returns its place.
    pub(super) fn insert(&mut self, number: u64) -> HeldAt {
        match self.empty.pop() {
            Some(at) => {
                self.places[at as usize] = Some(number);
                HeldAt(at)
            }
            None => {
                self.places.push(Some(number));
                HeldAt(self.places.len() as u32 - 1)
            }
        }
    }

    /// Removes a request. Returns false if the place does not have this request.
    pub(super) fn remove(&mut self, HeldAt(at): HeldAt, number: u64) -> bool {
        let place = self.places.get_mut(at as usize);
        let held = place.is_some_and(|place| place.take_if(|held| *held == number).is_some());
        if held {
            self.empty.push(at);
        }
        held
    }

    /// Returns the numbers of all requests, oldest first.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.places.iter().flatten().copied().collect();
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_held_request_is_removed_once_by_its_place() {
        let mut held = Held::default();
        let at: Vec<HeldAt> = [5, 6, 7].map(|number| held.insert(number)).into();
        assert!(held.remove(at[1], 6));
        assert!(!held.remove(at[1], 6));
        assert!(!held.remove(at[0], 6));
        assert_eq!((held.len(), held.numbers()), (2, vec![5, 7]));
        // The place of request 6 belongs to another request now.
        assert_eq!(held.insert(8), at[1]);
        assert!(!held.remove(at[1], 6));
        assert_eq!(held.numbers(), [5, 7, 8]);
    }
}
