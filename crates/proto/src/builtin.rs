//! The built-in front end. It parses each file by itself, links each file after its imports, and
//! reports the errors of all files. It stops once [`FAULTY_FILES_MAX`] files have errors.
//!
//! A file that imports a file with errors is not checked. A note on the first error of the imported
//! file names the files that were not checked.

mod needed;
mod order;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::{Budget, OutOfTime};
use crate::cache::Cache;
use crate::descriptors::CompiledFile;
use crate::file_faults::{failed, missing, too_deep};
use crate::linked::LinkedFile;
use crate::linker::{Linker, NamesRead};
use crate::parsed::Parsed;
use crate::parser::{ParseError, parse};
use crate::report::FAULTS_MAX;
use crate::sources::{ProtoSource, ProtoSources};
use crate::stack::reason;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile};

/// The number of files with errors after which a run stops. A longer list would not help.
const FAULTY_FILES_MAX: usize = 100;

/// The maximum time of a run. A run over all of googleapis takes a fraction of this time, even on a
/// slow machine. The clock is read between files and within each file, so that the limit also holds
/// for a file that is crafted to be slow.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The number of names that a note lists before it says "and N more".
const NAMES_LISTED_MAX: usize = 5;

/// Returns the descriptors of all files without errors, and reports the errors of the other files
/// in `found`. Unchanged files in `cache` are reused, and the files of this compile replace the
/// content of the cache.
pub(super) fn compile(
    sources: &ProtoSources,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Vec<CompiledFile> {
    compile_within(TIME_LIMIT, sources, cache, found)
}

fn compile_within(
    limit: Duration,
    sources: &ProtoSources,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Vec<CompiledFile> {
    let mut run = Run::new(sources, std::mem::take(cache), limit);
    let files;
    (files, *cache) = run.files();
    run.faults.report(found);
    files
}

/// One compile of all files.
struct Run<'a> {
    sources: &'a ProtoSources,
    /// The user's files, by import name.
    units: BTreeMap<&'a str, FileStage>,
    /// The files that come with this crate and are imported, directly or indirectly.
    /// descriptor.proto is always among them.
    well_known: BTreeMap<&'static str, FileStage>,
    /// The files that are unchanged since the last compile.
    known: HashMap<String, Arc<LinkedFile>>,
    faults: Faults<'a>,
    limit: Duration,
    budget: Budget,
}

/// The state of one file.
enum FileStage {
    Parsed(Box<Parsed>),
    /// A file that the last compile linked.
    Linked(Arc<LinkedFile>),
}

impl FileStage {
    fn imports(&self) -> impl Iterator<Item = &String> {
        let (imports, options) = match self {
            FileStage::Parsed(parsed) => (&*parsed.file.dependency, &*parsed.option_imports),
            FileStage::Linked(linked) => (&*linked.facts.imports, &*linked.facts.option_imports),
        };
        imports.iter().chain(options)
    }
}

/// The errors found so far, and the files that have them.
#[derive(Default)]
struct Faults<'a> {
    list: Vec<(&'a str, Diagnostic)>,
    faulty: HashSet<&'a str>,
    /// The files that were not checked. The value is a file that has errors and that the unchecked
    /// file imports, directly or indirectly.
    unchecked: BTreeMap<&'a str, &'a str>,
    /// Set once the time limit has passed. No further files are checked then.
    late: bool,
}

impl<'a> Faults<'a> {
    fn add(&mut self, name: &'a str, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.faulty.insert(name);
        }
        self.list.push((name, diagnostic));
    }

    /// Returns the file with errors that prevents an importer of `name` from being checked: `name`
    /// itself or a file that `name` imports, directly or indirectly. Returns `None` if there is no
    /// such file.
    fn culprit(&self, name: &str) -> Option<&'a str> {
        let unchecked = self.unchecked.get(name).copied();
        unchecked.or_else(|| self.faulty.get(name).copied())
    }

    fn report(self, found: &mut Diagnostics) {
        if self.faulty.len() >= FAULTY_FILES_MAX {
            let message =
                format!("{FAULTY_FILES_MAX} files have errors; other files may be unchecked");
            found.push(Diagnostic::error(message));
        }
        let mut waiting: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, culprit) in self.unchecked {
            waiting.entry(culprit).or_default().push(name);
        }
        for (name, diagnostic) in self.list {
            // The note is added to the first error of the file only.
            found.push(match waiting.remove(name) {
                None => diagnostic,
                Some(names) => diagnostic.note(format!(
                    "these files import this file and were not checked: {}",
                    listed(&names)
                )),
            });
        }
    }
}

