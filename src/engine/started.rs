//! A started engine, and its handles.

use std::thread::JoinHandle;

use crate::engine::control::Control;
use crate::engine::error::EngineError;
use crate::engine::listening::BoundAddress;
use crate::engine::observer::Observer;
use crate::ledger::Ledger;

/// A started engine: its data thread, and the handles for other threads. `R` is the handle for
/// reloads.
pub(super) struct Started<R> {
    pub(super) listening: Vec<BoundAddress>,
    pub(super) control: Control,
    pub(super) reloader: R,
    pub(super) observer: Observer,
    pub(super) thread: JoinHandle<Result<Ledger, EngineError>>,
}
