//! The content of routes.yaml: its sections, with defaults filled in and names not yet looked up.
//!
//! The whole file is read even if parts of it are wrong, so that one run reports every error.

mod channels;
mod endpoints;
mod framing;
mod pairs;
mod routes;
mod security;
mod timeout;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::admin::admin;
use super::keys::KeyRole;
use super::limits::limits;
use super::log::log;
use super::section::{ExpectedMap, Section, Spanned, is, text};
use super::value::{
    BindEndpoint, COUNT_MAX, Count, DurationValue, Heartbeat, PerWorkerCount, Size, name_fault,
};
use super::yaml::Node;
use crate::snapshot::{
    AdminSettings, Balance, EngineKind, Frontend, IdentityMode, Limits, LogSettings, PerWorker,
    PoolSettings, ReloadSettings, Workers,
};
use channels::channel;
use endpoints::{address, endpoints};
use framing::{FrontendFrames, frontend_frames, worker_frames};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_proto::Compiler;
use gateway_schema::breaking::BreakingPolicy;
use pairs::pairs;
use routes::routes;
use security::security;
use timeout::timeout;

pub(super) use channels::{ChannelSource, SideSource};
pub(super) use routes::{RouteSource, TargetSource};
pub(super) use security::{
    CurveSource, PeersSource, PlainSource, SecurityKey, SecuritySource, ServerKey, ServerSource,
};

/// The maximum of `reload.settle`. A longer time would be hard to correct, because the edit that
/// shortens it is also applied only after the old time has passed.
const SETTLE_MAX: Duration = Duration::from_secs(60);

/// The sections with named entries. The sections `frontends` and `pools` may be absent if there is
/// a section `channels`.
const SECTIONS: [&str; 4] = ["frontends", "pools", "channels", "routes"];

/// The content of routes.yaml, with defaults filled in and names not yet looked up.
#[derive(Debug)]
pub(super) struct Source {
    /// The engine.
    pub engine: EngineKind,
    /// The `security` of the whole file, for frontends that have no `security` themselves.
    pub security: SecurityKey,
    /// The frontends.
    pub frontends: Vec<Named<FrontendSource>>,
    /// The pools.
    pub pools: Vec<Named<PoolSource>>,
    /// The channels.
    pub channels: Vec<Named<ChannelSource>>,
    /// The routes.
    pub routes: Vec<RouteSource>,
    /// The directories of .proto files, as written, or `None` for the default. A directory is
    /// `None` if its error was reported.
    pub import_paths: Option<Vec<Option<Spanned<PathBuf>>>>,
    /// The compiler of the .proto files.
    pub compiler: Compiler,
    /// The treatment of changes that break schemas in use, or `None` if the key `proto.breaking` is
    /// absent.
    pub breaking: Option<BreakingPolicy>,
    /// The section `limits`.
    pub limits: Limits,
    /// The value of `shutdown.grace`.
    pub grace: Duration,
    /// The section `reload`.
    pub reload: ReloadSettings,
    /// The section `admin`, and the place of its `bind`.
    pub admin: Option<Spanned<AdminSettings>>,
    /// The section `log`.
    pub log: LogSettings,
}

/// An entry of a section, and the places of its key and endpoints.
#[derive(Debug)]
pub(super) struct Named<T> {
    /// The place of the name.
    pub place: Place,
    /// The entry.
    pub entry: T,
    /// The addresses that the entry listens on, each with its place. The addresses of a channel are
    /// in `entry` instead.
    pub binds: Vec<Spanned<BindEndpoint>>,
}

/// A frontend, with its `type` and `security` as written.
#[derive(Debug)]
pub(super) struct FrontendSource {
    /// The frontend.
    pub frontend: Frontend,
    /// The value of `type` as written, or `None` if the key is absent. If the key is present, the
    /// messages of the frontend's clients have no type frame.
    pub kind: Option<Spanned<String>>,
    /// The `security` of the frontend itself.
    pub security: SecurityKey,
}

