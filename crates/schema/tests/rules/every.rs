//! Tests of every rule of buf.validate against its specification, in each encoding: a value that
//! keeps the rule passes, and a value that breaks the rule is rejected.

use std::collections::BTreeSet;

use super::*;

/// A field's type and rules, a value that keeps the rules, a value that breaks one of them, and the
/// id of the broken rule.
pub struct Case {
    pub kind: String,
    pub rules: String,
    keeps: Written,
    pub breaks: Written,
    pub id: String,
}

/// A value in the form of JSON, and in the form of MessagePack if the two forms differ.
#[derive(Clone)]
pub struct Written(pub Value, Option<Value>);

impl Written {
    /// Returns the value in MessagePack.
    pub fn packed(&self) -> &Value {
        self.1.as_ref().unwrap_or(&self.0)
    }
}

impl From<Value> for Written {
    fn from(value: Value) -> Self {
        Self(value, None)
    }
}

fn case(
    kind: impl Into<String>,
    rules: impl Into<String>,
    keeps: impl Into<Written>,
    breaks: impl Into<Written>,
    id: impl Into<String>,
) -> Case {
    Case {
        kind: kind.into(),
        rules: rules.into(),
        keeps: keeps.into(),
        breaks: breaks.into(),
        id: id.into(),
    }
}

fn numbers(all: &mut Vec<Case>) {
    for kind in [
        "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
        "sfixed64", "float", "double",
    ] {
        for (rule, keeps, breaks) in [
            ("const: 5", 5, 6),
            ("lt: 5", 4, 5),
            ("lte: 5", 5, 6),
            ("gt: 5", 6, 5),
            ("gte: 5", 5, 4),
            ("in: [5, 7]", 7, 6),
            ("not_in: [5, 7]", 6, 7),
        ] {
            let name = rule.split(':').next().unwrap();
            let rules = format!("{kind}: {{{rule}}}");
            all.push(case(
                kind,
                rules,
                json!(keeps),
                json!(breaks),
                format!("{kind}.{name}"),
            ));
        }
        for (rule, keeps, breaks, name) in [
            ("gt: 1, lt: 5", 2, 5, "gt_lt"),
            ("gt: 5, lt: 1", 6, 3, "gt_lt_exclusive"),
            ("gte: 1, lt: 5", 1, 5, "gte_lt"),
            ("gte: 5, lt: 1", 5, 3, "gte_lt_exclusive"),
            ("gt: 1, lte: 5", 5, 6, "gt_lte"),
            ("gt: 5, lte: 1", 1, 3, "gt_lte_exclusive"),
            ("gte: 1, lte: 5", 1, 6, "gte_lte"),
            ("gte: 5, lte: 1", 5, 3, "gte_lte_exclusive"),
        ] {
            let rules = format!("{kind}: {{{rule}}}");
            all.push(case(
                kind,
                rules,
                json!(keeps),
                json!(breaks),
                format!("{kind}.{name}"),
            ));
        }
    }
}

