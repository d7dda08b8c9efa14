//! The bound on the cost of an evaluation.

use crate::error::ErrorKind;

/// The number of bytes that one step reads or copies.
pub(crate) const STEP_BYTES: usize = 32;

/// The remaining steps and bytes of memory of an evaluation.
///
/// A step is the evaluation of one node of the expression, the visit of one element, or the reading
/// of 32 bytes. A step of a comparison of fields takes about 15 ns on today's machines, and the
/// slowest steps that were measured take about 150 ns. Memory counts everything that the evaluation
/// allocates, including memory that is freed before the end. Steps and memory are counted while the
/// evaluation runs, never estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    steps: u64,
    bytes: u64,
}

impl Budget {
    /// Returns a budget of `steps` steps and `bytes` bytes.
    pub const fn new(steps: u64, bytes: u64) -> Self {
        Self { steps, bytes }
    }

    /// Returns the number of remaining steps.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the number of remaining bytes of memory.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `steps` steps.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Budget`] if fewer than `steps` steps are left. After such an error,
    /// no steps are left.
    pub fn take_steps(&mut self, steps: u64) -> Result<(), ErrorKind> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(ErrorKind::Budget)
            }
        }
    }

    /// Takes the steps for reading `bytes` bytes.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Budget`] if too few steps are left. After such an error, no steps
    /// are left.
    pub fn take_steps_to_read(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        self.take_steps((bytes / STEP_BYTES) as u64)
    }

    /// Takes `bytes` bytes of memory, and the steps to write them.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Budget`] if too few steps are left, or else if too few bytes are
    /// left. After such an error, no steps are left in the first case, and no bytes in the second.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        self.take_steps_to_read(bytes)?;
        match self.bytes.checked_sub(bytes as u64) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => {
                self.bytes = 0;
                Err(ErrorKind::Budget)
            }
        }
    }
}
