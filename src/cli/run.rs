//! `gateway run`: load, listen, serve until a signal says to end.

use std::io::{self, Write as _};
use std::process::ExitCode;

use gateway_diagnostic::Diagnostics;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, error, info, warn};

use super::arguments::{Arguments, LogFormat, VERSION};
use super::configuration::file_of;
use super::signals::{SignalThread, Target};
use super::{filter, log};
use crate::embed::{Error, Gateway, log_diagnostics};
use crate::ledger::Ledger;
use crate::panics::Panics;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let filter = match filter::from_environment(arguments.log_level) {
        Ok(filter) => filter,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let filter::LogFilter { filter, doubts } = filter;
    if let Err(error) = log::start(arguments.log_format, filter) {
        let _ = writeln!(io::stderr(), "can't log: {error}");
        return ExitCode::FAILURE;
    }
    let panics = Panics::watch();
    for doubt in doubts {
        warn!("{doubt}");
    }
    let code = serve(arguments, panics);
    log::finish();
    code
}

fn serve(arguments: &Arguments, panics: Panics) -> ExitCode {
    take_descriptors();
    let tell = match arguments.log_format {
        LogFormat::Human => log::tell,
        LogFormat::Json => log_diagnostics,
    };
    let path = file_of(arguments.configuration());
    let gateway = Gateway::from_path(&path)
        .report_with(tell)
        .show_panics(panics);
    let gateway = match gateway.load() {
        Ok(gateway) => gateway,
        Err(error) => return failed("can't start", error, tell),
    };
    tell(gateway.warnings());
    let config = path.display();
    info!(%config, version = VERSION, "loaded {}", gateway.summary());
    // Before anything listens: to listen may take long, and a signal must end that, too.
    let signals = match SignalThread::start() {
        Ok(signals) => signals,
        Err(error) => {
            error!("can't catch signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let handle = match gateway.start() {
        Ok(handle) => handle,
        Err(error) => return failed("can't start", error, tell),
    };
    signals.serve(Target {
        control: handle.control(),
        wake: handle.wake(),
        standing: handle.standing(),
    });
    match handle.wait_for_engine() {
        Ok(_) if signals.has_stopped() => {
            warn!("ended at once by a second signal");
            ExitCode::FAILURE
        }
        Ok(ledger) => {
            sum_up(&ledger);
            ExitCode::SUCCESS
        }
        Err(error) => failed("ended", error, tell),
    }
}

/// Takes as many descriptors as the system grants, one for each peer: the limit that a process starts with is
/// commonly 1024, for the sake of programs that can't count further.
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

/// Reports why the gateway can't run, or ended.
fn failed(what: &str, error: Error, tell: fn(&Diagnostics)) -> ExitCode {
    match error {
        Error::Configuration(found) => tell(&found),
        Error::Engine(error) => error!("{what}: {error}"),
    }
    ExitCode::FAILURE
}

fn sum_up(ledger: &Ledger) {
    info!(
        received = ledger.received,
        answered = ledger.answered,
        rejected = ledger.rejected.iter().sum::<u64>(),
        client_gone = ledger.client_gone,
        client_slow = ledger.client_slow,
        late = ledger.late,
        unsolicited = ledger.unsolicited,
        "ended"
    );
}
