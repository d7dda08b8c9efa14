//! The binary. It parses the arguments, executes the command and returns the exit code.

use std::process::ExitCode;

/// Returns the free memory of glibc's allocator to the system.
///
/// Compiling .proto files allocates many times their size in small pieces. glibc keeps freed
/// pieces for later allocations, in several arenas, and one arena cannot use the memory that
/// another keeps. So the process would grow with each of the first reloads. Free memory also
/// remains after a burst of messages.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn release_memory() {
    // The library forbids unsafe code, so the binary declares the function. No well-kept crate
    // offers this function without unsafe code.
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

/// Makes glibc's allocator merge each freed piece of memory with its free neighbours at once,
/// except for the few pieces that each thread keeps for reuse. Must be called before a thread is
/// started.
///
/// By default the allocator collects small pieces in lists, the fastbins, and merges all of them
/// when a large piece is freed or is needed. After hundreds of thousands of small pieces are freed,
/// as when the subscribers of a channel disconnect, that takes up to 20 ms, in which the data
/// thread serves nobody.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn merge_freed_memory_at_once() {
    /// The maximum size of the pieces in fastbins, in bytes: `M_MXFAST` in malloc.h of glibc.
    const M_MXFAST: std::ffi::c_int = 1;

    #[allow(unsafe_code)]
    // SAFETY: this is the signature in malloc.h of glibc, which accepts all values. `main` calls
    // this function before it starts a thread, because mallopt must not run beside other calls of
    // glibc.
    unsafe extern "C" {
        safe fn mallopt(parameter: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
    }
    mallopt(M_MXFAST, 0);
}

/// Does nothing, because other allocators have no fastbins.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn merge_freed_memory_at_once() {}

fn main() -> ExitCode {
    merge_freed_memory_at_once();
    match gateway::cli::parse() {
        Ok(arguments) => gateway::cli::execute(arguments, release_memory),
        Err(code) => code,
    }
}
