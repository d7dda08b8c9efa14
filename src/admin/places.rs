//! The connections of the admin listener. Their number is bounded: at the bound, a new connection
//! closes an old one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::task::{AbortHandle, JoinHandle};

/// The present work of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Its first request has not arrived.
    New,
    /// It has answered a request. Its client may read the answer, or send another request.
    Idle,
    /// It answers a health check.
    Probe,
    /// It waits for the end of a reload, which may take long.
    Reload,
    /// It answers any other request.
    Page,
}

impl Activity {
    /// The activities in which a connection may be closed for a new one. The last one is preferred
    /// if several are equally common. Health checks are completed, since a sample ends them soon.
    const CLOSED: [Self; 4] = [Self::New, Self::Page, Self::Reload, Self::Idle];

    /// Returns the activity of a connection that answers a request for this path.
    pub(super) fn of_path(path: &[u8]) -> Self {
        match path {
            b"/healthz" | b"/readyz" => Self::Probe,
            b"/reload" => Self::Reload,
            _ => Self::Page,
        }
    }
}

/// The activity of a connection, which its task sets and the list of connections reads.
#[derive(Clone, Debug)]
pub(super) struct SharedActivity(Arc<AtomicUsize>);

impl SharedActivity {
    fn new(activity: Activity) -> Self {
        Self(Arc::new(AtomicUsize::new(activity as usize)))
    }

    /// Marks the start of an answer, which ends when the guard is dropped.
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
    /// All connections answer health checks, and the first of them ends soon.
    Soon,
    /// The new connection requests a page, as most connections do.
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

    /// Returns whether a connection that begins with this activity has room, after closing another
    /// if there are too many.
    pub(super) fn room_for(&self, begins: Activity) -> Room {
        let mut connections = self.lock();
        if connections.len() >= self.most {
            connections.retain(|connection| !connection.task.is_finished());
        }
        if connections.len() < self.most {
            return Room::Free;
        }
        match most_common(&connections) {
            None => Room::Soon,
            // Otherwise each of these requests would be closed for the next before its answer.
            Some(Activity::Page) if begins == Activity::Page => Room::Refused,
            Some(activity) => {
                close_oldest(&mut connections, activity);
                Room::Free
            }
        }
    }

    /// Starts a connection with `spawn` that begins with this activity and has room.
    pub(super) fn take(
        &self,
        begins: Activity,
        spawn: impl FnOnce(SharedActivity) -> JoinHandle<()>,
    ) {
        let activity = SharedActivity::new(begins);
        let task = spawn(activity.clone()).abort_handle();
        self.lock().push_back(Connection { task, activity });
    }

    /// Closes a connection, to free its descriptor.
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
/// The oldest connection of that activity makes room for a new one, so a flood of similar
/// connections closes its own: other connections have time to send a request, and other answers
/// are completed.
fn most_common(connections: &VecDeque<Connection>) -> Option<Activity> {
    let count = |activity: &Activity| {
        let similar = connections
            .iter()
            .filter(|connection| connection.activity.is(*activity));
        similar.count()
    };
    let most_common = Activity::CLOSED.into_iter().max_by_key(count);
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

    const MOST: usize = 8;

    /// Adds connections that begin with this activity and last until they are closed. Returns the
    /// room for the last.
    fn add(places: &Connections, begins: Activity, count: usize) -> Room {
        let rooms = (0..count).map(|_| {
            let room = places.room_for(begins);
            if room == Room::Free {
                places.take(begins, |_| tokio::spawn(std::future::pending()));
            }
            room
        });
        rooms.last().unwrap()
    }

    /// Asserts the numbers of connections that are new, answer health checks, and answer others.
    fn has(places: &Connections, numbers: [usize; 3]) {
        let present = places.lock();
        let count = |activity| {
            present
                .iter()
                .filter(|connection| connection.activity.is(activity))
                .count()
        };
        let found = [Activity::New, Activity::Probe, Activity::Page].map(count);
        assert_eq!(found, numbers);
    }

    #[test]
    fn a_flood_of_connections_closes_its_own() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        // Requests: a connection whose request has not arrived yet stays, and so does an answer.
        let places = Connections::new(MOST);
        add(&places, Activity::New, 1);
        assert_eq!(add(&places, Activity::Page, 100), Room::Refused);
        has(&places, [1, 0, MOST - 1]);
        assert_eq!(add(&places, Activity::Probe, 1), Room::Free);
        has(&places, [1, 1, MOST - 2]);
        // Silent connections.
        let places = Connections::new(MOST);
        add(&places, Activity::Page, 1);
        add(&places, Activity::Probe, 1);
        assert_eq!(add(&places, Activity::New, 100), Room::Free);
        has(&places, [MOST - 2, 1, 1]);
        // Health checks.
        assert_eq!(add(&places, Activity::Probe, 100), Room::Soon);
        has(&places, [0, MOST, 0]);
        assert_eq!(add(&places, Activity::New, 1), Room::Soon);
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
