//! The step from the written configuration to a [`Snapshot`]: names are looked up, and schemas are
//! compiled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::binds;
use super::channels::{doubtful_channels, secured_channels};
use super::frontend_type;
use super::loaded::Loaded;
use super::near::with_names;
use super::protos::{ProtoTexts, Protos};
use super::quoted::quoted;
use super::schema::SchemaSource;
use super::section::Spanned;
use super::security::Secured;
use super::source::{FrontendSource, Named, PoolSource, RouteSource, Source, TargetSource};
use super::value::name_fault;
use crate::frame;
use crate::route::{RouteTable, TypePattern};
use crate::security::Security;
use crate::snapshot::{
    Access, Allowed, AnyOf, Frontend, FrontendId, Names, PoolSettings, Rate, Route, Snapshot,
    Target,
};
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};
use gateway_proto::Cache;
use gateway_schema::Schema;

/// The names that a new snapshot takes from the running snapshot, and the generation of the new
/// snapshot.
pub(super) struct Succession {
    pub(super) names: Names,
    pub(super) generation: u64,
}

/// Looks up every name and compiles the schemas. Continues after an error in order to find further
/// errors. Returns `None` if an error prevents a snapshot.
pub(super) fn resolve(
    file: &Arc<SourceFile>,
    source: Source,
    protos: Option<ProtoTexts>,
    secured: Secured,
    succession: Succession,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Option<Loaded> {
    let Succession {
        mut names,
        generation,
    } = succession;
    for frontend in &source.frontends {
        names.frontend(&frontend.entry.frontend.name);
    }
    for pool in &source.pools {
        names.pool(&pool.entry.settings.name);
    }
    binds::clashes(&source, found);
    frontend_type::check(&source, found);
    unused_pools(&source, found);
    doubtful_channels(&source, found);
    let protos = protos.and_then(|ProtoTexts(texts)| {
        Protos::compile(file, &source, texts.as_deref(), cache, found)
    });
    let routes = resolve_routes(&source, protos.as_ref(), &mut names, found)?;
    let protos = protos.filter(Protos::is_whole)?;
    let count = routes.len();
    let schemas = routes.iter().flat_map(|(_, route)| {
        let schemas = route.schema.iter().chain(&route.reply);
        schemas.flat_map(AnyOf::schemas)
    });
    let definitions = protos.definitions(schemas.map(Schema::message_name));
    let binds = binds::all(&source);
    let frontends = secured_frontends(source.frontends, secured.frontends);
    let frontends = frontends.map(|frontend| (names.frontend(&frontend.name), frontend));
    let frontends = frontends.collect();
    let pools = secured_pools(source.pools, secured.pools);
    let pools = pools.map(|pool| (names.pool(&pool.name), Arc::new(pool)));
    let pools = pools.collect();
    let channels = secured_channels(source.channels, secured.channels);
    let channels = channels.map(|channel| (names.channel(&channel.name), Arc::new(channel)));
    let channels = channels.collect();
    let snapshot = Snapshot {
        generation,
        engine: source.engine,
        frontends,
        pools,
        channels,
        routes: RouteTable::new(routes),
        limits: source.limits,
        grace: source.grace,
        reload: source.reload,
        admin: source.admin.as_ref().map(|admin| admin.value.clone()),
        log: source.log,
        protos: protos.fingerprints(),
        definitions,
        names,
    };
    Some(Loaded {
        snapshot,
        warnings: Diagnostics::new(),
        messages: protos.message_count(),
        routes: count,
        has_variables: false,
        admin: source.admin.map(|admin| admin.place),
        binds,
    })
}

/// Returns the frontends with their security. `secured` contains the security of each frontend, in
/// the order of `frontends`.
fn secured_frontends(
    frontends: Vec<Named<FrontendSource>>,
    secured: Vec<Option<Arc<Security>>>,
) -> impl Iterator<Item = Frontend> {
    let both = frontends.into_iter().zip(secured);
    both.map(|(frontend, security)| Frontend {
        security,
        ..frontend.entry.frontend
    })
}

/// Returns the pools with their security. `secured` contains the security of each pool, in the
/// order of `pools`.
fn secured_pools(
    pools: Vec<Named<PoolSource>>,
    secured: Vec<Option<Arc<Security>>>,
) -> impl Iterator<Item = PoolSettings> {
    let both = pools.into_iter().zip(secured);
    both.map(|(pool, security)| PoolSettings {
        security,
        ..pool.entry.settings
    })
}

/// Warns about pools that no route uses, unless the target of a route is unknown.
fn unused_pools(source: &Source, found: &mut Diagnostics) {
    let targets: Vec<_> = source
        .routes
        .iter()
        .map(|route| route.target.as_ref())
        .collect();
    let names = targets.iter().flatten().filter_map(|target| match target {
        TargetSource::Pool(pool) => Some(pool.value.as_str()),
        TargetSource::Channel(..) => None,
    });
    let named: HashSet<&str> = names.collect();
    let pools = source.pools.iter();
    let known: HashSet<&str> = pools
        .map(|pool| pool.entry.settings.name.as_str())
        .collect();
    let are_known = named.iter().all(|name| known.contains(name));
    if targets.is_empty() || targets.iter().any(Option::is_none) || !are_known {
        return;
    }
    for pool in &source.pools {
        let name = &pool.entry.settings.name;
        if !named.contains(name.as_str()) && name_fault(name).is_none() {
            let fault = Diagnostic::warning(format!("no route uses pool {name}"));
            found.push(
                fault
                    .at(pool.place.clone())
                    .help("remove it, or name it in a route"),
            );
        }
    }
}

/// Resolves every route, even if an earlier route has an error. Returns `None` if a route cannot be
/// resolved.
fn resolve_routes(
    source: &Source,
    protos: Option<&Protos>,
    names: &mut Names,
    found: &mut Diagnostics,
) -> Option<Vec<(TypePattern, Arc<Route>)>> {
    let pools = source.pools.iter();
    let frontends = source.frontends.iter();
    let known = Known {
        pools: Index::new("pool", pools.map(|pool| &*pool.entry.settings.name), found),
        channels: Index::new(
            "channel",
            source
                .channels
                .iter()
                .map(|channel| &*channel.entry.settings.name),
            found,
        ),
        frontends: Index::new(
            "frontend",
            frontends.map(|frontend| &*frontend.entry.frontend.name),
            found,
        ),
    };
    let mut routes = Vec::new();
    for route in &source.routes {
        let resolved = resolve_route(route, source, &known, protos, names, found);
        routes.push(route.pattern.clone().zip(resolved.map(Arc::new)));
    }
    routes.into_iter().collect()
}

fn resolve_route(
    route: &RouteSource,
    source: &Source,
    known: &Known<'_>,
    protos: Option<&Protos>,
    registry: &mut Names,
    found: &mut Diagnostics,
) -> Option<Route> {
    let target = route.target.as_ref();
    let target = target.and_then(|target| known.target(target, source, registry, found));
    let frontends = route.frontends.as_ref().map(|names| {
        let ids = names
            .iter()
            .filter_map(|name| known.frontends.look_up(name, found));
        ids.map(|index| registry.frontend(&source.frontends[index].entry.frontend.name))
            .collect::<Vec<_>>()
    });
    let schema = any_of(&route.schema, protos, found);
    let reply = any_of(&route.reply, protos, found);
    let (target, inherited) = target?;
    Some(Route {
        id: registry.route(&route.name),
        name: route.name.clone(),
        kind: route.pattern.as_ref().and_then(only_type),
        schema: schema?,
        reply: reply?,
        target,
        timeout: route
            .timeout
            .as_ref()
            .map_or(inherited, |timeout| timeout.value.0),
        access: access(frontends, route.allow.as_deref(), route.rate),
    })
}

/// Returns the limits on the use of a route, or `None` if every client may use the route at any
/// rate.
fn access(
    frontends: Option<Vec<FrontendId>>,
    allow: Option<&[Spanned<Allowed>]>,
    rate: Option<Rate>,
) -> Option<Box<Access>> {
    let allow = allow.map(|allow| allow.iter().map(|entry| entry.value.clone()).collect());
    if frontends.is_none() && allow.is_none() && rate.is_none() {
        return None;
    }
    Some(Box::new(Access {
        frontends,
        allow,
        rate,
    }))
}

/// Returns the name of the type that an exact pattern matches, or `None` for a prefix.
fn only_type(pattern: &TypePattern) -> Option<Box<str>> {
    match pattern {
        TypePattern::Exact(kind) => Some(frame::type_name(kind).into()),
        TypePattern::Prefix(_) => None,
    }
}

/// The names that routes refer to.
struct Known<'a> {
    pools: Index<'a>,
    channels: Index<'a>,
    frontends: Index<'a>,
}

