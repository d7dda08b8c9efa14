//! Configuration: files → [`Snapshot`], or every fault of all of them.
//!
//! `routes.yaml` → `yaml` (values with places) → `source` (what it says) → here: names are looked
//! up, schemas compiled, and what comes out refers to nothing by name.

mod admin;
mod binds;
mod breaking;
mod inputs;
mod limits;
mod needs;
mod origin;
mod protos;
mod schema;
mod section;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod value;
mod yaml;

pub use binds::Bind;
pub use inputs::{Inputs, Seen};
pub use origin::Origin;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::route::Table;
use crate::snapshot::{AnyOf, Names, Route, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place, SourceFile, did_you_mean, one_of, shown};
use gateway_proto::Cache;
use gateway_schema::Schema;
use inputs::OfProtos;
use protos::Protos;
use schema::SchemaSource;
use section::Spanned;
use source::{RouteSource, Source};
use value::name_fault;

/// The JSON Schema of routes.yaml, by which editors complete and check it.
pub const JSON_SCHEMA: &str = include_str!("../../routes.schema.json");

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// What the gateway works by.
    pub snapshot: Snapshot,
    /// What probably isn't meant.
    pub warnings: Diagnostics,
    /// How many messages the .proto files define.
    pub messages: usize,
    /// How many routes there are.
    pub routes: usize,
    /// Where `admin.bind` stands.
    pub admin: Option<Place>,
    /// Where each address stands that frontends and pools listen on.
    pub binds: Vec<Bind>,
}

impl Loaded {
    /// What was loaded, in a few words.
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let parts = [
            count(self.routes, "route"),
            count(self.snapshot.pools.len(), "pool"),
            count(self.snapshot.frontends.len(), "frontend"),
            count(self.messages, "message"),
        ];
        parts.join(", ")
    }
}

/// Reads and resolves `path` and the .proto files that it names. The error holds every fault found.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load()
}

/// The same for the generation that is to follow `running`; beyond what is wrong with the files, what they
/// break for its peers.
pub fn load_after(path: &Path, running: &Snapshot) -> Result<Loaded, Diagnostics> {
    Inputs::read(path, &[]).load_after(running)
}

/// Reads a file's text.
fn text(path: &Path) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let shown = shown(path);
    // To open a pipe may take for ever, and what it gives can't be read again.
    let regular = fs::metadata(path).map_or(true, |it| it.is_file() || it.is_dir());
    if !regular {
        let fault = Diagnostic::error(format!("{} is not a file", shown.display()));
        let help = "it is read again when it changes: name a file, not a pipe or a device";
        return Err(Box::new(fault.help(help)));
    }
    let mut bytes = Vec::new();
    // No more than tells that it is too large: it may be a device, or somebody's disk image.
    let bound = yaml::FILE_MAX as u64 + 1;
    let outcome = File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        let help = match error.kind() {
            io::ErrorKind::NotFound => {
                "run the gateway where routes.yaml is, or name the file: gateway -c FILE"
            }
            io::ErrorKind::IsADirectory => "name the file in it: gateway -c DIRECTORY/routes.yaml",
            io::ErrorKind::PermissionDenied => "let the gateway's user read it",
            _ => "name a file that can be read: gateway -c FILE",
        };
        let fault = Diagnostic::error(format!("can't read {}: {error}", shown.display()));
        return Err(Box::new(fault.help(help)));
    }
    if bytes.len() > yaml::FILE_MAX {
        return Err(too_large(&shown));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(source_file(shown, &text)),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let file = SourceFile::new(shown, String::from_utf8_lossy(error.as_bytes()));
            let fault = Diagnostic::error("the file is not UTF-8 text");
            let fault = fault.at(file.place_of_bytes(good..good + '\u{fffd}'.len_utf8()));
            Err(Box::new(
                fault
                    .label("this byte is not UTF-8")
                    .help("save the file as UTF-8"),
            ))
        }
    }
}

/// Returns the error for a configuration of more than [`yaml::FILE_MAX`] bytes.
fn too_large(shown: &Path) -> Box<Diagnostic> {
    let fault = Diagnostic::error(format!("{} is larger than 1 MiB", shown.display()));
    let help = "a configuration of this size is surely not meant; is it the right file?";
    Box::new(fault.help(help))
}

