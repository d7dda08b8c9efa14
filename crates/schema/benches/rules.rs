//! Measures the check of a payload with `buf.validate` rules, and without rules for comparison:
//!
//! ```console
//! $ cargo bench -p gateway-schema-benches --bench rules
//! ```
//!
//! Prints a table for docs/benchmarks.md: the median time of a check, and its ratio to the time of
//! the same check without rules. Then measures the time in which 1,000 messages with rules are
//! compiled.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema, Table};

const LIMITS: RuleLimits = RuleLimits {
    bytes: 1 << 20,
    steps: 1_000_000,
};

/// The names of the messages, which have the same fields and different rules.
const MESSAGES: [&str; 5] = ["Plain", "Standard", "Formats", "Cel", "Both"];

const FIELDS: &str = "int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5;
  double f = 6; float g = 7; string h = 8; string i = 9; bytes j = 10;";
/// Ten rules on numbers and lengths.
const STANDARD: &str = "int32 a = 1 [(buf.validate.field).int32 = {gt: 0, lt: 1000}];
  int64 b = 2 [(buf.validate.field).int64.gte = 5];
  uint32 c = 3 [(buf.validate.field).uint32.lte = 100];
  uint64 d = 4 [(buf.validate.field).uint64.gt = 7];
  sint32 e = 5 [(buf.validate.field).sint32.lt = 70];
  double f = 6 [(buf.validate.field).double = {gte: -1.5, lte: 99.5}];
  float g = 7 [(buf.validate.field).float.gt = 0.5];
  string h = 8 [(buf.validate.field).string.min_len = 2];
  string i = 9 [(buf.validate.field).string.max_len = 40];
  bytes j = 10 [(buf.validate.field).bytes.max_len = 16];";
/// A format and a pattern.
const FORMATS: &str = "int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5;
  double f = 6; float g = 7; bytes j = 10;
  string h = 8 [(buf.validate.field).string.pattern = \"^[A-Z][a-z]+( [A-Z][a-z]+)*$\"];
  string i = 9 [(buf.validate.field).string.email = true];";
/// A message rule with three comparisons between fields.
const CEL: &str =
    "option (buf.validate.message).cel = { id: \"three\", message: \"three comparisons\",
  expression: \"this.a <= this.b && this.c < this.d && this.h != this.i\" };";

const PROTOBUF: &[u8] = b"\x08\x96\x01\x10\xc0\xc4\x07\x18\x2a\x20\xe8\x07\x28\x41\
    \x31\0\0\0\0\0\0\x29\x40\x3d\0\0\x80\x3f\x42\x0cAda Lovelace\x4a\x0fada@example.org\x52\x04abcd";
const MSGPACK: &[u8] =
    b"\x8a\xa1a\xcc\x96\xa1b\xce\x00\x01\xe2\x40\xa1c\x2a\xa1d\xcd\x03\xe8\xa1e\xd0\xdf\
    \xa1f\xcb\x40\x29\0\0\0\0\0\0\xa1g\xca\x3f\x80\0\0\xa1h\xacAda Lovelace\
    \xa1i\xafada@example.org\xa1j\xc4\x04abcd";
const JSON: &[u8] = br#"{"a":150,"b":"123456","c":42,"d":"1000","e":-33,"f":12.5,"g":1.0,"h":"Ada Lovelace","i":"ada@example.org","j":"YWJjZA=="}"#;

/// The number of messages that are compiled.
const COMPILED_MESSAGES: usize = 1_000;

fn main() {
    let text = format!(
        "message Plain {{ {FIELDS} }} message Standard {{ {STANDARD} }}
         message Formats {{ {FORMATS} }} message Cel {{ {FIELDS} {CEL} }}
         message Both {{ {STANDARD} {CEL} }}"
    );
    let root = tempfile::tempdir().unwrap();
    let descriptors = compiled(root.path(), &text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let ruled: Vec<String> = MESSAGES[1..]
        .iter()
        .map(|name| format!("t.{name}"))
        .collect();
    let ruled: Vec<&str> = ruled.iter().map(String::as_str).collect();
    let rule_set = RuleSet::build(&descriptors, &table, &ruled, &mut Diagnostics::new());
    let rule_set = Arc::new(rule_set.expect("good rules"));
    println!("| encoding | rules | time | × the walk |");
    println!("|---|---|---:|---:|");
    for (encoding, payload) in [
        (Encoding::Protobuf, PROTOBUF),
        (Encoding::Msgpack, MSGPACK),
        (Encoding::Json, JSON),
    ] {
        let mut walk = None;
        for name in MESSAGES {
            let full = format!("t.{name}");
            let id = table.message(&full).unwrap();
            let mut schema = Schema::new(encoding, Arc::clone(&table), id, Options::default());
            if descriptors.has_rules(&full) {
                assert!(schema.enforce(&rule_set, LIMITS));
            }
            let nanos = time(|| schema.check(black_box(payload), 100).is_ok());
            let ratio = nanos / *walk.get_or_insert(nanos);
            let label = encoding.label();
            println!("| {label} | {name} | {nanos:.0} ns | {ratio:.2} |");
        }
    }
    compile_many();
}

fn compiled(root: &Path, text: &str) -> Descriptors {
    let head = "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";";
    std::fs::write(root.join("t.proto"), format!("{head}\n{text}")).unwrap();
    let mut found = Diagnostics::new();
    let descriptors = compile(&[root.to_owned()], Compiler::Builtin, &mut found);
    descriptors.unwrap_or_else(|| panic!("{found}"))
}

/// Measures the compilation of the rules of many messages. Each message has ten standard rules and
/// one rule in CEL.
fn compile_many() {
    let messages = (0..COMPILED_MESSAGES).map(|n| format!("message M{n} {{ {STANDARD} {CEL} }}\n"));
    let root = tempfile::tempdir().unwrap();
    let descriptors = compiled(root.path(), &messages.collect::<String>());
    let names: Vec<String> = (0..COMPILED_MESSAGES).map(|n| format!("t.M{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let start = Instant::now();
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &names, &mut Diagnostics::new());
    assert!(rule_set.is_some());
    let millis = start.elapsed().as_millis();
    println!("\n{COMPILED_MESSAGES} messages with eleven rules each are compiled in {millis} ms.");
}

/// Returns the median time of one call over eleven rounds of about 20 ms each, in nanoseconds.
fn time(mut once: impl FnMut() -> bool) -> f64 {
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
    rounds[rounds.len() / 2]
}
