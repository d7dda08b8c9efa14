//! The time that a compile may take, passed to every function that reads a file.
//!
//! The clock is read within each loop that a file's text can make long, not only between files. No
//! single file can therefore exceed the time, whatever its content. Such a loop takes a
//! [`step`](Budget::step) for each round and ends with [`OutOfTime`] as soon as a step fails. From
//! then on, every step fails. Some loops cannot return an error: a diagnostic that is being
//! composed is cut short, and the parser sees the end of the text. In both cases, the caller that
//! started the work calls [`check`](Budget::check), and discards the result if the time is over.

use std::cell::Cell;
use std::time::Instant;

/// The number of steps between two readings of the clock. A step handles a token, a name, an option
/// or the like. It takes microseconds, or a few milliseconds if a file is crafted to be slow.
const STEPS_PER_READING: u32 = 128;

/// The error of a compile whose time is over. The result so far is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfTime;

/// The time that work may take.
#[derive(Debug)]
pub(super) struct Budget {
    /// The time at which the work must end, or `None` if it may take any time.
    end: Option<Instant>,
    /// The number of steps before the clock is read again; 0 once the time is over.
    left: Cell<u32>,
}

impl Budget {
    /// Returns a budget that ends at `end`.
    pub(crate) fn until(end: Instant) -> Self {
        Self {
            end: Some(end),
            left: Cell::new(STEPS_PER_READING),
        }
    }

    /// Returns a budget that never ends, for work that does not depend on a user's text.
    pub(crate) fn unlimited() -> Self {
        Self {
            end: None,
            left: Cell::new(STEPS_PER_READING),
        }
    }

    /// Takes one step of a loop that a file's text can make long. Returns an error if the time is
    /// over. The clock is read once in every [`STEPS_PER_READING`] steps.
    pub(crate) fn step(&self) -> Result<(), OutOfTime> {
        match self.left.get() {
            0 => Err(OutOfTime),
            1 => self.read_clock(),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }

    /// Reads the clock, and returns an error if the time is over.
    #[cold]
    pub(crate) fn read_clock(&self) -> Result<(), OutOfTime> {
        let is_over = self.end.is_some_and(|end| Instant::now() >= end);
        self.left.set(if is_over { 0 } else { STEPS_PER_READING });
        self.check()
    }

    /// Returns an error if an earlier call has found that the time is over. Does not read the
    /// clock.
    pub(crate) fn check(&self) -> Result<(), OutOfTime> {
        match self.left.get() {
            0 => Err(OutOfTime),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;
    use crate::parser::{ParseError, parse, parse_tokens};

    fn over() -> Budget {
        Budget::until(Instant::now())
    }

    #[test]
    fn long_work_is_cut_short_and_short_work_completes() {
        let long = "message M {} ".repeat(STEPS_PER_READING as usize);
        assert_eq!(tokens(&long, &over()).err(), Some(OutOfTime));
        assert!(matches!(
            parse("a.proto", &long, &over()),
            Err(ParseError::OutOfTime)
        ));
        assert!(tokens("message M {}", &over()).is_ok());
    }

    #[test]
    fn a_parser_stops_when_its_budget_ends() {
        for (head, part) in [
            ("", "message M { } "),
            ("message M { oneof o { ", "int32 a = 1; "),
            ("message M { reserved 1", ", 1"),
            ("enum E { ", "A = 0; "),
            ("extend M { ", "optional int32 a = 1; "),
            ("service S { ", "rpc R (M) returns (M); "),
            ("option a", ".a"),
            ("option (o) = { ", "a { } "),
            ("option (o) = { a: [ 1", ", 1"),
        ] {
            let text = head.to_owned() + &part.repeat(STEPS_PER_READING as usize);
            let lexed = tokens(&text, &Budget::unlimited()).unwrap();
            let parsed = parse_tokens("a.proto", &text, lexed, &over());
            assert!(matches!(parsed, Err(ParseError::OutOfTime)), "{text:.40}");
        }
    }

    #[test]
    fn a_budget_that_has_ended_stays_ended() {
        let budget = over();
        assert!((1..STEPS_PER_READING).all(|_| budget.step().is_ok()));
        assert_eq!(budget.check(), Ok(()));
        assert!((0..STEPS_PER_READING * 2).all(|_| budget.step().is_err()));
        assert_eq!(budget.check(), Err(OutOfTime));
    }

    #[test]
    fn an_unlimited_budget_never_ends() {
        let budget = Budget::unlimited();
        assert!((0..STEPS_PER_READING * 2).all(|_| budget.step().is_ok()));
        assert_eq!(budget.read_clock(), Ok(()));
    }
}
