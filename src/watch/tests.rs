//! Tests that call the follower step by step, and tests on systems where some or all files cannot
//! be watched.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};

use super::watches::tests::{Exhausted, OneWatch};
use super::*;
use crate::config::Inputs;
use crate::engine::Running;

/// The lines of a log, as they are written.
#[derive(Clone)]
struct Lines(Sender<String>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The files and the running gateway of a follower. [`Self::start`] also returns the follower,
/// which does nothing until a test calls it.
struct Followed {
    directory: tempfile::TempDir,
    running: Running,
}

impl Followed {
    fn start() -> (Self, Follower) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("schemas")).unwrap();
        let file = directory.path().join("routes.yaml");
        write(&file, "A: { pool: p }");
        let inputs = Inputs::read(&file, &[]);
        let seen = inputs.seen().clone();
        let snapshot = Arc::new(inputs.load().unwrap().snapshot);
        let running = crate::engine::start(Arc::clone(&snapshot)).unwrap();
        let follower = Follower::new(&file, seen, snapshot, running.reloader(), |_| {});
        (Self { directory, running }, follower)
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("routes.yaml")
    }

    fn end(self) {
        self.running.control().stop();
        self.running.wait().unwrap();
    }
}

fn write(file: &Path, routes: &str) {
    let text = format!(
        "frontends: {{ c: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         pools: {{ p: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         reload: {{ settle: 1ms }}\nroutes: {{ {routes} }}\n"
    );
    std::fs::write(file, text).unwrap();
}

#[test]
fn equal_content_is_reloaded_only_on_request() {
    let (followed, mut follower) = Followed::start();
    let reloads = |follower: &Follower| follower.control_status.current().reloads;
    for why in [CheckReason::FileEvent, CheckReason::Interval] {
        write(&followed.file(), "A: { pool: p }");
        follower.check(why);
        assert_eq!(reloads(&follower), [0; 4], "{why:?}");
    }
    follower.check(CheckReason::Requested);
    let unchanged = ReloadOutcome::Unchanged as usize;
    assert_eq!(reloads(&follower)[unchanged], 1);
    // The content changes and changes back between two checks.
    write(&followed.file(), "B: { pool: p }");
    write(&followed.file(), "A: { pool: p }");
    follower.check(CheckReason::FileEvent);
    assert_eq!(reloads(&follower).iter().sum::<u64>(), 1);
    // The content changes before the first check, and changes back before the second.
    for (generation, route) in [(2, "B"), (3, "A")] {
        write(&followed.file(), &format!("{route}: {{ pool: p }}"));
        follower.check(CheckReason::FileEvent);
        assert_eq!(follower.running.generation, generation);
    }
    followed.end();
}

#[test]
fn a_requested_reload_loses_no_later_event() {
    let (followed, mut follower) = Followed::start();
    follower.wake.changed();
    assert_eq!(follower.take_requests(None), CheckReason::Requested);
    follower.wake.changed();
    assert!(matches!(follower.woken.try_recv(), Ok(WakeReason::Changed)));
    followed.end();
}

/// A replaced snapshot is never freed by its last user.
#[test]
fn replaced_snapshots_are_kept_while_they_are_in_use_and_no_longer() {
    let (followed, mut follower) = Followed::start();
    let first = Arc::downgrade(&follower.running);
    let in_use = Arc::clone(&follower.running);
    write(&followed.file(), "B: { pool: p }");
    follower.check(CheckReason::FileEvent);
    follower.past.sweep();
    drop(in_use);
    assert!(first.upgrade().is_some(), "freed by its user");
    follower.past.sweep();
    assert!(first.upgrade().is_none(), "kept for nobody");
    followed.end();
}

/// Sets a tracing subscriber that drops all lines, for all threads that have no subscriber.
///
/// While a process has a single subscriber, tracing disables a log line for good if the first
/// thread that writes it does not use that subscriber. The threads of other tests write the same
/// lines.
fn subscribe_all_threads() {
    let drops_all = tracing_subscriber::fmt().with_writer(std::io::sink);
    // This fails if an earlier call has succeeded.
    let _ = tracing::subscriber::set_global_default(drops_all.finish());
}

fn follows_without_watches(place_watches: PlaceWatches, why: &str) {
    subscribe_all_threads();
    let (followed, mut follower) = Followed::start();
    let file = followed.file();
    follower.place_watches = place_watches;
    follower.check_every = Duration::from_millis(100);
    let (lines, logged) = mpsc::channel();
    std::thread::spawn(move || {
        let lines = Lines(lines);
        let log = tracing_subscriber::fmt().with_writer(move || lines.clone());
        tracing::subscriber::with_default(log.finish(), || follower.follow());
    });
    let lines_until = |words: &str| -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = logged.recv_timeout(Duration::from_secs(30));
            lines.push(line.unwrap_or_else(|_| panic!("no {words:?} in {lines:?}")));
            if lines.last().is_some_and(|line| line.contains(words)) {
                return lines;
            }
        }
    };
    let warned = lines_until("can't watch every file").concat();
    assert!(warned.contains("WARN") && warned.contains(why), "{warned}");
    write(&file, "A: { pool: p }, B: { pool: p }");
    let later = lines_until("reloaded: +1 route (B)").concat();
    assert!(!later.contains("can't watch"), "logged twice: {later}");
    followed.end();
}

