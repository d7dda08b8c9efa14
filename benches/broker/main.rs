//! `cargo bench --bench broker`: the cost of a request in the gateway, on either engine, and in
//! zmq_proxy.
//!
//! Each broker is a process of its own, and is loaded in turn by the same clients and the same
//! echoing workers. The peers of most loads write ZMTP by hand and cost next to nothing, so that
//! the broker is what is measured; those of the loads named "libzmq's peers" use libzmq, as most
//! users do. The gateway checks every payload against its schema; zmq_proxy checks nothing. The
//! bare forwarder, written for this bench, shows the minimum cost of a broker that checks payloads
//! and does nothing else. Figures are medians over rounds in which the brokers take turns, with the
//! spread in brackets. Only the ratios mean anything.
//!
//! `cargo bench --bench broker -- quick` runs fewer and shorter rounds, `-- idle` only the memory
//! of idle clients, `-- curve` only the cost of CURVE, and `-- '1 MB'` only the loads whose names
//! begin with that text.

mod brokers;
mod curve;
mod forwarder;
mod libzmq;
mod load;
mod report;
mod zmtp;

use std::time::Duration;

use brokers::{Broker, Kind};
use load::Load;
use report::{Sample, Table};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, directory] = &arguments[..] {
        match role.as_str() {
            brokers::PROXY => return brokers::run_proxy(directory.as_ref()),
            brokers::FORWARDER => return brokers::run_forwarder(directory.as_ref()),
            _ => {}
        }
    }
    let quick = arguments.iter().any(|it| it == "quick");
    let (rounds, lasting) = match quick {
        true => (3, Duration::from_millis(500)),
        false => (7, Duration::from_secs(1)),
    };
    let known = ["quick", "idle", "--bench"];
    let mut wanted = arguments.iter().filter(|it| !known.contains(&it.as_str()));
    let wanted = wanted.next();
    let only_idle = arguments.iter().any(|it| it == "idle");
    if wanted.is_some_and(|wanted| wanted == "curve") {
        return curve::compare(rounds, lasting);
    }
    for load in Load::all(lasting) {
        if !only_idle && wanted.is_none_or(|wanted| load.name.starts_with(wanted)) {
            compare(&load, rounds);
        }
    }
    if wanted.is_none() {
        idle(if quick { 1_000 } else { 10_000 });
        if !only_idle {
            curve::compare(rounds, lasting);
        }
    }
}

fn compare(load: &Load, rounds: usize) {
    let mut table = Table::new(&load.name);
    let brokers: Vec<Broker> = Kind::ALL.into_iter().map(Broker::start).collect();
    for broker in &brokers {
        load.run(broker, Duration::from_millis(200));
    }
    for _ in 0..rounds {
        for broker in &brokers {
            let before = broker.cpu();
            let loaded = load.run(broker, load.lasting);
            let cpu = broker.cpu() - before;
            table.add(broker.kind, Sample::new(&loaded, cpu, broker.memory()));
        }
    }
    table.print();
}

/// Measures the memory of clients that are connected and silent.
fn idle(clients: usize) {
    let broker = Broker::start(Kind::Native);
    let before = broker.memory();
    let held = load::connect(&broker, clients);
    let each = (broker.memory() - before) / held.len() as u64;
    println!(
        "\n{} idle clients: {each} B of memory each (engine native)",
        held.len()
    );
}
