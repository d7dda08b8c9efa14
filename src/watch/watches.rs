//! The watches that raise events. They are on directories and never on files, because a watch on a
//! file ends when the file is replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, Event, RecursiveMode, Watcher};
use rustix::io::Errno;

use crate::reload::Wake;
use gateway_diagnostic::escaped;

/// The directories to watch, by their real paths, so that a directory with several names is listed
/// once.
pub(super) type WatchedDirectories = BTreeMap<PathBuf, WatchScope>;

/// The part of a directory that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WatchScope {
    /// The entries with these names. Other entries may be unrelated and change often, as in /tmp.
    Named(BTreeSet<OsString>),
    /// All entries of the directory.
    Entries,
    /// Everything below the directory.
    Below,
}

impl WatchScope {
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Below, _) | (_, Self::Below) => Self::Below,
            (Self::Entries, _) | (_, Self::Entries) => Self::Entries,
            (Self::Named(mut names), Self::Named(others)) => {
                names.extend(others);
                Self::Named(names)
            }
        }
    }
}

/// The active watches, which end when this value is dropped. `None` if no watcher could be created.
pub(super) type Watches = Option<Box<dyn Watcher + Send>>;

/// A function that places watches on as many of the directories as possible. The watches wake the
/// follower. Also returns the reason if some watches could not be placed.
pub(super) type PlaceWatches = fn(WatchedDirectories, Wake) -> (Watches, Option<String>);

/// Returns the existing directories in which a change of the file, or a change below the roots,
/// becomes visible.
pub(super) fn watched_directories(file: &Path, roots: &[PathBuf]) -> WatchedDirectories {
    let mut all = WatchedDirectories::new();
    let mut watch = |directory: &Path, scope: WatchScope| {
        if let Some(real) = directory.canonicalize().ok().filter(|path| path.is_dir()) {
            let scope = match all.remove(&real) {
                Some(other) => other.merge(scope),
                None => scope,
            };
            all.insert(real, scope);
        }
    };
    // The file may be a link. Its target is elsewhere, and may change while the link does not.
    let target = file.canonicalize().ok();
    for file in [Some(file), target.as_deref()].into_iter().flatten() {
        watch(&parent(file), WatchScope::Entries);
    }
    for root in roots {
        if root.is_file() {
            // A key file, which may be a link as well.
            let target = root.canonicalize().ok();
            for file in [Some(root), target.as_ref()].into_iter().flatten() {
                watch(&parent(file), WatchScope::Entries);
            }
        } else {
            watch(root, WatchScope::Below);
        }
    }
    // Directories may be removed and created again, and so may links to them.
    for directory in roots.iter().chain([&parent(file)]) {
        if let Some((ancestor, name)) = nearest_ancestor(directory) {
            watch(&ancestor, WatchScope::Named(BTreeSet::from([name])));
        }
    }
    let below = all.iter().filter(|(_, scope)| **scope == WatchScope::Below);
    let below: Vec<_> = below.map(|(path, _)| path.clone()).collect();
    // If everything below a directory is watched, watches on single entries there are superfluous.
    all.retain(|path, scope| {
        *scope == WatchScope::Below || !below.iter().any(|directory| path.starts_with(directory))
    });
    all
}

/// Returns the nearest existing ancestor of `directory`, and the name of its entry that leads to
/// `directory`.
fn nearest_ancestor(directory: &Path) -> Option<(PathBuf, OsString)> {
    let mut path = directory.to_owned();
    loop {
        let name = path.file_name()?.to_owned();
        path = parent(&path);
        if path.is_dir() {
            return Some((path, name));
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Implements [`PlaceWatches`] with the watcher `W`.
pub(super) fn place_watches<W: Watcher + Send + 'static>(
    watched_directories: WatchedDirectories,
    wake: Wake,
) -> (Watches, Option<String>) {
    let all = watched_directories.clone();
    let handler = move |event: notify::Result<Event>| {
        if event.map_or(true, |event| changes(&event) && concerns(&event, &all)) {
            wake.changed();
        }
    };
    let mut watcher = match W::new(handler, notify::Config::default()) {
        Ok(watcher) => watcher,
        Err(error) => return (None, Some(no_watcher(&error))),
    };
    let mut failure = None;
    for (directory, scope) in watched_directories {
        let mode = match scope {
            WatchScope::Below => RecursiveMode::Recursive,
            WatchScope::Entries | WatchScope::Named(_) => RecursiveMode::NonRecursive,
        };
        match watcher.watch(&directory, mode) {
            // The directory may be created again. Its parent is watched, too.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                let limit = "the system's limit of watches is reached, in Linux \
                             fs.inotify.max_user_watches";
                failure = Some(format!("{}: {limit}", escaped(&directory)));
            }
            Err(error) => failure = Some(format!("{}: {error}", escaped(&directory))),
            Ok(()) => {}
        }
    }
    (Some(Box::new(watcher)), failure)
}

/// Returns the reason why no watches could be placed at all.
fn no_watcher(error: &notify::Error) -> String {
    match &error.kind {
        // inotify_init reports both limits with this error.
        ErrorKind::Io(io) if io.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => format!(
            "{io}: the limit of descriptors is reached, or in Linux the limit fs.inotify.max_user_instances"
        ),
        _ => error.to_string(),
    }
}

/// Returns whether an event may mean changed content. Reading a file also raises events, but they
/// mean no change.
fn changes(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => event.need_rescan(),
        _ => true,
    }
}

