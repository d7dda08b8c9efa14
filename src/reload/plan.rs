//! The difference between two snapshots.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::route::Table;
use crate::snapshot::{Route, Snapshot};

/// The difference between two snapshots, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Frontends.
    pub frontends: Changes,
    /// Pools.
    pub pools: Changes,
    /// Routes.
    pub routes: Changes,
    /// .proto files.
    pub protos: Changes,
    /// Sections of routes.yaml that are no list of named things.
    pub settings: Vec<&'static str>,
}

/// What happens to things of one kind, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// In the new snapshot only.
    pub added: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
    /// In the old snapshot only.
    pub removed: Vec<String>,
}

impl Plan {
    /// What it takes to get from `old` to `new`.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        // Named one by one, so that a new part of a snapshot can't be forgotten here. What is in the parts is
        // compared as derived, so a new key is a change without further ado; `tests/reload/plan.rs` holds every key
        // of routes.yaml to that. How files are read (`proto.compiler`) and judged (`proto.breaking`) is no part
        // of what runs: an edit of that alone changes nothing, and holds for the next reload.
        let Snapshot {
            generation: _,
            engine,
            frontends,
            pools,
            routes,
            protos,
            // Of the .proto files.
            definitions: _,
            limits,
            grace,
            reload,
            admin,
            names: _,
        } = old;
        let by_pattern = |routes: &Table<Route>| -> BTreeMap<_, _> {
            let routes = routes.iter();
            routes
                .map(|(pattern, route)| (pattern, route.clone()))
                .collect()
        };
        let settings = [
            ("engine", *engine != new.engine),
            ("limits", *limits != new.limits),
            ("shutdown", *grace != new.grace),
            ("reload", *reload != new.reload),
            ("admin", *admin != new.admin),
        ];
        Self {
            frontends: Changes::between(frontends, &new.frontends, |_, it| it.name.clone()),
            pools: Changes::between(pools, &new.pools, |_, it| it.name.clone()),
            routes: Changes::between(&by_pattern(routes), &by_pattern(&new.routes), |_, it| {
                it.name.clone()
            }),
            protos: Changes::between(protos, &new.protos, |name, _| name.clone()),
            settings: settings
                .into_iter()
                .filter(|it| it.1)
                .map(|it| it.0)
                .collect(),
        }
    }

    /// Whether both snapshots do the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Changes {
    fn between<K: Ord, V: PartialEq>(
        old: &BTreeMap<K, V>,
        new: &BTreeMap<K, V>,
        name: impl Fn(&K, &V) -> String,
    ) -> Self {
        let mut changes = Self::default();
        for (key, value) in new {
            match old.get(key) {
                None => changes.added.push(name(key, value)),
                Some(before) if before != value => changes.changed.push(name(key, value)),
                Some(_) => {}
            }
        }
        let removed = old.iter().filter(|(key, _)| !new.contains_key(key));
        changes.removed = removed.map(|(key, value)| name(key, value)).collect();
        changes
    }
}

/// Names that a part of the line gives; more are only counted.
const NAMED_MAX: usize = 4;

/// Characters of a name that the line gives.
const NAME_WIDTH: usize = 40;

/// `+2 routes (A, B), ~1 pool (people), -7 .proto files, limits`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (changes, what) in [
            (&self.frontends, "frontend"),
            (&self.pools, "pool"),
            (&self.routes, "route"),
            (&self.protos, ".proto file"),
        ] {
            for (sign, names) in [
                ('+', &changes.added),
                ('~', &changes.changed),
                ('-', &changes.removed),
            ] {
                let several = if names.len() == 1 { "" } else { "s" };
                match names.len() {
                    0 => {}
                    n @ 1..=NAMED_MAX => {
                        parts.push(format!("{sign}{n} {what}{several} ({})", listed(names)));
                    }
                    n => parts.push(format!("{sign}{n} {what}{several}")),
                }
            }
        }
        parts.extend(self.settings.iter().map(|setting| (*setting).to_owned()));
        match parts.is_empty() {
            true => f.write_str("nothing changed"),
            false => f.write_str(&parts.join(", ")),
        }
    }
}

/// Names for one line of a log, whatever characters a file has in them.
fn listed(names: &[String]) -> String {
    let shown = names.iter().map(|name| {
        let mut characters = name.chars();
        let start: String = characters.by_ref().take(NAME_WIDTH).collect();
        let dots = if characters.next().is_some() {
            "…"
        } else {
            ""
        };
        format!("{}{dots}", start.escape_debug())
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_what_is_few() {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        let plan = Plan {
            routes: Changes {
                added: names(&["A", "B\n"]),
                removed: names(&["1", "2", "3", "4", "5"]),
                changed: Vec::new(),
            },
            pools: Changes {
                changed: names(&[&"x".repeat(64)]),
                ..Changes::default()
            },
            settings: vec!["limits"],
            ..Plan::default()
        };
        let pool = "x".repeat(NAME_WIDTH);
        let expected = format!("~1 pool ({pool}…), +2 routes (A, B\\n), -5 routes, limits");
        assert_eq!(plan.to_string(), expected);
        assert_eq!(Plan::default().to_string(), "nothing changed");
    }
}
