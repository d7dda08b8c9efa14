//! Tests that a valid payload is checked without an allocation, in every encoding. Only the key
//! sets of large maps and the escaped field names of JSON are allocated. In MessagePack and JSON,
//! standard rules allocate nothing, either, except for the elements of a list that must be unique,
//! and for bytes in JSON, which are decoded from base64.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

mod support;

use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::Compiler;
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema, Table};
use serde_json::{Value, json};
use support::pb::*;
use support::*;

/// An allocator that counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes every call to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Asserts that the check of a valid payload makes this number of allocations.
#[track_caller]
fn costs(allocations: usize, encoding: Encoding, payload: &[u8]) {
    let mut schema = schema(encoding, KINDS, "t.All");
    schema.require("child.text").unwrap();
    let before = ALLOCATIONS.get();
    let verdict = schema.check(payload, 100);
    let spent = ALLOCATIONS.get() - before;
    assert_eq!(verdict, Ok(()));
    assert_eq!(spent, allocations);
}

#[test]
fn protobuf_allocates_nothing() {
    let child = len(
        17,
        [len(14, "zażółć"), len(18, [1; 100]), len(19, [0; 400])].concat(),
    );
    let entries: Vec<u8> = (0..50)
        .flat_map(|n| len(24, [len(1, [n]), int(2, 3)].concat()))
        .collect();
    costs(
        0,
        Encoding::Protobuf,
        &[child, entries, group(999, int(1, 1)), int(536_870_911, 1)].concat(),
    );
}

#[test]
fn msgpack_allocates_only_the_keys_of_large_maps() {
    let with_tags = |count: u8| {
        let tags = (0..count).flat_map(|n| [0xa1, n, n]).collect::<Vec<_>>();
        let child = [&b"\x81\xa4text\xa1x\xa7numbers\x92\x01\x02"[..]].concat();
        let child = [&[0x82][..], &child[1..]].concat();
        let map = [&[0xde, 0, count][..], &tags].concat();
        [
            &b"\x83\xa5child"[..],
            &child,
            b"\xa4tags",
            &map,
            b"\xa5other\x92\xc0\xc3",
        ]
        .concat()
    };
    costs(0, Encoding::Msgpack, &with_tags(8));
    let schema = schema(Encoding::Msgpack, KINDS, "t.All");
    let payload = with_tags(100);
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(&payload, 100), Ok(()));
    // The set of keys doubles its capacity as it grows.
    let spent = ALLOCATIONS.get() - before;
    assert!((1..10).contains(&spent), "{spent}");
}

#[test]
fn json_allocates_only_the_keys_of_large_maps_and_escapes() {
    let with_tags = |count: usize, note: &str| {
        let tags: Vec<_> = (0..count).map(|n| format!("\"k{n}\": {n}")).collect();
        let tags = tags.join(",");
        format!(
            "{{\"child\": {{\"text\": \"za\u{17c}\u{f3}\u{142}\u{107} and {note} more\", \"numbers\": [1, -2, 3e0]}},
              \"tags\": {{{tags}}}, \"other\": [null, true, {{\"a\": []}}], \"f64\": 1.25e3}}"
        )
    };
    costs(0, Encoding::Json, with_tags(8, "\\u0041\\n").as_bytes());
    let schema = schema(Encoding::Json, KINDS, "t.All");
    let payload = with_tags(100, "");
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(payload.as_bytes(), 100), Ok(()));
    // The set of keys doubles its capacity as it grows.
    let spent = ALLOCATIONS.get() - before;
    assert!((1..10).contains(&spent), "{spent}");
    // A field name with escapes is decoded before it is compared.
    let escaped = payload.replace("\"f64\"", "\"f\\u00364\"");
    let before = ALLOCATIONS.get();
    assert_eq!(schema.check(escaped.as_bytes(), 100), Ok(()));
    assert!(ALLOCATIONS.get() - before > spent);
}

