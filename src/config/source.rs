//! What routes.yaml says: its sections, with defaults filled in and names not yet looked up.
//!
//! Reads the whole file whatever is wrong with parts of it, so that one run reports every fault.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::section::{Section, Spanned, read};
use super::value::{
    BindEndpoint, ConnectEndpoint, Count, Heartbeat, Size, Span, Timeout, name_fault, pattern,
};
use super::yaml::{Kind, Node};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::reply::ErrorEncoding;
use crate::route::Pattern;
use crate::schema::compile::Compiler;
use crate::schema::{Encoding, Layout, UnknownFields};
use crate::snapshot::{
    Balance, Endpoints, EngineKind, Frontend, IdentityMode, Limits, PoolSettings, Workers,
};

/// Deepest nesting that `limits.depth` may allow: what the walks' recursion can take on the data
/// thread's stack.
const DEPTH_MAX: u64 = 1_000;

/// Counts beyond this are surely not meant, and would bound nothing.
const COUNT_MAX: u64 = 1_000_000_000;

const LATER_TOP: &[&str] = &["channels", "reload", "admin"];
const LATER_FRONTEND: &[&str] = &["security"];
const LATER_POOL: &[&str] = &["security"];
const LATER_PROTO: &[&str] = &["breaking"];
const LATER_ROUTE: &[&str] = &[
    "publish",
    "mirror",
    "idempotent",
    "retries",
    "hash",
    "allow",
    "rate",
];
const LATER_SCHEMA: &[&str] = &["json", "all_violations"];

/// A file as written.
#[derive(Debug)]
pub struct Source {
    /// What carries frames.
    pub engine: EngineKind,
    /// Where clients connect.
    pub frontends: Vec<Named<Frontend>>,
    /// Who answers.
    pub pools: Vec<Named<PoolSource>>,
    /// Which type goes where.
    pub routes: Vec<RouteSource>,
    /// Directories of .proto files, as written; none when the default stands.
    pub import_paths: Option<Vec<Spanned<PathBuf>>>,
    /// What reads them.
    pub compiler: Compiler,
    /// Bounds.
    pub limits: Limits,
    /// `shutdown.grace`.
    pub grace: Duration,
}

/// An entry of a section, and the places of its key and endpoints.
#[derive(Debug)]
pub struct Named<T> {
    /// Where its name stands.
    pub place: Place,
    /// What it is.
    pub it: T,
    /// Where each address that it binds stands.
    pub binds: Vec<Spanned<BindEndpoint>>,
}

/// A pool's settings, and what its routes inherit.
#[derive(Debug)]
pub struct PoolSource {
    /// The settings.
    pub settings: PoolSettings,
    /// The timeout of routes that have none of their own.
    pub timeout: Option<Duration>,
}

/// A route with the names that it refers by.
#[derive(Debug)]
pub struct RouteSource {
    /// Its key.
    pub name: String,
    /// Where its key stands.
    pub place: Place,
    /// What it matches.
    pub pattern: Pattern,
    /// Any of these must fit; none for opaque payloads.
    pub schema: Vec<SchemaSource>,
    /// Likewise for answers.
    pub reply: Vec<SchemaSource>,
    /// Who answers.
    pub pool: Spanned<String>,
    /// Instead of the pool's.
    pub timeout: Option<Spanned<Timeout>>,
    /// Where its messages may come from; none for anywhere.
    pub frontends: Option<Vec<Spanned<String>>>,
}

/// A schema by its message's name.
#[derive(Debug)]
pub struct SchemaSource {
    /// How payloads are encoded.
    pub encoding: Encoding,
    /// The message.
    pub message: Spanned<String>,
    /// What becomes of fields that it doesn't have.
    pub unknown_fields: UnknownFields,
    /// How MessagePack writes it.
    pub layout: Layout,
    /// Paths of fields that must be there.
    pub require: Vec<Spanned<String>>,
}

