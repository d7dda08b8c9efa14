//! Writes the notes of the core to the log. Operators search the log by the names of the fields.
//!
//! Text that a peer chose appears only in fields, which the log escapes, and never in the message
//! of a line.

use std::fmt;
use std::time::Duration;

use tracing::{info, warn};

use crate::core::{Core, Doubt, Note, NotedEvent, Particulars, REPEAT_INTERVAL};
use crate::frame::{Frames, printable};
use crate::rejections::RejectionSeverity;
use crate::reply::Reason;
use crate::snapshot::Names;

/// Writes the notes that are ready. An engine calls this once a turn.
pub(super) fn log_notes<M: Frames>(core: &mut Core<M>) {
    log(core.take_notes(), core.names());
}

/// Writes all remaining notes. An engine calls this when it ends.
pub(super) fn log_last_notes<M: Frames>(core: &mut Core<M>) {
    log(core.take_last_notes(), core.names());
}

fn log(notes: Vec<Note>, names: &Names) {
    for note in notes {
        match note.what {
            NotedEvent::Rejected(reason) => rejected(reason, &note, names),
            NotedEvent::TypeAsHeader => doubt("type", &note),
            NotedEvent::TypeAfterOthers => doubt("envelope", &note),
            NotedEvent::WorkerConnected => worker("connected", &note),
            NotedEvent::WorkerDisconnected => worker("disconnected", &note),
            NotedEvent::WorkerLeft => worker("left", &note),
            NotedEvent::Unanswered => unanswered(&note),
            NotedEvent::NoWorker => no_worker(&note),
            NotedEvent::SilentPeers => silent_peers(&note),
            NotedEvent::Draining => draining(&note),
            NotedEvent::Unread => unread(&note),
            NotedEvent::SlowSubscriber => slow_subscriber(&note),
            NotedEvent::SubscriberData => subscriber_data(&note),
            NotedEvent::Stray(stray) => dropped(&stray, &note),
        }
    }
}

fn rejected(reason: Reason, note: &Note, names: &Names) {
    if let Some(rejected) = &note.particulars.rejected {
        rejected.log(RejectionSeverity::of(reason), names);
    }
    let Some(left_out) = note.left_out else {
        return;
    };
    let route = Some(&*note.name).filter(|name| !name.is_empty());
    let reason_label = reason.label();
    match RejectionSeverity::of(reason) {
        RejectionSeverity::Warn => warn!(
            reason = reason_label,
            route, left_out, "rejected {left_out} more within {REPEAT_INTERVAL:?}"
        ),
        _ => info!(
            reason = reason_label,
            route, left_out, "rejected {left_out} more within {REPEAT_INTERVAL:?}"
        ),
    }
}

/// Logs that a key of a frontend's configuration does not seem to fit the client.
fn doubt(key: &str, note: &Note) {
    let frontend = &*note.name;
    if let Some(Doubt { client, why }) = &note.particulars.doubt {
        warn!(
            frontend,
            client = client.identity,
            peer = client.address,
            why,
            "the frontend's {key} may not fit its client"
        );
    }
    if let Some(left_out) = note.left_out {
        warn!(
            frontend,
            left_out,
            "the frontend's {key} may not fit its clients: {left_out} more messages within {REPEAT_INTERVAL:?}"
        );
    }
}

/// Returns the identity and the address of the worker or subscriber that an event concerns, where
/// they are known.
fn names(particulars: &Particulars) -> (Option<String>, Option<String>) {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let name = particulars.worker.as_deref();
    let identity = name.and_then(|name| some(printable(&name.identity)));
    (identity, name.and_then(|name| some(name.address.clone())))
}

fn unanswered(note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    let (identity, peer) = names(particulars);
    match note.left_out {
        Some(left_out) => warn!(
            pool,
            left_out, "workers that never answered: {left_out} more within {REPEAT_INTERVAL:?}"
        ),
        None => warn!(
            pool,
            seat = particulars.seat,
            worker = identity,
            peer,
            "a worker that never answered let a request time out; it receives no other request until it answers, or until another request is rejected because no worker was free"
        ),
    }
}

