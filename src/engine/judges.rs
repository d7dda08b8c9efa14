//! The judges: threads that check payloads if the check may take long.
//!
//! A message to check is a [`Case`]: a request, an answer, or a message that a channel keeps. The
//! core keeps requests and answers in lanes. The messages of a lane keep their order, so only the
//! first message of each lane is passed to the judges. A kept message is not passed again before
//! its verdict. The queue of cases in [`Judges`] is therefore bounded by the requests that clients
//! may have open, and by the messages that channels keep.
//!
//! The queue belongs to the data thread and serves clients in turn. The next cases are sent to the
//! judges through [`mpsc`], so that the data thread never waits for a lock. A judge uses nothing
//! but its case, and its verdict reaches the core as an event.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustc_hash::FxBuildHasher;

use crate::core::{Case, Verdict};
use crate::engine::control::Control;
use crate::engine::fair_queue::FairQueue;
use crate::frame::Frames;
use crate::peer::PeerId;
use crate::priority;

/// The maximum number of judges, however many processors there are. Workers and other programs need
/// processors, too.
const JUDGES_MAX: usize = 4;

/// The stack of a judge, in bytes. A check recurses once for each level of nesting, and
/// `limits.depth` allows 1000 at most.
const STACK_SIZE: usize = 8 << 20;

/// The maximum number of cases that a judge has: the case that it checks, and the next case, which
/// it can begin without waiting for the data thread.
const CASES_PER_JUDGE: usize = 2;

/// The judges and their queue. Each judge starts when it is first needed.
pub(super) struct Judges<P> {
    control: Control,
    waiting: FairQueue<PeerId, Box<Case<P>>, FxBuildHasher>,
    /// The sending end of the `mpsc` channel to the judges.
    cases: Sender<Box<Case<P>>>,
    /// The receiving end of that channel, which the judges share.
    sent: Arc<Mutex<Receiver<Box<Case<P>>>>>,
    done: Sender<Box<Verdict<P>>>,
    verdicts: Receiver<Box<Verdict<P>>>,
    threads: usize,
    threads_max: usize,
    /// The number of cases that were sent and have no verdict yet.
    under_way: usize,
}

impl<P: Frames + Send + 'static> Judges<P> {
    /// Returns judges whose threads have not started yet. A judge that has reached a verdict wakes
    /// the data thread through `control`.
    pub(super) fn new(control: Control) -> Self {
        let (cases, sent) = mpsc::channel();
        let (done, verdicts) = mpsc::channel();
        // One processor is left to the data thread, if there are several.
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self {
            control,
            waiting: FairQueue::default(),
            cases,
            sent: Arc::new(Mutex::new(sent)),
            done,
            verdicts,
            threads: 0,
            threads_max: processors.saturating_sub(1).clamp(1, JUDGES_MAX),
            under_way: 0,
        }
    }

    /// Queues a case for the next free judge.
    ///
    /// # Errors
    ///
    /// Returns the case if there is no judge and none can be started.
    pub(super) fn add(&mut self, case: Box<Case<P>>) -> Result<(), Box<Case<P>>> {
        if self.under_way >= self.threads && self.threads < self.threads_max && self.start() {
            self.threads += 1;
        }
        if self.threads == 0 {
            return Err(case);
        }
        self.waiting.push(case.client(), case);
        self.send();
        Ok(())
    }

    /// Sends queued cases to the judges, up to [`CASES_PER_JUDGE`] for each.
    fn send(&mut self) {
        while self.under_way < self.threads * CASES_PER_JUDGE
            && let Some(case) = self.waiting.pop()
        {
            self.under_way += 1;
            // This cannot fail, because the receiving end is in `self`.
            let _ = self.cases.send(case);
        }
    }

    /// Removes and returns the next verdict, if there is one.
    pub(super) fn next(&mut self) -> Option<Box<Verdict<P>>> {
        if self.under_way == 0 {
            return None;
        }
        let verdict = self.verdicts.try_recv().ok()?;
        self.under_way -= 1;
        self.send();
        Some(verdict)
    }

    /// Starts a judge, which ends with the engine. Returns false if the system cannot start a
    /// thread.
    fn start(&self) -> bool {
        let sent = Arc::clone(&self.sent);
        let (done, control) = (self.done.clone(), self.control.clone());
        let judge = move || {
            priority::lower();
            while let Some(case) = take(&sent) {
                if done.send(judge(*case)).is_err() {
                    return;
                }
                control.wake();
            }
        };
        let builder = thread::Builder::new().name("judge".into());
        builder.stack_size(STACK_SIZE).spawn(judge).is_ok()
    }
}

/// Waits for the next case. Returns `None` once the engine has ended.
fn take<P>(sent: &Mutex<Receiver<Box<Case<P>>>>) -> Option<Box<Case<P>>> {
    // The lock is never poisoned, because no judge panics while it holds the lock.
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    sent.recv().ok()
}

/// Checks a case, and returns the verdict. A panic, which is a bug, causes only the rejection of
/// this message. The panic hook has already logged and counted the panic.
fn judge<P: Frames>(case: Case<P>) -> Box<Verdict<P>> {
    let found = catch_unwind(AssertUnwindSafe(|| case.check_payload()));
    Box::new(case.end(found.ok()))
}
