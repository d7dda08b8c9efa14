//! The metric families about clients' messages and their answers, by route, and about the clients.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Error;

use prometheus_client::metrics::MetricType;

use super::page::{Page, WriteResult, write_counter, write_gauge, write_histogram};
use crate::ledger::{ClientGauges, Latency, PrincipalSample, RouteCounters};
use crate::metrics::Sample;
use crate::reply::Reason;
use crate::snapshot::{AnyOf, FrontendId, RouteId};

/// The maximum number of routes for which the page shows series that are 0: the rejections of each
/// reason, and the times in the queue and at workers. With more routes, the page omits these series
/// while they are 0, so that the page stays small.
const ROUTES_SHOWN_WHOLE_MAX: usize = 1_000;

/// A route and its counters.
struct ShownRoute<'a> {
    name: &'a str,
    id: RouteId,
    counters: &'a RouteCounters,
}

/// Writes the metric families about clients' messages and their answers.
pub(super) fn requests(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let routes = shown_routes(sample);
    let help = "Complete messages from clients and publishers";
    route_counter(page, "received", help, &routes, |route| route.received)?;
    outcomes(page, &routes)?;
    rejections(page, &routes)?;
    let help = "Messages from clients and publishers that have no outcome yet: open requests, \
                messages at judges, and answers that their client has not read";
    let mut family = page.family("in_flight", help, MetricType::Gauge)?;
    for ShownRoute { name, counters, .. } in &routes {
        let in_flight = counters.open + counters.unsettled;
        write_gauge(&mut family, &[("route", name)], in_flight)?;
    }
    times(page, &routes)?;
    schema_matches(page, sample, &routes)?;
    let help = "Bytes of the messages from clients and publishers, all frames together";
    route_counter(page, "received_bytes", help, &routes, |route| {
        route.bytes_in
    })?;
    let help = "Bytes of the answers to clients, all frames together";
    route_counter(page, "sent_bytes", help, &routes, |route| route.bytes_out)?;
    clients(page, sample)
}

/// Writes each route's rejections by reason. With at most [`ROUTES_SHOWN_WHOLE_MAX`] routes, every
/// reason that is possible for a route is present at 0 from startup on. Prometheus then sees the
/// increase from 0 to 1 by the first rejection.
fn rejections(page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> WriteResult {
    let help = "Rejections that were delivered, and rejections of publishers' messages; every \
                reason that is possible for a route is present from the start";
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
                write_counter(&mut family, labels, count)?;
            }
        }
    }
    Ok(())
}

fn schema_matches(page: &mut Page<'_>, sample: &Sample, routes: &[ShownRoute<'_>]) -> WriteResult {
    let help = "Messages that fit one of the route's schemas, by the position of that schema in \
                the list, from 0; 7 stands for all later positions, too";
    let mut family = page.family("schema_matches", help, MetricType::Counter)?;
    let listed = schemas_listed(sample);
    for ShownRoute { name, id, counters } in routes {
        // A position with a count stays even if the list is shorter now, because a counter must not
        // decrease.
        let counted = counters.matched.iter().rposition(|count| *count > 0);
        let length = listed.get(id).copied().unwrap_or(0);
        let length = length.max(counted.map_or(0, |last| last + 1));
        for (position, count) in counters.matched.iter().take(length).enumerate() {
            let labels = &[("route", *name), ("schema", &*position.to_string())];
            write_counter(&mut family, labels, *count)?;
        }
    }
    Ok(())
}

fn clients(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let help = "Connected clients; engine libzmq knows them from their first message on";
    clients_family(page, sample, "clients", help, |gauges| gauges.connected)?;
    let help = "Connected clients whose principal is anonymous, such as clients without a key";
    clients_family(page, sample, "clients_anonymous", help, |gauges| {
        gauges.anonymous
    })?;
    principals(page, sample)
}

