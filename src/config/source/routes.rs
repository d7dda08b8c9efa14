//! What `routes` says: which type goes where, and what must hold of it.

use std::collections::HashMap;

use super::super::schema::{SchemaSource, encoding_fault, schemas};
use super::super::section::{Lone, Section, Spanned, text};
use super::super::value::{Timeout, pattern, pattern_doubt};
use super::super::yaml::{Kind, Node, quoted};
use super::pairs::pairs;
use super::timeout::timeout;
use crate::route::Pattern;
use crate::snapshot::EngineKind;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

const LATER_ROUTE: &[&str] = &[
    "publish",
    "mirror",
    "idempotent",
    "retries",
    "hash",
    "allow",
    "rate",
];

/// A route with the names that it refers by.
#[derive(Debug)]
pub struct RouteSource {
    /// Its key.
    pub name: String,
    /// Where its key stands.
    pub place: Place,
    /// What it matches; none where that was reported as a fault.
    pub pattern: Option<Pattern>,
    /// Any of these must fit; none for opaque payloads.
    pub schema: Vec<SchemaSource>,
    /// Likewise for answers.
    pub reply: Vec<SchemaSource>,
    /// Who answers; none where that was reported as a fault.
    pub pool: Option<Spanned<String>>,
    /// Instead of the pool's.
    pub timeout: Option<Spanned<Timeout>>,
    /// Where its messages may come from; none for anywhere.
    pub frontends: Option<Vec<Spanned<String>>>,
}

/// Reads the routes. `pool` is the pool that an example names.
pub(super) fn routes(
    top: &mut Section<'_>,
    engine: EngineKind,
    pool: &str,
    found: &mut Diagnostics,
) -> Vec<RouteSource> {
    let least = format!("pool: {pool}");
    let mut first: HashMap<Pattern, (String, Place)> = HashMap::new();
    let mut routes = Vec::new();
    for (key, node) in pairs(top, "routes", "route", found) {
        let route = route(key, node, engine, &least, found);
        let before = route
            .pattern
            .as_ref()
            .and_then(|pattern| first.get(pattern));
        match (before, &route.pattern) {
            // Two spellings: hex:41 and A. One spelling twice was reported with the YAML.
            (Some((name, place)), _) if *name != route.name => {
                let (one, two) = (quoted(&route.name), quoted(name));
                let fault = Diagnostic::error(format!("{one} is the same type as {two}"));
                found.push(
                    fault
                        .at(route.place.clone())
                        .label("expected a type of its own")
                        .note_at(format!("{two} stands at"), place.clone())
                        .help("remove one of them"),
                );
            }
            (None, Some(pattern)) => {
                first.insert(pattern.clone(), (route.name.clone(), route.place.clone()));
            }
            _ => {}
        }
        routes.push(route);
    }
    routes
}

fn route(
    key: &Node,
    node: &Node,
    engine: EngineKind,
    least: &str,
    found: &mut Diagnostics,
) -> RouteSource {
    let name = key.text().to_owned();
    let pattern = pattern(&name).map_err(|fault| {
        let wrong = format!("{} can't be a route's type", quoted(&name));
        found.push(Diagnostic::error(wrong).at(key.place.clone()).label(fault));
    });
    if let Some(fault) = pattern_doubt(&name) {
        found.push(fault.at(key.place.clone()));
    }
    let lone = Lone {
        key: "pool",
        is: &|node| !node.text().is_empty() && least.ends_with(&format!(" {}", node.text())),
        meant: None,
        least,
    };
    let mut section = Section::open_or(node, format!("route {name}"), LATER_ROUTE, lone, found);
    let schema = schemas(&mut section, "schema", found);
    encoding_beside_schema(&mut section, &schema, found);
    let reply = schemas(&mut section, "reply", found);
    let pool = match section.node("pool") {
        Some(node) if matches!(node.kind, Kind::Map(_)) => {
            let fault = Diagnostic::error("a map of weighted pools is not supported yet");
            let fault = fault.at(node.place.clone());
            found.push(
                fault
                    .label("expected one pool's name")
                    .help("name one of them"),
            );
            None
        }
        Some(node) => text(node, "pool", found),
        None => {
            // A route that publishes has no pool, and was told so.
            if section.is_sound() && !section.has("publish") {
                let fault = Diagnostic::error(format!("route {name} has no pool"));
                let fault = fault.at(key.place.clone());
                section.lacks(&["pool"], fault.label("expected pool: NAME below"));
            }
            None
        }
    };
    let timeout = timeout(&mut section, engine, found);
    let instead = "leave the key out for all frontends";
    let frontends = section.some("frontends", instead, found, text);
    section.close(found);
    RouteSource {
        name,
        place: key.place.clone(),
        pattern: pattern.ok(),
        schema,
        reply,
        pool,
        timeout,
        frontends,
    }
}

/// Reports the key `encoding` of a route, which is part of what `schema` says.
fn encoding_beside_schema(
    section: &mut Section<'_>,
    schema: &[SchemaSource],
    found: &mut Diagnostics,
) {
    let Some((key, encoding)) = section.report("encoding") else {
        return;
    };
    let message = schema.first().map(|schema| schema.message.value.as_str());
    let what = "a route has no key \"encoding\"";
    found.push(encoding_fault(what, key, encoding, message));
}
