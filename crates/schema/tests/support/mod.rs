//! Helpers that several test programs share: the compilation of `.proto` texts to schemas,
//! functions that encode payloads by hand, and mutations of payloads.
#![allow(dead_code)]

mod random;

use std::sync::Arc;

use gateway_diagnostic::Diagnostics;
use gateway_proto::Compiler;
use gateway_schema::{Encoding, Layout, Options, Schema, Table, TextKeys, UnknownFields};
use protobuf::Message as _;
use protobuf::descriptor::{FileDescriptorProto, FileDescriptorSet};

#[allow(unused_imports)]
pub use random::{Random, mutated};

/// Returns the descriptors of a file and its imports, and prost-reflect's pool of the same files.
pub fn compile(proto: &str) -> (Vec<FileDescriptorProto>, prost_reflect::DescriptorPool) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.proto"), proto).unwrap();
    let mut found = Diagnostics::new();
    let roots = [dir.path().to_owned()];
    let descriptors = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
    let descriptors = descriptors.unwrap_or_else(|| panic!("{proto}\n{found}"));
    let mut set = FileDescriptorSet::new();
    set.file = descriptors.files().cloned().collect();
    let pool = prost_reflect::DescriptorPool::decode(&*set.write_to_bytes().unwrap()).unwrap();
    (set.file, pool)
}

/// Returns the messages of a `.proto` text.
pub fn table(proto: &str) -> Arc<Table> {
    Arc::new(Table::build(&compile(proto).0).unwrap())
}

/// Returns the schema of a message of a `.proto` text, with the default options.
pub fn schema(encoding: Encoding, proto: &str, message: &str) -> Schema {
    with(encoding, proto, message, Options::default())
}

/// Returns the schema of a message of a `.proto` text, with these options.
pub fn with(encoding: Encoding, proto: &str, message: &str, options: Options) -> Schema {
    let table = table(proto);
    let id = table.message(message).unwrap();
    Schema::new(encoding, table, id, options)
}

/// Options that reject unknown fields.
pub const STRICT: Options = Options {
    unknown_fields: UnknownFields::Reject,
    layout: Layout::Any,
    text_keys: TextKeys::Reject,
    all_violations: false,
};

/// Returns the path, expected, found and offset of the payload's violation. Panics if the payload
/// passes.
pub fn violation(schema: &Schema, payload: &[u8]) -> (String, String, String, usize) {
    let v = schema.check(payload, 100).unwrap_err();
    (v.path, v.expected, v.found, v.offset)
}

/// Asserts that the payload is rejected with this violation.
#[track_caller]
pub fn refused(
    schema: &Schema,
    payload: &[u8],
    path: &str,
    expected: &str,
    found: &str,
    offset: usize,
) {
    let (p, e, f, o) = violation(schema, payload);
    assert_eq!((&*p, &*e, &*f, o), (path, expected, found, offset));
}

/// Asserts that the payload passes.
#[track_caller]
pub fn accepted(schema: &Schema, payload: &[u8]) {
    if let Err(violation) = schema.check(payload, 100) {
        panic!("{payload:02x?}: {violation}");
    }
}

/// Functions that write the protobuf wire format by hand.
pub mod pb {
    pub fn varint(mut n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
        out
    }

    pub fn tag(number: u32, wire: u32) -> Vec<u8> {
        varint(u64::from(number << 3 | wire))
    }

    pub fn int(number: u32, value: u64) -> Vec<u8> {
        [tag(number, 0), varint(value)].concat()
    }

    pub fn len(number: u32, body: impl AsRef<[u8]>) -> Vec<u8> {
        let body = body.as_ref();
        [tag(number, 2), varint(body.len() as u64), body.to_vec()].concat()
    }

    pub fn group(number: u32, body: impl AsRef<[u8]>) -> Vec<u8> {
        [tag(number, 3), body.as_ref().to_vec(), tag(number, 4)].concat()
    }
}

/// A message with a field of every kind, for the tests of all encodings.
pub const KINDS: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
enum Color { RED = 0; GREEN = 1; }
message All {
  double f64 = 1; float f32 = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
  sint32 s32 = 7; sint64 s64 = 8; fixed32 x32 = 9; fixed64 x64 = 10; sfixed32 sx32 = 11;
  sfixed64 sx64 = 12; bool flag = 13; string text = 14; bytes data = 15; Color color = 16;
  All child = 17;
  repeated int32 numbers = 18; repeated fixed32 fixeds = 19; repeated double doubles = 20;
  repeated string names = 21; repeated All children = 22; repeated Color colors = 23;
  map<string, int32> tags = 24; map<int32, All> by_id = 25; map<bool, string> by_flag = 26;
  oneof choice { string left_side = 27; int32 right_side = 28; google.protobuf.Value any_side = 29; }
  google.protobuf.Timestamp at = 30; google.protobuf.Struct meta = 31;
  google.protobuf.Value value = 32; google.protobuf.ListValue list = 33;
  google.protobuf.Int32Value wrapped = 34; google.protobuf.BytesValue wrapped_bytes = 35;
  map<sint64, bytes> by_sint = 36; map<fixed32, Color> by_fixed = 37; map<sfixed64, double> by_sfixed = 38;
  repeated google.protobuf.Value values = 39; repeated bool flags = 40; map<uint64, string> by_u64 = 41;
  optional int32 far = 536870911;
}
"#;
