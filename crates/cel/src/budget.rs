//! The bound on what an evaluation costs.

use crate::error::ErrorKind;

/// Bytes that one step looks at or copies.
const STEP_BYTES: usize = 32;

/// The steps and the memory that an evaluation may still take.
///
/// A step is a node of the expression that is evaluated, an element that is visited, or some bytes that
/// are looked at: some 5 to 50 ns on today's machines. Memory counts what the evaluation allocates,
/// also what it gives back before it ends. Both are counted as the evaluation runs, never estimated.
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

    /// Returns the steps that are left.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the bytes of memory that are left.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes `steps` steps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Budget`] if fewer are left; then none are left afterwards.
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

    /// Takes the steps that looking at `bytes` bytes costs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Budget`] if fewer are left; then none are left afterwards.
    pub fn look_at(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        self.take_steps((bytes / STEP_BYTES) as u64)
    }

    /// Takes `bytes` bytes of memory, and the steps to write them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Budget`] if fewer are left; then none are left afterwards.
    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        self.look_at(bytes)?;
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