/// Returns whether an event may concern a watched entry. Returns false only if every path of the
/// event is known to be another entry.
fn concerns(event: &Event, watched_directories: &WatchedDirectories) -> bool {
    let is_other = |path: &PathBuf| match path
        .parent()
        .and_then(|parent| watched_directories.get(parent))
    {
        Some(WatchScope::Named(names)) => {
            path.file_name().is_some_and(|name| !names.contains(name))
        }
        _ => false,
    };
    event.paths.is_empty() || !event.paths.iter().all(is_other)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_with_several_names_is_watched_once_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("deep/protos/more")).unwrap();
        std::os::unix::fs::symlink("deep/protos", real.join("link")).unwrap();
        let roots = ["link", "deep/protos/more", "gone/away"].map(|root| real.join(root));
        let named = |names: &[&str]| WatchScope::Named(names.iter().map(OsString::from).collect());
        let all = watched_directories(&real.join("deep/routes.yaml"), &roots);
        let expected = [
            // The link may be changed to lead elsewhere, and `deep` and `gone` may come and go.
            (real.clone(), named(&["deep", "gone", "link"])),
            (real.join("deep"), WatchScope::Entries),
            (real.join("deep/protos"), WatchScope::Below),
            (real.join("deep/protos/more"), WatchScope::Below),
        ];
        assert_eq!(all, WatchedDirectories::from(expected));
        assert!(
            watched_directories(Path::new("routes.yaml"), &[]).len() <= 2,
            "a path without a directory"
        );
    }

    #[test]
    fn in_a_parent_directory_only_the_entry_on_the_path_wakes_the_follower() {
        let watched_directories = WatchedDirectories::from([
            (
                PathBuf::from("/tmp"),
                WatchScope::Named(BTreeSet::from(["conf".into()])),
            ),
            (PathBuf::from("/tmp/conf"), WatchScope::Entries),
        ]);
        let wakes = |paths: &[&str]| {
            let event = Event::new(EventKind::Any);
            concerns(
                &paths
                    .iter()
                    .fold(event, |event, path| event.add_path(path.into())),
                &watched_directories,
            )
        };
        assert!(wakes(&["/tmp/conf"]) && wakes(&["/tmp/conf/any"]) && wakes(&["/tmp"]));
        assert!(wakes(&["/tmp/other", "/tmp/conf"]), "renamed over");
        assert!(wakes(&[]), "an event without a path");
        assert!(!wakes(&["/tmp/other"]) && !wakes(&["/tmp/other", "/tmp/others"]));
    }

    /// A watcher on a system that has one watch only.
    pub(in crate::watch) struct OneWatch(bool);

    impl Watcher for OneWatch {
        fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
            Ok(Self(false))
        }

        fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
            if path == Path::new("missing") {
                return Err(notify::Error::path_not_found());
            }
            if std::mem::replace(&mut self.0, true) {
                return Err(notify::Error::new(ErrorKind::MaxFilesWatch));
            }
            Ok(())
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            Ok(())
        }

        fn kind() -> notify::WatcherKind {
            notify::WatcherKind::NullWatcher
        }
    }

    /// A watcher on a system that has no watches left, so it cannot be created.
    #[derive(Debug)]
    pub(in crate::watch) struct Exhausted;

    impl Watcher for Exhausted {
        fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
            // inotify_init reports an exhausted limit as EMFILE.
            Err(notify::Error::io(std::io::Error::from_raw_os_error(24)))
        }

        fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
            unreachable!("no watcher could be created")
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            unreachable!("no watcher could be created")
        }

        fn kind() -> notify::WatcherKind {
            notify::WatcherKind::NullWatcher
        }
    }

    #[test]
    fn watches_within_the_limit_stay_and_the_limit_is_named() {
        let directories = |names: &[&str]| {
            let all = names.iter().map(|name| PathBuf::from(*name));
            all.map(|path| (path, WatchScope::Below))
                .collect::<WatchedDirectories>()
        };
        let (watches, failure) =
            place_watches::<OneWatch>(directories(&["a", "b", "missing"]), Wake::new().0);
        let failure = failure.unwrap();
        assert!(
            watches.is_some() && failure.starts_with("b: ") && failure.contains("max_user_watches"),
            "{failure}"
        );
        let (watches, failure) =
            place_watches::<OneWatch>(directories(&["a", "missing"]), Wake::new().0);
        assert!(watches.is_some() && failure.is_none(), "{failure:?}");
    }

    #[test]
    fn an_overflow_of_events_wakes_the_follower() {
        use notify::event::Flag;
        let wakes_follower = |kind, rescan: bool| {
            let event = notify::Event::new(kind);
            changes(&if rescan {
                event.set_flag(Flag::Rescan)
            } else {
                event
            })
        };
        // notify reports an overflow as the first of these events, and may use the second in
        // future.
        assert!(wakes_follower(EventKind::Other, true));
        assert!(wakes_follower(EventKind::Access(AccessKind::Any), true));
        assert!(!wakes_follower(EventKind::Access(AccessKind::Any), false));
        assert!(!wakes_follower(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            false
        ));
        assert!(wakes_follower(
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            false
        ));
    }
}
