//! The JSON of /status, and of the answer to POST /reload. `docs/status.md` documents the format. A
//! new version may add keys, but does not remove any.

mod channels;
mod name;

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::ledger::{
    Ledger, MemoryGauges, OTHER_PRINCIPALS, PrincipalCounters, PrincipalSample, RouteCounters,
    WorkerSample,
};
use crate::metrics::Sample;
use crate::peer::WorkerKind;
use crate::reload::{Changes, ControlStatus, Plan, Report};
use crate::reply::Reason;
use crate::snapshot::{AnyOf, RouteId};
use channels::{ChannelStatus, channels};
use gateway_diagnostic::Diagnostics;

/// The maximum number of principals that the page shows individually: as many as a person can still
/// read.
const PRINCIPALS_SHOWN_MAX: usize = 100;

/// Returns the body of /status.
pub(super) fn status(sample: &Sample, control_status: &ControlStatus) -> String {
    json(&Status::of(sample, control_status))
}

/// Returns the body of the answer to POST /reload, for programs.
pub(super) fn reload_as_json(report: &Report) -> String {
    json(&ReloadStatus::of(report))
}

fn json(value: &impl Serialize) -> String {
    // Writing strings and numbers into memory cannot fail.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Status<'a> {
    version: &'static str,
    engine: &'static str,
    state: &'static str,
    generation: u64,
    uptime_seconds: f64,
    /// The memory that `limits.memory` bounds, or `None` with engine libzmq.
    memory: Option<MemoryStatus>,
    endpoints: Vec<EndpointStatus<'a>>,
    frontends: Vec<FrontendStatus<'a>>,
    principals: Vec<PrincipalStatus<'a>>,
    pools: Vec<PoolStatus<'a>>,
    channels: Vec<ChannelStatus<'a>>,
    routes: Vec<RouteStatus<'a>>,
    ledger: MessageCounts,
    last_reload: Option<ReloadStatus<'a>>,
}

/// The memory that `limits.memory` bounds, in bytes.
#[derive(Serialize)]
struct MemoryStatus {
    limit: u64,
    held: u64,
    other: u64,
    client_max: Option<u64>,
    pauses: u64,
}

impl MemoryStatus {
    fn of(gauges: &MemoryGauges) -> Self {
        let &MemoryGauges {
            bound,
            held,
            others,
            client_max,
            pauses,
        } = gauges;
        Self {
            limit: bound,
            held,
            other: others,
            client_max,
            pauses,
        }
    }
}

/// An address on which the gateway listens.
#[derive(Serialize)]
struct EndpointStatus<'a> {
    role: &'static str,
    name: &'a str,
    endpoint: &'a str,
    /// The security of the address, or `None` for the admin listener.
    security: Option<&'static str>,
}

#[derive(Serialize)]
struct FrontendStatus<'a> {
    name: &'a str,
    connect: &'a [String],
    clients: u64,
    anonymous: u64,
}

/// A principal, or all principals that are not shown individually.
#[derive(Serialize)]
struct PrincipalStatus<'a> {
    name: &'a str,
    clients: u64,
    open: u64,
    requests: u64,
    rejected: u64,
}

#[derive(Serialize)]
struct PoolStatus<'a> {
    name: &'a str,
    /// True if the pool was removed from the configuration and still has work.
    removed: bool,
    connect: &'a [String],
    workers: usize,
    seats: Vec<WorkerStatus>,
    held: usize,
    queue: QueueStatus,
    handed: u64,
    late: u64,
    unsolicited: u64,
}

/// A connected worker.
#[derive(Serialize)]
struct WorkerStatus {
    seat: usize,
    identity: Option<String>,
    address: Option<String>,
    socket: &'static str,
    held: usize,
    overdue: usize,
    room: Option<usize>,
    unsolicited: u64,
}

#[derive(Serialize)]
struct QueueStatus {
    length: usize,
    bytes: u64,
    length_max: Option<usize>,
    bytes_max: Option<u64>,
}

#[derive(Serialize)]
struct RouteStatus<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    /// True if the route was removed from the configuration and is shown only for its counts.
    removed: bool,
    pool: Option<&'a str>,
    channel: Option<&'a str>,
    schema: Vec<SchemaName<'a>>,
    reply: Vec<SchemaName<'a>>,
    timeout_seconds: Option<f64>,
    frontends: Option<Vec<&'a str>>,
    /// The counts, or `None` for a route that is counted together with others. A separate entry has
    /// the sums of the counts of all such routes.
    #[serde(flatten)]
    counts: Option<MessageCounts>,
}

#[derive(Serialize)]
struct SchemaName<'a> {
    encoding: &'static str,
    message: &'a str,
}

