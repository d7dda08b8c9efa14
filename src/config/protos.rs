//! The compiled .proto files of a configuration, in which the messages of routes are looked up.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::near::with_names;
use super::needs::name_routes;
use super::quoted::quoted;
use super::schema::{ENCODINGS, SchemaSource};
use super::section::Spanned;
use super::source::{RouteSource, Source};
use gateway_diagnostic::{
    Diagnostic, Diagnostics, SourceFile, did_you_mean_qualified, escaped, shown,
};
use gateway_proto::{Cache, Compiled, Descriptors, Texts, words};
use gateway_schema::{
    Definitions, Encoding, ExplainedRule, Options, Presence, RequireError, RuleLimits, RuleSet,
    Schema, Table,
};

/// The default directory of .proto files, relative to routes.yaml.
const DEFAULT_IMPORT_PATH: &str = "schemas";

/// The maximum number of messages of a file that a diagnostic names. Further messages are only
/// counted.
const MESSAGES_SHOWN_MAX: usize = 8;

/// The texts of the .proto files, or `None` if there is no directory and no route has a schema.
#[derive(Debug)]
pub(super) struct ProtoTexts(pub(super) Option<Arc<Texts>>);

/// The compiled .proto files.
pub(super) struct Protos {
    descriptors: Option<Descriptors>,
    /// The table of the messages that routes name.
    table: Arc<Table>,
    /// The compiled buf.validate rules of the messages that routes name, or `None` if there are no
    /// rules or a rule has an error.
    rule_set: Option<Arc<RuleSet>>,
    /// The limits on checks by these rules: the size of the payload, and the number of steps.
    rule_limits: RuleLimits,
    /// All words of the files that do not compile, or `None` if every file compiles. These files
    /// may define a missing message if its name is among the words.
    doubtful: Option<HashSet<String>>,
    /// The pairs of a message and a required field without presence for which a warning was
    /// reported. Each pair has only one warning.
    required: RefCell<HashSet<(String, String)>>,
}

impl Protos {
    /// Compiles `texts`, and reuses the results of unchanged files from `cache`. Without texts, the
    /// result has no messages. Returns `None` if no part of the result can be used; the reason is
    /// then in `found`.
    pub(super) fn compile(
        file: &Arc<SourceFile>,
        source: &Source,
        texts: Option<&Texts>,
        cache: &mut Cache,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let Some(texts) = texts else {
            return Some(Self {
                descriptors: None,
                table: Arc::default(),
                rule_set: None,
                rule_limits: rule_limits(source),
                doubtful: None,
                required: RefCell::default(),
            });
        };
        let mut of_protos = Diagnostics::new();
        let (descriptors, doubtful) = match texts.compile_each(cache, &mut of_protos) {
            Compiled::Whole(descriptors) => (Some(descriptors), None),
            Compiled::Part(sound, others) => (Some(sound), Some(all_words(&others))),
            Compiled::Nothing => (None, None),
        };
        let table = descriptors
            .as_ref()
            .map(|descriptors| Table::for_roots(descriptors, roots(source)).map(Arc::new));
        let table = match table.transpose() {
            Ok(table) => table,
            Err(fault) => {
                let fault =
                    Diagnostic::error(format!("the .proto files contradict each other: {fault}"));
                of_protos.push(fault.at(file.place(1, 1, 1)));
                None
            }
        };
        let rule_set = match (&descriptors, &table) {
            (Some(descriptors), Some(table)) => {
                rule_set(source, descriptors, table, &mut of_protos)
            }
            _ => None,
        };
        name_routes(source, texts, &mut of_protos);
        found.append(of_protos);
        let table = table?;
        Some(Self {
            descriptors,
            table,
            rule_set,
            rule_limits: rule_limits(source),
            doubtful,
            required: RefCell::default(),
        })
    }
}

/// Returns every word in these texts.
fn all_words(files: &[Arc<SourceFile>]) -> HashSet<String> {
    let all = files.iter().flat_map(|file| words(&file.text));
    all.map(str::to_owned).collect()
}

/// Returns the limits on checks by buf.validate rules.
fn rule_limits(source: &Source) -> RuleLimits {
    RuleLimits {
        bytes: source.limits.rules,
        steps: source.limits.rules_cost,
    }
}

/// Returns the messages that routes name, each with its encodings.
fn roots(source: &Source) -> HashSet<(Encoding, &str)> {
    let schemas = source.routes.iter();
    let schemas = schemas.flat_map(|route| route.schema.iter().chain(&route.reply));
    schemas
        .map(|schema| (schema.encoding, &*schema.message.value))
        .collect()
}

fn rule_set(
    source: &Source,
    descriptors: &Descriptors,
    table: &Arc<Table>,
    found: &mut Diagnostics,
) -> Option<Arc<RuleSet>> {
    let names: BTreeSet<_> = roots(source).into_iter().map(|(_, name)| name).collect();
    let ruled = names.into_iter().filter(|name| descriptors.has_rules(name));
    let ruled: Vec<_> = ruled.collect();
    if ruled.is_empty() {
        return None;
    }
    RuleSet::build(descriptors, table, &ruled, found).map(Arc::new)
}

