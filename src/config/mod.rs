//! Configuration: files → [`Snapshot`], or every fault of all of them.
//!
//! `routes.yaml` → [`yaml`] (values with places) → [`source`] (what it says) → here: names are looked
//! up, schemas compiled, and what comes out refers to nothing by name.

mod section;
mod source;
mod value;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceFile, did_you_mean, one_of, shown};
use crate::route::Table;
use crate::schema::compile::{Descriptors, compile};
use crate::schema::{self, Options, Presence, RequireError, Schema};
use crate::snapshot::{AnyOf, FrontendId, PoolId, Route, Snapshot};
use section::Spanned;
use source::{Named, RouteSource, SchemaSource, Source};

/// Where .proto files are looked for, beside routes.yaml, when it doesn't say.
const DEFAULT_IMPORT_PATH: &str = "schemas";

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
    let mut found = Diagnostics::new();
    let loaded = read(path, &mut found).and_then(|(file, source)| {
        let directory = path.parent().unwrap_or(Path::new(""));
        resolve(&file, source, directory, &mut found)
    });
    found.sort();
    match loaded {
        Some(loaded) if !found.has_errors() => Ok(Loaded {
            warnings: found,
            ..loaded
        }),
        _ => Err(found),
    }
}

fn read(path: &Path, found: &mut Diagnostics) -> Option<(Arc<SourceFile>, Source)> {
    let shown = shown(path);
    let fault = match std::fs::read(path) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                let file = SourceFile::new(shown, text);
                let root = yaml::parse(&file, found)?;
                return source::read_file(&root, found).map(|source| (file, source));
            }
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let before = String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned();
                let file = SourceFile::new(shown, before);
                let place = file.place_of_bytes(good..good);
                Diagnostic::error("the file is not UTF-8 text").at(place)
            }
        },
        Err(error) => {
            let fault = Diagnostic::error(format!("can't read {}: {error}", shown.display()));
            match error.kind() {
                std::io::ErrorKind::NotFound => fault.help(
                    "run the gateway where routes.yaml is, or name the file: gateway -c FILE",
                ),
                _ => fault,
            }
        }
    };
    found.push(fault);
    None
}

/// Looks up every name. Goes on after a fault as far as anything can be said.
fn resolve(
    file: &Arc<SourceFile>,
    source: Source,
    directory: &Path,
    found: &mut Diagnostics,
) -> Option<Loaded> {
    clashing_binds(&source, found);
    for name in unused_pools(&source) {
        let fault = Diagnostic::warning(format!("no route uses pool {}", name.it.settings.name));
        found.push(fault.at(name.place.clone()));
    }
    let schemas = Schemas::compile(file, &source, directory, found);
    let routes: Vec<_> = source
        .routes
        .iter()
        .filter_map(|route| {
            let resolved = resolve_route(route, &source, schemas.as_ref(), found)?;
            Some((route.pattern.clone(), Arc::new(resolved)))
        })
        .collect();
    let schemas = schemas?;
    let count = routes.len();
    let snapshot = Snapshot {
        generation: 1,
        engine: source.engine,
        frontends: source
            .frontends
            .into_iter()
            .map(|frontend| frontend.it)
            .collect(),
        pools: source
            .pools
            .into_iter()
            .map(|pool| Arc::new(pool.it.settings))
            .collect(),
        routes: Table::new(routes),
        limits: source.limits,
        grace: source.grace,
    };
    Some(Loaded {
        snapshot,
        warnings: Diagnostics::new(),
        messages: schemas.messages,
        routes: count,
    })
}

fn unused_pools(source: &Source) -> impl Iterator<Item = &Named<source::PoolSource>> {
    let used = |name: &str| source.routes.iter().any(|route| route.pool.value == name);
    source
        .pools
        .iter()
        .filter(move |pool| !used(&pool.it.settings.name))
}

/// Reports every address that two frontends or pools would listen on.
fn clashing_binds(source: &Source, found: &mut Diagnostics) {
    let frontends = source.frontends.iter().flat_map(|frontend| &frontend.binds);
    let pools = source.pools.iter().flat_map(|pool| &pool.binds);
    let all: Vec<_> = frontends.chain(pools).collect();
    for (n, bind) in all.iter().enumerate() {
        if let Some(before) = all[..n]
            .iter()
            .find(|before| clash(&before.value.0, &bind.value.0))
        {
            let fault = Diagnostic::error(format!("{} is taken", bind.value.0));
            found.push(
                fault
                    .at(bind.place.clone())
                    .label("expected an address of its own")
                    .note(format!("{} is bound at {}", before.value.0, before.place)),
            );
        }
    }
}