impl<'a> Run<'a> {
    fn new(sources: &'a ProtoSources, cache: Cache, limit: Duration) -> Self {
        Self {
            sources,
            units: BTreeMap::new(),
            well_known: BTreeMap::new(),
            known: cache.unchanged(sources),
            faults: Faults::default(),
            limit,
            budget: Budget::until(Instant::now() + limit),
        }
    }

    /// Returns all files without errors, and the cache for the next run.
    fn files(&mut self) -> (Vec<CompiledFile>, Cache) {
        self.parse();
        self.find_missing_imports();
        let order = self.order();
        self.link(&order)
    }

    fn parse(&mut self) {
        for (name, source) in self.sources.iter() {
            if self.faults.faulty.len() >= FAULTY_FILES_MAX {
                return;
            }
            if let Some(known) = self.known.get(name) {
                self.units
                    .insert(name, FileStage::Linked(Arc::clone(known)));
                continue;
            }
            if self.is_late(name) {
                return;
            }
            if let Some(refused) = too_deep(source) {
                self.faults.add(name, refused);
                continue;
            }
            let text = source.file.text.as_str();
            match guarded(|| parse(name, text, &self.budget)) {
                Ok(Ok(file)) => {
                    self.units.insert(name, FileStage::Parsed(Box::new(file)));
                }
                Ok(Err(ParseError::Faults(faults))) => faults
                    .into_iter()
                    .for_each(|fault| self.faults.add(name, fault.within(&source.file))),
                Ok(Err(ParseError::OutOfTime)) => self.report_late(name),
                Err(reason) => self.faults.add(name, failed(source, &reason)),
            }
        }
    }

    /// Returns whether the time is over. The first call that finds the time over also reports this
    /// error, and names `name` as the file at which the time ran out.
    fn is_late(&mut self, name: &'a str) -> bool {
        if !self.faults.late && self.budget.read_clock().is_err() {
            self.report_late(name);
        }
        self.faults.late
    }

    fn report_late(&mut self, name: &'a str) {
        self.faults.late = true;
        let limit = self.limit.as_secs();
        let fault = Diagnostic::error(format!("compiling takes longer than {limit} s"))
            .note(format!("the time ran out at {name}"))
            .help("in proto.import_paths, name only the directories with this gateway's schemas");
        // The file must count as faulty, because it may be linked but not yet verified.
        self.faults.add(name, fault);
    }

    fn find_missing_imports(&mut self) {
        for (name, file) in &self.units {
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            let known =
                |import: &str| self.sources.get(import).is_some() || well_known::has(import);
            let mut absent = file.imports().filter(|import| !known(import));
            for import in absent.by_ref().take(FAULTS_MAX) {
                let fault = missing(import, name, source, self.sources);
                self.faults.add(name, fault);
            }
            let more = absent.count();
            if more > 0 {
                let message = format!("{more} more imports are not found");
                let fault = Diagnostic::error(message).at(source.file.place(1, 1, 1));
                self.faults.add(name, fault);
            }
        }
    }

