//! The metrics of the process, which have no prefix by convention.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::page::{Page, WriteResult};
use crate::admin::process::ProcessSample;

impl Collector for ProcessSample {
    fn encode(&self, encoder: DescriptorEncoder) -> WriteResult {
        let mut page = Page(encoder);
        if let Some(cpu) = self.cpu {
            let help = "CPU time of all threads, in user and kernel mode";
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
                "Maximum number of open descriptors",
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
