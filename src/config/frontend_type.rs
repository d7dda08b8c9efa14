//! Checks the key `type` of frontends. Each value must match a route that is open to the frontend,
//! which means that the route accepts messages from this frontend.

use std::sync::Arc;

use super::near::with_names;
use super::quoted::quoted;
use super::section::Spanned;
use super::source::{Named, RouteSource, Source};
use crate::route::RouteTable;
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Reports every frontend whose `type` matches no route, or matches a route that is closed to the
/// frontend.
pub(super) fn check(source: &Source, found: &mut Diagnostics) {
    // A route whose pattern has an error might match the type, so nothing is reported.
    if source.routes.iter().any(|route| route.pattern.is_none()) {
        return;
    }
    let patterns = source.routes.iter().enumerate();
    let table = RouteTable::new(
        patterns.filter_map(|(n, route)| Some((route.pattern.clone()?, Arc::new(n)))),
    );
    for Named { entry, .. } in &source.frontends {
        let (Some(written), Some(kind)) = (&entry.kind, &entry.frontend.framing.kind) else {
            continue;
        };
        let frontend = &entry.frontend.name;
        match table.get(kind) {
            Some(route) => {
                let fault = closed(&source.routes[**route], written, frontend);
                fault.into_iter().for_each(|fault| found.push(fault));
            }
            None if source.routes.is_empty() => {}
            None => found.push(no_route(source, written)),
        }
    }
}

/// Returns the error of a type whose route is closed to `frontend`, or `None` if the route is open
/// to `frontend`.
fn closed(route: &RouteSource, written: &Spanned<String>, frontend: &str) -> Option<Diagnostic> {
    let allowed = route.frontends.as_ref()?;
    if allowed.iter().any(|name| name.value == frontend) {
        return None;
    }
    let wrong = format!(
        "route {} accepts nothing from frontend {frontend}",
        route.name
    );
    let fault = Diagnostic::error(wrong)
        .at(written.place.clone())
        .label("every message of this frontend would be rejected");
    let fault = match allowed.first() {
        Some(first) => fault.note_at("the frontends of the route are at", first.place.clone()),
        None => fault,
    };
    Some(fault.help(format!("add {frontend} to the frontends of the route")))
}

/// Returns the error of a type without a route.
fn no_route(source: &Source, written: &Spanned<String>) -> Diagnostic {
    let wrong = format!("no route matches the type {}", quoted(&written.value));
    let fault = Diagnostic::error(wrong).at(written.place.clone());
    let known: Vec<_> = source
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    let fault = with_names(fault, &written.value, &known);
    if fault.help.is_some() {
        return fault;
    }
    let target = match (source.pools.first(), source.channels.first()) {
        (Some(pool), _) => format!("pool: {}", pool.entry.settings.name),
        (None, Some(channel)) => format!("publish: {}", channel.entry.settings.name),
        (None, None) => "pool: NAME".to_owned(),
    };
    fault.help(format!("add a route: {}: {{ {target} }}", written.value))
}
