//! Measures the check of a payload and, for comparison, other decoders on the same bytes:
//!
//! ```console
//! $ cargo bench -p gateway-schema-benches --bench walk
//! $ cargo bench -p gateway-schema-benches --bench walk -- json
//! ```
//!
//! The second command measures only the encodings and payloads whose name contains `json`. Prints a
//! table for docs/benchmarks.md: the median processor time of a payload, half the interquartile
//! range of the rounds, the throughput, and each decoder's time as a multiple of the time of the
//! walk, which is the gateway's check. All decoders of a payload take turns, so that other load on
//! the machine affects them alike.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_schema::{Encoding, Options, Schema, Table};
use prost_reflect::DynamicMessage;
use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorSet;
use protobuf::reflect::FileDescriptor;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// The number of rounds of each decoder. The table shows the median of the rounds.
const ROUNDS: usize = 41;

/// The time of a round.
const ROUND_TIME: Duration = Duration::from_millis(5);

/// A person, in every form that the decoders need.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
struct Person {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    email: String,
    #[prost(int32, repeated, tag = "4")]
    scores: Vec<i32>,
    #[prost(bool, tag = "5")]
    active: bool,
    #[prost(double, tag = "6")]
    height: f64,
    #[prost(message, repeated, tag = "7")]
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

/// Returns a person with friends that nest `levels` + 1 deep. With seven levels, the encoded person
/// has about 1 KB.
fn nested(levels: usize) -> Person {
    let mut outer = person(1);
    if levels > 0 {
        outer.friends.push(nested(levels - 1));
    }
    outer
}

/// Returns a person with one long text that is not ASCII.
fn author(bytes: usize) -> Person {
    let text = "Zażółć gęślą jaźń. ";
    Person {
        name: text.repeat(bytes / text.len()),
        ..person(0)
    }
}

type Decoder<'a> = (&'a str, Box<dyn FnMut(&[u8]) -> bool + 'a>);

fn main() {
    let contestants = Contestants::new();
    println!("| encoding | payload | decoder | time | ± | GB/s | × the walk |");
    println!("|---|---:|---|---:|---:|---:|---:|");
    for (what, person) in [
        ("small", person(0)),
        ("nested", nested(7)),
        ("repeated", person(1150)),
        ("text", author(64 << 10)),
    ] {
        contestants.protobuf(what, &person);
        contestants.msgpack(what, &person);
        contestants.json(what, &person);
    }
}

/// The message `demo.Person`, for the decoders that are driven by descriptors.
struct Contestants {
    table: Arc<Table>,
    prost_reflect: prost_reflect::MessageDescriptor,
    rust_protobuf: protobuf::reflect::MessageDescriptor,
}

impl Contestants {
    fn new() -> Self {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/upb");
        let mut compiler = protox::Compiler::new([directory]).unwrap();
        compiler.open_file("demo.proto").unwrap();
        let set = compiler.encode_file_descriptor_set();
        let set = FileDescriptorSet::parse_from_bytes(&set).unwrap();
        let pool = compiler.descriptor_pool();
        let file = FileDescriptor::new_dynamic(set.file[0].clone(), &[]).unwrap();
        Self {
            table: Arc::new(Table::build(&set.file).unwrap()),
            prost_reflect: pool.get_message_by_name("demo.Person").unwrap(),
            rust_protobuf: file.message_by_package_relative_name("Person").unwrap(),
        }
    }

    fn walk(&self, encoding: Encoding) -> Decoder<'static> {
        let table = Arc::clone(&self.table);
        let id = table.message("demo.Person").unwrap();
        let schema = Schema::new(encoding, table, id, Options::default());
        (
            "**the walk**",
            Box::new(move |bytes: &[u8]| schema.check(bytes, 100).is_ok()),
        )
    }

    fn protobuf(&self, what: &str, person: &Person) {
        let bytes = prost::Message::encode_to_vec(person);
        let decoders: &mut [Decoder] = &mut [
            self.walk(Encoding::Protobuf),
            ("upb (`protobuf` 4)", Box::new(bench_upb::reads)),
            (
                "prost, generated",
                Box::new(|bytes| <Person as prost::Message>::decode(bytes).is_ok()),
            ),
            (
                "prost-reflect, dynamic",
                Box::new(|bytes| DynamicMessage::decode(self.prost_reflect.clone(), bytes).is_ok()),
            ),
            (
                "rust-protobuf, dynamic",
                Box::new(|bytes| self.rust_protobuf.parse_from_bytes(bytes).is_ok()),
            ),
        ];
        measure("protobuf", what, &bytes, decoders);
    }

    fn msgpack(&self, what: &str, person: &Person) {
        for (layout, bytes) in [
            ("msgpack, map", rmp_serde::to_vec_named(person).unwrap()),
            ("msgpack, array", rmp_serde::to_vec(person).unwrap()),
        ] {
            let decoders: &mut [Decoder] = &mut [
                self.walk(Encoding::Msgpack),
                (
                    "rmp-serde, IgnoredAny",
                    Box::new(|bytes| rmp_serde::from_slice::<IgnoredAny>(bytes).is_ok()),
                ),
                (
                    "rmp-serde, struct",
                    Box::new(|bytes| rmp_serde::from_slice::<Person>(bytes).is_ok()),
                ),
            ];
            measure(layout, what, &bytes, decoders);
        }
    }

    fn json(&self, what: &str, person: &Person) {
        let bytes = serde_json::to_vec(person).unwrap();
        let decoders: &mut [Decoder] = &mut [
            self.walk(Encoding::Json),
            (
                "serde_json, IgnoredAny",
                Box::new(|bytes| serde_json::from_slice::<IgnoredAny>(bytes).is_ok()),
            ),
            (
                "serde_json, struct",
                Box::new(|bytes| serde_json::from_slice::<Person>(bytes).is_ok()),
            ),
        ];
        measure("json", what, &bytes, decoders);
    }
}

/// Returns the processor time of this thread so far.
fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// Prints a row for each decoder of `bytes`.
fn measure(encoding: &str, what: &str, bytes: &[u8], decoders: &mut [Decoder]) {
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !encoding.contains(&wanted) && !what.contains(&wanted)) {
        return;
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); decoders.len()];
    for _ in 0..ROUNDS {
        for ((name, decode), nanos) in decoders.iter_mut().zip(&mut rounds) {
            let (start, cpu) = (Instant::now(), cpu_time());
            let mut turns = 0u32;
            while start.elapsed() < ROUND_TIME {
                for _ in 0..1 + 10_000 / bytes.len() {
                    assert!(decode(black_box(bytes)), "{name}");
                    turns += 1;
                }
            }
            let spent = cpu_time() - cpu;
            nanos.push(spent.as_nanos() as f64 / f64::from(turns));
        }
    }
    let mut walk = None;
    for ((name, _), nanos) in decoders.iter().zip(&mut rounds) {
        nanos.sort_by(f64::total_cmp);
        let quarter = |n: usize| nanos[ROUNDS * n / 4];
        let median = quarter(2);
        let walk = *walk.get_or_insert(median);
        println!(
            "| {encoding} | {what}, {} B | {name} | {median:.0} ns | {:.0} % | {:.2} | {:.2} |",
            bytes.len(),
            (quarter(3) - quarter(1)) / median * 50.0,
            bytes.len() as f64 / median,
            median / walk,
        );
    }
}
