//! The interface for programs that run a gateway: configuration → [`Gateway`] → [`Handle`].
//!
//! `gateway run` uses this interface, too. `binds` makes diagnostics for addresses that cannot be
//! bound, `error` has the error type, and `handle` controls a running gateway.

mod binds;
mod error;
mod handle;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, Diagnostics, Place, Severity};
use gateway_proto::Cache;
use tracing::{error, info, warn};

use crate::admin::{self, Admin, AdminSources};
use crate::config::{Bind, FilesIdentity, Loaded, Origin};
use crate::engine::{self, PUBLISHERS, Running, SUBSCRIBERS};
use crate::panics::Panics;
use crate::reload::{Observe, SharedControlStatus};
use crate::security::NO_SECURITY;
use crate::snapshot::{AdminSettings, LogSettings, Snapshot};
use crate::watch::Follower;
use binds::report_binds;
pub use error::Error;
use handle::Following;
pub use handle::Handle;

/// A builder, which holds the configuration's origin and the options for loading it.
#[derive(Clone)]
pub struct Builder {
    origin: Origin,
    report: fn(&Diagnostics),
    observe: Observe,
    panics: Panics,
    release_memory: fn(),
}

impl Builder {
    fn new(origin: Origin) -> Self {
        Self {
            origin,
            report: log_diagnostics,
            observe: Arc::new(|_| ()),
            panics: Panics::default(),
            release_memory: || (),
        }
    }

    /// Overrides the key `reload.watch`. If `watch` is true, edits of the files take effect without
    /// a call of [`Handle::reload`].
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Self {
        self.origin.set_watch(watch);
        self
    }

    /// Sets the function that reports errors and warnings of edited files while the gateway runs.
    /// By default, each error and each warning is a `tracing` event.
    #[must_use]
    pub(crate) fn report_with(mut self, report: fn(&Diagnostics)) -> Self {
        self.report = report;
        self
    }

    /// Sets the function that is called at each step of a reload, on the thread that reloads.
    #[must_use]
    pub(crate) fn observe(mut self, observe: Observe) -> Self {
        self.observe = observe;
        self
    }

    /// Sets the counter of panics that /metrics shows.
    #[must_use]
    pub(crate) fn show_panics(mut self, panics: Panics) -> Self {
        self.panics = panics;
        self
    }

    /// Sets the function that returns free memory of the allocator to the system. Engine native
    /// calls the function after bursts of messages, on a separate thread.
    #[must_use]
    pub(crate) fn release_memory_with(mut self, release_memory: fn()) -> Self {
        self.release_memory = release_memory;
        self
    }

    /// Reads and checks the configuration and its .proto files.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Configuration`], which has every error of every file.
    pub fn load(self) -> Result<Gateway, Error> {
        let Self {
            origin,
            report,
            observe,
            panics,
            release_memory,
        } = self;
        let inputs = origin.read(&[]);
        let seen = inputs.seen().clone();
        let mut cache = Cache::default();
        let loaded = inputs.load_with(&mut cache)?;
        Ok(Gateway {
            origin,
            report,
            observe,
            panics,
            release_memory,
            seen,
            loaded,
            cache,
        })
    }
}

/// A gateway whose configuration is valid, ready to start.
pub struct Gateway {
    origin: Origin,
    report: fn(&Diagnostics),
    observe: Observe,
    panics: Panics,
    release_memory: fn(),
    /// The identity of the content from which `loaded` was built.
    seen: FilesIdentity,
    loaded: Loaded,
    /// The compiled files, for the first reload.
    cache: Cache,
}

