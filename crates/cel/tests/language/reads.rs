//! What is known of an expression before it is evaluated.

use gateway_cel::Schema;

use crate::Language;

#[test]
fn fields_and_variables_are_listed() {
    let language = Language::new();
    let reads = language
        .compile("this.first.price > 3 && this.items.all(i, i.id != '')")
        .reads()
        .clone();
    let field = |message: &str, name: &str| {
        let id = language.schema.id(message);
        (id, language.schema.field(id, name).unwrap().index)
    };
    let expected = [
        field("demo.Order", "first"),
        field("demo.Order", "items"),
        field("demo.Item", "price"),
        field("demo.Item", "id"),
    ];
    assert_eq!(reads.fields, expected.into_iter().collect());
    assert_eq!(reads.variables, [0].into_iter().collect());
    assert!(!reads.others);
}

#[test]
fn what_only_the_evaluation_can_tell_is_marked() {
    let language = Language::new();
    for expression in [
        "this == this",
        "dyn(this).soft == 1",
        "this.any.price == 1",
        "this.items == []",
        "'%s'.format([this])",
    ] {
        assert!(language.compile(expression).reads().others, "{expression}");
    }
    for expression in [
        "this.soft == this.hard",
        "this.tags == ['a']",
        "this.name in ['a', 'b']",
    ] {
        assert!(!language.compile(expression).reads().others, "{expression}");
    }
}

#[test]
fn nested_visits_are_quadratic() {
    let language = Language::new();
    let cases = [
        ("this.soft < this.hard", 0, None),
        ("this.tags.all(t, t != '')", 1, None),
        ("this.tags.all(t, t in ['a', 'b'])", 1, None),
        ("[1, 2].all(n, this.tags.all(t, size(t) > n))", 1, None),
        (
            "this.tags.all(t, t in this.tags)",
            2,
            Some("t in this.tags"),
        ),
        (
            "this.tags.all(a, this.tags.filter(b, a == b).size() == 1)",
            2,
            Some("this.tags.filter(b, a == b)"),
        ),
        (
            "this.tags.map(a, this.tags.map(b, this.tags.map(c, c)))",
            3,
            Some("this.tags.map(c, c)"),
        ),
        ("this.tags.filter(t, t != '').all(t, t != 'a')", 1, None),
    ];
    for (expression, degree, part) in cases {
        let reads = language.compile(expression).reads().clone();
        assert_eq!(reads.degree, degree, "{expression}");
        let nested = reads
            .nested
            .map(|span| &expression[span.start as usize..span.end as usize]);
        assert_eq!(nested, part, "{expression}");
    }
}
