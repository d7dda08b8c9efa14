//! What routes.yaml says: its sections, with defaults filled in and names not yet looked up.
//!
//! Reads the whole file whatever is wrong with parts of it, so that one run reports every fault.

mod framing;
mod pairs;
mod routes;
mod timeout;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::admin::admin;
use super::limits::limits;
use super::section::{Lone, Section, Spanned, is, read, text};
use super::value::{
    BindEndpoint, COUNT_MAX, ConnectEndpoint, Count, Heartbeat, Holding, Size, Span, name_fault,
};
use super::yaml::Node;
use crate::snapshot::{
    AdminSettings, Balance, Endpoints, EngineKind, Frontend, IdentityMode, Limits, PerWorker,
    PoolSettings, ReloadSettings, Workers,
};
use framing::{FrontendFrames, frontend_frames, worker_frames};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_proto::Compiler;
use gateway_schema::breaking::Breaking;
use pairs::pairs;
use routes::routes;
use timeout::timeout;

pub use routes::RouteSource;

/// Longest that files may have to be at rest: nobody waits longer for an edit, the one that would make
/// it shorter included.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// Returns what a frontend or pool that is one value, or nothing, is meant to say.
fn address(least: &'static str) -> Lone<'static> {
    Lone {
        key: "bind",
        is: &is::<BindEndpoint>,
        meant: None,
        least,
    }
}

const LATER_TOP: &[&str] = &["channels"];
const LATER_FRONTEND: &[&str] = &["security"];
const LATER_POOL: &[&str] = &["security"];
/// Sections that must be there.
const SECTIONS: [&str; 3] = ["frontends", "pools", "routes"];

/// A file as written.
#[derive(Debug)]
pub struct Source {
    /// What carries frames.
    pub engine: EngineKind,
    /// Where clients connect.
    pub frontends: Vec<Named<FrontendSource>>,
    /// Who answers; none where that was reported as a fault.
    pub pools: Vec<Named<PoolSource>>,
    /// Which type goes where.
    pub routes: Vec<RouteSource>,
    /// Directories of .proto files, as written; none when the default stands. Of each, none where
    /// that was reported as a fault.
    pub import_paths: Option<Vec<Option<Spanned<PathBuf>>>>,
    /// What reads them.
    pub compiler: Compiler,
    /// What a change may do to schemas in use; none where the file does not say.
    pub breaking: Option<Breaking>,
    /// Bounds.
    pub limits: Limits,
    /// `shutdown.grace`.
    pub grace: Duration,
    /// `reload`.
    pub reload: ReloadSettings,
    /// `admin`, and where its `bind` stands.
    pub admin: Option<Spanned<AdminSettings>>,
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

/// A frontend, and where the type of its messages stands.
#[derive(Debug)]
pub struct FrontendSource {
    /// What it is.
    pub frontend: Frontend,
    /// The type of its clients' messages as written, if they are plain.
    pub kind: Option<Spanned<String>>,
}

/// A pool's settings, and what its routes inherit.
#[derive(Debug)]
pub struct PoolSource {
    /// The settings.
    pub settings: PoolSettings,
    /// The timeout of routes that have none of their own.
    pub timeout: Option<Duration>,
}

/// Reads the file's root.
pub fn read_file(root: &Node, found: &mut Diagnostics) -> Source {
    let mut top = Section::open(root, "the file", LATER_TOP, found);
    let engine = engine(&mut top, found);
    let frontends = entries(
        &mut top,
        "frontends",
        "frontend",
        found,
        |name, node, found| frontend(name, node, engine, found),
    );
    let pools = entries(&mut top, "pools", "pool", found, |name, node, found| {
        pool(name, node, engine, found)
    });
    let first = pools.first().map(|pool| pool.it.settings.name.as_str());
    let routes = routes(&mut top, engine, first.unwrap_or("people"), found);
    let (import_paths, compiler, breaking) = match top.node("proto") {
        Some(node) => proto(node, found),
        None => (None, Compiler::default(), None),
    };
    let limits = limits(top.node("limits"), found);
    let grace = top.node("shutdown").and_then(|node| {
        let lone = Lone {
            key: "grace",
            is: &is::<Span>,
            meant: None,
            least: "grace: 10s",
        };
        let mut section = Section::open_or(node, "shutdown", &[], lone, found);
        let grace = section.value::<Span>("grace", found);
        section.close(found);
        grace
    });
    let reload = reload(top.node("reload"), found);
    let admin = admin(top.node("admin"), found);
    top.close(found);
    Source {
        engine,
        frontends,
        pools,
        routes,
        import_paths,
        compiler,
        breaking,
        limits,
        grace: grace.map_or(Duration::from_secs(10), |grace| grace.value.0),
        reload,
        admin,
    }
}

fn reload(node: Option<&Node>, found: &mut Diagnostics) -> ReloadSettings {
    let mut reload = ReloadSettings {
        watch: true,
        settle: Duration::from_millis(200),
    };
    let Some(node) = node else {
        return reload;
    };
    let mut section = Section::open(node, "reload", &[], found);
    let switch = [("true", true), ("false", false)];
    if let Some(watch) = section.word("watch", &switch, found) {
        reload.watch = watch.value;
    }
    if let Some(settle) = section.value::<Span>("settle", found) {
        if settle.value.0 > SETTLE_MAX {
            let fault = Diagnostic::error("\"settle\" can't be that long").at(settle.place);
            found.push(fault.label("expected a duration from 1ms to 1m"));
        }
        reload.settle = settle.value.0;
    }
    section.close(found);
    reload
}

fn engine(top: &mut Section<'_>, found: &mut Diagnostics) -> EngineKind {
    let engines = [
        ("native", EngineKind::Native),
        ("libzmq", EngineKind::Libzmq),
    ];
    let Some(engine) = top.word("engine", &engines, found) else {
        return EngineKind::Native;
    };
    if engine.value == EngineKind::Libzmq && !cfg!(feature = "libzmq") {
        found.push(no_libzmq(engine.place));
    }
    engine.value
}

/// Returns the error for `engine: libzmq` in a build without the feature `libzmq`.
fn no_libzmq(place: Place) -> Diagnostic {
    Diagnostic::error("this build has no libzmq")
        .at(place)
        .label("expected \"native\"")
        .help("use `engine: native`, or build with the feature `libzmq`")
}

/// Every entry of a section of named things, which must not be empty.
fn entries<'a, T>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
    read: impl Fn(&str, &'a Node, &mut Diagnostics) -> (T, Vec<Spanned<BindEndpoint>>),
) -> Vec<Named<T>> {
    let mut all = Vec::new();
    // Of the sections that stand in this one by mistake, each is told and read as what it is.
    let strays = SECTIONS.map(|key| top.misplaced(key).map(|(stray, _, _)| &stray.place));
    for (name, value) in pairs(top, key, what, found) {
        if strays.contains(&Some(&name.place)) {
            continue;
        }
        if let Some(fault) = name_fault(name.text()) {
            let wrong = format!("{} can't name a {what}", name.found());
            found.push(Diagnostic::error(wrong).at(name.place.clone()).label(fault));
        }
        let (it, binds) = read(name.text(), value, found);
        let place = name.place.clone();
        all.push(Named { place, it, binds });
    }
    all
}

fn endpoints(
    section: &mut Section<'_>,
    what: &str,
    found: &mut Diagnostics,
) -> (Endpoints, Vec<Spanned<BindEndpoint>>) {
    let bind = section.some("bind", "expected an address", found, read::<BindEndpoint>);
    let connect = section.some(
        "connect",
        "expected an address",
        found,
        read::<ConnectEndpoint>,
    );
    if bind.is_none() && connect.is_none() && section.is_sound() {
        let fault = Diagnostic::error(format!("{what} has no address"))
            .at(section.place().clone())
            .label("expected bind or connect")
            .help("bind: \"tcp://*:PORT\" listens, connect: \"tcp://HOST:PORT\" calls");
        section.lacks(&["bind", "connect"], fault);
    }
    let (bind, connect) = (bind.unwrap_or_default(), connect.unwrap_or_default());
    let endpoints = Endpoints {
        bind: bind.iter().map(|e| e.value.0.clone()).collect(),
        connect: connect.into_iter().map(|e| e.value.0).collect(),
    };
    (endpoints, bind)
}

fn frontend(
    name: &str,
    node: &Node,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> (FrontendSource, Vec<Spanned<BindEndpoint>>) {
    let what = format!("frontend {name}");
    let lone = address("bind: \"tcp://*:5559\"");
    let mut section = Section::open_or(node, what.as_str(), LATER_FRONTEND, lone, found);
    let (endpoints, binds) = endpoints(&mut section, &what, found);
    let FrontendFrames {
        kind,
        errors,
        framing,
    } = frontend_frames(&mut section, &what, engine, found);
    section.close(found);
    let frontend = Frontend {
        name: name.to_owned(),
        endpoints,
        errors,
        framing: Arc::new(framing),
    };
    (FrontendSource { frontend, kind }, binds)
}

fn pool(
    name: &str,
    node: &Node,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> (PoolSource, Vec<Spanned<BindEndpoint>>) {
    let what = format!("pool {name}");
    let lone = address("bind: \"tcp://*:5560\"");
    let mut section = Section::open_or(node, what.as_str(), LATER_POOL, lone, found);
    let (endpoints, binds) = endpoints(&mut section, &what, found);
    let kinds = [
        ("auto", Workers::Auto),
        ("dealer", Workers::Dealer),
        ("rep", Workers::Rep),
    ];
    let workers = section.word("workers", &kinds, found);
    let identities = [
        ("token", IdentityMode::Token),
        ("client", IdentityMode::Client),
    ];
    let identity = section.word("identity", &identities, found);
    let balances = [
        ("least_busy", Balance::LeastBusy),
        ("round_robin", Balance::RoundRobin),
    ];
    let balance = section.word("balance", &balances, found);
    let per_worker = section.value::<Holding>("per_worker", found);
    let queue = section.value::<Count<0, COUNT_MAX>>("queue", found);
    let queue_bytes = section.value::<Size>("queue_bytes", found);
    let timeout = timeout(&mut section, engine, found);
    let heartbeat = section.value::<Heartbeat>("heartbeat", found);
    let workers = workers.map_or(Workers::Auto, |it| it.value);
    let frames = worker_frames(&mut section, workers, engine, found);
    section.close(found);
    let settings = PoolSettings {
        name: name.to_owned(),
        endpoints,
        workers,
        identity: identity.map_or(IdentityMode::Token, |it| it.value),
        balance: balance.map_or(Balance::LeastBusy, |it| it.value),
        per_worker: per_worker.map_or(PerWorker::Auto, |it| it.value.0),
        queue: queue.map_or(10_000, |n| n.value.0 as usize),
        queue_bytes: queue_bytes.map_or(256 << 20, |size| size.value.0),
        heartbeat: heartbeat.map_or(Some(Duration::from_secs(1)), |it| it.value.0),
        frames,
    };
    let timeout = timeout.map_or(Some(Duration::from_secs(30)), |it| it.value.0);
    (PoolSource { settings, timeout }, binds)
}

type ImportPaths = Option<Vec<Option<Spanned<PathBuf>>>>;

fn proto(node: &Node, found: &mut Diagnostics) -> (ImportPaths, Compiler, Option<Breaking>) {
    let mut section = Section::open(node, "proto", &[], found);
    let instead = "leave the key out for [schemas]";
    let paths = section.some("import_paths", instead, found, |node, key, found| {
        Some(text(node, key, found).map(|path| Spanned {
            value: PathBuf::from(path.value),
            place: path.place,
        }))
    });
    let compilers = [("builtin", Compiler::Builtin), ("protoc", Compiler::Protoc)];
    let compiler = section.word("compiler", &compilers, found);
    let answers = [
        ("allow", Breaking::Allow),
        ("warn", Breaking::Warn),
        ("reject", Breaking::Reject),
    ];
    let breaking = section.word("breaking", &answers, found);
    section.close(found);
    (
        paths,
        compiler.map_or(Compiler::default(), |it| it.value),
        breaking.map(|it| it.value),
    )
}
