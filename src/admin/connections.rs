//! The connections of the admin listener. Their number has a maximum. At the maximum, a new
//! connection closes an old connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::{AbortHandle, JoinHandle};

/// The current work of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// The first request has not arrived.
    New,
    /// A request has been answered. The client may read the answer, or send another request.
    Idle,
    /// A health check is being answered.
    Probe,
    /// The connection waits for the end of a reload, which may take long.
    Reload,
    /// Any other request is being answered.
    Page,
}

impl Activity {
    /// The activities in which a connection may be closed for a new connection. If several are
    /// equally common, the last of them in this list is preferred. Health checks are always
    /// completed, since the next sample from the data thread completes them soon.
    const CLOSABLE: [Self; 4] = [Self::New, Self::Page, Self::Reload, Self::Idle];

    /// Returns the activity of a connection that answers a request for this path.
    pub(super) fn of_path(path: &[u8]) -> Self {
        match path {
            b"/healthz" | b"/readyz" => Self::Probe,
            b"/reload" => Self::Reload,
            _ => Self::Page,
        }
    }
}

/// The activity of a connection. The task of the connection sets it, and [`Connections`] reads it.
#[derive(Clone, Debug)]
pub(super) struct SharedActivity(Arc<AtomicUsize>);

impl SharedActivity {
    fn new(activity: Activity) -> Self {
        Self(Arc::new(AtomicUsize::new(activity as usize)))
    }

    /// Marks the start of an answer. Dropping the returned guard marks its end.
    pub(super) fn begin(&self, activity: Activity) -> Answering {
        self.0.store(activity as usize, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn is(&self, activity: Activity) -> bool {
        self.0.load(Ordering::Relaxed) == activity as usize
    }
}

/// A guard for an answer in progress.
#[derive(Debug)]
pub(super) struct Answering(SharedActivity);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.store(Activity::Idle as usize, Ordering::Relaxed);
    }
}

/// The room for a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// There is no room yet, because all connections answer health checks. One of these answers is
    /// complete soon, and its connection may then be closed.
    Soon,
    /// There is no room. The new connection requests a page, and page requests are the most common
    /// activity of the open connections, too.
    Refused,
}

/// A connection that may still be open.
#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    activity: SharedActivity,
}

/// The connections, the oldest first.
#[derive(Debug)]
pub(super) struct Connections {
    connections_max: usize,
    connections: Mutex<VecDeque<Connection>>,
}

impl Connections {
    /// Returns an empty list with room for `connections_max` connections.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            connections: Mutex::default(),
        }
    }

    /// Returns the room for a connection that begins with the activity `first`. May close another
    /// connection to make room.
    pub(super) fn room_for(&self, first: Activity) -> Room {
        let mut connections = self.lock();
        if connections.len() >= self.connections_max {
            connections.retain(|connection| !connection.task.is_finished());
        }
        if connections.len() < self.connections_max {
            return Room::Free;
        }
        match most_common(&connections) {
            None => Room::Soon,
            // Otherwise, each connection that requests a page would be closed for the next
            // connection before its request is answered.
            Some(Activity::Page) if first == Activity::Page => Room::Refused,
            Some(activity) => {
                close_oldest(&mut connections, activity);
                Room::Free
            }
        }
    }

    /// Starts a connection with `spawn`. The connection begins with the activity `first`, and the
    /// caller has found room for it.
    pub(super) fn take(
        &self,
        first: Activity,
        spawn: impl FnOnce(SharedActivity) -> JoinHandle<()>,
    ) {
        let activity = SharedActivity::new(first);
        let task = spawn(activity.clone()).abort_handle();
        self.lock().push_back(Connection { task, activity });
    }

    /// Closes a connection to free its descriptor, unless all connections answer health checks.
    pub(super) fn close_one(&self) {
        let mut connections = self.lock();
        connections.retain(|connection| !connection.task.is_finished());
        if let Some(activity) = most_common(&connections) {
            close_oldest(&mut connections, activity);
        }
    }

    /// Locks the list, even if the lock is poisoned, because no panic can leave the list
    /// inconsistent.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Returns the most common activity of the connections that may be closed, or `None` if all
/// connections answer health checks.
///
/// The oldest connection of that activity makes room for a new connection. A flood of similar
/// connections therefore closes connections of the flood: other connections have time to send a
/// request, and other answers are completed.
fn most_common(connections: &VecDeque<Connection>) -> Option<Activity> {
    let count = |activity: &Activity| {
        let similar = connections
            .iter()
            .filter(|connection| connection.activity.is(*activity));
        similar.count()
    };
    let most_common = Activity::CLOSABLE.into_iter().max_by_key(count);
    most_common.filter(|activity| count(activity) > 0)
}

fn close_oldest(connections: &mut VecDeque<Connection>, activity: Activity) {
    let oldest = connections
        .iter()
        .position(|connection| connection.activity.is(activity));
    if let Some(connection) = oldest.and_then(|oldest| connections.remove(oldest)) {
        connection.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime;

    use super::*;

    const CONNECTIONS: usize = 8;

    /// Adds `count` connections that begin with the activity `first` and stay open. Returns the
    /// room for the last of them.
    fn add(connections: &Connections, first: Activity, count: usize) -> Room {
        let rooms = (0..count).map(|_| {
            let room = connections.room_for(first);
            if room == Room::Free {
                connections.take(first, |_| tokio::spawn(std::future::pending()));
            }
            room
        });
        rooms.last().unwrap()
    }

    /// Asserts the numbers of connections that are new, that answer a health check, and that answer
    /// the request of a page.
    fn assert_numbers(connections: &Connections, numbers: [usize; 3]) {
        let open = connections.lock();
        let count = |activity| {
            open.iter()
                .filter(|connection| connection.activity.is(activity))
                .count()
        };
        let found = [Activity::New, Activity::Probe, Activity::Page].map(count);
        assert_eq!(found, numbers);
    }

    #[test]
    fn a_flood_of_connections_closes_only_its_own_connections() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        // In a flood of page requests, a connection without a request stays open, and so do
        // connections with an answer in progress.
        let connections = Connections::new(CONNECTIONS);
        add(&connections, Activity::New, 1);
        assert_eq!(add(&connections, Activity::Page, 100), Room::Refused);
        assert_numbers(&connections, [1, 0, CONNECTIONS - 1]);
        assert_eq!(add(&connections, Activity::Probe, 1), Room::Free);
        assert_numbers(&connections, [1, 1, CONNECTIONS - 2]);
        // The next flood consists of silent connections.
        let connections = Connections::new(CONNECTIONS);
        add(&connections, Activity::Page, 1);
        add(&connections, Activity::Probe, 1);
        assert_eq!(add(&connections, Activity::New, 100), Room::Free);
        assert_numbers(&connections, [CONNECTIONS - 2, 1, 1]);
        // The next flood consists of health checks.
        assert_eq!(add(&connections, Activity::Probe, 100), Room::Soon);
        assert_numbers(&connections, [0, CONNECTIONS, 0]);
        assert_eq!(add(&connections, Activity::New, 1), Room::Soon);
    }

    #[test]
    fn an_answered_connection_is_idle() {
        let activity = SharedActivity::new(Activity::New);
        let answering = activity.begin(Activity::of_path(b"/healthz"));
        assert!(activity.is(Activity::Probe));
        drop(answering);
        assert!(activity.is(Activity::Idle));
    }
}
