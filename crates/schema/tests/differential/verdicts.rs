//! Prints many payloads with the gateway's verdicts. tests/differential/compare.py compares these
//! verdicts with other implementations' verdicts. The command is
//! `verdicts COUNT SEED DIRECTORY ENCODING:MESSAGE…`. SEED starts the random number generator.
//!
//! Standard input has the seeds, which are payloads. Each seed has the index of its schema among
//! the arguments ENCODING:MESSAGE (one byte), the length of the payload (four bytes,
//! little-endian), and the payload. Standard output has the unchanged seeds, and then COUNT
//! mutations of seeds. Each of these payloads is preceded by the index of its schema, the verdict
//! and the length. If the verdict is [`WRONG`], the payload is followed by the length and the text
//! of the violations, with one violation on each line.

use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::{Encoding, Options, Schema, Table, Violation};

#[path = "../support/mod.rs"]
mod support;

use support::{Random, mutated};

/// The verdict on a payload that passes.
const RIGHT: u8 = 0;
/// The verdict on a payload that fails.
const WRONG: u8 = 1;

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
        print_payload(&mut out, *schema, &schemas, payload);
    }
    for _ in 0..count.parse().unwrap() {
        let (schema, payload) = &seeds[random.below(seeds.len())];
        print_payload(&mut out, *schema, &schemas, &mutated(payload, &mut random));
    }
    out.flush().unwrap();
}

/// Returns the messages of all files below `directory`, compiled by the built-in compiler.
fn compiled(directory: &str) -> Arc<Table> {
    let mut found = Diagnostics::new();
    let descriptors = compile(&[directory.into()], Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{found}"));
    Arc::new(Table::build(descriptors.files()).unwrap())
}

fn named(table: &Arc<Table>, schema: &str) -> Schema {
    let (encoding, message) = schema.split_once(':').unwrap();
    let encodings = [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json];
    let encoding = encodings
        .into_iter()
        .find(|known| known.label() == encoding);
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

fn print_payload(out: &mut impl Write, index: u8, schemas: &[Schema], payload: &[u8]) {
    let verdict = schemas[usize::from(index)].check(payload, 100);
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    let code = if verdict.is_ok() { RIGHT } else { WRONG };
    out.write_all(&[index, code]).unwrap();
    out.write_all(&length(payload)).unwrap();
    out.write_all(payload).unwrap();
    if let Err(first) = verdict {
        let text = violation_lines(&first);
        out.write_all(&length(text.as_bytes())).unwrap();
        out.write_all(text.as_bytes()).unwrap();
    }
}

/// Returns the violations, one on each line: path, expected, found and offset, separated by tabs.
fn violation_lines(first: &Violation) -> String {
    let all = std::iter::once(first).chain(first.others.iter().flatten());
    let line = |it: &Violation| {
        let Violation {
            path,
            expected,
            found,
            offset,
            ..
        } = it;
        format!("{path}\t{expected}\t{found}\t{offset}")
    };
    all.map(line).collect::<Vec<_>>().join("\n")
}
