//! Tests of the verdicts of rules in CEL.

use super::*;
use gateway_schema::TextKeys;

/// Returns the schemas of a message with fields of many kinds and one rule in CEL.
fn with_rule(expression: &str) -> Ruled {
    let text = format!(
        r#"
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message M {{
  option (buf.validate.message).cel = {{id: "rule", message: "broken", expression: "{expression}"}};
  string name = 1; bool t = 2; int64 n = 3; double d = 4; uint64 u = 5; bytes b = 6;
  google.protobuf.Duration limit = 7; google.protobuf.Timestamp begins = 8; google.protobuf.Timestamp ends = 9;
  google.protobuf.Int32Value w = 10; google.protobuf.Struct s = 11; google.protobuf.Value v = 12;
  google.protobuf.Any any = 13; M m = 14; repeated int32 list = 15; map<string, int32> map = 16;
  Kind kind = 17; optional int32 o = 18; oneof one {{ int32 a = 19; string c = 20; }} repeated string texts = 21;
  map<int32, M> inner = 22;
}}
enum Kind {{ NONE = 0; FIRST = 1; }}
"#
    );
    Ruled::new(&text)
}

/// The expected verdict of a rule on a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Holds,
    Broken,
    Fails,
}

use Expected::{Broken, Fails, Holds};

#[track_caller]
fn judge(expression: &str, cases: &[(Value, Expected)]) {
    let ruled = with_rule(expression);
    for (value, expected) in cases {
        for (encoding, verdict) in ruled.check(value) {
            // The JSON form of some numbers and times is malformed in MessagePack.
            let misfit = matches!(&verdict, Err(reported) if reported.rule.is_none());
            if encoding == "msgpack" && misfit {
                continue;
            }
            let found = match &verdict {
                Ok(()) => Holds,
                Err(reported) if reported.is_failure() => Fails,
                Err(_) => Broken,
            };
            assert_eq!(
                found, *expected,
                "{expression}: {encoding}: {value}: {verdict:?}"
            );
        }
    }
}

/// Tests expressions that an interpreter without static types would judge wrongly. The expected
/// verdicts are the verdicts of other implementations of protovalidate.
#[test]
fn rules_over_scalars_are_judged_by_the_specification() {
    for (expression, value, says) in [
        (
            "this.name.size() <= 5",
            json!({"name": "日本語です"}),
            Holds,
        ),
        (
            "this.name.size() <= 5",
            json!({"name": "日本語です。"}),
            Broken,
        ),
        ("!!this.t", json!({"t": true}), Holds),
        ("--this.n == 5", json!({"n": "5"}), Holds),
        ("this.limit < duration('10s')", json!({}), Holds),
        ("this.begins <= this.ends", json!({}), Holds),
        ("this.begins.getFullYear() >= 1970", json!({}), Holds),
        ("this.w != null", json!({}), Broken),
        ("this.w != null", json!({"w": 0}), Holds),
        (
            "this.begins.getHours('+01:00') < 12",
            json!({"begins": "2020-01-01T11:30:00Z"}),
            Broken,
        ),
        (
            "this.begins.getHours('Europe/Berlin') < 12",
            json!({"begins": "2020-01-01T11:30:00Z"}),
            Broken,
        ),
        ("'%x'.format([this.n]) == 'ff'", json!({"n": "255"}), Holds),
        (
            "'%s'.format([this.list]) == '[1, 2]'",
            json!({"list": [1, 2]}),
            Holds,
        ),
        (
            "type(this.n) == int && dyn(this.n) == 1.0",
            json!({"n": "1"}),
            Holds,
        ),
        (
            "bool('true') && string(this.t) == 'false'",
            json!({}),
            Holds,
        ),
        ("timestamp(this.n) == this.begins", json!({}), Holds),
        ("-this.n < 0", json!({"n": "-9223372036854775808"}), Fails),
        ("int(this.d) == 0", json!({"d": "NaN"}), Fails),
        (
            "this.begins + this.limit > this.ends",
            json!({"begins": "9999-12-31T23:59:59Z", "limit": "315576000000s"}),
            Fails,
        ),
    ] {
        judge(expression, &[(value, says)]);
    }
}

