//! `gateway run`: load, listen, serve until a signal says to end.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{debug, error, info, warn};

use super::binds::tell_binds;
use super::{Arguments, LogFormat, log};
use crate::admin::{self, Admin, Sights};
use crate::config::Inputs;
use crate::core::Ledger;
use crate::engine::{self, Control, Running};
use crate::reload::Standing;
use crate::snapshot::{AdminSettings, Snapshot};
use crate::watch::{Follower, Wake};
use gateway_diagnostic::{Diagnostic, Diagnostics};
use gateway_proto::Cache;

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = log::start(arguments.log_format) {
        let _ = writeln!(io::stderr(), "can't log: {error}");
        return ExitCode::FAILURE;
    }
    let code = serve(arguments);
    log::finish();
    code
}

fn serve(arguments: &Arguments) -> ExitCode {
    take_descriptors();
    let tell = match arguments.log_format {
        LogFormat::Human => log::tell,
        LogFormat::Json => log::tell_in_json,
    };
    let inputs = Inputs::read(&arguments.config, &[]);
    let seen = inputs.seen().clone();
    let mut cache = Cache::default();
    let loaded = match inputs.load_with(&mut cache) {
        Ok(loaded) => loaded,
        Err(found) => {
            tell(&found);
            return ExitCode::FAILURE;
        }
    };
    tell(&loaded.warnings);
    let config = arguments.config.display();
    info!(%config, "loaded {}", loaded.summary());
    // Before anything listens, so that no signal finds the gateway half prepared.
    let signals = match Signals::new([SIGTERM, SIGINT, SIGHUP]) {
        Ok(signals) => signals,
        Err(error) => return failed("can't catch signals", &error),
    };
    let snapshot = Arc::new(loaded.snapshot);
    let bound = snapshot.admin.as_ref().map(|settings| {
        let listener = admin::bind(settings, loaded.admin)?;
        Ok::<_, Box<Diagnostic>>((settings, listener))
    });
    let mut unbound = Diagnostics::new();
    let bound = bound.transpose();
    let started = match &bound {
        Ok(_) => engine::start(Arc::clone(&snapshot)).map(Some),
        // It won't be: what else can't be listened on is told in the same run.
        Err(_) => engine::try_binds(&snapshot).map(|()| None),
    };
    if let Err(error) = &started {
        if !tell_binds(error, &loaded.binds, &mut unbound) {
            return failed("can't start", error);
        }
    }
    let (bound, running) = match (bound, started) {
        (Ok(bound), Ok(Some(running))) => (bound, running),
        (bound, _) => {
            bound
                .err()
                .into_iter()
                .for_each(|fault| unbound.push(*fault));
            unbound.sort();
            tell(&unbound);
            return ExitCode::FAILURE;
        }
    };
    for (role, name, endpoints) in connecting(&snapshot) {
        for endpoint in endpoints {
            info!(endpoint, "{role} {name} connects");
        }
    }
    for at in running.listening() {
        info!(endpoint = at.endpoint, "{at} listens");
    }
    let reloader = running.reloader();
    let follower = Follower::new(
        &arguments.config,
        seen,
        Arc::clone(&snapshot),
        reloader,
        tell,
    )
    .with_cache(cache);
    let follower = match show(follower, &running, bound) {
        Ok(follower) => follower,
        Err(fault) => {
            running.control().stop();
            let _ = running.wait();
            return faulty(&fault, tell);
        }
    };
    info!(generation = 1, "ready");
    let stopped = obey_signals(signals, running.control(), follower.wake());
    std::thread::spawn(move || follower.follow());
    match running.wait() {
        Ok(_) if stopped.load(Ordering::Relaxed) => {
            warn!("ended at once by a second signal");
            ExitCode::FAILURE
        }
        Ok(ledger) => {
            sum_up(&ledger);
            ExitCode::SUCCESS
        }
        Err(error) => failed("ended", &error),
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

/// Opens what `admin` says, and has it follow the configuration.
fn show(
    follower: Follower,
    running: &Running,
    admin: Option<(&AdminSettings, TcpListener)>,
) -> Result<Follower, Box<Diagnostic>> {
    let standing = Arc::new(Standing::default());
    let mut door = Admin::new(Sights {
        observer: running.observer(),
        standing: Arc::clone(&standing),
        wake: follower.wake(),
    });
    if let Some((settings, listener)) = admin {
        let prepared = door.prepare_on(settings, listener)?;
        if let Some(at) = door.commit(prepared) {
            info!(endpoint = at.endpoint, "{at} listens");
        }
    }
    Ok(follower.with_admin(door, standing))
}

fn faulty(fault: &Diagnostic, tell: fn(&Diagnostics)) -> ExitCode {
    let mut found = Diagnostics::new();
    found.push(fault.clone());
    tell(&found);
    ExitCode::FAILURE
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> ExitCode {
    error!("{what}: {error}");
    ExitCode::FAILURE
}

/// What connects where, by role and name.
fn connecting(snapshot: &Snapshot) -> impl Iterator<Item = (&'static str, &str, &[String])> {
    let frontends = snapshot.frontends.values();
    let frontends = frontends.map(|it| ("frontend", it.name.as_str(), &*it.endpoints.connect));
    let pools = snapshot.pools.values();
    frontends.chain(pools.map(|it| ("pool", it.name.as_str(), &*it.endpoints.connect)))
}

/// SIGHUP reloads. Of the others the first drains and the second ends at once; the flag says whether
/// one did.
fn obey_signals(mut signals: Signals, control: Control, wake: Wake) -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopped);
    std::thread::spawn(move || {
        let mut draining = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                wake.reload();
            } else if draining {
                flag.store(true, Ordering::Relaxed);
                control.stop();
            } else {
                draining = true;
                let signal = signal_hook::low_level::signal_name(signal).unwrap_or("signal");
                info!("{signal}: no new requests; those that are held may finish");
                control.drain();
            }
        }
    });
    stopped
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
