//! Prints to standard output. A failure to print is reported, so that a command never loses its
//! output unnoticed.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Prints `text` to standard output. Returns `code`, or failure if the text could not be written,
/// for example because the disk is full.
pub(super) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    outcome(printed, code)
}

/// Returns `code` if everything was printed, or if the reader of a pipe has closed the pipe.
/// Otherwise reports the error and returns failure.
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
