//! The order in which files are linked, and cycles of imports.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{NAMES_LISTED_MAX, Run};
use crate::file_faults::import_place;
use gateway_diagnostic::Diagnostic;

impl<'a> Run<'a> {
    /// Returns the files to link, imports before importers, and reports each import cycle as an
    /// error.
    pub(super) fn order(&mut self) -> Vec<&'a str> {
        let mut importers: HashMap<&str, Vec<&'a str>> = HashMap::new();
        let mut pending: BTreeMap<&'a str, usize> = BTreeMap::new();
        for (&name, file) in &self.units {
            let imports: BTreeSet<_> = file.imports().collect();
            let known = imports
                .into_iter()
                .filter_map(|i| self.units.get_key_value(i.as_str()));
            let count = known
                .map(|(i, _)| importers.entry(i).or_default().push(name))
                .count();
            pending.insert(name, count);
        }
        let mut ready: BTreeSet<&'a str> = BTreeSet::new();
        ready.extend(
            pending
                .iter()
                .filter(|(_, count)| **count == 0)
                .map(|(name, _)| *name),
        );
        let mut order = Vec::with_capacity(pending.len());
        loop {
            while let Some(name) = ready.pop_first() {
                pending.remove(name);
                order.push(name);
                for importer in importers.remove(name).unwrap_or_default() {
                    if let Some(count) = pending.get_mut(importer) {
                        *count -= 1;
                        ready.extend((*count == 0).then_some(importer));
                    }
                }
            }
            // Every pending file is in a cycle, or imports a file in a cycle, directly or
            // indirectly.
            let Some(start) = pending.keys().next().copied() else {
                return order;
            };
            let cycle = self.cycle_from(start, &pending);
            self.report_cycle(&cycle);
            for name in &cycle {
                // The importers of this file are still processed, and find that the file has an
                // error.
                pending.remove(name);
                ready.insert(name);
            }
        }
    }

    /// Follows imports from `start` until a file repeats, and returns the files in this cycle. Only
    /// imports that lead to `pending` files are followed. Every pending file has such an import.
    fn cycle_from(&self, start: &'a str, pending: &BTreeMap<&'a str, usize>) -> Vec<&'a str> {
        let mut chain = vec![start];
        let mut at: HashMap<&str, usize> = HashMap::from([(start, 0)]);
        loop {
            let last = chain[chain.len() - 1];
            let mut imports = self.units[last].imports();
            let next = imports.find_map(|i| pending.get_key_value(i.as_str()));
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
        let (message, help) = match cycle.len() {
            1 => ("the file imports itself".to_owned(), "remove the import"),
            files => (
                format!("import cycle of {files} files"),
                "move the shared definitions into a file that imports none of these files",
            ),
        };
        let mut fault = Diagnostic::error(message)
            .at(import_place(source, first))
            .label("closes the cycle")
            .help(help);
        if cycle.len() > 1 {
            let shown: Vec<_> = cycle.iter().take(NAMES_LISTED_MAX + 1).copied().collect();
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
}
