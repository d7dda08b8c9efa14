//! Standard output: what a command prints must arrive.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Prints `text` to standard output. Returns `code`, or failure where the text could not be written, such as on a full
/// disk. A reader that has gone away has seen enough.
pub(super) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match outcome {
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