/// Returns the text without the byte order mark that some editors write.
fn source_file(shown: PathBuf, text: &str) -> Arc<SourceFile> {
    SourceFile::new(shown, text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Looks up every name. Goes on after a fault as far as anything can be said.
fn resolve(
    file: &Arc<SourceFile>,
    source: Source,
    protos: Option<OfProtos>,
    mut names: Names,
    generation: u64,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Option<Loaded> {
    for frontend in &source.frontends {
        names.frontend(&frontend.it.name);
    }
    for pool in &source.pools {
        names.pool(&pool.it.settings.name);
    }
    binds::clashes(&source, found);
    unused_pools(&source, found);
    let protos = protos
        .and_then(|OfProtos(texts)| Protos::compile(file, &source, texts.as_ref(), cache, found));
    // Each is looked at, whatever was wrong with those before it.
    let routes: Vec<_> = source
        .routes
        .iter()
        .map(|route| {
            let resolved = resolve_route(route, &source, protos.as_ref(), &mut names, found);
            Some((route.pattern.clone()?, Arc::new(resolved?)))
        })
        .collect();
    let routes: Vec<_> = routes.into_iter().collect::<Option<_>>()?;
    let protos = protos.filter(Protos::is_whole)?;
    let count = routes.len();
    let schemas = routes.iter().flat_map(|(_, route)| {
        let schema = route.schema.iter().chain(&route.reply);
        schema.flat_map(AnyOf::schemas)
    });
    let binds = binds::all(&source);
    let definitions = protos.definitions(schemas.map(Schema::message_name));
    let snapshot = Snapshot {
        generation,
        engine: source.engine,
        frontends: source
            .frontends
            .into_iter()
            .map(|frontend| (names.frontend(&frontend.it.name), frontend.it))
            .collect(),
        pools: source
            .pools
            .into_iter()
            .map(|pool| {
                (
                    names.pool(&pool.it.settings.name),
                    Arc::new(pool.it.settings),
                )
            })
            .collect(),
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
    let named = |pool: &str| names.iter().flatten().any(|name| name.value == pool);
    let known = |name: &str| {
        source
            .pools
            .iter()
            .any(|pool| pool.it.settings.name == name)
    };
    let clear = !names.is_empty()
        && names
            .iter()
            .all(|name| name.is_some_and(|name| known(&name.value)));
    for pool in source.pools.iter().filter(|_| clear) {
        let name = &pool.it.settings.name;
        if !named(name) && name_fault(name).is_none() {
            let fault = Diagnostic::warning(format!("no route uses pool {name}"));
            found.push(
                fault
                    .at(pool.place.clone())
                    .help("remove it, or name it in a route"),
            );
        }
    }
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
                .map(|frontend| frontend.it.name.as_str())
        };
        let ids = names
            .iter()
            .filter_map(|name| look_up("frontend", name, known(), found));
        ids.map(|index| names_of.frontend(&source.frontends[index].it.name))
            .collect::<Vec<_>>()
    });
    let schema = any_of(&route.schema, protos, found);
    let reply = any_of(&route.reply, protos, found);
    let pool = pool?;
    let inherited: Option<Duration> = source.pools[pool].it.timeout;
    Some(Route {
        id: names_of.route(&route.name),
        name: route.name.clone(),
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
        let fault = Diagnostic::error(format!("there is no {what} {}", yaml::quoted(&name.value)));
        let fault = fault.at(name.place.clone());
        found.push(with_names(fault, &name.value, &known));
    }
    index
}

/// Adds what was expected, and the nearest of it as help.
fn with_names(fault: Diagnostic, name: &str, known: &[&str]) -> Diagnostic {
    /// More than these and the list is noise.
    const SHOWN: usize = 8;
    let fault = match known.len() {
        1..=SHOWN => fault.label(format!("expected {}", one_of(known.iter().copied()))),
        _ => fault,
    };
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => fault.help(format!("did you mean {near:?}?")),
        None => fault,
    }
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
