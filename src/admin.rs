//! The admin listener: HTTP on a thread of its own, as configured by `admin` in routes.yaml.
//!
//! [`Admin`] opens, moves and closes the listener as the configuration changes: a change is
//! prepared before a reload takes effect, and committed after it. `serve` accepts connections
//! within bounds, `answer` maps paths to answers, `guard` decides which requests are answered,
//! `exposition` and `status` write the pages, and `sampler` gets their data from the data thread.
//!
//! This module must never make the data thread wait, nor wait for it without a time limit. No HTTP
//! client can make any memory grow beyond the bounds in `serve`.

mod answer;
mod connections;
mod exposition;
mod guard;
mod guarded;
mod negotiation;
mod pages;
mod process;
mod rejections;
mod sampler;
mod serve;
mod sources;
mod status;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;

use crate::engine::BoundAddress;
use crate::snapshot::AdminSettings;
use gateway_diagnostic::{Diagnostic, Place};
use serve::{Opening, Serving, Suspended, listen};

pub use sources::AdminSources;

/// The admin listener, open or closed.
#[derive(Debug)]
pub struct Admin {
    sources: AdminSources,
    serving: Option<Serving>,
}

/// A prepared change of the listener, which can no longer fail. Dropping it undoes the preparation.
#[derive(Debug)]
pub(crate) struct Prepared(Change);

#[derive(Debug)]
enum Change {
    None,
    Close,
    /// The new listener, and the old listener if it had to make room. The old listener opens again
    /// if this change is dropped.
    Open(Opening, Option<Suspended>),
}

/// Binds the listener. An error is reported at `place`.
pub(crate) fn bind(
    settings: &AdminSettings,
    place: Option<Place>,
) -> Result<TcpListener, Box<Diagnostic>> {
    listen(settings.bind).map_err(|error| cant_listen(settings, place, &error))
}

fn cant_listen(
    settings: &AdminSettings,
    place: Option<Place>,
    error: &io::Error,
) -> Box<Diagnostic> {
    let fault = Diagnostic::error(format!("admin can't listen on {}: {error}", settings.bind));
    let fault = fault.help("choose an address of this machine on which no program listens");
    Box::new(match place {
        Some(place) => fault.at(place).label("expected a free address"),
        None => fault,
    })
}

impl Admin {
    /// Returns a closed listener.
    pub fn new(sources: AdminSources) -> Self {
        Self {
            sources,
            serving: None,
        }
    }

    /// Prepares the change to `wanted`, with every step that can fail. `place` is the place of
    /// `admin.bind` in routes.yaml. An address that cannot be bound is reported there.
    pub(crate) fn prepare(
        &self,
        wanted: Option<&AdminSettings>,
        place: Option<Place>,
    ) -> Result<Prepared, Box<Diagnostic>> {
        let serving = self.serving.as_ref().map(|serving| &serving.settings);
        let change = match wanted {
            _ if wanted == serving => Change::None,
            None => Change::Close,
            Some(settings) => {
                let (listener, suspended) = self.bind_while_open(settings, place)?;
                Change::Open(self.opening(settings, listener)?, suspended)
            }
        };
        Ok(Prepared(change))
    }

    /// Binds the new listener while the old one is open. If the old listener prevents this, as a
    /// listener on `*:9559` does for `127.0.0.1:9559`, closes the old listener temporarily and
    /// returns it, too.
    fn bind_while_open(
        &self,
        settings: &AdminSettings,
        place: Option<Place>,
    ) -> Result<(TcpListener, Option<Suspended>), Box<Diagnostic>> {
        let error = match listen(settings.bind) {
            Ok(listener) => return Ok((listener, None)),
            Err(error) => error,
        };
        let in_the_way = |old: &&Serving| {
            error.kind() == io::ErrorKind::AddrInUse && old.address.port() == settings.bind.port()
        };
        let serving = self.serving.as_ref().filter(in_the_way);
        match serving.and_then(Serving::suspend) {
            Some(suspended) => Ok((bind(settings, place)?, Some(suspended))),
            None => Err(cant_listen(settings, place, &error)),
        }
    }

    /// Prepares to serve on a listener that is already bound.
    pub(crate) fn prepare_on(
        &self,
        settings: &AdminSettings,
        listener: TcpListener,
    ) -> Result<Prepared, Box<Diagnostic>> {
        Ok(Prepared(Change::Open(
            self.opening(settings, listener)?,
            None,
        )))
    }

    fn opening(
        &self,
        settings: &AdminSettings,
        listener: TcpListener,
    ) -> Result<Opening, Box<Diagnostic>> {
        Opening::new(settings.clone(), listener, self.sources.clone())
            .map_err(|error| Diagnostic::error(format!("admin can't be served: {error}")))
            .map_err(Box::new)
    }

    /// Carries out the change. Returns the address of the listener if the change opened one.
    pub(crate) fn commit(&mut self, prepared: Prepared) -> Option<BoundAddress> {
        match prepared.0 {
            Change::None => None,
            Change::Close => {
                self.serving = None;
                None
            }
            Change::Open(opening, suspended) => {
                if let Some(suspended) = suspended {
                    suspended.keep_closed();
                }
                self.serving = Some(opening.serve());
                self.listening()
            }
        }
    }

    /// Closes the listener. Returns once its address is free, or once the admin thread has failed
    /// to respond in time.
    pub fn close(self) {
        if let Some(suspended) = self.serving.as_ref().and_then(Serving::suspend) {
            suspended.keep_closed();
        }
    }

    /// Returns the address if the listener is open.
    pub fn listening(&self) -> Option<BoundAddress> {
        self.serving.as_ref().map(|serving| BoundAddress {
            role: "admin",
            name: String::new(),
            endpoint: format!("http://{}", serving.address),
            security: None,
        })
    }
}
