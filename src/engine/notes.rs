//! What the core noted, as log lines: the names of their fields are what people search for.
//!
//! What a peer chose stands in fields alone, which the log escapes, never in a line's text.

use tracing::{info, warn};

use crate::core::{Core, Note, QUIET, What};
use crate::frame::Frames;
use crate::reply::Reason;

/// Writes what there is to tell; an engine calls it once a turn.
pub(super) fn log_notes<M: Frames>(core: &mut Core<M>) {
    log(core.take_notes());
}

/// Writes all that is left to tell; an engine calls it when it ends.
pub(super) fn log_last_notes<M: Frames>(core: &mut Core<M>) {
    log(core.take_last_notes());
}

fn log(notes: Vec<Note>) {
    for note in notes {
        match note.what {
            What::Rejected(reason) => rejected(reason, &note),
            What::WorkerCame => worker("came", &note),
            What::WorkerGone => worker("went", &note),
        }
    }
}

/// Whether the cause lies behind the gateway: then somebody should look.
fn is_ours(reason: Reason) -> bool {
    match reason {
        Reason::QueueFull
        | Reason::NoWorker
        | Reason::WorkerLost
        | Reason::Timeout
        | Reason::BadReply => true,
        Reason::Malformed
        | Reason::UnknownType
        | Reason::SchemaViolation
        | Reason::TooLarge
        | Reason::NotAllowed
        | Reason::ClientLimit
        | Reason::ShuttingDown => false,
    }
}

fn rejected(reason: Reason, note: &Note) {
    let particulars = &note.particulars;
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let (route, label) = (some(&note.name), reason.label());
    macro_rules! at_level {
        ($level:ident) => {
            match note.left_out {
                None => $level!(
                    reason = label,
                    route,
                    frontend = some(&particulars.frontend),
                    client = some(&particulars.client),
                    field = some(&particulars.field),
                    offset = particulars.offset,
                    generation = particulars.generation,
                    why = particulars.why,
                    "rejected"
                ),
                Some(left_out) => $level!(
                    reason = label,
                    route,
                    left_out,
                    "rejected {left_out} more within {QUIET:?}"
                ),
            }
        };
    }
    match is_ours(reason) {
        true => at_level!(warn),
        false => at_level!(info),
    }
}

fn worker(what: &str, note: &Note) {
    let (pool, particulars) = (&*note.name, &note.particulars);
    match note.left_out {
        Some(left_out) => info!(
            pool,
            left_out, "worker {what}: {left_out} more within {QUIET:?}"
        ),
        // Whoever went with nothing in its hands may come back.
        None if particulars.held > 0 => warn!(
            pool,
            workers = particulars.workers,
            held = particulars.held,
            "worker {what}"
        ),
        None => info!(pool, workers = particulars.workers, "worker {what}"),
    }
}
