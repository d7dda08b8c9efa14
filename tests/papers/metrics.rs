//! Tests of the output of /metrics. The output matches the tables of docs/metrics.md, and its
//! names, types and labels follow the conventions of Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use gateway::reply::Reason;

use crate::support::gateway::yaml;
use crate::support::process::{Family, Metrics, Process};
use crate::support::sockets::{receive, send};

/// The type and the help text of a metric, and the names of its labels.
type Row = (Family, BTreeSet<String>);

/// Returns the metrics in a part of docs/metrics.md. The keys are the names.
fn reference(part: &str) -> BTreeMap<String, Row> {
    let is_metric =
        |line: &&str| line.starts_with("| `gateway_") || line.starts_with("| `process_");
    let rows = part.lines().filter(is_metric);
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else {
            panic!("{line}");
        };
        let labels = labels
            .split(", ")
            .filter(|label| !label.is_empty())
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

/// Returns the metrics in the output of /metrics. The keys are the names.
fn present(metrics: &Metrics) -> BTreeMap<String, Row> {
    let rows = metrics.families.iter().map(|(name, family)| {
        let suffix = match &*family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = format!("{name}{suffix}");
        let is_sample =
            |sample: &str| sample == name || sample.strip_suffix("_count") == Some(&*name);
        let labels = metrics
            .samples
            .keys()
            .filter(|(sample, _)| is_sample(sample));
        let labels = labels.flat_map(|(_, labels)| labels);
        let labels = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
        let labels = labels.collect();
        (name, (family.clone(), labels))
    });
    rows.collect()
}

#[test]
fn the_reference_lists_every_metric() {
    let text = include_str!("../../docs/metrics.md");
    let (required, optional) = text.split_once("Only with engine native").unwrap();
    let (required, optional) = (reference(required), reference(optional));
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["nobody's", ""]);
    receive(&client);
    let _worker = process.peer(&context, zmq::DEALER, "pool people");
    process.await_metrics("a worker", |metrics| {
        metrics.sum("gateway_pool_workers", &[]) == 1.0
    });
    let mut present = present(&process.metrics());
    for (name, row) in &optional {
        if let Some(found) = present.remove(name) {
            assert_eq!(found, *row, "{name}");
        }
    }
    for (name, row) in &required {
        assert_eq!(present.get(name), Some(row), "{name}");
    }
    let missing: Vec<_> = present
        .keys()
        .filter(|name| !required.contains_key(*name))
        .collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
    for reason in Reason::ALL {
        let page = include_str!("../../docs/rejections.md");
        assert!(page.contains(&format!("| `{}` |", reason.label())));
    }
}

/// Rejections during a shutdown need no alert.
#[test]
fn every_reason_is_in_one_alert() {
    let page = include_str!("../../docs/metrics.md");
    let alerts = page.split("reason=~\"").skip(1);
    let lists = alerts.filter_map(|alert| alert.split('"').next());
    let mut alerted: Vec<&str> = lists.flat_map(|list| list.split('|')).collect();
    alerted.push(Reason::ShuttingDown.label());
    let mut reasons = Reason::ALL.map(Reason::label);
    alerted.sort_unstable();
    reasons.sort_unstable();
    assert_eq!(alerted, reasons);
}

/// Units that are not base units, and abbreviations of units. `promtool check metrics` rejects most
/// of these words.
const OTHER_UNITS: [&str; 29] = [
    "s",
    "ms",
    "us",
    "ns",
    "sec",
    "secs",
    "millis",
    "micros",
    "nanos",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "b",
    "kb",
    "mb",
    "gb",
    "tb",
    "kib",
    "mib",
    "gib",
    "bits",
    "kilobytes",
    "megabytes",
    "percent",
    "pct",
];

/// The base units in the names of metrics.
const BASE_UNITS: [&str; 2] = ["seconds", "bytes"];

/// The suffixes for the names of samples.
const RESERVED: [&str; 5] = ["total", "count", "sum", "bucket", "created"];