impl Known<'_> {
    /// Returns the target of a route, and the timeout that the route inherits from its pool.
    /// Returns `None` if the pool or channel does not exist.
    fn target(
        &self,
        target: &TargetSource,
        source: &Source,
        names: &mut Names,
        found: &mut Diagnostics,
    ) -> Option<(Target, Option<Duration>)> {
        match target {
            TargetSource::Pool(name) => {
                let pool = &source.pools[self.pools.look_up(name, found)?].entry;
                Some((Target::Pool(names.pool(&pool.settings.name)), pool.timeout))
            }
            TargetSource::Channel(name, ack) => {
                let channel = &source.channels[self.channels.look_up(name, found)?].entry;
                let channel = names.channel(&channel.settings.name);
                Some((Target::Channel { channel, ack: *ack }, None))
            }
        }
    }
}

/// The names of the pools, of the channels or of the frontends, with their positions. The lookup is
/// by a hash map, because there may be many thousands of names.
struct Index<'a> {
    kind: &'static str,
    names: Vec<&'a str>,
    positions: HashMap<&'a str, usize>,
    /// True if there are no names and the file has errors. The errors may be the reason why there
    /// are no names, so a missing name is not reported.
    is_excused: bool,
}

impl<'a> Index<'a> {
    fn new(kind: &'static str, names: impl Iterator<Item = &'a str>, found: &Diagnostics) -> Self {
        let names: Vec<_> = names.collect();
        let mut positions = HashMap::with_capacity(names.len());
        for (position, name) in names.iter().enumerate() {
            positions.entry(*name).or_insert(position);
        }
        Self {
            kind,
            is_excused: names.is_empty() && found.has_errors(),
            names,
            positions,
        }
    }

