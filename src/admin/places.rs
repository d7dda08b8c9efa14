//! The connections of the admin listener: a bounded number, of which the one that has been silent or slow for longest
//! makes way for the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::{AbortHandle, JoinHandle};

/// Whether a request of a connection is being answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicBool>);

impl Activity {
    /// Begins an answer, which ends when the guard is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.store(true, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn is_answering(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An answer that is being made.
#[derive(Debug)]
pub(super) struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// A connection that has not ended, as far as is known.
#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    activity: Activity,
}

/// The connections, the oldest first.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    connections: Mutex<VecDeque<Connection>>,
}

impl Places {
    /// Returns room for `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            connections: Mutex::default(),
        }
    }

    /// Starts a connection with `spawn`, for which another makes way if there are too many.
    pub(super) fn take(&self, spawn: impl FnOnce(Activity) -> JoinHandle<()>) {
        let mut connections = self.lock();
        if connections.len() >= self.most {
            connections.retain(|connection| !connection.task.is_finished());
        }
        if connections.len() >= self.most {
            close_one(&mut connections);
        }
        let activity = Activity::default();
        let task = spawn(activity.clone()).abort_handle();
        connections.push_back(Connection { task, activity });
    }

    /// Closes the connection that has been silent or slow for longest.
    pub(super) fn close_oldest(&self) {
        let mut connections = self.lock();
        connections.retain(|connection| !connection.task.is_finished());
        close_one(&mut connections);
    }

    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Closes the oldest connection without a request that is being answered; where there is none, the oldest.
fn close_one(connections: &mut VecDeque<Connection>) {
    let idle = connections
        .iter()
        .position(|connection| !connection.activity.is_answering());
    if let Some(connection) = connections.remove(idle.unwrap_or(0)) {
        connection.task.abort();
    }
}
