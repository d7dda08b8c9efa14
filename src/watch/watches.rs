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
    /// The entries with these names. Other entries may be unrelated, and change as often as those
    /// of /tmp.
    Named(BTreeSet<OsString>),
    /// All of its entries.
    Entries,
    /// Everything below it.
    Below,
}

impl WatchScope {
    fn and(self, other: Self) -> Self {
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

/// The active watches, which end when this is dropped.
pub(super) type Watches = Option<Box<dyn Watcher + Send>>;

/// A function that places watches, which wake the follower, on as many of the directories as
/// possible. It also returns the reason if some watches could not be placed.
pub(super) type PlaceWatches = fn(WatchedDirectories, Wake) -> (Watches, Option<String>);

/// Returns the directories in which changes of the file or below the roots become visible, among
/// those that exist now.
pub(super) fn watched_directories(file: &Path, roots: &[PathBuf]) -> WatchedDirectories {
    let mut all = WatchedDirectories::new();
    let mut watch = |directory: &Path, how: WatchScope| {
        if let Some(real) = directory.canonicalize().ok().filter(|it| it.is_dir()) {
            let how = match all.remove(&real) {
                Some(other) => other.and(how),
                None => how,
            };
            all.insert(real, how);
        }
    };
    // The target of a link is elsewhere, and may change while the link does not.
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
        if let Some((above, name)) = way(directory) {
            watch(&above, WatchScope::Named(BTreeSet::from([name])));
        }
    }
    let below: Vec<_> = all.iter().filter(|it| *it.1 == WatchScope::Below).collect();
    let below: Vec<_> = below.into_iter().map(|it| it.0.clone()).collect();
    // Where everything in a directory is watched, single entries are superfluous.
    all.retain(|spot, how| {
        *how == WatchScope::Below || !below.iter().any(|directory| spot.starts_with(directory))
    });
    all
}

/// Returns the nearest existing ancestor of `directory`, and the name of its entry that leads to
/// `directory`.
fn way(directory: &Path) -> Option<(PathBuf, OsString)> {
    let mut at = directory.to_owned();
    loop {
        let name = at.file_name()?.to_owned();
        at = parent(&at);
        if at.is_dir() {
            return Some((at, name));
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
    let heard = move |event: notify::Result<Event>| {
        if event.map_or(true, |event| changes(&event) && concerns(&event, &all)) {
            wake.changed();
        }
    };
    let mut watcher = match W::new(heard, notify::Config::default()) {
        Ok(watcher) => watcher,
        Err(error) => return (None, Some(without(&error))),
    };
    let mut blind = None;
    for (directory, how) in watched_directories {
        let mode = match how {
            WatchScope::Below => RecursiveMode::Recursive,
            WatchScope::Entries | WatchScope::Named(_) => RecursiveMode::NonRecursive,
        };
        match watcher.watch(&directory, mode) {
            // The directory may be created again. Its parent is watched, too.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                let limit = "the system's limit of watches is reached, in Linux \
                             fs.inotify.max_user_watches";
                blind = Some(format!("{}: {limit}", escaped(&directory)));
            }
            Err(error) => blind = Some(format!("{}: {error}", escaped(&directory))),
            Ok(()) => {}
        }
    }
    (Some(Box::new(watcher)), blind)
}

/// Returns the reason why no watches could be placed at all.
fn without(error: &notify::Error) -> String {
    match &error.kind {
        // inotify_init reports both cases the same way.
        ErrorKind::Io(io) if io.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => format!(
            "{io}: the limit of descriptors is reached or, in Linux, fs.inotify.max_user_instances"
        ),
        _ => error.to_string(),
    }
}

/// Returns whether an event may mean changed content. Events that are raised by reading the files
/// do not.
fn changes(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => event.need_rescan(),
        _ => true,
    }
}

/// Returns whether an event concerns something that is watched, as far as can be known.
fn concerns(event: &Event, watched_directories: &WatchedDirectories) -> bool {
    let other = |path: &PathBuf| match path
        .parent()
        .and_then(|parent| watched_directories.get(parent))
    {
        Some(WatchScope::Named(names)) => {
            path.file_name().is_some_and(|name| !names.contains(name))
        }
        _ => false,
    };
    event.paths.is_empty() || !event.paths.iter().all(other)
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
            "a name without a directory"
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
        assert!(wakes(&[]), "whatever that was");
        assert!(!wakes(&["/tmp/other"]) && !wakes(&["/tmp/other", "/tmp/others"]));
    }

    /// A system that has one watch only.
    pub(in crate::watch) struct One(bool);

    impl Watcher for One {
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

    /// A system that has no watches left.
    #[derive(Debug)]
    pub(in crate::watch) struct Exhausted;

    impl Watcher for Exhausted {
        fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
            // inotify_init reports an exhausted limit as EMFILE.
            Err(notify::Error::io(std::io::Error::from_raw_os_error(24)))
        }

        fn watch(&mut self, _: &Path, _: RecursiveMode) -> notify::Result<()> {
            unreachable!("there is none to watch with")
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            unreachable!("there is none to watch with")
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
        let (watches, blind) =
            place_watches::<One>(directories(&["a", "b", "missing"]), Wake::new().0);
        let blind = blind.unwrap();
        assert!(
            watches.is_some() && blind.starts_with("b: ") && blind.contains("max_user_watches"),
            "{blind}"
        );
        let (watches, blind) = place_watches::<One>(directories(&["a", "missing"]), Wake::new().0);
        assert!(watches.is_some() && blind.is_none(), "{blind:?}");
    }

    #[test]
    fn an_overflow_of_events_wakes_the_follower() {
        use notify::event::Flag;
        let looked = |kind, rescan: bool| {
            let event = notify::Event::new(kind);
            changes(&if rescan {
                event.set_flag(Flag::Rescan)
            } else {
                event
            })
        };
        // notify reports an overflow as the first of these events, and may use the second in
        // future.
        assert!(looked(EventKind::Other, true));
        assert!(looked(EventKind::Access(AccessKind::Any), true));
        assert!(!looked(EventKind::Access(AccessKind::Any), false));
        assert!(!looked(
            EventKind::Access(AccessKind::Open(AccessMode::Any)),
            false
        ));
        assert!(looked(
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
            false
        ));
    }
}
