//! Standard output: what a command prints must arrive.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Prints `text` to standard output. Returns `code`, or failure where the text could not be written, such as on a full
/// disk.
pub(super) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    outcome(printed, code)
}

/// Returns `code` where all was printed, else failure. A reader that has gone away has seen enough.
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
