//! What changes from one snapshot to the next. Pure. `report` is what came of changing it.

mod report;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::route::Table;
use crate::snapshot::{Route, Snapshot};

pub use report::{Known, Outcome, Report, Standing};

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
        // Named one by one, so that a new part of a snapshot can't be forgotten here.
        let Snapshot {
            generation: _,
            engine,
            frontends,
            pools,
            routes,
            protos,
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

/// `+2 routes, ~1 pool, -1 .proto file, limits`.
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
                match names.len() {
                    0 => {}
                    1 => parts.push(format!("{sign}1 {what}")),
                    n => parts.push(format!("{sign}{n} {what}s")),
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
