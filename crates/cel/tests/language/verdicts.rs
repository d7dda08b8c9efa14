//! Tests of rules that a well-known interpreter judges wrongly.

use crate::Language;

#[test]
fn sizes_of_strings_count_code_points() {
    Language::new().assert(
        "name: '日本語です'",
        &[("this.name.size() <= 5", "true"), ("size(this.name)", "5")],
    );
}

#[test]
fn each_minus_sign_negates() {
    Language::new().assert(
        "paid: true soft: 5",
        &[
            ("!!this.paid", "true"),
            ("!!!this.paid", "false"),
            ("--this.soft == 5", "true"),
            ("---this.soft == -5", "true"),
        ],
    );
}

#[test]
fn unset_times_have_their_defaults() {
    Language::new().assert(
        "",
        &[
            ("this.limit < duration('10s')", "true"),
            ("this.begins <= this.ends", "true"),
            ("this.begins.getFullYear() >= 1970", "true"),
        ],
    );
}

#[test]
fn an_unset_wrapper_is_null() {
    let language = Language::new();
    language.assert(
        "",
        &[
            ("this.bonus != null", "false"),
            ("this.bonus == null", "true"),
        ],
    );
    language.assert(
        "bonus {}",
        &[("this.bonus != null", "true"), ("this.bonus == 0", "true")],
    );
}

#[test]
fn zones_shift_the_hour() {
    Language::new().assert(
        "begins { seconds: 41400 }", // 1970-01-01T11:30:00Z
        &[
            ("this.begins.getHours()", "11"),
            ("this.begins.getHours('+01:00') < 12", "false"),
            ("this.begins.getHours('Asia/Tokyo')", "20"),
            (
                "this.begins.getHours(this.name)",
                "error: there is no such time zone",
            ),
        ],
    );
}

#[test]
fn every_format_clause_is_known() {
    Language::new().assert(
        "tags: ['a', 'b'] limit { seconds: 90 nanos: 500000000 } stock { key: 'k' value: 2 }",
        &[
            ("'%x %X'.format([255, 255])", "'ff FF'"),
            ("'%b %o'.format([5, 8])", "'101 10'"),
            ("'%e'.format([1234.5])", "'1.234500e+03'"),
            ("'%.2f'.format([2.005])", "'2.00'"),
            (
                "'%s %s %s'.format([this.tags, this.stock, this.limit])",
                "'[a, b] {k: 2} 90.5s'",
            ),
        ],
    );
}

#[test]
fn conversions_are_defined_for_every_type() {
    Language::new().assert(
        "",
        &[
            ("type(this.soft) == int", "true"),
            ("dyn(this.soft) == 0", "true"),
            ("bool('true')", "true"),
            ("string(true)", "'true'"),
            ("timestamp(60)", "60.000000000"),
        ],
    );
}

#[test]
fn arithmetic_that_has_no_result_is_an_error() {
    Language::new().assert(
        "soft: -9223372036854775808 weight: nan limit { seconds: 315576000000 } begins { seconds: 1 }",
        &[
            ("-this.soft", "error: the result is out of range"),
            ("this.soft - 1", "error: the result is out of range"),
            ("this.soft / -1", "error: the result is out of range"),
            ("this.soft % -1", "error: the result is out of range"),
            ("int(this.weight)", "error: the value is out of range of int"),
            ("this.begins + this.limit", "error: the result is out of range"),
            ("this.limit + this.limit", "error: the result is out of range"),
        ],
    );
}

#[test]
fn messages_maps_and_dynamic_values_are_compared_as_wholes() {
    Language::new().assert(
        "extra { fields { key: 'a' value { number_value: 1 } } } free { list_value { values { bool_value: true } } }",
        &[
            ("demo.Item{id: 'x'} == demo.Item{id: 'x'}", "true"),
            ("demo.Item{id: 'x'}.id", "'x'"),
            ("this.extra.a", "1.0"),
            ("this.extra == {'a': 1}", "true"),
            ("this.free", "[true]"),
            ("dyn(1) == 1.0 && dyn(1u) == 1 && dyn(1.0) == 1u", "true"),
            ("1 < 1.5 && 2u > 1 && 1.0 <= 1u", "true"),
        ],
    );
}