/// Returns a message about each convention for names, types, help texts and labels that a family of
/// the classic format violates.
fn violations(name: &str, family: &Family, labels: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            found.push(format!("{name} violates: {rule}"));
        }
    };
    let is_snake_case = |text: &str| {
        let mut chars = text.chars();
        let begins = chars.next().is_some_and(|first| first.is_ascii_lowercase());
        begins && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let kinds = ["counter", "gauge", "histogram"];
    must(kinds.contains(&&*family.kind), "its type is known");
    must(!family.help.is_empty(), "it has a help text");
    must(
        is_snake_case(name),
        "its name is in snake case, without colons",
    );
    must(
        name.starts_with("gateway_") || name.starts_with("process_"),
        "it has a prefix",
    );
    let words: Vec<_> = name.split('_').collect();
    must(
        words.iter().all(|word| !word.is_empty()),
        "no word is empty",
    );
    must(
        words.iter().all(|word| !kinds.contains(word)),
        "no word is a type",
    );
    must(
        words.iter().all(|word| !OTHER_UNITS.contains(word)),
        "units are base units",
    );
    let is_counter = family.kind == "counter";
    must(
        is_counter == (words.last() == Some(&"total")),
        "a name ends in _total if the metric is a counter, and only then",
    );
    let before_total = words.len() - usize::from(is_counter);
    let rest = &words[..before_total];
    must(
        rest.iter().all(|word| !RESERVED.contains(word)),
        "no word is a suffix of samples",
    );
    let unit = rest.iter().position(|word| BASE_UNITS.contains(word));
    must(
        unit.is_none_or(|at| at + 1 == rest.len()),
        "a unit is the last word before _total",
    );
    let is_histogram = family.kind == "histogram";
    must(!is_histogram || unit.is_some(), "a histogram has a unit");
    for label in labels {
        let is_reserved =
            ["quantile", "job", "instance"].contains(&&**label) || label.starts_with("__");
        must(
            is_snake_case(label) && !is_reserved,
            "labels are in snake case, and not reserved",
        );
        must(label != "le" || is_histogram, "le is a label of histograms");
    }
    found
}

/// Parses the classic text format, and returns the families with the labels of their samples.
fn classic(text: &str) -> BTreeMap<String, Row> {
    let mut families: BTreeMap<String, Row> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match [words.next(), words.next(), words.next(), words.next()] {
            [Some("#"), Some("HELP"), Some(name), Some(help)] => {
                let known = families.insert(name.into(), Row::default());
                assert!(known.is_none(), "{name} is declared twice");
                families.get_mut(name).unwrap().0.help = help.into();
            }
            [Some("#"), Some("TYPE"), Some(name), Some(kind)] => {
                families.get_mut(name).expect("HELP before TYPE").0.kind = kind.into();
            }
            _ => {
                let (name, labels) = line.split_once(['{', ' ']).unwrap();
                let suffixes = ["_bucket", "_count", "_sum"];
                let histogram = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
                let histogram = histogram.filter(|name| families.contains_key(*name));
                let row = families.get_mut(histogram.unwrap_or(name));
                let row = row.unwrap_or_else(|| panic!("a sample without a family: {line}"));
                if let Some((labels, _)) = labels.rsplit_once('}') {
                    let names = labels
                        .split("\",")
                        .filter_map(|label| label.split_once('='));
                    row.1.extend(names.map(|(name, _)| name.to_owned()));
                }
            }
        }
    }
    families
}

#[test]
fn names_types_and_labels_follow_the_conventions_of_prometheus() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["nobody's", ""]);
    receive(&client);
    let _worker = process.peer(&context, zmq::DEALER, "pool people");
    process.await_metrics("a worker", |metrics| {
        metrics.sum("gateway_pool_workers", &[]) == 1.0
    });
    let text = process.ask("GET", "/metrics", &[("Accept", "text/plain")]);
    let families = classic(&text.body);
    assert!(families.len() > 30, "{families:#?}");
    let found: Vec<_> = families
        .iter()
        .flat_map(|(name, (family, labels))| violations(name, family, labels))
        .collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_broken_convention_is_found() {
    let count = |name: &str, kind: &str, help: &str, labels: &[&str]| {
        let family = Family {
            kind: kind.into(),
            help: help.into(),
        };
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        violations(name, &family, &labels).len()
    };
    for (name, kind) in [
        ("gateway_x", "counter"),
        ("gateway_x_total", "gauge"),
        ("gateway:x", "gauge"),
        ("gateway_xY", "gauge"),
        ("x", "gauge"),
        ("gateway_x_ms", "gauge"),
        ("gateway_seconds_x", "gauge"),
        ("gateway_x_count", "gauge"),
        ("gateway_gauge_x", "gauge"),
        ("gateway_x", "histogram"),
        ("gateway_x", "untyped"),
    ] {
        assert!(count(name, kind, "Help", &[]) > 0, "{name}");
    }
    assert_eq!(count("gateway_x", "gauge", "Help", &["pool"]), 0);
    assert_eq!(count("gateway_x_seconds", "histogram", "Help", &["le"]), 0);
    assert_eq!(count("gateway_x_bytes_total", "counter", "Help", &[]), 0);
    assert_eq!(count("gateway_x", "gauge", "", &[]), 1);
    for label in ["le", "Pool", "job", "__x"] {
        assert_eq!(count("gateway_x", "gauge", "Help", &[label]), 1, "{label}");
    }
}
