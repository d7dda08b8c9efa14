//! The memory that the process may use, and the memory that it uses.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

use crate::snapshot::MemoryLimit;

/// The number of bytes that are subtracted from `RLIMIT_AS`, but at most half of `RLIMIT_AS`. The
/// limit counts addresses, and many addresses are reserved without using memory. The stacks of
/// threads reserve addresses, and so does glibc's allocator for each of several threads.
const ADDRESSES_RESERVED: u64 = 512 << 20;

/// The memory, in bytes, that is assumed if the system reports neither memory nor limits.
const MEMORY_ASSUMED: u64 = 1 << 30;

/// The directory in which the system mounts the hierarchies of cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

impl MemoryLimit {
    /// Returns the present limit in bytes.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => percent_of(percent, available()),
        }
    }
}

fn percent_of(percent: u8, bytes: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(percent) / 100;
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// Returns the memory that the process may use, in bytes: the least of the machine's memory, the
/// limits of the cgroups that the process is in, `RLIMIT_DATA` and `RLIMIT_AS`.
fn available() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| machine_memory(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = limit_files(&groups).filter_map(|path| limit_of(&read(&path)?));
    let addresses = getrlimit(Resource::As).current.map(without_reserve);
    let data = getrlimit(Resource::Data).current;
    let least = groups.chain(machine).chain(addresses).chain(data).min();
    least.unwrap_or(MEMORY_ASSUMED)
}

/// Returns the part of a limit on addresses that counts as memory, in bytes.
fn without_reserve(addresses: u64) -> u64 {
    addresses - ADDRESSES_RESERVED.min(addresses / 2)
}

/// Returns the memory of the machine in bytes, from the text of /proc/meminfo, or `None` if the
/// text does not contain it.
fn machine_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Returns the paths of the files that limit the memory of a process: one for each of its cgroups,
/// and one for each parent of these cgroups. `text` is the content of /proc/self/cgroup. Some of
/// these files may not exist: in a container, `text` may name paths of the host, although only the
/// top of the hierarchy is mounted.
fn limit_files(text: &str) -> impl Iterator<Item = PathBuf> {
    let files = |line: &str| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (top, file) = if hierarchy == "0" && controllers.is_empty() {
            (PathBuf::from(CGROUPS), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (Path::new(CGROUPS).join("memory"), "memory.limit_in_bytes")
        } else {
            return None;
        };
        let groups: Vec<_> = Path::new(path.trim_start_matches('/'))
            .ancestors()
            .map(|group| top.join(group).join(file))
            .collect();
        Some(groups)
    };
    text.lines().filter_map(files).flatten()
}

/// Returns the limit in bytes from the text of a cgroup's file, or `None` if the file sets no
/// limit.
fn limit_of(text: &str) -> Option<u64> {
    // Without a limit, the file contains the word `max` in cgroups of version 2. In version 1, it
    // contains a number above the memory of any machine.
    text.trim().parse().ok()
}

/// The resident memory of the process, which can be read often.
#[derive(Debug)]
pub(crate) struct Resident(Option<File>);

impl Resident {
    /// Opens the file with the figures of the process.
    pub(crate) fn open() -> Self {
        Self(File::open("/proc/self/statm").ok())
    }

    /// Returns the resident memory in bytes, or `None` where the system does not report it.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let mut text = [0; 128];
        let n = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        let pages = resident_pages(text.get(..n)?)?;
        Some(pages * page_size() as u64)
    }
}

/// Returns the second number in the text of /proc/self/statm, which is the number of resident
/// pages, or `None` if the text has another form.
fn resident_pages(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Calls `release`, which returns free memory of the allocator to the system, on a thread of its
/// own. The call may take some milliseconds.
///
/// # Errors
///
/// Fails if the system cannot start the thread.
pub(crate) fn release_apart(release: fn()) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("memory".into());
    thread.stack_size(64 << 10).spawn(release).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_addresses_are_subtracted_from_a_limit_on_addresses() {
        assert_eq!(without_reserve(2 << 30), 1536 << 20);
        assert_eq!(without_reserve(512 << 20), 256 << 20);
    }

    #[test]
    fn the_memory_of_the_machine_is_in_kib() {
        let text = "MemTotal:       16384 kB\nMemFree:        1 kB\n";
        assert_eq!(machine_memory(text), Some(16 << 20));
        assert_eq!(machine_memory("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_limits_of_all_parent_cgroups_are_read() {
        let text = "12:cpu,memory:/a/b\n3:cpuset:/a\n0::/user/session\n";
        let files: Vec<_> = limit_files(text)
            .map(|path| path.display().to_string())
            .collect();
        let expected = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/user/session/memory.max",
            "/sys/fs/cgroup/user/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, expected);
        let top: Vec<_> = limit_files("0::/\n").collect();
        assert_eq!(top, [Path::new("/sys/fs/cgroup/memory.max")]);
    }

    #[test]
    fn a_cgroup_may_have_no_limit() {
        assert_eq!(limit_of("268435456\n"), Some(256 << 20));
        assert_eq!(limit_of("max\n"), None);
    }

    #[test]
    fn the_second_number_of_statm_is_the_resident_memory() {
        assert_eq!(resident_pages(b"1000 20 3 4 5 6 7\n"), Some(20));
        assert_eq!(resident_pages(b""), None);
        let resident = Resident::open().bytes();
        assert!(
            resident.is_some_and(|bytes| bytes > 1 << 20),
            "{resident:?}"
        );
    }

    #[test]
    fn a_percentage_is_taken_of_the_available_memory() {
        let all = available();
        assert!(all > 1 << 20);
        assert_eq!(MemoryLimit::Percent(100).bytes(), all);
        assert_eq!(percent_of(50, 1 << 30), 512 << 20);
        assert_eq!(percent_of(100, u64::MAX), u64::MAX);
        assert_eq!(MemoryLimit::Bytes(7).bytes(), 7);
    }
}
