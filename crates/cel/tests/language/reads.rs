//! Tests of the list of fields and variables that an expression reads.

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
fn reads_that_are_known_only_at_evaluation_are_marked() {
    let language = Language::new();
    for expression in [
        "this == this",
        "dyn(this).soft == 1",
        "this.any.price == 1",
        "this.items == []",
        "'%s'.format([this])",
        "this.items.all(i, i == this.first)",
        "this.items.filter(i, i.price > 1) == []",
        "this.tags.map(t, this.first) == []",
        "this.shelf.all(n, item, item == this.first)",
    ] {
        assert!(language.compile(expression).reads().others, "{expression}");
    }
    for expression in [
        "this.soft == this.hard",
        "this.tags == ['a']",
        "this.name in ['a', 'b']",
        "this.tags.all(t, t == 'a' || this.tags.exists(u, u + t == this.name))",
        "this.tags.map(t, t + 'b') == ['a']",
        "this.shelf.all(n, n == 1)",
        "this.stock.all(name, n, name == 'a' && n == 1)",
        "(this.soft > 1 ? this.soft : 5) == this.hard",
        "'%d'.format([this.soft])",
    ] {
        assert!(!language.compile(expression).reads().others, "{expression}");
    }
}