/// A pool's settings, with the values that are only needed to resolve its routes and `security`.
#[derive(Debug)]
pub(super) struct PoolSource {
    /// The settings.
    pub settings: PoolSettings,
    /// The timeout of routes that set no `timeout` themselves, or `None` for no deadline.
    pub timeout: Option<Duration>,
    /// The `security` of the pool itself.
    pub security: SecurityKey,
    /// The value of `identity`, if the file has the key.
    pub identity: Option<Spanned<IdentityMode>>,
}

impl Source {
    /// Returns the places of the secret keys that are written in routes.yaml itself.
    pub(super) fn exposed(&self) -> impl Iterator<Item = &Place> {
        self.securities()
            .filter_map(|security| security.curve.as_ref())
            .flat_map(|curve| &curve.exposed)
    }

    /// Returns every key file and directory of keys that routes.yaml names, as written.
    pub(super) fn key_files(&self) -> impl Iterator<Item = (KeyRole, &Path)> {
        self.securities().flat_map(SecuritySource::files)
    }

    /// Returns every file of users that routes.yaml names, as written.
    pub(super) fn users_files(&self) -> impl Iterator<Item = &Path> {
        self.securities().filter_map(SecuritySource::users_file)
    }

    fn securities(&self) -> impl Iterator<Item = &SecuritySource> {
        let frontends = self
            .frontends
            .iter()
            .map(|frontend| &frontend.entry.security);
        let pools = self.pools.iter().map(|pool| &pool.entry.security);
        let channels = self.channels.iter();
        let channels = channels.flat_map(|channel| {
            [
                &channel.entry.publishers.security,
                &channel.entry.subscribers.security,
            ]
        });
        let all = [&self.security]
            .into_iter()
            .chain(frontends)
            .chain(pools)
            .chain(channels);
        all.filter_map(SecurityKey::map)
    }
}

