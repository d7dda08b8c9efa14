//! A snapshot as the data thread holds it.

use std::ops::Deref;
use std::sync::Arc;

use crate::snapshot::Snapshot;

/// The snapshot in force, or one in force when a request arrived. Every request shares it through an `Rc`,
/// since an atomic counter would cost a request more than most of its steps.
#[derive(Debug)]
pub(super) struct Current(pub(super) Arc<Snapshot>);

impl Deref for Current {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}