#[test]
fn files_without_a_watch_are_polled_and_the_log_says_so_once() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            follows_without_watches(place_watches::<Exhausted>, "fs.inotify.max_user_instances")
        });
        scope.spawn(|| {
            follows_without_watches(place_watches::<OneWatch>, "fs.inotify.max_user_watches")
        });
    });
}

/// A watcher on a system that allows only one watcher.
struct OnlyFirst(RecommendedWatcher);

static HAS_FIRST: AtomicBool = AtomicBool::new(false);

impl notify::Watcher for OnlyFirst {
    fn new<F: notify::EventHandler>(handler: F, config: notify::Config) -> notify::Result<Self> {
        if HAS_FIRST.swap(true, Ordering::SeqCst) {
            return Err(Exhausted::new(handler, config).unwrap_err());
        }
        RecommendedWatcher::new(handler, config).map(Self)
    }

    fn watch(&mut self, path: &Path, mode: notify::RecursiveMode) -> notify::Result<()> {
        self.0.watch(path, mode)
    }

    fn unwatch(&mut self, path: &Path) -> notify::Result<()> {
        self.0.unwatch(path)
    }

    fn kind() -> notify::WatcherKind {
        RecommendedWatcher::kind()
    }
}

/// The watches are renewed before each check. If new watches cannot be placed, the old watches
/// still report edits.
#[test]
fn old_watches_stay_while_new_ones_cannot_be_placed() {
    let (followed, mut follower) = Followed::start();
    follower.place_watches = place_watches::<OnlyFirst>;
    follower.check_every = Duration::from_secs(24 * 60 * 60);
    let (settled, generations) = mpsc::channel();
    let follower = follower.observed_by(Arc::new(move |step| {
        if let Step::Settled(snapshot) = step {
            let _ = settled.send(snapshot.generation);
        }
    }));
    let (wake, file) = (follower.wake(), followed.file());
    let follows = std::thread::spawn(|| follower.follow());
    let wait_for = |wanted| {
        let next = || generations.recv_timeout(Duration::from_secs(30));
        while next().expect("a reload after the edit") < wanted {}
    };
    wake.reload();
    wait_for(1);
    for generation in 2..5 {
        write(&file, &format!("R{generation}: {{ pool: p }}"));
        wait_for(generation);
    }
    wake.end();
    follows.join().unwrap();
    followed.end();
}

/// The message that wakes an ended follower is received while the follower waits for files to
/// settle.
#[test]
fn a_follower_that_is_ended_while_files_settle_ends_without_another_check() {
    let (followed, mut follower) = Followed::start();
    follower.check_every = Duration::from_secs(24 * 60 * 60);
    // The next step of the follower is then Step::Freed, before the files settle.
    follower.has_loaded = true;
    let wake = follower.wake();
    wake.changed();
    let follower = follower.observed_by(Arc::new(move |step| {
        if matches!(step, Step::Freed) {
            wake.end();
        }
    }));
    let (ended, is_ended) = mpsc::channel();
    std::thread::spawn(move || {
        follower.follow();
        let _ = ended.send(());
    });
    assert_eq!(is_ended.recv_timeout(Duration::from_secs(30)), Ok(()));
    followed.end();
}

/// Panics if there is anything to report.
fn panics_at_faults(found: &Diagnostics) {
    assert!(found.is_empty(), "on purpose");
}

#[test]
fn a_panic_during_a_reload_is_logged_and_the_next_edit_takes_effect() {
    let (followed, mut follower) = Followed::start();
    follower.show_faults = panics_at_faults;
    let (wake, control_status, file) =
        (follower.wake(), follower.control_status(), followed.file());
    let follows = std::thread::spawn(|| follower.follow());
    let reload = || {
        let (sender, reported) = mpsc::channel();
        wake.reload_with(move |report| {
            let _ = sender.send(report);
        });
        reported.recv_timeout(Duration::from_secs(30)).unwrap()
    };
    write(&file, "A: { pool: none }");
    assert_eq!(reload().outcome, ReloadOutcome::Invalid);
    write(&file, "B: { pool: p }");
    assert!(reload().outcome.is_good());
    assert_eq!(
        control_status.current().last.as_ref().unwrap().generation,
        2
    );
    wake.end();
    follows.join().unwrap();
    followed.end();
}

#[test]
fn a_panic_while_files_are_loaded_is_an_error_of_the_reload() {
    let (followed, mut follower) = Followed::start();
    let (sender, reported) = mpsc::channel();
    follower.waiting.push(Box::new(move |report| {
        let _ = sender.send(report);
    }));
    follower.survive(|_| panic!("on purpose"));
    let report = reported.recv().unwrap();
    assert_eq!(report.outcome, ReloadOutcome::Invalid);
    let text = report.diagnostics.render(false);
    assert!(text.contains("could not be loaded: on purpose"), "{text}");
    write(&followed.file(), "B: { pool: p }");
    follower.check(CheckReason::FileEvent);
    assert_eq!(follower.running.generation, 2);
    followed.end();
}
