//! The OpenMetrics text of /metrics. `docs/metrics.md` explains every family.
//!
//! Label values are names from the configuration and the gateway's own words, never text that a
//! peer sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::ProcessSample;
use crate::ledger::{
    ClientGauges, LATENCY_BOUNDS_US, Latency, MemoryGauges, PoolSample, PrincipalSample,
    RouteCounters, WorkerSample,
};
use crate::metrics::Sample;
use crate::reload::{ControlStatus, ReloadOutcome};
use crate::reply::Reason;
use crate::snapshot::{AnyOf, FrontendId, RouteId};

/// The maximum number of routes for which the page shows every rejection reason and the times in
/// the queue and at workers from the start, at 0. With more routes, the page leaves out each of
/// these that a route does not have yet, so that it stays small.
const ROUTES_SHOWN_WHOLE_MAX: usize = 1_000;

/// Returns the text of /metrics; `panics` is the number of panics so far.
pub(super) fn exposition(
    sample: Arc<Sample>,
    known: ControlStatus,
    panics: u64,
    process: ProcessSample,
) -> String {
    let mut registry = Registry::default();
    // By convention, the metrics of the process have no prefix.
    registry.register_collector(Box::new(process));
    let own = registry.sub_registry_with_prefix("gateway");
    own.register_collector(Box::new(Shown {
        sample,
        known,
        panics,
    }));
    let mut text = String::new();
    // Writing into memory cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Shown {
    sample: Arc<Sample>,
    known: ControlStatus,
    panics: u64,
}

impl Collector for ProcessSample {
    fn encode(&self, encoder: DescriptorEncoder) -> Written {
        let mut page = Page(encoder);
        if let Some(cpu) = self.cpu {
            let help = "Time on the processor, of all threads, in the gateway and in the system";
            let mut family = page.family("process_cpu_seconds", help, MetricType::Counter)?;
            family.encode_counter::<NoLabelSet, _, f64>(&cpu.as_secs_f64(), None)?;
        }
        let start = self.start.map(|start| start.as_secs_f64());
        let whole = |value: Option<u64>| value.map(|value| value as f64);
        for (name, help, level) in [
            (
                "process_resident_memory_bytes",
                "Memory in use",
                whole(self.resident),
            ),
            (
                "process_virtual_memory_bytes",
                "Address space",
                whole(self.virtual_memory),
            ),
            (
                "process_open_fds",
                "Open descriptors",
                whole(self.descriptors),
            ),
            (
                "process_max_fds",
                "The most descriptors that may be open",
                whole(self.descriptors_max),
            ),
            (
                "process_threads",
                "Threads of the process",
                whole(self.threads),
            ),
            (
                "process_start_time_seconds",
                "Start of the process, since 1970",
                start,
            ),
        ] {
            if let Some(level) = level {
                page.gauge(name, help, level)?;
            }
        }
        Ok(())
    }
}

type Labels<'a> = &'a [(&'static str, &'a str)];
type Written = Result<(), Error>;

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder) -> Written {
        let mut page = Page(encoder);
        self.process(&mut page)?;
        self.requests(&mut page)?;
        self.pools(&mut page)?;
        self.engine(&mut page)?;
        self.reloads(&mut page)
    }
}

impl Shown {
    fn process(&self, page: &mut Page<'_>) -> Written {
        let Sample {
            snapshot,
            uptime,
            draining,
            ..
        } = &*self.sample;
        let engine = snapshot.engine.name();
        let help = "The running version, always 1";
        let mut family = page
            .0
            .encode_descriptor("build", help, None, MetricType::Info)?;
        family.encode_info(&[("version", env!("CARGO_PKG_VERSION")), ("engine", engine)])?;
        page.gauge(
            "uptime_seconds",
            "Time since the engine started",
            uptime.as_secs_f64(),
        )?;
        let help = "Generation of the configuration in force";
        page.gauge("snapshot_generation", help, snapshot.generation as f64)?;
        let help = "1 once the gateway shuts down and accepts no more requests";
        page.gauge("draining", help, f64::from(u8::from(*draining)))?;
        let help = "Panics, which are bugs: the log has the place of each";
        page.counter("panics", help, self.panics)
    }