/// Writes a counter of each principal that has had a client, if there are such principals.
fn principals(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let principals = &sample.principals;
    if principals.is_empty() {
        return Ok(());
    }
    let help = "Complete messages from the clients of a principal";
    let mut family = page.family("principal_requests", help, MetricType::Counter)?;
    for PrincipalSample { name, counters } in principals {
        write_counter(&mut family, &[("principal", name)], counters.requests)?;
    }
    Ok(())
}

/// Writes a gauge for each frontend that the configuration has, or that still has clients.
fn clients_family(
    page: &mut Page<'_>,
    sample: &Sample,
    name: &str,
    help: &str,
    level: fn(&ClientGauges) -> u64,
) -> WriteResult {
    let mut family = page.family(name, help, MetricType::Gauge)?;
    let Sample {
        snapshot, clients, ..
    } = sample;
    for number in 0..snapshot.names.frontends() {
        let id = FrontendId(number);
        let gauges = clients.get(number).copied().unwrap_or_default();
        if gauges.connected > 0 || snapshot.frontends.contains_key(&id) {
            let labels = &[("frontend", snapshot.names.of_frontend(id))];
            write_gauge(&mut family, labels, level(&gauges))?;
        }
    }
    Ok(())
}

/// Returns the routes of the configuration, [`RouteId::NONE`] for messages that no route matches,
/// and all other routes that have ever received a message.
fn shown_routes(sample: &Sample) -> Vec<ShownRoute<'_>> {
    let Sample {
        snapshot, routes, ..
    } = sample;
    let configured: BTreeSet<RouteId> = snapshot.routes.iter().map(|(_, route)| route.id).collect();
    let is_shown = |route: &ShownRoute<'_>| {
        route.id == RouteId::NONE || configured.contains(&route.id) || route.counters.received > 0
    };
    let routes = routes.iter().enumerate().map(|(number, counters)| {
        let id = RouteId(number);
        let name = snapshot.names.of_route(id);
        ShownRoute { name, id, counters }
    });
    routes.filter(is_shown).collect()
}

/// Returns, for each route number, the length of the longest schema list of a route with that
/// number. Routes that are counted together share a number.
fn schemas_listed(sample: &Sample) -> BTreeMap<RouteId, usize> {
    let mut listed = BTreeMap::new();
    for (_, route) in sample.snapshot.routes.iter() {
        let schemas = route.schema.iter().flat_map(AnyOf::schemas).count();
        let most: &mut usize = listed.entry(route.id).or_default();
        *most = schemas.max(*most);
    }
    listed
}

/// Writes the numbers of each route's messages by outcome.
fn outcomes(page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> WriteResult {
    let help = "Messages from clients and publishers that have an outcome";
    let mut family = page.family("requests", help, MetricType::Counter)?;
    for ShownRoute { name, counters, .. } in routes {
        for (outcome, count) in [
            ("answered", counters.answered),
            ("published", counters.published),
            ("rejected", counters.rejected.iter().sum()),
            ("client_gone", counters.client_gone),
            ("client_slow", counters.client_slow),
        ] {
            write_counter(&mut family, &[("route", name), ("outcome", outcome)], count)?;
        }
    }
    Ok(())
}

/// Writes the latency of each route's answered requests and its two parts: the time in the queue
/// and the time at the worker.
fn times(page: &mut Page<'_>, routes: &[ShownRoute<'_>]) -> WriteResult {
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
            write_histogram(&mut metric, &times(route.counters))?;
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

/// Returns whether a message can be rejected for this reason before its route is known.
fn is_before_route(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Malformed | Reason::UnknownType | Reason::TooLarge | Reason::ShuttingDown
    )
}

fn route_counter(
    page: &mut Page<'_>,
    name: &str,
    help: &str,
    routes: &[ShownRoute<'_>],
    count: fn(&RouteCounters) -> u64,
) -> WriteResult {
    let mut family = page.family(name, help, MetricType::Counter)?;
    for ShownRoute { name, counters, .. } in routes {
        write_counter(&mut family, &[("route", name)], count(counters))?;
    }
    Ok(())
}
