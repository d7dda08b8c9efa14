//! `gateway run`, which loads the files, listens and serves until a signal ends the gateway.

use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, error, info, warn};

use super::arguments::{Arguments, VERSION};
use super::configuration::file_of;
use super::filter::{LogFilter, StartSettings};
use super::log;
use super::service::Service;
use super::signals::{SignalTarget, SignalThread};
use crate::embed::{Error, Gateway};
use crate::ledger::Ledger;
use crate::panics::Panics;
use crate::reload::{Observe, Step};
use crate::snapshot::LogSettings;

/// The minimum size of the kernel's table of descriptors, unless the limit of descriptors is lower.
/// The table takes 8 bytes for each descriptor. Few gateways have more peers than this; for those
/// that do, the kernel enlarges the table while they serve.
const DESCRIPTORS_MIN: u64 = 1 << 16;

/// Serves until a signal ends the gateway, and returns the exit code.
///
/// `release_memory` is called after each load, because a load needs much more memory than its
/// result. It is also called after bursts of messages.
pub(super) fn run(arguments: &Arguments, release_memory: fn()) -> ExitCode {
    let reported = |error: String| {
        let _ = writeln!(io::stderr(), "error: {error}");
        ExitCode::FAILURE
    };
    let defaults = LogSettings::default();
    let start_settings = match StartSettings::new(arguments.log_level) {
        Ok(start_settings) => start_settings,
        Err(error) => return reported(error),
    };
    let LogFilter { filter, doubts } = match start_settings.filter(defaults.level) {
        Ok(filter) => filter,
        Err(error) => return reported(error),
    };
    let format = arguments.log_format;
    let set_filter = match log::start(format.unwrap_or(defaults.format), filter) {
        Ok(set_filter) => set_filter,
        Err(error) => return reported(format!("can't log: {error}")),
    };
    let panics = Panics::watch();
    for doubt in doubts {
        warn!("{doubt}");
    }
    let follower = log::LogFollower {
        format,
        start_settings,
        set_filter,
        in_force: Mutex::new(defaults),
    };
    let follow = move |settings| follower.follow(settings);
    let code = serve(arguments, panics, follow, release_memory);
    log::finish();
    code
}

/// Loads, listens and serves. `follow_log` is called with the log settings of each configuration
/// that takes effect.
fn serve(
    arguments: &Arguments,
    panics: Panics,
    follow_log: impl Fn(LogSettings) + Send + Sync + 'static,
    release_memory: fn(),
) -> ExitCode {
    take_descriptors();
    enlarge_descriptor_table();
    let service = Arc::new(Service::from_environment());
    let path = file_of(arguments.configuration());
    let follow_log = Arc::new(follow_log);
    let gateway = Gateway::from_path(&path)
        .report_with(log::report_diagnostics)
        .show_panics(panics)
        .release_memory_with(release_memory)
        .observe(observer(
            Arc::clone(&service),
            Arc::clone(&follow_log),
            release_memory,
        ));
    let gateway = match gateway.load() {
        Ok(gateway) => gateway,
        Err(error) => return failed("can't start", error),
    };
    follow_log(gateway.log());
    log::report_diagnostics(gateway.warnings());
    let config = path.display();
    info!(%config, version = VERSION, "loaded {}", gateway.summary());
    release_memory();
    // The thread for signals is started before the gateway listens, because listening may take
    // long, and a signal must be able to end the startup.
    let signals = match SignalThread::start(Arc::clone(&service)) {
        Ok(signals) => signals,
        Err(error) => {
            error!("can't catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let handle = match gateway.start() {
        Ok(handle) => handle,
        Err(error) => return failed("can't start", error),
    };
    service.ready();
    service.watch_over(handle.observer());
    signals.serve(SignalTarget {
        control: handle.control(),
        wake: handle.wake(),
        control_status: handle.control_status(),
    });
    match handle.wait_for_engine() {
        Ok(_) if signals.has_stopped() => {
            warn!("stopped at once by a second signal");
            ExitCode::FAILURE
        }
        Ok(ledger) => {
            sum_up(&ledger);
            ExitCode::SUCCESS
        }
        Err(error) => failed("stopped", error),
    }
}

/// Returns the observer of reloads. It notifies the service manager of each reload, applies the log
/// settings in force, and releases the memory of the replaced configuration.
fn observer(
    service: Arc<Service>,
    follow_log: Arc<impl Fn(LogSettings) + Send + Sync + 'static>,
    release_memory: fn(),
) -> Observe {
    Arc::new(move |step| match step {
        Step::Loading => service.reloading(),
        Step::Settled(snapshot) => {
            follow_log(snapshot.log);
            service.ready();
        }
        Step::Freed => release_memory(),
    })
}

/// Raises the soft limit of descriptors to the hard limit, since each peer needs a descriptor. A
/// process commonly starts with a soft limit of 1024, for the sake of programs that cannot handle
/// more descriptors.
fn take_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => debug!(limit = limit.maximum, "descriptors"),
        Err(error) => warn!(%error, limit = limit.current, "can't raise the limit of descriptors"),
    }
}

/// Lets the kernel enlarge the process's table of descriptors, which it never makes smaller.
///
/// The kernel doubles the table when it is full. In a process with several threads, it then waits
/// until no processor reads the old table, which takes up to 20 ms. This function waits once, at
/// the start. Later, the data thread would spend this time in the call that accepts a connection.
fn enlarge_descriptor_table() {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let last = most.min(DESCRIPTORS_MIN).saturating_sub(1);
    let last = RawFd::try_from(last).unwrap_or(RawFd::MAX);
    // A duplicate with the last number needs the whole table, and is closed at once. If the call
    // fails, the table grows later.
    if let Err(error) = fcntl_dupfd_cloexec(io::stderr(), last) {
        debug!(%error, "can't enlarge the table of descriptors");
    }
}

/// Logs the error that prevents the gateway from running or has ended it, and returns the exit
/// code.
fn failed(what: &str, error: Error) -> ExitCode {
    match error {
        Error::Configuration(found) => log::report_diagnostics(&found),
        Error::Engine(error) => error!("{what}: {error}"),
    }
    ExitCode::FAILURE
}

fn sum_up(ledger: &Ledger) {
    info!(
        received = ledger.received,
        answered = ledger.answered,
        published = ledger.published,
        rejected = ledger.rejected.iter().sum::<u64>(),
        client_gone = ledger.client_gone,
        client_slow = ledger.client_slow,
        late = ledger.late,
        unsolicited = ledger.unsolicited,
        "stopped"
    );
}
