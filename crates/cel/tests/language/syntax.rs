//! Tests of literals, operators, macros and names.

use gateway_cel::Type;

use crate::Language;

#[test]
fn literals_of_every_form_are_read() {
    Language::new().assert(
        "",
        &[
            ("0x1F", "31"),
            ("-0x10", "-16"),
            ("0xffu", "255u"),
            ("1e3", "1000.0"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("'a\\tb\\x41\\101\\u00e9\\U0001F600'", "'a\tbAAé😀'"),
            ("r'\\d'", "'\\d'"),
            ("'''it's\n'''", "'it's\n'"),
            ("b'\\xff\\000a'", "[255, 0, 97]"),
            ("rb'\\x'", "[92, 120]"),
            ("b'é'", "[195, 169]"),
            ("[1, 2,]", "[1, 2]"),
            ("{'a': 1, 'b': 2,}", "{'a': 1, 'b': 2}"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("1 // the rest is a comment", "1"),
        ],
    );
}

#[test]
fn operators_have_the_precedence_of_c() {
    Language::new().assert(
        "",
        &[
            ("1 + 2 * 3 == 7 && true || false", "true"),
            ("10 - 2 - 3", "5"),
            ("7 / 2 * 2 + 7 % 2", "7"),
            ("false ? 1 : true ? 2 : 3", "2"),
            ("!false && 1 in [1]", "true"),
            ("-2 * -3", "6"),
            ("1 < 2 == true", "true"),
        ],
    );
}

#[test]
fn a_decisive_operand_absorbs_the_errors_of_other_operands() {
    Language::new().assert(
        "",
        &[
            ("1 / 0 > 0 || true", "true"),
            ("1 / 0 > 0 && false", "false"),
            ("1 / 0 > 0 || false", "error: division by zero"),
            ("false && 1 / 0 > 0", "false"),
            ("[1, 0].exists(x, 4 / x == 4)", "true"),
            ("[0, 1].exists(x, 4 / x == 4)", "true"),
            ("[0, 2].all(x, 4 / x == 4)", "false"),
            ("[0, 1].all(x, 4 / x == 4)", "error: division by zero"),
            (
                "[0, 1].exists_one(x, 4 / x == 4)",
                "error: division by zero",
            ),
            ("true ? 1 : 1 / 0", "1"),
        ],
    );
}

#[test]
fn macros_visit_lists_and_maps() {
    Language::new().assert(
        "tags: ['x', 'yy'] stock { key: 'k' value: 3 } items { id: 'a' price: 1 } items { id: 'b' price: 2 }",
        &[
            ("this.tags.all(t, size(t) < 3)", "true"),
            ("this.tags.exists_one(t, t == 'x')", "true"),
            ("this.tags.existsOne(t, t == 'z')", "false"),
            ("this.tags.map(t, t + '!')", "['x!', 'yy!']"),
            ("this.tags.map(t, size(t) == 2, t + '!')", "['yy!']"),
            ("this.tags.filter(t, size(t) == 2)", "['yy']"),
            ("this.stock.all(k, this.stock[k] == 3)", "true"),
            ("this.stock.map(k, k)", "['k']"),
            ("this.stock.exists(k, v, k == 'k' && v == 3)", "true"),
            ("this.tags.all(i, t, size(t) == i + 1)", "true"),
            ("this.tags.transformList(i, t, string(i) + t)", "['0x', '1yy']"),
            ("this.tags.transformList(i, t, i > 0, t)", "['yy']"),
            ("this.stock.transformMap(k, v, v + 1)", "{'k': 4}"),
            ("this.stock.transformMapEntry(k, v, {v: k})", "{3: 'k'}"),
            ("[1, 1].transformMapEntry(i, v, {v: i})", "error: the map has a key twice"),
            ("this.items.map(i, i.price)", "[1, 2]"),
            ("this.items.map(i, this.items.filter(j, j.price > i.price).size())", "[1, 0]"),
            ("[].all(x, x)", "true"),
            ("[[1, 2], [3]].map(l, l.map(x, x * 10))", "[[10, 20], [30]]"),
        ],
    );
}

#[test]
fn inner_variables_hide_outer_ones() {
    let mut language = Language::new();
    language.environment.container("demo.inner");
    language.assert(
        "soft: 4",
        &[
            ("[1].map(this, this + 1)", "[2]"),
            ("[1].map(this, .this.soft)", "[4]"),
            ("[1].map(x, [2].map(x, x))", "[[2]]"),
            ("Order.Color.BLUE", "5"),
            ("demo.Order.Color.RED + 1", "2"),
            (".demo.Order.Color.RED", "1"),
        ],
    );
}

#[test]
fn the_type_of_the_result_is_known() {
    let language = Language::new();
    let result = |expression: &str| language.compile(expression).result().clone();
    assert_eq!(result("this.soft <= this.hard"), Type::Bool);
    assert_eq!(result("this.soft > 3 ? '' : 'too small'"), Type::String);
    assert_eq!(result("this.items.map(i, i.price)"), Type::list(Type::Int));
    assert_eq!(result("this.free"), Type::Dyn);
    assert_eq!(result("[1, 'a']"), Type::list(Type::Dyn));
}
