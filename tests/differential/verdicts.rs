//! Payloads and what the gateway says of them, in bulk, for tests/differential/compare.py to hold other
//! implementations against: `verdicts COUNT SEED DIRECTORY ENCODING:MESSAGE…`.
//!
//! On standard input come seeds: which schema (a byte), length (four bytes, little-endian), payload. On
//! standard output go the seeds as they are, then COUNT mutations of them: schema, verdict, length,
//! payload; for a verdict of [`WRONG`] the length and text of the violations follow.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use gateway::schema::{Encoding, Options, Schema, Table, Violation};
use protobuf::Message as _;
use protobuf::descriptor::FileDescriptorSet;

#[path = "../support/mod.rs"]
mod support;

use support::{Random, mutated};

/// It passes.
const RIGHT: u8 = 0;
/// It fails, at least for one reason that any parser has.
const WRONG: u8 = 1;
/// It fails, but only because known fields have a wrong wire type: to a parser they are unknown.
const POLICY: u8 = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [count, seed, directory, schemas @ ..] = &arguments[..] else {
        panic!("verdicts COUNT SEED DIRECTORY ENCODING:MESSAGE…");
    };
    let table = compiled(directory);
    let schemas: Vec<Schema> = schemas.iter().map(|schema| named(&table, schema)).collect();
    let seeds = seeds();
    let mut random = Random(seed.parse::<u64>().unwrap() | 1);
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for (schema, payload) in &seeds {
        tell(&mut out, *schema, &schemas, payload);
    }
    for _ in 0..count.parse().unwrap() {
        let (schema, payload) = &seeds[random.below(seeds.len())];
        tell(&mut out, *schema, &schemas, &mutated(payload, &mut random));
    }
    out.flush().unwrap();
}

/// Both files' messages, so that an Any of one may hold the other's.
fn compiled(directory: &str) -> Arc<Table> {
    let mut compiler = protox::Compiler::new([directory]).unwrap();
    compiler.include_imports(true);
    compiler.open_files(["two.proto", "three.proto"]).unwrap();
    let set = compiler.encode_file_descriptor_set();
    let set = FileDescriptorSet::parse_from_bytes(&set).unwrap();
    Arc::new(Table::build(&set.file).unwrap())
}

fn named(table: &Arc<Table>, schema: &str) -> Schema {
    let (encoding, message) = schema.split_once(':').unwrap();
    let encodings = [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json];
    let encoding = encodings.into_iter().find(|it| it.label() == encoding);
    let (encoding, root) = (encoding.unwrap(), table.message(message).unwrap());
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    Schema::new(encoding, Arc::clone(table), root, options)
}

fn seeds() -> Vec<(u8, Vec<u8>)> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input).unwrap();
    let mut rest = &input[..];
    let mut seeds = Vec::new();
    while let [schema, a, b, c, d, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        seeds.push((*schema, payload.to_vec()));
        rest = tail;
    }
    seeds
}

fn tell(out: &mut impl Write, index: u8, schemas: &[Schema], payload: &[u8]) {
    let schema = &schemas[usize::from(index)];
    let (verdict, text) = match schema.check(payload, 100) {
        Ok(()) => (RIGHT, None),
        Err(first) if schema.encoding() == Encoding::Protobuf && is_policy(&first) => {
            (POLICY, None)
        }
        Err(first) => (WRONG, Some(told(&first))),
    };
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    out.write_all(&[index, verdict]).unwrap();
    out.write_all(&length(payload)).unwrap();
    out.write_all(payload).unwrap();
    if let Some(text) = text {
        out.write_all(&length(text.as_bytes())).unwrap();
        out.write_all(text.as_bytes()).unwrap();
    }
}

fn told(first: &Violation) -> String {
    let all = std::iter::once(first).chain(first.others.iter().flatten());
    all.map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether wrong wire types are all that is wrong, as far as the walk looked.
fn is_policy(first: &Violation) -> bool {
    const MOST: usize = 16;
    let others = first.others.as_deref().unwrap_or_default();
    let wire_type = |violation: &Violation| {
        const WIRE_TYPES: [&str; 6] = [
            "a varint",
            "a 64-bit value",
            "a length-delimited value",
            "the start of a group",
            "the end of a group",
            "a 32-bit value",
        ];
        WIRE_TYPES.contains(&&*violation.found)
    };
    others.len() + 1 < MOST && wire_type(first) && others.iter().all(wire_type)
}
