//! Follows the files: an event, or a look once in a while → settle → is the content another? → reload.
//!
//! Events only say when to look. What counts is the content of every file, taken *before* it is loaded:
//! whatever is written after that raises another event or is seen by the next look, so the last write is
//! never missed. Watches are laid anew before each look, because a watch dies with its directory, and
//! editors, `git checkout` and Kubernetes replace both files and directories.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{error, info, warn};

use crate::config::{self, Inputs};
use crate::diagnostic::Diagnostics;
use crate::engine::Reloader;
use crate::reload::Plan;
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Something may have changed.
    Changed,
    /// Somebody asked for it.
    Asked,
}

impl Wake {
    /// Has the files loaded anew now, changed or not.
    pub fn reload(&self) {
        // It fails when there is no follower any more.
        let _ = self.wakes.send(Reason::Asked);
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
    refused: Option<String>,
    wake: Wake,
    woken: Receiver<Reason>,
    /// Tells people what is wrong with their files.
    tell: fn(&Diagnostics),
    /// Whether it was said that watches can't be laid.
    said_blind: bool,
}

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
            wake: Wake { wakes, pending },
            woken,
            tell,
            said_blind: false,
        }
    }

    /// What wakes it.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Follows until the process ends.
    pub fn follow(mut self) {
        let mut watches = self.watches();
        self.look(false);
        loop {
            let woken = self.woken.recv_timeout(LOOK_EVERY);
            self.wake.pending.store(false, Ordering::SeqCst);
            let asked = match woken {
                Ok(Reason::Asked) => true,
                _ if !self.running.reload.watch => continue,
                Ok(Reason::Changed) => self.settle(),
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // The new ones first, so that there is no moment without any.
            let laid = self.watches();
            drop(std::mem::replace(&mut watches, laid));
            self.look(asked);
        }
    }

    /// Waits until the files are at rest; true if somebody asked for a reload meanwhile.
    fn settle(&self) -> bool {
        let settle = self.running.reload.settle;
        let until = Instant::now() + settle * SETTLE_MOST;
        loop {
            let woken = self.woken.recv_timeout(settle);
            self.wake.pending.store(false, Ordering::SeqCst);
            match woken {
                Ok(Reason::Asked) => return true,
                Ok(Reason::Changed) if Instant::now() < until => {}
                _ => return false,
            }
        }
    }

    /// Reloads if the content is another than was last seen, or if `asked` to.
    fn look(&mut self, asked: bool) {
        let now = Inputs::of(&self.path, &self.seen.roots);
        let another = now != self.seen;
        if !another && !asked && self.refused.is_none() {
            return;
        }
        self.seen = now;
        match config::load_after(&self.path, &self.running) {
            Ok(loaded) => {
                let plan = Plan::between(&self.running, &loaded.snapshot);
                if plan.is_empty() {
                    self.refused = None;
                    if asked {
                        info!(generation = self.running.generation, "reload: {plan}");
                    }
                    return;
                }
                if another || asked {
                    (self.tell)(&loaded.warnings);
                }
                self.commit(&plan, Arc::new(loaded.snapshot));
            }
            Err(found) => {
                (self.tell)(&found);
                let generation = self.running.generation;
                error!(
                    generation,
                    "reload failed: the configuration that was running serves on"
                );
            }
        }
    }

    fn commit(&mut self, plan: &Plan, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        match self.reloader.reload(Arc::clone(&snapshot)) {
            Ok(listening) => {
                for at in listening {
                    info!(endpoint = at.endpoint, "{} {} listens", at.role, at.name);
                }
                info!(generation, "reloaded: {plan}");
                self.running = snapshot;
                self.refused = None;
            }
            Err(refusal) => {
                let refusal = refusal.to_string();
                if self.refused.as_ref() != Some(&refusal) {
                    let generation = self.running.generation;
                    error!(generation, "reload refused: {refusal}");
                }
                self.refused = Some(refusal);
            }
        }
    }

    /// Watches on everything that the configuration is read from. Directories, never files: a file that
    /// is replaced takes its watch with it.
    fn watches(&mut self) -> Option<RecommendedWatcher> {
        if !self.running.reload.watch {
            return None;
        }
        let wake = self.wake.clone();
        let heard = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| changes(&event)) {
                wake.changed();
            }
        };
        let laid = notify::recommended_watcher(heard).and_then(|mut watcher| {
            for (directory, mode) in self.directories() {
                match watcher.watch(&directory, mode) {
                    // It may come; whatever it comes in is watched too.
                    Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                    outcome => outcome?,
                }
            }
            Ok(watcher)
        });
        match laid {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                if !std::mem::replace(&mut self.said_blind, true) {
                    warn!("can't watch the files ({error}): looking every {LOOK_EVERY:?} instead");
                }
                None
            }
        }
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
        all.sort_by(|a, b| a.0.cmp(&b.0).then((a.1 as u8).cmp(&(b.1 as u8)).reverse()));
        all.dedup_by(|later, first| later.0 == first.0);
        all
    }
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