    /// Returns the position of a name. A missing name is reported, unless there are no names
    /// because of another error.
    fn look_up(&self, name: &Spanned<String>, found: &mut Diagnostics) -> Option<usize> {
        let position = self.positions.get(name.value.as_str()).copied();
        if position.is_none() && !self.is_excused {
            let kind = self.kind;
            let fault = Diagnostic::error(format!("there is no {kind} {}", quoted(&name.value)));
            let fault = fault.at(name.place.clone());
            found.push(match self.names.is_empty() {
                true => fault.label(format!("the file has no {kind}s")),
                false => with_names(fault, &name.value, &self.names),
            });
        }
        position
    }
}

/// Returns the resolved schemas of the requests or of the replies of a route. The outer `None`
/// means an error, and the inner `None` means that there are no schemas.
#[allow(clippy::option_option)]
fn any_of(
    sources: &[SchemaSource],
    protos: Option<&Protos>,
    found: &mut Diagnostics,
) -> Option<Option<AnyOf>> {
    if sources.is_empty() {
        return Some(None);
    }
    let protos = protos?;
    let resolved: Vec<_> = sources
        .iter()
        .map(|source| protos.schema(source, found))
        .collect();
    let mut resolved = resolved
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter();
    let first = resolved.next()?;
    Some(Some(AnyOf::new(first, resolved.collect())))
}
