//! The binary cases that every protobuf implementation must decide alike, derived from the
//! encoding's specification. For each kind of field, in proto2 and proto3, there are valid values,
//! truncated values, repeated fields and unknown fields. A policy of this project is tested, too: a
//! known field with a wrong wire type is rejected.
//!
//! `tests/differential` compares the walk with upb, protobuf's C implementation, on mutated
//! payloads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::pb::{group, int, len, tag, varint};
use crate::support::{STRICT, accepted, schema, table, violation, with};
use gateway_schema::{Encoding, Options, Schema, Table};

const VARINT: u32 = 0;
const I64: u32 = 1;
const LEN: u32 = 2;
const START: u32 = 3;
const END: u32 = 4;
const I32: u32 = 5;

/// The kinds of fields: the name, the wire type, and whether the kind can be packed. The position
/// of a kind in this list, counted from 1, determines the numbers of the fields of the kind.
const KINDS: [(&str, u32, bool); 17] = [
    ("int32", VARINT, true),
    ("int64", VARINT, true),
    ("uint32", VARINT, true),
    ("uint64", VARINT, true),
    ("sint32", VARINT, true),
    ("sint64", VARINT, true),
    ("fixed32", I32, true),
    ("fixed64", I64, true),
    ("sfixed32", I32, true),
    ("sfixed64", I64, true),
    ("float", I32, true),
    ("double", I64, true),
    ("bool", VARINT, true),
    ("string", LEN, false),
    ("bytes", LEN, false),
    ("Color", VARINT, true),
    ("Inner", LEN, false),
];

// The number of a field in two.proto and three.proto is the position of its kind in `KINDS` plus
// one of these constants, which stand for the forms of fields: singular, repeated, packed,
// unpacked, in a oneof, a map with keys of the kind, and a map with values of the kind.
const SINGULAR: u32 = 0;
const REPEATED: u32 = 30;
const PACKED: u32 = 60;
const UNPACKED: u32 = 90;
const IN_ONEOF: u32 = 120;
const MAP_KEY: u32 = 160;
const MAP_VALUE: u32 = 200;
/// Field numbers that no message has.
const UNKNOWN: [u32; 3] = [29, 666, 100_000_000];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Syntax {
    Proto2,
    Proto3,
}
use Syntax::{Proto2, Proto3};

/// The schemas under test, and the numbers of cases that they must accept and reject.
#[derive(Default)]
struct Bench {
    schemas: BTreeMap<(Syntax, &'static str), Schema>,
    right: usize,
    wrong: usize,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self::default();
        for (syntax, package, text) in [
            (Proto2, "two", include_str!("../differential/two.proto")),
            (Proto3, "three", include_str!("../differential/three.proto")),
        ] {
            let table: Arc<Table> = table(text);
            for name in ["All", "Inner", "Required"] {
                let id = table.message(&format!("{package}.{name}"));
                let Some(id) = id else { continue };
                let schema = Schema::new(
                    Encoding::Protobuf,
                    Arc::clone(&table),
                    id,
                    Options::default(),
                );
                bench.schemas.insert((syntax, name), schema);
            }
        }
        bench
    }

    #[track_caller]
    fn judge(&mut self, syntax: Syntax, what: &str, payload: &[u8], right: bool) {
        // The payload is checked by itself, and in a field of a message of the same type.
        let within = len(17, len(2, payload));
        for payload in [payload, &within] {
            let verdict = self.schemas[&(syntax, "All")].check(payload, 100);
            assert_eq!(
                verdict.is_ok(),
                right,
                "{syntax:?} {what}: {payload:02x?}: {verdict:?}"
            );
        }
        self.right += usize::from(right);
        self.wrong += usize::from(!right);
    }

    #[track_caller]
    fn right(&mut self, syntax: Syntax, what: &str, payload: impl AsRef<[u8]>) {
        self.judge(syntax, what, payload.as_ref(), true);
    }

    #[track_caller]
    fn wrong(&mut self, syntax: Syntax, what: &str, payload: impl AsRef<[u8]>) {
        self.judge(syntax, what, payload.as_ref(), false);
    }
}

fn field(number: u32, wire: u32, value: &[u8]) -> Vec<u8> {
    [&tag(number, wire)[..], value].concat()
}

