//! The front end in this binary: protox, file by file, until every fault of every file is known.
//!
//! protox stops at a file's first fault, in the first faulty file. So each file is parsed on its
//! own, files are ordered by their imports here, and each is then linked on its own; one that
//! imports a faulty one is not judged, and the faulty one's diagnostic says so. Faults that protox
//! reports without a place get one from the file's outline.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use protobuf::Message;
use protobuf::descriptor::{FileDescriptorProto, FileDescriptorSet};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::fault::{
    failed, faults_of, import_place, linked_offset, missing, refused, with_other_half,
};
use super::reason;
use super::sources::{Sources, WELL_KNOWN};
use super::verify::verify;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// Files with faults that a run reports: after so many, more would help nobody.
const MAX_FAULTY_FILES: usize = 100;

/// Names that a note lists before it says "and N more".
const LISTED: usize = 5;

/// The descriptors of all files without a fault; `found` says what is wrong with the others.
pub(super) fn compile(sources: &Sources, found: &mut Diagnostics) -> Vec<FileDescriptorProto> {
    let mut run = Run {
        sources,
        parsed: BTreeMap::new(),
        faults: Faults::default(),
    };
    run.parse();
    run.find_missing_imports();
    let order = run.order();
    let files = run.link(&order);
    verify(&files, |name| sources.get(name).map(|s| &s.file), found);
    run.faults.report(found);
    files
}

struct Run<'a> {
    sources: &'a Sources,
    parsed: BTreeMap<&'a str, File>,
    faults: Faults<'a>,
}

/// What is wrong, and with which file.
#[derive(Default)]
struct Faults<'a> {
    list: Vec<(&'a str, Diagnostic)>,
    faulty: HashSet<&'a str>,
    /// Files that weren't judged, and the faulty file that is the reason.
    unjudged: BTreeMap<&'a str, &'a str>,
}

impl<'a> Faults<'a> {
    fn add(&mut self, name: &'a str, diagnostic: Diagnostic) {
        self.faulty.insert(name);
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
    fn parse(&mut self) {
        for (name, source) in self.sources.iter() {
            if self.faults.faulty.len() >= MAX_FAULTY_FILES {
                return;
            }
            if let Some(refused) = refused(source) {
                self.faults.add(name, refused);
                continue;
            }
            let text = source.file.text.as_str();
            match catch_unwind(|| File::from_source(name, text)) {
                Ok(Ok(file)) => {
                    self.parsed.insert(name, file);
                }
                Ok(Err(error)) => {
                    for fault in faults_of(&error, source, &|bytes| bytes) {
                        self.faults.add(name, fault);
                    }
                }
                Err(panic) => self.faults.add(name, failed(source, &reason(&*panic))),
            }
        }
    }

    fn find_missing_imports(&mut self) {
        for (name, file) in &self.parsed {
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            for import in &file.file_descriptor_proto().dependency {
                if self.sources.get(import).is_none() && !WELL_KNOWN.contains(&import.as_str()) {
                    self.faults.add(name, missing(import, source, self.sources));
                }
            }
        }
    }

    /// The parsed files, imports before importers; whatever is in a cycle is a fault.
    fn order(&mut self) -> Vec<&'a str> {
        let mut importers: HashMap<&str, Vec<&'a str>> = HashMap::new();
        let mut waits: BTreeMap<&'a str, usize> = BTreeMap::new();
        for (&name, file) in &self.parsed {
            let imports: BTreeSet<_> = file.file_descriptor_proto().dependency.iter().collect();
            let known = imports
                .into_iter()
                .filter_map(|i| self.parsed.get_key_value(i.as_str()));
            let count = known
                .map(|(i, _)| importers.entry(i).or_default().push(name))
                .count();
            waits.insert(name, count);
        }
        let mut ready: BTreeSet<&'a str> = BTreeSet::new();
        ready.extend(
            waits
                .iter()
                .filter(|(_, count)| **count == 0)
                .map(|(name, _)| *name),
        );
        let mut order = Vec::with_capacity(waits.len());
        loop {
            while let Some(name) = ready.pop_first() {
                waits.remove(name);
                order.push(name);
                for importer in importers.remove(name).unwrap_or_default() {
                    if let Some(count) = waits.get_mut(importer) {
                        *count -= 1;
                        ready.extend((*count == 0).then_some(importer));
                    }
                }
            }
            // Whatever still waits is in a cycle or behind one.
            let Some(start) = waits.keys().next().copied() else {
                return order;
            };
            let cycle = self.cycle_from(start, &waits);
            self.report_cycle(&cycle);
            for name in &cycle {
                // Its importers are let go on: they will find it faulty.
                waits.remove(name);
                ready.insert(name);
            }
        }
    }

