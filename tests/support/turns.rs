//! Turns of tests that must not run at the same time in one program.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits for this test's turn, which ends when the guard is dropped.
///
/// A test takes a turn for one of these reasons:
///
/// - It opens thousands of connections. Two such tests at once would exceed the limit of
///   descriptors.
/// - It keeps both cores busy.
/// - It asserts times of a few milliseconds.
/// - It measures its own process.
///
/// A failed test ends its turn, too.
pub fn take() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
