//! A snapshot in the form that the data thread holds.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::deadline::{Deadlines, Timeout};
use crate::route::{ByPlace, RoutePlace};
use crate::snapshot::{Route, Snapshot};

/// The snapshot in force, or an earlier snapshot that open requests still use. Requests share a
/// snapshot through an `Rc`, because an atomic counter costs more than most steps of a request.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) shared: Arc<Snapshot>,
    timeouts: ByPlace<Option<Rc<Timeout>>>,
}

impl Current {
    /// Returns a snapshot with the timeouts of its routes, which belong to `deadlines`.
    pub(super) fn new(snapshot: Arc<Snapshot>, deadlines: &mut Deadlines) -> Self {
        let timeout = |route: &Arc<Route>| route.timeout.map(|after| deadlines.timeout(after));
        let timeouts = snapshot.routes.map(timeout);
        Self {
            shared: snapshot,
            timeouts,
        }
    }

    /// Returns the timeout of a route of this snapshot, or `None` for a route without a timeout.
    #[inline]
    pub(super) fn timeout(&self, route: RoutePlace) -> Option<&Timeout> {
        self.timeouts.at(route).as_deref()
    }
}

impl Deref for Current {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.shared
    }
}