/// Reads the root of the file.
pub(super) fn read_file(root: &Node, found: &mut Diagnostics) -> Source {
    let mut top = Section::open(root, "the file", &[], found);
    let engine = engine(&mut top, found);
    let security = security(&mut top, "the file", engine, found);
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
    let channels = channels(&mut top, engine, found);
    let first = pools.first().map(|pool| pool.entry.settings.name.as_str());
    let first = match (first, channels.first()) {
        (Some(pool), _) => format!("pool: {pool}"),
        (None, Some(channel)) => format!("publish: {}", channel.entry.settings.name),
        (None, None) => "pool: people".to_owned(),
    };
    let routes = routes(&mut top, engine, &first, found);
    let (import_paths, compiler, breaking) = match top.node("proto") {
        Some(node) => proto(node, found),
        None => (None, Compiler::default(), None),
    };
    let limits = limits(top.node("limits"), engine, found);
    let grace = top.node("shutdown").and_then(|node| {
        let expected = ExpectedMap {
            key: "grace",
            is: &is::<DurationValue>,
            meant: None,
            least: "grace: 10s",
        };
        let mut section = Section::open_or(node, "shutdown", &[], expected, found);
        let grace = section.value::<DurationValue>("grace", found);
        section.close(found);
        grace
    });
    let reload = reload(top.node("reload"), found);
    let admin = admin(top.node("admin"), found);
    let log = log(top.node("log"), found);
    top.close(found);
    Source {
        engine,
        security,
        frontends,
        pools,
        channels,
        routes,
        import_paths,
        compiler,
        breaking,
        limits,
        grace: grace.map_or(Duration::from_secs(10), |grace| grace.value.0),
        reload,
        admin,
        log,
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
    if let Some(settle) = section.value::<DurationValue>("settle", found) {
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

/// Reads all entries of a section with named entries. Reports a section without entries.
fn entries<'a, T>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
    read: impl Fn(&str, &'a Node, &mut Diagnostics) -> (T, Vec<Spanned<BindEndpoint>>),
) -> Vec<Named<T>> {
    let mut all = Vec::new();
    // A section that is nested in this section by mistake is not an entry. The mistake is reported
    // when the nested section is read.
    let strays = SECTIONS.map(|key| top.misplaced(key).map(|(stray, _, _)| &stray.place));
    for (name, value) in pairs(top, key, what, found) {
        if strays.contains(&Some(&name.place)) {
            continue;
        }
        if let Some(fault) = name_fault(name.text()) {
            let wrong = format!("{} can't name a {what}", name.found());
            found.push(Diagnostic::error(wrong).at(name.place.clone()).label(fault));
        }
        let (entry, binds) = read(name.text(), value, found);
        let place = name.place.clone();
        all.push(Named {
            place,
            entry,
            binds,
        });
    }
    all
}

/// Returns the channels.
fn channels(
    top: &mut Section<'_>,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> Vec<Named<ChannelSource>> {
    if top.node("channels").is_none() && top.misplaced("channels").is_none() {
        return Vec::new();
    }
    entries(top, "channels", "channel", found, |name, node, found| {
        (channel(name, node, engine, found), Vec::new())
    })
}

fn frontend(
    name: &str,
    node: &Node,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> (FrontendSource, Vec<Spanned<BindEndpoint>>) {
    let what = format!("frontend {name}");
    let expected = address("bind: \"tcp://*:5559\"");
    let mut section = Section::open_or(node, what.as_str(), &[], expected, found);
    let (endpoints, binds) = endpoints(&mut section, &what, found);
    let FrontendFrames {
        kind,
        errors,
        framing,
    } = frontend_frames(&mut section, &what, engine, found);
    let security = security(&mut section, &what, engine, found);
    section.close(found);
    let frontend = Frontend {
        name: name.to_owned(),
        endpoints,
        errors,
        framing: Arc::new(framing),
        security: None,
    };
    let frontend = FrontendSource {
        frontend,
        kind,
        security,
    };
    (frontend, binds)
}

fn pool(
    name: &str,
    node: &Node,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> (PoolSource, Vec<Spanned<BindEndpoint>>) {
    let what = format!("pool {name}");
    let expected = address("bind: \"tcp://*:5560\"");
    let mut section = Section::open_or(node, what.as_str(), &[], expected, found);
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
    let per_worker = section.value::<PerWorkerCount>("per_worker", found);
    let queue = section.value::<Count<0, COUNT_MAX>>("queue", found);
    let queue_bytes = section.value::<Size>("queue_bytes", found);
    let timeout = timeout(&mut section, engine, found);
    let heartbeat = section.value::<Heartbeat>("heartbeat", found);
    let workers = workers.map_or(Workers::Auto, |spanned| spanned.value);
    let frames = worker_frames(&mut section, workers, engine, found);
    let security = security(&mut section, &what, engine, found);
    section.close(found);
    let settings = PoolSettings {
        name: name.to_owned(),
        endpoints,
        workers,
        identity: identity
            .as_ref()
            .map_or(IdentityMode::Token, |spanned| spanned.value),
        balance: balance.map_or(Balance::LeastBusy, |spanned| spanned.value),
        per_worker: per_worker.map_or(PerWorker::Auto, |spanned| spanned.value.0),
        queue: queue.map_or(10_000, |n| n.value.0 as usize),
        queue_bytes: queue_bytes.map_or(256 << 20, |size| size.value.0),
        heartbeat: heartbeat.map_or(Some(Duration::from_secs(1)), |spanned| spanned.value.0),
        frames,
        security: None,
    };
    let timeout = timeout.map_or(Some(Duration::from_secs(30)), |spanned| spanned.value.0);
    let pool = PoolSource {
        settings,
        timeout,
        security,
        identity,
    };
    (pool, binds)
}

type ImportPaths = Option<Vec<Option<Spanned<PathBuf>>>>;

fn proto(node: &Node, found: &mut Diagnostics) -> (ImportPaths, Compiler, Option<BreakingPolicy>) {
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
    let policies = [
        ("allow", BreakingPolicy::Allow),
        ("warn", BreakingPolicy::Warn),
        ("reject", BreakingPolicy::Reject),
    ];
    let breaking = section.word("breaking", &policies, found);
    section.close(found);
    (
        paths,
        compiler.map_or(Compiler::default(), |spanned| spanned.value),
        breaking.map(|spanned| spanned.value),
    )
}
