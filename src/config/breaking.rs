//! Diagnostics for edits that break peers. The schemas of every route are compared with the schemas
//! of the same route in the running snapshot.
//!
//! Routes are matched by their patterns. The schemas of a route are matched by encoding and message
//! name. The remaining schemas of each encoding are matched in order. A route, an encoding or a
//! schema that the new routes.yaml adds or removes is an intended change, and is not compared.

use std::collections::{BTreeMap, HashMap};

use crate::snapshot::{AnyOf, Route, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_schema::breaking::{BreakingChange, BreakingPolicy, Defined, between};
use gateway_schema::{Encoding, MessageId, Options, Schema};

/// The maximum number of places in routes that one diagnostic names. A longer list would not help.
const NAMED_MAX: usize = 8;

/// Adds the changes of `new` that break peers of `running`, as warnings or errors.
pub(super) fn gate(
    running: &Snapshot,
    new: &Snapshot,
    breaking: BreakingPolicy,
    found: &mut Diagnostics,
) {
    if breaking == BreakingPolicy::Allow {
        return;
    }
    let before: BTreeMap<_, _> = running.routes.iter().collect();
    let mut routes: Vec<_> = new.routes.iter().collect();
    routes.sort_by(|a, b| a.1.name.cmp(&b.1.name));
    let mut gate = Gate {
        running,
        new,
        known: HashMap::new(),
        broken: BTreeMap::new(),
    };
    for (pattern, route) in routes {
        if let Some(was) = before.get(&pattern) {
            gate.compare(route, "", was.schema.as_ref(), route.schema.as_ref());
            gate.compare(route, " (reply)", was.reply.as_ref(), route.reply.as_ref());
        }
    }
    for (fault, users) in gate.broken.into_values() {
        found.push(diagnostic(fault, &users, breaking));
    }
}

/// The inputs that determine the outcome of a comparison.
type Compared = (Encoding, (MessageId, Options), (MessageId, Options));

/// The identity of a breaking change: its subject, its text, and its place.
type BreakKey = (String, String, Option<String>);

struct Gate<'a> {
    running: &'a Snapshot,
    new: &'a Snapshot,
    /// The results of all comparisons, for reuse, because many routes have the same schemas.
    known: HashMap<Compared, Vec<BreakingChange>>,
    /// Each breaking change once, with one note for each route and field in which it occurs.
    broken: BTreeMap<BreakKey, (BreakingChange, Vec<String>)>,
}

impl Gate<'_> {
    fn compare(&mut self, route: &Route, part: &str, old: Option<&AnyOf>, new: Option<&AnyOf>) {
        let (Some(old), Some(new)) = (old, new) else {
            return;
        };
        for (old, new) in pairs(old, new) {
            let key = (new.encoding(), old.identity(), new.identity());
            let faults = self.known.entry(key).or_insert_with(|| {
                let old = Defined {
                    schema: old,
                    definitions: &self.running.definitions,
                };
                let new = Defined {
                    schema: new,
                    definitions: &self.new.definitions,
                };
                between(old, new)
            });
            for fault in faults {
                let at = match fault.path.as_str() {
                    "" => "in its message".to_owned(),
                    path => format!("at {path}"),
                };
                let user = format!(
                    "affects route {}{part} {at}, in {}",
                    route.name,
                    key.0.label()
                );
                let place = fault.after.as_ref().map(ToString::to_string);
                let identity = (fault.subject.clone(), fault.what.clone(), place);
                let broken = self.broken.entry(identity);
                let (_, users) = broken.or_insert_with(|| (fault.clone(), Vec::new()));
                users.push(user);
            }
        }
    }
}

/// Returns each pair of an old and a new schema that are compared.
fn pairs<'a>(old: &'a AnyOf, new: &'a AnyOf) -> Vec<(&'a Schema, &'a Schema)> {
    let mut new: Vec<_> = new.schemas().collect();
    let mut paired = Vec::new();
    let mut left = Vec::new();
    for old in old.schemas() {
        let same = |new: &&Schema| {
            old.encoding() == new.encoding() && old.message_name() == new.message_name()
        };
        match new.iter().position(same) {
            Some(at) => paired.push((old, new.remove(at))),
            None => left.push(old),
        }
    }
    for old in left {
        if let Some(at) = new.iter().position(|new| old.encoding() == new.encoding()) {
            paired.push((old, new.remove(at)));
        }
    }
    paired
}

fn diagnostic(fault: BreakingChange, users: &[String], breaking: BreakingPolicy) -> Diagnostic {
    let BreakingChange {
        subject,
        what,
        path: _,
        before,
        after,
        help,
    } = fault;
    let sentence = format!("{subject} {what}");
    let mut diagnostic = match breaking {
        BreakingPolicy::Reject => Diagnostic::error(sentence),
        BreakingPolicy::Allow | BreakingPolicy::Warn => Diagnostic::warning(sentence),
    };
    diagnostic = diagnostic.label("breaks messages of existing peers");
    diagnostic.place = after;
    if let Some(before) = before {
        let line = before.file.line(before.line).unwrap_or_default();
        diagnostic = diagnostic.note(format!(
            "the old definition was at {before}: {}",
            line.trim()
        ));
    }
    for user in users.iter().take(NAMED_MAX) {
        diagnostic = diagnostic.note(user.as_str());
    }
    if let Some(more @ 1..) = users.len().checked_sub(NAMED_MAX) {
        diagnostic = diagnostic.note(format!("further affected places: {more}"));
    }
    diagnostic.help(match breaking {
        BreakingPolicy::Reject => {
            format!("{help};\nproto: {{ breaking: warn }} accepts such edits with a warning")
        }
        BreakingPolicy::Allow | BreakingPolicy::Warn => {
            format!("{help};\nproto: {{ breaking: reject }} refuses such edits")
        }
    })
}