/// Tests rules over messages, maps, presence and short-circuit evaluation. The expected verdicts
/// are the verdicts of other implementations of protovalidate.
#[test]
fn rules_over_messages_are_judged_by_the_specification() {
    for (expression, value, says) in [
        (
            "!has(this.m) || this.m == t.M{n: 1}",
            json!({"m": {"n": "1"}}),
            Holds,
        ),
        (
            "dyn(this.n) == this.d && dyn(this.u) == this.d && this.n < this.d + 1.0",
            json!({"n": "3", "d": 3.0, "u": "3"}),
            Holds,
        ),
        (
            "this.s.a == 1.0 && this.s.b.c[0] == 'x'",
            json!({"s": {"a": 1, "b": {"c": ["x"]}}}),
            Holds,
        ),
        ("this.v == null || this.v == 'x'", json!({"v": "x"}), Holds),
        ("this.v == null || this.v == 'x'", json!({"v": [1]}), Broken),
        ("this.kind == t.Kind.FIRST", json!({"kind": "FIRST"}), Holds),
        ("this.kind == 1", json!({"kind": "NONE"}), Broken),
        (
            "has(this.o) && !has(this.n) && !has(this.m)",
            json!({"o": 0, "n": "0"}),
            Holds,
        ),
        ("has(this.o)", json!({}), Broken),
        ("has(this.a) != has(this.c)", json!({"c": ""}), Holds),
        (
            "this.map['k'] == 2 && 'k' in this.map && this.map.all(k, this.map[k] > 1)",
            json!({"map": {"k": 2, "l": 3}}),
            Holds,
        ),
        ("this.map['x'] == 2", json!({"map": {"k": 2}}), Fails),
        (
            "size(this.inner) == 0 || this.inner[3].n == 7",
            json!({"inner": {"3": {"n": "7"}}}),
            Holds,
        ),
        ("this.list[0] > 0 || true", json!({}), Holds),
        ("1 / this.n > 0", json!({}), Fails),
        (
            "now > this.begins",
            json!({"begins": "2020-01-01T00:00:00Z"}),
            Holds,
        ),
        (
            "this.b.startsWith(b'a') && this.b.contains(b'\\\\xff') && this.b.endsWith(b'z')",
            json!({"b": "Yf96"}),
            Holds,
        ),
        ("getField(this, 'name') == 'x'", json!({"name": "x"}), Holds),
    ] {
        judge(expression, &[(value, says)]);
    }
}

#[test]
fn protovalidates_functions_are_known() {
    for (expression, right, wrong) in [
        ("this.name.isEmail()", "a@b.c", "a@"),
        ("this.name.isHostname()", "a.b", "-a"),
        ("this.name.isIp()", "::1", "::%"),
        ("this.name.isIp(4)", "1.2.3.4", "::1"),
        ("this.name.isIp(6)", "::1", "1.2.3.4"),
        ("this.name.isIp(this.n + 4)", "1.2.3.4", "::1"),
        ("this.name.isIpPrefix()", "1.2.3.4/8", "1.2.3.4"),
        ("this.name.isIpPrefix(true)", "1.0.0.0/8", "1.2.3.4/8"),
        ("this.name.isIpPrefix(6)", "::1/8", "1.2.3.4/8"),
        ("this.name.isIpPrefix(6, true)", "::/8", "::1/8"),
        ("this.name.isUri()", "a://b", "b"),
        ("this.name.isUriRef()", "/b", "\u{7f}"),
        ("this.name.isHostAndPort(true)", "a:1", "a"),
        ("this.name.isHostAndPort(false)", "a", "-a"),
    ] {
        judge(
            expression,
            &[
                (json!({"name": right}), Holds),
                (json!({"name": wrong}), Broken),
            ],
        );
    }
    judge(
        "this.d.isNan()",
        &[(json!({"d": "NaN"}), Holds), (json!({"d": 1.0}), Broken)],
    );
    judge(
        "this.d.isInf(-1)",
        &[
            (json!({"d": "-Infinity"}), Holds),
            (json!({"d": "Infinity"}), Broken),
        ],
    );
    judge(
        "this.list.unique()",
        &[
            (json!({"list": [1, 2]}), Holds),
            (json!({"list": [1, 1]}), Broken),
        ],
    );
    judge(
        "this.texts.unique()",
        &[
            (json!({"texts": ["a", "b"]}), Holds),
            (json!({"texts": ["a", "a"]}), Broken),
        ],
    );
}

