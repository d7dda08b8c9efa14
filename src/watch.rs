//! Follows the files: an event, or a look once in a while → settle → is the content another? → reload.
//!
//! Events only say when to look. What counts is the content of every file, taken *before* it is loaded:
//! whatever is written after that raises another event or is seen by the next look, so the last write is
//! never missed. Watches are laid anew before each look, because a watch dies with its directory, and
//! editors, `git checkout` and Kubernetes replace both files and directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::config::{self, Inputs, Loaded};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::engine::Reloader;
use crate::reload::{Outcome, Plan, Report, Standing};
use crate::snapshot::Snapshot;

/// How often the files are looked at without an event: for filesystems that raise none, and for what no
/// watch could be laid on.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A burst of writes is waited out for this many times `reload.settle` at most.
const SETTLE_MOST: u32 = 10;

/// Wakes the follower, from any thread.
#[derive(Clone, Debug)]
pub struct Wake {
    wakes: Sender<Reason>,
    /// A change that the follower has yet to hear of; one is as good as many.
    pending: Arc<AtomicBool>,
}

/// Whoever asked for a reload hears what it came to.
type Tell = Box<dyn FnOnce(Arc<Report>) + Send>;

enum Reason {
    /// Something may have changed.
    Changed,
    /// Somebody asked for it, and may wait for what comes of it.
    Asked(Option<Tell>),
}

/// Why the follower looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// An event, after which the files came to rest.
    Woken,
    /// Somebody asked.
    Asked,
    /// It is time.
    Time,
}

impl Wake {
    /// Has the files loaded anew now, changed or not.
    pub fn reload(&self) {
        // It fails when there is no follower any more.
        let _ = self.wakes.send(Reason::Asked(None));
    }

    /// The same, and `tell` is called with what it came to; it must not block. It is dropped if there is no
    /// follower any more.
    pub fn reload_and_tell(&self, tell: impl FnOnce(Arc<Report>) + Send + 'static) {
        let _ = self.wakes.send(Reason::Asked(Some(Box::new(tell))));
    }

    fn changed(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            let _ = self.wakes.send(Reason::Changed);
        }
    }
}

/// Keeps a running gateway at what its files say.
pub struct Follower {
    path: PathBuf,
    running: Arc<Snapshot>,
    reloader: Reloader,
    /// What was last loaded, or tried in vain.
    seen: Inputs,
    /// What the engine said to the last one, if it refused: tried again at each look, because an
    /// address may come free.
    refused: Option<Diagnostic>,
    /// The last one failed or was refused.
    failed: bool,
    wake: Wake,
    woken: Receiver<Reason>,
    /// Who waits to hear what the next reload comes to.
    waiting: Vec<Tell>,
    standing: Arc<Standing>,
    admin: Option<Admin>,
    /// Tells people what is wrong with their files.
    tell: fn(&Diagnostics),
    /// Whether it was said that watches can't be laid.
    said_blind: bool,
    lay: Lay,
}

/// Watches, which end with it.
type Watches = Option<Box<dyn Watcher + Send>>;

/// Lays watches on as many of the directories as may be, each to wake; says why not on all, if so.
type Lay = fn(Vec<(PathBuf, RecursiveMode)>, Wake) -> (Watches, Option<String>);

impl Follower {
    /// Follows `path`. `seen` is what it was when `running` was loaded from it, or just before.
    pub fn new(
        path: &Path,
        seen: Inputs,
        running: Arc<Snapshot>,
        reloader: Reloader,
        tell: fn(&Diagnostics),
    ) -> Self {
        let (wakes, woken) = mpsc::channel();
        let pending = Arc::new(AtomicBool::new(false));
        Self {
            path: path.to_owned(),
            running,
            reloader,
            seen,
            refused: None,
            failed: false,
            wake: Wake { wakes, pending },
            woken,
            waiting: Vec::new(),
            standing: Arc::default(),
            admin: None,
            tell,
            said_blind: false,
            lay: lay::<RecommendedWatcher>,
        }
    }

    /// What wakes it.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Has `admin` follow the configuration too, and what reloads come to told to `standing`.
    pub fn with_admin(mut self, admin: Admin, standing: Arc<Standing>) -> Self {
        self.admin = Some(admin);
        self.standing = standing;
        self.note_listening();
        self
    }