fn dropped(stray: &dyn fmt::Display, note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    let (identity, peer) = names(particulars);
    match note.left_out {
        Some(left_out) => warn!(
            pool,
            left_out,
            "{left_out} more messages of workers within {REPEAT_INTERVAL:?} answer no request and are dropped: {stray}"
        ),
        None => warn!(
            pool,
            seat = particulars.seat,
            worker = identity,
            peer,
            frames = particulars.frames,
            first = particulars.first,
            "a worker's message answers no request and is dropped: {stray}"
        ),
    }
}

fn slow_subscriber(note: &Note) {
    let (channel, particulars) = (&*note.name, &note.particulars);
    let (subscriber, peer) = names(particulars);
    match note.left_out {
        Some(left_out) => warn!(
            channel,
            left_out,
            "slow subscribers missed messages {left_out} more times within {REPEAT_INTERVAL:?}"
        ),
        None => warn!(
            channel,
            subscriber,
            peer,
            missed = particulars.missed,
            "a subscriber is too slow and misses messages: it does not read its queue, which subscriber_bytes limits"
        ),
    }
}

fn subscriber_data(note: &Note) {
    let (channel, particulars) = (&*note.name, &note.particulars);
    let (subscriber, peer) = names(particulars);
    match note.left_out {
        Some(left_out) => warn!(
            channel,
            left_out,
            "subscribers sent {left_out} more messages within {REPEAT_INTERVAL:?}, which are dropped"
        ),
        None => warn!(
            channel,
            subscriber,
            peer,
            frames = particulars.frames,
            first = particulars.first,
            "a subscriber sent a message, which is dropped: publishers connect to other addresses"
        ),
    }
}

fn no_worker(note: &Note) {
    let pool = &*note.name;
    let Particulars {
        waiting, addresses, ..
    } = &note.particulars;
    match note.left_out {
        Some(left_out) => warn!(
            pool,
            left_out, "pool {pool} had no worker {left_out} more times within {REPEAT_INTERVAL:?}"
        ),
        None => {
            let requests = if *waiting == 1 {
                "request waits"
            } else {
                "requests wait"
            };
            warn!(
                pool,
                waiting, "pool {pool} has no worker, {waiting} {requests}: {addresses}"
            );
        }
    }
}

fn silent_peers(note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    let peers = Some(&*particulars.silent_peers).filter(|peers| !peers.is_empty());
    match note.left_out {
        Some(left_out) => warn!(
            pool,
            left_out,
            "peers were silent at a frontend while pool {pool} had no worker: {left_out} more times within {REPEAT_INTERVAL:?}"
        ),
        None => warn!(
            pool,
            silent = particulars.silent,
            peers,
            "DEALER peers at a frontend have sent nothing: if one is a worker of pool {pool}, it is at the wrong address: {}",
            particulars.addresses
        ),
    }
}

fn draining(note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    // A gateway drains only once, so no further drain is counted.
    if note.left_out.is_none() {
        info!(
            pool,
            held = particulars.held,
            waiting = particulars.waiting,
            workers = particulars.workers,
            "draining: waiting for pool {pool} for {:?} at most, then its requests are rejected",
            seconds(particulars.left)
        );
    }
}

fn unread(note: &Note) {
    if note.left_out.is_none() {
        info!(
            answers = note.particulars.waiting,
            "draining: waiting for clients to read their answers for {:?} at most",
            seconds(note.particulars.left)
        );
    }
}

/// Returns a remaining time in whole seconds, rounded up, because fractions are of no use in the
/// log.
fn seconds(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

fn worker(what: &str, note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    let (identity, peer) = names(particulars);
    match note.left_out {
        Some(left_out) => info!(
            pool,
            left_out, "worker {what}: {left_out} more within {REPEAT_INTERVAL:?}"
        ),
        // A disconnection is worth a warning only if the worker held requests. Other workers may
        // have disconnected on purpose.
        None if particulars.held > 0 => warn!(
            pool,
            seat = particulars.seat,
            worker = identity,
            peer,
            workers = particulars.workers,
            held = particulars.held,
            "worker {what}"
        ),
        None => info!(
            pool,
            seat = particulars.seat,
            worker = identity,
            peer,
            workers = particulars.workers,
            "worker {what}"
        ),
    }
}