pub fn strings(all: &mut Vec<Case>) {
    let uuid = "2f1e9b0c-3b0f-4d5e-8f7a-1b2c3d4e5f60";
    let bare = uuid.replace('-', "");
    for (rule, keeps, breaks) in [
        ("const: 'ab'", "ab", "b"),
        ("len: 2", "äb", "abc"),
        ("min_len: 2", "äb", "ä"),
        ("max_len: 2", "äö", "abc"),
        ("len_bytes: 2", "ä", "äb"),
        ("min_bytes: 2", "ä", "a"),
        ("max_bytes: 2", "ä", "äb"),
        ("pattern: '^[a-c]+$'", "abc", "abd"),
        ("prefix: 'ab'", "abc", "bab"),
        ("suffix: 'ab'", "cab", "abc"),
        ("contains: 'ab'", "xaby", "axb"),
        ("not_contains: 'ab'", "axb", "xaby"),
        ("in: ['a', 'b']", "b", "c"),
        ("not_in: ['a', 'b']", "c", "b"),
        ("email: true", "a@example.org", "a@"),
        ("hostname: true", "example.org", "-x-"),
        ("ip: true", "::1", "1.2.3"),
        ("ipv4: true", "127.0.0.1", "::1"),
        ("ipv6: true", "::1", "127.0.0.1"),
        ("uri: true", "https://example.org/a?b#c", "no uri"),
        ("uri_ref: true", "./a?b", "a b"),
        ("address: true", "127.0.0.1", "a b"),
        ("uuid: true", uuid, "2f1e"),
        ("tuuid: true", &bare, uuid),
        ("ip_with_prefixlen: true", "10.0.0.1/8", "10.0.0.1"),
        ("ipv4_with_prefixlen: true", "10.0.0.1/8", "::1/64"),
        ("ipv6_with_prefixlen: true", "::1/64", "10.0.0.1/8"),
        ("ip_prefix: true", "10.0.0.0/8", "10.0.0.1/8"),
        ("ipv4_prefix: true", "10.0.0.0/8", "fe80::/10"),
        ("ipv6_prefix: true", "fe80::/10", "10.0.0.0/8"),
        ("host_and_port: true", "example.org:80", "example.org"),
        (
            "ulid: true",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        ),
        ("protobuf_fqn: true", "a.b_c.D1", ".a.b"),
        ("protobuf_dot_fqn: true", ".a.b", "a.b"),
    ] {
        let name = rule.split(':').next().unwrap();
        let rules = format!("string: {{{rule}}}");
        let id = format!("string.{name}");
        all.push(case("string", rules, json!(keeps), json!(breaks), id));
    }
    for (of, keeps, breaks, id) in [
        ("NAME", "x-y", "a b", "header_name"),
        ("VALUE", "a b", "a\u{7f}", "header_value"),
    ] {
        let rules = format!("string: {{well_known_regex: KNOWN_REGEX_HTTP_HEADER_{of}}}");
        let id = format!("string.well_known_regex.{id}");
        all.push(case("string", rules, json!(keeps), json!(breaks), id));
    }
}

pub fn bytes(all: &mut Vec<Case>) {
    let written = |bytes: &[u8]| {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let base64: String = (bytes.chunks(3))
            .flat_map(|chunk| {
                let bits = chunk
                    .iter()
                    .fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
                let bits = bits << (8 * (3 - chunk.len()));
                let digit = move |at: usize| match at <= chunk.len() {
                    true => char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]),
                    false => '=',
                };
                (0..4).map(digit)
            })
            .collect();
        Written(json!(base64), Some(json!(bytes)))
    };
    for (rule, keeps, breaks) in [
        ("const: 'ab'", &b"ab"[..], &b"b"[..]),
        ("len: 2", b"ab", b"abc"),
        ("min_len: 2", b"ab", b"a"),
        ("max_len: 2", b"ab", b"abc"),
        ("pattern: '^[a-c]+$'", b"abc", b"abd"),
        ("prefix: 'ab'", b"abc", b"bab"),
        ("suffix: 'ab'", b"cab", b"abc"),
        ("contains: 'ab'", b"xaby", b"axb"),
        ("in: ['a', 'b']", b"b", b"c"),
        ("not_in: ['a', 'b']", b"c", b"b"),
        ("ip: true", &[1; 16], &[1; 5]),
        ("ipv4: true", &[1; 4], &[1; 16]),
        ("ipv6: true", &[1; 16], &[1; 4]),
        ("uuid: true", &[1; 16], &[1; 15]),
    ] {
        let name = rule.split(':').next().unwrap();
        let rules = format!("bytes: {{{rule}}}");
        all.push(case(
            "bytes",
            rules,
            written(keeps),
            written(breaks),
            format!("bytes.{name}"),
        ));
    }
}

