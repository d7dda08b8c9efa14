//! Writes metric families, and their samples, to the page of /metrics.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::ledger::{LATENCY_BOUNDS_US, Latency};

pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];
pub(super) type WriteResult = Result<(), Error>;

/// The encoder of the page. A family is written as a whole before the next begins.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    pub(super) fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, count: u64) -> WriteResult {
        let mut family = self.family(name, help, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, f64>(&count, None)
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> WriteResult {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        family.encode_gauge(&value)
    }

    /// Writes a counter with the label `direction`. `both` contains the count of incoming traffic
    /// and then the count of outgoing traffic. A count that is `None` is omitted.
    pub(super) fn directions(
        &mut self,
        name: &str,
        help: &str,
        both: [Option<u64>; 2],
    ) -> WriteResult {
        if both == [None, None] {
            return Ok(());
        }
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (direction, count) in ["in", "out"].into_iter().zip(both) {
            if let Some(count) = count {
                write_counter(&mut family, &[("direction", direction)], count)?;
            }
        }
        Ok(())
    }
}

pub(super) fn write_counter(
    family: &mut MetricEncoder<'_>,
    labels: Labels<'_>,
    count: u64,
) -> WriteResult {
    let mut metric = family.encode_family(&labels)?;
    metric.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

pub(super) fn write_gauge(
    family: &mut MetricEncoder<'_>,
    labels: Labels<'_>,
    value: u64,
) -> WriteResult {
    family.encode_family(&labels)?.encode_gauge(&value)
}

pub(super) fn write_histogram(metric: &mut MetricEncoder<'_>, latency: &Latency) -> WriteResult {
    let bounds = LATENCY_BOUNDS_US.iter().map(|us| f64::from(*us) / 1e6);
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(latency.buckets).collect();
    let count = latency.count();
    let sum = latency.sum_ns as f64 / 1e9;
    metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
