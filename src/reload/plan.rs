//! The difference between two snapshots.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::route::RouteTable;
use crate::snapshot::{Route, Snapshot};

/// The difference between two snapshots, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The changes to frontends.
    pub frontends: Changes,
    /// The changes to pools.
    pub pools: Changes,
    /// The changes to channels.
    pub channels: Changes,
    /// The changes to routes.
    pub routes: Changes,
    /// The changes to .proto files.
    pub protos: Changes,
    /// The changed sections of routes.yaml that have no named entries.
    pub settings: Vec<&'static str>,
}

/// The changes to items of one type, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The names in the new snapshot only.
    pub added: Vec<String>,
    /// The names in both snapshots, with different content.
    pub changed: Vec<String>,
    /// The names in the old snapshot only.
    pub removed: Vec<String>,
}

impl Plan {
    /// Returns the changes from `old` to `new`.
    pub fn between(old: &Snapshot, new: &Snapshot) -> Self {
        // Every field is named, so that a new field of a snapshot cannot be forgotten here. The
        // whole content of the fields is compared, so a new key is part of the comparison without
        // further code; `tests/reload/plan.rs` checks this for every key of routes.yaml. The
        // options for reading files (`proto.compiler`) and for breaking changes (`proto.breaking`)
        // are not part of the running configuration. An edit of only these options changes nothing
        // in the running gateway, and applies to the next reload.
        let Snapshot {
            generation: _,
            engine,
            frontends,
            pools,
            channels,
            routes,
            protos,
            // The definitions change only with the .proto files, which are compared.
            definitions: _,
            limits,
            grace,
            reload,
            admin,
            log,
            names: _,
        } = old;
        let by_pattern = |routes: &RouteTable<Route>| -> BTreeMap<_, _> {
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
            ("log", *log != new.log),
        ];
        Self {
            frontends: Changes::between(frontends, &new.frontends, |_, frontend| {
                frontend.name.clone()
            }),
            pools: Changes::between(pools, &new.pools, |_, pool| pool.name.clone()),
            channels: Changes::between(channels, &new.channels, |_, channel| channel.name.clone()),
            routes: Changes::between(&by_pattern(routes), &by_pattern(&new.routes), |_, route| {
                route.name.clone()
            }),
            protos: Changes::between(protos, &new.protos, |name, _| name.clone()),
            settings: settings
                .into_iter()
                .filter(|(_, has_changed)| *has_changed)
                .map(|(setting, _)| setting)
                .collect(),
        }
    }

    /// Returns whether the plan has no changes.
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

/// The maximum number of names in a part of the text, such as `+2 routes (A, B)`. A part with more
/// names shows only their number.
const NAMED_MAX: usize = 4;

/// The maximum length of a name in the text, in characters.
const NAME_WIDTH_MAX: usize = 40;

/// Formats the plan, such as `+2 routes (A, B), ~1 pool (people), -7 .proto files, limits`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (changes, what) in [
            (&self.frontends, "frontend"),
            (&self.pools, "pool"),
            (&self.channels, "channel"),
            (&self.routes, "route"),
            (&self.protos, ".proto file"),
        ] {
            for (mark, names) in [
                ('+', &changes.added),
                ('~', &changes.changed),
                ('-', &changes.removed),
            ] {
                let plural = if names.len() == 1 { "" } else { "s" };
                match names.len() {
                    0 => {}
                    n @ 1..=NAMED_MAX => {
                        parts.push(format!("{mark}{n} {what}{plural} ({})", listed(names)));
                    }
                    n => parts.push(format!("{mark}{n} {what}{plural}")),
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

/// Returns names for one line of a log, each cut to [`NAME_WIDTH_MAX`] characters, with control
/// characters and quotes escaped.
fn listed(names: &[String]) -> String {
    let shown = names.iter().map(|name| {
        let mut characters = name.chars();
        let start: String = characters.by_ref().take(NAME_WIDTH_MAX).collect();
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
    fn a_plan_lists_names_if_they_are_few() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
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
        let pool = "x".repeat(NAME_WIDTH_MAX);
        let expected = format!("~1 pool ({pool}…), +2 routes (A, B\\n), -5 routes, limits");
        assert_eq!(plan.to_string(), expected);
        assert_eq!(Plan::default().to_string(), "nothing changed");
    }
}
