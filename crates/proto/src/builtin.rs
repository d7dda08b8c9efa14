//! The front end in this binary: each file parsed by itself, then
//! linked after its imports, until every fault of every file is known.
//!
//! A file that imports a faulty one is not judged, and the faulty one's diagnostic says so.

mod order;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protobuf::descriptor::FileDescriptorProto;

use crate::budget::{Budget, OutOfTime};
use crate::cache::Cache;
use crate::file_faults::{failed, missing, too_deep};
use crate::linked::LinkedFile;
use crate::linker::Linker;
use crate::parsed::Parsed;
use crate::parser::{ParseError, parse};
use crate::report::MAX_FAULTS;
use crate::sources::{ProtoSource, ProtoSources};
use crate::stack::reason;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile};

/// Files with faults that a run reports: after so many, more would help nobody.
const MAX_FAULTY_FILES: usize = 100;

/// How long a run may take: several times what all of googleapis takes on a slow machine. It is looked at
/// between files and within each, so that it holds for a file that is made to be slow, too.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Names that a note lists before it says "and N more".
const LISTED: usize = 5;

/// Returns the descriptors of all files without a fault; `found` says what is wrong with the others.
/// What `cache` has of an earlier compile is taken over; what this one makes takes its place.
pub(super) fn compile(
    sources: &ProtoSources,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Vec<FileDescriptorProto> {
    compile_within(TIME_LIMIT, sources, cache, found)
}

fn compile_within(
    limit: Duration,
    sources: &ProtoSources,
    cache: &mut Cache,
    found: &mut Diagnostics,
) -> Vec<FileDescriptorProto> {
    let mut run = Run::new(sources, std::mem::take(cache), limit);
    let files;
    (files, *cache) = run.files();
    run.faults.report(found);
    files
}

struct Run<'a> {
    sources: &'a ProtoSources,
    units: BTreeMap<&'a str, Unit>,
    /// The files that are as they were in the last compile.
    known: HashMap<String, Arc<LinkedFile>>,
    faults: Faults<'a>,
    limit: Duration,
    budget: Budget,
}

/// One file, as far as it is.
enum Unit {
    Parsed(Box<Parsed>),
    /// In the last compile.
    Linked(Arc<LinkedFile>),
}

impl Unit {
    fn imports(&self) -> impl Iterator<Item = &String> {
        let (imports, options) = match self {
            Unit::Parsed(parsed) => (&parsed.file.dependency, &parsed.option_imports),
            Unit::Linked(linked) => (&linked.file.dependency, &linked.option_imports),
        };
        imports.iter().chain(options)
    }
}

/// What is wrong, and with which file.
#[derive(Default)]
struct Faults<'a> {
    list: Vec<(&'a str, Diagnostic)>,
    faulty: HashSet<&'a str>,
    /// Files that weren't judged, and the faulty file that is the reason.
    unjudged: BTreeMap<&'a str, &'a str>,
    /// The time limit was passed: nothing more is judged.
    late: bool,
}

impl<'a> Faults<'a> {
    fn add(&mut self, name: &'a str, diagnostic: Diagnostic) {
        if diagnostic.severity == Severity::Error {
            self.faulty.insert(name);
        }
        self.list.push((name, diagnostic));
    }

