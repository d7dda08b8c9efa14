//! Finds the unchanged files with definitions that a run needs. The descriptors of all other
//! unchanged files stay encoded.

use std::collections::HashSet;

use super::{FileStage, Run};
use crate::top_names::TopNames;

impl<'a> Run<'a> {
    /// Returns the unchanged files that a changed file imports, directly or indirectly. The result
    /// also contains the unchanged files that may define the same name as a changed file, or as a
    /// file that comes with this crate.
    ///
    /// No two unchanged files define the same name: the run that linked the second file would have
    /// found the error, and files with errors are not reused. The numbers of extensions are
    /// compared elsewhere, for all files.
    pub(super) fn needed(&self) -> HashSet<&'a str> {
        let mut needed = self.imported_by_changed();
        let mut added = AddedNames::default();
        for unit in self.units.values() {
            if let FileStage::Parsed(parsed) = unit {
                added.add(&TopNames::of(&parsed.file));
            }
        }
        for unit in self.well_known.values() {
            match unit {
                FileStage::Parsed(parsed) => added.add(&TopNames::of(&parsed.file)),
                FileStage::Linked(linked) => added.add(&linked.facts.names),
            }
        }
        for (&name, unit) in &self.units {
            if let FileStage::Linked(linked) = unit
                && added.may_clash_with(&linked.facts.names)
            {
                needed.insert(name);
            }
        }
        needed
    }

    fn imported_by_changed(&self) -> HashSet<&'a str> {
        let is_changed = |unit: &&FileStage| matches!(unit, FileStage::Parsed(_));
        let changed = self.units.values().filter(is_changed);
        let mut open: Vec<&String> = changed.flat_map(FileStage::imports).collect();
        let mut needed = HashSet::new();
        while let Some(name) = open.pop() {
            if let Some((&name, unit @ FileStage::Linked(_))) =
                self.units.get_key_value(name.as_str())
                && needed.insert(name)
            {
                open.extend(unit.imports());
            }
        }
        needed
    }
}

/// Hashes of names in the changed files and in the files that come with this crate.
#[derive(Default)]
struct AddedNames {
    /// The full names of the definitions at the top level of each file.
    definitions: HashSet<u64>,
    /// The package of each file, and the packages that contain this package.
    packages: HashSet<u64>,
}

impl AddedNames {
    fn add(&mut self, names: &TopNames) {
        self.definitions.extend(names.definitions());
        self.packages.extend(&names.packages);
    }

    /// Returns true if a definition of a file may have the name of one of these definitions or
    /// packages, or if a package of the file may have the name of one of these definitions.
    ///
    /// Since only hashes are compared, a result of true can be wrong. A result of false is always
    /// right.
    fn may_clash_with(&self, names: &TopNames) -> bool {
        let is_taken = |hash: &u64| self.definitions.contains(hash) || self.packages.contains(hash);
        let is_defined = |hash: &u64| self.definitions.contains(hash);
        names.definitions().any(|hash| is_taken(&hash)) || names.packages.iter().any(is_defined)
    }
}
