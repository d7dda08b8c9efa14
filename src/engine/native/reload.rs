//! Reload: prepared by whoever reads configurations, committed on the data thread between two messages.
//!
//! Anything may change. Listeners that the new configuration still wants stay as they are, under another
//! name if need be; new ones are bound while it is prepared; what it has no more is closed when it is
//! committed, or, where somebody is still owed something, once nothing is.

mod book;
mod removed;

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::Native;
use super::address::Address;
use super::connection::{Phase, Role};
use crate::core::Event;
use crate::engine::{Control, EngineError, Listening};
use crate::peer::WorkerKind;
use crate::snapshot::{Snapshot, Workers};
use book::{Entry, How, Planned};
pub(super) use book::{SharedBook, try_binds};
pub(super) use removed::LOOK_AGAIN;

/// Prepares reloads and hands them to the data thread.
#[derive(Clone)]
pub(in crate::engine) struct Reloader {
    book: SharedBook,
    commits: mpsc::Sender<Commit>,
    control: Control,
}

/// A reload that can't fail any more.
pub(super) struct Commit {
    snapshot: Arc<Snapshot>,
    listeners: Vec<Planned>,
    calls: Vec<(Role, Address)>,
    /// Told once it has taken hold.
    done: mpsc::Sender<()>,
}

impl Reloader {
    pub(super) fn new(book: SharedBook, commits: mpsc::Sender<Commit>, control: Control) -> Self {
        Self {
            book,
            commits,
            control,
        }
    }

    pub(in crate::engine) fn reload(
        &self,
        snapshot: Arc<Snapshot>,
    ) -> Result<Vec<Listening>, EngineError> {
        let (done, committed) = mpsc::channel();
        let listening = self.hand_over(&snapshot, done)?;
        self.control.wake();
        committed.recv().map_err(|_| ending())?;
        Ok(listening)
    }

    /// The same without waiting for it to take hold.
    pub(super) fn prepare(&self, snapshot: &Arc<Snapshot>) -> Result<Vec<Listening>, EngineError> {
        self.hand_over(snapshot, mpsc::channel().0)
    }

    /// Everywhere that the gateway listens.
    pub(in crate::engine) fn listening(&self, snapshot: &Snapshot) -> Vec<Listening> {
        let there = self.book.lock().there.clone();
        there.iter().map(|entry| entry.shown(snapshot)).collect()
    }

    /// Binds what is new; gives where that listens.
    fn hand_over(
        &self,
        snapshot: &Arc<Snapshot>,
        done: mpsc::Sender<()>,
    ) -> Result<Vec<Listening>, EngineError> {
        let mut book = self.book.lock();
        if book.ended {
            return Err(ending());
        }
        let calls = calls(snapshot)?;
        let (there, listeners, last) = book.plan(snapshot)?;
        let new = |entry: &&Entry| !book.there.iter().any(|other| other.id == entry.id);
        let listening = there.iter().filter(new).map(|entry| entry.shown(snapshot));
        let listening = listening.collect();
        let commit = Commit {
            snapshot: Arc::clone(snapshot),
            listeners,
            calls,
            done,
        };
        self.commits.send(commit).map_err(|_| ending())?;
        book.there = there;
        book.last = last;
        book.pending += 1;
        Ok(listening)
    }
}

fn ending() -> EngineError {
    EngineError::new("reload", "the gateway is ending")
}

/// Everything that a configuration connects to.
fn calls(snapshot: &Snapshot) -> Result<Vec<(Role, Address)>, EngineError> {
    let frontends = snapshot.frontends.iter().flat_map(|(id, it)| {
        let calls = it.endpoints.connect.iter();
        calls.map(|endpoint| (Role::Frontend(*id), endpoint))
    });
    let pools = snapshot.pools.iter().flat_map(|(id, it)| {
        let calls = it.endpoints.connect.iter();
        calls.map(|endpoint| (Role::Pool(*id), endpoint))
    });
    let all = frontends.chain(pools);
    all.map(|(role, endpoint)| match Address::parse(endpoint) {
        Ok(address) => Ok((role, address)),
        Err(error) => Err(EngineError::new(endpoint, error)),
    })
    .collect()
}

