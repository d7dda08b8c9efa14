//! The entry for programs that run a gateway: configuration → [`Gateway`] → [`Handle`].
//!
//! `gateway run` starts in the same way. `binds` explains addresses that can't be listened on,
//! `error` unites all errors, and `handle` controls a running gateway.

mod binds;
mod error;
mod handle;
#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use gateway_proto::Cache;
use tracing::{error, info, warn};

use crate::admin::{self, Admin, Sights};
use crate::config::{Bind, Loaded, Origin, Seen};
use crate::engine::{self, Running};
use crate::panics::Panics;
use crate::reload::Standing;
use crate::snapshot::{AdminSettings, Snapshot};
use crate::watch::Follower;
use binds::tell_binds;
pub use error::Error;
pub use handle::Handle;

/// How to load a gateway.
#[derive(Clone, Debug)]
pub struct Builder {
    origin: Origin,
    report: fn(&Diagnostics),
    panics: Panics,
}

impl Builder {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            report: log_diagnostics,
            panics: Panics::default(),
        }
    }

    /// Overrides the key `reload.watch`: whether edits of the files take hold by themselves.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.origin.set_watch(watch);
        self
    }

    /// Sets the function that reports errors and warnings of edited files while the gateway runs. By
    /// default each is a `tracing` event.
    #[must_use]
    pub fn report_with(mut self, report: fn(&Diagnostics)) -> Self {
        self.report = report;
        self
    }

    /// Sets the count of panics that /metrics shows.
    #[must_use]
    pub(crate) fn show_panics(mut self, panics: Panics) -> Self {
        self.panics = panics;
        self
    }

    /// Reads and checks the configuration and its .proto files.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] with every error of every file.
    pub fn load(self) -> Result<Gateway, Error> {
        let Self {
            origin,
            report,
            panics,
        } = self;
        let inputs = origin.read(&[]);
        let seen = inputs.seen().clone();
        let mut cache = Cache::default();
        let loaded = inputs.load_with(&mut cache)?;
        Ok(Gateway {
            origin,
            report,
            panics,
            seen,
            loaded,
            cache,
        })
    }
}

/// A gateway whose configuration is sound, ready to start.
#[derive(Debug)]
pub struct Gateway {
    origin: Origin,
    report: fn(&Diagnostics),
    panics: Panics,
    /// The content of the files from which `loaded` comes.
    seen: Seen,
    loaded: Loaded,
    /// The compiled files, for the first reload.
    cache: Cache,
}

impl Gateway {
    /// Loads the configuration at `path`, with the default options.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] with every error of every file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_path(path).load()
    }

    /// Returns a builder for the configuration at `path`, commonly `routes.yaml`.
    pub fn from_path(path: impl AsRef<Path>) -> Builder {
        Builder::new(Origin::from(path.as_ref()))
    }

    /// Returns a builder for the configuration in `text`, which is written as a routes.yaml. Its import
    /// paths are relative to `directory`. A reload reads the .proto files again, and not the text.
    pub fn from_text(text: &str, directory: impl AsRef<Path>) -> Builder {
        Builder::new(Origin::of_text(text, directory.as_ref()))
    }

    /// Returns the warnings about the configuration.
    pub fn warnings(&self) -> &Diagnostics {
        &self.loaded.warnings
    }

    /// Returns a summary of the configuration, such as `2 routes, 1 pool, 1 frontend, 1 message`.
    pub fn summary(&self) -> String {
        self.loaded.summary()
    }

    /// Listens on every address and serves, on threads of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] if an address can't be listened on, [`Error::Engine`] if the system
    /// refuses anything else. An error leaves nothing behind.
    pub fn start(self) -> Result<Handle, Error> {
        let Self {
            origin,
            report,
            panics,
            seen,
            loaded,
            cache,
        } = self;
        let snapshot = Arc::new(loaded.snapshot);
        let (listener, running) = listen(&snapshot, loaded.admin, &loaded.binds)?;
        log_addresses(&snapshot, &running);
        let reloader = running.reloader();
        let follower =
            Follower::new(origin, seen, Arc::clone(&snapshot), reloader, report).with_cache(cache);
        let admin = snapshot.admin.as_ref().zip(listener);
        match serve_admin(follower, &running, admin, panics) {
            Ok(follower) => {
                info!(generation = 1, "ready");
                Ok(Handle::new(running, follower))
            }
            Err(fault) => {
                running.control().stop();
                let _ = running.wait();
                Err(fault.into())
            }
        }
    }
}

/// Logs each diagnostic as a `tracing` event with the fields `place` and `text`.
pub(crate) fn log_diagnostics(found: &Diagnostics) {
    let left_out = found.left_out();
    for diagnostic in found.iter().chain(&left_out) {
        let place = diagnostic.place.as_ref().map(ToString::to_string);
        let text = diagnostic.render(false);
        match diagnostic.severity {
            Severity::Error => error!(place, text, "{}", diagnostic.message),
            Severity::Warning => warn!(place, text, "{}", diagnostic.message),
        }
    }
}

/// Listens for HTTP and for peers, and starts to serve the latter. The error holds every address that
/// can't be listened on.
fn listen(
    snapshot: &Arc<Snapshot>,
    admin_place: Option<Place>,
    binds: &[Bind],
) -> Result<(Option<TcpListener>, Running), Error> {
    let mut found = Diagnostics::new();
    let settings = snapshot.admin.as_ref();
    let listener = settings.map(|settings| admin::bind(settings, admin_place));
    let error = match listener.transpose() {
        Ok(listener) => match engine::start(Arc::clone(snapshot)) {
            Ok(running) => return Ok((listener, running)),
            Err(error) => Some(error),
        },
        Err(fault) => {
            found.push(*fault);
            engine::try_binds(snapshot).err()
        }
    };
    if let Some(error) = error
        && !tell_binds(&error, binds, &mut found)
    {
        return Err(error.into());
    }
    found.sort();
    Err(found.into())
}

/// Logs the addresses that the gateway connects to, and those that it listens on.
fn log_addresses(snapshot: &Snapshot, running: &Running) {
    for frontend in snapshot.frontends.values() {
        for endpoint in &frontend.endpoints.connect {
            info!(endpoint, "frontend {} connects", frontend.name);
        }
    }
    for pool in snapshot.pools.values() {
        for endpoint in &pool.endpoints.connect {
            info!(endpoint, "pool {} connects", pool.name);
        }
    }
    for at in running.listening() {
        info!(endpoint = at.endpoint, "{at} listens");
    }
}

/// Serves HTTP on the listener, if there is one, and lets the follower open, move and close it.
fn serve_admin(
    follower: Follower,
    running: &Running,
    listener: Option<(&AdminSettings, TcpListener)>,
    panics: Panics,
) -> Result<Follower, Box<Diagnostic>> {
    let standing = Arc::new(Standing::default());
    let mut admin = Admin::new(Sights {
        observer: running.observer(),
        standing: Arc::clone(&standing),
        wake: follower.wake(),
        panics,
    });
    if let Some((settings, listener)) = listener {
        let prepared = admin.prepare_on(settings, listener)?;
        if let Some(at) = admin.commit(prepared) {
            info!(endpoint = at.endpoint, "{at} listens");
        }
    }
    Ok(follower.with_admin(admin, standing))
}
