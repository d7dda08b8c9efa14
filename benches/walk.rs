//! What checking a payload costs, beside decoders of the same bytes in the same run:
//! `cargo bench --bench walk`. Prints the median time of a payload, and each decoder's as a ratio.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use gateway::schema::{Encoding, Options, Schema, Table};
use prost_reflect::DynamicMessage;
use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorSet;
use serde::Serialize;
use serde::de::IgnoredAny;

const PROTO: &str = r#"
syntax = "proto3"; package demo;
message Person {
  int64 id = 1; string name = 2; string email = 3; repeated int32 scores = 4; bool active = 5;
  double height = 6; repeated Person friends = 7;
}"#;

#[derive(Serialize)]
struct Person {
    id: i64,
    name: String,
    email: String,
    scores: Vec<i32>,
    active: bool,
    height: f64,
    friends: Vec<Person>,
}

fn person(friends: usize) -> Person {
    Person {
        id: 1_234_567,
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
        scores: vec![1, 20, 300, 4000],
        active: true,
        height: 1.65,
        friends: (0..friends).map(|_| person(0)).collect(),
    }
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("demo.proto"), PROTO).unwrap();
    let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
    compiler.open_file("demo.proto").unwrap();
    let set = FileDescriptorSet::parse_from_bytes(&compiler.encode_file_descriptor_set()).unwrap();
    let table = Arc::new(Table::build(&set.file).unwrap());
    let id = table.message("demo.Person").unwrap();
    let schema = |encoding| Schema::new(encoding, Arc::clone(&table), id, Options::default());
    let (protobuf, msgpack) = (schema(Encoding::Protobuf), schema(Encoding::Msgpack));
    let reflected = compiler
        .descriptor_pool()
        .get_message_by_name("demo.Person")
        .unwrap();
    let file = protobuf::reflect::FileDescriptor::new_dynamic(set.file[0].clone(), &[]).unwrap();
    let dynamic = file.message_by_package_relative_name("Person").unwrap();

    for friends in [0, 16, 1100] {
        let person = person(friends);
        let named = rmp_serde::to_vec_named(&person).unwrap();
        let placed = rmp_serde::to_vec(&person).unwrap();
        let wire = encode(&person);
        let walk = time("protobuf walk", wire.len(), None, || {
            protobuf.check(black_box(&wire), 100).is_ok()
        });
        time("  prost-reflect", wire.len(), Some(walk), || {
            DynamicMessage::decode(reflected.clone(), black_box(&*wire)).is_ok()
        });
        time("  rust-protobuf dynamic", wire.len(), Some(walk), || {
            dynamic.parse_from_bytes(black_box(&wire)).is_ok()
        });
        for (layout, bytes) in [("map", &named), ("array", &placed)] {
            let walk = time(
                &format!("msgpack walk, {layout}"),
                bytes.len(),
                None,
                || msgpack.check(black_box(bytes), 100).is_ok(),
            );
            time("  rmp-serde IgnoredAny", bytes.len(), Some(walk), || {
                rmp_serde::from_slice::<IgnoredAny>(black_box(bytes)).is_ok()
            });
        }
    }
}

/// The median of eleven rounds of about 20 ms each, in nanoseconds.
fn time(what: &str, bytes: usize, beside: Option<f64>, mut once: impl FnMut() -> bool) -> f64 {
    let start = Instant::now();
    let mut turns = 0u32;
    while start.elapsed().as_millis() < 20 {
        assert!(once());
        turns += 1;
    }
    let mut rounds = [0.0; 11];
    for round in &mut rounds {
        let start = Instant::now();
        for _ in 0..turns {
            black_box(once());
        }
        *round = start.elapsed().as_nanos() as f64 / f64::from(turns);
    }
    rounds.sort_by(f64::total_cmp);
    let nanos = rounds[rounds.len() / 2];
    let ratio = beside.map_or(String::new(), |walk| format!("{:6.1}x", nanos / walk));
    println!(
        "{what:24} {bytes:6} B {nanos:10.1} ns {:6.2} GB/s {ratio}",
        bytes as f64 / nanos
    );
    nanos
}

fn encode(person: &Person) -> Vec<u8> {
    let mut out = Vec::new();
    let mut wire = protobuf::CodedOutputStream::vec(&mut out);
    wire.write_int64(1, person.id).unwrap();
    wire.write_string(2, &person.name).unwrap();
    wire.write_string(3, &person.email).unwrap();
    wire.write_repeated_packed_int32(4, &person.scores).unwrap();
    wire.write_bool(5, person.active).unwrap();
    wire.write_double(6, person.height).unwrap();
    for friend in &person.friends {
        wire.write_bytes(7, &encode(friend)).unwrap();
    }
    wire.flush().unwrap();
    drop(wire);
    out
}
