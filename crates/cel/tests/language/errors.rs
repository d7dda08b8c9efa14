//! Tests of expressions that do not compile, with the place and the help of each error.

use gateway_cel::Type;

use crate::Language;

/// Asserts the part that is wrong, the message and the help of the first error.
fn assert_error(
    language: &Language,
    expression: &str,
    part: &str,
    message: &str,
    help: Option<&str>,
) {
    let errors = language
        .environment
        .compile(expression)
        .expect_err(expression);
    let error = &errors[0];
    let range = error.span.start as usize..error.span.end as usize;
    assert_eq!(expression.get(range), Some(part), "{expression}: {error:?}");
    assert_eq!(error.message, message, "{expression}");
    assert_eq!(error.help.as_deref(), help, "{expression}");
}

#[test]
fn names_that_do_not_exist_are_reported_with_a_suggestion() {
    let language = Language::new();
    let cases = [
        (
            "this.sotf <= this.hard",
            "sotf",
            "demo.Order has no field `sotf`",
            Some("did you mean `soft`?"),
        ),
        (
            "has(this.frist)",
            "frist",
            "demo.Order has no field `frist`",
            Some("did you mean `first`?"),
        ),
        (
            "this.first.nonsense",
            "nonsense",
            "demo.Item has no field `nonsense`",
            None,
        ),
        (
            "thsi.soft",
            "thsi",
            "unknown variable `thsi`",
            Some("did you mean `this`?"),
        ),
        (
            "this.items.all(item, itme.price > 0)",
            "itme",
            "unknown variable `itme`",
            Some("did you mean `item`?"),
        ),
        (
            "this.name.startWith('a')",
            "startWith",
            "unknown function `startWith`",
            Some("did you mean `startsWith`?"),
        ),
        (
            "demo.Itm{}",
            "demo.Itm{}",
            "there is no message `demo.Itm`",
            None,
        ),
        (
            "demo.Item{prcie: 1}",
            "prcie",
            "demo.Item has no field `prcie`",
            Some("did you mean `price`?"),
        ),
    ];
    for (expression, part, message, help) in cases {
        assert_error(&language, expression, part, message, help);
    }
}

/// An expression, the part that is wrong, the message and the help.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const MISFITS: [Case; 13] = [
    (
        "this.name > 3",
        "this.name > 3",
        "`>` does not take string and int",
        Some("convert the number with string(), or the string with int(), uint() or double()"),
    ),
    (
        "this.name.size().size()",
        "size",
        "a value of type int has no function `size()`",
        Some(
            "`size` is declared as string.size(), bytes.size(), list(any type).size(), map(any type, any type).size()",
        ),
    ),
    (
        "this.name && true",
        "this.name",
        "expected a bool, found a value of type string",
        None,
    ),
    (
        "this.pieces == 3",
        "this.pieces == 3",
        "`==` does not take uint and int",
        Some("convert one of the numbers with int() or uint(); a literal such as 5u is a uint"),
    ),
    (
        "this.soft + 1.0",
        "this.soft + 1.0",
        "`+` does not take int and double",
        Some("convert one of the numbers with double(); a literal such as 5.0 is a double"),
    ),
    (
        "this.soft.all(x, true)",
        "this.soft",
        "expected a list or a map, found a value of type int",
        None,
    ),
    (
        "this.tags.all(x, x)",
        "x",
        "expected a bool, found a value of type string",
        None,
    ),
    (
        "this.soft.price",
        "price",
        "a value of type int has no field `price`",
        None,
    ),
    (
        "startsWith(this.name, 'a')",
        "startsWith",
        "`startsWith` is called as x.startsWith()",
        None,
    ),
    (
        "this.name.startsWith(3)",
        "startsWith",
        "`startsWith` of string does not take int",
        Some("`startsWith` is declared as string.startsWith(string)"),
    ),
    (
        "{1.5: 2}",
        "1.5",
        "a value of type double cannot be a key of a map",
        None,
    ),
    (
        "demo.Item{price: 'x'}",
        "'x'",
        "the field `price` is of type int, not string",
        None,
    ),
    (
        "this.begins > this.limit",
        "this.begins > this.limit",
        "`>` does not take google.protobuf.Timestamp and google.protobuf.Duration",
        None,
    ),
];

