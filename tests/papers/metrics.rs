//! The tables of docs/metrics.md are what /metrics shows.

use std::collections::{BTreeMap, BTreeSet};

use gateway::reply::Reason;

use crate::support::gateway::yaml;
use crate::support::process::{Family, Metrics, Process};
use crate::support::sockets::{receive, send};

/// A row of the reference: what is declared, and by which labels it is told apart.
type Row = (Family, BTreeSet<String>);

/// The rows of a part of docs/metrics.md, by name.
fn reference(part: &str) -> BTreeMap<String, Row> {
    let rows = part.lines().filter(|line| line.starts_with("| `gateway_"));
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else {
            panic!("{line}");
        };
        let labels = labels
            .split(", ")
            .filter(|it| !it.is_empty())
            .map(str::to_owned);
        let family = Family {
            kind: kind.to_owned(),
            help: help.to_owned(),
        };
        (
            name.trim_matches('`').to_owned(),
            (family, labels.collect()),
        )
    });
    rows.collect()
}

/// The rows that /metrics would have.
fn shown(metrics: &Metrics) -> BTreeMap<String, Row> {
    let rows = metrics.families.iter().map(|(name, family)| {
        let suffix = match &*family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = format!("{name}{suffix}");
        let of_it = |it: &str| it == name || it.strip_suffix("_count") == Some(&*name);
        let labels = metrics.samples.keys().filter(|(it, _)| of_it(it));
        let labels = labels.flat_map(|(_, labels)| labels);
        let labels = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
        let labels = labels.collect();
        (name, (family.clone(), labels))
    });
    rows.collect()
}

#[test]
fn the_reference_says_what_is_shown() {
    let text = include_str!("../../docs/metrics.md");
    let (always, at_times) = text.split_once("Only where the engine can tell").unwrap();
    let (always, at_times) = (reference(always), reference(at_times));
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["nobody's", ""]);
    receive(&client);
    let _worker = process.peer(&context, zmq::DEALER, "pool people");
    process.await_metrics("a worker", |metrics| {
        metrics.sum("gateway_pool_workers", &[]) == 1.0
    });
    let mut shown = shown(&process.metrics());
    for (name, row) in &at_times {
        if let Some(it) = shown.remove(name) {
            assert_eq!(it, *row, "{name}");
        }
    }
    for (name, row) in &always {
        assert_eq!(shown.get(name), Some(row), "{name}");
    }
    let unsaid: Vec<_> = shown
        .keys()
        .filter(|it| !always.contains_key(*it))
        .collect();
    assert!(unsaid.is_empty(), "not in docs/metrics.md: {unsaid:?}");
    for reason in Reason::ALL {
        let page = include_str!("../../docs/rejections.md");
        assert!(page.contains(&format!("| `{}` |", reason.label())));
    }
}