    /// Follows until the process ends.
    pub fn follow(mut self) {
        let mut watches = self.watches();
        self.look(Why::Woken);
        loop {
            let woken = self.woken.recv_timeout(LOOK_EVERY);
            self.wake.pending.store(false, Ordering::SeqCst);
            let why = match woken {
                Ok(Reason::Asked(tell)) => self.asked(tell),
                _ if !self.running.reload.watch => continue,
                Ok(Reason::Changed) => self.settle(),
                // It holds a sender itself, so this is the time-out.
                Err(_) => Why::Time,
            };
            // The new ones first, so that there is no moment without any.
            let laid = self.watches();
            drop(std::mem::replace(&mut watches, laid));
            let watched = (self.running.reload.watch, self.seen.roots.clone());
            self.look(why);
            if watched != (self.running.reload.watch, self.seen.roots.clone()) {
                // There is more to watch now, and something may have happened to it already.
                self.wake.changed();
            }
        }
    }

    /// Somebody asked, and everybody who has by now is answered by the same reload.
    fn asked(&mut self, tell: Option<Tell>) -> Why {
        self.waiting.extend(tell);
        while let Ok(reason) = self.woken.try_recv() {
            if let Reason::Asked(tell) = reason {
                self.waiting.extend(tell);
            }
        }
        Why::Asked
    }

    /// Waits until the files are at rest; says whether somebody asked for a reload meanwhile.
    fn settle(&mut self) -> Why {
        let settle = self.running.reload.settle;
        let until = Instant::now() + settle * SETTLE_MOST;
        loop {
            let woken = self.woken.recv_timeout(settle);
            self.wake.pending.store(false, Ordering::SeqCst);
            match woken {
                Ok(Reason::Asked(tell)) => return self.asked(tell),
                Ok(Reason::Changed) if Instant::now() < until => {}
                _ => return Why::Woken,
            }
        }
    }

    /// Reloads if the content is another than was last seen, or if asked to; a refused one at times.
    fn look(&mut self, mut why: Why) {
        let mut now = Inputs::of(&self.path, &self.seen.roots);
        if why == Why::Time && now != self.seen {
            // No event told of this: somebody may be in the middle of writing.
            for _ in 0..SETTLE_MOST {
                if self.settle() == Why::Asked {
                    why = Why::Asked;
                }
                let before = std::mem::replace(&mut now, Inputs::of(&self.path, &self.seen.roots));
                if before == now {
                    break;
                }
            }
        }
        let news = now != self.seen || why == Why::Asked;
        let again = why == Why::Time && self.refused.is_some();
        if !news && !again {
            return;
        }
        self.seen = now;
        let began = Instant::now();
        let loaded = config::load_after(&self.path, &self.running);
        let compile = began.elapsed();
        let mut report = match loaded {
            Ok(loaded) => self.take_up(loaded, why, news),
            Err(found) => self.turn_down(found),
        };
        report.compile = compile;
        if !news && report.outcome == Outcome::Refused {
            // The same refusal, tried again: nobody need hear of it.
            return;
        }
        let report = Arc::new(report);
        self.standing.reloaded(&report);
        for tell in self.waiting.drain(..) {
            tell(Arc::clone(&report));
        }
    }

    /// The files can be run; `news` if somebody is waiting to hear what came of it.
    fn take_up(&mut self, loaded: Loaded, why: Why, news: bool) -> Report {
        let plan = Plan::between(&self.running, &loaded.snapshot);
        if news {
            (self.tell)(&loaded.warnings);
        }
        let Loaded {
            snapshot,
            warnings,
            admin,
            ..
        } = loaded;
        if plan.is_empty() {
            if std::mem::take(&mut self.failed) || why == Why::Asked {
                let generation = self.running.generation;
                info!(generation, "reload: {plan}, the files say what is running");
            }
            self.refused = None;
            return self.report(Outcome::Unchanged, plan, warnings);
        }
        let began = Instant::now();
        match self.commit(&plan, Arc::new(snapshot), admin) {
            Ok(()) => Report {
                swap: Some(began.elapsed()),
                ..self.report(Outcome::Applied, plan, warnings)
            },
            Err(refusal) => {
                self.refuse(&refusal, news);
                let mut found = warnings;
                found.push(*refusal);
                self.report(Outcome::Refused, plan, found)
            }
        }
    }

    /// The files can't be run.
    fn turn_down(&mut self, found: Diagnostics) -> Report {
        (self.tell)(&found);
        self.failed = true;
        self.refused = None;
        let generation = self.running.generation;
        error!(
            generation,
            "reload failed: the configuration that was running serves on"
        );
        self.report(Outcome::Invalid, Plan::default(), found)
    }

    fn report(&self, outcome: Outcome, plan: Plan, diagnostics: Diagnostics) -> Report {
        Report {
            outcome,
            at: SystemTime::now(),
            generation: self.running.generation,
            plan,
            diagnostics,
            compile: Duration::ZERO,
            swap: None,
        }
    }

