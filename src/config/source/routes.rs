//! The section `routes`: each type, with its schemas and its pool or channel.

use std::collections::HashMap;

use super::super::quoted::quoted;
use super::super::schema::{SchemaSource, encoding_fault, schemas};
use super::super::section::{ExpectedMap, Section, Spanned, text};
use super::super::value::{Count, Frequency, Timeout, pattern, pattern_doubt};
use super::super::yaml::{Node, NodeKind};
use super::pairs::pairs;
use super::timeout::timeout;
use crate::route::TypePattern;
use crate::security::{ANONYMOUS, principal_fault};
use crate::snapshot::{Allowed, EngineKind, Rate};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};

/// The keys of a route that belong to later releases, and are rejected by this release.
const LATER_ROUTE_KEYS: &[&str] = &["mirror", "idempotent", "retries", "hash"];

/// A route as written. The names of its messages, of its pool or channel, and of its frontends have
/// not been looked up.
#[derive(Debug)]
pub(crate) struct RouteSource {
    /// The key, as written.
    pub name: String,
    /// The place of the key.
    pub place: Place,
    /// The pattern, or `None` if its error was reported.
    pub pattern: Option<TypePattern>,
    /// The schemas of requests. A payload must match at least one of them. Empty for opaque
    /// payloads.
    pub schema: Vec<SchemaSource>,
    /// The schemas of answers. A payload must match at least one of them. Empty for opaque
    /// payloads.
    pub reply: Vec<SchemaSource>,
    /// The pool or the channel, or `None` if its error was reported.
    pub target: Option<TargetSource>,
    /// The timeout, or `None` if the timeout of the pool applies.
    pub timeout: Option<Spanned<Timeout>>,
    /// The frontends that may use the route, or `None` for all.
    pub frontends: Option<Vec<Spanned<String>>>,
    /// The principals that may use the route, or `None` for all.
    pub allow: Option<Vec<Spanned<Allowed>>>,
    /// The rate at which each principal may use the route, or `None` for no limit.
    pub rate: Option<Rate>,
}

/// The destination of a route's messages, by name.
#[derive(Debug)]
pub(crate) enum TargetSource {
    /// The pool.
    Pool(Spanned<String>),
    /// The channel, and the value of `ack`.
    Channel(Spanned<String>, bool),
}