    /// The faulty file that keeps a file which imports `name` from being judged.
    fn culprit(&self, name: &str) -> Option<&'a str> {
        let unjudged = self.unjudged.get(name).copied();
        unjudged.or_else(|| self.faulty.get(name).copied())
    }

    fn report(self, found: &mut Diagnostics) {
        if self.faulty.len() >= MAX_FAULTY_FILES {
            let message =
                format!("{MAX_FAULTY_FILES} files have faults; not all others were checked");
            found.push(Diagnostic::error(message));
        }
        let mut waiting: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, culprit) in self.unjudged {
            waiting.entry(culprit).or_default().push(name);
        }
        for (name, diagnostic) in self.list {
            // With the file's first fault only.
            found.push(match waiting.remove(name) {
                None => diagnostic,
                Some(names) => diagnostic.note(format!(
                    "not checked, because they import it: {}",
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
            known: cache.unchanged(sources),
            faults: Faults::default(),
            limit,
            budget: Budget::until(Instant::now() + limit),
        }
    }

    /// All files without a fault, and what the next run may take over.
    fn files(&mut self) -> (Vec<FileDescriptorProto>, Cache) {
        self.parse();
        self.find_missing_imports();
        let order = self.order();
        self.link(&order)
    }

    fn parse(&mut self) {
        for (name, source) in self.sources.iter() {
            if self.faults.faulty.len() >= MAX_FAULTY_FILES {
                return;
            }
            if let Some(known) = self.known.get(name) {
                self.units.insert(name, Unit::Linked(Arc::clone(known)));
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
                    self.units.insert(name, Unit::Parsed(Box::new(file)));
                }
                Ok(Err(ParseError::Faults(faults))) => faults
                    .into_iter()
                    .for_each(|fault| self.faults.add(name, fault.within(&source.file))),
                Ok(Err(ParseError::OutOfTime)) => self.late(name),
                Err(reason) => self.faults.add(name, failed(source, &reason)),
            }
        }
    }

    /// Returns whether the time is over; reports it, once.
    fn is_late(&mut self, name: &'a str) -> bool {
        if !self.faults.late && self.budget.look().is_err() {
            self.late(name);
        }
        self.faults.late
    }

    fn late(&mut self, name: &'a str) {
        self.faults.late = true;
        let limit = self.limit.as_secs();
        let fault = Diagnostic::error(format!("compiling takes longer than {limit} s"))
            .note(format!("the time was up at {name}"))
            .help("let proto.import_paths name the directories with this gateway's schemas only");
        // It may be linked, but not verified.
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
            for import in absent.by_ref().take(MAX_FAULTS) {
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

    /// Links the files in order, those that can be judged.
    fn link(&mut self, order: &[&'a str]) -> (Vec<FileDescriptorProto>, Cache) {
        let mut linker = Linker::default();
        // What options are read by, whether a file imports it or not.
        self.bring(well_known::DESCRIPTOR, &mut linker);
        for &name in order {
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            if self.faults.faulty.contains(name) {
                continue;
            }
            if self.faults.faulty.len() >= MAX_FAULTY_FILES || self.is_late(name) {
                break;
            }
            // A file that was never parsed has a fault, too.
            let unit = &self.units[name];
            if let Some(culprit) = unit.imports().find_map(|i| self.faults.culprit(i)) {
                self.faults.unjudged.insert(name, culprit);
                continue;
            }
            self.link_file(name, source, &mut linker);
            if linker.is_full_of_names() {
                break;
            }
            if linker.is_overgrown() {
                let fault =
                    Diagnostic::error("the files import each other publicly in too long chains");
                self.faults.add(
                    name,
                    fault
                        .at(source.file.place(1, 1, 1))
                        .help("import what a file needs itself"),
                );
                break;
            }
        }
        let sound = |linked: &&Arc<LinkedFile>| !self.faults.faulty.contains(linked.file.name());
        let cache = Cache::of(linker.files().all().filter(sound));
        let files = linker.files().imported().filter(sound);
        (files.map(|linked| linked.file.clone()).collect(), cache)
    }

    /// Links a file whose imports of the user's are linked.
    fn link_file(&mut self, name: &'a str, source: &ProtoSource, linker: &mut Linker) {
        let imports = self.units[name].imports();
        let brought: Vec<_> = imports.filter(|i| well_known::has(i)).cloned().collect();
        for import in &brought {
            self.bring(import, linker);
        }
        let link = || match &self.units[name] {
            Unit::Parsed(parsed) => linker.link(parsed, &source.file, &self.budget),
            Unit::Linked(linked) => linker.adopt(linked, &self.budget),
        };
        match guarded(link) {
            Ok(Ok(faults)) => faults
                .into_iter()
                .for_each(|fault| self.faults.add(name, fault)),
            Ok(Err(OutOfTime)) => self.late(name),
            Err(reason) => self.faults.add(name, failed(source, &reason)),
        }
    }

    /// Links a file that comes with this crate, and what it imports.
    fn bring(&mut self, name: &str, linker: &mut Linker) {
        let Some(text) = well_known::text(name) else {
            return;
        };
        if linker.files().named(name).is_some() {
            return;
        }
        // Such files are few and known.
        let budget = Budget::unlimited();
        let known = self.known.get(name).cloned();
        let unit = match known.map(Unit::Linked) {
            Some(unit) => unit,
            None => match parse(name, text, &budget) {
                Ok(parsed) => Unit::Parsed(Box::new(parsed)),
                // No text that comes with this crate has a fault.
                Err(ParseError::Faults(_) | ParseError::OutOfTime) => return,
            },
        };
        for import in unit.imports() {
            self.bring(import, linker);
        }
        let faults = match &unit {
            Unit::Parsed(parsed) => linker.link(parsed, &SourceFile::new(name, text), &budget),
            Unit::Linked(linked) => linker.adopt(linked, &budget),
        };
        // None, unless a user's file takes one of its names: that is told there.
        let faults = faults.unwrap_or_default().into_iter();
        self.faults.list.extend(faults.map(|fault| ("", fault)));
    }
}

/// Runs work on one file. A panic is caught here, and not at the end of the thread, so that the file
/// can be named. The error is the message of the panic.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| reason(&*panic))
}

fn listed(names: &[&str]) -> String {
    match names.len().checked_sub(LISTED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}