/// Returns values of a kind, encoded without the tag: zero, the minimum, the maximum, and, as
/// varints, values beyond the range of the kind.
fn values(kind: &str) -> Vec<Vec<u8>> {
    let varints = |numbers: &[u64]| numbers.iter().map(|n| varint(*n)).collect::<Vec<_>>();
    // Encodings that are longer than necessary, up to ten bytes, and with bits beyond the 64th.
    let overlong = [
        b"\x80\x00".to_vec(),
        b"\xff\x80\x80\x80\x80\x80\x80\x80\x80\x00".to_vec(),
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
    ];
    match kind {
        "float" | "fixed32" | "sfixed32" => [0, 1, 0x7f80_0000, 0x7fc0_0001, 0x7f7f_ffff, u32::MAX, 1 << 31]
            .map(|n: u32| n.to_le_bytes().to_vec())
            .into(),
        "double" | "fixed64" | "sfixed64" => [0, 1, 0x7ff0 << 48, 0x7ff8 << 48 | 1, u64::MAX, 1 << 63]
            .map(|n: u64| n.to_le_bytes().to_vec())
            .into(),
        "string" => ["", "x", "Hello world!", "'\"?\t\n\u{b}\\", "谷歌 😁 \0", "a string long enough that its length takes two bytes, which is one hundred and twenty-eight or more of them: and so on, and so forth"]
            .map(|text| [varint(text.len() as u64), text.into()].concat())
            .into(),
        "bytes" => [&b""[..], b"\x00", b"\xff\xfe\x80", &[7; 300]]
            .map(|bytes| [varint(bytes.len() as u64), bytes.to_vec()].concat())
            .into(),
        "Inner" => [vec![], field(1, VARINT, &[5]), len(2, field(1, VARINT, &[1])), field(UNKNOWN[0], LEN, b"\x01x")]
            .map(|body| [varint(body.len() as u64), body].concat())
            .into(),
        // A varint that is too large for the kind is truncated, not rejected.
        _ => [
            varints(&[0, 1, 2, 127, 128, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, (1 << 33) + 1, i64::MAX as u64, 1 << 63, u64::MAX]),
            overlong.to_vec(),
        ]
        .concat(),
    }
}

/// Returns truncated values of a wire type: the empty value, and incomplete beginnings.
fn beginnings(wire: u32) -> Vec<Vec<u8>> {
    match wire {
        VARINT => vec![vec![], vec![0x80], vec![0xff; 9]],
        I64 => vec![vec![], vec![0], vec![0; 7]],
        I32 => vec![vec![], vec![0], vec![0; 3]],
        START => vec![vec![], field(1, VARINT, &[1]), tag(9, START)],
        _ => vec![
            vec![],
            vec![0x80],
            vec![1],
            vec![5, b'x'],
            vec![0xff, 0xff, 0xff, 0xff, 7],
            vec![0xff; 10],
        ],
    }
}

fn kinds() -> impl Iterator<Item = (u32, &'static str, u32, bool)> {
    (1..)
        .zip(KINDS)
        .map(|(place, (name, wire, packs))| (place, name, wire, packs))
}

fn run(cases: impl Fn(&mut Bench, Syntax)) -> (usize, usize) {
    let mut bench = Bench::new();
    for syntax in [Proto2, Proto3] {
        cases(&mut bench, syntax);
    }
    (bench.right, bench.wrong)
}

#[test]
fn valid_values_of_every_kind_pass_single_repeated_and_in_a_oneof() {
    let (right, _) = run(|bench, syntax| {
        for (place, kind, wire, _) in kinds() {
            for base in [SINGULAR, REPEATED, IN_ONEOF] {
                let fields: Vec<_> = values(kind)
                    .iter()
                    .map(|value| field(base + place, wire, value))
                    .collect();
                for one in &fields {
                    bench.right(syntax, kind, one);
                }
                // If a singular field is repeated, its last value counts, and messages are merged.
                bench.right(syntax, kind, fields.concat());
            }
            // If several members of a oneof are present, the last one counts.
            let others = kinds()
                .map(|(place, kind, wire, _)| field(IN_ONEOF + place, wire, &values(kind)[1]));
            let others = others.collect::<Vec<_>>().concat();
            bench.right(
                syntax,
                kind,
                [others, field(IN_ONEOF + place, wire, &values(kind)[0])].concat(),
            );
        }
    });
    assert!(right > 900, "{right}");
}

