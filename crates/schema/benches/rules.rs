//! Measures the `buf.validate` rules of a payload beside the walk alone:
//!
//! ```console
//! $ cargo bench -p gateway-schema-benches --bench rules
//! ```
//!
//! A message without rules, in files that have rules elsewhere, must cost what it costs without them.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};
use gateway_schema::{Encoding, Options, Ruler, Schema, Table};

const FIELDS: &str = "int64 id = 1; string name = 2; string email = 3; repeated int32 scores = 4;";
const STANDARD: &str = "int64 id = 1 [(buf.validate.field).int64.gt = 0];
  string name = 2 [(buf.validate.field).string = {min_len: 1, max_len: 100}];
  string email = 3 [(buf.validate.field).string.email = true];
  repeated int32 scores = 4 [(buf.validate.field).repeated.max_items = 10];";
const CEL: &str = "option (buf.validate.message).cel = {
  id: \"named\", message: \"a name or an id\", expression: \"this.name != '' || this.id > 0\" };";

const PROTOBUF: &[u8] =
    b"\x08\x87\xad\x4b\x12\x0cAda Lovelace\x1a\x0fada@example.org\x22\x06\x01\x14\xac\x02\xa0\x1f";
const MSGPACK: &[u8] = b"\x94\xce\x00\x12\xd6\x87\xacAda Lovelace\xafada@example.org\x94\x01\x14\xcd\x01\x2c\xcd\x0f\xa0";
const JSON: &[u8] =
    br#"{"id":1234567,"name":"Ada Lovelace","email":"ada@example.org","scores":[1,20,300,4000]}"#;

fn main() {
    let root = tempfile::tempdir().unwrap();
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let validate = here.join("../../../vendor/prost-protovalidate-types/proto");
    let text = format!(
        "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";
         message Plain {{ {FIELDS} }} message Standard {{ {STANDARD} }}
         message Cel {{ {FIELDS} {CEL} }} message Both {{ {STANDARD} {CEL} }}"
    );
    std::fs::write(root.path().join("t.proto"), text).unwrap();
    let mut found = Diagnostics::new();
    let roots = [root.path().to_owned(), validate];
    let descriptors = compile(&roots, Compiler::Builtin, &mut found).expect("it compiles");
    let ruled = ["t.Standard", "t.Cel", "t.Both"];
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let ruler = Ruler::build(&descriptors, &table, &ruled, &mut found).expect("good rules");
    let ruler = Arc::new(ruler);
    for (encoding, payload) in [
        (Encoding::Protobuf, PROTOBUF),
        (Encoding::Msgpack, MSGPACK),
        (Encoding::Json, JSON),
    ] {
        let mut walk = None;
        for name in ["Plain", "Standard", "Cel", "Both"] {
            let full = format!("t.{name}");
            let id = table.message(&full).unwrap();
            let mut schema = Schema::new(encoding, Arc::clone(&table), id, Options::default());
            if descriptors.has_rules(&full) {
                assert!(schema.enforce(&ruler, 1 << 20));
            }
            let nanos = time(|| schema.check(black_box(payload), 100).is_ok());
            let ratio = nanos / *walk.get_or_insert(nanos);
            println!(
                "{:9} {name:9} {nanos:9.1} ns {ratio:7.1}x",
                encoding.label()
            );
        }
    }
}

/// The median of eleven rounds of about 20 ms each, in nanoseconds.
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
