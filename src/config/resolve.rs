//! What the files say → [`Snapshot`]: names looked up, schemas compiled.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::binds;
use super::loaded::Loaded;
use super::near::with_names;
use super::plain;
use super::protos::{OfProtos, Protos};
use super::schema::SchemaSource;
use super::section::Spanned;
use super::source::{RouteSource, Source};
use super::value::name_fault;
use super::yaml::quoted;
use crate::frame;
use crate::route::{Pattern, Table};
use crate::snapshot::{AnyOf, Names, Route, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};
use gateway_proto::Cache;
use gateway_schema::Schema;

/// Looks up every name, and goes on after a fault as far as anything can be said.
pub(super) fn resolve(
    file: &Arc<SourceFile>,
    source: Source,
    protos: Option<OfProtos>,
    mut names: Names,
    generation: u64,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Option<Loaded> {
    for frontend in &source.frontends {
        names.frontend(&frontend.it.frontend.name);
    }
    for pool in &source.pools {
        names.pool(&pool.it.settings.name);
    }
    binds::clashes(&source, found);
    plain::check(&source, found);
    unused_pools(&source, found);
    let protos = protos
        .and_then(|OfProtos(texts)| Protos::compile(file, &source, texts.as_ref(), cache, found));
    let routes = resolve_routes(&source, protos.as_ref(), &mut names, found)?;
    let protos = protos.filter(Protos::is_whole)?;
    let count = routes.len();
    let schemas = routes.iter().flat_map(|(_, route)| {
        let schemas = route.schema.iter().chain(&route.reply);
        schemas.flat_map(AnyOf::schemas)
    });
    let definitions = protos.definitions(schemas.map(Schema::message_name));
    let binds = binds::all(&source);
    let frontends = source.frontends.into_iter().map(|it| it.it.frontend);
    let frontends = frontends.map(|frontend| (names.frontend(&frontend.name), frontend));
    let frontends = frontends.collect();
    let pools = source.pools.into_iter().map(|pool| pool.it.settings);
    let pools = pools.map(|pool| (names.pool(&pool.name), Arc::new(pool)));
    let pools = pools.collect();
    let snapshot = Snapshot {
        generation,
        engine: source.engine,
        frontends,
        pools,
        routes: Table::new(routes),
        limits: source.limits,
        grace: source.grace,
        reload: source.reload,
        admin: source.admin.as_ref().map(|admin| admin.value.clone()),
        protos: protos.fingerprints(),
        definitions,
        names,
    };
    Some(Loaded {
        snapshot,
        warnings: Diagnostics::new(),
        messages: protos.messages(),
        routes: count,
        admin: source.admin.map(|admin| admin.place),
        binds,
    })
}

/// Warns of pools without a route, unless a route whose pool is in doubt may have meant one.
fn unused_pools(source: &Source, found: &mut Diagnostics) {
    let names: Vec<_> = source
        .routes
        .iter()
        .map(|route| route.pool.as_ref())
        .collect();
    let named: HashSet<&str> = names.iter().flatten().map(|it| it.value.as_str()).collect();
    let pools = source.pools.iter();
    let known: HashSet<&str> = pools.map(|pool| pool.it.settings.name.as_str()).collect();
    let is_known = |name: &Spanned<String>| known.contains(name.value.as_str());
    let clear = !names.is_empty() && names.iter().all(|name| name.is_some_and(is_known));
    for pool in source.pools.iter().filter(|_| clear) {
        let name = &pool.it.settings.name;
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

/// Resolves every route, whatever is wrong with those before it; none if there was a fault.
fn resolve_routes(
    source: &Source,
    protos: Option<&Protos>,
    names: &mut Names,
    found: &mut Diagnostics,
) -> Option<Vec<(Pattern, Arc<Route>)>> {
    let mut routes = Vec::new();
    for route in &source.routes {
        let resolved = resolve_route(route, source, protos, names, found);
        routes.push(route.pattern.clone().zip(resolved.map(Arc::new)));
    }
    routes.into_iter().collect()
}

fn resolve_route(
    route: &RouteSource,
    source: &Source,
    protos: Option<&Protos>,
    names_of: &mut Names,
    found: &mut Diagnostics,
) -> Option<Route> {
    let pools = source
        .pools
        .iter()
        .map(|pool| pool.it.settings.name.as_str());
    let pool = route.pool.as_ref();
    let pool = pool.and_then(|pool| look_up("pool", pool, pools, found));
    let frontends = route.frontends.as_ref().map(|names| {
        let known = || {
            source
                .frontends
                .iter()
                .map(|frontend| frontend.it.frontend.name.as_str())
        };
        let ids = names
            .iter()
            .filter_map(|name| look_up("frontend", name, known(), found));
        ids.map(|index| names_of.frontend(&source.frontends[index].it.frontend.name))
            .collect::<Vec<_>>()
    });
    let schema = any_of(&route.schema, protos, found);
    let reply = any_of(&route.reply, protos, found);
    let pool = pool?;
    let inherited: Option<Duration> = source.pools[pool].it.timeout;
    Some(Route {
        id: names_of.route(&route.name),
        name: route.name.clone(),
        kind: route.pattern.as_ref().and_then(only_type),
        schema: schema?,
        reply: reply?,
        pool: names_of.pool(&source.pools[pool].it.settings.name),
        timeout: route
            .timeout
            .as_ref()
            .map_or(inherited, |timeout| timeout.value.0),
        frontends,
    })
}

/// Returns the name of the one type that a pattern matches.
fn only_type(pattern: &Pattern) -> Option<Box<str>> {
    match pattern {
        Pattern::Exact(kind) => Some(frame::type_name(kind).into()),
        Pattern::Prefix(_) => None,
    }
}

/// The index of a name among those that there are.
fn look_up<'a>(
    what: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a str>,
    found: &mut Diagnostics,
) -> Option<usize> {
    let known: Vec<_> = known.collect();
    let index = known.iter().position(|it| *it == name.value);
    if index.is_none() && !known.is_empty() {
        let fault = Diagnostic::error(format!("there is no {what} {}", quoted(&name.value)));
        let fault = fault.at(name.place.clone());
        found.push(with_names(fault, &name.value, &known));
    }
    index
}

/// The outer none: a fault; the inner: no schema.
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