/// Returns the directories for .proto files, whether they exist or not, because all of them are
/// watched.
pub(super) fn named_roots(source: &Source, directory: &Path) -> Vec<PathBuf> {
    match &source.import_paths {
        None => vec![directory.join(DEFAULT_IMPORT_PATH)],
        Some(paths) => {
            let paths = paths.iter().flatten();
            paths.map(|path| directory.join(&path.value)).collect()
        }
    }
}

/// Returns the directories of .proto files. If a directory is missing, reports it and returns
/// `None`. The default directory may be missing if no route has a schema.
pub(super) fn import_paths(
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
        let missing = format!("there is no directory {}", escaped(&shown(&path)));
        found.push(
            Diagnostic::error(missing)
                .at(place)
                .label("no schema can be found")
                .help("put the .proto files into this directory, or name another: proto: { import_paths: [DIRECTORY] }"),
        );
        return None;
    };
    let mut roots = Vec::new();
    for path in paths.iter().flatten() {
        let root = directory.join(&path.value);
        if root.is_dir() {
            roots.push(root);
        } else {
            let missing = format!("there is no directory {}", escaped(&shown(&root)));
            let fault = Diagnostic::error(missing).at(path.place.clone());
            found.push(
                fault
                    .label("expected a directory of .proto files")
                    .help("import paths are relative to the directory of this file"),
            );
        }
    }
    // If a directory is missing, a missing message may be defined in that directory.
    (!roots.is_empty() && roots.len() == paths.len()).then_some(roots)
}

impl Protos {
    /// Returns the fingerprints of the user's .proto files, by the import names of the files.
    pub(super) fn fingerprints(&self) -> BTreeMap<String, u64> {
        let fingerprints = self.descriptors.iter().flat_map(Descriptors::fingerprints);
        fingerprints
            .map(|(name, hash)| (name.to_owned(), hash))
            .collect()
    }

