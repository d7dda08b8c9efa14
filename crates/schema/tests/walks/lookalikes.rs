//! Tests of the likely formats of rejected payloads: whole messages in other encodings are
//! recognised, and invalid payloads in the schema's own encoding are not.

use crate::support::*;
use gateway_schema::{Encoding, Lookalike};

const PERSON: &str = r#"
syntax = "proto3"; package t;
message Person { string name = 1; int32 age = 2; repeated Person friends = 3; }
"#;

/// Returns the likely format of `payload`, which a schema of this encoding must reject.
#[track_caller]
fn seen(encoding: Encoding, payload: &[u8]) -> Option<Lookalike> {
    let schema = schema(encoding, PERSON, "t.Person");
    assert!(schema.check(payload, 100).is_err(), "{payload:?} passes");
    schema.lookalike(payload, 100)
}

#[test]
fn a_message_in_another_encoding_is_recognised() {
    let json = br#"{"name": "Ada", "age": 36}"#;
    let msgpack = b"\x82\xa4name\xa3Ada\xa3age\x24";
    let protobuf = b"\x0a\x03Ada\x10\x24";
    use Encoding::{Json, Msgpack, Protobuf};
    for (written, payload, other) in [
        (Lookalike::Json, &json[..], [Msgpack, Protobuf]),
        (Lookalike::Msgpack, msgpack, [Json, Protobuf]),
        (Lookalike::Protobuf, protobuf, [Json, Msgpack]),
    ] {
        for encoding in other {
            assert_eq!(seen(encoding, payload), Some(written), "{encoding:?}");
        }
    }
    assert_eq!(
        seen(Protobuf, b" [ {\"name\": 1} ]\n"),
        Some(Lookalike::Json)
    );
}

#[test]
fn common_mistakes_of_senders_are_recognised() {
    for (payload, looks) in [
        (&b"{'name': 'Ada'}"[..], Lookalike::PythonText),
        (b"[{'name': 'Ada'}]", Lookalike::PythonText),
        (
            b"\x80\x04\x95\x0f\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.",
            Lookalike::Pickle,
        ),
        (b"\xef\xbb\xbf{}", Lookalike::ByteOrderMark),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", Lookalike::Gzip),
        (b"\x78\x9c\xab\x56\x4a", Lookalike::Zlib),
        (b"\x28\xb5\x2f\xfd\x24", Lookalike::Zstd),
        (b"0a03416461102400", Lookalike::Hex),
        (b"CgNBZGEQJBoHCgNCb2I=", Lookalike::Base64),
        (br#""{\"name\": \"Ada\"}""#, Lookalike::JsonTwice),
    ] {
        for encoding in [Encoding::Protobuf, Encoding::Msgpack, Encoding::Json] {
            assert_eq!(
                seen(encoding, payload),
                Some(looks),
                "{encoding:?} {payload:?}"
            );
        }
    }
}

#[test]
fn a_wrong_payload_in_the_schemas_encoding_resembles_no_other_format() {
    for (encoding, payload) in [
        (Encoding::Json, &b"{\"age\": \"x\"}"[..]),
        (Encoding::Json, b"{\"age\": 1,}"),
        (Encoding::Json, b"hello"),
        (Encoding::Json, b""),
        (Encoding::Msgpack, b"\x81\xa3age\xa1x"),
        (Encoding::Msgpack, b"\x81\xa3age"),
        (Encoding::Protobuf, b"\x0a\x05Ada"),
        (Encoding::Protobuf, b"\x82"),
        (Encoding::Protobuf, b"{"),
    ] {
        assert_eq!(seen(encoding, payload), None, "{encoding:?} {payload:?}");
    }
}

/// `lookalike` walks through a hostile payload at most twice, and not at all if the payload is
/// longer than 64 KiB.
#[test]
fn guesses_about_large_and_deep_payloads_are_bounded() {
    let deep = b"\x81\xa1a".repeat(20_000);
    assert_eq!(seen(Encoding::Protobuf, &deep), None);
    let mut large = b"\xdd\0\x80\0\0".to_vec();
    large.resize(8 << 20, 0xc0);
    assert_eq!(seen(Encoding::Json, &large), None);
}