/// Reads the file's root.
pub fn read_file(root: &Node, found: &mut Diagnostics) -> Option<Source> {
    let mut top = Section::open(root, "routes.yaml", LATER_TOP, found)?;
    let engine = engine(&mut top, found);
    let frontends = entries(&mut top, "frontends", "frontend", found, frontend);
    let pools = entries(&mut top, "pools", "pool", found, pool);
    let routes = routes(&mut top, found);
    let (import_paths, compiler) = match top.node("proto") {
        Some(node) => proto(node, found),
        None => (None, Compiler::default()),
    };
    let limits = limits(top.node("limits"), found);
    let grace = top.node("shutdown").and_then(|node| {
        let mut section = Section::open(node, "shutdown", &[], found)?;
        let grace = section.value::<Span>("grace", found);
        section.close(found);
        grace
    });
    top.close(found);
    Some(Source {
        engine,
        frontends,
        pools,
        routes,
        import_paths,
        compiler,
        limits,
        grace: grace.map_or(Duration::from_secs(10), |grace| grace.value.0),
    })
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum EngineName {
    Native,
    Libzmq,
}

fn engine(top: &mut Section<'_>, found: &mut Diagnostics) -> EngineKind {
    let engine = top.value::<EngineName>("engine", found);
    if let Some(engine) = engine.filter(|engine| engine.value == EngineName::Native) {
        let fault = Diagnostic::error("engine \"native\" is not supported yet").at(engine.place);
        found.push(fault.label("expected libzmq"));
    }
    EngineKind::Libzmq
}

/// Every entry of a section of named things, which must not be empty.
fn entries<'a, T>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
    read: impl Fn(&str, &'a Node, &mut Diagnostics) -> Option<(T, Vec<Spanned<BindEndpoint>>)>,
) -> Vec<Named<T>> {
    let pairs = pairs(top, key, found);
    let mut all = Vec::new();
    for (name, value) in pairs {
        if let Some(fault) = name_fault(name.text()) {
            let wrong = format!("{:?} can't name a {what}", name.text());
            found.push(Diagnostic::error(wrong).at(name.place.clone()).label(fault));
        }
        if let Some((it, binds)) = read(name.text(), value, found) {
            let place = name.place.clone();
            all.push(Named { place, it, binds });
        }
    }
    all
}

/// The pairs of a section that must be there and must not be empty.
fn pairs<'a>(
    top: &mut Section<'a>,
    key: &'static str,
    found: &mut Diagnostics,
) -> &'a [(Node, Node)] {
    let Some(node) = top.node(key) else {
        let fault = Diagnostic::error(format!("routes.yaml has no {key:?}"));
        found.push(
            fault
                .at(top.place().clone())
                .label(format!("expected {key}:")),
        );
        return &[];
    };
    match &node.kind {
        Kind::Map(pairs) if !pairs.is_empty() => pairs,
        _ => {
            let fault = Diagnostic::error(format!("{key:?} can't be {}", node.found()));
            found.push(
                fault
                    .at(node.place.clone())
                    .label("expected at least one entry, by name"),
            );
            &[]
        }
    }
}