    /// Returns the definitions of these messages, and of the messages and enums that they use.
    pub(super) fn definitions<'a>(
        &'a self,
        messages: impl Iterator<Item = &'a str>,
    ) -> Definitions {
        let descriptors = self.descriptors.as_ref();
        match descriptors {
            Some(descriptors) => descriptors.definitions(messages),
            None => Definitions::default(),
        }
    }

    /// Returns whether every file compiled. If not, the compiled files are only used to find
    /// further errors.
    pub(super) fn is_whole(&self) -> bool {
        self.doubtful.is_none()
    }

    /// Returns the number of all messages in the files, whether routes use them or not.
    pub(super) fn message_count(&self) -> usize {
        let descriptors = self.descriptors.as_ref();
        descriptors.map_or(0, Descriptors::message_count)
    }

    /// Returns the full names of all messages in the files, whether routes use them or not.
    pub(super) fn message_names(&self) -> Vec<&str> {
        let descriptors = self.descriptors.as_ref();
        descriptors.map_or_else(Vec::new, Descriptors::message_names)
    }

    /// Returns the schema that a route names. Returns `None` after an error, or if a file that does
    /// not compile may define the message.
    pub(super) fn schema(&self, source: &SchemaSource, found: &mut Diagnostics) -> Option<Schema> {
        let name = &source.message;
        let Some(message) = self.table.message(&name.value) else {
            let last = name.value.rsplit('.').next().unwrap_or_default();
            if self
                .doubtful
                .as_ref()
                .is_some_and(|words| words.contains(last))
            {
                // The message may be defined in a file whose errors are reported.
                return None;
            }
            let fault = self.no_message(&name.value);
            found.push(fault.at(name.place.clone()));
            return None;
        };
        let options = Options {
            unknown_fields: source.unknown_fields,
            layout: source.layout,
            text_keys: source.text_keys,
            all_violations: source.all_violations,
        };
        let mut schema = Schema::new(source.encoding, Arc::clone(&self.table), message, options);
        for path in &source.require {
            match schema.require(&path.value) {
                Ok(Presence::Explicit) => {}
                Ok(Presence::Implicit) => {
                    if source.encoding == Encoding::Protobuf && self.is_first(&name.value, path) {
                        found.push(zero_refused(path));
                    }
                }
                Err(error) => found.push(require_fault(path, &error)),
            }
        }
        let descriptors = self.descriptors.as_ref();
        let ruled = descriptors.is_some_and(|descriptors| descriptors.has_rules(&name.value));
        if ruled
            && let Some(rule_set) = &self.rule_set
            && !schema.enforce(rule_set, self.rule_limits)
        {
            let fault = format!("the buf.validate rules of {} are missing", name.value);
            found.push(Diagnostic::error(fault).at(name.place.clone()));
            return None;
        }
        Some(schema)
    }

    /// Returns the rules of a message and of the messages that it uses; the list is empty if there
    /// are none. Returns `None` after an error.
    pub(super) fn explain(
        &self,
        name: &str,
        found: &mut Diagnostics,
    ) -> Option<Vec<ExplainedRule>> {
        if !self.message_names().contains(&name) {
            if self.is_whole() {
                found.push(self.no_message(name));
            }
            return None;
        }
        let descriptors = self.descriptors.as_ref()?;
        if !descriptors.has_rules(name) {
            return Some(Vec::new());
        }
        // Rules are the same in every encoding. The table has no errors, because another table of
        // the same files had none.
        let table = Table::for_roots(descriptors, [(Encoding::Protobuf, name)]).ok()?;
        let table = Arc::new(table);
        let rule_set = RuleSet::build(descriptors, &table, &[name], found)?;
        Some(rule_set.explain(&table))
    }

    /// Records that a field of a message is required. Returns false if this was recorded before.
    fn is_first(&self, message: &str, path: &Spanned<String>) -> bool {
        let pair = (message.to_owned(), path.value.clone());
        self.required.borrow_mut().insert(pair)
    }

    /// Returns the error of a name that no message has. The caller adds the place.
    fn no_message(&self, name: &str) -> Diagnostic {
        let lower = name.to_ascii_lowercase();
        let mut labels = ENCODINGS.into_iter().map(Encoding::label);
        if let Some(label) = labels.find(|label| *label == lower) {
            let example = match *self.message_names() {
                [only] => only,
                _ => "pkg.Message",
            };
            return Diagnostic::error(format!("{} is an encoding, not a message", quoted(name)))
                .label("expected the name of a message")
                .help(format!("write schema: {{ {label}: {example} }}"));
        }
        if name.ends_with(".proto") {
            return self.file_as_message(name);
        }
        let fault = Diagnostic::error(format!("there is no message {}", quoted(name)));
        self.with_near_message(fault, name)
    }

    /// Returns the error of a file name where the name of a message is expected.
    fn file_as_message(&self, name: &str) -> Diagnostic {
        let fault = Diagnostic::error(format!("{} is a file, not a message", quoted(name)))
            .label("expected the full name of a message");
        let bare = name.strip_prefix("./").unwrap_or(name);
        let ending = format!("/{bare}");
        let descriptors = self.descriptors.iter();
        let files = descriptors.flat_map(|descriptors| descriptors.compiled_files());
        let mut meant = files.filter(|file| {
            let own = file.name();
            own == bare || own.ends_with(&ending) || bare.ends_with(&format!("/{own}"))
        });
        let Some(file) = meant.next() else {
            return fault.help("name one of the messages that it defines");
        };
        let package = file.package();
        let mut messages: Vec<_> = file
            .descriptor()
            .message_type
            .iter()
            .map(|message| match package {
                "" => message.name().to_owned(),
                package => format!("{package}.{}", message.name()),
            })
            .collect();
        let more = messages.len().saturating_sub(MESSAGES_SHOWN_MAX);
        messages.truncate(MESSAGES_SHOWN_MAX);
        let list = messages.join(", ");
        match (messages.len(), more) {
            (0, _) => fault.help("it defines no message"),
            (1, _) => fault.help(format!("it defines {list}: write schema: {list}")),
            (_, 0) => fault.help(format!("it defines {list}: name one of them")),
            (_, more) => fault.help(format!(
                "it defines {list} and {more} more: name one of them"
            )),
        }
    }

    /// Adds to `fault` the message that `name` probably means. If there is no such message, adds a
    /// label that says what is missing or expected.
    fn with_near_message(&self, fault: Diagnostic, name: &str) -> Diagnostic {
        let known = self.message_names();
        match did_you_mean_qualified(name, &known) {
            Some(near) => fault.help(format!("did you mean {near:?}?")),
            None if known.is_empty() && self.is_whole() => fault
                .label("the import paths contain no message")
                .help("put the .proto file that defines the message into one of these directories"),
            None => fault.label("expected the full name of a message in the import paths"),
        }
    }
}

/// Returns the warning that a message is rejected if a required field without presence has a zero
/// value. This concerns only protobuf, because JSON and MessagePack can write a zero.
fn zero_refused(path: &Spanned<String>) -> Diagnostic {
    Diagnostic::warning(format!(
        "messages in which the required field {:?} is zero or empty are rejected",
        path.value
    ))
    .at(path.place.clone())
    .label("protobuf doesn't write a zero of this field")
    .help("declare the field `optional` in its .proto, and a zero will be written")
}

fn require_fault(path: &Spanned<String>, error: &RequireError) -> Diagnostic {
    let fault = match error {
        // The path may be as long as the file.
        RequireError::TooLong => Diagnostic::error(format!("can't require a field: {error}")),
        _ => Diagnostic::error(format!("can't require {:?}: {error}", path.value)),
    };
    let fault = fault.at(path.place.clone());
    match error {
        RequireError::TooLong => fault,
        RequireError::UnknownField {
            segment, fields, ..
        } => {
            let fields: Vec<_> = fields.iter().map(String::as_str).collect();
            with_names(fault, segment, &fields)
        }
        RequireError::NotAMessage { segment, .. } => {
            fault.label(format!("expected the path to end at {segment:?}"))
        }
    }
}