    /// Links the files in `order`, except those that have errors or import files with errors.
    /// Returns the files without errors, and the cache for the next run.
    fn link(&mut self, order: &[&'a str]) -> (Vec<CompiledFile>, Cache) {
        self.parse_well_known();
        let needed = self.needed();
        let mut linker = Linker::default();
        // Links descriptor.proto, which defines the options, even if no file imports it.
        self.link_well_known(well_known::DESCRIPTOR, &mut linker);
        for &name in order {
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            if self.faults.faulty.contains(name) {
                continue;
            }
            if self.faults.faulty.len() >= FAULTY_FILES_MAX || self.is_late(name) {
                break;
            }
            // Every file in `order` is in `units`, and occurs only once.
            let Some(unit) = self.units.remove(name) else {
                continue;
            };
            if let Some(culprit) = unit.imports().find_map(|i| self.faults.culprit(i)) {
                self.faults.unchecked.insert(name, culprit);
                continue;
            }
            let names = match needed.contains(name) {
                true => NamesRead::Now,
                false => NamesRead::OnDemand,
            };
            self.link_file((name, source), &unit, names, &mut linker);
            if linker.is_full_of_names() {
                break;
            }
            if linker.is_overgrown() {
                let fault = Diagnostic::error("the chains of public imports are too long");
                self.faults.add(
                    name,
                    fault
                        .at(source.file.place(1, 1, 1))
                        .help("let each file import the files that it needs, instead of importing them publicly"),
                );
                break;
            }
        }
        let is_valid = |linked: &Arc<LinkedFile>| !self.faults.faulty.contains(linked.name());
        let cache = Cache::of(linker.files().all().filter(|linked| is_valid(linked)));
        self.known.clear();
        let files = linker.into_files().into_imported().filter(is_valid);
        let files = files.map(|linked| {
            let (file, facts) = (Arc::clone(&linked.file), Arc::clone(&linked.facts));
            CompiledFile::new(file, facts, linked.locations.clone())
        });
        (files.collect(), cache)
    }

    /// Links a file. Imported files of the user must be linked already. Imported files that come
    /// with this crate are linked here.
    fn link_file(
        &mut self,
        (name, source): (&'a str, &ProtoSource),
        unit: &FileStage,
        names: NamesRead,
        linker: &mut Linker,
    ) {
        let imports = unit.imports();
        let well_known_imports: Vec<_> =
            imports.filter(|i| self.is_well_known(i)).cloned().collect();
        for import in &well_known_imports {
            self.link_well_known(import, linker);
        }
        let link = || match unit {
            FileStage::Parsed(parsed) => linker.link(parsed, &source.file, &self.budget),
            FileStage::Linked(linked) => linker.adopt(linked, names, &self.budget),
        };
        match guarded(link) {
            Ok(Ok(faults)) => faults
                .into_iter()
                .for_each(|fault| self.faults.add(name, fault)),
            Ok(Err(OutOfTime)) => self.report_late(name),
            Err(reason) => self.faults.add(name, failed(source, &reason)),
        }
    }

    /// Returns whether a file comes with this crate, and not from the user.
    fn is_well_known(&self, name: &str) -> bool {
        well_known::has(name) && self.sources.get(name).is_none()
    }

    /// Parses the files that come with this crate and are imported, directly or indirectly.
    fn parse_well_known(&mut self) {
        let imports = self.units.values().flat_map(FileStage::imports);
        let imports = imports.filter(|name| self.is_well_known(name)).cloned();
        let mut open: Vec<String> = imports.collect();
        open.push(well_known::DESCRIPTOR.to_owned());
        while let Some(name) = open.pop() {
            let Some((name, text)) = well_known::file(&name) else {
                continue;
            };
            if self.well_known.contains_key(name) {
                continue;
            }
            let known = self.known.get(name).cloned();
            let unit = known.map(FileStage::Linked).or_else(|| {
                // These files are few and known, so no time limit is needed, and they have no
                // errors.
                let parsed = parse(name, text, &Budget::unlimited()).ok()?;
                Some(FileStage::Parsed(Box::new(parsed)))
            });
            if let Some(unit) = unit {
                open.extend(unit.imports().cloned());
                self.well_known.insert(name, unit);
            }
        }
    }

    /// Links a file that comes with this crate, and its imports.
    fn link_well_known(&mut self, name: &str, linker: &mut Linker) {
        let Some((name, unit)) = self.well_known.remove_entry(name) else {
            return;
        };
        for import in unit.imports() {
            self.link_well_known(import, linker);
        }
        let budget = Budget::unlimited();
        let text = well_known::text(name).unwrap_or_default();
        let faults = match &unit {
            FileStage::Parsed(parsed) => linker.link(parsed, &SourceFile::new(name, text), &budget),
            FileStage::Linked(linked) => linker.adopt(linked, NamesRead::Now, &budget),
        };
        // There are no faults unless a user's file that was linked earlier defines the same name or
        // extension number.
        let faults = faults.unwrap_or_default().into_iter();
        self.faults.list.extend(faults.map(|fault| ("", fault)));
    }
}

/// Runs work on one file. A panic is caught here, and not at the end of the thread, so that the
/// file can be named. The error is the message of the panic.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| reason(&*panic))
}

fn listed(names: &[&str]) -> String {
    match names.len().checked_sub(NAMES_LISTED_MAX) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMES_LISTED_MAX].join(", ")),
    }
}