#[test]
fn repeated_fields_may_be_packed_or_not_however_they_are_declared() {
    let (right, wrong) = run(|bench, syntax| {
        for (place, kind, wire, _) in kinds().filter(|(.., packs)| *packs) {
            let run = values(kind).concat();
            for base in [REPEATED, PACKED, UNPACKED] {
                let number = base + place;
                let packed = len(number, &run);
                let single: Vec<_> = values(kind)
                    .iter()
                    .map(|value| field(number, wire, value))
                    .collect();
                bench.right(syntax, kind, &packed);
                bench.right(syntax, kind, len(number, []));
                bench.right(syntax, kind, single.concat());
                bench.right(
                    syntax,
                    kind,
                    [&packed, &single.concat(), &packed]
                        .map(|part| &part[..])
                        .concat(),
                );
                // A packed run that ends within an element, also where more fields follow it.
                for beginning in beginnings(wire)
                    .into_iter()
                    .filter(|bytes| !bytes.is_empty())
                {
                    let cut = len(number, [&run[..], &beginning].concat());
                    bench.wrong(syntax, kind, &cut);
                    bench.wrong(syntax, kind, [&cut[..], &single.concat()].concat());
                }
                // A run that is longer than the message.
                bench.wrong(
                    syntax,
                    kind,
                    field(
                        number,
                        LEN,
                        &[varint(run.len() as u64 + 1), run.clone()].concat(),
                    ),
                );
            }
            // A singular field cannot be packed. Parsers treat the run as an unknown field, but
            // this walk rejects the run because of the wire type.
            bench.wrong(syntax, "packed for one", len(place, &run));
        }
    });
    assert!(right > 300 && wrong > 400, "{right} {wrong}");
}

#[test]
fn premature_ends_before_and_within_every_value_are_rejected() {
    let (_, wrong) = run(|bench, syntax| {
        for (place, kind, wire, _) in kinds() {
            for number in [SINGULAR + place, REPEATED + place, IN_ONEOF + place] {
                for beginning in beginnings(wire) {
                    bench.wrong(syntax, kind, field(number, wire, &beginning));
                    // A nested message ends within a value, although the enclosing message
                    // continues.
                    let within = len(17, field(1, VARINT, &[0x80]));
                    bench.wrong(syntax, kind, [within, field(1, VARINT, &[1])].concat());
                }
            }
        }
        for number in UNKNOWN {
            for wire in [VARINT, I64, LEN, START, I32] {
                for beginning in beginnings(wire) {
                    bench.wrong(syntax, "unknown", field(number, wire, &beginning));
                    bench.wrong(
                        syntax,
                        "unknown in a group",
                        [tag(number, START), field(7, wire, &beginning)].concat(),
                    );
                }
            }
        }
        // A tag that ends too early.
        for cut in [&b"\x80"[..], b"\xff\xff", b"\x88\x80\x80\x80"] {
            bench.wrong(syntax, "tag", cut);
        }
    });
    assert!(wrong > 400, "{wrong}");
}

