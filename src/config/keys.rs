//! The key files that routes.yaml names. Each file is read once for each role, so its keys and
//! its fingerprint come from the same text.
//!
//! A buffer with secrets is zeroed after its text is parsed. Diagnostics show a masked copy.

mod mask;
mod role;
mod users;
mod zpl;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::section::Spanned;
use crate::security::Hashed;
use gateway_diagnostic::{Diagnostic, SourceFile, escaped, shown};
use gateway_proto::open_file;
use gateway_zmtp::curve::{PublicKey, SecretKey};
use mask::{masked, masked_users};
use users::{UsersText, parse_users};
use zeroize::Zeroizing;
use zpl::{KeyText, parse};

pub(super) use mask::masked_at;
pub(super) use role::KeyRole;
pub(super) use zpl::z85_fault;

/// The maximum size of a key file, in bytes. Even a key file with a long comment is many times
/// smaller.
const KEY_FILE_MAX: usize = 64 << 10;

/// The maximum size of a file of users, in bytes. It suffices for more than a hundred thousand
/// users.
const USERS_FILE_MAX: usize = 16 << 20;

/// The maximum number of files and directories in a directory of keys. The number equals the
/// default of `limits.clients`, so that each client can have a key file.
const KEY_FILES_MAX: usize = 100_000;

/// The maximum nesting of directories of keys. Without a maximum, a symbolic link that forms a
/// cycle would make the gateway read the same files until [`KEY_FILES_MAX`] is reached.
const DEPTH_MAX: usize = 8;

/// The suffix of the names that pyzmq and czmq give to files with secret keys.
const SECRET_ENDING: &str = "_secret";

/// The permissions of users who are neither the owner of the file nor in its group.
const OTHERS: u32 = 0o007;

/// Every key file and every file of users that routes.yaml names, by the path in routes.yaml.
#[derive(Debug, Default, Hash)]
pub(super) struct KeyFiles {
    keys: BTreeMap<(KeyRole, PathBuf), Stored>,
    /// The files of users, or the reasons why they cannot be read.
    users: BTreeMap<PathBuf, Result<UsersFile, String>>,
}

/// The result of reading a path.
#[derive(Debug, Hash)]
pub(super) enum Stored {
    File(Box<KeyFile>),
    /// The key files of a directory, and the reasons why other files were left out.
    Directory(Vec<KeyFile>, Vec<String>),
    /// The reason why the path cannot be read.
    Unreadable(String),
}

/// A file of users and its content.
#[derive(Debug)]
pub(super) struct UsersFile {
    /// The file, with hashes masked.
    pub(super) file: std::sync::Arc<SourceFile>,
    pub(super) users: HashMap<std::sync::Arc<str>, Hashed>,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) access: FileAccess,
    /// The fingerprint of the text.
    fingerprint: u64,
}

/// A key file and its content.
#[derive(Debug)]
pub(super) struct KeyFile {
    /// The file, with secrets masked.
    pub(super) file: std::sync::Arc<SourceFile>,
    /// The name of the file without its extension.
    pub(super) stem: String,
    pub(super) public: Option<Spanned<PublicKey>>,
    pub(super) secret: Option<Spanned<SecretKey>>,
    /// The name that the file gives to its key.
    pub(super) name: Option<Spanned<String>>,
    pub(super) faults: Vec<Diagnostic>,
    /// The users who have any permission on the file.
    pub(super) access: FileAccess,
    /// The fingerprint of the text.
    fingerprint: u64,
}

/// The users who have any permission on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileAccess {
    /// The owner, and perhaps the group.
    Restricted,
    /// Every user of the machine.
    Everybody,
}

impl Hash for UsersFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.path.hash(state);
        self.access.hash(state);
        self.fingerprint.hash(state);
    }
}

impl Hash for KeyFile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.path.hash(state);
        self.access.hash(state);
        self.fingerprint.hash(state);
    }
}

