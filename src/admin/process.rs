//! The state of this process as the system reports it, for the metrics that Prometheus expects of
//! every process.

use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// The state of this process. A value that the system does not provide is `None`, and is not shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProcessSample {
    /// CPU time of all threads, in user and system mode.
    pub(super) cpu: Option<Duration>,
    /// Bytes of memory in use.
    pub(super) resident: Option<u64>,
    /// Bytes of address space.
    pub(super) virtual_memory: Option<u64>,
    /// Open descriptors.
    pub(super) descriptors: Option<u64>,
    /// The maximum number of open descriptors.
    pub(super) descriptors_max: Option<u64>,
    /// The time at which the process started, since 1970.
    pub(super) start: Option<Duration>,
    /// The number of threads.
    pub(super) threads: Option<u64>,
}

impl ProcessSample {
    /// Reads the values from /proc on Linux. Other systems provide the limit of descriptors only.
    pub(super) fn take() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let boot = fs::read_to_string("/proc/stat").ok();
        let mut sample = stat.map_or_else(Self::default, |stat| {
            let boot = boot.as_deref().and_then(boot_time);
            Self::of_stat(&stat, boot, clock_ticks_per_second(), page_size() as u64)
        });
        sample.descriptors = open_descriptors();
        sample.descriptors_max = getrlimit(Resource::Nofile).current;
        sample
    }

    /// Parses the text of /proc/self/stat, which proc_pid_stat(5) describes. `boot` is the time of
    /// the system's start, `ticks` is the number of clock ticks in a second, and `page` is the size
    /// of a page of memory, in bytes.
    fn of_stat(stat: &str, boot: Option<Duration>, ticks: u64, page: u64) -> Self {
        // The name of the program may contain any characters. It ends at the last parenthesis.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        // The fields are numbered from 1. The first field after the name has number 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let time = |count: u64| Duration::from_secs_f64(count as f64 / ticks.max(1) as f64);
        Self {
            cpu: field(14)
                .zip(field(15))
                .map(|(user, system)| time(user + system)),
            threads: field(20),
            start: boot.zip(field(22)).map(|(boot, start)| boot + time(start)),
            virtual_memory: field(23),
            resident: field(24).map(|pages| pages * page),
            ..Self::default()
        }
    }
}

/// Returns the number of open descriptors, or `None` on a system without /proc.
fn open_descriptors() -> Option<u64> {
    let directory = "/proc/self/fd";
    // Since Linux 6.2, the size of the directory is the number of open descriptors. The directory,
    // which may be long, need not be read.
    match fs::metadata(directory).ok()?.len() {
        // Reading the directory opens one more descriptor, which is subtracted.
        0 => Some((fs::read_dir(directory).ok()?.count() as u64).saturating_sub(1)),
        open => Some(open),
    }
}

/// Returns the time of the system's start, since 1970. `stat` is the text of /proc/stat, which
/// proc_stat(5) describes. Returns `None` if the text has no such time.
fn boot_time(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(Duration::from_secs(line.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat_are_read() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 150 0 0 20 0 12 0 500 4096000 77 18446744073709551615\n";
        let boot = boot_time("cpu 1\nbtime 1000\nprocesses 3\n");
        let sample = ProcessSample::of_stat(stat, boot, 100, 4096);
        let expected = ProcessSample {
            cpu: Some(Duration::from_secs(4)),
            resident: Some(77 * 4096),
            virtual_memory: Some(4_096_000),
            start: Some(Duration::from_secs(1005)),
            threads: Some(12),
            ..ProcessSample::default()
        };
        assert_eq!(sample, expected);
        assert_eq!(
            ProcessSample::of_stat("", None, 100, 4096),
            ProcessSample::default()
        );
    }
}