#[test]
fn invalid_tags_are_rejected() {
    run(|bench, syntax| {
        for wire in 0..8 {
            for value in [&b""[..], b"\x00", b"\x01\x01", &[1; 8]] {
                // The field number 0, also in two bytes.
                bench.wrong(syntax, "number 0", [&[wire][..], value].concat());
                bench.wrong(syntax, "number 0", [&[0x80 | wire, 0][..], value].concat());
            }
        }
        for number in [1, 29, 31, 536_870_911] {
            for wire in [6, 7] {
                bench.wrong(syntax, "wire type", field(number, wire, &[1; 8]));
            }
        }
        // The maximum field number is 2^29 - 1, and a tag has at most five bytes.
        bench.right(
            syntax,
            "the last number but one",
            [varint(536_870_910 << 3), vec![1]].concat(),
        );
        for number in [1u64 << 29, 1 << 30, 1 << 32, 1 << 60] {
            bench.wrong(syntax, "number", [varint(number << 3), vec![1]].concat());
        }
        bench.right(syntax, "overlong", b"\x88\x80\x00\x01");
        bench.right(syntax, "overlong", b"\x88\x80\x80\x80\x00\x01");
        bench.wrong(syntax, "overlong", b"\x88\x80\x80\x80\x80\x00\x01");
        bench.wrong(syntax, "overlong", b"\x88\x80\x80\x80\x10\x01");
        // A length has at most five bytes, too.
        bench.right(syntax, "length", field(14, LEN, b"\x81\x80\x80\x80\x00x"));
        bench.wrong(
            syntax,
            "length",
            field(14, LEN, b"\x81\x80\x80\x80\x80\x00x"),
        );
        bench.wrong(
            syntax,
            "length",
            field(29, LEN, b"\x81\x80\x80\x80\x80\x80\x00x"),
        );
        bench.wrong(
            syntax,
            "length",
            len(17, field(2, LEN, b"\x80\x80\x80\x80\x80\x00")),
        );
        // A varint has at most ten bytes.
        for number in [1, 13, 29] {
            bench.wrong(
                syntax,
                "varint",
                field(number, VARINT, &[&[0xff; 10][..], &[1]].concat()),
            );
        }
        bench.wrong(
            syntax,
            "length",
            field(14, LEN, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        );
    });
}

#[test]
fn unknown_fields_and_groups_pass_if_they_are_well_formed() {
    run(|bench, syntax| {
        let mut every = Vec::new();
        for number in UNKNOWN {
            every.extend(field(number, VARINT, &[0xff, 0x01]));
            every.extend(field(number, I64, &[0xff; 8]));
            every.extend(field(number, LEN, b"\x03\xff\xff\xff"));
            every.extend(field(number, I32, &[0xff; 4]));
            bench.right(syntax, "unknown", &every);
            let group = [tag(number, START), every.clone(), tag(number, END)].concat();
            bench.right(syntax, "group", &group);
            bench.right(
                syntax,
                "group in group",
                [tag(5555, START), group.clone(), tag(5555, END)].concat(),
            );
            // Within an unknown group, a known field number may have any wire type.
            bench.right(
                syntax,
                "group",
                [
                    tag(number, START),
                    field(14, VARINT, &[1]),
                    tag(number, END),
                ]
                .concat(),
            );
            bench.wrong(syntax, "open", [tag(number, START), every.clone()].concat());
            bench.wrong(syntax, "end", tag(number, END));
            bench.wrong(syntax, "end", [every.clone(), tag(number, END)].concat());
            bench.wrong(
                syntax,
                "another end",
                [tag(number, START), tag(number + 1, END)].concat(),
            );
            bench.wrong(
                syntax,
                "crossed",
                [
                    tag(number, START),
                    tag(5, START),
                    tag(number, END),
                    tag(5, END),
                ]
                .concat(),
            );
            bench.wrong(
                syntax,
                "an end that the message around holds",
                [tag(number, START), len(17, tag(number, END))].concat(),
            );
            bench.wrong(syntax, "in a message", len(17, tag(number, START)));
            every.extend(group);
        }
        for (place, kind, wire, _) in kinds() {
            let known = field(place, wire, &values(kind)[1]);
            bench.right(syntax, kind, [&every[..], &known, &every].concat());
        }
    });
}

#[test]
fn maps_of_every_key_and_value_are_checked() {
    let (right, wrong) = run(|bench, syntax| {
        let string = len(1, "key");
        for (place, kind, wire, _) in kinds() {
            for key in values(kind) {
                if !matches!(kind, "float" | "double" | "bytes" | "Color" | "Inner") {
                    map_cases(
                        bench,
                        syntax,
                        MAP_KEY + place,
                        field(1, wire, &key),
                        field(2, VARINT, &[5]),
                    );
                }
                map_cases(
                    bench,
                    syntax,
                    MAP_VALUE + place,
                    string.clone(),
                    field(2, wire, &key),
                );
            }
            for beginning in beginnings(wire) {
                bench.wrong(
                    syntax,
                    kind,
                    len(
                        MAP_VALUE + place,
                        [string.clone(), field(2, wire, &beginning)].concat(),
                    ),
                );
                if !matches!(kind, "float" | "double" | "bytes" | "Color" | "Inner") {
                    bench.wrong(
                        syntax,
                        kind,
                        len(MAP_KEY + place, field(1, wire, &beginning)),
                    );
                }
            }
        }
    });
    assert!(right > 2_000 && wrong > 300, "{right} {wrong}");
}

fn map_cases(bench: &mut Bench, syntax: Syntax, number: u32, key: Vec<u8>, value: Vec<u8>) {
    let unknown = field(99, VARINT, &[1]);
    for entry in [
        &[&key, &value][..],
        &[&value, &key],
        &[&key],
        &[&value],
        &[],
        &[&key, &value, &key, &value],
        &[&unknown, &key, &unknown, &value, &unknown],
    ] {
        let entry: Vec<u8> = entry.iter().flat_map(|part| part.iter().copied()).collect();
        bench.right(syntax, "entry", len(number, &entry));
        bench.right(
            syntax,
            "entry, twice",
            [len(number, &entry), len(number, &entry)].concat(),
        );
    }
    let entry = [key, value].concat();
    bench.wrong(syntax, "entry", len(number, [&entry[..], &[0]].concat()));
    bench.wrong(syntax, "entry", len(number, [entry, tag(9, END)].concat()));
}

#[test]
fn strings_of_proto3_are_utf8_and_bytes_and_proto2_need_not_be() {
    run(|bench, syntax| {
        for bad in [
            &b"\xff"[..],
            b"a\x80",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
            b"\xf8\x88\x80\x80\x80",
        ] {
            for number in [SINGULAR + 14, REPEATED + 14, IN_ONEOF + 14] {
                bench.judge(syntax, "utf-8", &len(number, bad), syntax == Proto2);
            }
            let (key, value) = (
                len(MAP_KEY + 14, len(1, bad)),
                len(MAP_VALUE + 14, len(2, bad)),
            );
            bench.judge(syntax, "utf-8 key", &key, syntax == Proto2);
            bench.judge(syntax, "utf-8 value", &value, syntax == Proto2);
            for number in [SINGULAR + 15, REPEATED + 15, IN_ONEOF + 15] {
                bench.right(syntax, "bytes", len(number, bad));
            }
            bench.right(syntax, "unknown", len(29, bad));
        }
    });
}

#[test]
fn enums_accept_any_number_as_parsers_do() {
    run(|bench, syntax| {
        for number in [0, 1, -1i64 as u64, 99, 1 << 31, u64::MAX >> 1] {
            let value = varint(number);
            for at in [16, REPEATED + 16, PACKED + 16, UNPACKED + 16, IN_ONEOF + 16] {
                bench.right(syntax, "enum", field(at, VARINT, &value));
            }
            bench.right(
                syntax,
                "enum",
                len(PACKED + 16, [&value[..], &[1], &value].concat()),
            );
            bench.right(
                syntax,
                "enum",
                len(MAP_VALUE + 16, field(2, VARINT, &value)),
            );
        }
    });
}

#[test]
fn groups_extensions_and_required_fields_of_proto2_are_checked() {
    let mut bench = Bench::new();
    for number in [18, 48] {
        let group = |body: &[u8]| [&tag(number, START)[..], body, &tag(number, END)].concat();
        bench.right(Proto2, "group", group(&[]));
        bench.right(
            Proto2,
            "group",
            [
                group(&field(1, VARINT, &[5])),
                group(&field(77, I32, &[0; 4])),
            ]
            .concat(),
        );
        bench.wrong(
            Proto2,
            "open",
            [tag(number, START), field(1, VARINT, &[5])].concat(),
        );
        bench.wrong(
            Proto2,
            "end",
            [tag(number, START), tag(number + 1, END)].concat(),
        );
        bench.wrong(Proto2, "within", group(&field(1, VARINT, &[0x80])));
    }
    let inner = len(2, field(1, VARINT, &[1]));
    bench.right(
        Proto2,
        "message in group",
        [tag(18, START), inner, tag(18, END)].concat(),
    );
    bench.right(Proto2, "extension", field(1000, VARINT, &[1]));
    bench.right(
        Proto2,
        "extension",
        len(536_870_911, field(1, VARINT, &[1])),
    );
    bench.wrong(
        Proto2,
        "extension",
        len(536_870_911, field(1, VARINT, &[0x80])),
    );
    let schema = &bench.schemas[&(Proto2, "Required")];
    let must = field(1, VARINT, &[0]);
    for (payload, right) in [
        (must.clone(), true),
        (vec![], false),
        ([must.clone(), len(2, [])].concat(), false),
        ([must.clone(), len(2, &must)].concat(), true),
        ([must.clone(), len(3, &must), len(3, [])].concat(), false),
        ([must.clone(), len(4, len(2, &must))].concat(), true),
        ([must.clone(), len(4, [])].concat(), false),
        ([must.clone(), len(4, len(2, []))].concat(), false),
    ] {
        assert_eq!(schema.check(&payload, 100).is_ok(), right, "{payload:02x?}");
    }
}

/// Parsers treat a known field with a wrong wire type as an unknown field. This walk rejects it.
#[test]
fn a_known_field_with_a_wrong_wire_type_is_rejected() {
    run(|bench, syntax| {
        let any = |number: u32, wire: u32| match wire {
            VARINT => field(number, wire, &[1]),
            I64 => field(number, wire, &[1; 8]),
            LEN => field(number, wire, &[0]),
            START => [tag(number, START), tag(number, END)].concat(),
            _ => field(number, wire, &[1; 4]),
        };
        for (place, kind, right, packs) in kinds() {
            for base in [SINGULAR, REPEATED, IN_ONEOF, MAP_VALUE] {
                for wire in [VARINT, I64, LEN, START, I32] {
                    let expected = match base {
                        MAP_VALUE => wire == LEN,
                        REPEATED if packs => wire == right || wire == LEN,
                        _ => wire == right,
                    };
                    bench.judge(syntax, kind, &any(base + place, wire), expected);
                }
            }
        }
    });
}

#[test]
fn a_depth_limit_of_100_permits_as_many_levels_as_parsers_do() {
    let nest = |levels: usize| (0..levels).fold(Vec::new(), |body, _| len(17, len(2, body)));
    let bench = Bench::new();
    for syntax in [Proto2, Proto3] {
        let schema = &bench.schemas[&(syntax, "All")];
        assert!(schema.check(&nest(50), 100).is_ok());
        assert!(schema.check(&nest(51), 100).is_err());
        let groups =
            |levels: usize| [tag(29, START).repeat(levels), tag(29, END).repeat(levels)].concat();
        assert!(schema.check(&groups(100), 100).is_ok());
        assert!(schema.check(&groups(101), 100).is_err());
    }
}

/// Each item of a message set is a `group(1) { type_id = 2, message = 3 }`.
#[test]
fn the_content_of_message_set_items_is_checked() {
    const SETS: &str = r#"syntax = "proto2"; package t;
        message Set { option message_set_wire_format = true; extensions 4 to max; }
        message X { extend Set { optional X x = 100; } required int32 a = 1; optional string s = 2; optional Set set = 3; }
        message M { optional Set set = 1; }"#;
    let schema = schema(Encoding::Protobuf, SETS, "t.M");
    let item = |parts: &[Vec<u8>]| len(1, group(1, parts.concat()));
    let (id, good) = (int(2, 100), len(3, int(1, 1)));
    for right in [
        item(&[id.clone(), good.clone()]),
        item(&[good.clone(), id.clone()]),
        item(&[int(7, 1), id.clone(), len(8, "x"), good.clone()]),
        // Only the first type ID and the first message of an item count. An item without a type
        // ID or without a message is not checked.
        item(&[id.clone(), good.clone(), id.clone(), len(3, [8])]),
        item(std::slice::from_ref(&id)),
        item(&[len(3, [8])]),
        item(&[]),
        item(&[int(2, 101), len(3, [8])]),
        item(&[id.clone(), len(3, [int(1, 1), len(3, [])].concat())]),
    ] {
        accepted(&schema, &right);
    }
    let bad = item(&[id.clone(), len(3, [8])]);
    let v = |payload: &[u8]| {
        let (path, _, _, at) = violation(&schema, payload);
        (path, at)
    };
    let path = |field: &str| format!("set[t.X.x]{field}");
    assert_eq!(v(&bad), (path(".a"), 8));
    assert_eq!(v(&item(&[len(3, [8]), id.clone()])), (path(".a"), 6));
    assert_eq!(v(&item(&[id.clone(), len(3, [])])), (path(".a"), 7));
    let wrong = len(3, [int(1, 1), int(2, 1)].concat());
    assert_eq!(v(&item(&[id.clone(), wrong.clone()])), (path(".s"), 9));
    let inner = len(
        3,
        [int(1, 1), len(3, group(1, [id.clone(), wrong].concat()))].concat(),
    );
    let nested = item(&[id.clone(), inner]);
    assert_eq!(v(&nested).0, path(".set[t.X.x].s"));
    for broken in [
        len(1, [tag(1, START), id.clone()].concat()),
        len(1, [tag(1, START), id.clone(), tag(2, END)].concat()),
        item(&[tag(2, VARINT)]),
        item(&[id.clone(), vec![0x1a, 9]]),
    ] {
        violation(&schema, &broken);
    }
    // If unknown fields are rejected, an item of an unknown type is rejected too.
    let strict = with(Encoding::Protobuf, SETS, "t.M", STRICT);
    accepted(&strict, &item(&[id, good]));
    let (path, _, found, at) = violation(&strict, &item(&[int(2, 101), len(3, [8])]));
    assert_eq!((&*path, &*found, at), ("set", "field number 101", 2));
}