/// The counts of a route or of all routes. `received` is the sum of `answered`, `rejected`,
/// `published`, `client_gone`, `client_slow` and `in_flight`.
#[derive(Serialize)]
struct MessageCounts {
    received: u64,
    answered: u64,
    rejected: u64,
    published: u64,
    client_gone: u64,
    client_slow: u64,
    in_flight: u64,
    rejections: RejectionCounts,
}

/// The rejections by reason, without reasons that never occurred.
struct RejectionCounts([u64; Reason::ALL.len()]);

impl Serialize for RejectionCounts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = Reason::ALL.iter().zip(self.0).filter(|(_, n)| *n > 0);
        serializer.collect_map(counts.map(|(reason, n)| (reason.label(), n)))
    }
}

#[derive(Serialize)]
struct ReloadStatus<'a> {
    outcome: &'static str,
    generation: u64,
    /// The time in seconds since 1970.
    at: f64,
    summary: String,
    changes: ChangesStatus<'a>,
    compile_seconds: f64,
    swap_seconds: Option<f64>,
    diagnostics: &'a Diagnostics,
}

#[derive(Serialize)]
struct ChangesStatus<'a> {
    frontends: &'a Changes,
    pools: &'a Changes,
    channels: &'a Changes,
    routes: &'a Changes,
    protos: &'a Changes,
    settings: &'a [&'static str],
}

impl<'a> Status<'a> {
    fn of(sample: &'a Sample, control_status: &'a ControlStatus) -> Self {
        let snapshot = &*sample.snapshot;
        let frontends = snapshot.frontends.iter().map(|(id, frontend)| {
            let clients = sample.clients.get(id.0).copied().unwrap_or_default();
            FrontendStatus {
                name: &frontend.name,
                connect: &frontend.endpoints.connect,
                clients: clients.connected,
                anonymous: clients.anonymous,
            }
        });
        let listening = control_status.listening.iter().map(|at| EndpointStatus {
            role: at.role,
            name: &at.name,
            endpoint: &at.endpoint,
            security: at.security,
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            engine: snapshot.engine.name(),
            state: if sample.draining {
                "draining"
            } else {
                "serving"
            },
            generation: snapshot.generation,
            uptime_seconds: sample.uptime.as_secs_f64(),
            memory: sample.engine.memory.as_ref().map(MemoryStatus::of),
            endpoints: listening.collect(),
            frontends: frontends.collect(),
            principals: principals(&sample.principals),
            pools: pools(sample),
            channels: channels(sample),
            routes: routes(sample),
            ledger: MessageCounts::of_all(&sample.ledger, sample.in_flight),
            last_reload: control_status.last.as_deref().map(ReloadStatus::of),
        }
    }
}

/// Returns the [`PRINCIPALS_SHOWN_MAX`] principals with the most requests, and an entry for all
/// others, if there are any.
fn principals(counted: &[PrincipalSample]) -> Vec<PrincipalStatus<'_>> {
    let (mut single, together): (Vec<_>, Vec<_>) = counted
        .iter()
        .partition(|principal| *principal.name != *OTHER_PRINCIPALS);
    single.sort_by(|a, b| {
        let most_first = b.counters.requests.cmp(&a.counters.requests);
        most_first.then_with(|| a.name.cmp(&b.name))
    });
    let shown = single.len().min(PRINCIPALS_SHOWN_MAX);
    let mut others = PrincipalCounters::default();
    for principal in single[shown..].iter().chain(&together) {
        others.add(&principal.counters);
    }
    let mut principals: Vec<_> = single[..shown]
        .iter()
        .map(|principal| PrincipalStatus::of(&principal.name, &principal.counters))
        .collect();
    if single.len() > shown || !together.is_empty() {
        principals.push(PrincipalStatus::of(OTHER_PRINCIPALS, &others));
    }
    principals
}

impl<'a> PrincipalStatus<'a> {
    fn of(name: &'a str, counters: &PrincipalCounters) -> Self {
        let PrincipalCounters {
            requests,
            rejected,
            clients,
            open,
        } = counters;
        Self {
            name,
            clients: *clients,
            open: *open,
            requests: *requests,
            rejected: *rejected,
        }
    }
}

