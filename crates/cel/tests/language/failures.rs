//! Tests of the search for parts that fail whenever they are evaluated. The search needs no
//! evaluation of the whole expression.

use gateway_cel::{Failure, Type, Value};

use crate::Language;

/// Returns the part of `expression` that always fails, with the reason, and whether the whole
/// expression fails. Returns `None` if no such part is found.
fn failure(language: &Language, expression: &str) -> Option<(String, String, bool)> {
    let program = language.compile(expression);
    let Failure { error, decides } = program.failure(&[])?;
    let range = error.span.start as usize..error.span.end as usize;
    let part = expression.get(range).unwrap().to_owned();
    Some((part, error.kind.to_string(), decides))
}

/// Asserts that this part always fails, and that the whole expression fails with it.
#[track_caller]
fn fails(expression: &str, part: &str, reason: &str) {
    let found = failure(&Language::new(), expression);
    let found = found.unwrap_or_else(|| panic!("{expression} does not always fail"));
    let expected = (part.to_owned(), reason.to_owned(), true);
    assert_eq!(found, expected, "{expression}");
}

const RANGE: &str = "the index is out of range";
const OVERLOAD: &str = "no such overload";

#[test]
fn constants_without_a_value_always_fail() {
    for (expression, part, reason) in [
        ("1 / 0 == 1", "1 / 0", "division by zero"),
        (
            "this.soft > int('ten')",
            "int('ten')",
            "the string does not parse as an int",
        ),
        ("[1, 2][2] == this.soft", "[1, 2][2]", RANGE),
        ("{'a': 1}['b'] == this.soft", "{'a': 1}['b']", "no such key"),
        ("{'a': 1}.b == this.soft", "{'a': 1}.b", "no such key"),
        (
            "this.soft < 9223372036854775807 + 1",
            "9223372036854775807 + 1",
            "the result is out of range",
        ),
        ("[1, 'a'].all(x, x > 0)", "x > 0", OVERLOAD),
        (
            "this.name.matches('[a' + '-')",
            "this.name.matches('[a' + '-')",
            "the pattern does not compile: a class has no closing bracket",
        ),
        (
            "demo.Item{price: 3000000000} == this.first",
            "demo.Item{price: 3000000000}",
            "the value is out of range of int32",
        ),
    ] {
        fails(expression, part, reason);
    }
}

#[test]
fn failures_that_no_other_operand_can_absorb_fail_the_expression() {
    for (expression, part, reason) in [
        ("this.soft / 0 > 1", "this.soft / 0", "division by zero"),
        (
            "this.pieces % 0u == 0u",
            "this.pieces % 0u",
            "division by zero",
        ),
        ("this.tags[-1] == ''", "this.tags[-1]", RANGE),
        ("this.name.charAt(-1) == ''", "this.name.charAt(-1)", RANGE),
        (
            "this.name.substring(3, 2) == ''",
            "this.name.substring(3, 2)",
            RANGE,
        ),
        (
            "this.name.indexOf('a', -1) == 0",
            "this.name.indexOf('a', -1)",
            RANGE,
        ),
        (
            "this.ends.getHours('Mars' + '/Base') > 1",
            "this.ends.getHours('Mars' + '/Base')",
            "there is no such time zone",
        ),
        (
            "{'a': this.soft, 'b': 1, 'a': 2} == {}",
            "{'a': this.soft, 'b': 1, 'a': 2}",
            "the map has a key twice",
        ),
        (
            "this.soft > -(-9223372036854775808)",
            "-(-9223372036854775808)",
            "the result is out of range",
        ),
    ] {
        fails(expression, part, reason);
    }
}

#[test]
fn formats_that_do_not_fit_their_arguments_always_fail() {
    let twice = "the format string has more clauses than arguments";
    for (expression, reason) in [
        ("'%q'.format([this.name])", "there is no format clause %q"),
        ("'%q'.format(this.tags)", "there is no format clause %q"),
        (
            "'100%'.format([this.name])",
            "the format string ends in an incomplete clause",
        ),
        (
            "'%.f'.format([this.weight])",
            "the format string has a precision that is not valid",
        ),
        ("'%s %s'.format([this.name])", twice),
        (
            "'%d'.format([this.name])",
            "the format clause %d does not take a value of type string",
        ),
        ("'%f'.format([this.soft, this.name])", ""),
        (
            "'%s %f'.format([this.soft, this.name])",
            "the format clause %f does not take a value of type string",
        ),
        ("'%d'.format([this.weight])", ""),
        ("'%s %s'.format(this.tags)", ""),
        ("'%s%%%d'.format([this.items, this.soft])", ""),
    ] {
        match reason {
            "" => assert_eq!(failure(&Language::new(), expression), None, "{expression}"),
            reason => fails(expression, expression, reason),
        }
    }
}

