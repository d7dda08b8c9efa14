//! Tests of fields, presence, well-known types and message literals.

use crate::Language;

#[test]
fn unset_fields_have_their_defaults() {
    Language::new().assert(
        "",
        &[
            ("this.name", "''"),
            ("this.soft", "0"),
            ("this.pieces", "0u"),
            ("this.weight", "0.0"),
            ("this.seal", "[]"),
            ("this.color == demo.Order.Color.NONE", "true"),
            ("this.tags", "[]"),
            ("this.stock", "{}"),
            ("this.first.price", "0"),
            ("this.first == demo.Item{}", "true"),
            ("this.extra", "{}"),
            ("this.free", "null"),
            ("this.any", "null"),
            ("this.limit", "0.000000000s"),
        ],
    );
}

#[test]
fn has_is_true_for_fields_that_are_set() {
    let language = Language::new();
    let asked = [
        "name", "rank", "first", "tags", "stock", "bonus", "limit", "weight",
    ];
    for field in asked {
        language.assert("", &[(&format!("has(this.{field})"), "false")]);
    }
    let payload = "name: 'n' rank: 0 first {} tags: '' stock { key: '' value: 0 } bonus {} limit {} weight: 1";
    for field in asked {
        language.assert(payload, &[(&format!("has(this.{field})"), "true")]);
    }
    language.assert(
        "extra { fields { key: 'a' value { null_value: NULL_VALUE } } }",
        &[
            ("has(this.extra.a)", "true"),
            ("has(this.extra.b)", "false"),
            ("has(this.first.id) || has(this.rank)", "false"),
            ("this.extra.b", "error: no such key"),
        ],
    );
}

#[test]
fn fields_of_proto2_have_presence_defaults_and_extensions() {
    let language = Language::of("demo.Legacy");
    language.assert(
        "ready: true",
        &[
            ("this.count", "7"),
            ("this.word", "'none'"),
            ("has(this.count)", "false"),
            ("dyn(this).count", "7"),
            ("dyn(this).word", "'none'"),
            ("proto.hasExt(this, demo.note)", "false"),
            ("proto.getExt(this, demo.note)", "''"),
        ],
    );
    language.assert(
        "ready: false count: 0 [demo.note]: 'n'",
        &[
            ("this.count", "0"),
            ("has(this.count) && has(this.ready)", "true"),
            ("proto.getExt(this, demo.note)", "'n'"),
            ("this.`demo.note`", "'n'"),
            ("has(this.`demo.note`)", "true"),
        ],
    );
}

#[test]
fn lists_and_maps_are_read_by_index_and_key() {
    Language::new().assert(
        "tags: ['a', 'b'] stock { key: 'k' value: 3 } shelf { key: 7 value { price: 9 } }",
        &[
            ("this.tags[1]", "'b'"),
            ("this.tags[2]", "error: the index is out of range"),
            ("this.tags[-1]", "error: the index is out of range"),
            ("'b' in this.tags", "true"),
            ("this.stock['k']", "3"),
            ("this.stock.k", "3"),
            ("this.stock['z']", "error: no such key"),
            ("'k' in this.stock", "true"),
            ("this.shelf[7].price", "9"),
            ("7 in this.shelf && !(8 in this.shelf)", "true"),
            (
                "dyn(this.shelf)[7u].price + dyn(this.shelf)[7.0].price",
                "18",
            ),
            ("this.tags + ['c'] == ['a', 'b', 'c']", "true"),
        ],
    );
}

#[test]
fn an_any_stands_for_its_message() {
    let language = Language::new();
    language.assert(
        "any { [type.googleapis.com/demo.Item] { id: 'x' price: 3 } }",
        &[
            ("this.any.price", "3"),
            ("this.any == demo.Item{id: 'x', price: 3}", "true"),
            ("type(this.any) == demo.Item", "true"),
            ("has(this.any.id)", "true"),
            ("this.any.nothing", "error: no such field: nothing"),
        ],
    );
    language.assert(
        "any { [type.googleapis.com/google.protobuf.Int32Value] { value: 5 } }",
        &[("this.any + 1", "6")],
    );
}

#[test]
fn literals_of_messages_convert_and_check_their_fields() {
    Language::new().assert(
        "",
        &[
            ("demo.Order{soft: 3, tags: ['a']}.tags", "['a']"),
            (
                "demo.Order{soft: 3} == demo.Order{soft: 3, hard: 0}",
                "true",
            ),
            ("demo.Order{rank: 0} == demo.Order{}", "false"),
            (
                "demo.Order{first: {'id': 'x'}}",
                "does not compile: the field `first` is of type demo.Item, not map(string, string)",
            ),
            (
                "demo.Item{price: 2147483648}",
                "error: the value is out of range of int32",
            ),
            (
                "demo.Order{pieces: 4294967296u}",
                "error: the value is out of range of uint32",
            ),
            ("demo.Order{rate: 0.1}.rate == 0.1", "false"),
            ("demo.Order{bonus: 4}.bonus", "4"),
            ("demo.Order{bonus: null}.bonus", "null"),
            ("demo.Order{free: [1, 'a', null]}.free", "[1.0, 'a', null]"),
            ("demo.Order{free: b'abc'}.free", "'YWJj'"),
            (
                "demo.Order{free: 9007199254740993}.free",
                "'9007199254740993'",
            ),
            (
                "demo.Order{extra: {'a': duration('90s')}}.extra",
                "{'a': '90s'}",
            ),
            ("demo.Order{any: demo.Item{price: 3}}.any.price", "3"),
            ("demo.Order{stock: {'a': 1}}.stock.a", "1"),
            ("google.protobuf.Int64Value{value: 3} + 1", "4"),
            (
                "google.protobuf.Duration{seconds: 1, nanos: 5}",
                "1.000000005s",
            ),
            (
                "google.protobuf.Timestamp{seconds: 253402300800}",
                "error: the value is out of range of timestamp",
            ),
            ("google.protobuf.Value{number_value: 2.0}", "2.0"),
            ("google.protobuf.Any{}", "error: the Any has no type"),
        ],
    );
}

#[test]
fn messages_are_equal_if_their_fields_are() {
    let language = Language::new();
    language.assert(
        "first { id: 'a' } items { id: 'a' } weight: nan",
        &[
            ("this.first == this.items[0]", "true"),
            ("this.first != demo.Item{id: 'b'}", "true"),
            ("this == this", "false"),
            ("this.weight == this.weight", "false"),
            ("this.weight != this.weight", "true"),
            ("dyn([1, 2u]) == [1.0, 2]", "true"),
            ("dyn({'a': 1}) == {'a': 1.0}", "true"),
            ("dyn(this.first) == 1", "false"),
        ],
    );
}
