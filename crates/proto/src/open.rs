//! Opening of configuration files, without blocking on a pipe, a socket or a device.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading, without ever blocking. A pipe, a socket or a device is refused, even
/// if it replaced the file a moment ago.
///
/// # Errors
///
/// Fails with the errors of the system. Also fails with [`io::ErrorKind::IsADirectory`] for a
/// directory, and with [`io::ErrorKind::InvalidInput`] for anything else that is not a file.
pub fn open_file(path: &Path) -> io::Result<File> {
    // The file is checked before it is opened, because opening a device may have an effect. If
    // another file takes the name after this check, that file is opened, checked, and closed if it
    // is refused.
    check(&fs::metadata(path)?)?;
    open_anything(path)
}

/// Opens the file that `path` refers to now, and checks the opened file.
fn open_anything(path: &Path) -> io::Result<File> {
    // Without `NONBLOCK`, opening a pipe waits for a writer; for a regular file, the flag has no
    // effect. With `NOCTTY`, a terminal does not become the controlling terminal of this process.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits() as i32);
    let file = options.open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(found: &fs::Metadata) -> io::Result<()> {
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_pipe_or_socket_that_replaced_a_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "x").unwrap();
        // Only the step after the check of the name is run, as if each file had been replaced
        // after that check.
        let opened = |name| open_anything(&path(name)).map(drop);
        opened("file").unwrap();
        let refused = |name| opened(name).unwrap_err().kind();
        assert_eq!(refused("pipe"), io::ErrorKind::InvalidInput);
        assert_eq!(refused("."), io::ErrorKind::IsADirectory);
        opened("socket").unwrap_err();
        let device = open_anything(Path::new("/dev/null")).unwrap_err();
        assert_eq!(device.kind(), io::ErrorKind::InvalidInput);
        // This is the usual case, in which nothing is replaced.
        for name in ["pipe", "socket", ".", "none"] {
            open_file(&path(name)).unwrap_err();
        }
        open_file(&path("file")).unwrap();
    }
}
