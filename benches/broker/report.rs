//! Medians and ratios.

use std::time::Duration;

use crate::brokers::Kind;
use crate::load::Loaded;

/// One round of one broker.
pub struct Sample {
    /// CPU of the broker's process a round trip, in nanoseconds.
    cpu: f64,
    /// Round trips a second.
    throughput: f64,
    /// Latencies at 50, 99 and 99.9 %, in microseconds.
    latency: [f64; 3],
    memory: u64,
}

impl Sample {
    pub fn new(loaded: &Loaded, cpu: Duration, memory: u64) -> Self {
        let at = |share: f64| {
            let last = loaded.latencies.len().saturating_sub(1);
            let place = (last as f64 * share) as usize;
            loaded
                .latencies
                .get(place)
                .map_or(0.0, |it| it.as_secs_f64() * 1e6)
        };
        Self {
            cpu: cpu.as_nanos() as f64 / loaded.round_trips as f64,
            throughput: loaded.round_trips as f64 / loaded.took.as_secs_f64(),
            latency: [at(0.5), at(0.99), at(0.999)],
            memory,
        }
    }
}

/// The rounds of one load.
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
            "| broker | CPU a round trip | ratio | spread | throughput | ratio | p50 | ratio | p99 | p99.9 | memory |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        let proxy = |of: &dyn Fn(&Sample) -> f64| self.median(Kind::Proxy, of);
        for kind in Kind::ALL {
            let median = |of: &dyn Fn(&Sample) -> f64| self.median(kind, of);
            let cpu = median(&|it| it.cpu);
            let throughput = median(&|it| it.throughput);
            let p50 = median(&|it| it.latency[0]);
            println!(
                "| {} | {:.2} µs | **{:.2}** | {} | {:.0}/s | {:.2} | {:.0} µs | {:.2} | {:.0} µs | {:.0} µs | {:.0} MiB |",
                kind.name(),
                cpu / 1e3,
                cpu / proxy(&|it| it.cpu),
                self.spread(kind),
                throughput,
                throughput / proxy(&|it| it.throughput),
                p50,
                p50 / proxy(&|it| it.latency[0]),
                median(&|it| it.latency[1]),
                median(&|it| it.latency[2]),
                median(&|it| it.memory as f64) / f64::from(1 << 20),
            );
        }
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Sample> {
        let samples = self.samples.iter();
        samples.filter(move |(of, _)| *of == kind).map(|(_, it)| it)
    }

    fn median(&self, kind: Kind, of: &dyn Fn(&Sample) -> f64) -> f64 {
        let mut all: Vec<f64> = self.of(kind).map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// The CPU's least and greatest, as a part of the median.
    fn spread(&self, kind: Kind) -> String {
        let cpus = || self.of(kind).map(|it| it.cpu);
        let median = self.median(kind, &|it| it.cpu);
        let least = cpus().fold(f64::INFINITY, f64::min);
        let most = cpus().fold(0.0, f64::max);
        format!("{:.2}–{:.2}", least / median, most / median)
    }
}
