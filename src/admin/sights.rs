//! Everything that the admin listener shows and does.

use std::sync::Arc;

use crate::engine::Observer;
use crate::panics::Panics;
use crate::reload::{Standing, Wake};

/// The sources of what is shown over HTTP, and the way to ask for a reload.
#[derive(Clone, Debug)]
pub struct Sights {
    /// Asks the data thread for samples.
    pub observer: Observer,
    /// The state of the control plane.
    pub standing: Arc<Standing>,
    /// Asks for a reload.
    pub wake: Wake,
    /// The panics of the process, if they are counted.
    pub panics: Panics,
}