/// Rules read an Any as the message that the Any contains, if the type of this message is known.
#[test]
fn the_message_in_an_any_is_read() {
    let ruled = with_rule("!has(this.any) || this.any.n == 5");
    let held = |n: u8| [b"\x6a\x0b\x0a\x05x/t.M".to_vec(), vec![0x12, 2, 0x18, n]].concat();
    assert_eq!(ruled.protobuf.check(&held(5), DEPTH), Ok(()));
    assert!(
        !ruled
            .protobuf
            .check(&held(6), DEPTH)
            .unwrap_err()
            .is_failure()
    );
    let json = |n: u8| format!(r#"{{"any": {{"@type": "x/t.M", "n": {n}}}}}"#).into_bytes();
    assert_eq!(ruled.json.check(&json(5), DEPTH), Ok(()));
    assert!(!ruled.json.check(&json(6), DEPTH).unwrap_err().is_failure());
    // An Any of an unknown type, or with a malformed value, has no fields.
    for payload in [
        &b"\x6a\x0b\x0a\x05x/t.Q\x12\x02\x18\x05"[..],
        b"\x6a\x0b\x0a\x05x/t.M\x12\x02\x18\x85",
    ] {
        assert!(
            ruled
                .protobuf
                .check(payload, DEPTH)
                .unwrap_err()
                .is_failure()
        );
    }
    // Any is nested 20,000 levels deep, on a thread with the default stack size.
    let deepest = (0..20_000).fold(vec![], |inner: Vec<u8>, _| {
        let any = [b"\x0a\x05x/t.M".to_vec(), delimited(0x12, &inner)].concat();
        delimited(0x6a, &any)
    });
    let checked = std::thread::Builder::new().stack_size(2 << 20);
    let checked = checked.spawn(move || {
        assert!(ruled.protobuf.check(&deepest, DEPTH).is_err());
    });
    checked.unwrap().join().unwrap();
}

fn delimited(tag: u8, inner: &[u8]) -> Vec<u8> {
    let mut outer = vec![tag];
    let mut n = inner.len();
    while n >= 0x80 {
        outer.push(n as u8 | 0x80);
        n >>= 7;
    }
    outer.push(n as u8);
    [&outer, inner].concat()
}

/// If a field occurs several times in protobuf, its last record counts. The records of a field of
/// a message type are merged.
#[test]
fn rules_check_the_value_that_a_decoder_returns() {
    let ruled = with_rule(
        "this.n == 1 || this.n == 2 && this.m.n == 1 && this.m.name == 'a' && !has(this.a)",
    );
    let payload = b"\x18\x01\x72\x02\x18\x01\x72\x03\x0a\x01a\x18\x02\x98\x01\x07\xa2\x01\x00";
    assert_eq!(ruled.protobuf.check(payload, DEPTH), Ok(()));
    let other = [&payload[..], b"\x98\x01\x00"].concat();
    assert!(ruled.protobuf.check(&other, DEPTH).is_err());
    // The closed enum does not define the number 9, so a field with this number is unset. Unset
    // fields have their default values.
    let ruled = Ruled::new(
        r#"syntax = "proto2"; package t; import "buf/validate/validate.proto";
        enum E { A = 0; B = 4; }
        message M { optional E e = 1; optional int32 n = 2 [default = 7]; optional string s = 3 [default = "x"];
          optional bytes b = 4 [default = "\001"]; repeated E list = 5; map<int32, E> map = 6;
          option (buf.validate.message).cel_expression =
            "this.e == t.E.B || !has(this.e) && this.n == 7 && this.s == 'x' && this.b == b'\\x01' && size(this.list + [1]) == 1 && size(this.map) == 0"; }"#,
    );
    for payload in [
        &b""[..],
        b"\x08\x09\x28\x09\x32\x04\x08\x01\x10\x09",
        b"\x08\x04",
    ] {
        assert_eq!(ruled.protobuf.check(payload, DEPTH), Ok(()), "{payload:?}");
    }
    assert!(ruled.protobuf.check(b"\x08\x00", DEPTH).is_err());
}

/// Tests rules that read only scalars of a message: fields in any order, repeated records, and
/// defaults.
#[test]
fn rules_over_scalars_read_fields_in_any_order() {
    let ruled = Ruled::new(
        r#"syntax = "proto2"; package t; import "buf/validate/validate.proto";
        enum E { A = 0; B = 4; }
        message M { optional E e = 1; optional int32 n = 2 [default = 7]; optional string s = 3; optional bytes b = 4;
          optional double d = 5; optional sint32 z = 6; repeated int32 list = 7; optional N m = 8; optional group G = 9 { optional int32 n = 2; }
          option (buf.validate.message).cel_expression =
            "this.n == 7 && this.s == 'b' && this.z == -1 && this.d == 1.5 && this.b == b'y' && (this.e == 4 || !has(this.e))"; }
        message N { optional int32 n = 2; }"#,
    );
    let (s, z, d, b) = (
        b"\x1a\x01b",
        b"\x30\x01",
        b"\x29\0\0\0\0\0\0\xf8\x3f",
        b"\x22\x01y",
    );
    let others = b"\x42\x02\x10\x01\x4b\x10\x01\x4c\x3a\x02\x01\x02\xa0\x06\x01";
    let payload = [
        &d[..],
        b"\x10\x05",
        z,
        b,
        others,
        b"\x1a\x01a",
        s,
        b"\x10\x07\x08\x09",
    ]
    .concat();
    assert_eq!(ruled.protobuf.check(&payload, DEPTH), Ok(()));
    let sorted = [&s[..], b, d, z, b"\x08\x04"].concat();
    assert_eq!(ruled.protobuf.check(&sorted, DEPTH), Ok(()));
    for wrong in [&b"\x08\x00"[..], b"\x10\x08", b"\x1a\x00", b"\x30\x00"] {
        let payload = [&sorted[..], wrong].concat();
        assert!(ruled.protobuf.check(&payload, DEPTH).is_err(), "{wrong:?}");
    }
}

/// Tests comparisons of scalars, which are evaluated directly on the encoded fields. If the direct
/// evaluation accepts a payload, a debug build asserts that the full evaluation does, too. The
/// rules read eight fields, which is the maximum for the direct evaluation.
#[test]
fn comparisons_of_scalars_have_the_verdicts_of_the_language() {
    let ruled = Ruled::new(
        r#"message M {
          sint32 a = 1; int64 b = 2; uint32 c = 3; double e = 5; string s = 6; optional string t = 7;
          bool flag = 8; repeated int32 list = 9; fixed32 f = 20;
          option (buf.validate.message).cel_expression = "this.a < this.b && this.c != this.f || this.flag";
          option (buf.validate.message).cel_expression = "!has(this.t) || this.s <= this.t";
          option (buf.validate.message).cel_expression = "this.flag || has(this.e) || this.c > 0u";
          option (buf.validate.message).cel = {id: "gap", expression:
            "this.flag || this.b - this.a <= 6 ? '' : this.e == 1.5 ? '' : 'the gap is too wide'"}; }"#,
    );
    ruled.accepts(&json!({"a": -1, "b": 5, "c": 1, "s": "z"}));
    ruled.accepts(&json!({"a": -1, "b": 5, "c": 1, "s": "é", "t": "🦀", "list": [1, 2]}));
    ruled.accepts(&json!({"b": 9, "c": 1, "e": 1.5, "f": 300, "s": "a\nb"}));
    ruled.accepts(&json!({"flag": true}));
    let text = "this.a < this.b && this.c != this.f || this.flag";
    ruled.refuses(&json!({"b": 5, "e": 1}), "", text);
    // An encoded zero counts as unset if the field has no presence.
    let zero = b"\x10\x05\xa5\x01\x07\0\0\0\x29\0\0\0\0\0\0\0\0";
    assert!(ruled.protobuf.check(zero, DEPTH).is_err());
    let text = "!has(this.t) || this.s <= this.t";
    ruled.refuses(&json!({"b": 1, "c": 1, "s": "z", "t": ""}), "", text);
    ruled.refuses(&json!({"b": 1, "c": 1, "s": "z", "t": "aa"}), "", text);
    ruled.accepts(&json!({"b": 1, "c": 1, "s": "", "t": ""}));
    let reported = ruled.refuses(&json!({"b": 7, "c": 1, "e": 1.25}), "", "gap");
    assert_eq!(reported.expected, "the gap is too wide");
    // An overflow is an evaluation failure, and NaN equals nothing.
    for (encoding, verdict) in ruled.check(&json!({"a": -1, "b": i64::MAX, "c": 1})) {
        assert!(verdict.unwrap_err().is_failure(), "{encoding}");
    }
    let nan = b"\x10\x07\x18\x01\x29\0\0\0\0\0\0\xf8\x7f";
    assert!(ruled.protobuf.check(nan, DEPTH).is_err());
    // Long strings, long varints, repeated records, and fields in any order.
    let long = "x".repeat(300);
    ruled.accepts(&json!({"b": 1, "c": 1, "s": long, "t": format!("{long}a")}));
    ruled.refuses(&json!({"b": 1, "c": 1, "s": long, "t": "a"}), "", text);
    let twice = b"\x10\x00\x18\x01\xa5\x01\x07\0\0\0\x10\x85\x80\0";
    assert_eq!(ruled.protobuf.check(twice, DEPTH), Ok(()));
    let first = b"\x10\x05\x18\x01\x10\x00";
    assert!(ruled.protobuf.check(first, DEPTH).is_err());
}