impl KeyFiles {
    /// Reads the files of keys and of users at these paths, which are relative to `directory`.
    pub(super) fn read<'a>(
        key_files: impl Iterator<Item = (KeyRole, &'a Path)>,
        users_files: impl Iterator<Item = &'a Path>,
        directory: &Path,
    ) -> Self {
        let mut files = Self::default();
        for (role, path) in key_files {
            let key = (role, path.to_owned());
            files
                .keys
                .entry(key)
                .or_insert_with(|| Stored::read(&directory.join(path), role));
        }
        for path in users_files {
            let read = || {
                let path = directory.join(path);
                let read = UsersFile::read(&path);
                read.map_err(|error| format!("can't read {}: {error}", display(&path)))
            };
            files.users.entry(path.to_owned()).or_insert_with(read);
        }
        files
    }

    /// Returns the result of reading a path, or `None` if it was not read.
    pub(super) fn get(&self, role: KeyRole, path: &Path) -> Option<&Stored> {
        self.keys.get(&(role, path.to_owned()))
    }

    /// Returns the file of users at a path, or the reason why the file cannot be read. Returns
    /// `None` if the path was not read.
    pub(super) fn users(&self, path: &Path) -> Option<&Result<UsersFile, String>> {
        self.users.get(path)
    }
}

impl Stored {
    fn read(path: &Path, role: KeyRole) -> Self {
        if path.is_dir() {
            let (mut files, mut faults) = (Vec::new(), Vec::new());
            let mut left = KEY_FILES_MAX;
            read_directory(path, DEPTH_MAX, &mut left, &mut files, &mut faults);
            return Self::Directory(files, faults);
        }
        match KeyFile::read(path, role) {
            Ok(file) => Self::File(Box::new(file)),
            Err(error) => Self::Unreadable(format!("can't read {}: {error}", display(path))),
        }
    }
}

fn display(path: &Path) -> String {
    escaped(&shown(path))
}

/// Reads the key files in a directory and in its subdirectories, in the order of their names.
/// Subdirectories are read down to `levels` levels below this directory. `left` is the number of
/// files and directories that may still be read. `faults` receives the reasons why files were left
/// out.
fn read_directory(
    directory: &Path,
    levels: usize,
    left: &mut usize,
    files: &mut Vec<KeyFile>,
    faults: &mut Vec<String>,
) {
    let entries = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()
    });
    let mut paths = match entries {
        Ok(paths) => paths,
        Err(error) => {
            faults.push(format!("can't read {}: {error}", display(directory)));
            return;
        }
    };
    paths.sort_unstable();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Names that begin with a dot are skipped. Editors give such names to temporary files, and
        // Kubernetes gives them to directories of a volume. The volume also contains visible links
        // to the files in these directories.
        if name.starts_with('.') {
            continue;
        }
        if *left == 0 {
            faults.push(format!(
                "{} has more than {KEY_FILES_MAX} files: the remaining files are left out",
                display(directory)
            ));
            return;
        }
        *left -= 1;
        if path.is_dir() {
            match levels.checked_sub(1) {
                Some(levels) => read_directory(&path, levels, left, files, faults),
                None => faults.push(format!("{} is nested too deeply", display(&path))),
            }
        } else if name.ends_with(SECRET_ENDING) {
            faults.push(format!(
                "{} is ignored: it contains a secret key, which only the owner of the key should have",
                display(&path)
            ));
        } else {
            match KeyFile::read(&path, KeyRole::Peer) {
                Ok(file) if file.is_key_file() => files.push(file),
                Ok(_) => {}
                Err(error) => faults.push(format!("can't read {}: {error}", display(&path))),
            }
        }
    }
}

/// The text of a file with secrets, and the users who have any permission on the file.
struct Secrets {
    text: Zeroizing<String>,
    access: FileAccess,
    /// The fingerprint of the text.
    fingerprint: u64,
}

impl Secrets {
    /// Reads a file of at most `most` bytes. `what` names the expected content in the error of a
    /// file that is not UTF-8.
    fn read(path: &Path, most: usize, what: &str) -> io::Result<Self> {
        let file = open_file(path)?;
        let metadata = file.metadata()?;
        // The capacity is reserved at once, because a buffer that grows leaves copies of a secret
        // in memory.
        let size = usize::try_from(metadata.len()).map_or(most, |size| size.clamp(1, most));
        let room = if most == KEY_FILE_MAX { most } else { size };
        let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > most {
            let why = format!("it is larger than {} KiB", most >> 10);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let why = format!("it is not a text, so it has no {what}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut hasher = std::hash::DefaultHasher::new();
        text.hash(&mut hasher);
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            access: match metadata.permissions().mode() & OTHERS {
                0 => FileAccess::Restricted,
                _ => FileAccess::Everybody,
            },
            fingerprint: hasher.finish(),
        })
    }
}