    /// Writes the families about clients' messages and their answers.
    fn requests(&self, page: &mut Page<'_>) -> Written {
        let routes = self.routes();
        let help = "Complete messages from clients";
        page.route_counter("received", help, &routes, |route| route.received)?;
        fates(page, &routes)?;
        self.rejections(page, &routes)?;
        let help = "Messages from clients whose fate is still open: open requests, and answers that \
                    wait for their client to read";
        let mut family = page.family("in_flight", help, MetricType::Gauge)?;
        for ShownRoute { name, counters, .. } in &routes {
            let in_flight = counters.open + counters.unsettled;
            level_of(&mut family, &[("route", name)], in_flight)?;
        }
        times(page, &routes)?;
        self.schema_matches(page, &routes)?;
        let help = "Bytes of the messages from clients, all frames together";
        page.route_counter("received_bytes", help, &routes, |route| route.bytes_in)?;
        let help = "Bytes of the answers to clients, all frames together";
        page.route_counter("sent_bytes", help, &routes, |route| route.bytes_out)?;
        self.clients(page)
    }

    /// Writes each route's rejections by reason. With at most [`ROUTES_SHOWN_WHOLE_MAX`] routes,
    /// every reason that is possible for a route is present from the start, so that the increase by
    /// the first rejection is visible.
    fn rejections(&self, page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> Written {
        let help = "Rejections that were delivered; a route has every reason from the start";
        let mut family = page.family("rejections", help, MetricType::Counter)?;
        let all_shown = routes.len() <= ROUTES_SHOWN_WHOLE_MAX;
        for ShownRoute { name, id, counters } in routes {
            for (reason, count) in Reason::ALL.iter().zip(counters.rejected) {
                let is_possible = match *id {
                    RouteId::NONE => is_before_route(*reason),
                    _ => *reason != Reason::UnknownType,
                };
                if count > 0 || (all_shown && is_possible) {
                    let labels = &[("route", *name), ("reason", reason.label())];
                    count_of(&mut family, labels, count)?;
                }
            }
        }
        Ok(())
    }

    fn schema_matches(&self, page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> Written {
        let help = "Messages that fit one of the route's schemas, by its position in the list, from 0; \
                    7 stands for all later positions, too";
        let mut family = page.family("schema_matches", help, MetricType::Counter)?;
        let listed = self.schemas_listed();
        for ShownRoute { name, id, counters } in routes {
            // A position with a count stays even if the list is shorter now, because a counter must
            // not decrease.
            let counted = counters.matched.iter().rposition(|count| *count > 0);
            let places = listed.get(id).copied().unwrap_or(0);
            let places = places.max(counted.map_or(0, |last| last + 1));
            for (place, count) in counters.matched.iter().take(places).enumerate() {
                let labels = &[("route", *name), ("schema", &*place.to_string())];
                count_of(&mut family, labels, *count)?;
            }
        }
        Ok(())
    }

    fn clients(&self, page: &mut Page<'_>) -> Written {
        let help = "Connected clients; engine libzmq knows them from their first message on";
        self.clients_family(page, "clients", help, |gauges| gauges.connected)?;
        let help = "Connected clients whose principal is anonymous, such as those without a key";
        self.clients_family(page, "clients_anonymous", help, |gauges| gauges.anonymous)?;
        self.principals(page)
    }

    /// Writes a counter of each principal that has had a client, if there are any.
    fn principals(&self, page: &mut Page<'_>) -> Written {
        let principals = &self.sample.principals;
        if principals.is_empty() {
            return Ok(());
        }
        let help = "Complete messages from the clients of a principal";
        let mut family = page.family("principal_requests", help, MetricType::Counter)?;
        for PrincipalSample { name, counters } in principals {
            count_of(&mut family, &[("principal", name)], counters.requests)?;
        }
        Ok(())
    }

    /// Writes a gauge of each frontend that the configuration has, or that still has clients.
    fn clients_family(
        &self,
        page: &mut Page<'_>,
        name: &str,
        help: &str,
        level: fn(&ClientGauges) -> u64,
    ) -> Written {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        let Sample {
            snapshot, clients, ..
        } = &*self.sample;
        for number in 0..snapshot.names.frontends() {
            let id = FrontendId(number);
            let gauges = clients.get(number).copied().unwrap_or_default();
            if gauges.connected > 0 || snapshot.frontends.contains_key(&id) {
                let labels = &[("frontend", snapshot.names.of_frontend(id))];
                level_of(&mut family, labels, level(&gauges))?;
            }
        }
        Ok(())
    }

    /// Returns the routes of the configuration, [`RouteId::NONE`], and all others that have ever
    /// received a message.
    fn routes(&self) -> Vec<ShownRoute<'_>> {
        let Sample {
            snapshot, routes, ..
        } = &*self.sample;
        let there: BTreeSet<RouteId> = snapshot.routes.iter().map(|(_, route)| route.id).collect();
        let is_shown = |route: &ShownRoute<'_>| {
            route.id == RouteId::NONE || there.contains(&route.id) || route.counters.received > 0
        };
        let routes = routes.iter().enumerate().map(|(number, counters)| {
            let id = RouteId(number);
            let name = snapshot.names.of_route(id);
            ShownRoute { name, id, counters }
        });
        routes.filter(is_shown).collect()
    }

