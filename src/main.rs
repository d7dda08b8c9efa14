//! The binary: arguments in, exit code out.

use std::process::ExitCode;

/// Returns the free memory of glibc's allocator to the system.
///
/// Compiling .proto files allocates many times their size in small pieces. glibc keeps freed
/// pieces for later allocations, in several arenas, and one arena cannot use the memory that
/// another keeps. So the process would grow with each of the first reloads. Free memory also
/// remains after a burst of messages.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn release_memory() {
    // The library forbids unsafe code, and no well-kept crate has this function without it.
    #[allow(unsafe_code)]
    // SAFETY: this is the signature in malloc.h of glibc, and any thread may call the function at
    // any time.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Does nothing, because other allocators return free memory by themselves, or have no function
/// that does so.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn release_memory() {}

fn main() -> ExitCode {
    match gateway::cli::parse() {
        Ok(arguments) => gateway::cli::execute(arguments, release_memory),
        Err(code) => code,
    }
}