/// Whether both can't be bound at once: the same port on the same or on all interfaces.
fn clash(one: &str, other: &str) -> bool {
    let tcp = |endpoint: &str| {
        let (host, port) = endpoint.strip_prefix("tcp://")?.rsplit_once(':')?;
        Some((
            host.to_owned(),
            port.parse::<u16>().ok().filter(|port| *port > 0)?,
        ))
    };
    match (tcp(one), tcp(other)) {
        (Some((a, a_port)), Some((b, b_port))) => {
            a_port == b_port && (a == b || a == "*" || b == "*")
        }
        _ => one.starts_with("ipc://") && one == other,
    }
}

/// The compiled schemas, and their names.
struct Schemas {
    descriptors: Option<Descriptors>,
    table: Arc<schema::Table>,
    messages: usize,
}

impl Schemas {
    fn compile(
        file: &Arc<SourceFile>,
        source: &Source,
        directory: &Path,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let roots = import_paths(source, directory, found)?;
        if roots.is_empty() {
            return Some(Self {
                descriptors: None,
                table: Arc::new(schema::Table::build(&[]).ok()?),
                messages: 0,
            });
        }
        let mut of_protos = Diagnostics::new();
        let descriptors = compile(&roots, source.compiler, &mut of_protos);
        name_routes(source, &mut of_protos);
        found.append(of_protos);
        let descriptors = descriptors?;
        match schema::Table::build(descriptors.files()) {
            Ok(table) => Some(Self {
                messages: table.message_names().count(),
                descriptors: Some(descriptors),
                table: Arc::new(table),
            }),
            Err(fault) => {
                let fault =
                    Diagnostic::error(format!("the .proto files don't fit together: {fault}"));
                found.push(fault.at(file.place(1, 1, 1)));
                None
            }
        }
    }
}

/// The directories of .proto files. The default one needn't be there while no route has a schema.
fn import_paths(
    source: &Source,
    directory: &Path,
    found: &mut Diagnostics,
) -> Option<Vec<PathBuf>> {
    let Some(paths) = &source.import_paths else {
        let path = directory.join(DEFAULT_IMPORT_PATH);
        if path.is_dir() {
            return Some(vec![path]);
        }
        let needs = |route: &RouteSource| {
            let schemas = route.schema.iter().chain(&route.reply);
            schemas.map(|schema| schema.message.place.clone()).next()
        };
        let Some(place) = source.routes.iter().find_map(needs) else {
            return Some(Vec::new());
        };
        let missing = format!("there is no directory {}", shown(&path).display());
        found.push(
            Diagnostic::error(missing)
                .at(place)
                .label("no schema can be found")
                .help("put .proto files there, or say where they are: proto: { import_paths: [DIRECTORY] }"),
        );
        return None;
    };
    let mut roots = Vec::new();
    for path in paths {
        let root = directory.join(&path.value);
        if root.is_dir() {
            roots.push(root);
        } else {
            let missing = format!("there is no directory {}", shown(&root).display());
            let fault = Diagnostic::error(missing).at(path.place.clone());
            found.push(fault.label("import paths are relative to routes.yaml"));
        }
    }
    (roots.len() == paths.len()).then_some(roots)
}

/// Says beside a fault of a .proto which routes can't do without the file, as far as its text tells.
fn name_routes(source: &Source, of_protos: &mut Diagnostics) {
    for fault in of_protos.iter_mut() {
        let Some(place) = &fault.place else { continue };
        let text = &place.file.text;
        let needs = |schema: &&SchemaSource| defines(text, &schema.message.value);
        let users: Vec<_> = source
            .routes
            .iter()
            .filter(|route| route.schema.iter().chain(&route.reply).any(|s| needs(&s)))
            .map(|route| route.name.as_str())
            .collect();
        if !users.is_empty() {
            fault
                .notes
                .push(format!("needed by route {}", users.join(", ")));
        }
    }
}