fn times(all: &mut Vec<Case>) {
    let moment = |seconds: i64| {
        let text = format!("1970-01-01T00:00:{seconds:02}Z");
        Written(json!(text), Some(json!({"seconds": seconds})))
    };
    let span = |seconds: i64| {
        let text = format!("{seconds}s");
        Written(json!(text), Some(json!({"seconds": seconds})))
    };
    for (rule, keeps, breaks) in [
        ("const: {seconds: 5}", 5, 6),
        ("lt: {seconds: 5}", 4, 5),
        ("lte: {seconds: 5}", 5, 6),
        ("gt: {seconds: 5}", 6, 5),
        ("gte: {seconds: 5}", 5, 4),
    ] {
        let name = rule.split(':').next().unwrap();
        let of = |kind: &str| format!("{kind}: {{{rule}}}");
        let id = format!("timestamp.{name}");
        let kind = "google.protobuf.Timestamp";
        all.push(case(
            kind,
            of("timestamp"),
            moment(keeps),
            moment(breaks),
            id,
        ));
        let id = format!("duration.{name}");
        let kind = "google.protobuf.Duration";
        all.push(case(kind, of("duration"), span(keeps), span(breaks), id));
    }
    let kind = "google.protobuf.Duration";
    let (of, not) = (
        "duration: {in: [{seconds: 5}]}",
        "duration: {not_in: [{seconds: 5}]}",
    );
    all.push(case(kind, of, span(5), span(6), "duration.in"));
    all.push(case(kind, not, span(6), span(5), "duration.not_in"));
    let (past, future) = (moment(5), json!("9999-01-01T00:00:00Z"));
    let future = Written(future, Some(json!({"seconds": 253370764800i64})));
    let kind = "google.protobuf.Timestamp";
    let (lt, gt) = ("timestamp: {lt_now: true}", "timestamp: {gt_now: true}");
    all.push(case(
        kind,
        lt,
        past.clone(),
        future.clone(),
        "timestamp.lt_now",
    ));
    all.push(case(
        kind,
        gt,
        future.clone(),
        past.clone(),
        "timestamp.gt_now",
    ));
    // The duration is about 190 years. Whenever the test runs, the year 1970 is within this
    // duration of the current time, and the year 9999 is not.
    let within = "timestamp: {within: {seconds: 6000000000}}";
    all.push(case(kind, within, past, future, "timestamp.within"));
}

fn bools_and_enums(all: &mut Vec<Case>) {
    all.push(case(
        "bool",
        "bool: {const: true}",
        json!(true),
        json!(false),
        "bool.const",
    ));
    for (rule, keeps, breaks) in [
        ("const: 1", json!("B"), json!("A")),
        ("defined_only: true", json!(1), json!(9)),
        ("in: [0, 1]", json!("B"), json!("C")),
        ("not_in: [0, 1]", json!("C"), json!("B")),
    ] {
        let name = rule.split(':').next().unwrap();
        let rules = format!("enum: {{{rule}}}");
        all.push(case("E", rules, keeps, breaks, format!("enum.{name}")));
    }
}

fn lists_and_maps(all: &mut Vec<Case>) {
    let list = "repeated int32";
    let map = "map<string, int32>";
    for (kind, rules, keeps, breaks, id) in [
        (
            list,
            "repeated: {min_items: 2}",
            json!([1, 2]),
            json!([1]),
            "repeated.min_items",
        ),
        (
            list,
            "repeated: {max_items: 1}",
            json!([1]),
            json!([1, 2]),
            "repeated.max_items",
        ),
        (
            list,
            "repeated: {unique: true}",
            json!([1, 2]),
            json!([1, 1]),
            "repeated.unique",
        ),
        (
            list,
            "repeated: {items: {int32: {gt: 0}}}",
            json!([1]),
            json!([1, 0]),
            "int32.gt",
        ),
        (
            map,
            "map: {min_pairs: 2}",
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            "map.min_pairs",
        ),
        (
            map,
            "map: {max_pairs: 1}",
            json!({"a": 1}),
            json!({"a": 1, "b": 2}),
            "map.max_pairs",
        ),
        (
            map,
            "map: {keys: {string: {len: 1}}}",
            json!({"a": 1}),
            json!({"ab": 1}),
            "string.len",
        ),
        (
            map,
            "map: {values: {int32: {gt: 0}}}",
            json!({"a": 1}),
            json!({"a": 0}),
            "int32.gt",
        ),
    ] {
        // Lists and maps have no presence, so in the payload of one case, the lists and maps of the
        // other cases are empty, and must pass.
        let rules = format!("ignore: IGNORE_IF_ZERO_VALUE, {rules}");
        all.push(case(kind, rules, keeps, breaks, id));
    }
}