#[test]
fn wrong_types_that_dyn_hides_always_fail() {
    let mut language = Language::new();
    for (expression, part, reason) in [
        (
            "dyn(this).sotf == 3",
            "dyn(this).sotf",
            "no such field: sotf",
        ),
        (
            "has(dyn(this.first).none)",
            "has(dyn(this.first).none)",
            "no such field: none",
        ),
        (
            "dyn(this.soft).price == 3",
            "dyn(this.soft).price",
            OVERLOAD,
        ),
        ("dyn(this.name) + 1 == 2", "dyn(this.name) + 1", OVERLOAD),
        ("dyn(this.name) > 1", "dyn(this.name) > 1", OVERLOAD),
        ("-dyn(this.name) == 1", "-dyn(this.name)", OVERLOAD),
        (
            "dyn(this.soft).startsWith('a')",
            "dyn(this.soft).startsWith('a')",
            OVERLOAD,
        ),
        (
            "dyn(this.soft).all(x, true)",
            "dyn(this.soft).all(x, true)",
            OVERLOAD,
        ),
        ("dyn(this.soft) ? true : false", "dyn(this.soft)", OVERLOAD),
        (
            "dyn(this.soft) && dyn(this.name)",
            "dyn(this.soft)",
            OVERLOAD,
        ),
        (
            "(this.paid ? dyn(this.name) : dyn('a')) > 1",
            "(this.paid ? dyn(this.name) : dyn('a')) > 1",
            OVERLOAD,
        ),
        ("this.begins > null", "this.begins > null", OVERLOAD),
    ] {
        fails(expression, part, reason);
    }
    language.environment.field_function("getField");
    let computed = failure(&language, "getField(this, 'so' + 'tf') == 1").unwrap();
    assert_eq!((&*computed.1, computed.2), ("no such field: sotf", true));
    for expression in [
        "dyn(this).soft == 3",
        "dyn(this.soft) == 'a'",
        "dyn(this.soft) < 1.5",
        "dyn(this.extra).any == 1",
        "dyn(this.free) + 1 == 2",
        "dyn(this.any).soft == 2",
        "(this.paid ? dyn(this.name) : dyn(1)) > 1",
        "dyn(this.bonus) + 1 == 2",
        "getField(this, 'so' + 'ft') == 1",
    ] {
        assert_eq!(failure(&language, expression), None, "{expression}");
    }
}

/// A part that always fails makes the whole expression fail, unless another part may decide the
/// result.
#[test]
fn a_failing_part_that_another_part_may_absorb_does_not_decide() {
    let language = Language::new();
    for (expression, decides) in [
        ("1 / 0 == 1 || 2 / 0 == 1", Some(true)),
        ("false || this.soft / 0 == 1", Some(true)),
        ("this.paid && this.soft / 0 == 1", Some(false)),
        ("this.paid || this.soft / 0 == 1", Some(false)),
        ("this.paid ? this.soft / 0 == 1 : true", Some(false)),
        ("this.paid ? this.soft / 0 == 1 : 1 / 0 == 1", Some(true)),
        ("this.soft / 0 == 1 ? true : true", Some(true)),
        ("true ? this.soft / 0 == 1 : true", Some(true)),
        ("this.tags.all(t, t.size() / 0 == 1)", Some(false)),
        ("this.tags.map(t, 1 / 0).size() == 1", Some(false)),
        ("this.tags.filter(t, t != '')[-1] == ''", None),
        ("true || this.soft / 0 == 1", None),
        ("false && this.soft / 0 == 1", None),
        ("false ? this.soft / 0 == 1 : this.paid", None),
        ("[1, 2].all(x, 4 / x > this.soft)", None),
        ("[0, 1].exists(x, x == 1 || 1 / x > 0)", None),
        ("this.soft / 1 == 1 && this.stock[''] == 2", None),
    ] {
        let found = failure(&language, expression);
        assert_eq!(found.map(|found| found.2), decides, "{expression}");
    }
}

#[test]
fn constant_values_of_variables_are_used() {
    let mut language = Language::new();
    language.environment.variable("rule", Type::Int);
    let decides = |expression: &str, rule: i64| {
        let program = language.compile(expression);
        let failure = program.failure(&[None, Some(Value::Int(rule))]);
        failure.map(|failure| failure.decides)
    };
    assert_eq!(decides("this.soft % rule == 0", 0), Some(true));
    assert_eq!(decides("this.soft % rule == 0", 3), None);
    assert_eq!(decides("rule == 0 || this.soft % rule == 0", 0), None);
    assert_eq!(decides("rule != 0 && this.soft % rule == 0", 0), None);
}

/// Tests expressions whose type `dyn()` hides from the checker.
#[test]
fn the_static_type_is_known_in_spite_of_dyn() {
    let language = Language::new();
    for (expression, expected) in [
        ("dyn(this.soft)", Some(Type::Int)),
        ("dyn(this.paid && this.paid)", Some(Type::Bool)),
        ("this.paid ? dyn('') : dyn(this.name)", Some(Type::String)),
        ("this.paid ? dyn('') : dyn(1)", None),
        ("this.free", None),
        ("[1, 'a'][0]", Some(Type::Int)),
        ("this.name", Some(Type::String)),
    ] {
        let found = language.compile(expression).static_type();
        assert_eq!(found, expected, "{expression}");
    }
}
