//! The time that a compile may take.
//!
//! It is looked at all along, not between files only, so that no single file can exceed it, whatever
//! its shape. Who finds that the time is up unwinds to where the file was taken up; a step is told here,
//! and not handed down, as everything that reads a file takes some.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// Steps from one look at the clock to the next. A step is a token, a name, an option or the like:
/// microseconds, or some milliseconds where a file is made to be slow.
const STEPS: u32 = 128;

thread_local! {
    /// When the work on this thread must have ended.
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Steps since the last look.
    static TAKEN: Cell<u32> = const { Cell::new(0) };
}

/// What is unwound with, when the time is up.
pub(super) struct Late;

/// Does `work`, which its steps end at `end`. Err: [`Late`], or what it panicked with.
pub(super) fn until<T>(end: Instant, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let outer = END.replace(Some(end));
    let done = catch_unwind(AssertUnwindSafe(work));
    END.set(outer);
    done
}

/// One step of a loop that a file's text can make long.
pub(super) fn step() {
    let taken = TAKEN.get() + 1;
    TAKEN.set(taken % STEPS);
    if taken == STEPS && END.get().is_some_and(|end| Instant::now() >= end) {
        // No panic: nothing is wrong, and nobody's hook is to tell of it.
        resume_unwind(Box::new(Late));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;
    use crate::parser::parse;

    fn is_late<T>(work: impl FnOnce() -> T) -> bool {
        until(Instant::now(), work).is_err_and(|by| by.is::<Late>())
    }

    #[test]
    fn what_takes_many_steps_ends_and_what_takes_few_does_not() {
        let long = "message M {} ".repeat(STEPS as usize);
        assert!(is_late(|| tokens(&long)));
        assert!(is_late(|| parse("a.proto", &long)));
        assert!(!is_late(|| tokens("message M {}")));
    }

    #[test]
    fn a_panic_is_no_lateness_and_the_end_is_forgotten() {
        let by = until(Instant::now(), || resume_unwind(Box::new("x"))).map(|(): ()| ());
        assert!(!by.unwrap_err().is::<Late>());
        (0..STEPS * 2).for_each(|_| step());
    }
}
