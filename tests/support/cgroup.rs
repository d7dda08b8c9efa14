//! A cgroup with a limit on memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory in which the system mounts the hierarchies of cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A cgroup that is removed when it is dropped. Its processes must have ended by then.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a cgroup below that of this process, whose processes may use this number of bytes.
    ///
    /// # Errors
    ///
    /// Fails if this process may not create cgroups, or has no controller of memory.
    pub fn create(name: &str, bytes: u64) -> io::Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let (parent, limit) = groups
            .lines()
            .find_map(|line| memory_group(line, ":memory:", "memory", "memory.limit_in_bytes"))
            .or_else(|| {
                groups
                    .lines()
                    .find_map(|line| memory_group(line, "0::", "", "memory.max"))
            })
            .ok_or(io::ErrorKind::Unsupported)?;
        let group = Self(parent.join(format!("{name}-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }

    /// Returns a command of the shell by which the shell enters the cgroup.
    pub fn entering(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.0.display())
    }
}

/// Returns the directory of the cgroup that a line of /proc/self/cgroup names after `prefix`, and
/// the name of the file with its limit. Version 1 has a hierarchy for each controller.
fn memory_group<'a>(
    line: &str,
    prefix: &str,
    hierarchy: &str,
    limit: &'a str,
) -> Option<(PathBuf, &'a str)> {
    let (_, path) = line.split_once(prefix)?;
    let top = Path::new(CGROUPS).join(hierarchy);
    let group = top.join(path.trim_start_matches('/'));
    // In a container, the path may be that on the host, and the own group is mounted as the top.
    let found = [group, top];
    let found = found
        .into_iter()
        .find(|group| group.join("cgroup.procs").exists())?;
    Some((found, limit))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
