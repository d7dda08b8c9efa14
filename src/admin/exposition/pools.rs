//! The metric families about pools and their workers.

use std::fmt::Error;

use prometheus_client::metrics::MetricType;

use super::page::{Page, WriteResult, write_counter, write_gauge};
use crate::ledger::{PoolSample, WorkerSample};
use crate::metrics::Sample;

/// Writes the metric families about pools and their workers.
pub(super) fn pools(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let pools: Vec<(&str, &PoolSample)> = sample
        .live_pools()
        .map(|(id, pool)| (sample.snapshot.names.of_pool(id), pool))
        .collect();
    let gauge = |page: &mut Page<'_>, name, help, value: fn(&PoolSample) -> u64| {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        for (name, pool) in &pools {
            write_gauge(&mut family, &[("pool", name)], value(pool))?;
        }
        Ok(())
    };
    let help = "Connected workers";
    gauge(page, "pool_workers", help, |pool| pool.workers as u64)?;
    let help = "Requests that workers hold";
    gauge(page, "pool_held", help, |pool| pool.held as u64)?;
    let help = "Requests that wait for a worker";
    gauge(page, "pool_queue_length", help, |pool| pool.queue as u64)?;
    let help = "Bytes of the requests that wait for a worker";
    gauge(page, "pool_queue_bytes", help, |pool| pool.queue_bytes)?;
    let help = "Requests handed to workers";
    let mut family = page.family("pool_handed", help, MetricType::Counter)?;
    for (name, pool) in &pools {
        write_counter(&mut family, &[("pool", name)], pool.counters.handed)?;
    }
    let help =
        "Workers' messages that were dropped: late answers, and messages that answer no request";
    let mut family = page.family("pool_dropped", help, MetricType::Counter)?;
    for (name, pool) in &pools {
        let counters = &pool.counters;
        for (cause, count) in [
            ("late", counters.late),
            ("unsolicited", counters.unsolicited),
        ] {
            write_counter(&mut family, &[("pool", name), ("cause", cause)], count)?;
        }
    }
    workers(page, &pools)
}

/// Writes the metric families about single workers, with the label `seat`, which is the number of a
/// connected worker in its pool. Names of workers are not used as labels, because peers choose them
/// and could cause any number of time series. Only /status shows the names.
fn workers(page: &mut Page<'_>, pools: &[(&str, &PoolSample)]) -> WriteResult {
    let seats = pools.iter().flat_map(|(name, pool)| {
        // An entry without `room` stands for several workers on one connection. These workers have
        // no seats.
        let single = pool.seats.iter().filter(|worker| worker.room.is_some());
        single.map(move |worker| (*name, worker.seat.to_string(), worker))
    });
    let seats: Vec<(&str, String, &WorkerSample)> = seats.collect();
    if seats.is_empty() {
        return Ok(());
    }
    let mut gauge = |name, help, value: fn(&WorkerSample) -> u64| {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        for (pool, seat, worker) in &seats {
            write_gauge(
                &mut family,
                &[("pool", pool), ("seat", seat)],
                value(worker),
            )?;
        }
        Ok::<(), Error>(())
    };
    let help = "Requests that a worker holds, by its seat in its pool";
    gauge("worker_held", help, |worker| worker.held as u64)?;
    let help = "Requests that timed out at a worker since its last answer";
    gauge("worker_overdue", help, |worker| worker.overdue as u64)?;
    let help = "Maximum number of requests that a worker may hold";
    gauge("worker_room", help, |worker| {
        worker.room.unwrap_or(0) as u64
    })?;
    let help = "A worker's messages that answered nothing and were dropped";
    let mut family = page.family("worker_unsolicited", help, MetricType::Counter)?;
    for (pool, seat, worker) in &seats {
        let labels = &[("pool", *pool), ("seat", seat)];
        write_counter(&mut family, labels, worker.unsolicited)?;
    }
    Ok(())
}