    /// Hands the snapshot over, or says why that can't be; then nothing has changed. `at` is where
    /// `admin.bind` stands.
    fn commit(
        &mut self,
        plan: &Plan,
        snapshot: Arc<Snapshot>,
        at: Option<Place>,
    ) -> Result<(), Box<Diagnostic>> {
        let admin = match &self.admin {
            Some(admin) => Some(admin.prepare(snapshot.admin.as_ref(), at)?),
            None => None,
        };
        let reloaded = self.reloader.reload(Arc::clone(&snapshot));
        let mut listening =
            reloaded.map_err(|refusal| Box::new(Diagnostic::error(refusal.to_string())))?;
        if let Some((admin, prepared)) = self.admin.as_mut().zip(admin) {
            listening.extend(admin.commit(prepared));
        }
        for at in &listening {
            info!(endpoint = at.endpoint, "{at} listens");
        }
        self.running = snapshot;
        self.note_listening();
        let generation = self.running.generation;
        info!(generation, "reloaded: {plan}");
        self.failed = false;
        self.refused = None;
        Ok(())
    }

    /// What was taken out may listen a while longer, for what it owes: nobody is told to come there.
    fn note_listening(&self) {
        let Snapshot {
            frontends, pools, ..
        } = &*self.running;
        let mut all = self.reloader.listening(&self.running);
        all.retain(|at| match at.role {
            "frontend" => frontends.values().any(|it| it.name == at.name),
            _ => pools.values().any(|it| it.name == at.name),
        });
        all.extend(self.admin.as_ref().and_then(Admin::listening));
        self.standing.listens(all);
    }

    fn refuse(&mut self, refusal: &Diagnostic, news: bool) {
        if news || self.refused.as_ref() != Some(refusal) {
            let generation = self.running.generation;
            if refusal.place.is_some() {
                let mut found = Diagnostics::new();
                found.push(refusal.clone());
                (self.tell)(&found);
            }
            error!(generation, "reload failed: {}", refusal.message);
        }
        self.failed = true;
        self.refused = Some(refusal.clone());
    }

    /// Watches on everything that the configuration is read from. Directories, never files: a file that
    /// is replaced takes its watch with it.
    fn watches(&mut self) -> Watches {
        if !self.running.reload.watch {
            return None;
        }
        let (watches, blind) = (self.lay)(self.directories(), self.wake.clone());
        if let Some(why) = blind.filter(|_| !self.said_blind) {
            self.said_blind = true;
            warn!("can't watch every file ({why}): looking every {LOOK_EVERY:?} as well");
        }
        watches
    }

    fn directories(&self) -> Vec<(PathBuf, RecursiveMode)> {
        let mut all = Vec::new();
        // A link's target lies elsewhere, and is what changes when the link doesn't.
        let file = [Some(self.path.clone()), self.path.canonicalize().ok()];
        for file in file.into_iter().flatten() {
            all.push((parent(&file), RecursiveMode::NonRecursive));
        }
        for root in &self.seen.roots {
            all.push((parent(root), RecursiveMode::NonRecursive));
            all.push((root.clone(), RecursiveMode::Recursive));
            if let Ok(target) = root.canonicalize() {
                all.push((target, RecursiveMode::Recursive));
            }
        }
        all.retain(|(directory, _)| directory.is_dir());
        once_each(all)
    }
}

/// A [`Lay`] by the system's own watches.
fn lay<W: Watcher + Send + 'static>(
    directories: Vec<(PathBuf, RecursiveMode)>,
    wake: Wake,
) -> (Watches, Option<String>) {
    let heard = move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| changes(&event)) {
            wake.changed();
        }
    };
    let mut watcher = match W::new(heard, notify::Config::default()) {
        Ok(watcher) => watcher,
        // Of descriptors, or of what one user may watch with.
        Err(error) => return (None, Some(error.to_string())),
    };
    let mut blind = None;
    for (directory, mode) in directories {
        match watcher.watch(&directory, mode) {
            // It may come; whatever it comes in is watched too.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
                let limit = "the system's limit of watches is reached, in Linux \
                             fs.inotify.max_user_watches";
                blind = Some(format!("{}: {limit}", directory.display()));
            }
            Err(error) => blind = Some(format!("{}: {error}", directory.display())),
            Ok(()) => {}
        }
    }
    (Some(Box::new(watcher)), blind)
}