/// Reads the routes. `least` is the minimum content of a route, such as `pool: people`, which
/// diagnostics show as an example.
pub(super) fn routes(
    top: &mut Section<'_>,
    engine: EngineKind,
    least: &str,
    found: &mut Diagnostics,
) -> Vec<RouteSource> {
    let mut first: HashMap<TypePattern, (String, Place)> = HashMap::new();
    let mut routes = Vec::new();
    for (key, node) in pairs(top, "routes", "route", found) {
        let route = route(key, node, engine, least, found);
        let before = route
            .pattern
            .as_ref()
            .and_then(|pattern| first.get(pattern));
        match (before, &route.pattern) {
            // These are two spellings of one type, such as hex:41 and A. The same spelling twice is
            // a duplicate key, which was reported when the YAML was parsed.
            (Some((name, place)), _) if *name != route.name => {
                let (one, two) = (quoted(&route.name), quoted(name));
                let fault = Diagnostic::error(format!("{one} is the same type as {two}"));
                found.push(
                    fault
                        .at(route.place.clone())
                        .label("expected a different type")
                        .note_at(format!("{two} is at"), place.clone())
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
    let expected = ExpectedMap {
        key: if least.starts_with("pool") {
            "pool"
        } else {
            "publish"
        },
        is: &|node| !node.text().is_empty() && least.ends_with(&format!(" {}", node.text())),
        meant: None,
        least,
    };
    let mut section = Section::open_or(
        node,
        format!("route {name}"),
        LATER_ROUTE_KEYS,
        expected,
        found,
    );
    let schema = schemas(&mut section, "schema", found);
    encoding_beside_schema(&mut section, &schema, found);
    let reply = schemas(&mut section, "reply", found);
    let target = target(&mut section, &name, key, found);
    let timeout = timeout(&mut section, engine, found);
    let instead = "leave the key out for all frontends";
    let frontends = section.some("frontends", instead, found, text);
    let allow = allow(&mut section, engine, found);
    let rate = rate(&mut section, &name, engine, found);
    section.close(found);
    RouteSource {
        name,
        place: key.place.clone(),
        pattern: pattern.ok(),
        schema,
        reply,
        target,
        timeout,
        frontends,
        allow,
        rate,
    }
}

/// Reads `pool`, or `publish` and `ack`. Reports a route that has neither `pool` nor `publish`.
/// Returns `None` if an error in the target was reported.
fn target(
    section: &mut Section<'_>,
    name: &str,
    key: &Node,
    found: &mut Diagnostics,
) -> Option<TargetSource> {
    let target = match section.node("pool") {
        _ if section.has("publish") => publish(section, found),
        Some(node) if matches!(node.kind, NodeKind::Map(_)) => {
            let fault = Diagnostic::error("a map of weighted pools is not supported yet");
            let fault = fault.at(node.place.clone());
            found.push(
                fault
                    .label("expected one pool's name")
                    .help("name one of them"),
            );
            None
        }
        Some(node) => text(node, "pool", found).map(TargetSource::Pool),
        None => {
            if section.is_sound() {
                let fault = Diagnostic::error(format!("route {name} has no pool"));
                let fault = fault.at(key.place.clone());
                let label = "expected pool: NAME or publish: CHANNEL below";
                section.lacks(&["pool", "publish"], fault.label(label));
            }
            None
        }
    };
    if !section.has("publish") {
        // This records `publish` and `ack` as known keys, and reports an `ack`, which has no effect
        // without `publish`.
        section.node("publish");
        acknowledges(section, found);
    }
    target
}

/// Reads `publish` and `ack`, and reports keys that only a route to a pool can have. Returns `None`
/// if the value of `publish` is not a name.
fn publish(section: &mut Section<'_>, found: &mut Diagnostics) -> Option<TargetSource> {
    let node = section.node("publish")?;
    for key in ["pool", "reply", "timeout"] {
        if let Some(place) = section.key_place(key) {
            let fault = Diagnostic::error(format!("{key:?} can't be used with \"publish\""));
            let fault = fault.at(place.clone()).label("remove it");
            found.push(fault.help(match key {
                "pool" => "a route leads to a pool, whose workers answer, or to a channel",
                _ => "a published message has no answer",
            }));
        }
    }
    let ack = acknowledges(section, found);
    let channel = text(node, "publish", found)?;
    Some(TargetSource::Channel(channel, ack))
}

/// Reads `ack`, and returns its value, or true if the key is absent. Reports an `ack` without
/// `publish`.
fn acknowledges(section: &mut Section<'_>, found: &mut Diagnostics) -> bool {
    let ack = section.word("ack", &[("true", true), ("false", false)], found);
    if let Some(ack) = &ack
        && !section.has("publish")
    {
        let fault = Diagnostic::error("\"ack\" has no effect without \"publish\"");
        let fault = fault.at(ack.place.clone()).label("remove it");
        found.push(fault.help("a worker answers the requests of a route with a pool"));
    }
    ack.is_none_or(|ack| ack.value)
}

/// The maximum of `burst`, the number of requests that a principal may send at once after a pause.
/// The maximum fits into 32 bits.
const BURST_MAX: u64 = 1_000_000_000;

/// Reports a key that engine libzmq cannot honour, because libzmq does not identify clients.
fn native_only(
    section: &mut Section<'_>,
    key: &'static str,
    engine: EngineKind,
    found: &mut Diagnostics,
) {
    if let (Some(node), EngineKind::Libzmq) = (section.node(key), engine) {
        let fault = Diagnostic::error(format!("{key:?} is not supported by engine libzmq"));
        let fault = fault.at(node.place.clone()).label("remove it");
        found.push(fault.help("use engine native: libzmq does not report who a client is"));
    }
}

/// Reads `rate`, which is a frequency, or a map of frequency and burst. Returns `None` if the key
/// is absent or an error in its value was reported.
fn rate(
    section: &mut Section<'_>,
    route: &str,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> Option<Rate> {
    native_only(section, "rate", engine, found);
    let node = section.node("rate")?;
    if !matches!(node.kind, NodeKind::Map(_)) {
        let rate = section.value::<Frequency>("rate", found)?.value;
        return Some(Rate {
            interval: rate.interval,
            burst: rate.count,
        });
    }
    let mut map = Section::open(node, format!("rate of route {route}"), &[], found);
    let rate = map.value::<Frequency>("rate", found);
    let burst = map.value::<Count<1, BURST_MAX>>("burst", found);
    if !map.has("rate") {
        let fault = Diagnostic::error("\"rate\" does not say how often");
        let fault = fault.at(node.place.clone());
        map.lacks(
            &["rate"],
            fault.label("expected { rate: 100/s, burst: 500 }"),
        );
    }
    map.close(found);
    let rate = rate?.value;
    Some(Rate {
        interval: rate.interval,
        burst: burst.map_or(rate.count, |burst| burst.value.0 as u32),
    })
}

/// Reads `allow`, a list of principals and of prefixes of their names. A prefix ends in `*`.
/// Returns `None` if the key is absent.
fn allow(
    section: &mut Section<'_>,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> Option<Vec<Spanned<Allowed>>> {
    native_only(section, "allow", engine, found);
    let instead = "leave the key out for everybody";
    section.some("allow", instead, found, |node, key, found| {
        let name = text(node, key, found)?;
        let (literal, allowed) = match name.value.strip_suffix('*') {
            Some(start) => (start, Allowed::Prefix(start.into())),
            None => (&*name.value, Allowed::Exact(name.value.as_str().into())),
        };
        // Two names that `principal_fault` rejects are valid here: the empty prefix, and the
        // principal of peers without a key or a password.
        let fault = principal_fault(literal);
        let is_prefix = matches!(allowed, Allowed::Prefix(_));
        match fault.filter(|_| literal != ANONYMOUS && !(is_prefix && literal.is_empty())) {
            None => Some(Spanned {
                value: allowed,
                place: name.place,
            }),
            Some(fault) => {
                let wrong = format!("{} can't be a principal", quoted(&name.value));
                found.push(Diagnostic::error(wrong).at(name.place).label(fault));
                None
            }
        }
    })
}

/// Reports the key `encoding` of a route. The encoding belongs in the `schema` of the route.
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
