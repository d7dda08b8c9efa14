//! The time that a compile may take, handed down to everything that reads a file.
//!
//! The clock is looked at within each loop that a file's text can make long, not only between files,
//! so that no single file can exceed the time, whatever its shape. Such a loop takes a
//! [`step`](Budget::step) for each round and ends with [`OutOfTime`] as soon as one fails. From then on
//! every step fails: where a loop can't return an error (in the middle of wording a diagnostic, or in
//! the parser, for which the text then ends), whoever started the work learns it from
//! [`held`](Budget::held) and discards what was made.

use std::cell::Cell;
use std::time::Instant;

/// Steps from one look at the clock to the next. A step is a token, a name, an option or the like:
/// microseconds, or some milliseconds where a file is made to be slow.
const STEPS: u32 = 128;

/// The time for a compile has passed. What was made so far is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutOfTime;

/// A span of time that work may take.
#[derive(Debug)]
pub(super) struct Budget {
    /// When the work must have ended; none if it may take any time.
    end: Option<Instant>,
    /// Steps before the next look at the clock; 0 once a look found the time over.
    left: Cell<u32>,
}

impl Budget {
    /// Returns a budget that lasts until `end`.
    pub fn until(end: Instant) -> Self {
        Self {
            end: Some(end),
            left: Cell::new(STEPS),
        }
    }

    /// Returns a budget that never ends, for work that no user's text makes long.
    pub fn unlimited() -> Self {
        Self {
            end: None,
            left: Cell::new(STEPS),
        }
    }

    /// Takes one step of a loop that a file's text can make long.
    pub fn step(&self) -> Result<(), OutOfTime> {
        match self.left.get() {
            0 => Err(OutOfTime),
            1 => self.look(),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }

    /// Looks at the clock.
    #[cold]
    pub fn look(&self) -> Result<(), OutOfTime> {
        let is_over = self.end.is_some_and(|end| Instant::now() >= end);
        self.left.set(if is_over { 0 } else { STEPS });
        self.held()
    }

    /// Returns an error if a step or look has found the time over.
    pub fn held(&self) -> Result<(), OutOfTime> {
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
    fn long_work_ends_and_short_work_does_not() {
        let long = "message M {} ".repeat(STEPS as usize);
        assert_eq!(tokens(&long, &over()).err(), Some(OutOfTime));
        assert!(matches!(
            parse("a.proto", &long, &over()),
            Err(ParseError::OutOfTime)
        ));
        assert!(tokens("message M {}", &over()).is_ok());
    }

    #[test]
    fn a_parser_ends_where_the_time_does() {
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
            let text = head.to_owned() + &part.repeat(STEPS as usize);
            let lexed = tokens(&text, &Budget::unlimited()).unwrap();
            let parsed = parse_tokens("a.proto", &text, lexed, &over());
            assert!(matches!(parsed, Err(ParseError::OutOfTime)), "{text:.40}");
        }
    }

    #[test]
    fn once_over_it_stays_over() {
        let budget = over();
        assert!((1..STEPS).all(|_| budget.step().is_ok()));
        assert_eq!(budget.held(), Ok(()));
        assert!((0..STEPS * 2).all(|_| budget.step().is_err()));
        assert_eq!(budget.held(), Err(OutOfTime));
    }

    #[test]
    fn an_unlimited_budget_never_ends() {
        let budget = Budget::unlimited();
        assert!((0..STEPS * 2).all(|_| budget.step().is_ok()));
        assert_eq!(budget.look(), Ok(()));
    }
}