impl Gateway {
    /// Loads the configuration at `path`, with the default options.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Configuration`], which has every error of every file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_path(path).load()
    }

    /// Returns a builder for the configuration at `path`, usually `routes.yaml`.
    pub fn from_path(path: impl AsRef<Path>) -> Builder {
        Builder::new(Origin::from(path.as_ref()))
    }

    /// Returns a builder for the configuration in `text`, which has the format of a routes.yaml.
    /// Its import paths are relative to `directory`. A reload reads the .proto files again, but not
    /// the text.
    pub fn from_text(text: &str, directory: impl AsRef<Path>) -> Builder {
        Builder::new(Origin::of_text(text, directory.as_ref()))
    }

    /// Returns the warnings about the configuration.
    pub fn warnings(&self) -> &Diagnostics {
        &self.loaded.warnings
    }

    /// Returns the log settings of the configuration, which the program that runs the gateway may
    /// apply.
    pub(crate) fn log(&self) -> LogSettings {
        self.loaded.snapshot.log
    }

    /// Returns a summary of the configuration, such as `2 routes, 1 pool, 1 frontend, 1 message`.
    pub fn summary(&self) -> String {
        self.loaded.summary()
    }

    /// Listens on every address, and serves peers on new threads.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Configuration`] if an address cannot be bound or the admin listener
    /// cannot be served, and with [`Error::Engine`] if the system refuses anything else. After an
    /// error nothing listens or runs any more.
    pub fn start(self) -> Result<Handle, Error> {
        let Self {
            origin,
            report,
            observe,
            panics,
            release_memory,
            seen,
            loaded,
            cache,
        } = self;
        let snapshot = Arc::new(loaded.snapshot);
        let (listener, running) = listen(&snapshot, loaded.admin, &loaded.binds, release_memory)?;
        log_addresses(&snapshot, &running);
        let reloader = running.reloader();
        let follower = Follower::new(origin, seen, Arc::clone(&snapshot), reloader, report)
            .with_cache(cache)
            .observed_by(observe);
        let admin = snapshot.admin.as_ref().zip(listener);
        let following = serve_admin(follower, &running, admin, panics)
            .map_err(Error::from)
            .and_then(|follower| Following::start(follower).map_err(Error::from));
        match following {
            Ok(following) => {
                info!(generation = 1, "ready");
                Ok(Handle::new(running, following))
            }
            Err(error) => {
                running.control().stop();
                let _ = running.wait();
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("origin", &self.origin)
            .field("loaded", &self.loaded)
            .finish_non_exhaustive()
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

/// Listens for HTTP and for peers, and starts to serve peers. Returns the HTTP listener, if the
/// configuration has one, and the running engine. On failure, the error names every address that
/// cannot be bound.
fn listen(
    snapshot: &Arc<Snapshot>,
    admin_place: Option<Place>,
    binds: &[Bind],
    release_memory: fn(),
) -> Result<(Option<TcpListener>, Running), Error> {
    let mut found = Diagnostics::new();
    let settings = snapshot.admin.as_ref();
    let listener = settings.map(|settings| admin::bind(settings, admin_place));
    let error = match listener.transpose() {
        Ok(listener) => match engine::start_with(Arc::clone(snapshot), release_memory) {
            Ok(running) => return Ok((listener, running)),
            Err(error) => Some(error),
        },
        Err(fault) => {
            found.push(*fault);
            engine::try_binds(snapshot).err()
        }
    };
    if let Some(error) = error
        && !report_binds(&error, binds, &mut found)
    {
        return Err(error.into());
    }
    found.sort();
    Err(found.into())
}

/// Logs the addresses that the gateway connects to, and the addresses that it listens on.
fn log_addresses(snapshot: &Snapshot, running: &Running) {
    for frontend in snapshot.frontends.values() {
        for endpoint in &frontend.endpoints.connect {
            let security = frontend.security.as_ref();
            let security = security.map_or(NO_SECURITY, |security| security.name());
            info!(endpoint, security, "frontend {} connects", frontend.name);
        }
    }
    for pool in snapshot.pools.values() {
        for endpoint in &pool.endpoints.connect {
            let security = pool.security.as_ref();
            let security = security.map_or(NO_SECURITY, |security| security.name());
            info!(endpoint, security, "pool {} connects", pool.name);
        }
    }
    for channel in snapshot.channels.values() {
        let sides = [
            (PUBLISHERS, &channel.publishers),
            (SUBSCRIBERS, &channel.subscribers),
        ];
        for (side, settings) in sides {
            for endpoint in &settings.endpoints.connect {
                let security = settings.security.as_ref();
                let security = security.map_or(NO_SECURITY, |security| security.name());
                info!(endpoint, security, "{side} {} connects", channel.name);
            }
        }
    }
    for at in running.listening() {
        info!(
            endpoint = at.endpoint,
            security = at.security,
            "{at} listens"
        );
    }
}

/// Serves HTTP on the listener, if there is one, and fails if the listener cannot be served. When
/// the configuration changes, the returned follower opens, moves or closes the listener.
fn serve_admin(
    follower: Follower,
    running: &Running,
    listener: Option<(&AdminSettings, TcpListener)>,
    panics: Panics,
) -> Result<Follower, Box<Diagnostic>> {
    let control_status = Arc::new(SharedControlStatus::default());
    let mut admin = Admin::new(AdminSources {
        observer: running.observer(),
        control_status: Arc::clone(&control_status),
        wake: follower.wake(),
        panics,
    });
    if let Some((settings, listener)) = listener {
        let prepared = admin.prepare_on(settings, listener)?;
        if let Some(at) = admin.commit(prepared) {
            info!(
                endpoint = at.endpoint,
                security = at.security,
                "{at} listens"
            );
        }
    }
    Ok(follower.with_admin(admin, control_status))
}
