//! A cgroup with a limit on memory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory in which the system mounts the hierarchies of cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A cgroup that is removed when it is dropped. Its processes must have ended by then.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Creates a cgroup below the cgroup of this process. The processes of the new cgroup may use
    /// this number of bytes.
    ///
    /// # Errors
    ///
    /// Fails if this process may not create cgroups, or if its cgroup has no memory controller.
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

    /// Returns a shell command that moves the shell into the cgroup.
    pub fn entering(&self) -> String {
        format!("echo $$ > {}/cgroup.procs", self.0.display())
    }
}

/// Returns the directory of the cgroup that a line of /proc/self/cgroup names after `prefix`, and
/// `limit`, the name of the file with the limit of the cgroup. Returns `None` if the line does not
/// have the prefix, or if the directory does not exist. Version 1 of cgroups has a hierarchy for
/// each controller, and `hierarchy` is the directory of this hierarchy.
fn memory_group<'a>(
    line: &str,
    prefix: &str,
    hierarchy: &str,
    limit: &'a str,
) -> Option<(PathBuf, &'a str)> {
    let (_, path) = line.split_once(prefix)?;
    let top = Path::new(CGROUPS).join(hierarchy);
    let group = top.join(path.trim_start_matches('/'));
    // In a container, the path may be the path on the host. The container's own cgroup is then
    // mounted at the top of the hierarchy.
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
