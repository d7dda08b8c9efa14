//! Printing to standard output. Errors are reported, because the output of a command must arrive.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Prints `text` to standard output. Returns `code`, or failure if the text could not be written,
/// for example because the disk is full.
pub(super) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    outcome(printed, code)
}

/// Returns `code` if everything was printed, and failure otherwise. A reader that closed the pipe
/// is not an error.
pub(super) fn outcome(printed: io::Result<()>, code: ExitCode) -> ExitCode {
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(
                io::stderr(),
                "error: can't write to standard output: {error}"
            );
            ExitCode::FAILURE
        }
        _ => code,
    }
}