    /// Returns, for each route number, the length of the longest schema list among its routes.
    fn schemas_listed(&self) -> BTreeMap<RouteId, usize> {
        let mut listed = BTreeMap::new();
        for (_, route) in self.sample.snapshot.routes.iter() {
            let schemas = route.schema.iter().flat_map(AnyOf::schemas).count();
            let most: &mut usize = listed.entry(route.id).or_default();
            *most = schemas.max(*most);
        }
        listed
    }

    fn pools(&self, page: &mut Page<'_>) -> Written {
        let sample = &*self.sample;
        let pools: Vec<(&str, &PoolSample)> = sample
            .live_pools()
            .map(|(id, pool)| (sample.snapshot.names.of_pool(id), pool))
            .collect();
        let level = |page: &mut Page<'_>, name, help, level: fn(&PoolSample) -> u64| {
            let mut family = page.family(name, help, MetricType::Gauge)?;
            for (name, pool) in &pools {
                level_of(&mut family, &[("pool", name)], level(pool))?;
            }
            Ok(())
        };
        let help = "Connected workers";
        level(page, "pool_workers", help, |pool| pool.workers as u64)?;
        let help = "Requests that workers hold";
        level(page, "pool_held", help, |pool| pool.held as u64)?;
        let help = "Requests that wait for a worker";
        level(page, "pool_queue_length", help, |pool| pool.queue as u64)?;
        let help = "Bytes of the requests that wait for a worker";
        level(page, "pool_queue_bytes", help, |pool| pool.queue_bytes)?;
        let help = "Requests handed to workers";
        let mut family = page.family("pool_handed", help, MetricType::Counter)?;
        for (name, pool) in &pools {
            count_of(&mut family, &[("pool", name)], pool.counters.handed)?;
        }
        let help =
            "Workers' messages that were dropped: late answers, and messages that answer nothing";
        let mut family = page.family("pool_dropped", help, MetricType::Counter)?;
        for (name, pool) in &pools {
            let counters = &pool.counters;
            for (cause, count) in [
                ("late", counters.late),
                ("unsolicited", counters.unsolicited),
            ] {
                count_of(&mut family, &[("pool", name), ("cause", cause)], count)?;
            }
        }
        workers(page, &pools)
    }

    fn engine(&self, page: &mut Page<'_>) -> Written {
        let engine = &self.sample.engine;
        let help = "Turns of the data thread's loop";
        page.counter("engine_turns", help, engine.turns.count())?;
        let help = "Time that the data thread worked instead of waiting";
        let mut family = page.family("engine_busy_seconds", help, MetricType::Counter)?;
        let busy = engine.turns.sum_ns as f64 / 1e9;
        family.encode_counter::<NoLabelSet, _, f64>(&busy, None)?;
        let help = "Working time of each turn of the data thread's loop";
        let mut family = page.family("engine_turn_seconds", help, MetricType::Histogram)?;
        histogram_of(&mut family, &engine.turns)?;
        let help = "Messages that wait for a judge or queue behind such a message";
        page.gauge("judging", help, self.sample.judging as f64)?;
        let help = "Payloads checked by judges instead of the data thread";
        page.counter("judged", help, self.sample.judged)?;
        let help = "Messages from (in) and to (out) clients and workers";
        let both = [Some(engine.messages_in), Some(engine.messages_out)];
        page.directions("engine_messages", help, both)?;
        let help =
            "Bytes read from (in) and written to (out) the network, where the engine can tell";
        let both = [engine.bytes_in, engine.bytes_out];
        page.directions("engine_bytes", help, both)?;
        let help = "Times that a client or worker could take no more";
        page.counter("engine_full", help, engine.full)?;
        let help = "Clients with waiting answers";
        page.gauge("engine_stalled_clients", help, engine.stalled as f64)?;
        let help = "Bytes of the answers that wait for clients";
        page.gauge("engine_unsent_bytes", help, engine.unsent_bytes as f64)?;
        if let Some(paused) = engine.paused {
            let help = "Peers that are not read at present";
            page.gauge("engine_paused_peers", help, paused as f64)?;
        }
        if let Some(connections) = engine.connections {
            let help = "Connections, including unfinished handshakes";
            page.gauge("engine_connections", help, connections as f64)?;
        }
        if let Some(failed) = engine.handshakes_failed {
            let help = "Connections that ended during their handshake";
            page.counter("engine_handshakes_failed", help, failed)?;
        }
        match &engine.memory {
            Some(gauges) => memory(page, gauges),
            None => Ok(()),
        }
    }

    fn reloads(&self, page: &mut Page<'_>) -> Written {
        let known = &self.known;
        let help = "Reloads by outcome";
        let mut family = page.family("reloads", help, MetricType::Counter)?;
        for (outcome, count) in ReloadOutcome::ALL.iter().zip(known.reloads) {
            count_of(&mut family, &[("outcome", outcome.label())], count)?;
        }
        let good = known
            .last
            .as_ref()
            .is_none_or(|last| last.outcome.is_good());
        let help = "1 if the running configuration is that of the files when they were last loaded";
        page.gauge("reload_good", help, f64::from(u8::from(good)))?;
        let help = "Time for reading and compiling the files, at each reload";
        let mut family = page.family("reload_compile_seconds", help, MetricType::Histogram)?;
        histogram_of(&mut family, &known.compile)?;
        let help = "Time from then until the change had taken effect";
        let mut family = page.family("reload_swap_seconds", help, MetricType::Histogram)?;
        histogram_of(&mut family, &known.swap)
    }
}

