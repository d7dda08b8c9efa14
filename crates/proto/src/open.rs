//! Opening a file of a configuration, whatever stands under its name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a file for reading, and never waits: a pipe, a socket or a device is refused, also if it took the file's name
/// a moment ago.
///
/// # Errors
///
/// Those of the system; [`io::ErrorKind::IsADirectory`] for a directory, and [`io::ErrorKind::InvalidInput`] for what
/// is neither file nor directory.
pub fn open_file(path: &Path) -> io::Result<File> {
    // To open a device may do something to it. What takes the name after this look is only opened for a moment.
    check(&fs::metadata(path)?)?;
    open_anything(path)
}

/// Opens what stands at `path` by now, and looks at what was opened.
fn open_anything(path: &Path) -> io::Result<File> {
    // To open a pipe waits for a writer, unless told not to; of a regular file the flag means nothing. A terminal must
    // not become that of this process.
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
    fn what_took_a_files_name_is_neither_read_nor_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        fs::write(path("file"), "x").unwrap();
        // After the look, as if each had come in between.
        let opened = |name| open_anything(&path(name)).map(drop);
        opened("file").unwrap();
        let refused = |name| opened(name).unwrap_err().kind();
        assert_eq!(refused("pipe"), io::ErrorKind::InvalidInput);
        assert_eq!(refused("."), io::ErrorKind::IsADirectory);
        opened("socket").unwrap_err();
        let device = open_anything(Path::new("/dev/null")).unwrap_err();
        assert_eq!(device.kind(), io::ErrorKind::InvalidInput);
        // As it usually is.
        for name in ["pipe", "socket", ".", "none"] {
            open_file(&path(name)).unwrap_err();
        }
        open_file(&path("file")).unwrap();
    }
}