#[test]
fn types_that_do_not_fit_are_reported() {
    let language = Language::new();
    for (expression, part, message, help) in MISFITS {
        assert_error(&language, expression, part, message, help);
    }
}

#[test]
fn constants_that_can_only_fail_are_reported() {
    let language = Language::new();
    let cases = [
        (
            "this.name.matches('[a-z')",
            "'[a-z'",
            "the pattern does not compile: a class has no closing bracket",
            None,
        ),
        (
            "this.name.matches('a{2000}')",
            "'a{2000}'",
            "the pattern does not compile: a repetition counts to more than 1000",
            None,
        ),
        (
            "this.limit < duration('ten')",
            "'ten'",
            "the duration does not parse",
            Some("write a number with a unit, such as duration('1h30m') or duration('1.5s')"),
        ),
        (
            "this.ends < timestamp('2030')",
            "'2030'",
            "the timestamp does not parse",
            Some(
                "write a timestamp in the format of RFC 3339, such as timestamp('2030-01-31T23:59:59Z')",
            ),
        ),
        (
            "this.ends.getHours('Mars/Base') > 1",
            "'Mars/Base'",
            "there is no time zone `Mars/Base`",
            Some("write a name such as Europe/Berlin, or an offset such as +01:00"),
        ),
    ];
    for (expression, part, message, help) in cases {
        assert_error(&language, expression, part, message, help);
    }
}

#[test]
fn syntax_errors_name_the_expected_token() {
    let language = Language::new();
    let cases = [
        (
            "this.soft = 3",
            "=",
            "unexpected character \"=\"",
            Some("write `==` to compare"),
        ),
        (
            "this.paid and true",
            "and",
            "expected an operator or the end, found `and`",
            Some("write `&&`"),
        ),
        ("(1 + 2", "", "expected `)`, found the end", None),
        ("", "", "expected an expression, found the end", None),
        ("1 +", "", "expected an expression, found the end", None),
        ("'abc", "'", "the literal has no closing quote", None),
        (
            "'\\q'",
            "\\q",
            "there is no such escape in this kind of literal",
            None,
        ),
        (
            "99999999999999999999",
            "99999999999999999999",
            "the number does not fit 64 bits",
            None,
        ),
        (
            "9223372036854775808",
            "9223372036854775808",
            "the number does not fit an int of 64 bits",
            None,
        ),
        ("12abc", "12abc", "a number ends in letters", None),
        ("for", "for", "`for` is a reserved word", None),
        (
            "has(this)",
            "this",
            "has() takes the selection of a field",
            Some("write has(message.field)"),
        ),
        (
            "[1].all(1, true)",
            "1",
            "expected a name for the element",
            None,
        ),
        ("f(1,)", ")", "expected an expression, found `)`", None),
    ];
    for (expression, part, message, help) in cases {
        assert_error(&language, expression, part, message, help);
    }
}

#[test]
fn all_errors_of_a_text_are_reported_in_order() {
    let language = Language::new();
    let errors = language
        .environment
        .compile("this.a > 1 && this.b > 1 || this.c");
    let parts: Vec<u32> = errors
        .unwrap_err()
        .iter()
        .map(|error| error.span.start)
        .collect();
    assert_eq!(parts, [5, 19, 33]);
}

#[test]
fn a_field_is_read_by_the_function_for_fields() {
    let mut language = Language::new();
    language.environment.field_function("getField");
    language
        .environment
        .variable("rules", Type::map(Type::String, Type::list(Type::Int)));
    language.assert(
        "soft: 3",
        &[
            ("getField(this, 'soft')", "3"),
            ("getField(this, 'so' + 'ft')", "3"),
        ],
    );
    assert_error(
        &language,
        "getField(this, 'sotf') == 3",
        "'sotf'",
        "demo.Order has no field `sotf`",
        Some("did you mean `soft`?"),
    );
}
