//! Tests that the unit in docs/operating.md fits the gateway.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::binary::binary;

const PAGE: &str = include_str!("../../docs/operating.md");

/// The seconds that the gateway may need after `shutdown.grace`, as the page says.
const AFTER_GRACE: u64 = 7;

/// Returns the settings of the unit, the only ```ini block of the page.
fn settings() -> BTreeMap<&'static str, &'static str> {
    let (_, rest) = PAGE.split_once("```ini\n").unwrap();
    let (unit, rest) = rest.split_once("```").unwrap();
    assert!(!rest.contains("```ini"));
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.collect()
}

/// A core dump would contain the gateway's secret key.
#[test]
fn the_unit_prevents_core_dumps_and_allows_many_descriptors() {
    let settings = settings();
    assert_eq!(settings["LimitCORE"], "0");
    let descriptors: u64 = settings["LimitNOFILE"].parse().unwrap();
    assert!(descriptors >= 1 << 20, "{descriptors}");
}

#[test]
fn the_unit_starts_the_gateway_and_waits_for_its_end() {
    let settings = settings();
    let (path, arguments) = settings["ExecStart"].split_once(' ').unwrap();
    assert_eq!(path, "/usr/local/bin/gateway");
    // The arguments would start a gateway, so `--help` is added, and only the parsing is tested.
    let outcome = Command::new(binary())
        .args(arguments.split(' '))
        .arg("--help")
        .output();
    assert!(outcome.unwrap().status.success());
    assert_eq!(settings["Type"], "notify-reload");
    let patience: u64 = settings["TimeoutStopSec"].parse().unwrap();
    assert!(patience > default_grace() + AFTER_GRACE, "{patience}");
}

/// Returns the default of `shutdown.grace`, in seconds.
fn default_grace() -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let routes = directory.path().join("routes.yaml");
    let yaml = "frontends: { clients: { bind: \"tcp://*:5559\" } }\n\
                pools: { people: { bind: \"tcp://*:5560\" } }\n\
                routes: { A: { pool: people } }\n";
    std::fs::write(&routes, yaml).unwrap();
    let loaded = gateway::config::load(&routes);
    loaded.unwrap().snapshot.grace.as_secs()
}
