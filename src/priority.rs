//! The priority of threads that do costly work while the data thread serves peers.

/// The number that is added to the nice value of a thread that does costly work. On a busy machine,
/// the data thread then runs as soon as it has something to do, instead of after the time slices of
/// the other threads. Next to a busy thread, a thread of this priority still gets about a quarter
/// of a processor.
#[cfg(target_os = "linux")]
const NICE_INCREMENT: i32 = 5;

/// Lowers the priority of the calling thread by [`NICE_INCREMENT`]. If the system refuses, the
/// thread keeps its priority, and the data thread may have to wait for a processor.
#[cfg(target_os = "linux")]
pub(crate) fn lower() {
    // On Linux, a nice value belongs to a thread, and `None` is the calling thread.
    if let Ok(nice) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, nice.saturating_add(NICE_INCREMENT));
    }
}

/// Does nothing, because a priority belongs to the whole process on other systems.
#[cfg(not(target_os = "linux"))]
pub(crate) fn lower() {}
