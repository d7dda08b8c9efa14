//! The sources of the data that the admin listener shows, and the handle by which it requests
//! reloads.

use std::sync::Arc;

use crate::engine::Observer;
use crate::panics::Panics;
use crate::reload::{SharedControlStatus, Wake};

/// The sources of the data that HTTP shows, and the handle that requests a reload.
#[derive(Clone, Debug)]
pub struct AdminSources {
    /// Requests samples from the data thread.
    pub observer: Observer,
    /// The state of the control plane.
    pub control_status: Arc<SharedControlStatus>,
    /// Requests a reload.
    pub wake: Wake,
    /// The number of panics of the process, which stays 0 if they are not counted.
    pub panics: Panics,
}
