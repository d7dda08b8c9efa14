//! The page of `GET /rejections`: the last rejections, as JSON. `docs/status.md` lists the keys.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::metrics::Sample;
use crate::rejections::Rejected;
use crate::snapshot::Names;

#[derive(Serialize)]
struct RejectionsPage<'a> {
    rejections: Vec<RejectionEntry<'a>>,
}

#[derive(Serialize)]
struct RejectionEntry<'a> {
    /// The time in seconds since 1970.
    at: f64,
    reason: &'static str,
    code: i32,
    #[serde(rename = "type")]
    kind: Option<&'a str>,
    route: Option<&'a str>,
    frontend: Option<&'a str>,
    channel: Option<&'a str>,
    client: Option<&'a str>,
    peer: Option<&'a str>,
    field: Option<&'a str>,
    offset: Option<u64>,
    message: &'a str,
    retryable: bool,
    generation: u64,
}

/// Returns the last rejections of a sample that was taken at about `now`, newest first, as JSON.
pub(super) fn rejections(sample: &Sample, now: SystemTime) -> String {
    let names = &sample.snapshot.names;
    let entries = sample.rejections.iter().map(|rejected| {
        let ago = sample.uptime.saturating_sub(rejected.at);
        RejectionEntry::of(rejected, names, now.checked_sub(ago).unwrap_or(now))
    });
    let rejections = RejectionsPage {
        rejections: entries.collect(),
    };
    // Writing into memory cannot fail.
    serde_json::to_string(&rejections).unwrap_or_default()
}

impl<'a> RejectionEntry<'a> {
    fn of(rejected: &'a Rejected, names: &'a Names, at: SystemTime) -> Self {
        let Rejected {
            at: _,
            route,
            client,
            rejection,
        } = rejected;
        let client = client.as_deref();
        let at = at.duration_since(SystemTime::UNIX_EPOCH);
        Self {
            at: at.unwrap_or(Duration::ZERO).as_secs_f64(),
            reason: rejection.reason.label(),
            code: rejection.code,
            kind: non_empty(&rejection.kind),
            route: non_empty(names.of_route(*route)),
            frontend: client.and_then(|client| client.entry.frontend(names)),
            channel: client.and_then(|client| client.entry.channel(names)),
            client: client.and_then(|client| non_empty(&client.identity)),
            peer: client.and_then(|client| client.address.as_deref()),
            field: non_empty(&rejection.field),
            offset: rejection.offset,
            message: &rejection.message,
            retryable: rejection.retryable,
            generation: rejection.generation,
        }
    }
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