/// Writes the families about single workers, which are labelled by seat. A peer chooses the name of
/// a worker, so only /status shows names.
fn workers(page: &mut Page<'_>, pools: &[(&str, &PoolSample)]) -> Written {
    let seats = pools.iter().flat_map(|(name, pool)| {
        // An entry without `room` stands for a crowd of workers, which have no seats of their own.
        let single = pool.seats.iter().filter(|worker| worker.room.is_some());
        single.map(move |worker| (*name, worker.seat.to_string(), worker))
    });
    let seats: Vec<(&str, String, &WorkerSample)> = seats.collect();
    if seats.is_empty() {
        return Ok(());
    }
    let mut level = |name, help, level: fn(&WorkerSample) -> u64| {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        for (pool, seat, worker) in &seats {
            level_of(
                &mut family,
                &[("pool", pool), ("seat", seat)],
                level(worker),
            )?;
        }
        Ok::<(), Error>(())
    };
    let help = "Requests that a worker holds, by its seat in its pool";
    level("worker_held", help, |worker| worker.held as u64)?;
    let help = "Requests that timed out at a worker since its last answer";
    level("worker_overdue", help, |worker| worker.overdue as u64)?;
    let help = "Requests that a worker may hold";
    level("worker_room", help, |worker| {
        worker.room.unwrap_or(0) as u64
    })?;
    let help = "A worker's messages that answered nothing and were dropped";
    let mut family = page.family("worker_unsolicited", help, MetricType::Counter)?;
    for (pool, seat, worker) in &seats {
        let labels = &[("pool", *pool), ("seat", seat)];
        count_of(&mut family, labels, worker.unsolicited)?;
    }
    Ok(())
}

/// A route and its counters.
struct ShownRoute<'a> {
    name: &'a str,
    id: RouteId,
    counters: &'a RouteCounters,
}

