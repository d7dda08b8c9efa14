//! The replaced snapshots under which requests may still be checked.

use std::sync::Arc;

/// A list that keeps each snapshot until it has no other owner. The last owner is therefore never
/// the data thread, which would free thousands of schemas between two messages.
#[derive(Debug)]
pub(super) struct Past<T>(Vec<Arc<T>>);

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Past<T> {
    /// Keeps a snapshot that was replaced.
    pub(super) fn keep(&mut self, replaced: Arc<T>) {
        self.0.push(replaced);
    }

    /// Returns whether every replaced snapshot has been freed.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Frees the snapshots that have no other owner. Such a snapshot cannot get another owner
    /// again.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|kept| Arc::strong_count(kept) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use super::*;

    /// A value that reports the thread on which it is dropped.
    struct DropReporter(std::sync::mpsc::Sender<ThreadId>);

    impl Drop for DropReporter {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[test]
    fn a_sweep_frees_a_snapshot_that_another_thread_released_last() {
        let (sender, reported) = std::sync::mpsc::channel();
        let mut past = Past::default();
        let old = Arc::new(DropReporter(sender));
        past.keep(Arc::clone(&old));
        past.sweep();
        assert!(reported.try_recv().is_err(), "freed while in use");
        thread::spawn(move || drop(old)).join().unwrap();
        assert!(reported.try_recv().is_err(), "freed by its last user");
        past.sweep();
        assert_eq!(reported.try_recv(), Ok(thread::current().id()));
    }
}