impl Native {
    /// Takes over the reloads that were handed over.
    pub(super) fn commit(&mut self, now: Duration) {
        while let Ok(commit) = self.commits.try_recv() {
            let Commit {
                snapshot,
                listeners,
                calls,
                done,
            } = commit;
            self.snapshot = Arc::clone(&snapshot);
            self.peers.outbox_max = snapshot.limits.client_bytes;
            self.adopt_listeners(listeners, now);
            self.adopt_calls(calls, now);
            self.core
                .on(now, Event::Reload { snapshot }, &mut self.peers);
            self.tell(now);
            self.adopt_connections(now);
            self.book.committed();
            // Whoever waits for it may have ended.
            let _ = done.send(());
        }
    }

    /// Drops the reloads that were handed over: nobody would be served by them any more.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.book.committed();
        }
    }

    fn adopt_listeners(&mut self, planned: Vec<Planned>, now: Duration) {
        let wanted: BTreeSet<_> = planned.iter().map(|planned| planned.id).collect();
        // First those that go, so that their addresses are free.
        self.listeners.there.retain(|id, _| wanted.contains(id));
        for Planned { id, role, how } in planned {
            match how {
                How::Keep => {
                    if let Some(listening) = self.listeners.there.get_mut(&id) {
                        listening.role = role;
                    }
                }
                How::Open(listener) => self.listeners.open(id, role, listener),
                How::TakeOver(address) => self.listeners.take_over(id, role, address, now),
            }
        }
    }

    /// Calls what the configuration says, and what a removed pool is still owed answers from.
    fn adopt_calls(&mut self, mut calls: Vec<(Role, Address)>, now: Duration) {
        let removed = |role: &Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(id) && !self.core.is_idle(*id),
            Role::Frontend(_) => false,
        };
        let wanted = calls.len();
        calls.extend(self.dialer.all().filter(|(role, _)| removed(role)));
        self.removing |= calls.len() > wanted;
        for peer in self.dialer.set(&calls, now) {
            if let Some(connection) = self.peers.get(peer) {
                connection.dial = None;
                connection.retired = true;
                self.removing = true;
            }
        }
    }

    /// What the new settings mean for connections that are there.
    fn adopt_connections(&mut self, now: Duration) {
        let all: Vec<_> = self.peers.all().map(|it| (it.peer, it.role)).collect();
        for (peer, role) in all {
            let there = match role {
                Role::Frontend(id) => self.snapshot.frontends.contains_key(&id),
                Role::Pool(id) => self.snapshot.pools.contains_key(&id),
            };
            self.removing |= !there;
            let Some(connection) = self.peers.get(peer) else {
                continue;
            };
            if let (Role::Pool(id), Phase::Worker(kind)) = (role, &connection.phase) {
                let allowed = self.snapshot.pools.get(&id).map(|it| it.workers);
                if allowed.is_some_and(|allowed| !suits(*kind, allowed)) {
                    connection.retired = true;
                    self.removing = true;
                }
                // Heartbeats may have changed.
                self.peers.set_timer(peer, now);
            }
            // It may have been deaf by the old limits.
            self.peers.queue(peer);
        }
        let lingers = |role: &Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(id),
            Role::Frontend(_) => false,
        };
        let mut listeners = self.listeners.there.values();
        self.removing |= listeners.any(|it| lingers(&it.role));
    }
}

fn suits(kind: WorkerKind, allowed: Workers) -> bool {
    match allowed {
        Workers::Auto => true,
        Workers::Dealer => kind == WorkerKind::Dealer,
        Workers::Rep => kind == WorkerKind::Rep,
    }
}
