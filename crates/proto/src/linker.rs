//! The pass that links parsed files into descriptors: it resolves names, reads options and runs all
//! checks.
//!
//! Files are added one by one, imports before importers. A file's descriptor depends only on its
//! text and its imports. The linker holds the definitions of all files, to find names and extension
//! numbers that are used twice.

mod clash;
mod resolve;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use protobuf::descriptor::FileDescriptorProto;

use crate::budget::{Budget, OutOfTime};
use crate::facts::{Facts, public_imports};
use crate::features::Features;
use crate::lazy::LazyDescriptor;
use crate::linked::{LinkedFile, LinkedFiles};
use crate::options::{OptionGroup, OptionsReading};
use crate::parsed::Parsed;
use crate::report::FaultReport;
use crate::symbols::{Unfit, View};
use crate::{path, verify};
use gateway_diagnostic::{Diagnostic, SourceFile};

/// The maximum total length of the lists in [`Linker::public`]. The list of a file contains the
/// file and its public imports, direct and indirect. If 20,000 files formed a chain of public
/// imports, the total would be 200 million. For googleapis, the total is the number of files.
const PUBLIC_IMPORTS_MAX: usize = 5_000_000;

/// The time at which the names of a reused file are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamesRead {
    /// At once, because other files may use or define these names.
    Now,
    /// Only after a look-up has failed. The diagnostic of the look-up then says which file defines
    /// the name.
    OnDemand,
}

/// The pass over all files.
#[derive(Default)]
pub(super) struct Linker {
    files: LinkedFiles,
    /// For each file, the index of the file and the indices of its public imports, direct and
    /// indirect.
    public: Vec<Vec<usize>>,
    public_total: usize,
    /// The index of the file that defines an extension, by the extended message and the number of
    /// the extension.
    extensions: HashMap<String, HashMap<i32, usize>>,
}

impl Linker {
    /// Returns all files linked so far.
    pub(crate) fn files(&self) -> &LinkedFiles {
        &self.files
    }

    /// Returns all files linked so far, and drops everything else.
    pub(crate) fn into_files(self) -> LinkedFiles {
        self.files
    }

    /// Links a file whose imports are linked. Returns the errors and warnings of the file.
    pub(crate) fn link(
        &mut self,
        parsed: &Parsed,
        source: &Arc<SourceFile>,
        budget: &Budget,
    ) -> Result<Vec<Diagnostic>, OutOfTime> {
        let at = self.files.len();
        let mut file = parsed.file.clone();
        let mut report = FaultReport::of(&parsed.locations, source, budget);
        let names_before = self.files.symbols().bytes();
        let named = self.add_names(at, &file, &mut report)?;
        let names_bytes = self.files.symbols().bytes() - names_before;
        let (view, options_view) = self.views(at, &file, &parsed.option_imports);
        if named {
            resolve::types(&self.files, &view, &mut file, &mut report)?;
        }
        self.register(at, file.name(), public_imports(&file));
        // Reading options adds the locations of the options to `source_code_info`. The locations of
        // the linked file must contain these locations, too.
        let linked = |mut file: FileDescriptorProto| LinkedFile {
            features: Features::of_file(&file),
            locations: parsed
                .locations
                .with(&file.source_code_info.take().unwrap_or_default()),
            facts: Arc::new(Facts::of(&file)),
            file: Arc::new(LazyDescriptor::new(file)),
            names_bytes,
            edition: parsed.edition,
            source: Arc::clone(source),
        };
        self.files.push(Arc::new(linked(file.clone())));
        // The file cannot be checked further without all of its names and types.
        if report.has_faults() {
            return report.into_diagnostics();
        }
        let options = OptionsReading {
            at,
            parsed,
            types: &view,
            options: &options_view,
        };
        // The form of an option's value may depend on the features of a message of the same file.
        if parsed.edition.is_edition() {
            options.read(OptionGroup::Features, &self.files, &mut file, &mut report)?;
            self.files.replace(at, linked(file.clone()));
        }
        options.read(OptionGroup::Others, &self.files, &mut file, &mut report)?;
        self.files.replace(at, linked(file));
        if report.has_faults() {
            return report.into_diagnostics();
        }
        // Unlike the first report, this report also has the places of the options.
        let linked = Arc::clone(self.files.file(at));
        let mut report = FaultReport::of(&linked.locations, source, budget);
        verify::verify(&self.files, at, parsed, &options_view, &mut report)?;
        self.extension_numbers(at, &mut report);
        report.into_diagnostics()
    }

    /// Adds a file that an earlier run linked with the same imports. Returns the errors and
    /// warnings for names and extension numbers that another file also defines.
    pub(crate) fn adopt(
        &mut self,
        linked: &Arc<LinkedFile>,
        names: NamesRead,
        budget: &Budget,
    ) -> Result<Vec<Diagnostic>, OutOfTime> {
        let at = self.files.len();
        let source = Arc::clone(&linked.source);
        let mut report = FaultReport::of(&linked.locations, &source, budget);
        if names == NamesRead::Now || !self.files.add_unread(at, linked) {
            self.add_names(at, &linked.file, &mut report)?;
        }
        self.register(at, linked.name(), linked.facts.public_imports.iter());
        self.files.push(Arc::clone(linked));
        self.extension_numbers(at, &mut report);
        report.into_diagnostics()
    }

    /// Adds the names that a file defines, and reports clashes. Returns false if a name exceeds a
    /// limit.
    fn add_names(
        &mut self,
        at: usize,
        file: &FileDescriptorProto,
        report: &mut FaultReport,
    ) -> Result<bool, OutOfTime> {
        let (clashes, unfit) = self.files.add_names(at, file, report.budget())?;
        self.clashes(at, file, &clashes, report);
        let fits = unfit.is_none();
        if let Some(Unfit { why, path }) = unfit {
            let place = [&path[..], &[path::NAME]].concat();
            report.fault(why, &place, "", "choose shorter names");
        }
        Ok(fits)
    }

    /// Returns whether the names of all files together are too long.
    pub(crate) fn is_full_of_names(&self) -> bool {
        self.files.symbols().is_full()
    }

    fn register<'f>(
        &mut self,
        at: usize,
        name: &str,
        public_imports: impl Iterator<Item = &'f String>,
    ) {
        self.files.name(name, at);
        let mut public = vec![at];
        for import in public_imports {
            let import = self.files.index_of(import);
            let import = import.and_then(|at| self.public.get(at));
            public.extend(import.into_iter().flatten());
        }
        public.sort_unstable();
        public.dedup();
        self.public_total += public.len();
        self.public.push(public);
    }

    /// Returns whether the public imports of all files exceed [`PUBLIC_IMPORTS_MAX`].
    pub(crate) fn is_overgrown(&self) -> bool {
        self.public_total > PUBLIC_IMPORTS_MAX
    }

    /// Returns two views of a file: the names that its types may use, and the names that its
    /// options may use.
    fn views(
        &self,
        at: usize,
        file: &FileDescriptorProto,
        option_imports: &[String],
    ) -> (View, View) {
        let seen = |imports: &[String]| {
            let known = imports.iter().filter_map(|name| self.files.index_of(name));
            known
                .flat_map(|at| self.public[at].iter().copied())
                .collect::<Vec<_>>()
        };
        let mut files: HashSet<usize> = seen(&file.dependency).into_iter().collect();
        files.insert(at);
        let option_files = seen(option_imports).into_iter().collect();
        let symbols = self.files.symbols();
        (
            symbols.view(files.clone(), HashSet::new()),
            symbols.view(files, option_files),
        )
    }
}
