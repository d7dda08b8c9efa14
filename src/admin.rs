//! Seeing inside: an HTTP listener on a thread of its own, as routes.yaml's `admin` says.
//!
//! [`Admin`] opens, moves and closes it as the configuration changes: prepared before a reload takes hold,
//! committed after it. `serve` accepts connections within bounds, `answer` says what is at which path,
//! `guard` who may ask, `exposition` and `status` write what is seen, and `sampler` gets it from the data
//! thread.
//!
//! It must never make the data thread wait, nor wait for it without an end; and what an HTTP client does can
//! grow nothing beyond the bounds in `serve`.

mod answer;
mod exposition;
mod guard;
mod guarded;
mod negotiation;
mod places;
mod rejections;
mod sampler;
mod serve;
mod sights;
mod status;
#[cfg(test)]
mod tests;

use std::io;
use std::net::TcpListener;

use crate::engine::Listening;
use crate::snapshot::AdminSettings;
use gateway_diagnostic::{Diagnostic, Place};
use serve::{Opening, Resting, Serving};

pub use sights::Sights;

/// The listener, or that there is none.
#[derive(Debug)]
pub struct Admin {
    sights: Sights,
    serving: Option<Serving>,
}

/// A change of the listener that can't fail any more. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Prepared(Change);

#[derive(Debug)]
enum Change {
    None,
    Close,
    /// The new one, and the one that had to make room for it: open again, should this come to nothing.
    Open(Opening, Option<Resting>),
}

/// Begins to listen; a fault is told at `place`.
pub(crate) fn bind(
    settings: &AdminSettings,
    place: Option<Place>,
) -> Result<TcpListener, Box<Diagnostic>> {
    TcpListener::bind(settings.bind).map_err(|error| cant_listen(settings, place, &error))
}

fn cant_listen(
    settings: &AdminSettings,
    place: Option<Place>,
    error: &io::Error,
) -> Box<Diagnostic> {
    let fault = Diagnostic::error(format!("admin can't listen on {}: {error}", settings.bind));
    let fault = fault.help("give it an address of this machine that nobody listens on");
    Box::new(match place {
        Some(place) => fault.at(place).label("expected a free address"),
        None => fault,
    })
}

impl Admin {
    /// Serves nothing yet.
    pub fn new(sights: Sights) -> Self {
        Self {
            sights,
            serving: None,
        }
    }

    /// Makes everything for `wanted` that can fail. A fault is told at `place`, which is where its `bind`
    /// stands.
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
                let (listener, resting) = self.bind_beside(settings, place)?;
                Change::Open(self.opening(settings, listener)?, resting)
            }
        };
        Ok(Prepared(change))
    }

    /// Begins to listen. `127.0.0.1:9559` and `*:9559` can't both be listened on: where the listener that there
    /// is may be in the way, it rests.
    fn bind_beside(
        &self,
        settings: &AdminSettings,
        place: Option<Place>,
    ) -> Result<(TcpListener, Option<Resting>), Box<Diagnostic>> {
        let error = match TcpListener::bind(settings.bind) {
            Ok(listener) => return Ok((listener, None)),
            Err(error) => error,
        };
        let in_the_way = |it: &&Serving| {
            error.kind() == io::ErrorKind::AddrInUse && it.address.port() == settings.bind.port()
        };
        let serving = self.serving.as_ref().filter(in_the_way);
        match serving.and_then(Serving::rest) {
            Some(resting) => Ok((bind(settings, place)?, Some(resting))),
            None => Err(cant_listen(settings, place, &error)),
        }
    }

    /// The same, where the address is listened on already.
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
        Opening::new(settings.clone(), listener, self.sights.clone())
            .map_err(|error| Diagnostic::error(format!("admin can't be served: {error}")))
            .map_err(Box::new)
    }

    /// Carries the change out; gives the new address, if there is one.
    pub(crate) fn commit(&mut self, prepared: Prepared) -> Option<Listening> {
        match prepared.0 {
            Change::None => None,
            Change::Close => {
                self.serving = None;
                None
            }
            Change::Open(opening, resting) => {
                if let Some(resting) = resting {
                    resting.for_good();
                }
                self.serving = Some(opening.go());
                self.listening()
            }
        }
    }

    /// Ends the listener, and returns once its address is free.
    pub fn close(self) {
        if let Some(resting) = self.serving.as_ref().and_then(Serving::rest) {
            resting.for_good();
        }
    }

    /// The address, if there is one.
    pub fn listening(&self) -> Option<Listening> {
        self.serving.as_ref().map(|serving| Listening {
            role: "admin",
            name: String::new(),
            endpoint: format!("http://{}", serving.address),
        })
    }
}