/// Tests rules of fields, elements, keys and values, and the conditions under which rules apply.
#[test]
fn rules_apply_to_fields_elements_keys_and_values() {
    let ruled = Ruled::new(
        r#"message M {
          int32 odd = 1 [(buf.validate.field).cel = {id: "odd", expression: "this % 2 == 1 ? '' : 'is even'"}];
          optional int32 set = 2 [(buf.validate.field).cel_expression = "this > 0"];
          int32 lax = 3 [(buf.validate.field) = {ignore: IGNORE_IF_ZERO_VALUE, cel_expression: "this > 5"}];
          int32 off = 4 [(buf.validate.field) = {ignore: IGNORE_ALWAYS, cel_expression: "this > 5"}];
          repeated int32 list = 5 [(buf.validate.field) = {cel_expression: "size(this) < 3",
            repeated: {items: {ignore: IGNORE_IF_ZERO_VALUE, cel_expression: "this > 5"}}}];
          map<string, int32> map = 6 [(buf.validate.field).map = {
            keys: {cel: {id: "key", message: "short", expression: "size(this) < 3"}}, values: {cel_expression: "this > 5"}}];
          repeated N n = 7;
        }
        message N { option (buf.validate.message) = {cel_expression: "this.a < this.b", oneof: {fields: ["c", "d"]}};
          int32 a = 1; int32 b = 2; int32 c = 3; int32 d = 4; }"#,
    );
    let with = |key: &str, value: Value| {
        let mut all = json!({"odd": 1});
        all[key] = value;
        all
    };
    ruled.accepts(&json!({"odd": 1}));
    ruled.refuses(&json!({}), "odd", "odd");
    for (key, value) in [
        ("set", json!(1)),
        ("lax", json!(0)),
        ("off", json!(1)),
        ("list", json!([0, 6])),
        ("map", json!({"ab": 6})),
        ("n", json!([{"b": 1, "c": 1}])),
    ] {
        ruled.accepts(&with(key, value));
    }
    for (key, value, path, rule) in [
        ("odd", json!(2), "odd", "odd"),
        ("set", json!(0), "set", "this > 0"),
        ("lax", json!(1), "lax", "this > 5"),
        ("list", json!([6, 6, 6]), "list", "size(this) < 3"),
        ("list", json!([6, 5]), "list[1]", "this > 5"),
        ("map", json!({"abc": 6}), "map[\"abc\"] (key)", "key"),
        ("map", json!({"ab": 5}), "map[\"ab\"]", "this > 5"),
        ("n", json!([{"b": 1}, {}]), "n[1]", "this.a < this.b"),
        (
            "n",
            json!([{"b": 1, "c": 1, "d": 1}]),
            "n[0]",
            "message.oneof",
        ),
    ] {
        ruled.refuses(&with(key, value), path, rule);
    }
    for (_, verdict) in ruled.check(&json!({"odd": 2})) {
        assert_eq!(verdict.unwrap_err().expected, "is even");
    }
    for (_, verdict) in ruled.check(&with("set", json!(0))) {
        assert_eq!(verdict.unwrap_err().expected, "\"this > 0\" returned false");
    }
}

