use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};

use super::*;
use crate::options::Options;
use crate::rules::compile::{Compiled, compile as compile_rules};
use crate::rules::standard;
use crate::table::Table;
use crate::violation::First;

// The items of this module are public because the module is also a module of the test programs.
#[expect(unreachable_pub)]
#[path = "../../../tests/support/random.rs"]
mod random;

use random::{Random, mutated};

const TEXT: &str = r#"syntax = "proto3"; package t; import "buf/validate/validate.proto";
message M {
  option (buf.validate.message).oneof = {fields: ["a", "f"]};
  int32 a = 1 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, int32: {gt: 0, lt: 200}}];
  sint64 b = 2 [(buf.validate.field).sint64 = {gt: 5, lt: -5}];
  double c = 3 [(buf.validate.field).double = {finite: true, gt: 0.5}];
  string d = 4 [(buf.validate.field).string = {min_len: 2, max_len: 4}];
  repeated uint32 e = 5 [(buf.validate.field).repeated = {max_items: 3, unique: true, items: {uint32: {lt: 9}}}];
  bytes f = 6 [(buf.validate.field).bytes.max_len = 2];
  M g = 7;
  repeated M h = 8 [(buf.validate.field).repeated.max_items = 2];
  oneof one {
    option (buf.validate.oneof).required = true;
    bool i = 9;
    string j = 10 [(buf.validate.field).string.in = "x"];
  }
  int64 plain = 20;
  repeated string texts = 23 [(buf.validate.field).repeated.unique = true];
  map<string, sint32> map = 21 [(buf.validate.field).map =
    {max_pairs: 2, keys: {string: {max_len: 1}}, values: {sint32: {gt: 0}}}];
  map<uint32, M> maps = 22 [(buf.validate.field).map.keys.uint32.gt = 1];
}
"#;

/// Payloads that pass, in each encoding.
const PROTOBUF: [&[u8]; 5] = [
    b"\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x48\x01",
    b"\x08\x96\x01\x10\x0c\x19\0\0\0\0\0\0\xf0\x3f\x22\x04\xc5\xbc\xc5\xbc\x2a\x03\x01\x02\x08\x52\x01x\xa0\x01\x05",
    b"\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x32\x01a\x48\x01\x3a\x12\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x48\x00",
    b"\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x48\x01\xaa\x01\x05\x0a\x01k\x10\x02\xaa\x01\x02\x10\x04\xba\x01\x01a\xba\x01\x01b\xb2\x01\x16\x08\x02\x12\x12\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x48\x00",
    b"\x48\x01\x42\x12\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc\x48\x00\x10\x0d\x19\0\0\0\0\0\0\xf0\x3f\x22\x03abc",
];
const JSON: [&[u8]; 4] = [
    br#"{"b":"-7","c":1.5,"d":"abc","i":true}"#,
    br#"{"a":150,"b":6,"c":0.75,"d":"\u017c\u017c","e":[1,2,8],"j":"x","plain":"5"}"#,
    br#"{ "d": "abc", "c": 1, "b": 99, "f": "YQ==", "g": {"b":-6,"c":1,"d":"ab","j":"x"}, "i": false }"#,
    br#"{"b":-6,"c":1,"d":"ab","h":[{"b":-6,"c":1,"d":"ab","j":"x"}],"i":false}"#,
];
const MSGPACK: [&[u8]; 2] = [
    b"\x84\xa1b\xf9\xa1c\xcb\x3f\xf8\0\0\0\0\0\0\xa1d\xa3abc\xa1i\xc3",
    b"\x85\xa1i\xc3\xa1d\xa3abc\xa1c\x01\xa1b\xcc\xff\xa1e\x93\x01\x02\x08",
];

fn compiled() -> (Arc<Table>, Compiled) {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("t.proto"), TEXT).unwrap();
    let mut found = Diagnostics::new();
    let roots = [root.path().to_owned()];
    let descriptors = compile(&roots, Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{found}"));
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let root = table.message("t.M").unwrap();
    let compiled = compile_rules(&descriptors, &table, &[root], &mut found);
    assert!(!found.has_errors(), "{found}");
    (table, compiled)
}

/// Changes each payload with `change`. Calls `judge` with the changed payload, the verdict of the
/// pass, and the verdict of the walk and the standard rules together.
fn judged(
    (table, compiled): &(Arc<Table>, Compiled),
    mut change: impl FnMut(&[u8]) -> Vec<u8>,
    mut judge: impl FnMut(&[u8], bool, bool),
) {
    let root = table.message("t.M").unwrap();
    let plan = compiled.plans.of(root).unwrap();
    let plans = (&compiled.plans, &compiled.combined);
    let payloads: [(Encoding, &[&[u8]]); 3] = [
        (Encoding::Protobuf, &PROTOBUF),
        (Encoding::Json, &JSON),
        (Encoding::Msgpack, &MSGPACK),
    ];
    for (encoding, payloads) in payloads {
        let contract = Contract::new(encoding, Arc::clone(table), root, Options::default());
        for payload in payloads {
            let payload = change(payload);
            let known = passes(&contract, plans, plan, &payload, 10);
            let walked = match encoding {
                Encoding::Protobuf => crate::protobuf::check::<First>(&contract, &payload, 10),
                Encoding::Json => crate::json::check::<First>(&contract, &payload, 10),
                Encoding::Msgpack => crate::msgpack::check::<First>(&contract, &payload, 10),
            };
            let ruled = || standard::<First>(&contract, &compiled.plans, plan, &payload);
            judge(&payload, known, walked.is_ok() && ruled().is_ok());
        }
    }
}

#[test]
fn payloads_of_usual_writers_are_accepted_by_the_pass() {
    judged(&compiled(), <[u8]>::to_vec, |payload, known, right| {
        let shown = payload.escape_ascii();
        assert!(right, "{shown}");
        assert!(known, "{shown}");
    });
}

/// The pass never accepts a randomly changed payload that the walk or the standard rules reject.
#[test]
fn payloads_that_the_pass_accepts_are_valid() {
    let mut random = Random(7);
    let (mut kept, mut refused) = (0, 0);
    let compiled = compiled();
    for _ in 0..20_000 {
        let change = |payload: &[u8]| mutated(payload, &mut random);
        judged(&compiled, change, |payload, known, right| {
            assert!(!known || right, "{}", payload.escape_ascii());
            kept += u32::from(known);
            refused += u32::from(!right);
        });
    }
    assert!(kept > 10_000 && refused > 10_000, "{kept} {refused}");
}