/// Writes the families about the memory under `limits.memory`.
fn memory(page: &mut Page<'_>, gauges: &MemoryGauges) -> Written {
    let help = "The value of limits.memory";
    page.gauge("memory_limit_bytes", help, gauges.bound as f64)?;
    let help = "Memory charged to peers: messages, requests, answers and connections";
    page.gauge("memory_held_bytes", help, gauges.held as f64)?;
    let help = "Memory of the process in addition to that, when it was last measured";
    page.gauge("memory_other_bytes", help, gauges.others as f64)?;
    let help = "1 while memory is short, so that clients may hold less than limits.client_bytes";
    let is_short = gauges.client_max.is_some();
    page.gauge("memory_short", help, f64::from(u8::from(is_short)))?;
    let help = "Times that a client was not read from then on while memory was short";
    page.counter("memory_pauses", help, gauges.pauses)
}

/// Writes how each route's messages ended.
fn fates(page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> Written {
    let help = "Messages from clients whose fate is known";
    let mut family = page.family("requests", help, MetricType::Counter)?;
    for ShownRoute { name, counters, .. } in routes {
        for (outcome, count) in [
            ("answered", counters.answered),
            ("published", counters.published),
            ("rejected", counters.rejected.iter().sum()),
            ("client_gone", counters.client_gone),
            ("client_slow", counters.client_slow),
        ] {
            count_of(&mut family, &[("route", name), ("outcome", outcome)], count)?;
        }
    }
    Ok(())
}

/// Writes the latency of each route's answered requests and its two parts: the time in the queue
/// and the time at the worker.
fn times(page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> Written {
    let whole_page = routes.len() <= ROUTES_SHOWN_WHOLE_MAX;
    let mut histograms = |name, help, is_part: bool, times: fn(&RouteCounters) -> Latency| {
        let mut family = page.family(name, help, MetricType::Histogram)?;
        // A message that no route matches never goes to a worker.
        for route in routes.iter().filter(|route| route.id != RouteId::NONE) {
            if is_part && !whole_page && route.counters.waited.is_none() {
                continue;
            }
            let labels = [("route", route.name)];
            let labels = &labels[..];
            let mut metric = family.encode_family(&labels)?;
            histogram_of(&mut metric, &times(route.counters))?;
        }
        Ok::<(), Error>(())
    };
    let help = "Time from a request's arrival to its worker's answer";
    histograms("latency_seconds", help, false, RouteCounters::latency)?;
    let help = "The part of the latency from a request's arrival to its hand-out to a worker";
    histograms("queue_seconds", help, true, RouteCounters::queue_time)?;
    let help = "The part of the latency from a request's hand-out to its worker's answer";
    histograms("worker_seconds", help, true, RouteCounters::worker_time)
}

/// Returns whether a message may be rejected for this reason before its route is known.
fn is_before_route(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Malformed | Reason::UnknownType | Reason::TooLarge | Reason::ShuttingDown
    )
}

/// The page, which is written family by family.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> Written {
        let mut family = self.family(name, help, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    fn route_counter(
        &mut self,
        name: &str,
        help: &str,
        routes: &[ShownRoute<'_>],
        count: fn(&RouteCounters) -> u64,
    ) -> Written {
        let mut family = self.family(name, help, MetricType::Counter)?;
        for ShownRoute { name, counters, .. } in routes {
            count_of(&mut family, &[("route", name)], count(counters))?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, level: f64) -> Written {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        family.encode_gauge(&level)
    }

    /// Writes a counter of incoming and outgoing traffic, without a direction whose count is
    /// unknown.
    fn directions(&mut self, name: &str, help: &str, both: [Option<u64>; 2]) -> Written {
        if both == [None, None] {
            return Ok(());
        }
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (direction, count) in ["in", "out"].into_iter().zip(both) {
            if let Some(count) = count {
                count_of(&mut family, &[("direction", direction)], count)?;
            }
        }
        Ok(())
    }
}

fn count_of(family: &mut MetricEncoder<'_>, labels: Labels<'_>, count: u64) -> Written {
    let mut metric = family.encode_family(&labels)?;
    metric.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

fn level_of(family: &mut MetricEncoder<'_>, labels: Labels<'_>, level: u64) -> Written {
    family.encode_family(&labels)?.encode_gauge(&level)
}

fn histogram_of(metric: &mut MetricEncoder<'_>, latency: &Latency) -> Written {
    let bounds = LATENCY_BOUNDS_US.iter().map(|us| f64::from(*us) / 1e6);
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latency.buckets).collect();
    let count = latency.count();
    let sum = latency.sum_ns as f64 / 1e9;
    metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
