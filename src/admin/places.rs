//! The connections of the admin listener. Their number is bounded: at the bound, a new connection
//! closes the oldest one that is not answering a request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::{AbortHandle, JoinHandle};

/// The state of a connection: answering a request, or not.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicBool>);

impl Activity {
    /// Marks the start of an answer, which ends when the guard is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.store(true, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn is_answering(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A guard for an answer in progress.
#[derive(Debug)]
pub(super) struct Answering(Activity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Relaxed);
    }
}

/// A connection that may still be open.
#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    activity: Activity,
}

/// The connections, the oldest first.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    connections: Mutex<VecDeque<Connection>>,
}

impl Connections {
    /// Returns an empty list with room for `most` connections.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            connections: Mutex::default(),
        }
    }

    /// Starts a connection with `spawn`, and closes another if there are too many.
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

    /// Closes the oldest connection that is not answering a request, or the oldest of all if all
    /// are.
    pub(super) fn close_oldest(&self) {
        let mut connections = self.lock();
        connections.retain(|connection| !connection.task.is_finished());
        close_one(&mut connections);
    }

    /// Locks the list, even if the lock is poisoned, because no panic can leave the list
    /// inconsistent.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Closes the oldest connection that is not answering a request, or the oldest of all if all are.
fn close_one(connections: &mut VecDeque<Connection>) {
    let idle = connections
        .iter()
        .position(|connection| !connection.activity.is_answering());
    if let Some(connection) = connections.remove(idle.unwrap_or(0)) {
        connection.task.abort();
    }
}
