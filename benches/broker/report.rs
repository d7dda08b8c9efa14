//! Computes medians and ratios of samples, and prints them as tables.

use std::time::Duration;

use crate::brokers::Kind;
use crate::load::Loaded;

/// The measurements of one round of one broker.
pub struct Sample {
    /// The CPU time of the broker's process for a round trip, in nanoseconds.
    cpu: f64,
    /// The round trips in a second.
    throughput: f64,
    /// The 50th, 99th and 99.9th percentile of the latencies, in microseconds.
    latency: [f64; 3],
    /// The resident memory of the broker's process, in bytes.
    memory: u64,
}

impl Sample {
    pub fn new(loaded: &Loaded, cpu: Duration, memory: u64) -> Self {
        let at = |share: f64| {
            let last = loaded.latencies.len().saturating_sub(1);
            let index = (last as f64 * share) as usize;
            loaded
                .latencies
                .get(index)
                .map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        Self {
            cpu: cpu.as_nanos() as f64 / loaded.round_trips as f64,
            throughput: loaded.round_trips as f64 / loaded.took.as_secs_f64(),
            latency: [at(0.5), at(0.99), at(0.999)],
            memory,
        }
    }
}

/// Prints the head of a table that compares two brokers of channels.
pub fn print_head_of_channels(one: &str, other: &str) {
    println!("\n### Channels: {one} and {other}\n");
    println!(
        "| load | CPU a delivery, {one} | {other} | ratio | deliveries, {one} | {other} | ratio | memory, {one} | {other} |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
}

/// Prints the table row of a channel load from the samples of two brokers. In these samples, a
/// round trip is the delivery of a message to one subscriber.
pub fn print_channel(name: &str, samples: &[Vec<Sample>; 2]) {
    let cells = |unit: &str, digits: usize, value: fn(&Sample) -> f64| {
        let [one, other] = samples
            .each_ref()
            .map(|samples| median(samples.iter(), value));
        let spread = spread(samples[1].iter(), other, value);
        format!(
            "{one:.digits$} {unit} | {other:.digits$} {unit} {spread} | **{:.2}**",
            other / one
        )
    };
    let [one, other] = samples
        .each_ref()
        .map(|samples| median(samples.iter(), |sample| sample.memory as f64) / f64::from(1 << 20));
    println!(
        "| {name} | {} | {} | {one:.0} MiB | {other:.0} MiB |",
        cells("µs", 2, |sample| sample.cpu / 1e3),
        cells("k/s", 0, |sample| sample.throughput / 1e3),
    );
}

/// Returns the median of `value` over the samples.
fn median<'a>(samples: impl Iterator<Item = &'a Sample>, value: impl Fn(&Sample) -> f64) -> f64 {
    let mut all: Vec<f64> = samples.map(value).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Returns the minimum and the maximum of `value` over the samples, each divided by the median, in
/// brackets.
fn spread<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    median: f64,
    value: impl Fn(&Sample) -> f64,
) -> String {
    let all: Vec<f64> = samples.map(value).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min) / median;
    let most = all.iter().copied().fold(0.0, f64::max) / median;
    format!("({least:.2}–{most:.2})")
}

/// The samples of all brokers under one load.
pub struct Table {
    name: String,
    samples: Vec<(Kind, Sample)>,
}

impl Table {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            samples: Vec::new(),
        }
    }

    pub fn add(&mut self, kind: Kind, sample: Sample) {
        self.samples.push((kind, sample));
    }

    pub fn print(&self) {
        println!("\n### {}\n", self.name);
        println!(
            "| broker | CPU a round trip | ratio | throughput | ratio | p50 | ratio | p99 | p99.9 | memory |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        for kind in Kind::ALL {
            let [cpu, throughput, p50] = [
                self.compared(kind, "µs", 2, |sample| sample.cpu / 1e3),
                self.compared(kind, "k/s", 0, |sample| sample.throughput / 1e3),
                self.compared(kind, "µs", 0, |sample| sample.latency[0]),
            ];
            let p99 = self.median(kind, |sample| sample.latency[1]);
            let p999 = self.median(kind, |sample| sample.latency[2]);
            let memory = self.median(kind, |sample| sample.memory as f64) / f64::from(1 << 20);
            let name = kind.name();
            println!(
                "| {name} | {cpu} | {throughput} | {p50} | {p99:.0} µs | {p999:.0} µs | {memory:.0} MiB |",
            );
        }
    }

    /// Returns two cells: the median of `value` with its [`spread`], and the ratio of this median
    /// to zmq_proxy's median.
    fn compared(
        &self,
        kind: Kind,
        unit: &str,
        digits: usize,
        value: impl Fn(&Sample) -> f64 + Copy,
    ) -> String {
        let median = self.median(kind, value);
        let ratio = median / self.median(Kind::Proxy, value);
        let spread = spread(self.samples(kind), median, value);
        format!("{median:.digits$} {unit} {spread} | **{ratio:.2}**")
    }

    fn samples(&self, kind: Kind) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter().filter(move |(other, _)| *other == kind);
        samples.map(|(_, sample)| sample)
    }

    fn median(&self, kind: Kind, value: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples(kind), value)
    }
}