/// Tests that predefined rules can read their own value, as `rule`, and the message that contains
/// the value, as `rules`.
#[test]
fn predefined_rules_hold() {
    let ruled = Ruled::new(
        r#"edition = "2023"; package t; import "buf/validate/validate.proto"; import "google/protobuf/duration.proto";
        extend buf.validate.Int32Rules {
          int32 multiple = 80048952 [(buf.validate.predefined).cel = {
            id: "int32.multiple", expression: "this % rule == 0 ? '' : 'must be a multiple of %s'.format([rule])"}];
          repeated int32 among = 80048953 [(buf.validate.predefined).cel = {
            id: "int32.among", message: "not among", expression: "this in rule && this < rules.lt"}];
        }
        extend buf.validate.DurationRules {
          google.protobuf.Duration longest = 80048952 [(buf.validate.predefined).cel = {
            id: "duration.longest", message: "too long", expression: "this <= rule"}];
        }
        message M {
          int32 m = 1 [(buf.validate.field).int32.(multiple) = 3];
          int32 a = 2 [(buf.validate.field).int32 = {lt: 9, [t.among]: [1, 2, 10]}];
          google.protobuf.Duration d = 3 [(buf.validate.field).duration.(longest) = {seconds: 5}];
          repeated int32 list = 4 [(buf.validate.field).repeated.items.int32.(multiple) = 2];
        }"#,
    );
    ruled.accepts(&json!({"m": 6, "a": 2, "list": [2, 4]}));
    ruled.refuses(&json!({"m": 5}), "m", "int32.multiple");
    ruled.refuses(&json!({"a": 3}), "a", "int32.among");
    assert_eq!(ruled.json.check(br#"{"d": "5s"}"#, DEPTH), Ok(()));
    let reported = ruled.json.check(br#"{"d": "5.1s"}"#, DEPTH).unwrap_err();
    assert_eq!(reported.rule.as_deref(), Some("duration.longest"));
    ruled.refuses(&json!({"list": [2, 3]}), "list[1]", "int32.multiple");
    for (_, verdict) in ruled.check(&json!({"m": 5})) {
        assert_eq!(verdict.unwrap_err().expected, "must be a multiple of 3");
    }
}

/// Tests that a table for the root message of a schema also holds the types that only the rules of
/// the message name, in any spelling, or in a predefined rule. Types that nothing names are left
/// out.
#[test]
fn types_that_only_rules_name_are_found() {
    let text = r#"
        extend buf.validate.Int32Rules {
          optional bool few = 80048952 [(buf.validate.predefined).cel = {
            id: "few", expression: "this < t.Bounds{}.few"}];
          optional bool idle = 80048953;
        }
        message Bounds { optional int32 few = 1 [default = 3]; }
        message Outer { message Pair { optional Second second = 1; } }
        message Second { optional int32 n = 1; }
        enum Level { LOW = 0; HIGH = 7; }
        message M {
          optional int32 a = 1 [(buf.validate.field) = {
            int32: {[t.few]: true}, cel_expression: "this != .t . Outer\n.Pair{second: {}}.second.n"}];
          repeated int32 b = 2 [(buf.validate.field).repeated.items = {
            cel_expression: "this < t.Level.HIGH", int32: {[t.idle]: true}}];
        }
        message Unnamed { optional int32 n = 1; }
        message Ruled { optional int32 n = 1 [(buf.validate.field).int32.gt = 0]; }"#;
    let text =
        format!("syntax = \"proto2\"; package t; import \"buf/validate/validate.proto\";\n{text}");
    let ruled = Ruled::new(&text.replace("second: {}", "second: t.Second{}"));
    ruled.accepts(&json!({"a": 2, "b": [6]}));
    ruled.refuses(
        &json!({"a": 0}),
        "a",
        "this != .t . Outer\n.Pair{second: t.Second{}}.second.n",
    );
    ruled.refuses(&json!({"a": 3}), "a", "few");
    ruled.refuses(&json!({"b": [7]}), "b[0]", "this < t.Level.HIGH");
    let (descriptors, _dir) = descriptors(&text);
    let table = Table::for_roots(&descriptors, [(Encoding::Json, "t.M")]).unwrap();
    for (name, held) in [
        ("t.M", true),
        ("t.Bounds", true),
        ("t.Outer.Pair", true),
        ("t.Second", true),
        ("buf.validate.StringRules", true),
        ("t.Unnamed", false),
        ("t.Ruled", false),
        // No expression of these rules names this type.
        ("google.protobuf.FileOptions", false),
    ] {
        assert_eq!(table.message(name).is_some(), held, "{name}");
    }
    // This root has no rules and no fields of a message type, so the table holds only the root.
    let table = Table::for_roots(&descriptors, [(Encoding::Json, "t.Unnamed")]).unwrap();
    assert_eq!(table.message_names().collect::<Vec<_>>(), ["t.Unnamed"]);
}

/// Asserts that violations of standard rules and of rules in CEL are reported together, but a rule
/// that could not be evaluated is reported alone.
#[test]
fn standard_rules_and_expressions_are_reported_together() {
    let text = r#"message M { int32 a = 1 [(buf.validate.field) = {int32: {gt: 5}, cel_expression: "this != 3"}];
      int32 b = 2 [(buf.validate.field).cel_expression = "1 / this > 0"]; }"#;
    let (descriptors, _dir) = descriptors(text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &["t.M"], &mut Diagnostics::new());
    let options = Options {
        all_violations: true,
        ..Options::default()
    };
    let root = table.message("t.M").unwrap();
    let mut schema = Schema::new(Encoding::Json, Arc::clone(&table), root, options);
    assert!(schema.enforce(&Arc::new(rule_set.unwrap()), LIMITS));
    let reported = schema.check(br#"{"a": 3, "b": 1}"#, DEPTH).unwrap_err();
    let others = reported.others.unwrap();
    let rules: Vec<_> = others.iter().map(|other| other.rule.as_deref()).collect();
    assert_eq!(reported.rule.as_deref(), Some("int32.gt"));
    assert_eq!(rules, [Some("this != 3")]);
    let reported = schema.check(br#"{"a": 3}"#, DEPTH).unwrap_err();
    assert!(reported.is_failure());
    assert_eq!((reported.path.as_str(), reported.others), ("b", None));
}

/// Asserts that rules of every kind see the number or bool that a text key stands for.
#[test]
fn rules_convert_text_keys_to_numbers() {
    let text = r#"message M { map<int32, int32> n = 1 [(buf.validate.field) = {map: {keys: {int32: {gt: 5}}},
      cel_expression: "this.all(key, key < 9) && (!(6 in this) || this[6] == 1)"}];
      map<bool, int32> b = 2 [(buf.validate.field).cel_expression = "!(true in this)"]; }"#;
    let (descriptors, _dir) = descriptors(text);
    let table = Arc::new(Table::build(descriptors.files()).unwrap());
    let rule_set = RuleSet::build(&descriptors, &table, &["t.M"], &mut Diagnostics::new());
    let options = Options {
        text_keys: TextKeys::Allow,
        ..Options::default()
    };
    let root = table.message("t.M").unwrap();
    let mut schema = Schema::new(Encoding::Msgpack, Arc::clone(&table), root, options);
    assert!(schema.enforce(&Arc::new(rule_set.unwrap()), LIMITS));
    let check = |value: Value| schema.check(&rmp_serde::to_vec(&value).unwrap(), DEPTH);
    assert_eq!(
        check(json!({"n": {"6": 1, "8": 0}, "b": {"false": 1}})),
        Ok(())
    );
    for (value, path) in [
        (json!({"n": {"5": 1}}), "n[5] (key)"),
        (json!({"n": {"6": 2}}), "n"),
        (json!({"n": {"9": 2}}), "n"),
        (json!({"b": {"true": 2}}), "b"),
    ] {
        assert_eq!(check(value.clone()).unwrap_err().path, path, "{value}");
    }
}

/// Tests that validate.proto comes with the compiler, and that the user's own copy of the file
/// takes precedence.
#[test]
fn rules_need_no_copy_of_validate_proto() {
    let dir = tempfile::tempdir().unwrap();
    let text = "syntax = \"proto3\"; package t; import \"buf/validate/validate.proto\";
      message M { int32 f = 1 [(buf.validate.field).int32.gt = 5]; }";
    fs::write(dir.path().join("t.proto"), text).unwrap();
    let load = || {
        let mut found = Diagnostics::new();
        let descriptors = compile(&[dir.path().to_owned()], Compiler::Builtin, &mut found);
        let rule_set =
            descriptors.and_then(|descriptors| rule_set(&descriptors, "t.M", &mut found));
        rule_set.map(drop).ok_or_else(|| found.render(false))
    };
    assert_eq!(load(), Ok(()));
    fs::create_dir_all(dir.path().join("buf/validate")).unwrap();
    let copy = dir.path().join("buf/validate/validate.proto");
    fs::write(&copy, "syntax = \"proto3\"; package buf.validate;").unwrap();
    assert!(load().unwrap_err().contains("buf.validate.field"));
    // In another directory, the copy has another import path. No file imports this path, so the
    // copy is ignored.
    fs::create_dir_all(dir.path().join("third_party/buf/validate")).unwrap();
    fs::rename(
        copy,
        dir.path().join("third_party/buf/validate/validate.proto"),
    )
    .unwrap();
    assert_eq!(load(), Ok(()));
}