fn expressions(all: &mut Vec<Case>) {
    for (kind, rules, keeps, breaks, id) in [
        (
            "string",
            "cel_expression: \"this == 'a'\"",
            json!("a"),
            json!("b"),
            "this == 'a'",
        ),
        (
            "string",
            "cel: {id: \"c\", expression: \"this == 'a'\"}",
            json!("a"),
            json!("b"),
            "c",
        ),
    ] {
        let rules = format!("ignore: IGNORE_IF_ZERO_VALUE, {rules}");
        all.push(case(kind, rules, keeps, breaks, id));
    }
}

fn any_and_field_masks(all: &mut Vec<Case>) {
    let any = |kind: &str, value: Value| {
        let url = format!("type.googleapis.com/google.protobuf.{kind}");
        let packed = json!({"type_url": url, "value": []});
        Written(json!({"@type": url, "value": value}), Some(packed))
    };
    let (duration, mask) = (any("Duration", json!("1s")), any("FieldMask", json!("a")));
    let of = "['type.googleapis.com/google.protobuf.Duration']";
    let kind = "google.protobuf.Any";
    let (within, not) = (
        format!("any: {{in: {of}}}"),
        format!("any: {{not_in: {of}}}"),
    );
    all.push(case(kind, within, duration.clone(), mask.clone(), "any.in"));
    all.push(case(kind, not, mask, duration, "any.not_in"));
    let mask = |path: &str| Written(json!(path), Some(json!({"paths": [path]})));
    for (rule, keeps, breaks) in [
        ("const: {paths: ['a']}", "a", "b"),
        ("in: ['a']", "a", "b"),
        ("not_in: ['a']", "b", "a"),
    ] {
        let name = rule.split(':').next().unwrap();
        let rules = format!("field_mask: {{{rule}}}");
        let id = format!("field_mask.{name}");
        let kind = "google.protobuf.FieldMask";
        all.push(case(kind, rules, mask(keeps), mask(breaks), id));
    }
}

/// Returns the cases of standard rules.
fn standard() -> Vec<Case> {
    let mut all = Vec::new();
    numbers(&mut all);
    strings(&mut all);
    bytes(&mut all);
    times(&mut all);
    bools_and_enums(&mut all);
    lists_and_maps(&mut all);
    any_and_field_masks(&mut all);
    all
}

