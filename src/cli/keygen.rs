//! `gateway keygen`, which writes a CURVE key pair to files that pyzmq and czmq can read, or prints
//! the line of a PLAIN user.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::output;
use crate::security::{Hashed, principal_fault};
use gateway_diagnostic::escaped;
use gateway_zmtp::curve::KeyPair;
use gateway_zmtp::plain::CREDENTIAL_MAX;
use zeroize::Zeroizing;

/// The mode of a secret key's file: only the owner may read and write it.
const SECRET_MODE: u32 = 0o600;

/// The mode of a public key's file: every user may read it.
const PUBLIC_MODE: u32 = 0o644;

/// Makes a key pair, and writes `NAME.key` with the public key and `NAME.key_secret` with both keys
/// in the working directory. Changes nothing if one of the files exists.
pub(super) fn keygen(name: &str) -> ExitCode {
    if let Some(fault) = principal_fault(name) {
        return failed(&format!("{name:?} can't name a key: {fault}"));
    }
    if name.contains('/') {
        return failed(&format!(
            "{name:?} can't name a key: the name must not contain '/', because it is part of file names"
        ));
    }
    let (public, secret) = (format!("{name}.key"), format!("{name}.key_secret"));
    let (public, secret) = (Path::new(&public), Path::new(&secret));
    let taken = [public, secret]
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok());
    if let Some(path) = taken {
        return failed(&format!("{} already exists", escaped(path)));
    }
    let keys = match KeyPair::generate() {
        Ok(keys) => keys,
        Err(error) => return failed(&error.to_string()),
    };
    match write_pair(name, &keys, public, secret) {
        Ok(()) => {
            let (public, secret) = (escaped(public), escaped(secret));
            output::print(
                &format!(
                    "wrote {public}: the public key {}\nwrote {secret}: both keys, readable only by the owner\n",
                    keys.public()
                ),
                ExitCode::SUCCESS,
            )
        }
        Err((path, error)) => failed(&format!("can't write {}: {error}", escaped(&path))),
    }
}

/// Reads a password from standard input up to the end of its first line, and prints the line of a
/// user with the password's hash. A terminal is refused, because it would show the password.
pub(super) fn user(name: &str) -> ExitCode {
    if let Some(fault) = principal_fault(name) {
        return failed(&format!("{name:?} can't name a user: {fault}"));
    }
    if name.contains(':') {
        return failed(&format!(
            "{name:?} can't name a user: in a file of users, the name ends at the first colon"
        ));
    }
    if io::stdin().is_terminal() {
        return failed(&format!(
            "the password is read from standard input, and a terminal would show it: use `read -rs P; printf %s \"$P\" | gateway keygen --user {name}`"
        ));
    }
    let password = match read_password() {
        Ok(password) => password,
        Err(error) => return failed(&format!("can't read the password: {error}")),
    };
    match Hashed::of(&password) {
        Ok(hashed) => output::print(&format!("{name}:{}\n", hashed.text()), ExitCode::SUCCESS),
        Err(error) => failed(&error),
    }
}

/// Reads a password of at least one byte and at most [`CREDENTIAL_MAX`] bytes, and the end of its
/// line. The end of the line does not belong to the password.
fn read_password() -> io::Result<Zeroizing<Vec<u8>>> {
    const ENDING: &[u8] = b"\r\n";
    let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let most = CREDENTIAL_MAX + ENDING.len();
    // The capacity is reserved at once, because a buffer that grows leaves copies of the password.
    let mut password = Zeroizing::new(Vec::with_capacity(most + 1));
    io::stdin()
        .take(most as u64 + 1)
        .read_to_end(&mut password)?;
    let is_whole = password.len() <= most;
    let first = password.iter().position(|byte| *byte == b'\n');
    let end = first.unwrap_or(password.len());
    let end = end - usize::from(first.is_some() && end > 0 && password[end - 1] == b'\r');
    if first.is_none() && !is_whole || end > CREDENTIAL_MAX {
        return wrong("it has more than 255 bytes, the most that PLAIN can send");
    }
    if end == 0 {
        return wrong("it is empty");
    }
    password.truncate(end);
    Ok(password)
}

/// Writes both files. If the public key cannot be written, removes the file of the secret key.
fn write_pair(
    name: &str,
    keys: &KeyPair,
    public: &Path,
    secret: &Path,
) -> Result<(), (PathBuf, io::Error)> {
    let head = format!(
        "metadata\n    name = \"{name}\"\ncurve\n    public-key = \"{}\"\n",
        keys.public()
    );
    let text = keys.secret().to_z85();
    let mut both = Zeroizing::new(String::with_capacity(head.len() + 2 * text.len()));
    both.push_str(&head);
    both.push_str("    secret-key = \"");
    both.push_str(&text);
    both.push_str("\"\n");
    write(secret, &both, SECRET_MODE).map_err(|error| (secret.to_owned(), error))?;
    write(public, &head, PUBLIC_MODE).map_err(|error| {
        // Otherwise the next attempt would fail, because the file of the secret key exists.
        let _ = fs::remove_file(secret);
        (public.to_owned(), error)
    })
}

/// Writes a new file.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn failed(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {text}");
    ExitCode::FAILURE
}
