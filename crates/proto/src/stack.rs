//! The thread that compilers run on, and the handling of their panics.

use std::any::Any;
use std::thread;

use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The stack size of the compilers' thread. No compiler receives a file that nests brackets deeper
/// than `NESTING_MAX` in `outline.rs`. A measurement of a debug build shows that the deepest
/// nesting uses a hundredth of this stack.
const STACK_BYTES: usize = 64 << 20;

/// Runs `work` on a thread with a stack that suffices for the deepest nesting that is compiled. If
/// `work` panics or the thread cannot start, adds a diagnostic and returns `None`.
pub fn on_a_large_stack<T: Send>(
    found: &mut Diagnostics,
    work: impl FnOnce(&mut Diagnostics) -> T + Send,
) -> Option<T> {
    let outcome = thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("proto-compiler".to_owned())
            .stack_size(STACK_BYTES);
        let work = || {
            let mut found = Diagnostics::new();
            let made = work(&mut found);
            (made, found)
        };
        match thread.spawn_scoped(scope, work) {
            Ok(thread) => thread.join().map_err(|panic| reason(&*panic)),
            Err(error) => Err(error.to_string()),
        }
    });
    match outcome {
        Ok((made, more)) => {
            found.append(more);
            Some(made)
        }
        Err(reason) => {
            found.push(Diagnostic::error(format!(
                "the .proto compiler failed: {reason}"
            )));
            None
        }
    }
}

/// Returns the message of a panic.
pub fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_compiler_is_a_diagnostic() {
        let mut found = Diagnostics::new();
        let made: Option<()> = on_a_large_stack(&mut found, |_| panic!("out of {}", "luck"));
        assert_eq!(made, None);
        assert!(
            found
                .render(false)
                .contains("the .proto compiler failed: out of luck")
        );
    }
}