fn endpoints(
    section: &mut Section<'_>,
    what: &str,
    found: &mut Diagnostics,
) -> (Endpoints, Vec<Spanned<BindEndpoint>>) {
    let errors = found.errors();
    let bind = section.list::<BindEndpoint>("bind", found);
    let connect = section.list::<ConnectEndpoint>("connect", found);
    if bind.is_empty() && connect.is_empty() && found.errors() == errors {
        let fault = Diagnostic::error(format!("{what} has no address"));
        found.push(
            fault
                .at(section.place().clone())
                .label("expected bind or connect"),
        );
    }
    let endpoints = Endpoints {
        bind: bind.iter().map(|e| e.value.0.clone()).collect(),
        connect: connect.into_iter().map(|e| e.value.0).collect(),
    };
    (endpoints, bind)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorsName {
    Protobuf,
    Msgpack,
    Json,
}

fn frontend(
    name: &str,
    node: &Node,
    found: &mut Diagnostics,
) -> Option<(Frontend, Vec<Spanned<BindEndpoint>>)> {
    let what = format!("frontend {name}");
    let mut section = Section::open(node, what.as_str(), LATER_FRONTEND, found)?;
    let (endpoints, binds) = endpoints(&mut section, &what, found);
    let errors = section.value::<ErrorsName>("errors", found);
    section.close(found);
    let errors = match errors.map(|errors| errors.value) {
        Some(ErrorsName::Protobuf) => ErrorEncoding::Protobuf,
        Some(ErrorsName::Json) => ErrorEncoding::Json,
        Some(ErrorsName::Msgpack) | None => ErrorEncoding::Msgpack,
    };
    let name = name.to_owned();
    Some((
        Frontend {
            name,
            endpoints,
            errors,
        },
        binds,
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WorkersName {
    Auto,
    Dealer,
    Rep,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdentityName {
    Token,
    Client,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum BalanceName {
    LeastBusy,
    RoundRobin,
}

fn pool(
    name: &str,
    node: &Node,
    found: &mut Diagnostics,
) -> Option<(PoolSource, Vec<Spanned<BindEndpoint>>)> {
    let what = format!("pool {name}");
    let mut section = Section::open(node, what.as_str(), LATER_POOL, found)?;
    let (endpoints, binds) = endpoints(&mut section, &what, found);
    let workers = section.value::<WorkersName>("workers", found);
    let identity = section.value::<IdentityName>("identity", found);
    let balance = section.value::<BalanceName>("balance", found);
    let per_worker = section.value::<Count<1, 1_000_000>>("per_worker", found);
    let queue = section.value::<Count<0, COUNT_MAX>>("queue", found);
    let queue_bytes = section.value::<Size>("queue_bytes", found);
    let timeout = section.value::<Timeout>("timeout", found);
    let heartbeat = section.value::<Heartbeat>("heartbeat", found);
    section.close(found);
    let settings = PoolSettings {
        name: name.to_owned(),
        endpoints,
        workers: match workers.map(|workers| workers.value) {
            Some(WorkersName::Dealer) => Workers::Dealer,
            Some(WorkersName::Rep) => Workers::Rep,
            Some(WorkersName::Auto) | None => Workers::Auto,
        },
        identity: match identity.map(|identity| identity.value) {
            Some(IdentityName::Client) => IdentityMode::Client,
            Some(IdentityName::Token) | None => IdentityMode::Token,
        },
        balance: match balance.map(|balance| balance.value) {
            Some(BalanceName::RoundRobin) => Balance::RoundRobin,
            Some(BalanceName::LeastBusy) | None => Balance::LeastBusy,
        },
        per_worker: per_worker.map_or(10, |n| n.value.0 as u32),
        queue: queue.map_or(10_000, |n| n.value.0 as usize),
        queue_bytes: queue_bytes.map_or(256 << 20, |size| size.value.0),
        heartbeat: heartbeat.map_or(Some(Duration::from_secs(1)), |it| it.value.0),
    };
    if let Some(Spanned { place, .. }) = timeout.as_ref().filter(|it| it.value.0.is_none()) {
        found.push(no_timeout(place));
    }
    let timeout = timeout.map_or(Some(Duration::from_secs(30)), |it| it.value.0);
    Some((PoolSource { settings, timeout }, binds))
}

/// The engine that exists can't see a worker's loss, so without a deadline a request could be lost.
fn no_timeout(place: &Place) -> Diagnostic {
    Diagnostic::error("timeout \"none\" is not supported by engine libzmq")
        .at(place.clone())
        .label("expected a duration such as 30s")
        .help(
            "libzmq doesn't tell which worker went away; without a deadline, a request that it held \
             would never be answered",
        )
}

fn routes(top: &mut Section<'_>, found: &mut Diagnostics) -> Vec<RouteSource> {
    let mut routes: Vec<RouteSource> = Vec::new();
    for (key, node) in pairs(top, "routes", found) {
        let pattern = match pattern(key.text()) {
            Ok(pattern) => Some(pattern),
            Err(fault) => {
                let wrong = format!("{:?} can't be a route's type", key.text());
                found.push(Diagnostic::error(wrong).at(key.place.clone()).label(fault));
                None
            }
        };
        let route = route(key, node, found);
        let Some((pattern, route)) = pattern.zip(route) else {
            continue;
        };
        let route = route(pattern);
        match routes.iter().find(|other| other.pattern == route.pattern) {
            // Two spellings: hex:41 and A.
            Some(other) => found.push(
                Diagnostic::error(format!(
                    "{:?} is the same type as {:?}",
                    route.name, other.name
                ))
                .at(route.place)
                .note(format!("{:?} stands at {}", other.name, other.place)),
            ),
            None => routes.push(route),
        }
    }
    routes
}

/// Reads one route; what comes back still wants its pattern.
fn route(
    key: &Node,
    node: &Node,
    found: &mut Diagnostics,
) -> Option<impl FnOnce(Pattern) -> RouteSource + use<>> {
    let name = key.text().to_owned();
    let mut section = Section::open(node, format!("route {name}"), LATER_ROUTE, found)?;
    let schema = schemas(section.node("schema"), "schema", found);
    let reply = schemas(section.node("reply"), "reply", found);
    let pool = match section.node("pool") {
        Some(node) if matches!(node.kind, Kind::Map(_)) => {
            let fault = Diagnostic::error("a map of weighted pools is not supported yet");
            found.push(
                fault
                    .at(node.place.clone())
                    .label("expected one pool's name"),
            );
            None
        }
        Some(node) => read::<String>(node, "pool", found),
        None => {
            let fault = Diagnostic::error(format!("route {name} has no pool"));
            found.push(
                fault
                    .at(key.place.clone())
                    .label("expected pool: NAME below"),
            );
            None
        }
    };
    let timeout = section.value::<Timeout>("timeout", found);
    if let Some(none) = timeout.as_ref().filter(|it| it.value.0.is_none()) {
        found.push(no_timeout(&none.place));
    }
    let errors = found.errors();
    let frontends = section.node("frontends").map(|node| match &node.kind {
        Kind::List(items) => items
            .iter()
            .filter_map(|item| read(item, "frontends", found))
            .collect(),
        _ => Vec::from_iter(read(node, "frontends", found)),
    });
    if frontends.as_ref().is_some_and(Vec::is_empty) && found.errors() == errors {
        let fault = Diagnostic::error(format!("route {name} takes messages from no frontend"));
        found.push(
            fault
                .at(key.place.clone())
                .label("expected frontends: [NAME, …], or no such key"),
        );
    }
    section.close(found);
    let place = key.place.clone();
    let pool = pool?;
    Some(move |pattern| RouteSource {
        name,
        place,
        pattern,
        schema,
        reply,
        pool,
        timeout,
        frontends,
    })
}

/// One schema or a list of them.
fn schemas(node: Option<&Node>, key: &str, found: &mut Diagnostics) -> Vec<SchemaSource> {
    let Some(node) = node else {
        return Vec::new();
    };
    match &node.kind {
        Kind::List(items) if items.is_empty() => {
            let fault = Diagnostic::error(format!("{key:?} can't be an empty list"));
            found.push(
                fault
                    .at(node.place.clone())
                    .label("leave the key out for opaque payloads"),
            );
            Vec::new()
        }
        Kind::List(items) => items
            .iter()
            .filter_map(|item| schema(item, key, found))
            .collect(),
        _ => schema(node, key, found).into_iter().collect(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnknownFieldsName {
    Allow,
    Reject,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayoutName {
    Map,
    Array,
    Any,
}

fn schema(node: &Node, key: &str, found: &mut Diagnostics) -> Option<SchemaSource> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(SchemaSource {
            encoding: Encoding::Protobuf,
            message: read(node, key, found)?,
            unknown_fields: UnknownFields::Allow,
            layout: Layout::Any,
            require: Vec::new(),
        });
    }
    let mut section = Section::open(node, key, LATER_SCHEMA, found)?;
    let errors = found.errors();
    let protobuf = section.value::<String>("protobuf", found);
    let msgpack = section.value::<String>("msgpack", found);
    let message = match (protobuf, msgpack) {
        (Some(message), None) => Some((Encoding::Protobuf, message)),
        (None, Some(message)) => Some((Encoding::Msgpack, message)),
        (Some(_), Some(second)) => {
            let fault = Diagnostic::error("a schema has one encoding, not two").at(second.place);
            found.push(
                fault.help("write a list for any of several: [{ protobuf: … }, { msgpack: … }]"),
            );
            None
        }
        (None, None) => {
            if found.errors() == errors && section.node("json").is_none() {
                let fault = Diagnostic::error("the schema names no message");
                let fault = fault.at(section.place().clone());
                found.push(fault.label("expected protobuf: pkg.Message or msgpack: pkg.Message"));
            }
            None
        }
    };
    let unknown = section.value::<UnknownFieldsName>("unknown_fields", found);
    let layout = section.value::<LayoutName>("layout", found);
    let require = section.list::<String>("require", found);
    section.close(found);
    let (encoding, message) = message?;
    if let Some(layout) = layout.as_ref().filter(|_| encoding == Encoding::Protobuf) {
        let fault = Diagnostic::error("\"layout\" has a meaning for msgpack only");
        found.push(fault.at(layout.place.clone()).label("remove it"));
    }
    Some(SchemaSource {
        encoding,
        message,
        unknown_fields: match unknown.map(|unknown| unknown.value) {
            Some(UnknownFieldsName::Reject) => UnknownFields::Reject,
            Some(UnknownFieldsName::Allow) | None => UnknownFields::Allow,
        },
        layout: match layout.map(|layout| layout.value) {
            Some(LayoutName::Map) => Layout::Map,
            Some(LayoutName::Array) => Layout::Array,
            Some(LayoutName::Any) | None => Layout::Any,
        },
        require,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CompilerName {
    Builtin,
    Protoc,
}

fn proto(node: &Node, found: &mut Diagnostics) -> (Option<Vec<Spanned<PathBuf>>>, Compiler) {
    let Some(mut section) = Section::open(node, "proto", LATER_PROTO, found) else {
        return (None, Compiler::default());
    };
    let paths = section.list::<PathBuf>("import_paths", found);
    let compiler = section.value::<CompilerName>("compiler", found);
    section.close(found);
    let compiler = match compiler.map(|compiler| compiler.value) {
        Some(CompilerName::Protoc) => Compiler::Protoc,
        Some(CompilerName::Builtin) | None => Compiler::Builtin,
    };
    ((!paths.is_empty()).then_some(paths), compiler)
}

fn limits(node: Option<&Node>, found: &mut Diagnostics) -> Limits {
    let mut limits = Limits {
        message: 16 << 20,
        frames: 16,
        depth: 100,
        clients: 100_000,
        client_requests: 10_000,
        client_bytes: 64 << 20,
    };
    let Some(mut section) = node.and_then(|node| Section::open(node, "limits", &[], found)) else {
        return limits;
    };
    if let Some(size) = section.value::<Size>("message", found) {
        if size.value.0 == 0 || size.value.0 > 1 << 31 {
            let fault = Diagnostic::error("\"message\" can't be that").at(size.place);
            found.push(fault.label("expected a size from 1B to 2GiB"));
        }
        limits.message = size.value.0;
    }
    // Type and payload, with a REQ's two frames of envelope.
    if let Some(n) = section.value::<Count<4, 65_536>>("frames", found) {
        limits.frames = n.value.0 as usize;
    }
    if let Some(n) = section.value::<Count<1, DEPTH_MAX>>("depth", found) {
        limits.depth = n.value.0 as u32;
    }
    if let Some(n) = section.value::<Count<1, COUNT_MAX>>("clients", found) {
        limits.clients = n.value.0 as usize;
    }
    if let Some(n) = section.value::<Count<1, COUNT_MAX>>("client_requests", found) {
        limits.client_requests = n.value.0 as u32;
    }
    if let Some(size) = section.value::<Size>("client_bytes", found) {
        limits.client_bytes = size.value.0;
    }
    section.close(found);
    limits
}
