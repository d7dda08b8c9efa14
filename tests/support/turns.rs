//! Turns of tests that must not run at the same time in one program.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits for this test's turn, which ends when the guard is dropped.
///
/// A test takes a turn if it opens thousands of connections, which together would exceed the limit
/// of descriptors; if it keeps both cores busy; if it asserts times of a few milliseconds; or if it
/// measures its own process. A failed test ends its turn, too.
pub fn take() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