impl UsersFile {
    fn read(path: &Path) -> io::Result<Self> {
        let Secrets {
            text,
            access,
            fingerprint,
        } = Secrets::read(path, USERS_FILE_MAX, "users")?;
        let file = SourceFile::new(shown(path), masked_users(&text));
        let UsersText { users, faults } = parse_users(&text, &file);
        Ok(Self {
            file,
            users,
            faults,
            access,
            fingerprint,
        })
    }
}

impl KeyFile {
    fn read(path: &Path, role: KeyRole) -> io::Result<Self> {
        let Secrets {
            text,
            access,
            fingerprint,
        } = Secrets::read(path, KEY_FILE_MAX, "key")?;
        let file = SourceFile::new(shown(path), masked(&text, role));
        let KeyText {
            public,
            secret,
            name,
            faults,
        } = parse(&text, &file, role);
        let stem = path.file_stem().unwrap_or_default();
        Ok(Self {
            file,
            stem: stem.to_string_lossy().into_owned(),
            public,
            secret,
            name,
            faults,
            access,
            fingerprint,
        })
    }

    /// Returns whether a file in a directory is probably a key file, judging by its name or its
    /// content.
    fn is_key_file(&self) -> bool {
        let extension = self.file.path.extension();
        let named = extension.is_some_and(|extension| extension == "key" || extension == "pub");
        named || self.public.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

    fn files(directory: &Path) -> (Vec<String>, Vec<String>) {
        match Stored::read(directory, KeyRole::Peer) {
            Stored::Directory(files, faults) => {
                let stems = files.into_iter().map(|file| file.stem);
                (stems.collect(), faults)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_is_read_recursively() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("berlin/..data")).unwrap();
        let zpl = format!("curve\n    public-key = \"{KEY}\"\n");
        for (name, text) in [
            ("alice.key", &*zpl),
            ("bob.pub", KEY),
            ("czmq_cert", &zpl),
            ("broken.key", ""),
            ("README.md", "# Keys\n\nOf clients."),
            (".hidden.key", KEY),
            ("carol.key_secret", &zpl),
            ("berlin/dora.key", &zpl),
            ("berlin/..data/dora.key", &zpl),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
        let (mut stems, faults) = files(root);
        stems.sort_unstable();
        stems.dedup();
        assert_eq!(stems, ["alice", "bob", "broken", "czmq_cert", "dora"]);
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("carol.key_secret is ignored"))
        );
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains("is nested too deeply"))
        );
    }

    #[test]
    fn a_key_file_that_cannot_be_read_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("large.key"), "#".repeat(KEY_FILE_MAX + 1)).unwrap();
        fs::write(path("bytes.key"), [0xff; 40]).unwrap();
        for (name, why) in [
            ("large.key", "larger than 64 KiB"),
            ("bytes.key", "not a text"),
            ("missing.key", "No such file"),
        ] {
            match Stored::read(&path(name), KeyRole::Gateway) {
                Stored::Unreadable(reported) => assert!(reported.contains(why), "{reported}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn no_printed_text_contains_a_secret() {
        const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.key_secret");
        fs::write(
            &path,
            format!("curve\n  secret-key = \"{SECRET}\"\n  public-key = \"x\"\n"),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let stored = Stored::read(&path, KeyRole::Gateway);
        let Stored::File(file) = &stored else {
            panic!("{stored:?}");
        };
        assert!(file.secret.is_some() && file.access == FileAccess::Restricted);
        let reported: String = file
            .faults
            .iter()
            .map(|fault| fault.render(false))
            .collect();
        for part in [SECRET, &SECRET[..8], &SECRET[30..]] {
            assert!(!format!("{stored:?}{reported}").contains(part));
        }
    }
}