/// Returns the schemas of a message whose fields have the rules of these cases.
fn ruled(cases: &[Case]) -> Ruled {
    let mut text = String::from(
        "import \"google/protobuf/any.proto\"; import \"google/protobuf/duration.proto\";
         import \"google/protobuf/field_mask.proto\"; import \"google/protobuf/timestamp.proto\";
         enum E { A = 0; B = 1; C = 2; }\nmessage M {\n",
    );
    for (n, Case { kind, rules, .. }) in (1..).zip(cases) {
        let many = kind.starts_with("repeated") || kind.starts_with("map");
        let optional = if many { "" } else { "optional " };
        text += &format!("  {optional}{kind} f{n} = {n} [(buf.validate.field) = {{{rules}}}];\n");
    }
    Ruled::new(&(text + "}"))
}

/// Asserts that, for each case, the value `keeps` passes, and the value `breaks` breaks the rule.
fn hold(ruled: &Ruled, cases: &[Case]) {
    for (n, case) in (1..).zip(cases) {
        let name = format!("f{n}");
        let check = |written: &Written| {
            let packed = json!({ &name: written.packed() });
            let value = json!({ &name: written.0 });
            let packed = rmp_serde::to_vec(&packed).unwrap();
            [
                ruled.protobuf.check(&ruled.protobuf(&value), DEPTH),
                ruled.msgpack.check(&packed, DEPTH),
                ruled.json.check(value.to_string().as_bytes(), DEPTH),
            ]
        };
        for kept in check(&case.keeps) {
            assert_eq!(kept, Ok(()), "{}", case.rules);
        }
        for broken in check(&case.breaks) {
            let reported = broken.expect_err(&case.rules);
            assert_eq!(
                reported.rule.as_deref(),
                Some(&*case.id),
                "{}: {reported}",
                case.rules
            );
            assert!(
                reported.path.starts_with(&name),
                "{}: {reported}",
                case.rules
            );
        }
    }
}

#[test]
fn every_rule_is_kept_and_broken() {
    let cases = standard();
    let ruled = ruled(&cases);
    hold(&ruled, &cases);
    let mut covered = BTreeSet::new();
    for case in &cases {
        let rules = case
            .rules
            .trim_start_matches("ignore: IGNORE_IF_ZERO_VALUE, ");
        if let Some((kind, rest)) = rules.split_once(": {") {
            covered.insert((kind.to_owned(), rest.split(':').next().unwrap().to_owned()));
        }
    }
    // Every rule of every type has a case.
    let rules = ruled
        .pool
        .get_message_by_name("buf.validate.FieldRules")
        .unwrap();
    let kinds = rules.oneofs().find(|oneof| oneof.name() == "type").unwrap();
    for kind in kinds.fields() {
        let of_kind = kind.kind().as_message().unwrap().clone();
        for rule in of_kind.fields() {
            // `example` is not a rule, `strict` modifies another rule, `finite` has its own test.
            if !matches!(rule.name(), "example" | "strict" | "finite") {
                let name = (kind.name().to_owned(), rule.name().to_owned());
                assert!(covered.contains(&name), "{name:?}");
            }
        }
    }
}

#[test]
fn expressions_are_kept_and_broken() {
    let mut cases = Vec::new();
    expressions(&mut cases);
    hold(&ruled(&cases), &cases);
}

/// Tests `finite` separately from the other rules, since serde_json cannot represent infinity or
/// NaN.
#[test]
fn floats_must_be_finite() {
    let ruled = Ruled::new(
        "message M { float f = 1 [(buf.validate.field).float.finite = true]; double d = 2 [(buf.validate.field).double.finite = true]; }",
    );
    ruled.accepts(&json!({"f": 1.5, "d": 1e300}));
    let rule = |verdict: Result<(), Violation>| verdict.unwrap_err().rule.unwrap();
    for (json, packed, wire, id) in [
        (
            "{\"f\":\"NaN\"}",
            &b"\x81\xa1f\xca\x7f\xc0\0\0"[..],
            &b"\x0d\0\0\xc0\x7f"[..],
            "float.finite",
        ),
        (
            "{\"d\":\"-Infinity\"}",
            b"\x81\xa1d\xcb\xff\xf0\0\0\0\0\0\0",
            b"\x11\0\0\0\0\0\0\xf0\xff",
            "double.finite",
        ),
    ] {
        assert_eq!(&*rule(ruled.json.check(json.as_bytes(), DEPTH)), id);
        assert_eq!(&*rule(ruled.msgpack.check(packed, DEPTH)), id);
        assert_eq!(&*rule(ruled.protobuf.check(wire, DEPTH)), id);
    }
}

#[test]
fn rules_of_messages_oneofs_and_presence_are_enforced() {
    let ruled = Ruled::new(
        "message M {
           option (buf.validate.message).cel_expression = \"this.a != 9\";
           option (buf.validate.message).oneof = {fields: [\"x\", \"y\"], required: true};
           oneof one { option (buf.validate.oneof).required = true; int32 a = 1; int32 b = 2; }
           string x = 3; string y = 4;
           Inner needed = 5 [(buf.validate.field).required = true];
           Inner ignored = 6 [(buf.validate.field).ignore = IGNORE_ALWAYS];
           string never = 7 [(buf.validate.field) = {ignore: IGNORE_ALWAYS, string: {len: 5}}];
         }
         message Inner { int32 n = 1 [(buf.validate.field).int32.lt = 5]; }",
    );
    let good = json!({"a": 1, "x": "x", "needed": {}, "ignored": {"n": 9}, "never": "x"});
    ruled.accepts(&good);
    let without = |key: &str| {
        let mut value = good.clone();
        value.as_object_mut().unwrap().remove(key);
        value
    };
    let with = |key: &str, to: Value| {
        let mut value = good.clone();
        value[key] = to;
        value
    };
    ruled.refuses(&with("a", json!(9)), "", "this.a != 9");
    ruled.refuses(&without("a"), "one", "required");
    ruled.refuses(&without("x"), "", "message.oneof");
    ruled.refuses(&with("y", json!("y")), "", "message.oneof");
    ruled.refuses(&without("needed"), "needed", "required");
    ruled.refuses(&with("needed", json!({"n": 5})), "needed.n", "int32.lt");
}
