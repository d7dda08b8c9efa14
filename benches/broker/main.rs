//! `cargo bench --bench broker`: the cost of a request in the gateway, on either engine, and in
//! zmq_proxy.
//!
//! Each broker is a process of its own, and is loaded in turn by the same clients and the same
//! echoing workers. The peers of most loads write ZMTP by hand and cost next to nothing, so the
//! measurement shows the cost of the broker. In the loads named "libzmq's peers", the peers use
//! libzmq, as most users do. The gateway checks every payload against its schema; zmq_proxy checks
//! nothing. The bare forwarder, written for this bench, shows the minimum cost of a broker that
//! checks payloads and does nothing else. Figures are medians over rounds in which the brokers take
//! turns, with the spread in brackets. Only the ratios mean anything.
//!
//! The loads of channels have one publisher and many subscribers, and compare the gateway on engine
//! native with zmq_proxy between XSUB and XPUB.
//!
//! `cargo bench --bench broker -- quick` runs fewer and shorter rounds. `-- requests` runs only the
//! loads of requests, `-- idle` only the measurement of idle clients' memory, `-- channels` only
//! the loads of channels, `-- curve` only the measurement of CURVE, and `-- '1 MB'` only the loads
//! whose names begin with that text.

mod brokers;
mod channels;
mod curve;
mod forwarder;
mod libzmq;
mod load;
#[path = "../../crates/zmtp/tests/support/pair.rs"]
mod pair;
mod report;
mod zmtp;

use std::time::Duration;

use brokers::{Broker, Kind};
use channels::ChannelLoad;
use load::Load;
use report::{Sample, Table};

/// The parts of this bench. An argument with the name of a part runs that part alone.
const PARTS: [&str; 4] = ["requests", "idle", "channels", "curve"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, directory] = &arguments[..] {
        match role.as_str() {
            brokers::PROXY => return brokers::run_proxy(directory.as_ref()),
            brokers::CHANNEL_PROXY => return brokers::run_channel_proxy(directory.as_ref()),
            brokers::FORWARDER => return brokers::run_forwarder(directory.as_ref()),
            _ => {}
        }
    }
    let quick = arguments.iter().any(|argument| argument == "quick");
    let (rounds, lasting) = match quick {
        true => (3, Duration::from_millis(500)),
        false => (7, Duration::from_secs(1)),
    };
    let named: Vec<&str> = PARTS
        .into_iter()
        .filter(|part| arguments.iter().any(|argument| argument == part))
        .collect();
    let runs = |part: &str| named.is_empty() || named.contains(&part);
    let is_name = |argument: &&String| {
        let argument = argument.as_str();
        !PARTS.contains(&argument) && !["quick", "--bench"].contains(&argument)
    };
    let wanted = arguments.iter().find(is_name);
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| name.starts_with(wanted));
    if runs("requests") {
        for load in Load::all(lasting)
            .iter()
            .filter(|load| is_wanted(&load.name))
        {
            compare(load, rounds);
        }
    }
    if runs("channels") {
        let loads = ChannelLoad::all();
        let loads: Vec<_> = loads.iter().filter(|load| is_wanted(&load.name)).collect();
        compare_channels(&loads, rounds, lasting / 2);
        let loads = ChannelLoad::sealed();
        let loads: Vec<_> = loads.iter().filter(|load| is_wanted(&load.name)).collect();
        compare_sealed(&loads, rounds, lasting / 2);
    }
    if wanted.is_none() && runs("idle") {
        idle(if quick { 1_000 } else { 10_000 });
    }
    if wanted.is_none() && runs("curve") {
        curve::compare(rounds, lasting);
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

/// Compares zmq_proxy and the gateway as brokers of a channel.
fn compare_channels(loads: &[&ChannelLoad], rounds: usize, lasting: Duration) {
    report::print_head_of_channels("zmq_proxy", "gateway");
    for load in loads {
        let brokers = [Kind::Proxy, Kind::Native].map(Broker::start_channel);
        compare_two(load, &brokers, rounds, lasting);
    }
}

/// Compares a channel of the gateway whose subscribers use CURVE with one whose subscribers do not.
fn compare_sealed(loads: &[&ChannelLoad], rounds: usize, lasting: Duration) {
    report::print_head_of_channels("gateway, NULL", "gateway, CURVE");
    for load in loads {
        let brokers = [
            Broker::start_channel(Kind::Native),
            Broker::start_sealed_channel(),
        ];
        compare_two(load, &brokers, rounds, lasting);
    }
}

fn compare_two(load: &ChannelLoad, brokers: &[Broker; 2], rounds: usize, lasting: Duration) {
    for broker in brokers {
        load.connect(broker).run(Duration::from_millis(100));
    }
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (broker, samples) in brokers.iter().zip(&mut samples) {
            let connected = load.connect(broker);
            let before = broker.cpu();
            let loaded = connected.run(lasting);
            let cpu = broker.cpu() - before;
            samples.push(Sample::new(&loaded, cpu, broker.memory()));
        }
    }
    report::print_channel(&load.name, &samples);
}

/// Measures the memory of clients that are connected and silent.
fn idle(clients: usize) {
    let broker = Broker::start(Kind::Native);
    let before = broker.memory();
    let streams = load::connect(&broker, clients);
    let each = (broker.memory() - before) / streams.len() as u64;
    println!(
        "\n{} idle clients: {each} B of memory each (engine native)",
        streams.len()
    );
}