/// Returns the routes of the configuration and all other routes that have counts, sorted by name.
/// Messages that matched no route are counted in the ledger only.
fn routes(sample: &Sample) -> Vec<RouteStatus<'_>> {
    let Sample {
        snapshot, routes, ..
    } = sample;
    let names = &snapshot.names;
    let mut all: Vec<_> = (snapshot.routes.iter())
        .map(|(_, route)| RouteStatus {
            name: &route.name,
            removed: false,
            pool: route.pool().map(|pool| names.of_pool(pool)),
            channel: route.channel().map(|channel| names.of_channel(channel)),
            schema: schemas(route.schema.as_ref()),
            reply: schemas(route.reply.as_ref()),
            timeout_seconds: route.timeout.as_ref().map(Duration::as_secs_f64),
            frontends: route
                .access
                .as_ref()
                .and_then(|access| access.frontends.as_ref())
                .map(|ids| ids.iter().map(|id| names.of_frontend(*id)).collect()),
            counts: (route.id != RouteId::OTHERS)
                .then(|| MessageCounts::of_route(routes.get(route.id.0))),
        })
        .collect();
    let configured = snapshot.routes.iter().map(|(_, route)| route.id);
    let configured: HashSet<RouteId> = configured.collect();
    let counted = routes.iter().enumerate();
    let counted = counted.map(|(n, counters)| (RouteId(n), counters));
    let others = counted.filter(|(id, counters)| {
        let is_shown = *id == RouteId::OTHERS || !configured.contains(id);
        is_shown && *id != RouteId::NONE && counters.received > 0
    });
    all.extend(others.map(|(id, counters)| RouteStatus {
        name: names.of_route(id),
        removed: !configured.contains(&id),
        pool: None,
        channel: None,
        schema: Vec::new(),
        reply: Vec::new(),
        timeout_seconds: None,
        frontends: None,
        counts: Some(MessageCounts::of_route(Some(counters))),
    }));
    all.sort_by_key(|route| route.name);
    all
}

fn pools(sample: &Sample) -> Vec<PoolStatus<'_>> {
    let pools = sample.live_pools().map(|(id, pool)| {
        let settings = sample.snapshot.pools.get(&id);
        PoolStatus {
            name: sample.snapshot.names.of_pool(id),
            removed: settings.is_none(),
            connect: settings.map_or(&[], |settings| &settings.endpoints.connect),
            workers: pool.workers,
            seats: pool.seats.iter().map(WorkerStatus::of).collect(),
            held: pool.held,
            queue: QueueStatus {
                length: pool.queue,
                bytes: pool.queue_bytes,
                length_max: settings.map(|settings| settings.queue),
                bytes_max: settings.map(|settings| settings.queue_bytes),
            },
            handed: pool.counters.handed,
            late: pool.counters.late,
            unsolicited: pool.counters.unsolicited,
        }
    });
    pools.collect()
}

impl WorkerStatus {
    fn of(worker: &WorkerSample) -> Self {
        let WorkerSample {
            seat,
            name,
            kind,
            held,
            overdue,
            room,
            unsolicited,
        } = worker;
        Self {
            seat: *seat,
            identity: name::identity(name),
            address: name::address(name),
            socket: match kind {
                WorkerKind::Dealer => "DEALER",
                WorkerKind::Rep => "REP",
            },
            held: *held,
            overdue: *overdue,
            room: *room,
            unsolicited: *unsolicited,
        }
    }
}

fn schemas(any_of: Option<&AnyOf>) -> Vec<SchemaName<'_>> {
    let schemas = any_of.into_iter().flat_map(AnyOf::schemas);
    let names = schemas.map(|schema| SchemaName {
        encoding: schema.encoding().label(),
        message: schema.message_name(),
    });
    names.collect()
}

impl MessageCounts {
    fn of_route(route: Option<&RouteCounters>) -> Self {
        let route = route.cloned().unwrap_or_default();
        Self {
            received: route.received,
            answered: route.answered,
            published: route.published,
            rejected: route.rejected.iter().sum(),
            client_gone: route.client_gone,
            client_slow: route.client_slow,
            in_flight: route.open + route.unsettled,
            rejections: RejectionCounts(route.rejected),
        }
    }

    fn of_all(ledger: &Ledger, in_flight: u64) -> Self {
        Self {
            received: ledger.received,
            answered: ledger.answered,
            published: ledger.published,
            rejected: ledger.rejected.iter().sum(),
            client_gone: ledger.client_gone,
            client_slow: ledger.client_slow,
            in_flight,
            rejections: RejectionCounts(ledger.rejected),
        }
    }
}

impl<'a> ReloadStatus<'a> {
    fn of(report: &'a Report) -> Self {
        let Report {
            outcome,
            at,
            generation,
            plan,
            diagnostics,
            compile,
            swap,
        } = report;
        let Plan {
            frontends,
            pools,
            channels,
            routes,
            protos,
            settings,
        } = plan;
        Self {
            outcome: outcome.label(),
            generation: *generation,
            at: at
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
            summary: plan.to_string(),
            changes: ChangesStatus {
                frontends,
                pools,
                channels,
                routes,
                protos,
                settings,
            },
            compile_seconds: compile.as_secs_f64(),
            swap_seconds: swap.as_ref().map(Duration::as_secs_f64),
            diagnostics,
        }
    }
}