/// Whether a .proto's text, which may not parse, looks as if it defined this message.
fn defines(text: &str, message: &str) -> bool {
    let name = message.rsplit('.').next().unwrap_or(message);
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let mut before = "";
    words.any(|word| {
        let here = before == "message" && word == name;
        if !word.is_empty() {
            before = word;
        }
        here
    })
}

fn resolve_route(
    route: &RouteSource,
    source: &Source,
    schemas: Option<&Schemas>,
    found: &mut Diagnostics,
) -> Option<Route> {
    let pools = source
        .pools
        .iter()
        .map(|pool| pool.it.settings.name.as_str());
    let pool = look_up("pool", &route.pool, pools, found);
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
        ids.map(FrontendId).collect::<Vec<_>>()
    });
    let schema = any_of(&route.schema, schemas, found);
    let reply = any_of(&route.reply, schemas, found);
    let pool = pool?;
    let inherited: Option<Duration> = source.pools[pool].it.timeout;
    Some(Route {
        name: route.name.clone(),
        schema: schema?,
        reply: reply?,
        pool: PoolId(pool),
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
        let fault = Diagnostic::error(format!("there is no {what} {:?}", name.value));
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
    schemas: Option<&Schemas>,
    found: &mut Diagnostics,
) -> Option<Option<AnyOf>> {
    if sources.is_empty() {
        return Some(None);
    }
    let schemas = schemas?;
    let resolved: Vec<_> = sources
        .iter()
        .map(|source| schemas.schema(source, found))
        .collect();
    let mut resolved = resolved
        .into_iter()
        .collect::<Option<Vec<_>>>()?
        .into_iter();
    let first = resolved.next()?;
    Some(Some(AnyOf::new(first, resolved.collect())))
}

impl Schemas {
    fn schema(&self, source: &SchemaSource, found: &mut Diagnostics) -> Option<Schema> {
        let name = &source.message;
        let Some(message) = self.table.message(&name.value) else {
            let fault = Diagnostic::error(format!("there is no message {:?}", name.value));
            found.push(self.with_near_message(fault.at(name.place.clone()), &name.value));
            return None;
        };
        let options = Options {
            unknown_fields: source.unknown_fields,
            layout: source.layout,
        };
        let mut schema = Schema::new(source.encoding, Arc::clone(&self.table), message, options);
        for path in &source.require {
            match schema.require(&path.value) {
                Ok(Presence::Explicit) => {}
                Ok(Presence::Implicit) => found.push(zero_refused(path)),
                Err(error) => found.push(require_fault(path, &error)),
            }
        }
        let descriptors = self.descriptors.as_ref();
        if descriptors.is_some_and(|descriptors| descriptors.has_rules(&name.value)) {
            found.push(rules_unenforced(name));
        }
        Some(schema)
    }

    /// Suggests a message by its full name or, for one without its package, by its last part.
    fn with_near_message(&self, fault: Diagnostic, name: &str) -> Diagnostic {
        let known: Vec<_> = self.table.message_names().collect();
        let suffix = format!(".{name}");
        let qualified = known.iter().find(|known| known.ends_with(&suffix));
        match qualified
            .copied()
            .or_else(|| did_you_mean(name, known.iter().copied()))
        {
            Some(near) => fault.help(format!("did you mean {near:?}?")),
            None if known.is_empty() => fault.label("the import paths hold no message at all"),
            None => fault.label("expected the full name of a message in the import paths"),
        }
    }
}

fn zero_refused(path: &Spanned<String>) -> Diagnostic {
    Diagnostic::warning(format!(
        "requiring {:?} refuses messages where it is zero or empty",
        path.value
    ))
    .at(path.place.clone())
    .label("protobuf doesn't write a zero of this field")
    .help("declare the field `optional` in its .proto, and a zero will be written")
}

fn rules_unenforced(name: &Spanned<String>) -> Diagnostic {
    Diagnostic::warning(format!(
        "the buf.validate rules of {} are not enforced",
        name.value
    ))
    .at(name.place.clone())
    .help("this release checks types and structure; workers must go on checking the rules")
}

fn require_fault(path: &Spanned<String>, error: &RequireError) -> Diagnostic {
    let fault = Diagnostic::error(format!("can't require {:?}: {error}", path.value));
    let fault = fault.at(path.place.clone());
    match error {
        RequireError::UnknownField {
            segment, fields, ..
        } => {
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            with_names(fault, segment, &fields)
        }
        RequireError::NotAMessage { .. } => fault,
    }
}