/// A file whose message has fields with standard rules of every kind.
const RULED: &str = r#"
syntax = "proto3";
package t;
import "buf/validate/validate.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Color { RED = 0; GREEN = 1; }
message Ruled {
  option (buf.validate.message).oneof = {fields: ["a", "b"], required: true};
  int32 a = 1 [(buf.validate.field).int32 = {gt: 0, lt: 100}];
  uint64 b = 2 [(buf.validate.field).uint64 = {in: [1, 2, 3]}];
  double c = 3 [(buf.validate.field).double = {finite: true, gte: 0.5}];
  bool d = 4 [(buf.validate.field).bool.const = true];
  string e = 5 [(buf.validate.field).string = {min_len: 2, pattern: "^[a-zł]+$"}];
  string f = 6 [(buf.validate.field).string.email = true];
  string g = 7 [(buf.validate.field).string.hostname = true];
  bytes h = 8 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, bytes: {len: 3}}];
  Color i = 9 [(buf.validate.field).enum.defined_only = true];
  repeated int32 j = 10 [(buf.validate.field).repeated = {min_items: 1, items: {int32: {gt: 0}}}];
  map<string, int32> k = 11 [(buf.validate.field).map = {min_pairs: 1, keys: {string: {min_len: 1}}, values: {int32: {gt: 0}}}];
  google.protobuf.Timestamp l = 12 [(buf.validate.field).timestamp.lt_now = true];
  google.protobuf.Duration m = 13 [(buf.validate.field).duration.gte.seconds = 1];
  google.protobuf.Int32Value n = 14 [(buf.validate.field).int32.gt = 3];
  oneof one {
    option (buf.validate.oneof).required = true;
    string o = 15 [(buf.validate.field).string.min_len = 1];
    int32 p = 16;
  }
  Ruled q = 17 [(buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE];
  int64 r = 18 [(buf.validate.field).required = true];
  repeated string s = 19 [(buf.validate.field).repeated.items.string.uuid = true];
  string t = 20 [(buf.validate.field).string.ip = true];
  string u = 21 [(buf.validate.field).string.uri = true];
}
"#;

fn ruled(encoding: Encoding) -> Schema {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("t.proto"), RULED).unwrap();
    let mut found = Diagnostics::new();
    let roots = [directory.path().to_owned()];
    let descriptors = gateway_proto::compile(&roots, Compiler::Builtin, &mut found).unwrap();
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rules = RuleSet::build(&descriptors, &table, &["t.Ruled"], &mut found);
    let rules = Arc::new(rules.unwrap_or_else(|| panic!("{found}")));
    let root = table.message("t.Ruled").unwrap();
    let mut schema = Schema::new(encoding, table, root, Options::default());
    let limits = RuleLimits {
        bytes: 1 << 20,
        steps: 1_000_000,
    };
    assert!(schema.enforce(&rules, limits));
    schema
}

/// Asserts that MessagePack and JSON with standard rules are checked without an allocation.
/// Protobuf is left out, because a debug assertion checks the rules of a protobuf payload a second
/// time, and this check allocates.
#[test]
fn standard_rules_allocate_nothing() {
    let uuid = "550e8400-e29b-41d4-a716-446655440000";
    let inner = json!({
        "a": 5, "c": 1.5, "d": true, "e": "zamek", "f": "ada@example.org", "g": "example.org", "h": "YWJj", "i": 1,
        "j": [1, 2, 3], "k": {"x": 1, "y": 2}, "l": "1970-01-01T00:00:05Z", "m": "2.5s", "n": 4, "o": "x", "r": 7,
        "s": [uuid, uuid], "t": "10.0.0.1", "u": "https://example.org/a?b#c"
    });
    let within = |inner: &Value| {
        let mut outer = inner.clone();
        outer["q"] = inner.clone();
        outer
    };
    let mut text = inner.clone();
    text.as_object_mut().unwrap().remove("h");
    let mut packed = inner.clone();
    packed["l"] = json!({"seconds": 5});
    packed["m"] = json!({"seconds": 2, "nanos": 5});
    let packed = rmp_serde::to_vec(&within(&packed)).unwrap();
    for (encoding, payload) in [
        (
            Encoding::Msgpack,
            replaced(&packed, b"\xa4YWJj", b"\xc4\x03abc"),
        ),
        (Encoding::Json, within(&text).to_string().into_bytes()),
    ] {
        let schema = ruled(encoding);
        // When a thread matches a pattern for the first time, it allocates memory for matching.
        assert_eq!(schema.check(&payload, 100), Ok(()), "{encoding:?}");
        let before = ALLOCATIONS.get();
        let verdict = schema.check(&payload, 100);
        let spent = ALLOCATIONS.get() - before;
        assert_eq!((verdict, spent), (Ok(()), 0), "{encoding:?}");
    }
}

/// Returns `bytes` with `new` in place of each `old`.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(old) {
            replaced.extend(new);
            at += old.len();
        } else {
            replaced.push(bytes[at]);
            at += 1;
        }
    }
    replaced
}