    /// Follows imports that wait themselves, which each of `waits` has, until one comes again.
    fn cycle_from(&self, start: &'a str, waits: &BTreeMap<&'a str, usize>) -> Vec<&'a str> {
        let mut chain = vec![start];
        let mut at: HashMap<&str, usize> = HashMap::from([(start, 0)]);
        loop {
            let last = chain[chain.len() - 1];
            let imports = &self.parsed[last].file_descriptor_proto().dependency;
            let next = imports.iter().find_map(|i| waits.get_key_value(i.as_str()));
            let Some((&next, _)) = next else { return chain };
            if let Some(&first) = at.get(next) {
                return chain.split_off(first);
            }
            at.insert(next, chain.len());
            chain.push(next);
        }
    }

    fn report_cycle(&mut self, cycle: &[&'a str]) {
        let (Some(&first), Some(&last)) = (cycle.first(), cycle.last()) else {
            return;
        };
        let Some(source) = self.sources.get(last) else {
            return;
        };
        let message = if cycle.len() == 1 {
            "the file imports itself".to_owned()
        } else {
            format!("import cycle of {} files", cycle.len())
        };
        let mut fault = Diagnostic::error(message)
            .at(import_place(source, first))
            .label("closes the cycle")
            .help("move what both sides need into a file of its own");
        if cycle.len() > 1 {
            let shown: Vec<_> = cycle.iter().take(LISTED + 1).copied().collect();
            let dots = if cycle.len() > shown.len() {
                " → …"
            } else {
                ""
            };
            fault = fault.note(format!("{}{dots} → {first}", shown.join(" → ")));
        }
        self.faults.add(last, fault);
        self.faults.faulty.extend(cycle);
    }

    /// Links the files in order, those that can be judged.
    fn link(&mut self, order: &[&'a str]) -> Vec<FileDescriptorProto> {
        let mut resolver = ChainFileResolver::new();
        let files = self
            .parsed
            .iter()
            .map(|(name, file)| ((*name).to_owned(), file.clone()));
        resolver.add(Parsed(files.collect()));
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(true);
        for &name in order {
            let Some(source) = self.sources.get(name) else {
                continue;
            };
            if self.faults.faulty.contains(name) {
                continue;
            }
            if self.faults.faulty.len() >= MAX_FAULTY_FILES {
                break;
            }
            let imports = &self.parsed[name].file_descriptor_proto().dependency;
            // A file that was never parsed has a fault, too.
            if let Some(culprit) = imports.iter().find_map(|i| self.faults.culprit(i)) {
                self.faults.unjudged.insert(name, culprit);
                continue;
            }
            // Caught here and not at the thread's end, so that the file can be named.
            match catch_unwind(AssertUnwindSafe(|| compiler.open_file(name).err())) {
                Ok(None) => {}
                Ok(Some(error)) => {
                    let at = |offset| linked_offset(&source.file.text, offset);
                    for fault in faults_of(&error, source, &at) {
                        self.faults.add(name, with_other_half(fault, self.sources));
                    }
                }
                Err(panic) => self.faults.add(name, failed(source, &reason(&*panic))),
            }
        }
        let bytes = compiler.encode_file_descriptor_set();
        match FileDescriptorSet::parse_from_bytes(&bytes) {
            Ok(set) => set.file,
            Err(error) => {
                let message = format!("the compiled descriptors can't be read: {error}");
                self.faults.list.push(("", Diagnostic::error(message)));
                Vec::new()
            }
        }
    }
}

/// The parsed files, for protox to take.
struct Parsed(HashMap<String, File>);

impl FileResolver for Parsed {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let file = self.0.get(name).cloned();
        file.ok_or_else(|| protox::Error::file_not_found(name))
    }
}

fn listed(names: &[&str]) -> String {
    match names.len().checked_sub(LISTED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..LISTED].join(", ")),
    }
}
