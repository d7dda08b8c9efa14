//! The inputs that the cases share.

pub const PERSON: &[u8] =
    b"\x08\xb9\x60\x12\x0cAda Lovelace\x1a\x0fada@example.org\x22\x06\x01\x14\xac\x02\xa0\x1f";

/// The number of messages in one read or write, as many as a busy client sends at a time.
pub const BURST: u64 = 100;

/// Three message types with the same ten fields: one without rules, one with standard rules on each
/// field's value or length, and one with a CEL rule of three comparisons.
pub const RULED_PROTO: &str = r#"
    syntax = "proto3";
    package ruled;
    import "buf/validate/validate.proto";
    message Fields {
      int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5;
      double f = 6; float g = 7; string h = 8; string i = 9; bytes j = 10;
    }
    message Rules {
      int32 a = 1 [(buf.validate.field).int32 = {gt: 0, lt: 1000}];
      int64 b = 2 [(buf.validate.field).int64.gte = 5];
      uint32 c = 3 [(buf.validate.field).uint32.lte = 100];
      uint64 d = 4 [(buf.validate.field).uint64.gt = 7];
      sint32 e = 5 [(buf.validate.field).sint32.lt = 70];
      double f = 6 [(buf.validate.field).double = {gte: -1.5, lte: 99.5}];
      float g = 7 [(buf.validate.field).float.gt = 0.5];
      string h = 8 [(buf.validate.field).string.min_len = 2];
      string i = 9 [(buf.validate.field).string.max_len = 40];
      bytes j = 10 [(buf.validate.field).bytes.max_len = 16];
    }
    message Cel {
      option (buf.validate.message).cel = {
        id: "three", message: "three comparisons",
        expression: "this.a <= this.b && this.c < this.d && this.h != this.i"
      };
      int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5;
      double f = 6; float g = 7; string h = 8; string i = 9; bytes j = 10;
    }
"#;

/// A message with the ten fields of [`RULED_PROTO`].
pub const FIELDS: &[u8] = b"\x08\x96\x01\x10\xc0\xc4\x07\x18\x2a\x20\xe8\x07\x28\x41\
    \x31\0\0\0\0\0\0\x29\x40\x3d\0\0\x80\x3f\x42\x0cAda Lovelace\x4a\x0fada@example.org\x52\x04abcd";

/// The same message in JSON.
pub const FIELDS_JSON: &[u8] = br#"{"a":150,"b":"123456","c":42,"d":"1000","e":-33,"f":12.5,"g":1.0,"h":"Ada Lovelace","i":"ada@example.org","j":"YWJjZA=="}"#;

/// The same message in MessagePack.
pub const FIELDS_MSGPACK: &[u8] = b"\x8a\xa1a\xcc\x96\xa1b\xce\x00\x01\xe2\x40\xa1c\x2a\xa1d\xcd\x03\xe8\xa1e\xd0\xdf\
    \xa1f\xcb\x40\x29\0\0\0\0\0\0\xa1g\xca\x3f\x80\0\0\xa1h\xacAda Lovelace\xa1i\xafada@example.org\xa1j\xc4\x04abcd";