/// Of several watches on a directory, the one that sees most.
fn once_each(mut all: Vec<(PathBuf, RecursiveMode)>) -> Vec<(PathBuf, RecursiveMode)> {
    all.sort_by_key(|(directory, mode)| (directory.clone(), *mode != RecursiveMode::Recursive));
    all.dedup_by(|later, first| later.0 == first.0);
    all
}

/// Whether an event may mean other content. Our own reading raises some that don't.
fn changes(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => event.need_rescan(),
        _ => true,
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_watches_on_a_directory_the_recursive_one_stays() {
        use RecursiveMode::{NonRecursive, Recursive};
        let at = |path: &str, mode| (PathBuf::from(path), mode);
        let all = vec![
            at(".", NonRecursive),
            at("protos", NonRecursive),
            at("protos", Recursive),
            at(".", Recursive),
            at("a", NonRecursive),
        ];
        let kept = [
            at(".", Recursive),
            at("a", NonRecursive),
            at("protos", Recursive),
        ];
        assert_eq!(once_each(all), kept);
    }

    /// A system that has a watch for one directory only.
    struct One(bool);

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

    /// A system that has none left.
    struct Exhausted;

    impl Watcher for Exhausted {
        fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
            // As inotify_init says it: EMFILE.
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

    fn wake() -> (Wake, Receiver<Reason>) {
        let (wakes, woken) = mpsc::channel();
        let pending = Arc::default();
        (Wake { wakes, pending }, woken)
    }

    #[test]
    fn out_of_watches_those_that_could_be_laid_stay_and_the_limit_is_named() {
        let directories = |names: &[&str]| {
            let all = names.iter().map(|name| PathBuf::from(*name));
            all.map(|path| (path, RecursiveMode::Recursive)).collect()
        };
        let (watches, blind) = lay::<One>(directories(&["a", "missing", "b"]), wake().0);
        let blind = blind.unwrap();
        assert!(
            watches.is_some() && blind.starts_with("b: ") && blind.contains("max_user_watches"),
            "{blind}"
        );
        let (watches, blind) = lay::<One>(directories(&["a", "missing"]), wake().0);
        assert!(watches.is_some() && blind.is_none(), "{blind:?}");
    }

    /// Lines of a log, as they are written.
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

    fn follows_without_watches(lay: Lay, why: &str) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("routes.yaml");
        std::fs::create_dir(directory.path().join("schemas")).unwrap();
        let write = |routes: &str| {
            let text = format!(
                "frontends: {{ c: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
                 pools: {{ p: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
                 reload: {{ settle: 1ms }}\nroutes: {{ {routes} }}\n"
            );
            std::fs::write(&file, text).unwrap();
        };
        write("A: { pool: p }");
        let seen = Inputs::of(&file, &[]);
        let snapshot = Arc::new(config::load(&file).unwrap().snapshot);
        let running = crate::engine::start(Arc::clone(&snapshot)).unwrap();
        let mut follower = Follower::new(&file, seen, snapshot, running.reloader(), |_| {});
        follower.lay = lay;
        let (lines, said) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = Lines(lines);
            let log = tracing_subscriber::fmt().with_writer(move || lines.clone());
            tracing::subscriber::with_default(log.finish(), || follower.follow());
        });
        let until = |words: &str| -> Vec<String> {
            let mut lines = Vec::new();
            loop {
                let line = said.recv_timeout(Duration::from_secs(30));
                lines.push(line.unwrap_or_else(|_| panic!("no {words:?} in {lines:?}")));
                if lines.last().is_some_and(|line| line.contains(words)) {
                    return lines;
                }
            }
        };
        let blind = until("can't watch every file").concat();
        assert!(blind.contains("WARN") && blind.contains(why), "{blind}");
        write("A: { pool: p }, B: { pool: p }");
        let later = until("reloaded: +1 route (B)").concat();
        assert!(!later.contains("can't watch"), "said twice: {later}");
        running.control().stop();
        running.wait().unwrap();
    }

    #[test]
    fn without_a_watch_files_are_looked_at_and_that_is_said_once() {
        std::thread::scope(|scope| {
            scope.spawn(|| follows_without_watches(lay::<Exhausted>, "open files"));
            scope.spawn(|| follows_without_watches(lay::<One>, "fs.inotify.max_user_watches"));
        });
    }

    #[test]
    fn an_overflow_of_events_is_a_reason_to_look() {
        use notify::event::Flag;
        let looked = |kind, rescan: bool| {
            let event = notify::Event::new(kind);
            changes(&if rescan {
                event.set_flag(Flag::Rescan)
            } else {
                event
            })
        };
        // As notify tells it, and as it may yet tell it.
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
