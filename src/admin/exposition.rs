//! The OpenMetrics text of /metrics. `docs/metrics.md` explains every metric family.
//!
//! Label values are names from the configuration, constants of the gateway or numbers, never text
//! that a peer sent.

mod channels;
mod page;
mod pools;
mod process;
mod requests;

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::ProcessSample;
use crate::ledger::MemoryGauges;
use crate::metrics::Sample;
use crate::reload::{ControlStatus, ReloadOutcome};
use channels::channels;
use page::{Page, WriteResult, write_counter, write_histogram};
use pools::pools;
use requests::requests;

/// Returns the text of /metrics; `panics` is the number of panics so far.
pub(super) fn exposition(
    sample: Arc<Sample>,
    control_status: ControlStatus,
    panics: u64,
    process: ProcessSample,
) -> String {
    let mut registry = Registry::default();
    // By convention, the metrics of the process have no prefix.
    registry.register_collector(Box::new(process));
    let own = registry.sub_registry_with_prefix("gateway");
    own.register_collector(Box::new(GatewayCollector {
        sample,
        control_status,
        panics,
    }));
    let mut text = String::new();
    // Writing into memory cannot fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct GatewayCollector {
    sample: Arc<Sample>,
    control_status: ControlStatus,
    panics: u64,
}

impl Collector for GatewayCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> WriteResult {
        let mut page = Page(encoder);
        self.process(&mut page)?;
        requests(&mut page, &self.sample)?;
        pools(&mut page, &self.sample)?;
        channels(&mut page, &self.sample)?;
        self.engine(&mut page)?;
        self.reloads(&mut page)
    }
}

impl GatewayCollector {
    fn process(&self, page: &mut Page<'_>) -> WriteResult {
        let Sample {
            snapshot,
            uptime,
            draining,
            ..
        } = &*self.sample;
        let engine = snapshot.engine.name();
        let help = "The running version and engine, as labels; the value is always 1";
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

    fn engine(&self, page: &mut Page<'_>) -> WriteResult {
        let engine = &self.sample.engine;
        let help = "Turns of the data thread's loop";
        page.counter("engine_turns", help, engine.turns.count())?;
        let help = "Time that the data thread worked instead of waiting";
        let mut family = page.family("engine_busy_seconds", help, MetricType::Counter)?;
        let busy = engine.turns.sum_ns as f64 / 1e9;
        family.encode_counter::<NoLabelSet, _, f64>(&busy, None)?;
        let help = "Working time of each turn of the data thread's loop";
        let mut family = page.family("engine_turn_seconds", help, MetricType::Histogram)?;
        write_histogram(&mut family, &engine.turns)?;
        let help = "Messages that wait for a judge or for the verdict on an earlier message";
        page.gauge("judging", help, self.sample.judging as f64)?;
        let help = "Payloads checked by judges instead of by the data thread";
        page.counter("judged", help, self.sample.judged)?;
        let help = "Messages from (in) and to (out) clients and workers";
        let both = [Some(engine.messages_in), Some(engine.messages_out)];
        page.directions("engine_messages", help, both)?;
        let help = "Bytes read from (in) and written to (out) the network";
        let both = [engine.bytes_in, engine.bytes_out];
        page.directions("engine_bytes", help, both)?;
        let help = "Times that the queue or connection of a client or worker was full";
        page.counter("engine_full", help, engine.full)?;
        let help = "Clients with waiting answers";
        page.gauge("engine_stalled_clients", help, engine.stalled as f64)?;
        let help = "Bytes of the answers that wait for clients";
        page.gauge("engine_unsent_bytes", help, engine.unsent_bytes as f64)?;
        if let Some(paused) = engine.paused {
            let help = "Peers from which reading is paused";
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

    fn reloads(&self, page: &mut Page<'_>) -> WriteResult {
        let control_status = &self.control_status;
        let help = "Reloads by outcome";
        let mut family = page.family("reloads", help, MetricType::Counter)?;
        for (outcome, count) in ReloadOutcome::ALL.iter().zip(control_status.reloads) {
            write_counter(&mut family, &[("outcome", outcome.label())], count)?;
        }
        let good = control_status
            .last
            .as_ref()
            .is_none_or(|last| last.outcome.is_good());
        let help = "0 if the last reload failed, and otherwise 1";
        page.gauge("reload_good", help, f64::from(u8::from(good)))?;
        let help = "Time for reading and compiling the files, at each reload";
        let mut family = page.family("reload_compile_seconds", help, MetricType::Histogram)?;
        write_histogram(&mut family, &control_status.compile)?;
        let help = "Time from the end of compiling until a change had taken effect";
        let mut family = page.family("reload_swap_seconds", help, MetricType::Histogram)?;
        write_histogram(&mut family, &control_status.swap)
    }
}

/// Writes the metric families about the memory that `limits.memory` bounds.
fn memory(page: &mut Page<'_>, gauges: &MemoryGauges) -> WriteResult {
    let help = "The value of limits.memory";
    page.gauge("memory_limit_bytes", help, gauges.bound as f64)?;
    let help = "Memory charged to peers: messages, requests, answers and connections";
    page.gauge("memory_held_bytes", help, gauges.held as f64)?;
    let help = "Memory of the process without the memory of peers, at the last measurement";
    page.gauge("memory_other_bytes", help, gauges.others as f64)?;
    let help = "1 while memory is short, so that clients may hold less than limits.client_bytes";
    let is_short = gauges.client_max.is_some();
    page.gauge("memory_short", help, f64::from(u8::from(is_short)))?;
    let help = "Times that reading from a client was paused while memory was short";
    page.counter("memory_pauses", help, gauges.pauses)
}
