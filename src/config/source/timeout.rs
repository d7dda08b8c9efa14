//! The `timeout` of a pool or a route.

use super::super::section::{Section, Spanned};
use super::super::value::Timeout;
use crate::snapshot::EngineKind;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// Reads the `timeout` of a pool or a route.
pub(super) fn timeout(
    section: &mut Section<'_>,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> Option<Spanned<Timeout>> {
    let timeout = section.value::<Timeout>("timeout", found)?;
    if timeout.value.0.is_none() && engine == EngineKind::Libzmq {
        found.push(no_timeout(&timeout.place));
    }
    Some(timeout)
}

/// Returns the error of `timeout: none` with libzmq. That engine does not report the loss of a
/// worker, so a request without a deadline might never be answered.
fn no_timeout(place: &Place) -> Diagnostic {
    Diagnostic::error("timeout \"none\" is not supported by engine libzmq")
        .at(place.clone())
        .label("expected a duration such as 30s")
        .help(
            "libzmq doesn't report which worker disconnected; without a deadline, the requests of that \
            worker would never be answered",
        )
}
